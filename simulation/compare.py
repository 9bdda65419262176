"""From rows to an answer: intervals, paired differences, verdicts, the trade-off front.

Enters: the rows of a study that have landed. Leaves: a `Comparison`, and the JSON that others
script against. Intervals of means are Student's t over replications, never over pooled requests;
`run_low` and `run_high` are the 5th and 95th percentile of single replications.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import special

from executor.canonical import digest_of
from executor.plan import Interval, Verdict
from simulation.results import ENDINGS, METRICS, RunResult
from simulation.scenario import Objectives, Scenario
from simulation.study import Candidate, Row
from simulation.units import Floats

ENGINE = "reference"
"""The engine that runs: the only one there is."""


@dataclass(frozen=True)
class Difference:
    """A candidate minus the baseline, paired by replication: mean and its 95 % interval."""

    mean: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Band:
    """A series over single runs: the median and the 5–95 % range, shape (bins,) each."""

    time_s: Floats
    median: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class CandidateResult:
    """One candidate over all its replications.

    Attributes:
        requests: What became of the requests of the common interval, summed over replications.
        metrics: Every name of `simulation.results.METRICS`.
        alone: The same without the other candidates' share in the common interval: what a
            simulation of this candidate alone gives, and so what its plan predicts.
    """

    candidate: Candidate
    requests: dict[str, int]
    metrics: dict[str, Interval]
    alone: dict[str, Interval]
    ended: dict[str, int]
    verdict: Verdict
    runs: tuple[RunResult, ...]

    def band(self, series: str) -> Band:
        """One of `simulation.results.SERIES` over time, as far as half of the runs reach."""
        values = [run.series[series] for run in self.runs]
        lengths = sorted(len(one) for one in values)
        reach = lengths[len(lengths) // 2]
        table = np.full((len(values), reach), np.nan)
        for row, one in zip(table, values, strict=True):
            row[: len(one)] = one[:reach]
        told = np.isfinite(table).any(axis=0)
        quantiles = np.full((3, reach), np.nan)
        if told.any():
            quantiles[:, told] = np.nanquantile(table[:, told], [0.5, 0.05, 0.95], axis=0)
        bin_s = self.runs[0].bin_s
        middles = (np.arange(reach, dtype=np.float64) + 0.5) * bin_s
        return Band(middles, *quantiles)


@dataclass(frozen=True)
class Comparison:
    """All candidates, against each other.

    Attributes:
        baseline: The candidate that differences are taken to: the first.
        differences: For each candidate, by metric.
        front: Those that no other beats in both duration and p99, by duration.
        chosen: The fastest that meets the objectives, None when none does.
    """

    scenario: Scenario
    candidates: tuple[CandidateResult, ...]
    baseline: int
    differences: tuple[dict[str, Difference], ...]
    front: tuple[int, ...]
    chosen: int | None

    def candidate_json(self, index: int) -> dict[str, Any]:
        """One candidate as ``simulate --json`` prints it."""
        result = self.candidates[index]
        candidate = result.candidate
        return {
            "schema": "rollcast.result/1",
            "scenario": self.scenario.name,
            "scenario_digest": digest_of(self.scenario.as_data()),
            "seed": self.scenario.seed,
            "replications": len(result.runs),
            "engine": ENGINE,
            "candidate": {
                "window": candidate.window,
                "advance": candidate.advance,
                "drain_timeout_s": candidate.drain_timeout_s,
                "start": candidate.start_label,
            },
            "requests": result.requests,
            "metrics": {name: one.model_dump() for name, one in result.metrics.items()},
            "ended": result.ended,
            "verdict": result.verdict.model_dump(mode="json"),
        }

    def to_json(self) -> dict[str, Any]:
        """The whole comparison as ``compare --json`` prints it."""
        candidates = [self.candidate_json(index) for index in range(len(self.candidates))]
        common = ("schema", "scenario", "scenario_digest", "seed", "replications", "engine")
        return {
            **{key: candidates[0][key] for key in common},
            "candidates": candidates,
            "baseline": self.baseline,
            "differences": [
                {name: vars(one) for name, one in differences.items()}
                for differences in self.differences
            ],
            "front": list(self.front),
            "chosen": self.chosen,
        }


def compare(scenario: Scenario, candidates: Sequence[Candidate], rows: Sequence[Row]) -> Comparison:
    """Compares the candidates over the rows that have landed (at least one)."""
    rows = sorted(rows, key=lambda row: row.replication)
    results = tuple(
        _candidate_result(scenario.objectives, candidate, tuple(row.runs[index] for row in rows))
        for index, candidate in enumerate(candidates)
    )
    baseline = 0
    return Comparison(
        scenario=scenario,
        candidates=results,
        baseline=baseline,
        differences=tuple(_differences(one.runs, results[baseline].runs) for one in results),
        front=_front(results),
        chosen=_chosen(results),
    )


def _candidate_result(
    objectives: Objectives, candidate: Candidate, runs: tuple[RunResult, ...]
) -> CandidateResult:
    requests = {key: sum(run.requests[key] for run in runs) for key in runs[0].requests}
    return CandidateResult(
        candidate=candidate,
        requests=requests,
        metrics={name: _interval([run.metrics[name] for run in runs]) for name in METRICS},
        alone={name: _interval([run.alone[name] for run in runs]) for name in METRICS},
        ended={ending: sum(run.ended == ending for run in runs) for ending in ENDINGS},
        verdict=verdict(objectives, runs),
        runs=runs,
    )


def _interval(values: Sequence[float | None]) -> Interval:
    """Mean, its 95 % t interval, and the 5–95 % range, over the runs in which the figure exists."""
    known = np.array([value for value in values if value is not None], dtype=float)
    if not len(known):
        return Interval(mean=None, low=None, high=None, run_low=None, run_high=None)
    mean, low, high = _t_interval(known)
    run_low, run_high = (float(q) for q in np.quantile(known, [0.05, 0.95]))
    return Interval(mean=mean, low=low, high=high, run_low=run_low, run_high=run_high)


def _t_interval(values: Floats) -> tuple[float, float | None, float | None]:
    """Mean and 95 % interval by Student's t; no interval from a single value."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, None, None
    half = float(
        special.stdtrit(len(values) - 1, 0.975) * np.std(values, ddof=1) / np.sqrt(len(values))
    )
    return mean, mean - half, mean + half


