"""Sentences about the number of runs, and about how rarely anything is lost."""

from __future__ import annotations

import pytest

from simulation.study.statistics.number_of_runs import PlannedRuns, RunsReason
from simulation.study.statistics.occurrence import occurrence
from studio.views.answers.runs_text import occurrence_text, planned_text


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
