"""The figures of every objective in one run, with and without a rollout, and what the run breaks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from simulation.estimates.overload import find_endless_overload
from simulation.results.failures import Cause
from simulation.results.judged import Figures, Stretch
from simulation.results.run_result import Ending, RunResult
from simulation.scenario.freeze import find_freeze
from simulation.scenario.model import Scenario
from simulation.study.judging.objectives import (
    ON_CONNECTIONS,
    ON_REQUESTS,
    Breach,
    Limit,
    Objective,
    limits_of,
)

_METRIC_OF = {
    Objective.DURATION: "rollout_duration_s",
    Objective.MOST_INSTANCES: "most_instances_count",
    Objective.FAILED_INSTANCES: "failed_instances_count",
    Objective.LOWEST_IN_POOL: "lowest_in_pool_count",
}
"""The metric of each objective that only a rollout has."""

Arm = Literal["rollout", "control", "new_version"]
"""With the rollout, without a rollout, and the fleet wholly on the new version."""


@dataclass(frozen=True)
class Figure:
    """A figure of one stretch in one arm.

    Attributes:
        value: The figure; infinite for a p99 that falls among failed requests.
        numerator: The part of the figure that adds up over runs, such as the failed requests.
        denominator: What it is a fraction of, such as all requests; 1 for a count.
    """

    value: float
    numerator: float
    denominator: float


@dataclass(frozen=True)
class Reading:
    """The figures of one objective in one stretch; None where there is no figure.

    Attributes:
        rollout: With the rollout.
        control: Without a rollout; None also where nothing is compared.
        new_version: With the fleet wholly on the new version; None also where nothing is compared.
        requests_count: Number of requests of the stretch; None where it is not known.
    """

    rollout: Figure | None
    control: Figure | None = None
    new_version: Figure | None = None
    requests_count: int | None = None

    def is_broken(self, limit: Limit, margin: float, arm: Arm = "rollout") -> bool:
        """Return whether an arm is beyond the limit, and worse than the control by more than a margin.

        Where both lose so many requests that they have no p99, the rollout is not worse.

        Args:
            limit: The limit.
            margin: The margin, as a fraction of the limit.
            arm: The arm that is judged.
        """
        figure = getattr(self, arm)
        if figure is None or not limit.is_beyond(figure.value):
            return False
        if self.control is None:
            return True
        if math.isinf(self.control.value):
            return False
        assert limit.value is not None
        return bool(figure.value - self.control.value > margin * limit.value)


@dataclass(frozen=True)
class JudgedRun:
    """The figures of a run that a verdict needs, without the rest of its result.

    Attributes:
        breaches: The objectives that the run breaks.
        readings: The figures of each objective that has a figure, by stretch.
    """

    breaches: tuple[Breach, ...]
    readings: dict[Limit, tuple[Reading, ...]]

    def has_seen(self, limit: Limit) -> bool:
        """Return whether a request was seen that this limit is about."""
        return any(reading.rollout is not None for reading in self.readings[limit])

    @property
    def is_good(self) -> bool:
        """True where the run is seen to meet every objective."""
        return not self.breaches and not self.unseen

    @property
    def unseen(self) -> tuple[Limit, ...]:
        """The limits on requests about which the run says nothing, because no such request was seen."""
        return tuple(
            limit
            for limit in self.readings
            if limit.objective in ON_REQUESTS and not self.has_seen(limit)
        )


def read_run(scenario: Scenario, run: RunResult) -> JudgedRun:
    """Return the figures of a run that a verdict needs."""
    readings = {
        limit: tuple(_readings(scenario, run, limit))
        for limit in limits_of(scenario)
        if limit.value is not None
    }
    breaches = [*_ending_breaches(scenario, run), *_freeze_breaches(scenario, run)]
    margin = scenario.objectives.margin
    for limit, of_limit in readings.items():
        if any(reading.is_broken(limit, margin) for reading in of_limit):
            breaches.append(Breach(limit.objective, limit.value, limit.class_name))
    return JudgedRun(tuple(breaches), readings)


def _ending_breaches(scenario: Scenario, run: RunResult) -> Iterator[Breach]:
    if run.ended == Ending.DONE:
        return
    by = run.stopped_by
    cause = None if by is None else by.cause
    yield Breach(
        Objective.ENDS_WELL,
        ended=run.ended,
        cause=cause,
        step=None if by is None else by.step,
        overload=find_endless_overload(scenario) if cause is Cause.ENDLESS_OVERLOAD else None,
    )


def _freeze_breaches(scenario: Scenario, run: RunResult) -> Iterator[Breach]:
    duration_s = run.metrics["rollout_duration_s"]
    freeze = None if duration_s is None else find_freeze(scenario, duration_s)
    if freeze is not None:
        yield Breach(Objective.FREEZE, freeze=freeze)


def _readings(scenario: Scenario, run: RunResult, limit: Limit) -> Iterator[Reading]:
    """Yield the figures of an objective, one reading for each stretch."""
    is_compared = scenario.objectives.judge == "rollout"
    if limit.objective in ON_CONNECTIONS:
        without = run.control_metrics if is_compared and run.control_metrics else {}
        name = limit.objective.value
        yield Reading(_of_metric(run.metrics[name]), _of_metric(without.get(name)))
    elif limit.objective not in ON_REQUESTS:
        yield Reading(_of_metric(run.metrics[_METRIC_OF[limit.objective]]))
    elif run.stretches:
        for stretch in run.stretches:
            yield _of_stretch(stretch, limit, is_compared=is_compared)
    elif not limit.class_name:
        yield Reading(_of_metric(_without_stretches(run, limit.objective)))


def _of_stretch(stretch: Stretch, limit: Limit, *, is_compared: bool) -> Reading:
    def of(arm: dict[str, Figures] | None) -> Figure | None:
        figures = None if arm is None else arm.get(limit.class_name)
        return None if figures is None else _of_requests(figures, limit.objective)

    figures = stretch.rollout.get(limit.class_name)
    return Reading(
        of(stretch.rollout),
        of(stretch.control) if is_compared else None,
        of(stretch.new_version) if is_compared else None,
        None if figures is None else figures.requests_count,
    )


def _of_requests(figures: Figures, objective: Objective) -> Figure | None:
    """Return the figure of an objective; None where no request was seen."""
    count, failed = figures.requests_count, figures.failed_count
    if objective is Objective.LATENCY_P99:
        return _of_metric(figures.latency_p99_s)
    if count == 0:
        return None
    if objective is Objective.ERROR_FRACTION:
        return Figure(failed / count, failed, count)
    return Figure(failed, failed, 1)


def _of_metric(value: float | None) -> Figure | None:
    return None if value is None else Figure(value, value, 1)


def _without_stretches(run: RunResult, objective: Objective) -> float | None:
    """Return the figure of a run that has metrics only; None where no request was seen."""
    is_steady = run.metrics["lowest_in_pool_count"] is None
    prefix = "" if is_steady else "rollout_"
    lost_fraction = run.metrics[f"{prefix}error_fraction"]
    if objective is Objective.ERROR_FRACTION:
        return lost_fraction
    if objective is Objective.FAILED_REQUESTS:
        return None if lost_fraction is None else run.metrics["failed_requests"]
    p99_s = run.metrics[f"{prefix}latency_p99_s"]
    return math.inf if p99_s is None and lost_fraction == 1 else p99_s
