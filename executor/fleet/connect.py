"""From an inventory to what acts: the one place where adapters are chosen by their names.

Enters: an inventory. Leaves: `FleetClient` with the balancer, the machines and the secrets in them.
"""

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
    """What acts on the fleet of an inventory as a plan says; nothing is connected to yet.

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
    """What two inventories of one fleet have in common: its balancer's address and the backend there.

    However it is written: a unix socket by where it really lies, every name of this machine's own
    loopback as one, other names without regard to case.
    """
    haproxy = inventory.balancer.haproxy
    where = str(haproxy.socket.resolve()) if haproxy.socket is not None else _one_way(haproxy.tcp)
    return f"{where} {haproxy.backend}"


def _one_way(tcp: str | None) -> str:
    """An address ``HOST:PORT`` in the one way in which a lock knows it."""
    host, _, port = (tcp or "").rpartition(":")
    name = host.strip("[]").rstrip(".").lower()
    with suppress(ValueError):  # it is a name
        address = ip_address(name)
        name = "localhost" if address.is_loopback else address.compressed
    return f"{name}:{int(port)}"
