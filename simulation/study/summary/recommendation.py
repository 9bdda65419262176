"""The recommendation of a comparison: the best candidate, the next best, and why the others are left out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from simulation.scenario.model import Scenario
from simulation.study.candidate_result import CandidateResult
from simulation.study.compare import Comparison
from simulation.study.running.shared_runs import simulated_data
from simulation.study.summary.groups import CandidateGroup, group_results
from simulation.study.summary.speed import slower_by
from simulation.study.verdict import Breach, broken_objectives

_DURATION, _P99 = "rollout_duration_s", "rollout_latency_p99_s"

_ANSWERS = ("meets", "misses_anyway", "undecided", "fails")
"""The answers of a verdict, the best first."""


class Shortfall(StrEnum):
    """The reason why a candidate is not the recommended one."""

    SLOWER = "slower"
    AS_FAST = "as_fast"
    MEETS = "meets"
    MISSES_ANYWAY = "misses_anyway"
    UNDECIDED = "undecided"
    FAILS = "fails"


@dataclass(frozen=True)
class LeftOut:
    """Candidates that are left out for one reason.

    Attributes:
        shortfall: The reason. ``meets`` is said where no candidate is recommended.
        breach: The objective that most runs of the first group break, where the reason is that they fail.
        groups: The candidates; those with equal results are one group.
    """

    shortfall: Shortfall
    breach: Breach | None
    groups: tuple[CandidateGroup, ...]


@dataclass(frozen=True)
class Recommendation:
    """The candidate that a person should take, and the reasons against all others.

    Attributes:
        recommended: The chosen candidate of the comparison with its equals; None where none is chosen.
        next_best: The best of the others, unless it fails; None where there is none.
        left_out: All others by the reason why they are left out, the best reason first.
        rows: All groups in the order of a table: the recommended one, the next best, the scenario's own
            settings, the trade-off front, then the others, the best first.
    """

    recommended: CandidateGroup | None
    next_best: CandidateGroup | None
    left_out: tuple[LeftOut, ...]
    rows: tuple[CandidateGroup, ...]


def recommend(comparison: Comparison) -> Recommendation:
    """Return the recommendation of a comparison."""
    rows, recommended, next_best = _ranked(comparison)
    others = [group for group in rows if group not in (recommended, next_best)]
    by_reason: dict[tuple[Shortfall, Breach | None], list[CandidateGroup]] = {}
    for group in others:
        result = comparison.candidates[group.first]
        shortfall = shortfall_of(comparison, group.first)
        breach = _main_breach(result) if shortfall is Shortfall.FAILS else None
        by_reason.setdefault((shortfall, breach), []).append(group)
    order = list(Shortfall)
    left_out = [LeftOut(*reason, tuple(groups)) for reason, groups in by_reason.items()]
    left_out.sort(key=lambda one: (order.index(one.shortfall), -len(one.groups)))
    return Recommendation(recommended, next_best, tuple(left_out), rows)


def rows_of(comparison: Comparison) -> tuple[CandidateGroup, ...]:
    """Return `Recommendation.rows` alone, for a table that is shown while the study goes on."""
    return _ranked(comparison)[0]


def _ranked(
    comparison: Comparison,
) -> tuple[tuple[CandidateGroup, ...], CandidateGroup | None, CandidateGroup | None]:
    """Return the rows, the recommended group and the next best one."""
    results = comparison.candidates
    groups = group_results(results)
    ranked = sorted(groups, key=lambda group: _rank(results[group.first]))
    of_index = {index: group for group in groups for index in group.indices}
    recommended = None if comparison.chosen is None else of_index[comparison.chosen]
    next_best = next(
        (
            group
            for group in ranked
            if group != recommended and results[group.first].verdict.answer != "fails"
        ),
        None,
    )
    own = own_index(comparison.scenario, [result.scenario for result in results])
    first = [
        recommended,
        next_best,
        None if own is None else of_index[own],
        *(of_index[index] for index in comparison.front),
    ]
    rows = dict.fromkeys([*(group for group in first if group is not None), *ranked])
    return tuple(rows), recommended, next_best


def shortfall_of(comparison: Comparison, index: int) -> Shortfall:
    """Return the reason why a candidate is not the recommended one."""
    result = comparison.candidates[index]
    if result.verdict.answer != "meets" or comparison.chosen is None:
        return Shortfall(result.verdict.answer)
    chosen = comparison.candidates[comparison.chosen]
    durations_s, chosen_s = (
        [run.metrics[_DURATION] for run in one.runs] for one in (result, chosen)
    )
    is_slower = slower_by(durations_s, chosen_s) is not None
    return Shortfall.SLOWER if is_slower else Shortfall.AS_FAST


def own_index(scenario: Scenario, candidates: Sequence[Scenario]) -> int | None:
    """Return the index of the candidate with the scenario's own settings; None where there is none."""
    own = simulated_data(scenario)
    return next((index for index, one in enumerate(candidates) if simulated_data(one) == own), None)


def _rank(result: CandidateResult) -> tuple[float, ...]:
    """Return the sort key of a candidate: its answer, then how fast it is, or how near it came."""
    verdict = result.verdict
    answer = _ANSWERS.index(verdict.answer)
    nearness = -verdict.runs_meeting / verdict.runs if answer > 1 else 0.0
    return (answer, nearness, *(_mean(result, name) for name in (_DURATION, _P99)))


def _mean(result: CandidateResult, name: str) -> float:
    mean = result.metrics[name].mean
    return math.inf if mean is None else mean


def _main_breach(result: CandidateResult) -> Breach | None:
    """Return the objective that most runs break."""
    counts = Counter(
        breach for run in result.runs for breach in broken_objectives(result.scenario, run)
    )
    return counts.most_common(1)[0][0] if counts else None


def recommendation_json(recommendation: Recommendation) -> dict[str, Any]:
    """Return a recommendation as ``compare --json`` prints it; candidates are named by their indices."""
    return {
        "recommendation": _group_json(recommendation.recommended),
        "next_best": _group_json(recommendation.next_best),
        "left_out": [
            {
                "reason": left_out.shortfall.value,
                "objective": None if left_out.breach is None else left_out.breach.objective.value,
                "candidates": [list(group.indices) for group in left_out.groups],
            }
            for left_out in recommendation.left_out
        ],
    }


def _group_json(group: CandidateGroup | None) -> list[int] | None:
    return None if group is None else list(group.indices)
