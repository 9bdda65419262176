"""From rows to an answer: intervals, paired differences, verdicts, the trade-off front, JSON.

Intervals of means are Student's t over replications, never over pooled requests; `run_low` and
`run_high` are the 5th and 95th percentile of single replications.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from executor.base.canonical_json import digest_of
from executor.plan.model import Interval, Verdict
from simulation.results.losses import Losses, sum_losses
from simulation.results.run_result import METRICS, Ending, RunResult, Waits
from simulation.scenario.model import Scenario
from simulation.scenario.units import Floats
from simulation.study.candidates import Candidate
from simulation.study.case import Case
from simulation.study.notes import Note, notes_json, notes_of
from simulation.study.rows import Row
from simulation.study.statistics import Difference, interval, paired_difference
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
    diagnosis: Diagnosis | None = None

    @property
    def candidate(self) -> Candidate:
        """The values that the comparison varies."""
        return self.case.candidate

    @property
    def scenario(self) -> Scenario:
        """The scenario with the candidate's values in it."""
        return self.case.scenario

    def losses(self) -> Losses:
        """Return the requests that were lost, added up over all runs; `failed_requests` is their mean."""
        return sum_losses(run.losses for run in self.runs)

    def retries_json(self) -> dict[str, Any]:
        """Return the attempts beyond the first, added up over all runs, with the bins that hold any."""
        reach = max(len(run.series["retried_rps"]) for run in self.runs)
        counts, bin_s = np.zeros(reach), self.runs[0].bin_s
        for run in self.runs:
            series = run.series["retried_rps"]
            counts[: len(series)] += np.rint(series * bin_s)
        used = np.flatnonzero(counts).tolist()
        return {
            "count": round(sum(run.metrics["retries"] or 0.0 for run in self.runs)),
            "bin_s": bin_s,
            "bins": [[place * bin_s, round(counts[place])] for place in used],
        }

    def losses_json(self) -> dict[str, Any]:
        """Return the lost requests by cause and phase, added up over all runs."""
        losses = self.losses()
        return {"count": losses.total, "cells": [vars(cell) for cell in losses.cells()]}

    def band(self, series: str) -> Band:
        """Return one of `simulation.results.run_result.SERIES` over time, as far as half of the runs reach."""
        values = [run.series[series] for run in self.runs]
        lengths = sorted(len(value) for value in values)
        reach = lengths[len(lengths) // 2]
        table = np.full((len(values), reach), np.nan)
        for row, value in zip(table, values, strict=True):
            row[: len(value)] = value[:reach]
        is_known = np.isfinite(table).any(axis=0)
        quantiles = np.full((3, reach), np.nan)
        if is_known.any():
            quantiles[:, is_known] = np.nanquantile(table[:, is_known], [0.5, 0.05, 0.95], axis=0)
        bin_s = self.runs[0].bin_s
        middles = (np.arange(reach, dtype=np.float64) + 0.5) * bin_s
        return Band(middles, *quantiles)


@dataclass(frozen=True)
class Comparison:
    """All candidates of a study, compared with each other.

    Attributes:
        scenario: The study's scenario.
        candidates: The results, in the order of the cases.
        baseline: Index of the candidate that differences are taken to: the first.
        differences: Differences to the baseline for each candidate, by metric.
        front: Indices of the candidates that no other candidate beats in both duration and p99, by
            duration.
        chosen: Index of the fastest candidate that meets the objectives; None when none does.
    """

    scenario: Scenario
    candidates: tuple[CandidateResult, ...]
    baseline: int
    differences: tuple[dict[str, Difference], ...]
    front: tuple[int, ...]
    chosen: int | None

    def candidate_json(self, index: int) -> dict[str, Any]:
        """Return one candidate as ``simulate --json`` prints it."""
        result = self.candidates[index]
        candidate = result.candidate
        return {
            "schema": "rollcast.result/1",
            "scenario": self.scenario.name,
            "scenario_digest": digest_of(self.scenario.as_data()),
            "seed": self.scenario.seed,
            "replications": len(result.runs),
            "engine": min(run.engine for run in result.runs),
            "candidate": {
                "window": candidate.window,
                "advance": candidate.advance,
                "surge": candidate.surge,
                "pause_s": candidate.pause_s,
                "drain_timeout_s": candidate.drain_timeout_s,
                "policy": candidate.policy or self.scenario.service.balancer.policy,
                "start": candidate.start_label,
            },
            "requests": result.requests,
            "metrics": {name: value.model_dump() for name, value in result.metrics.items()},
            "losses": result.losses_json(),
            "retries": result.retries_json(),
            "ended": {ending.value: count for ending, count in result.ended.items()},
            "waits": {name: value.model_dump() for name, value in result.waits.items()},
            "critical_path": list(result.critical_path),
            "verdict": result.verdict.model_dump(mode="json"),
            "why": result.diagnosis and result.diagnosis.to_json(),
        }

    def to_json(self) -> dict[str, Any]:
        """Return the whole comparison as ``compare --json`` prints it."""
        candidates = [self.candidate_json(index) for index in range(len(self.candidates))]
        common = ("schema", "scenario", "scenario_digest", "seed", "replications", "engine")
        return {
            **{key: candidates[0][key] for key in common},
            "candidates": candidates,
            "baseline": self.baseline,
            "differences": [
                {name: vars(difference) for name, difference in differences.items()}
                for differences in self.differences
            ],
            "front": list(self.front),
            "chosen": self.chosen,
            "notes": notes_json(self.notes()),
        }

    def notes(self) -> tuple[Note, ...]:
        """Return what there is to know of the scenario beside its figures."""
        return notes_of(self.scenario, [result.scenario for result in self.candidates])


def compare(scenario: Scenario, cases: Sequence[Case], rows: Sequence[Row]) -> Comparison:
    """Compare the candidates over the rows so far (at least one)."""
    rows = sorted(rows, key=lambda row: row.replication)
    results = tuple(
        candidate_result(case, tuple(row.runs[index] for row in rows))
        for index, case in enumerate(cases)
    )
    baseline = 0
    return Comparison(
        scenario=scenario,
        candidates=results,
        baseline=baseline,
        differences=tuple(_differences(result.runs, results[baseline].runs) for result in results),
        front=front_of(results),
        chosen=_chosen(results),
    )


def candidate_result(case: Case, runs: tuple[RunResult, ...]) -> CandidateResult:
    """Summarize the runs (at least one) of one case."""
    requests = {key: sum(run.requests[key] for run in runs) for key in runs[0].requests}
    return CandidateResult(
        case=case,
        requests=requests,
        metrics={name: interval([run.metrics[name] for run in runs]) for name in METRICS},
        alone={name: interval([run.alone[name] for run in runs]) for name in METRICS},
        ended={ending: sum(run.ended == ending for run in runs) for ending in Ending},
        verdict=verdict(case.scenario, runs),
        waits=_waits([run.waits for run in runs if run.waits is not None]),
        critical_path=_commonest([run.critical_path for run in runs if run.critical_path]),
        runs=runs,
    )


def _waits(waits: Sequence[Waits]) -> dict[str, Interval]:
    names = [field.name for field in fields(Waits)]
    return {name: interval([getattr(wait, name) for wait in waits]) for name in names}


def _commonest(paths: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    return Counter(paths).most_common(1)[0][0] if paths else ()


def _differences(runs: Sequence[RunResult], baseline: Sequence[RunResult]) -> dict[str, Difference]:
    return {
        name: paired_difference(
            [run.metrics[name] for run in runs], [run.metrics[name] for run in baseline]
        )
        for name in METRICS
    }


_DURATION, _RISK = "rollout_duration_s", "rollout_latency_p99_s"

HIGHER_IS_BETTER = frozenset({"lowest_in_pool_count", "lowest_capacity_fraction"})
"""Metrics of which a higher value is better; of all others a lower one is."""


def front_of(results: Sequence[CandidateResult], risk: str = _RISK) -> tuple[int, ...]:
    """Return the indices of candidates that no other beats in both duration and risk, by duration.

    Args:
        results: The candidates.
        risk: The metric that is the risk.
    """
    sign = -1.0 if risk in HIGHER_IS_BETTER else 1.0
    points = []
    for index, result in enumerate(results):
        duration, value = result.metrics[_DURATION].mean, result.metrics[risk].mean
        if duration is not None and value is not None:
            points.append((duration, sign * value, index))
    front: list[int] = []
    lowest_risk = np.inf
    for _duration, value, index in sorted(points):
        if value < lowest_risk:
            front.append(index)
            lowest_risk = value
    return tuple(front)


def _chosen(results: Sequence[CandidateResult]) -> int | None:
    """Return the index of the fastest candidate that meets the objectives; None when none does."""
    meeting = [
        (result.metrics[_DURATION].mean or 0.0, index)
        for index, result in enumerate(results)
        if result.verdict.answer == "meets"
    ]
    return min(meeting)[1] if meeting else None
