"""Closed forms for what a rollout would do, at once: for sliders, and to discard the hopeless.

Enters: a scenario as it stands, which is one candidate (`simulation.study.Candidate.applied_to`).
Leaves: an `Estimate`. Nothing is simulated; how far it is from the engine stands in
`docs/estimates.md`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulation.scenario import Scenario
from simulation.units import Floats


@dataclass(frozen=True)
class Range:
    """What is expected, and what one rollout may plausibly show: 5th and 95th percentile."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Phase:
    """A stretch of the rollout in which as many instances are out of the pool.

    Attributes:
        name: ``before``, ``4 out``, ``settling``.
        seconds_s: How long it lasts in all.
        in_pool_count: Instances in the pool.
        capacity_rps: What they can serve, requests a second.
        offered_rps: What arrives meanwhile, in the mean.
        utilisation_fraction: Offered over capacity, above 1 where it cannot keep up; infinite
            with an empty pool. Slower versions and cold instances are counted here.
    """

    name: str
    seconds_s: float
    in_pool_count: float
    capacity_rps: float
    offered_rps: float
    utilisation_fraction: float


@dataclass(frozen=True)
class Lines:
    """What a chart shows over time, at the middles of bins, shape (bins,) each.

    Attributes:
        time_s: From the start of the rollout to its settling.
        in_pool_count: Instances in the pool.
        capacity_rps: What they can serve, without regard to versions, as the engine tells it.
        offered_rps: What arrives.
        backlog_count: Requests that wait, in the mean; zeros where no closed form holds.
    """

    time_s: Floats
    in_pool_count: Floats
    capacity_rps: Floats
    offered_rps: Floats
    backlog_count: Floats


@dataclass(frozen=True)
class Estimate:
    """One candidate's figures, named as in `simulation.results.METRICS`.

    A figure is None where no closed form holds; ``beyond`` then says why.

    Attributes:
        rollout_duration_s: From the start until the last instance is done.
        rollout_latency_p99_s: Of requests that come until the rollout has settled.
        rollout_wait_mean_s: Of the same.
        rollout_error_fraction: Of the same.
        cut_requests: Requests that the drains cut.
        lowest_capacity_fraction: The lowest share of the fleet's capacity.
        lowest_in_pool_count: The fewest instances in the pool.
        utilisation_before_fraction: Offered over capacity before the rollout.
        utilisation_highest_fraction: The highest of all phases.
        backlog_max_count: The most requests that wait at once.
        phases: Before, and by how many are out; of the service that the common keys are about.
        lines: The same over time; None without a rollout.
        beyond: Why closed forms do not hold here, in words; empty when they do.
        hopeless: Objectives that this candidate certainly cannot meet, in words.
    """

    rollout_duration_s: Range | None = None
    rollout_latency_p99_s: Range | None = None
    rollout_wait_mean_s: Range | None = None
    rollout_error_fraction: Range | None = None
    cut_requests: Range | None = None
    lowest_capacity_fraction: Range | None = None
    lowest_in_pool_count: Range | None = None
    utilisation_before_fraction: Range | None = None
    utilisation_highest_fraction: Range | None = None
    backlog_max_count: Range | None = None
    phases: tuple[Phase, ...] = ()
    lines: Lines | None = None
    beyond: tuple[str, ...] = ()
    hopeless: tuple[str, ...] = ()


def estimate(scenario: Scenario) -> Estimate:
    """The figures of a scenario as it stands.

    Args:
        scenario: One candidate.

    Raises:
        BadInput: The window does not fit the fleet, or the start lies outside the traffic.
    """
    name = scenario.service_name
    rate_rps = float(scenario.rates().rate_at(scenario.start_s()))
    load = rate_rps * scenario.work_s(name) / float(np.sum(scenario.services[name].power()))
    exact = Range(load, load, load)
    return Estimate(utilisation_before_fraction=exact)
