"""Work that instances share while they are updated, such as the downloads from one registry."""

from __future__ import annotations

import itertools
from heapq import heappop, heappush

import simpy


class ProcessorSharing:
    """A processor-sharing queue: n pieces of work in it each advance at 1/n of the full speed.

    The queue counts the work that a piece present all the time would have received: it grows at
    1/n per second. A piece of w seconds that joins at the level v leaves at the level v + w, so no
    other arrival or departure changes the order in which pieces leave.
    """

    def __init__(self, env: simpy.Environment) -> None:
        """Begin with an empty queue."""
        self._env = env
        self._level_s = 0.0
        self._since_s = float(env.now)
        self._order = itertools.count()
        self._pieces: list[tuple[float, int, simpy.Event]] = []
        self._timer: simpy.Event | None = None

    def request(self, work_s: float) -> simpy.Event:
        """Return an event that fires when a piece of work that joins now is done.

        Args:
            work_s: How long the work takes alone, in seconds.
        """
        self._advance()
        done = simpy.Event(self._env)
        heappush(self._pieces, (self._level_s + work_s, next(self._order), done))
        self._schedule()
        return done

    def _advance(self) -> None:
        """Raise the level up to the present moment; an empty queue begins at 0 again."""
        now_s = float(self._env.now)
        if self._pieces:
            self._level_s += (now_s - self._since_s) / len(self._pieces)
        else:
            self._level_s = 0.0
        self._since_s = now_s

    def _schedule(self) -> None:
        """Set the timer for the next departure; a timer that was set before counts no more."""
        if not self._pieces:
            self._timer = None
            return
        left_s = max(0.0, self._pieces[0][0] - self._level_s) * len(self._pieces)
        self._timer = self._env.timeout(left_s)
        assert self._timer.callbacks is not None
        self._timer.callbacks.append(self._depart)

    def _depart(self, timer: simpy.Event) -> None:
        """Let every piece leave whose level is reached."""
        if timer is not self._timer:
            return
        self._advance()
        self._level_s = max(self._level_s, self._pieces[0][0])  # against rounding
        while self._pieces and self._pieces[0][0] <= self._level_s:
            heappop(self._pieces)[2].succeed()
        self._schedule()
