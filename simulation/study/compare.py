"""Candidates compared with each other: paired differences, the trade-off front, confirmations, JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from executor.base.canonical_json import digest_of
from simulation.results.run_result import METRICS, RunResult
from simulation.scenario.model import Scenario
from simulation.study.candidate_result import (
    CandidateResult,
    ControlResult,
    candidate_result,
    control_result,
)
from simulation.study.case import Case
from simulation.study.control import controls_of
from simulation.study.notes import Note, notes_json, notes_of
from simulation.study.rows import Row
from simulation.study.statistics.means import Difference, paired_difference
from simulation.study.statistics.number_of_runs import PlannedRuns, planned_runs


@dataclass(frozen=True)
class Confirmed:
    """A confirmation: the runs of a candidate on a fresh seed.

    Attributes:
        number: Index of the candidate.
        scenario: The simulated scenario, with the seed and the number of runs.
        result: The result over these runs.
        confidence: The required confidence, see `statistics.confirmation_confidence`.
        lower_bound: Lower bound of the share of runs that meet every objective, with this confidence.
        held: Whether the lower bound reaches the required share.
    """

    number: int
    scenario: Scenario
    result: CandidateResult
    confidence: float
    lower_bound: float
    held: bool

    def to_json(self) -> dict[str, Any]:
        """Return the confirmation as ``compare --json`` prints it."""
        verdict = self.result.verdict
        return {
            "candidate": self.number,
            "seed": self.scenario.seed,
            "runs": verdict.runs,
            "runs_meeting": verdict.runs_meeting,
            "confidence": self.confidence,
            "lower_bound": self.lower_bound,
            "held": self.held,
        }


@dataclass(frozen=True)
class Comparison:
    """All candidates of a study, compared with each other.

    Attributes:
        scenario: The study's scenario.
        candidates: The results, in the order of the cases.
        baseline: Index of the candidate that differences are taken to: the first.
        differences: Differences to the baseline for each candidate, by metric.
        front: Indices of the candidates that do not fail and that no other such candidate beats in both
            duration and p99, by duration.
        planned: The number of runs of the study, fixed before the first.
        confirmations: The confirmations of the best candidate, in the order in which they were made;
            empty where runs are missing, and where there is one candidate only.
        controls: The fleet without a rollout: one for each start, and for each policy that is compared.
        control_places: For each candidate, the index of its control; None where there is none.
    """

    scenario: Scenario
    candidates: tuple[CandidateResult, ...]
    baseline: int
    differences: tuple[dict[str, Difference], ...]
    front: tuple[int, ...]
    planned: PlannedRuns
    confirmations: tuple[Confirmed, ...] = ()
    controls: tuple[ControlResult, ...] = ()
    control_places: tuple[int | None, ...] = ()

    @property
    def confirmed(self) -> Confirmed | None:
        """The confirmation that held; None where none did."""
        return next((confirmed for confirmed in self.confirmations if confirmed.held), None)

    @property
    def fastest_meeting(self) -> int | None:
        """Index of the fastest candidate whose own runs meet the objectives; None when none does.

        A screen may select it. Of several it may not be called the best, see `chosen`.
        """
        return next(iter(meeting_candidates(self.candidates)), None)

    @property
    def chosen(self) -> int | None:
        """Index of the fastest candidate that meets the objectives; None when none is shown to.

        The best of several is named only when fresh runs have confirmed it.
        """
        if len(self.candidates) > 1:
            return None if self.confirmed is None else self.confirmed.number
        return self.fastest_meeting

    def control_json(self) -> list[dict[str, Any]]:
        """Return the controls as ``simulate --json`` and ``compare --json`` print them."""
        return [control.to_json() for control in self.controls]

    def candidate_json(self, index: int) -> dict[str, Any]:
        """Return one candidate as ``simulate --json`` prints it."""
        result = self.candidates[index]
        candidate = result.candidate
        return {
            "schema": "rollcast.result/2",
            "scenario": self.scenario.name,
            "scenario_digest": digest_of(self.scenario.as_data()),
            "seed": self.scenario.seed,
            "replications": len(result.runs),
            "planned": self.planned.to_json(),
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
            "metrics": result.metrics_json(),
            "control_metrics": None
            if result.control_metrics is None
            else {name: value.model_dump() for name, value in result.control_metrics.items()},
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
        common = (
            "schema",
            "scenario",
            "scenario_digest",
            "seed",
            "replications",
            "planned",
            "engine",
        )
        return {
            **{key: candidates[0][key] for key in common},
            "candidates": candidates,
            "control": self.control_json(),
            "baseline": self.baseline,
            "differences": [
                {name: vars(difference) for name, difference in differences.items()}
                for differences in self.differences
            ],
            "front": list(self.front),
            "chosen": self.chosen,
            "confirmed": None if self.confirmed is None else self.confirmed.to_json(),
            "confirmations": [confirmed.to_json() for confirmed in self.confirmations],
            "notes": notes_json(self.notes()),
        }

    def control_of(self, result: CandidateResult) -> ControlResult | None:
        """Return the control of a candidate of this comparison; None where there is none."""
        for each, place in zip(self.candidates, self.control_places, strict=False):
            if each.candidate == result.candidate and place is not None:
                return self.controls[place]
        return None

    def has_runs_of(self, other: Comparison) -> bool:
        """Return whether both are of the same runs; diagnoses and confirmations may differ."""
        return len(self.candidates) == len(other.candidates) and all(
            mine.runs is theirs.runs
            for mine, theirs in zip(self.candidates, other.candidates, strict=True)
        )

    def notes(self) -> tuple[Note, ...]:
        """Return what there is to know of the scenario beside its figures."""
        return notes_of(self.scenario, [result.scenario for result in self.candidates])


def compare(scenario: Scenario, cases: Sequence[Case], rows: Sequence[Row]) -> Comparison:
    """Compare the candidates over the rows so far (at least one)."""
    rows = sorted(rows, key=lambda row: row.replication)
    planned = planned_runs(scenario, cases)
    results = tuple(
        candidate_result(case, tuple(row.runs[index] for row in rows), planned.count)
        for index, case in enumerate(cases)
    )
    controls = controls_of(cases)
    has_controls = all(len(row.controls) == len(controls.each) for row in rows)
    baseline = 0
    return Comparison(
        scenario=scenario,
        candidates=results,
        baseline=baseline,
        differences=tuple(_differences(result.runs, results[baseline].runs) for result in results),
        front=front_of(results),
        planned=planned,
        controls=tuple(
            control_result(control, tuple(row.controls[place] for row in rows))
            for place, control in enumerate(controls.each)
            if has_controls
        ),
        control_places=controls.of_case if has_controls else (None,) * len(results),
    )


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

    A candidate that fails is not on the front and beats no other: one that loses 85 % of its requests
    often answers the rest quickly.

    Args:
        results: The candidates.
        risk: The metric that is the risk.
    """
    sign = -1.0 if risk in HIGHER_IS_BETTER else 1.0
    points = []
    for index, result in enumerate(results):
        duration, value = result.metrics[_DURATION].mean, result.metrics[risk].mean
        if result.verdict.answer != "fails" and duration is not None and value is not None:
            points.append((duration, sign * value, index))
    front: list[int] = []
    lowest_risk = np.inf
    for _duration, value, index in sorted(points):
        if value < lowest_risk:
            front.append(index)
            lowest_risk = value
    return tuple(front)


def meeting_candidates(results: Sequence[CandidateResult]) -> list[int]:
    """Return the indices of the candidates that meet the objectives, the fastest first."""
    meeting = [
        (result.metrics[_DURATION].mean or 0.0, index)
        for index, result in enumerate(results)
        if result.verdict.answer == "meets"
    ]
    return [index for _duration, index in sorted(meeting)]
