"""The limit on retries: a fraction of the requests sent recently, as in Finagle and Linkerd.

Without such a budget, retries multiply the load of a fleet that is already overloaded.
"""

from __future__ import annotations

from collections import deque

WINDOW_S = 10.0
"""Length of the window over which requests and retries are counted, in seconds."""


class RetryBudget:
    """The retries of one class: within `WINDOW_S` at most a fraction of the requests sent in it."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._requests: deque[float] = deque()
        self._retries: deque[float] = deque()

    def request(self, now_s: float) -> None:
        """Record the first attempt of a request."""
        self._requests.append(now_s)

    def try_spend(self, now_s: float) -> bool:
        """Return whether one more retry may be sent now, and if so record it as sent."""
        for times in (self._requests, self._retries):
            while times and times[0] <= now_s - WINDOW_S:
                times.popleft()
        if len(self._retries) + 1 > self._share * len(self._requests):
            return False
        self._retries.append(now_s)
        return True
