"""Make the client of a fleet from its inventory: the one place that chooses adapters by name."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_address

from executor.fleet.balancers.haproxy import HAProxy
from executor.fleet.fleet_client import FleetClient
from executor.fleet.hosts.base import Host
from executor.fleet.hosts.local import Local
from executor.fleet.hosts.ssh import Ssh
from executor.fleet.inventory import HostSpec, Inventory
from executor.fleet.secret_files import read_secrets
from executor.plan.model import Plan


def connect(inventory: Inventory, plan: Plan) -> FleetClient:
    """Return the client of an inventory's fleet; connections are made at their first use.

    Raises:
        BadInput: A secret, a key or a library is missing.
    """
    specs = inventory.hosts or {"local": HostSpec()}
    used = {inventory.host_of(name) for name in inventory.instances}
    hosts: dict[str, Host] = {name: _host(specs[name]) for name in sorted(used)}
    return FleetClient(
        balancer=HAProxy(inventory.balancer.haproxy),
        hosts=hosts,
        targets=inventory.targets(plan.stop),
        environment=read_secrets(inventory),
        poll_s=inventory.poll_s,
    )


def _host(spec: HostSpec) -> Host:
    return Local() if spec.ssh is None else Ssh(spec.ssh)


def fleet_key(inventory: Inventory) -> str:
    """Return the key that is the same for all inventories of one fleet: balancer and backend.

    The key does not depend on how the balancer is written: the path of a unix socket is resolved,
    every address of this machine's loopback is ``localhost``, and names are in lower case.
    """
    haproxy = inventory.balancer.haproxy
    if haproxy.socket is not None:
        address = str(haproxy.socket.resolve())
    else:
        address = _normalize_address(haproxy.tcp)
    return f"{address} {haproxy.backend}"


def _normalize_address(tcp: str | None) -> str:
    """Return an address ``HOST:PORT`` in its normal form."""
    host, _, port = (tcp or "").rpartition(":")
    name = host.strip("[]").rstrip(".").lower()
    with suppress(ValueError):  # a name, not an address
        address = ip_address(name)
        name = "localhost" if address.is_loopback else address.compressed
    return f"{name}:{int(port)}"
