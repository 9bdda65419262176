"""Sentences about the number of runs, and about how rarely anything is lost."""

from __future__ import annotations

import pytest

from simulation.planning.search_runs import ConfirmationReason, ConfirmationRuns, SearchRuns
from simulation.study.statistics.number_of_runs import PlannedRuns, RunsReason
from simulation.study.statistics.occurrence import occurrence
from studio.views.answers.runs_text import occurrence_text, planned_text, search_runs_text


@pytest.mark.parametrize(
    ("planned", "text"),
    [
        (
            PlannedRuns(181, 4, RunsReason.MOST, 12.3),
            "181 paired runs each (fixed before the first; forecast to take 12 s of processor time); "
            "a candidate that meets breaks an objective in at most 4 of them",
        ),
        (
            PlannedRuns(59, 0, RunsReason.COST, 195.0),
            "59 paired runs each (fixed before the first; more would take over 30 s of processor time, "
            "--replications asks for another number); a candidate that meets breaks an objective in "
            "none of them",
        ),
        (
            PlannedRuns(20, None, RunsReason.ASKED, 1.0),
            "20 paired runs each (as asked for); too few to show that a candidate meets",
        ),
    ],
)
def test_the_number_of_runs_and_its_reason_are_said(planned: PlannedRuns, text: str) -> None:
    assert planned_text(planned) == text


NEEDED = SearchRuns(first=10, most=295, fewest=59, is_asked=False, budget=2950)
ASKED = SearchRuns(first=10, most=2000, fewest=400, is_asked=True, budget=20000)
SEARCH = (
    "10 paired runs of each candidate, then up to 295 of one (five times the 59 that can show the "
    "objectives at least)"
)


@pytest.mark.parametrize(
    ("runs", "confirmation", "text"),
    [
        (NEEDED, None, SEARCH),
        (
            NEEDED,
            ConfirmationRuns(127, 2, ConfirmationReason.ENOUGH, 59, 59),
            f"{SEARCH}. Confirmation: 127 runs on a fresh seed (fixed before the first; what holds as "
            "often as this did in the search, 59 of 59 runs, is confirmed with 90 % probability); a "
            "candidate that is confirmed breaks an objective in at most 2 of them",
        ),
        (
            NEEDED,
            ConfirmationRuns(287, 8, ConfirmationReason.MOST, 290, 295),
            f"{SEARCH}. Confirmation: 287 runs on a fresh seed (fixed before the first; one candidate "
            "gets at most 295); a candidate that is confirmed breaks an objective in at most 8 of them",
        ),
        (
            NEEDED,
            ConfirmationRuns(313, 0, ConfirmationReason.FEWEST, 59, 59),
            f"{SEARCH}. Confirmation: 313 runs on a fresh seed (fixed before the first; fewer cannot "
            "confirm anything); a candidate that is confirmed breaks an objective in none of them",
        ),
        (
            ASKED,
            ConfirmationRuns(400, 12, ConfirmationReason.ASKED, 59, 59),
            "10 paired runs of each candidate, then up to 2,000 of one (five times the 400 that are "
            "asked for). Confirmation: 400 runs on a fresh seed (as asked for); a candidate that is "
            "confirmed breaks an objective in at most 12 of them",
        ),
    ],
)
def test_the_numbers_of_runs_of_a_search_and_their_reasons_are_said(
    runs: SearchRuns, confirmation: ConfirmationRuns | None, text: str
) -> None:
    assert search_runs_text(runs, confirmation) == text


@pytest.mark.parametrize(
    ("some", "runs", "text"),
    [
        (0, 60, "nothing lost in 60 of 60 runs: in fewer than 1 rollout of 20"),
        (0, 181, "nothing lost in 181 of 181 runs: in fewer than 1 rollout of 60"),
        (9, 59, "something lost in 9 of 59 runs: in 7.2 – 27 % of rollouts"),
    ],
)
def test_rare_losses_are_told_in_rollouts(some: int, runs: int, text: str) -> None:
    found = occurrence([3.0] * some + [0.0] * (runs - some))
    assert found is not None
    assert occurrence_text(found, "lost") == text
