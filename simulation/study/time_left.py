"""How long a study still takes.

Enters: that something has landed. Leaves: seconds, by the pace of late.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

_OF_LATE = 64
"""So many landings tell the pace."""

_FEWEST = 3


class Eta:
    """A clock for what lands one by one; what was stored lands at once and says nothing.

    Attributes:
        total: How many there are.
        done: How many have landed.
    """

    def __init__(self, total: int, now: Callable[[], float] = time.monotonic) -> None:
        self.total = total
        self.done = 0
        self._now = now
        self._landed_at: deque[float] = deque(maxlen=_OF_LATE)

    def record_result(self, *, was_stored: bool) -> None:
        """One more is there."""
        self.done += 1
        if not was_stored:
            self._landed_at.append(self._now())

    def left_s(self) -> float | None:
        """Until the last one lands, None while too few have."""
        count = len(self._landed_at)
        if count < _FEWEST:
            return None
        took_s = self._landed_at[-1] - self._landed_at[0]
        return (self.total - self.done) * took_s / (count - 1)
