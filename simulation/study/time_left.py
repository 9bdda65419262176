"""How long a study still takes, and how often its progress is reported."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable

_LATEST = 64
"""Number of latest results that the time left is estimated from."""

_FEWEST = 3
"""Minimum number of simulated results from which a time left is estimated."""


class Eta:
    """The progress of a study and its time left, from the rate of the latest results.

    A stored result is there at once, so it counts as done but not in the rate.

    Attributes:
        total: Number of results that the study will have.
        done: Number of results that are there.
        is_confirmation: Whether these are the runs on a fresh seed that confirm the best candidate.
    """

    def __init__(
        self,
        total: int,
        now: Callable[[], float] = time.monotonic,
        *,
        is_confirmation: bool = False,
    ) -> None:
        self.total = total
        self.is_confirmation = is_confirmation
        self.done = 0
        self._now = now
        self._simulated_at: deque[float] = deque(maxlen=_LATEST)

    def record_result(self, *, was_stored: bool) -> None:
        """Count one more result."""
        self.done += 1
        if not was_stored:
            self._simulated_at.append(self._now())

    def left_s(self) -> float | None:
        """Return the seconds until the last result; None while too few have been simulated."""
        count = len(self._simulated_at)
        if count < _FEWEST:
            return None
        took_s = self._simulated_at[-1] - self._simulated_at[0]
        return (self.total - self.done) * took_s / (count - 1)


class Throttle:
    """A limit on how often something is done: it is due at once, then once per interval.

    The interval counts from `restart`, which is called when the thing has been done, so that
    something slow leaves the same time for other work between two times.
    """

    def __init__(self, every_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._every_s, self._now = every_s, now
        self._done_at = -math.inf

    def is_due(self) -> bool:
        """Return whether the interval has passed."""
        return self._now() - self._done_at >= self._every_s

    def restart(self) -> None:
        """Begin the next interval now."""
        self._done_at = self._now()
