"""How a fleet is when a rollout ends: what a person must know before going on.

Enters: a plan, how far it is, and what balancer and instances said. Leaves: a `FleetStatement`, and
its lines for people.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from executor.fleet.balancers.base import Admin, BalancerState
from executor.fleet.fleet_client import FleetClient
from executor.fleet.probe import ProbeResult
from executor.plan.model import Step
from executor.progress import Progress

MOST_NAMES = 12
"""Maximum number of instances of one kind that are named; those out of the pool always are."""


@dataclass(frozen=True)
class InstanceStatement:
    """One instance.

    Attributes:
        name: Its name in the plan.
        admin: How the balancer has its server; None when that is not known.
        is_in_pool: Whether it is sent requests; None when that is not known.
        version: The version that answers; None when none does.
        is_asked: Whether it was asked for its version since its last step.
        next_step: The step it is at, in the middle of its steps; None otherwise.
    """

    name: str
    admin: Admin | None
    is_in_pool: bool | None
    version: str | None
    is_asked: bool
    next_step: Step | None = None


@dataclass(frozen=True)
class FleetStatement:
    """A whole fleet.

    Attributes:
        instances: In the plan's order.
        why_not_looked: Why this is not how the fleet is now, but as it was last seen; empty otherwise.
    """

    instances: tuple[InstanceStatement, ...] = ()
    why_not_looked: str = ""

    def lines(self) -> Iterator[str]:
        """The statement for people: a line for each kind of instance."""
        kinds: dict[str, list[InstanceStatement]] = {}
        for instance in self.instances:
            kinds.setdefault(_kind(instance), []).append(instance)
        suffix = f" (as last seen: {self.why_not_looked})" if self.why_not_looked else ""
        if kinds:
            yield f"The fleet{suffix}:"
        for kind, members in kinds.items():
            names = [_name(member) for member in members]
            if len(names) > MOST_NAMES and members[0].is_in_pool:
                names = [*names[:MOST_NAMES], f"and {len(names) - MOST_NAMES} more"]
            yield f"  {len(members)} {kind}: {', '.join(names)}"


def state_fleet(
    names: tuple[str, ...],
    hands: FleetClient,
    *,
    state: BalancerState | None,
    direct: Mapping[str, ProbeResult],
    progress: Progress,
    why_not_looked: str,
) -> FleetStatement:
    """State what is known of a fleet.

    Args:
        names: The plan's instances.
        hands: What says how the balancer calls them.
        state: What the balancer said last; None when it never answered.
        direct: What the instances said themselves since their last steps.
        progress: How far the rollout is.
        why_not_looked: Why it is not how the fleet is now; empty where it is.
    """

    def state_instance(name: str) -> InstanceStatement:
        server = state.servers.get(hands.targets[name].server) if state is not None else None
        answer, own = direct.get(name), progress.of(name)
        return InstanceStatement(
            name,
            server.admin if server is not None else None,
            server.is_in_pool if server is not None else None,
            answer.version if answer is not None else None,
            answer is not None,
            own.next_step if own.begun else None,
        )

    return FleetStatement(tuple(map(state_instance, names)), why_not_looked)


def _kind(instance: InstanceStatement) -> str:
    if instance.admin is None:
        place = "not known to the balancer"
    elif instance.is_in_pool:
        place = "in the pool"
    else:
        place = f"out of the pool ({instance.admin})"
    if not instance.is_asked:
        return f"{place}, version not known"
    return f"{place}, {f'version {instance.version}' if instance.version else 'not answering'}"


def _name(instance: InstanceStatement) -> str:
    if instance.next_step is None:
        return instance.name
    return f"{instance.name} (before {instance.next_step.replace('_', ' ')})"
