"""What a search has found: plain data, for plans, tables and screens.

Enters: nothing. Leaves: the shapes that `simulation.planning.search` fills.
"""

from __future__ import annotations

from dataclasses import dataclass

from executor.plan.model import Outcome
from simulation.scenario.model import Scenario
from simulation.study.candidates import Candidate
from simulation.study.case import Case
from simulation.study.compare import CandidateResult


@dataclass(frozen=True)
class CandidateOutcome:
    """One candidate, and what became of it.

    Attributes:
        result: Over the runs of the search; None where there was none.
        shared: Over those of them that all candidates have, so that figures can be compared.
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
class Confirmed:
    """A candidate on a fresh seed.

    Attributes:
        number: Of the candidate, in their order.
        scenario: What was simulated: free of other files, with the seed and the number of runs.
        result: Over those runs.
        confidence: That was needed, see `statistics.confirmation_confidence`.
        lower_bound: Of the share of runs that meet every objective, with that confidence.
        held: Whether it reaches the share asked for.
    """

    number: int
    scenario: Scenario
    result: CandidateResult
    confidence: float
    lower_bound: float
    held: bool


@dataclass(frozen=True)
class SearchResult:
    """What a search has found.

    Attributes:
        looked: Every candidate, in their order.
        confirmations: Those that were made, in turn.
        chosen: The number of the fastest that was confirmed, None when none was.
        front: Numbers of those that no other beats in both duration and p99, the fastest first.
        runs_count: Runs that the search took, confirmations aside.
        busiest: Where several starts were tried, the number of the chosen way at the busiest one.
        starts: What the start matters, in words; empty where only one was tried.
    """

    scenario: Scenario
    looked: tuple[CandidateOutcome, ...]
    confirmations: tuple[Confirmed, ...]
    chosen: int | None
    front: tuple[int, ...]
    runs_count: int
    busiest: int | None
    starts: str
