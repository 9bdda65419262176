"""One candidate, or one control, over all its runs: intervals, verdict, losses, series, JSON.

Intervals of means are over replications, never over pooled requests; `run_low` and `run_high` hold
90 % of single replications (`simulation.study.statistics`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from executor.plan.model import Interval, Verdict
from simulation.results.losses import Losses, sum_losses
from simulation.results.run_result import LOSS_COUNTS, METRICS, Ending, RunResult, Waits
from simulation.scenario.inputs.objectives import Objectives
from simulation.scenario.model import Scenario
from simulation.scenario.units import Floats
from simulation.study.candidates import Candidate
from simulation.study.case import Case
from simulation.study.control import Control
from simulation.study.statistics.means import interval
from simulation.study.statistics.occurrence import Occurrence, occurrence
from simulation.study.statistics.proportions import answer_so_far
from simulation.study.verdict import verdict
from simulation.study.why.diagnosis import Diagnosis


@dataclass(frozen=True)
class Band:
    """A series over time: median and 5–95 % range of single runs, shape (bins,) each."""

    time_s: Floats
    median: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class ControlResult:
    """The fleet without a rollout over all replications, on the draws of the candidates of one start.

    Attributes:
        control: The control, with the scenario that was simulated.
        requests: Requests of the common interval by outcome, summed over replications.
        metrics: Every name of `simulation.results.run_result.METRICS`, over the common interval.
        runs: The results, by replication.
    """

    control: Control
    requests: dict[str, int]
    metrics: dict[str, Interval]
    runs: tuple[RunResult, ...]

    @property
    def candidate(self) -> Candidate:
        """The start and the policy of the control; the other values are those of one of its candidates."""
        return self.control.case.candidate

    def losses(self) -> Losses:
        """Return the requests that were lost, added up over all runs."""
        return sum_losses(run.losses for run in self.runs)

    def band(self, series: str) -> Band:
        """Return one of `simulation.results.run_result.SERIES` over time, as far as half of the runs reach."""
        return _band(self.runs, series)

    def to_json(self) -> dict[str, Any]:
        """Return the control as ``compare --json`` prints it: a candidate without a rollout."""
        candidate = self.candidate
        return {
            "candidate": {
                "policy": candidate.policy or self.control.scenario.service.balancer.policy,
                "start": candidate.start_label,
            },
            "requests": self.requests,
            "metrics": {name: value.model_dump() for name, value in self.metrics.items()},
            "losses": _losses_json(self.runs),
            "retries": _retries_json(self.runs),
        }


@dataclass(frozen=True)
class CandidateResult:
    """One case over all its replications.

    Attributes:
        case: The candidate and its scenario.
        requests: Requests of the common interval by outcome, summed over replications.
        metrics: Every name of `simulation.results.run_result.METRICS`, over the common interval.
        alone: The same metrics as if this case had been simulated alone. Its plan predicts them.
        ended: Number of runs by ending.
        verdict: Whether the objectives are met.
        waits: What the rollout's time was spent on, along its critical path: ``drain_s``,
            ``step_s``, ``gate_s`` and ``pause_s``, over the runs in which the rollout ended.
        critical_path: The services that determine the end of the rollout, in most runs.
        runs: The results, by replication.
        control_metrics: The same metrics without a rollout, over this case's own rollout and settling:
            figures that need a rollout do not exist. None where there is no control.
        planned_count: Number of runs that the study was planned with. Until they are there, the
            verdict is given only where no outcome of the missing runs can change it.
        diagnosis: Why the objectives are missed, where that was examined.
    """

    case: Case
    requests: dict[str, int]
    metrics: dict[str, Interval]
    alone: dict[str, Interval]
    ended: dict[Ending, int]
    verdict: Verdict
    waits: dict[str, Interval]
    critical_path: tuple[str, ...]
    runs: tuple[RunResult, ...]
    control_metrics: dict[str, Interval] | None = None
    planned_count: int = 0
    diagnosis: Diagnosis | None = None

    @property
    def is_open(self) -> bool:
        """Return whether the candidate has no answer yet, because runs are missing."""
        return len(self.runs) < self.planned_count and self.verdict.answer == "undecided"

    @property
    def candidate(self) -> Candidate:
        """The values that the comparison varies."""
        return self.case.candidate

    @property
    def scenario(self) -> Scenario:
        """The scenario with the candidate's values in it."""
        return self.case.scenario

    def occurrence(self, name: str) -> Occurrence | None:
        """Return in how many runs a count was above zero; None where it exists in no run."""
        return occurrence([run.metrics[name] for run in self.runs])

    def metrics_json(self) -> dict[str, dict[str, Any]]:
        """Return the intervals by metric; counts of losses also with the number of runs with any."""
        data = {name: value.model_dump() for name, value in self.metrics.items()}
        for name in LOSS_COUNTS:
            found = self.occurrence(name)
            data[name]["runs_with_any"] = None if found is None else found.runs_with_any
        return data

    def losses(self) -> Losses:
        """Return the requests that were lost, added up over all runs; `failed_requests` is their mean."""
        return sum_losses(run.losses for run in self.runs)

    def retries_json(self) -> dict[str, Any]:
        """Return the attempts beyond the first, added up over all runs, with the bins that hold any."""
        return _retries_json(self.runs)

    def losses_json(self) -> dict[str, Any]:
        """Return the lost requests by cause and phase, added up over all runs."""
        return _losses_json(self.runs)

    def band(self, series: str) -> Band:
        """Return one of `simulation.results.run_result.SERIES` over time, as far as half of the runs reach."""
        return _band(self.runs, series)


