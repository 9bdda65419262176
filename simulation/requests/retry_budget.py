"""How many retries clients may send.

Enters: when requests and retries were sent. Leaves: whether one more may be. The rule is that of a
budget over a window, as Finagle and Linkerd keep it: retries are a share of what was asked lately,
so that they cannot multiply a fleet's load when it is already too much.
"""

from __future__ import annotations

from collections import deque

WINDOW_S = 10.0


class RetryBudget:
    """Of one class: as many retries in ten seconds as its share of the requests in them."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._requests: deque[float] = deque()
        self._retries: deque[float] = deque()

    def request(self, now_s: float) -> None:
        """A request arrived, its first attempt."""
        self._requests.append(now_s)

    def allows(self, now_s: float) -> bool:
        """Whether one more retry may be sent; it is counted as sent then."""
        for times in (self._requests, self._retries):
            while times and times[0] <= now_s - WINDOW_S:
                times.popleft()
        if len(self._retries) + 1 > self._share * len(self._requests):
            return False
        self._retries.append(now_s)
        return True
