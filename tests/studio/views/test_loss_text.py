"""The table of lost requests: means of a run, only phases that lost anything, a last row for all."""

from __future__ import annotations

import numpy as np

from simulation.results.losses import CAUSES, NO_LOSSES, PHASES, LossCause, Losses, LossPhase
from studio.views.sentences import CAUSE_TEXTS, PHASE_TEXTS, loss_table, phases_text


def losses(*rows: tuple[LossCause, LossPhase, int, int]) -> Losses:
    coded = [
        (CAUSES.index(cause), PHASES.index(phase), second, count)
        for cause, phase, second, count in rows
    ]
    return Losses(*np.array(coded, np.int64).T)


LOST = losses(
    (LossCause.REJECTED, LossPhase.DEPLOY, 4, 6),
    (LossCause.REJECTED, LossPhase.DEPLOY, 61, 10),
    (LossCause.REJECTED, LossPhase.AFTER, 62, 1),
    (LossCause.CUT_AT_DRAIN, LossPhase.TAKE_OUT, 4, 5),
)


def test_a_row_for_each_cause_and_one_for_all() -> None:
    table = loss_table(LOST, runs=2)
    assert table is not None
    assert table.headings == ("cause", "take out", "deploy", "after", "all", "most in one second")
    assert table.rows == (
        ("rejected", "", "8", "0.5", "8.5", "5 at 1:01"),
        ("cut at the drain's timeout", "2.5", "", "", "2.5", "2.5 at 0:04"),
        ("all", "2.5", "8", "0.5", "11", "5.5 at 0:04"),
    )


def test_no_table_where_nothing_was_lost() -> None:
    assert loss_table(NO_LOSSES, runs=2) is None
    assert phases_text(NO_LOSSES, runs=2) == ""


def test_the_phases_of_one_cause_in_words() -> None:
    rejected = LOST.of_cause(LossCause.REJECTED)
    text = "deploy 8, after 0.5, most 5 in the second at 1:01"
    assert phases_text(rejected, runs=2) == text


def test_every_cause_and_phase_has_its_words() -> None:
    assert CAUSE_TEXTS.keys() == set(LossCause)
    assert PHASE_TEXTS.keys() == set(LossPhase)
