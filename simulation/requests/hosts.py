"""The instances as a request plane sees them: slots, versions, what listens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from simulation.scenario.model import Scenario


def hosts_of(scenario: Scenario, name: str) -> Hosts:
    """The instances of a service, and the second ones that its strategy brings."""
    service = scenario.services[name]
    names = service.instance_names(name)
    weights = [service.balancer.weights.get(one, 1.0) for one in names]
    count = len(scenario.names_of(name))
    return Hosts(
        weights=(weights * 2)[:count],
        slots=(service.slots_of() * 2)[:count],
        speeds=(service.speeds() * 2)[:count],
        first_count=len(names),
    )


@dataclass(frozen=True)
class Hosts:
    """The instances of a service, second ones included: name, weight, slots and speed of each."""

    weights: Sequence[float]
    slots: Sequence[int]
    speeds: Sequence[float]
    first_count: int
