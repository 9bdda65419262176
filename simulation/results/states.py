"""The states of an instance, and the intervals that an instance spends in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Any, NamedTuple, overload

import numpy as np


class State(StrEnum):
    """The state of an instance: the cycle of a rollout, then failed, crashed and absent.

    A second instance (surge, blue/green) is absent before it is made. The first instance is absent
    after it has been removed.
    """

    SERVING = "serving"
    DRAINING = "draining"
    STOPPING = "stopping"
    DEPLOYING = "deploying"
    VERIFYING = "verifying"
    STARTING = "starting"
    RETURNING = "returning"
    FAILED = "failed"
    CRASHED = "crashed"
    ABSENT = "absent"


class StateInterval(NamedTuple):
    """One instance in one state, from ``begin_s`` to ``end_s`` (0 = the rollout starts).

    A tuple, because a run makes some hundreds of these and a frozen dataclass takes three times as long.
    """

    instance: int
    state: State
    begin_s: float
    end_s: float


_STATES = tuple(State)
_NUMBERS = {state: number for number, state in enumerate(_STATES)}
INTERVAL = np.dtype([("instance", "<i4"), ("state", "u1"), ("begin_s", "<f8"), ("end_s", "<f8")])
"""One interval in a `StateIntervals`: the state is its place among the states."""

IntervalRows = np.ndarray[tuple[int], np.dtype[np.void]]


def _interval(row: Any) -> StateInterval:
    """Return the interval of an `INTERVAL` record's four values."""
    instance, state, begin_s, end_s = row
    return StateInterval(instance, _STATES[state], begin_s, end_s)


class StateIntervals(Sequence[StateInterval]):
    """Intervals as they are kept by the ten thousand: in columns, made into objects when they are read.

    Args:
        rows: `INTERVAL` records, shape (intervals,); or a function that returns them, which is called
            whenever they are read.
    """

    __slots__ = ("_rows",)

    def __init__(self, rows: IntervalRows | Callable[[], IntervalRows]) -> None:
        self._rows = rows

    @property
    def rows(self) -> IntervalRows:
        """`INTERVAL` records, shape (intervals,)."""
        return self._rows() if callable(self._rows) else self._rows

    @classmethod
    def of(cls, intervals: Iterable[StateInterval]) -> StateIntervals:
        """Return a table of these intervals."""
        rows = [(i.instance, _NUMBERS[i.state], i.begin_s, i.end_s) for i in intervals]
        return cls(np.array(rows, INTERVAL))

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[StateInterval]:
        return map(_interval, self.rows.tolist())

    @overload
    def __getitem__(self, index: int) -> StateInterval: ...
    @overload
    def __getitem__(self, index: slice) -> StateIntervals: ...
    def __getitem__(self, index: int | slice) -> StateInterval | StateIntervals:
        if isinstance(index, slice):
            return StateIntervals(self.rows[index])
        return _interval(self.rows[index].item())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StateIntervals) and np.array_equal(self.rows, other.rows)

    __hash__ = None  # type: ignore[assignment] # as of other containers of arrays
