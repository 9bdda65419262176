"""Check that a plan fits the fleet as it is, before anything is changed.

Each check is a pair: what it promises, in plain words, and the problems that break it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from executor.fleet.balancers.base import (
    Admin,
    BalancerError,
    BalancerState,
    Server,
    is_held_by_others,
)
from executor.fleet.fleet_client import FleetClient
from executor.fleet.hosts.base import HostError
from executor.fleet.inventory import Inventory
from executor.plan.model import Plan
from executor.plan.signing import trust_problems
from executor.progress import Progress

Checks = list[tuple[str, list[str]]]


@dataclass(frozen=True)
class FleetCheck:
    """The result of the checks of a fleet.

    Attributes:
        checks: Every check, with the problems that break it.
        warnings: Sentences about facts that break no check, but that an operator should know.
    """

    checks: Checks
    warnings: list[str]


def check_inventory(plan: Plan, inventory: Inventory, trust: Sequence[Path] = ()) -> Checks:
    """Return the checks of a plan against an inventory, which connect to nothing.

    Args:
        plan: The plan that is to be carried out.
        inventory: The inventory of the fleet.
        trust: Trusted public keys in addition to the inventory's.

    Raises:
        BadInput: A trusted key cannot be read.
    """
    problems = []
    if plan.service != inventory.service:
        problems.append(f"service ({inventory.service}) must be the plan's ({plan.service})")
    planned, listed = set(plan.instances), set(inventory.instances)
    if missing := sorted(planned - listed):
        problems.append(f"instances {', '.join(missing)} must be in the inventory")
    if extra := sorted(listed - planned):
        problems.append(
            f"instances {', '.join(extra)} must be in the plan: it is for another fleet"
        )
    checks = [("the inventory is that of the plan's fleet", problems)]
    keys = (*inventory.trust, *trust)
    if keys:
        checks.append(("it is signed by a trusted key", trust_problems(plan, keys)))
    return checks


async def check_fleet(
    plan: Plan, inventory: Inventory, fleet: FleetClient, *, resumed: Progress | None
) -> FleetCheck:
    """Run the checks that ask balancer, machines and instances; none changes anything.

    Args:
        plan: The plan that is to be carried out.
        inventory: The inventory of the fleet, with the plan's names.
        fleet: The client of the fleet.
        resumed: The progress of a rollout that is resumed: part of the fleet is rolled, so health,
            versions and pool are not checked. None before a rollout begins.
    """
    warnings = fleet.balancer.warnings()
    checks: Checks = [("every machine can be reached", await _check_hosts(fleet))]
    state, problems = await _check_balancer(fleet)
    checks.append(("the balancer can be reached and accepts changes", problems))
    if state is not None:
        unknown = [
            f"{name}: server {fleet.targets[name].server} must be in the balancer's backend"
            for name in plan.instances
            if fleet.targets[name].server not in state.servers
        ]
        knows = (
            f"the balancer knows every instance (only {fleet.balancer.place()} is told and watched)"
        )
        checks.append((knows, unknown))
        if not unknown:
            servers = {name: state.servers[fleet.targets[name].server] for name in plan.instances}
            progress = resumed or Progress()
            checks.append(("nobody else has taken a server out", _held_servers(progress, servers)))
            warnings += _idle_servers(servers)
            if resumed is None:
                checks.append(("enough are up for the window", _check_capacity(plan, servers)))
        warnings += await _other_routes(fleet)
    if resumed is None:
        checks.append(
            (
                "every instance is healthy and of the old version",
                await _check_old_version(inventory, fleet),
            )
        )
    return FleetCheck(checks, warnings)


def problems_in(checks: Iterable[tuple[str, Sequence[str]]]) -> list[str]:
    """Return the problems of all checks."""
    return [problem for _, problems in checks for problem in problems]


async def _check_hosts(fleet: FleetClient) -> list[str]:
    async def problem(name: str) -> str | None:
        try:
            await fleet.hosts[name].check()
        except HostError as error:
            return f"host {name}: {error}"
        return None

    problems = await asyncio.gather(*(problem(name) for name in fleet.hosts))
    return [text for text in problems if text is not None]


async def _check_balancer(fleet: FleetClient) -> tuple[BalancerState | None, list[str]]:
    try:
        state = await fleet.observe()
        await fleet.check_permission()
    except BalancerError as error:
        return None, [str(error)]
    return state, []


def _held_servers(progress: Progress, servers: Mapping[str, Server]) -> list[str]:
    """Return a sentence for each server that others took out: only they may put it back."""
    return [
        f"{name}: is in {server.admin} by somebody else and must be ready: it is not put into "
        "traffic for them"
        for name, server in servers.items()
        if is_held_by_others(progress.of(name).told, server.admin)
    ]


def _idle_servers(servers: Mapping[str, Server]) -> list[str]:
    """Return a sentence for each server that is up, but gets no requests."""
    return [
        f"{name}: {why}, so it does not count as capacity"
        for name, server in servers.items()
        if server.is_ready and (why := _why_idle(server)) is not None
    ]


def _why_idle(server: Server) -> str | None:
    if server.is_backup:
        return "is a backup at the balancer"
    if server.weight == 0:
        return "has weight 0 at the balancer (set by hand, by the file or by an agent)"
    return None


async def _other_routes(fleet: FleetClient) -> list[str]:
    """Return a sentence for each way by which requests reach an instance that was taken out."""
    try:
        routes = await fleet.other_routes()
    except BalancerError as error:
        return [f"whether other backends send requests to these servers cannot be told: {error}"]
    sentences = [
        f"{name}: {', '.join(elsewhere)} of the same balancer has its address too and is not told: "
        "requests from there reach it while it is out"
        for name, target in fleet.targets.items()
        if (elsewhere := routes.servers.get(target.server))
    ]
    if routes.peers:
        sentences.append(
            f"the balancer has peers ({', '.join(routes.peers)}), which are not told: requests that "
            "they send reach an instance while it is out"
        )
    return sentences


def _check_capacity(plan: Plan, servers: Mapping[str, Server]) -> list[str]:
    out = {name: server for name, server in servers.items() if not server.is_in_pool}
    up = len(servers) - len(out)
    if up - plan.window >= plan.min_in_pool:
        return []
    out_text = ", ".join(f"{name} ({_why_out(server)})" for name, server in out.items())
    return [
        f"instances up ({up}) less the window ({plan.window}) must not fall below the minimum "
        f"({plan.min_in_pool}); out: {out_text or 'none'}"
    ]


def _why_out(server: Server) -> str:
    if server.admin is not Admin.READY:
        return str(server.admin)
    if server.is_up is False:
        return "down"
    return "backup" if server.is_backup else "weight 0"


async def _check_old_version(inventory: Inventory, fleet: FleetClient) -> list[str]:
    names = list(inventory.instances)
    results = await asyncio.gather(*(fleet.probe_instance(name) for name in names))
    deviations = (result.deviation_from(inventory.versions.old) for result in results)
    return [
        f"{name}: {deviation}"
        for name, deviation in zip(names, deviations, strict=True)
        if deviation is not None
    ]
