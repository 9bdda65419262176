"""What is checked before anything is touched: does this plan fit the fleet as it is?

Enters: a plan, an inventory, and what can look at the fleet. Leaves: every check in plain words
with what breaks it. Nothing is changed by looking.
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
    """What a look at a fleet found.

    Attributes:
        checks: Every check in plain words, with what breaks it.
        warnings: What breaks no check and should be known all the same, in sentences.
    """

    checks: Checks
    warnings: list[str]


def check_inventory(plan: Plan, inventory: Inventory, trust: Sequence[Path] = ()) -> Checks:
    """The checks that need nobody to be asked.

    Args:
        plan: What is to be carried out.
        inventory: The fleet.
        trust: Public keys beside the inventory's.

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
    made = [("the inventory is that of the plan's fleet", problems)]
    keys = (*inventory.trust, *trust)
    if keys:
        made.append(("it is signed by a trusted key", trust_problems(plan, keys)))
    return made


async def check_fleet(
    plan: Plan, inventory: Inventory, hands: FleetClient, *, resumed: Progress | None
) -> FleetCheck:
    """Makes the checks that ask balancer, machines and instances; none changes anything.

    Args:
        plan: What is to be carried out.
        inventory: The fleet, whose names are the plan's.
        hands: What can look.
        resumed: How far the rollout is that is resumed: half of it is behind, so health, versions and
            pool are as they are. None before one is begun.
    """
    warnings = hands.balancer.warnings()
    made: Checks = [("every machine can be reached", await _hosts(hands))]
    state, problems = await _balancer(hands)
    made.append(("the balancer can be reached and lets itself be told", problems))
    if state is not None:
        lost = [
            f"{name}: server {hands.targets[name].server} must be in the balancer's backend"
            for name in plan.instances
            if hands.targets[name].server not in state.servers
        ]
        knows = (
            f"the balancer knows every instance (only {hands.balancer.place()} is told and watched)"
        )
        made.append((knows, lost))
        if not lost:
            servers = {name: state.servers[hands.targets[name].server] for name in plan.instances}
            progress = resumed or Progress()
            made.append(("nobody else has taken a server out", _held(progress, servers)))
            warnings += _no_capacity(servers)
            if resumed is None:
                made.append(("enough are up for the window", _up(plan, servers)))
        warnings += await _other_routes(hands)
    if resumed is None:
        made.append(
            ("every instance is healthy and of the old version", await _old(inventory, hands))
        )
    return FleetCheck(made, warnings)


def problems_in(checks: Iterable[tuple[str, Sequence[str]]]) -> list[str]:
    """Everything that breaks a check."""
    return [problem for _, problems in checks for problem in problems]


async def _hosts(hands: FleetClient) -> list[str]:
    async def problem(name: str) -> str | None:
        try:
            await hands.hosts[name].check()
        except HostError as error:
            return f"host {name}: {error}"
        return None

    found = await asyncio.gather(*(problem(name) for name in hands.hosts))
    return [one for one in found if one is not None]


async def _balancer(hands: FleetClient) -> tuple[BalancerState | None, list[str]]:
    try:
        state = await hands.observe()
        await hands.check_permission()
    except BalancerError as error:
        return None, [str(error)]
    return state, []


def _held(progress: Progress, servers: Mapping[str, Server]) -> list[str]:
    """The servers that others have out; what they took out is theirs to put back."""
    return [
        f"{name}: is in {server.admin} by somebody else and must be ready: it is not put into "
        "traffic for them"
        for name, server in servers.items()
        if is_held_by_others(progress.of(name).told, server.admin)
    ]


def _no_capacity(servers: Mapping[str, Server]) -> list[str]:
    """The servers that are up, and take no requests all the same."""
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


async def _other_routes(hands: FleetClient) -> list[str]:
    """Where requests may reach an instance that was taken out here only."""
    try:
        routes = await hands.other_routes()
    except BalancerError as error:
        return [f"whether other backends send requests to these servers cannot be told: {error}"]
    told = [
        f"{name}: {', '.join(elsewhere)} of the same balancer has its address too and is not told: "
        "requests from there reach it while it is out"
        for name, target in hands.targets.items()
        if (elsewhere := routes.servers.get(target.server))
    ]
    if routes.peers:
        told.append(
            f"the balancer has peers ({', '.join(routes.peers)}), which are not told: requests that "
            "they send reach an instance while it is out"
        )
    return told


def _up(plan: Plan, servers: Mapping[str, Server]) -> list[str]:
    out = {name: server for name, server in servers.items() if not server.is_in_pool}
    up = len(servers) - len(out)
    if up - plan.window >= plan.min_in_pool:
        return []
    named = ", ".join(f"{name} ({_why_out(server)})" for name, server in out.items())
    return [
        f"instances up ({up}) less the window ({plan.window}) must not fall below the minimum "
        f"({plan.min_in_pool}); out: {named or 'none'}"
    ]


def _why_out(server: Server) -> str:
    if server.admin is not Admin.READY:
        return str(server.admin)
    if server.is_up is False:
        return "down"
    return "backup" if server.is_backup else "weight 0"


async def _old(inventory: Inventory, hands: FleetClient) -> list[str]:
    names = list(inventory.instances)
    answers = await asyncio.gather(*(hands.probe_instance(name) for name in names))
    lacking = zip(
        names, (answer.deviation_from(inventory.versions.old) for answer in answers), strict=True
    )
    return [f"{name}: {lacks}" for name, lacks in lacking if lacks is not None]
