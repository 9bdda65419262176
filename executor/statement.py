"""Describe the fleet at the end of a rollout: what an operator must know before going on."""

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
    """The state of one instance at the end of a rollout.

    Attributes:
        name: The instance's name in the plan.
        admin: The state of its server at the balancer; None when that is not known.
        is_in_pool: Whether the balancer sends it requests; None when that is not known.
        version: The version that answers; None when none does.
        is_asked: Whether the instance was probed since its last step.
        next_step: The next step of an instance in the middle of its steps; None otherwise.
    """

    name: str
    admin: Admin | None
    is_in_pool: bool | None
    version: str | None
    is_asked: bool
    next_step: Step | None = None


@dataclass(frozen=True)
class FleetStatement:
    """The state of a fleet at the end of a rollout.

    Attributes:
        instances: The instances in the plan's order.
        why_not_looked: Why the fleet could not be observed again, so that this is its last known
            state; empty where it was.
    """

    instances: tuple[InstanceStatement, ...] = ()
    why_not_looked: str = ""

    def lines(self) -> Iterator[str]:
        """Yield the statement as lines for people: one for each kind of instance."""
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
    fleet: FleetClient,
    *,
    state: BalancerState | None,
    direct: Mapping[str, ProbeResult],
    progress: Progress,
    why_not_looked: str,
) -> FleetStatement:
    """Return what is known about a fleet.

    Args:
        names: The plan's instances.
        fleet: The client of the fleet, for the names of the servers.
        state: The balancer's last answer; None when it never answered.
        direct: The results of the probes since the instances' last steps.
        progress: The progress of the rollout.
        why_not_looked: Why the fleet could not be observed again; empty where it was.
    """

    def state_instance(name: str) -> InstanceStatement:
        server = state.servers.get(fleet.targets[name].server) if state is not None else None
        probed, instance = direct.get(name), progress.of(name)
        return InstanceStatement(
            name,
            server.admin if server is not None else None,
            server.is_in_pool if server is not None else None,
            probed.version if probed is not None else None,
            probed is not None,
            instance.next_step if instance.begun else None,
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
