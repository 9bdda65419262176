"""What a search has found, as a plan and the evidence in it.

Enters: a `SearchResult`. Leaves: a sealed plan of the candidate that was confirmed, with what it was chosen
from; or, where none was, the reasons.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from executor.plan.model import Confirmation, Considered, Evidence, Plan
from simulation.planning.make_plan import WEEK_S, make_plan
from simulation.planning.search_result import CandidateOutcome, Confirmed, SearchResult
from simulation.planning.starts import without_start
from simulation.study.candidates import Candidate

MOST_TOLD = 20
"""So many candidates are told one by one; of more, those that tell something."""


def plan_of(found: SearchResult, valid_for_s: float = WEEK_S) -> Plan:
    """The plan of the confirmed candidate; its seed and its prediction are the confirmation's.

    Args:
        found: A search that has chosen.
        valid_for_s: How long the plan may be carried out.

    Raises:
        Refused: It is nothing that a plan can tell; the message says why.
    """
    assert found.chosen is not None
    last = found.confirmations[-1]
    return make_plan(
        last.scenario, last.result, valid_for_s, evidence_of(found), said=found.scenario
    )


def evidence_of(found: SearchResult) -> Evidence:
    """Why this candidate and no other, as a plan keeps it."""
    return Evidence(
        seed=found.scenario.seed,
        counts=counts_of(found),
        runs_count=found.runs_count,
        confirmations=tuple(_confirmation(found, one) for one in found.confirmations),
        considered=tuple(candidate_evidence(found, number) for number in telling(found)),
        starts=found.starts,
    )


def counts_of(found: SearchResult) -> dict[str, int]:
    """How many candidates came to each outcome, the commonest first."""
    return dict(Counter(one.outcome for one in found.looked).most_common())


def telling(found: SearchResult) -> list[int]:
    """The candidates that are told one by one, the chosen one first, then by duration.

    All of them where there are few. Else those that came near: the chosen, those that were looked at
    closely, those on the front, the chosen way at the busiest start; and of the rest the fastest of
    each way to roll, then the next of each.
    """
    durations = [_duration_s(one) for one in found.looked]
    everyone = sorted(
        range(len(durations)), key=lambda number: (number != found.chosen, durations[number])
    )
    near = {
        *(() if found.busiest is None else (found.busiest,)),
        *(one.number for one in found.confirmations),
        *found.front,
    }
    near |= {n for n, one in enumerate(found.looked) if one.outcome in ("chosen", "undecided")}
    placed: Counter[Candidate] = Counter()
    rank = {}
    for number in everyone:
        way = without_start(found.looked[number].candidate)
        rank[number] = placed[way]
        placed[way] += 1
    rest = sorted((n for n in everyone if n not in near), key=lambda n: (rank[n], durations[n]))
    kept = {*sorted(near, key=everyone.index)[:MOST_TOLD], *rest[: max(0, MOST_TOLD - len(near))]}
    return [number for number in everyone if number in kept]


def _duration_s(one: CandidateOutcome) -> float:
    mean = None if one.shared is None else one.shared.metrics["rollout_duration_s"].mean
    return math.inf if mean is None else mean


def candidate_evidence(found: SearchResult, number: int) -> Considered:
    """One candidate, and what became of it."""
    one = found.looked[number]
    verdict = None if one.result is None else one.result.verdict
    figures = {} if one.shared is None else one.shared.metrics
    duration, p99 = (
        figures[name].mean if name in figures else None
        for name in ("rollout_duration_s", "rollout_latency_p99_s")
    )
    return Considered(
        **_settings(one.candidate),
        outcome=one.outcome,
        reason=one.reason,
        runs=0 if verdict is None else verdict.runs,
        runs_meeting=0 if verdict is None else verdict.runs_meeting,
        duration_s=duration,
        latency_p99_s=p99,
        on_front=number in found.front,
    )


def _confirmation(found: SearchResult, one: Confirmed) -> Confirmation:
    return Confirmation(
        **_settings(found.looked[one.number].candidate),
        seed=one.scenario.seed,
        runs=one.result.verdict.runs,
        runs_meeting=one.result.verdict.runs_meeting,
        confidence=one.confidence,
        lower_bound=one.lower_bound,
        held=one.held,
    )


def _settings(candidate: Candidate) -> dict[str, Any]:
    return {
        "window": candidate.window,
        "advance": candidate.advance,
        "drain_timeout_s": candidate.drain_timeout_s,
        "start": candidate.start_label,
    }
