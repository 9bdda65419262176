"""Intervals of states in columns: the same intervals as went in."""

from __future__ import annotations

import pytest

from simulation.results.states import State, StateInterval, StateIntervals

INTERVALS = (
    StateInterval(0, State.SERVING, -5.0, 1.25),
    StateInterval(0, State.DRAINING, 1.25, 3.5),
    StateInterval(1, State.ABSENT, -5.0, 3.5),
)


def test_the_columns_give_the_intervals_back() -> None:
    table = StateIntervals.of(INTERVALS)
    assert tuple(table) == INTERVALS
    assert (table[0], table[-1], len(table)) == (INTERVALS[0], INTERVALS[-1], 3)
    assert table[1:] == StateIntervals.of(INTERVALS[1:])
    assert table != StateIntervals.of(INTERVALS[1:])


@pytest.mark.parametrize("index", [3, -4])
def test_an_interval_that_is_not_there_is_an_index_error(index: int) -> None:
    with pytest.raises(IndexError):
        StateIntervals.of(INTERVALS)[index]
