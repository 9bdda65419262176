"""The result of a search, as plain data for plans, tables and screens."""

from __future__ import annotations

from dataclasses import dataclass

from executor.plan.model import Outcome
from simulation.scenario.model import Scenario
from simulation.study.candidate_result import CandidateResult
from simulation.study.candidates import Candidate
from simulation.study.case import Case
from simulation.study.compare import Confirmed


@dataclass(frozen=True)
class CandidateOutcome:
    """One candidate of a search, and its outcome.

    Attributes:
        case: The candidate and its scenario.
        outcome: The outcome.
        reason: The reason of the outcome, in words, as a plan keeps it.
        result: The result over the candidate's runs in the search; None where it had none.
        shared: The result over the runs that all candidates have, so that figures can be compared.
    """

    case: Case
    outcome: Outcome
    reason: str
    result: CandidateResult | None
    shared: CandidateResult | None

    @property
    def candidate(self) -> Candidate:
        """The values that the search varies."""
        return self.case.candidate


@dataclass(frozen=True)
class SearchResult:
    """The result of a search.

    Attributes:
        scenario: The study's scenario.
        looked: Every candidate with its outcome, in the order of the cases.
        confirmations: All confirmations, in the order in which they were made.
        chosen: Index of the fastest candidate that was confirmed; None when none was.
        front: Indices of the candidates that no other candidate beats in both duration and p99, the
            fastest first.
        runs_count: Number of runs of the search, without confirmations.
        busiest: Index of the chosen candidate at its busiest start; None where it has one start.
        starts: Whether the start matters, in words; empty where only one was tried.
        accepted: Keys of the objectives that may be missed without a rollout too.
    """

    scenario: Scenario
    looked: tuple[CandidateOutcome, ...]
    confirmations: tuple[Confirmed, ...]
    chosen: int | None
    front: tuple[int, ...]
    runs_count: int
    busiest: int | None
    starts: str
    accepted: frozenset[str] = frozenset()

    def next_best(self) -> int | None:
        """Return the index of the fastest of the others that do not fail; None where there is none.

        A candidate with the figures of the chosen one is no other.
        """
        others = [
            (outcome.shared.metrics["rollout_duration_s"].mean or 0.0, number)
            for number, outcome in enumerate(self.looked)
            if outcome.outcome in ("as fast", "slower")
            and outcome.shared is not None
            and not self._is_like_chosen(outcome.shared)
        ]
        return min(others)[1] if others else None

    def _is_like_chosen(self, shared: CandidateResult) -> bool:
        chosen = None if self.chosen is None else self.looked[self.chosen].shared
        return chosen is not None and chosen.metrics == shared.metrics
