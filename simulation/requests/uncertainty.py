"""The day and the factors of uncertain inputs, drawn once per replication."""

from __future__ import annotations

import math
from functools import lru_cache

from simulation.requests.arrivals import purpose_stream
from simulation.requests.identity import Same
from simulation.scenario.inputs.days import DrawnDays
from simulation.scenario.inputs.uncertainty import multiply_uncertain, on_day, steps_of
from simulation.scenario.model import Scenario
from simulation.scenario.traffic import Traffic


def draw_uncertain(scenario: Scenario, replication: int) -> Scenario:
    """Return the scenario as it is in one replication: on its day, each uncertain input multiplied.

    Each input has a stream of its own, so every candidate gets the same factors, and an input that
    becomes certain changes no other factor.
    """
    return multiply_uncertain(
        _draw_day(scenario, replication),
        lambda number: float(
            purpose_stream(scenario.seed, replication, "uncertainty", number).standard_normal()
        ),
    )


def _draw_day(scenario: Scenario, replication: int) -> Scenario:
    """Return the scenario on the day that a replication draws; as it is where none is drawn.

    The stream depends on seed and replication alone, so all candidates of a weekday share the day.
    """
    days = scenario.drawn_days()
    if days is None:
        return scenario
    rng = purpose_stream(scenario.seed, replication, "days")
    index, factor = days.index_of(rng.random()), math.exp(days.spread * rng.standard_normal())
    traffic = _traffic_on_day(Same(scenario.traffic), Same(days), index, factor)
    return _on_day(Same(scenario), Same(traffic))


@lru_cache(maxsize=64)
def _traffic_on_day(
    traffic: Same[Traffic], days: Same[DrawnDays], index: int, factor: float
) -> Traffic:
    """Return the traffic of one day: one object for all candidates, which share its requests."""
    rate = steps_of(days.value.days[index].multiply(factor))
    return traffic.value.model_copy(update={"rate": rate})


@lru_cache(maxsize=256)
def _on_day(scenario: Same[Scenario], traffic: Same[Traffic]) -> Scenario:
    """Return the scenario with the traffic of one day: one object for all replications of the day."""
    return on_day(scenario.value, traffic.value)
