"""The recommendation in words: each sentence once."""

from __future__ import annotations

import pytest

from simulation.study.summary.recommendation import recommend
from studio.views.answers.recommendation_text import (
    counts_text,
    group_name,
    left_out_lines,
    next_best_text,
)
from studio.views.figures_text import values_text
from tests.helpers.comparisons import Stated, stated_comparison

FAST = Stated(duration_s=20.0)
FAILS = Stated("fails", 70.0, meeting=0)


@pytest.mark.parametrize(
    ("values", "last", "text"),
    [
        (["1"], ", ", "1"),
        (["1", "2"], ", ", "1, 2"),
        (["30 s", "60 s", "90 s", "30 s"], ", ", "30 s, 60 s, 90 s"),
        (["30 s", "60 s", "90 s"], " or ", "30 s, 60 s or 90 s"),
        (["1", "2", "3", "4", "9"], " or ", "1 … 9 (5)"),
    ],
)
def test_values_are_written_out_or_counted(values: list[str], last: str, text: str) -> None:
    assert values_text(values, last) == text


def test_equal_candidates_have_one_name() -> None:
    comparison = stated_comparison(
        [FAST] * 3 + [FAILS] * 3, windows=(1, 2), drain_timeouts_s=(30.0, 60.0, 90.0)
    )
    first, second = recommend(comparison).rows
    assert group_name(comparison, first) == "Window 1, drain 30 s, 60 s or 90 s"
    assert group_name(comparison, second, begins_sentence=False) == (
        "window 2, drain 30 s, 60 s or 90 s"
    )


@pytest.mark.parametrize(
    ("stated", "text"),
    [
        ([FAST], ""),
        ([FAST, FAILS], ""),
        (
            [FAST, Stated(duration_s=30.0, p99_s=0.2)],
            "Next best: window 2 meets every objective in 10 of 10 runs; against window 1: "
            "duration +10.0 s (+10.0 s to +10.0 s), p99 −100 ms (−100 ms to −100 ms)",
        ),
        (
            [FAILS, Stated("undecided", meeting=9)],
            "Nearest: window 2 is undecided: it meets every objective in 9 of 10 runs",
        ),
    ],
)
def test_the_next_best_is_said_beside_the_best(stated: list[Stated], text: str) -> None:
    comparison = stated_comparison(stated)
    assert next_best_text(comparison, recommend(comparison)) == text


def test_few_are_left_out_one_by_one_with_their_reasons() -> None:
    others = [
        Stated(duration_s=25.0),
        Stated(duration_s=30.0, p99_s=0.2),
        Stated(duration_s=20.4, p99_s=0.4),
        Stated("undecided", meeting=9),
        FAILS,
    ]
    comparison = stated_comparison([FAST, *others])
    recommendation = recommend(comparison)
    assert recommendation.next_best is not None
    assert recommendation.next_best.first == 3  # as fast
    assert left_out_lines(comparison, recommendation) == [
        "Window 2 is slower: duration +5.0 s (+5.0 s to +5.0 s), p99 0 ms (0 ms to 0 ms)",
        "Window 3 is slower: duration +10.0 s (+10.0 s to +10.0 s), p99 −100 ms (−100 ms to −100 ms)",
        "Window 5 is undecided: because it undecided",
        "Window 6 fails: because it fails",
    ]


def test_many_are_counted_and_some_are_named() -> None:
    slower = [Stated(duration_s=30.0 + k) for k in range(3)]
    failing = [Stated("fails", 70.0 + k, meeting=0) for k in range(5)]
    starts = [600.0 * k for k in range(9)]
    comparison = stated_comparison([FAST, *slower, *failing], starts=starts)
    recommendation = recommend(comparison)
    assert left_out_lines(comparison, recommendation)[-1] == (
        "5 fail, most by duration above 60 s: window 2, start 00:40:00; window 2, start 00:50:00; "
        "window 2, start 01:00:00; and 2 more"
    )
    assert counts_text(comparison, recommendation.rows[2:]) == "2 are slower, 5 fail"
    assert counts_text(comparison, recommendation.rows[-1:]) == "1 fails"
