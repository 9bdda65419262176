"""A search as a plan: the sealed plan of the confirmed candidate, with the evidence for its choice."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from executor.plan.model import Confirmation, Considered, Evidence, Plan
from simulation.planning.make_plan import WEEK_S, make_plan
from simulation.planning.search_result import CandidateOutcome, SearchResult
from simulation.planning.starts import without_start
from simulation.study.candidates import Candidate
from simulation.study.compare import Confirmed
from simulation.study.summary.groups import CandidateGroup, group_equal
from simulation.study.summary.recommendation import own_index

MOST_LISTED = 20
"""Maximum number of candidates that a plan lists, beside those that came near."""


def plan_of(search_result: SearchResult, valid_for_s: float = WEEK_S) -> Plan:
    """Return the plan of the confirmed candidate, with seed and prediction of its confirmation.

    Args:
        search_result: The result of a search that has chosen.
        valid_for_s: How long the plan is valid, in seconds.

    Raises:
        Refused: A plan cannot express the candidate; the message says why.
    """
    assert search_result.chosen is not None
    last = search_result.confirmations[-1]
    return make_plan(
        last.scenario,
        last.result,
        valid_for_s,
        evidence_of(search_result),
        written=search_result.scenario,
        accepted=search_result.accepted,
    )


def evidence_of(search_result: SearchResult) -> Evidence:
    """Return why the search chose this candidate, as a plan keeps it.

    A search that chose none may have confirmed none. No plan has such evidence, so it is not validated.
    """
    make = Evidence if search_result.chosen is not None else Evidence.model_construct
    return make(
        seed=search_result.scenario.seed,
        counts=counts_of(search_result),
        runs_count=search_result.runs_count,
        confirmations=tuple(
            _confirmation(search_result, confirmed) for confirmed in search_result.confirmations
        ),
        considered=tuple(
            candidate_evidence(search_result, number) for number in listed_candidates(search_result)
        ),
        starts=search_result.starts,
    )


def counts_of(search_result: SearchResult) -> dict[str, int]:
    """Return the number of candidates by outcome, the commonest first."""
    return dict(Counter(candidate.outcome for candidate in search_result.looked).most_common())


def listed_candidates(search_result: SearchResult) -> list[int]:
    """Return the indices of the candidates that a plan lists, the chosen one first, then by duration.

    Where there are few, these are all candidates. Else they are the candidates that came near (the
    chosen one, those that were confirmed, stayed undecided or miss anyway, those on the front, the chosen way to
    roll at its busiest start), then the fastest of each way to roll, then the next of each.
    """
    durations = [_duration_s(candidate) for candidate in search_result.looked]
    everyone = sorted(
        range(len(durations)),
        key=lambda number: (number != search_result.chosen, durations[number]),
    )
    near = {
        *(() if search_result.busiest is None else (search_result.busiest,)),
        *(confirmed.number for confirmed in search_result.confirmations),
        *search_result.front,
    }
    near |= {
        number
        for number, candidate in enumerate(search_result.looked)
        if candidate.outcome in ("chosen", "undecided", "misses anyway")
    }
    placed: Counter[Candidate] = Counter()
    rank = {}
    for number in everyone:
        way = without_start(search_result.looked[number].candidate)
        rank[number] = placed[way]
        placed[way] += 1
    rest = sorted((n for n in everyone if n not in near), key=lambda n: (rank[n], durations[n]))
    listed = {
        *sorted(near, key=everyone.index)[:MOST_LISTED],
        *rest[: max(0, MOST_LISTED - len(near))],
    }
    return [number for number in everyone if number in listed]


def table_rows(search_result: SearchResult) -> tuple[CandidateGroup, ...]:
    """Return all candidates as rows of a table; those with equal figures and outcomes are one row.

    The chosen one comes first, then the next best, the scenario's own settings, what was confirmed, the
    trade-off front, the candidates that a plan lists, and the rest by duration.
    """
    looked = search_result.looked
    groups = group_equal(
        [candidate.candidate for candidate in looked],
        [
            (
                candidate.outcome,
                candidate.reason,
                None if candidate.shared is None else tuple(candidate.shared.metrics.values()),
            )
            for candidate in looked
        ],
    )
    of_number = {number: group for group in groups for number in group.indices}
    own = own_index(search_result.scenario, [candidate.case.scenario for candidate in looked])
    first = (
        search_result.chosen,
        search_result.next_best(),
        own,
        *(confirmed.number for confirmed in search_result.confirmations),
        *search_result.front,
        *listed_candidates(search_result),
    )
    rest = sorted(range(len(looked)), key=lambda number: _duration_s(looked[number]))
    order = [*(number for number in first if number is not None), *rest]
    return tuple(dict.fromkeys(of_number[number] for number in order))


def _duration_s(candidate: CandidateOutcome) -> float:
    mean = None if candidate.shared is None else candidate.shared.metrics["rollout_duration_s"].mean
    return math.inf if mean is None else mean


def candidate_evidence(search_result: SearchResult, number: int) -> Considered:
    """Return one candidate and its outcome, as a plan keeps it."""
    candidate = search_result.looked[number]
    verdict = None if candidate.result is None else candidate.result.verdict
    figures = {} if candidate.shared is None else candidate.shared.metrics
    duration, p99 = (
        figures[name].mean if name in figures else None
        for name in ("rollout_duration_s", "rollout_latency_p99_s")
    )
    return Considered(
        **_settings(candidate.candidate),
        outcome=candidate.outcome,
        reason=candidate.reason,
        runs=0 if verdict is None else verdict.runs,
        runs_meeting=0 if verdict is None else verdict.runs_meeting,
        duration_s=duration,
        latency_p99_s=p99,
        on_front=number in search_result.front,
    )


def _confirmation(search_result: SearchResult, confirmed: Confirmed) -> Confirmation:
    return Confirmation(
        **_settings(search_result.looked[confirmed.number].candidate),
        seed=confirmed.scenario.seed,
        runs=confirmed.result.verdict.runs,
        runs_meeting=confirmed.result.verdict.runs_meeting,
        confidence=confirmed.confidence,
        lower_bound=confirmed.lower_bound,
        held=confirmed.held,
    )


def _settings(candidate: Candidate) -> dict[str, Any]:
    return {
        "window": candidate.window,
        "advance": candidate.advance,
        "drain_timeout_s": candidate.drain_timeout_s,
        "start": candidate.start_label,
    }
