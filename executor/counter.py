"""Count the requests of a rollout from the counters of its balancer.

A balancer counts from the start of its process. These counts go on over its restarts, and after a
resume from the last sample of the executor before.
"""

from __future__ import annotations

from typing import Any

from executor.fleet.balancers.base import BalancerState
from executor.guards import RequestCounts

MAX_HISTORY_LENGTH = 4000
"""Maximum number of counts that are kept for the guards: half an hour at two polls a second."""


class RequestCounter:
    """Running counts of a rollout's requests.

    Attributes:
        history: The counts at each poll in order of time, beginning with the first of the rollout.
        exposure_count: Requests to instances of the new version.
    """

    def __init__(self, last: list[tuple[float, dict[str, Any]]]) -> None:
        """Begin at the last sample of the executor before this one.

        Args:
            last: That sample with its time; empty where there is none.
        """
        before = last[0][1] if last else {}
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
        """Add the requests since the last call and return the present counts.

        Args:
            t_s: Seconds since the rollout began.
            state: The balancer's state.
            new: The names of the servers that have the new version.
            since_s: When the open bake began; None when none is open.
        """
        last = self._last
        # Counters of another process begin at 0, and what was missed between the two is unknown.
        if last is not None and last.identity == state.identity:
            # `max`: an operator may clear the counters of a running process (`clear counters`).
            self._requests += max(0, state.requests_count - last.requests_count)
            self._failed += max(0, state.failed_count - last.failed_count)
            if since_s != self._bake_since_s:
                self._bake_since_s, self._bake_requests, self._bake_failed = since_s, 0, 0
            for name in new & state.servers.keys() & last.servers.keys():
                server, earlier = state.servers[name], last.servers[name]
                requests = max(0, server.requests_count - earlier.requests_count)
                self.exposure_count += requests
                self._bake_requests += requests
                self._bake_failed += max(0, server.failed_count - earlier.failed_count)
        self._last = state
        return RequestCounts(
            t_s,
            self._requests,
            self._failed,
            state.queued_count,
            self._bake_requests,
            self._bake_failed,
        )

    def append(self, counts: RequestCounts) -> None:
        """Append counts to the history. To be called once a poll, although `count` is called more often."""
        self.history.append(counts)
        if len(self.history) > MAX_HISTORY_LENGTH:
            del self.history[
                1 : len(self.history) - MAX_HISTORY_LENGTH + 1
            ]  # the first counts of the rollout stay
