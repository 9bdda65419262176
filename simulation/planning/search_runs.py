"""The numbers of runs of a search, and why they are these numbers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from scipy import special

from simulation.planning.search_result import SearchResult
from simulation.scenario.model import Scenario
from simulation.study.statistics.number_of_runs import misses_of
from simulation.study.statistics.proportions import (
    CONFIRMATION_POWER,
    FIRST_LOOK,
    failing_share,
    fewest_runs,
)

_TIMES_FEWEST = 5
"""Maximum number of runs of one candidate, as a multiple of those asked for or needed."""

_TIMES_MOST = 10
"""Maximum number of runs beyond the first of each candidate, as a multiple of those of one candidate."""


@dataclass(frozen=True)
class SearchRuns:
    """The numbers of runs of a search, beside its confirmations.

    Attributes:
        first: Number of runs of each candidate before any is judged.
        most: Maximum number of runs of one candidate.
        fewest: The number of which ``most`` is the `_TIMES_FEWEST`-fold.
        is_asked: Whether the scenario asks for ``fewest`` runs; else they are the fewest that can show
            the objectives.
        budget: Maximum number of runs of all candidates beyond the first.
    """

    first: int
    most: int
    fewest: int
    is_asked: bool
    budget: int


def search_runs(scenario: Scenario) -> SearchRuns:
    """Return the numbers of runs of a search.

    Raises:
        BadInput: The objectives need more runs than are possible.
    """
    objectives = scenario.objectives
    needed = fewest_runs(objectives.in_runs, objectives.confidence)
    fewest = max(scenario.replications or 0, needed)
    most = _TIMES_FEWEST * fewest
    return SearchRuns(FIRST_LOOK, most, fewest, fewest > needed, _TIMES_MOST * most)


class ConfirmationReason(StrEnum):
    """The reason why a confirmation has the number of runs that it has."""

    ASKED = "asked"
    """The scenario or the command line says so."""
    ENOUGH = "enough"
    """The number confirms a candidate as good as this one looked with probability `CONFIRMATION_POWER`."""
    MOST = "most"
    """More would be needed for that, and one candidate gets no more."""
    FEWEST = "fewest"
    """No fewer could confirm anything."""


@dataclass(frozen=True)
class ConfirmationRuns:
    """The number of runs of a confirmation, fixed before its first run.

    Attributes:
        count: The number.
        misses: Maximum number of these runs that may break an objective.
        reason: The reason for the number.
        screened_meeting: How many of the candidate's runs in the search met the objectives.
        screened: The number of these runs.
    """

    count: int
    misses: int
    reason: ConfirmationReason
    screened_meeting: int
    screened: int


def last_confirmation_runs(found: SearchResult) -> ConfirmationRuns | None:
    """Return the number of runs of the last confirmation of a search; None where there was none."""
    if not found.confirmations:
        return None
    last = found.confirmations[-1]
    searched = found.looked[last.number].result
    assert searched is not None
    meeting, screened = searched.verdict.runs_meeting, searched.verdict.runs
    count, share = last.result.verdict.runs, found.scenario.objectives.in_runs
    misses = misses_of(count, share, last.confidence)
    assert misses is not None  # `confirmation_runs` takes as many as can succeed
    if count == found.scenario.replications:
        reason = ConfirmationReason.ASKED
    elif special.bdtr(misses, count, failing_share(meeting, screened)) >= CONFIRMATION_POWER:
        reason = ConfirmationReason.ENOUGH
    elif count > search_runs(found.scenario).most:
        reason = ConfirmationReason.FEWEST
    else:
        reason = ConfirmationReason.MOST
    return ConfirmationRuns(count, misses, reason, meeting, screened)


def planned_json(found: SearchResult) -> dict[str, object]:
    """Return the numbers of runs of a search and their reasons as ``--json`` prints them."""
    runs, confirmation = search_runs(found.scenario), last_confirmation_runs(found)
    return {
        "first_runs": runs.first,
        "most_runs": runs.most,
        "reason": "asked" if runs.is_asked else "fewest",
        "confirmation": confirmation
        and {
            "runs": confirmation.count,
            "misses": confirmation.misses,
            "reason": confirmation.reason.value,
        },
    }
