"""The quick answer to an edit: as many runs of one candidate as fit in a short time.

The runs are the first replications of the study that follows. Where no run fits, the answer is left
to closed forms.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from simulation.estimates.estimate import (
    Estimate,
    EstimateLines,
    Range,
    broken_whatever_comes,
    estimate,
)
from simulation.estimates.overload import find_endless_overload
from simulation.results.run_result import EngineName, RunResult
from simulation.scenario.model import Scenario
from simulation.scenario.simulated_interval import SimulatedInterval, expected_run_s
from simulation.study.case import cases_of, frame_of_cases
from simulation.study.running.work import Part, Work
from simulation.study.statistics.means import single_run_range
from simulation.study.statistics.number_of_runs import planned_runs

_FIGURES = (
    "rollout_duration_s",
    "rollout_latency_p99_s",
    "rollout_wait_mean_s",
    "rollout_error_fraction",
    "cut_requests",
    "lowest_capacity_fraction",
    "lowest_in_pool_count",
)

_FASTEST_RPS = 3e6
"""Requests per second of processor time that the compiled engine simulates at most."""

_INSTANCE_S = 0.2e-3
"""Processor time that an instance's six steps take at least, in seconds."""


def answer_by_runs(
    scenario: Scenario, budget_s: float, should_stop: Callable[[], bool] = lambda: False
) -> Estimate | None:
    """Simulate a scenario's own candidate for a short time by the compiled engine.

    Args:
        scenario: The scenario, with a rollout.
        budget_s: Wall-clock time in which the runs must fit. A first run that takes longer is
            finished, because a late answer is better than none.
        should_stop: Asked after each run; True ends the runs.

    Returns:
        The means and 5–95 % ranges of the runs; None where no run fits, or where nothing is
        simulated.

    Raises:
        BadInput: The window does not fit the fleet, or the simulated interval meets a gap or the end
            of a trace.
    """
    began_at = time.monotonic()
    case, *_ = cases_of(scenario)
    frame = frame_of_cases([case])
    if find_endless_overload(case.scenario) or _shortest_run_s(case.scenario, frame) > budget_s:
        return None
    work = Work((case,), frame, EngineName.COMPILED)
    closed = estimate(case.scenario)
    runs: list[RunResult] = []
    most = planned_runs(case.scenario, [case]).count
    while len(runs) < most:
        run_began_at = time.monotonic()
        runs.append(work.run(Part(len(runs), (0,)))[0])
        now = time.monotonic()
        if should_stop() or now + (now - run_began_at) > began_at + budget_s:
            break
    return _means(case.scenario, closed, runs)


def _shortest_run_s(scenario: Scenario, frame: SimulatedInterval) -> float:
    """Return the processor time that a run takes at least, in seconds."""
    rate_rps = float(np.nan_to_num(scenario.rates().rate_at(scenario.start_s())))
    requests = rate_rps * (frame.warm_up_s + expected_run_s(scenario)[1])
    count = sum(scenario.services[name].instance_count for name in scenario.rolled_services())
    return requests / _FASTEST_RPS + count * _INSTANCE_S


def _means(scenario: Scenario, closed: Estimate, runs: Sequence[RunResult]) -> Estimate:
    """Return closed forms with the figures of runs in place of their own."""
    figures: dict[str, Any] = {
        name: _range([run.metrics[name] for run in runs]) for name in _FIGURES
    }
    lowest, duration = figures["lowest_in_pool_count"], figures["rollout_duration_s"]
    return replace(
        closed,
        **figures,
        backlog_max_count=_range([float(np.max(run.series["queue_count"])) for run in runs]),
        lines=_lines(runs),
        beyond=(),
        hopeless=tuple(broken_whatever_comes(scenario, lowest, duration)),
        runs=len(runs),
    )


def _range(values: Sequence[float | None]) -> Range | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    return Range(float(np.mean(known)), *single_run_range(np.array(known)))


def _lines(runs: Sequence[RunResult]) -> EstimateLines:
    """Return the means over the runs in each bin, as long as all runs last."""
    bins = min(len(run.series["queue_count"]) for run in runs)
    means = {
        name: np.mean([run.series[name][:bins] for run in runs], axis=0)
        for name in ("in_pool_count", "capacity_rps", "offered_rps", "queue_count")
    }
    return EstimateLines(
        (np.arange(bins, dtype=np.float64) + 0.5) * runs[0].bin_s,
        means["in_pool_count"],
        means["capacity_rps"],
        means["offered_rps"],
        means["queue_count"],
    )
