"""What a balancer has counted since a rollout began.

Enters: what the balancer says at each look, and the last sample of an executor before this one.
Leaves: running counts for `executor.guards`. A balancer counts from when its process began; here the
counts go on over its restarts.
"""

from __future__ import annotations

from typing import Any

from executor.fleet.balancers.base import BalancerState
from executor.guards import RequestCounts

MAX_HISTORY_LENGTH = 4000
"""So many counts are kept for the guards: half an hour at two looks a second."""


class RequestCounter:
    """Counts that go on.

    Attributes:
        history: One count a poll in order of time, the first from the beginning.
        exposure_count: Requests to instances of the new version.
    """

    def __init__(self, last: list[tuple[float, dict[str, Any]]]) -> None:
        before = last[0][1] if last else {}  # by the executor before this one
        self.history: list[RequestCounts] = []
        self.exposure_count: int = before.get("exposure_count", 0)
        self._last: BalancerState | None = None
        self._requests: int = before.get("requests_count", 0)
        self._failed: int = before.get("failed_count", 0)
        self._bake_since_s: float | None = None
        self._bake_requests = self._bake_failed = 0

    def count(
        self, t_s: float, state: BalancerState, new: set[str], *, since_s: float | None
    ) -> RequestCounts:
        """Adds what has come since the last look; the count of now.

        Args:
            t_s: Now.
            state: What the balancer says.
            new: The servers of the new version.
            since_s: When the open bake began; None when none is open.
        """
        last = self._last
        if last is not None and last.identity == state.identity:
            self._requests += max(0, state.requests_count - last.requests_count)
            self._failed += max(0, state.failed_count - last.failed_count)
            if since_s != self._bake_since_s:
                self._bake_since_s, self._bake_requests, self._bake_failed = since_s, 0, 0
            for name in new & state.servers.keys() & last.servers.keys():
                one, was = state.servers[name], last.servers[name]
                requests = max(0, one.requests_count - was.requests_count)
                self.exposure_count += requests
                self._bake_requests += requests
                self._bake_failed += max(0, one.failed_count - was.failed_count)
        self._last = state
        return RequestCounts(
            t_s,
            self._requests,
            self._failed,
            state.queued_count,
            self._bake_requests,
            self._bake_failed,
        )

    def append(self, counted: RequestCounts) -> None:
        """Keeps a count for the guards, once a poll: looks may follow each other at once."""
        self.history.append(counted)
        if len(self.history) > MAX_HISTORY_LENGTH:
            del self.history[
                1 : len(self.history) - MAX_HISTORY_LENGTH + 1
            ]  # the first is the beginning
