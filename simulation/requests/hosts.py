"""The instances of a service as a request plane needs them: weights, slots and speeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from simulation.scenario.model import Scenario


def hosts_of(scenario: Scenario, name: str) -> Hosts:
    """Return the instances of a service, followed by the second instances of its strategy."""
    service = scenario.services[name]
    names = service.instance_names(name)
    weights = [service.balancer.weights.get(instance, 1.0) for instance in names]
    count = len(scenario.names_of(name))
    return Hosts(
        weights=(weights * 2)[:count],
        slots=(service.slots_of() * 2)[:count],
        speeds=(service.speeds() * 2)[:count],
        first_count=len(names),
    )


@dataclass(frozen=True)
class Hosts:
    """The weight, slots and speed of each instance of a service, second instances included.

    Attributes:
        weights: The share of the traffic of each instance, relative to the others.
        slots: The number of requests that each instance serves at once.
        speeds: The speed of each instance; a speed of 2 halves the service time.
        first_count: The number of instances without second ones; these exist from the beginning.
    """

    weights: Sequence[float]
    slots: Sequence[int]
    speeds: Sequence[float]
    first_count: int