def _differences(runs: Sequence[RunResult], baseline: Sequence[RunResult]) -> dict[str, Difference]:
    found = {}
    for name in METRICS:
        pairs = [(a.metrics[name], b.metrics[name]) for a, b in zip(runs, baseline, strict=True)]
        known = np.array([a - b for a, b in pairs if a is not None and b is not None])
        found[name] = (
            Difference(*_t_interval(known)) if len(known) else Difference(None, None, None)
        )
    return found


def verdict(objectives: Objectives, runs: Sequence[RunResult]) -> Verdict:
    """Whether the objectives hold in the share of runs, with the confidence, that is asked for.

    One-sided Clopper–Pearson bounds of the share of runs that meet every objective: ``meets`` when
    even the lower one reaches ``in_runs``, ``fails`` when even the upper one does not.
    """
    broken = [_broken(objectives, run) for run in runs]
    good = sum(not reasons for reasons in broken)
    lower, upper = _clopper_pearson(good, len(runs), objectives.confidence)
    answer = "undecided"
    if lower >= objectives.in_runs:
        answer = "meets"
    elif upper < objectives.in_runs:
        answer = "fails"
    counts: dict[str, int] = {}
    for reasons in broken:
        for reason in reasons:
            counts[reason] = counts.get(reason, 0) + 1
    said = [f"{reason} in {count} of {len(runs)} runs" for reason, count in counts.items()]
    if answer == "undecided":
        said.append(
            f"{good} of {len(runs)} runs meet every objective, too few runs to show or refute "
            f"{objectives.in_runs * 100:g} % with {objectives.confidence * 100:g} % confidence"
        )
    return Verdict(
        answer=answer, runs_meeting=good, runs=len(runs), lower_bound=lower, reasons=said
    )


def _clopper_pearson(successes: int, trials: int, confidence: float) -> tuple[float, float]:
    """One-sided lower and upper confidence bounds of a proportion (Clopper and Pearson, 1934)."""
    from scipy.stats import binomtest  # noqa: PLC0415 - half a second, only when a verdict is due

    def bound(alternative: Literal["greater", "less"], side: int) -> float:
        test = binomtest(successes, trials, alternative=alternative)
        return float(test.proportion_ci(confidence_level=confidence, method="exact")[side])

    return bound("greater", 0), bound("less", 1)


def _broken(objectives: Objectives, run: RunResult) -> list[str]:
    """Which objectives a run breaks, in words; the figures are those of the rollout."""
    reasons = [] if run.ended == "done" else [f"the rollout did not end well ({run.ended})"]
    steady = run.metrics["lowest_in_pool_count"] is None
    prefix = "" if steady else "rollout_"
    limits = (
        ("errors", f"{prefix}error_fraction", objectives.error_fraction, 100, "%"),
        ("p99", f"{prefix}latency_p99_s", objectives.latency_p99, 1, "s"),
        ("duration", "rollout_duration_s", objectives.duration, 1, "s"),
    )
    for word, name, limit, scale, unit in limits:
        if limit is None or (steady and name == "rollout_duration_s"):
            continue
        value = run.metrics[name]
        if value is None and run.ended == "done":
            continue  # nothing was served or nothing arrived: there is nothing to break the limit
        if value is not None and value > limit:
            reasons.append(f"{word} above {limit * scale:g} {unit}")
    lowest = run.metrics["lowest_in_pool_count"]
    fewest = objectives.lowest_in_pool
    if fewest is not None and lowest is not None and lowest < fewest:
        reasons.append(f"fewer than {fewest} in the pool")
    return reasons


_DURATION, _RISK = "rollout_duration_s", "rollout_latency_p99_s"


def _front(results: Sequence[CandidateResult]) -> tuple[int, ...]:
    """Candidates that no other beats in both duration and p99, the fastest first."""
    points = []
    for index, one in enumerate(results):
        duration, risk = one.metrics[_DURATION].mean, one.metrics[_RISK].mean
        if duration is not None and risk is not None:
            points.append((duration, risk, index))
    front: list[int] = []
    lowest_risk = np.inf
    for _duration, risk, index in sorted(points):
        if risk < lowest_risk:
            front.append(index)
            lowest_risk = risk
    return tuple(front)


def _chosen(results: Sequence[CandidateResult]) -> int | None:
    """The fastest candidate that meets the objectives."""
    meeting = [
        (one.metrics[_DURATION].mean or 0.0, index)
        for index, one in enumerate(results)
        if one.verdict.answer == "meets"
    ]
    return min(meeting)[1] if meeting else None
