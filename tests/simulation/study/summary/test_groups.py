"""Candidates with equal results are one row, where the row stands for these candidates and no others."""

from __future__ import annotations

from typing import Any

import pytest

from simulation.study.candidates import Candidate
from simulation.study.summary.groups import group_equal


def candidate(
    window: int, drain_s: float = 30.0, start: str = "00:00:00", **more: Any
) -> Candidate:
    return Candidate(window, window, "sliding", drain_s, start, start, **more)


ONE, TWO = candidate(1), candidate(2)


@pytest.mark.parametrize(
    ("candidates", "results", "groups"),
    [
        pytest.param([ONE], ["a"], [(0,)], id="one"),
        pytest.param([ONE, TWO], ["a", "b"], [(0,), (1,)], id="different"),
        pytest.param([ONE, TWO], ["a", "a"], [(0, 1)], id="equal"),
        pytest.param(
            [candidate(1, drain_s) for drain_s in (30, 60, 90)], ["a"] * 3, [(0, 1, 2)], id="drains"
        ),
        pytest.param(
            [candidate(window, drain_s) for window in (1, 2) for drain_s in (30, 60)],
            ["a", "a", "b", "b"],
            [(0, 1), (2, 3)],
            id="drains of two windows",
        ),
        pytest.param(
            [candidate(window, drain_s) for window in (1, 2) for drain_s in (30, 60)],
            ["a"] * 4,
            [(0, 1, 2, 3)],
            id="all combinations",
        ),
        pytest.param([candidate(1, 30), candidate(2, 60)], ["a", "a"], [(0,), (1,)], id="diagonal"),
        pytest.param(
            [candidate(window, drain_s) for window in (1, 2) for drain_s in (30, 60)],
            ["a", "b", "a", "a"],
            [(0,), (1,), (2, 3)],
            id="an L",
        ),
        pytest.param(
            [candidate(1, start=start) for start in ("01:00:00", "02:00:00", "03:00:00")],
            ["b", "a", "b"],
            [(0, 2), (1,)],
            id="starts",
        ),
        pytest.param(
            [candidate(1), candidate(1, pause_s=5.0), candidate(1, policy="random")],
            ["a"] * 3,
            [(0, 2), (1,)],
            id="not every pause with every policy",
        ),
    ],
)
def test_a_row_stands_for_all_combinations_of_its_values(
    candidates: list[Candidate], results: list[str], groups: list[tuple[int, ...]]
) -> None:
    assert [group.indices for group in group_equal(candidates, results)] == groups


def test_every_candidate_is_in_one_row() -> None:
    candidates = [
        candidate(window, drain_s, start)
        for window in (1, 2, 3)
        for drain_s in (30, 60)
        for start in ("01:00:00", "02:00:00")
    ]
    results = [(number * 7) % 3 for number in range(12)]
    groups = group_equal(candidates, results)
    assert sorted(index for group in groups for index in group.indices) == list(range(12))
    for group in groups:
        assert len({results[index] for index in group.indices}) == 1
        assert group.first == group.indices[0]
