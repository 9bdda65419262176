"""From an inventory to what acts: the one place where adapters are chosen by their names.

Enters: an inventory. Leaves: `Hands` with the balancer, the machines and the secrets in them.
"""

from __future__ import annotations

from executor.balancers.haproxy import HAProxy
from executor.hosts.base import Host
from executor.hosts.local import Local
from executor.hosts.ssh import Ssh
from executor.inventory import HostSpec, Inventory, read_secrets
from executor.steps import Hands


def connected(inventory: Inventory) -> Hands:
    """What acts on the fleet of an inventory; nothing is connected to yet.

    Raises:
        BadInput: A secret, a key or a library is missing.
    """
    specs = inventory.hosts or {"local": HostSpec()}
    used = {inventory.host_of(name) for name in inventory.instances}
    hosts: dict[str, Host] = {name: _host(specs[name]) for name in sorted(used)}
    return Hands(
        balancer=HAProxy(inventory.balancer.haproxy),
        hosts=hosts,
        targets=inventory.targets(),
        environment=read_secrets(inventory),
        poll_s=inventory.poll_s,
    )


def _host(spec: HostSpec) -> Host:
    return Local() if spec.ssh is None else Ssh(spec.ssh)


def fleet_key(inventory: Inventory) -> str:
    """What two inventories of one fleet have in common: its balancer and the backend there."""
    haproxy = inventory.balancer.haproxy
    where = haproxy.tcp or str(haproxy.socket.resolve() if haproxy.socket else "")
    return f"{where} {haproxy.backend}"
