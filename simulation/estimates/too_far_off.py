"""Where closed forms have a formula, but too few single runs lie within the range of their figure.

`docs/estimates.md` has the shares of single runs that lie within the ranges that are left.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from simulation.estimates.flow import Flow
from simulation.estimates.no_estimate import OF_P99, OF_RUNS, OF_WAITS, NoEstimate, Why
from simulation.estimates.overload import find_endless_overload
from simulation.scenario.model import Scenario

_NEAR_CAPACITY = 0.9
"""Load above which the range of an estimate holds too few single runs."""

_MOST_VARIED = 1.5
"""Coefficient of variation of a class's service times above which p99 and waits have no number."""


def reasons_too_far_off(scenario: Scenario, flow: Flow) -> Iterator[NoEstimate]:
    """Yield reasons why too few single runs would lie within the range of a figure.

    Args:
        scenario: The scenario of one case.
        flow: Its rates and capacities.
    """
    overload = find_endless_overload(scenario)
    if overload is not None:
        load = overload.offered_rps / overload.capacity_rps
        yield NoEstimate(Why.ENDLESS_OVERLOAD, OF_RUNS, (overload.service,), load)
    highest = float(np.max(flow.load))
    if highest > _NEAR_CAPACITY:
        yield NoEstimate(Why.NEAR_CAPACITY, fraction=highest)
    if scenario.rolled_services() and scenario.service.versions.new.cold.factor != 1.0:
        yield NoEstimate(Why.COLD_INSTANCES)
    if max((float(kind.demand.cv()) for kind in flow.served), default=0.0) > _MOST_VARIED:
        yield NoEstimate(Why.VARIED_SERVICE, OF_P99)
    if scenario.service.balancer.queue == "instance" and scenario.service.instance_count > 1:
        yield NoEstimate(Why.QUEUES_APART, OF_P99)
    yield NoEstimate(Why.CHANCE, OF_WAITS)