def _retries_json(runs: Sequence[RunResult]) -> dict[str, Any]:
    reach = max(len(run.series["retried_rps"]) for run in runs)
    counts, bin_s = np.zeros(reach), runs[0].bin_s
    for run in runs:
        series = run.series["retried_rps"]
        counts[: len(series)] += np.rint(series * bin_s)
    used = np.flatnonzero(counts).tolist()
    return {
        "count": round(sum(run.metrics["retries"] or 0.0 for run in runs)),
        "bin_s": bin_s,
        "bins": [[place * bin_s, round(counts[place])] for place in used],
    }


def _losses_json(runs: Sequence[RunResult]) -> dict[str, Any]:
    losses = sum_losses(run.losses for run in runs)
    return {"count": losses.total, "cells": [vars(cell) for cell in losses.cells()]}


def _band(runs: Sequence[RunResult], series: str) -> Band:
    values = [run.series[series] for run in runs]
    lengths = sorted(len(value) for value in values)
    reach = lengths[len(lengths) // 2]
    table = np.full((len(values), reach), np.nan)
    for row, value in zip(table, values, strict=True):
        row[: len(value)] = value[:reach]
    is_known = np.isfinite(table).any(axis=0)
    quantiles = np.full((3, reach), np.nan)
    if is_known.any():
        quantiles[:, is_known] = np.nanquantile(table[:, is_known], [0.5, 0.05, 0.95], axis=0)
    bin_s = runs[0].bin_s
    middles = (np.arange(reach, dtype=np.float64) + 0.5) * bin_s
    return Band(middles, *quantiles)


def control_result(control: Control, runs: tuple[RunResult, ...]) -> ControlResult:
    """Summarize the runs (at least one) of one control."""
    return ControlResult(
        control=control,
        requests=_sum_requests(runs),
        metrics=_intervals([run.metrics for run in runs]),
        runs=runs,
    )


def _sum_requests(runs: Sequence[RunResult]) -> dict[str, int]:
    return {key: sum(run.requests[key] for run in runs) for key in runs[0].requests}


def _control_metrics(runs: Sequence[RunResult]) -> dict[str, Interval] | None:
    """Return the metrics of the control over each run's own interval, where there is a control."""
    known = [run.control_metrics for run in runs if run.control_metrics is not None]
    if not known:
        return None
    return _intervals(known)


def _intervals(runs: Sequence[Mapping[str, float | None]]) -> dict[str, Interval]:
    """Return the interval of each metric over runs, each given by its metrics."""
    return {name: interval([metrics[name] for metrics in runs], name) for name in METRICS}


def candidate_result(
    case: Case, runs: tuple[RunResult, ...], planned_count: int = 0
) -> CandidateResult:
    """Summarize the runs (at least one) of one case.

    Args:
        case: The candidate and its scenario.
        runs: Its runs so far, by replication.
        planned_count: Number of runs after which the candidate is judged; 0 for those that are there.
    """
    return CandidateResult(
        case=case,
        requests=_sum_requests(runs),
        metrics=_intervals([run.metrics for run in runs]),
        alone=_intervals([run.alone for run in runs]),
        ended={ending: sum(run.ended == ending for run in runs) for ending in Ending},
        verdict=_verdict_so_far(
            verdict(case.scenario, runs), planned_count, case.scenario.objectives
        ),
        waits=_waits([run.waits for run in runs if run.waits is not None]),
        critical_path=_commonest([run.critical_path for run in runs if run.critical_path]),
        runs=runs,
        control_metrics=_control_metrics(runs),
        planned_count=planned_count,
    )


def _verdict_so_far(verdict: Verdict, planned_count: int, objectives: Objectives) -> Verdict:
    """Return a verdict without its answer while runs are missing that might still change it."""
    if verdict.runs >= planned_count:
        return verdict
    answer = answer_so_far(
        verdict.runs_meeting,
        verdict.runs,
        planned_count,
        objectives.in_runs,
        objectives.confidence,
    )
    if answer == verdict.answer == "fails":
        return verdict
    objectives_so_far = tuple(
        objective.model_copy(update={"answer": "undecided"}) for objective in verdict.objectives
    )
    changed = {"answer": "undecided", "reasons": (), "objectives": objectives_so_far}
    return verdict.model_copy(update=changed)


def _waits(waits: Sequence[Waits]) -> dict[str, Interval]:
    names = [field.name for field in fields(Waits)]
    return {name: interval([getattr(wait, name) for wait in waits]) for name in names}


def _commonest(paths: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    return Counter(paths).most_common(1)[0][0] if paths else ()
