"""What is checked before anything is touched: does this plan fit the fleet as it is?

Enters: a plan, an inventory, and what can look at the fleet. Leaves: every check in plain words
with what breaks it. Nothing is changed by looking.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path

from executor.balancers.base import BalancerError, BalancerState
from executor.hosts.base import HostError
from executor.inventory import Inventory
from executor.plan import Plan
from executor.signing import untrusted
from executor.steps import Hands

Checks = list[tuple[str, list[str]]]


def fits(plan: Plan, inventory: Inventory, trust: Sequence[Path] = ()) -> Checks:
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
        made.append(("it is signed by a trusted key", untrusted(plan, keys)))
    return made


async def looked_at(plan: Plan, inventory: Inventory, hands: Hands, *, resumed: bool) -> Checks:
    """The checks that ask balancer, machines and instances; none changes anything.

    Args:
        plan: What is to be carried out.
        inventory: The fleet, whose names are the plan's.
        hands: What can look.
        resumed: Half a rollout is behind: health, versions and pool are as they are.
    """
    made: Checks = [("every machine can be reached", await _hosts(hands))]
    state, problems = await _balancer(hands)
    made.append(("the balancer can be reached and lets itself be told", problems))
    if state is not None:
        lost = [
            f"{name}: server {hands.targets[name].server} must be in the balancer's backend"
            for name in plan.instances
            if hands.targets[name].server not in state.servers
        ]
        made.append(("the balancer knows every instance", lost))
        if not lost and not resumed:
            made.append(("enough are up for the window", _up(plan, hands, state)))
    if not resumed:
        made.append(
            ("every instance is healthy and of the old version", await _old(inventory, hands))
        )
    return made


def problems_in(checks: Iterable[tuple[str, Sequence[str]]]) -> list[str]:
    """Everything that breaks a check."""
    return [problem for _, problems in checks for problem in problems]


async def _hosts(hands: Hands) -> list[str]:
    async def problem(name: str) -> str | None:
        try:
            await hands.hosts[name].check()
        except HostError as error:
            return f"host {name}: {error}"
        return None

    found = await asyncio.gather(*(problem(name) for name in hands.hosts))
    return [one for one in found if one is not None]


async def _balancer(hands: Hands) -> tuple[BalancerState | None, list[str]]:
    try:
        state = await hands.observe()
        await hands.aside(hands.balancer.may_change)
    except BalancerError as error:
        return None, [str(error)]
    return state, []


def _up(plan: Plan, hands: Hands, state: BalancerState) -> list[str]:
    servers = {name: state.servers[hands.targets[name].server] for name in plan.instances}
    out = [name for name, server in servers.items() if not server.is_in_pool]
    up = len(servers) - len(out)
    problems = []
    if up - plan.window < plan.min_in_pool:
        problems.append(
            f"instances up ({up}) less the window ({plan.window}) must not fall below the minimum "
            f"({plan.min_in_pool}); out: {', '.join(out) or 'none'}"
        )
    return problems


async def _old(inventory: Inventory, hands: Hands) -> list[str]:
    names = list(inventory.instances)
    answers = await asyncio.gather(*(hands.direct(name) for name in names))
    lacking = zip(names, (answer.lacks(inventory.versions.old) for answer in answers), strict=True)
    return [f"{name}: {lacks}" for name, lacks in lacking if lacks is not None]
