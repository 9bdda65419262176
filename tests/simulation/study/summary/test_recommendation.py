"""What a comparison recommends, what comes next, and why the others are left out."""

from __future__ import annotations

from typing import Any

import pytest

from simulation.study.compare import Comparison
from simulation.study.summary.recommendation import (
    Shortfall,
    recommend,
    recommendation_json,
    rows_of,
)
from simulation.study.summary.speed import slower_by
from simulation.study.verdict import Objective
from tests.helpers.comparisons import Stated, stated_comparison

FAILS = Stated("fails", 70.0, meeting=0)
SLOW, FAST = Stated(duration_s=40.0), Stated(duration_s=20.0)


def reasons(comparison: Comparison) -> dict[str, list[tuple[int, ...]]]:
    return {
        left_out.shortfall.value: [group.indices for group in left_out.groups]
        for left_out in recommend(comparison).left_out
    }


@pytest.mark.parametrize(
    ("stated", "recommended", "next_best", "left_out"),
    [
        pytest.param([FAST], (0,), None, {}, id="one"),
        pytest.param([SLOW, FAST], (1,), (0,), {}, id="the fastest, then the next"),
        pytest.param(
            [SLOW, FAST, Stated(duration_s=30.0)], (1,), (2,), {"slower": [(0,)]}, id="slower"
        ),
        pytest.param(
            [FAST, Stated(duration_s=20.5, p99_s=0.2), Stated(duration_s=20.6, p99_s=0.4)],
            (0,),
            (1,),
            {"as_fast": [(2,)]},
            id="as fast is not slower",
        ),
        pytest.param([FAST, FAST, FAST], (0, 1, 2), None, {}, id="equal"),
        pytest.param([FAST, FAST, SLOW], (0, 1), (2,), {}, id="equal ones are no next best"),
        pytest.param(
            [FAILS, FAST, FAILS], (1,), None, {"fails": [(0, 2)]}, id="no failing one is next"
        ),
        pytest.param(
            [FAST, Stated("undecided", 15.0, meeting=9), Stated("misses_anyway", 50.0)],
            (0,),
            (2,),
            {"undecided": [(1,)]},
            id="what misses anyway breaks nothing, so it comes before the undecided",
        ),
        pytest.param(
            [
                Stated("undecided", 15.0, meeting=8),
                Stated("undecided", 30.0, meeting=9),
                Stated("fails", 10.0, meeting=2),
            ],
            None,
            (1,),
            {"undecided": [(0,)], "fails": [(2,)]},
            id="the nearest of the undecided",
        ),
        pytest.param(
            [FAILS, Stated("fails", 75.0, meeting=3)],
            None,
            None,
            {"fails": [(1,), (0,)]},
            id="all fail, the nearest first",
        ),
    ],
)
def test_the_answer_comes_first(
    monkeypatch: pytest.MonkeyPatch,
    stated: list[Stated],
    recommended: tuple[int, ...] | None,
    next_best: tuple[int, ...] | None,
    left_out: dict[str, list[tuple[int, ...]]],
) -> None:
    comparison = stated_comparison(stated)
    found = recommend(comparison)
    assert (found.recommended and found.recommended.indices) == recommended
    assert (found.next_best and found.next_best.indices) == next_best
    assert reasons(comparison) == left_out
    assert sorted(index for group in found.rows for index in group.indices) == list(
        range(len(stated))
    )
    assert rows_of(comparison) == found.rows
    assert recommendation_json(found)["recommendation"] == (recommended and list(recommended))


def test_those_that_fail_are_told_apart_by_what_they_break() -> None:
    few = Stated("fails", 10.0, pool=2.0, meeting=0)
    comparison = stated_comparison(
        [FAST, FAILS, few, Stated("fails", 80.0, meeting=0)],
        {"duration": "60s", "lowest_in_pool": 3},
    )
    left_out = recommend(comparison).left_out
    assert [one.shortfall for one in left_out] == [Shortfall.FAILS] * 2
    assert [one.breach and one.breach.objective for one in left_out] == [
        Objective.DURATION,
        Objective.LOWEST_IN_POOL,
    ]
    assert recommendation_json(recommend(comparison))["left_out"] == [
        {"reason": "fails", "objective": "duration", "candidates": [[1], [3]]},
        {"reason": "fails", "objective": "lowest_in_pool", "candidates": [[2]]},
    ]


def test_rows_begin_with_the_answer_the_own_settings_and_the_front() -> None:
    stated = [
        Stated(duration_s=90.0, p99_s=0.9),
        Stated("fails", 85.0, p99_s=0.9, meeting=0),  # the scenario's own window
        Stated(duration_s=60.0, p99_s=0.1),  # on the front
        Stated(duration_s=30.0, p99_s=0.5),
        Stated("fails", 10.0, p99_s=0.95, meeting=0),  # on the front
        Stated(duration_s=20.0, p99_s=0.4),
    ]
    comparison = stated_comparison(stated)
    assert comparison.front == (4, 5, 2)
    assert [group.indices for group in rows_of(comparison)] == [
        *((5,), (3,), (1,)),  # recommended, next best, own
        *((4,), (2,)),  # the rest of the front
        (0,),
    ]


@pytest.mark.parametrize(
    ("durations", "others", "is_slower"),
    [
        pytest.param([10.6] * 3, [10.0] * 3, True, id="six percent"),
        pytest.param([10.4] * 3, [10.0] * 3, False, id="four percent"),
        pytest.param([10.0, 30.0, 8.0], [10.0, 10.0, 10.0], False, id="not shown"),
        pytest.param([15.0], [10.0], True, id="one run"),
        pytest.param([5.0] * 3, [10.0] * 3, False, id="faster"),
        pytest.param([None, 12.0, 12.0], [10.0, 10.0, 10.0], True, id="one did not end"),
        pytest.param([None, None], [10.0, 10.0], False, id="none ended"),
    ],
)
def test_slower_is_said_of_what_is_shown_to_be_slower(
    durations: list[Any], others: list[Any], is_slower: bool
) -> None:
    assert (slower_by(durations, others) is not None) is is_slower
