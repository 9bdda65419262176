"""The progress of one service's rollout: how long ago the last instance became available.

`progress_deadline` limits this time. Waits that the rollout plans itself do not count: bakes, pauses,
and the steps of a migration. Kubernetes does not count the time of a paused Deployment either.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import simpy


class ProgressClock:
    """The clock of a service's progress, and the instances that are over.

    Attributes:
        updated: Instances whose update to the new version has begun with their deploy.
        is_stuck: Whether a failed instance keeps its place, so that the rollout cannot complete.
    """

    def __init__(self, env: simpy.Environment, instance_count: int) -> None:
        """Begin with no instance updated.

        Args:
            env: The simulation.
            instance_count: Number of instances that the rollout updates.
        """
        self._env = env
        self._instance_count = instance_count
        self._over: set[int] = set()
        self._last_s = 0.0
        self._held_count = 0
        self._has_ended = False
        self.updated: set[int] = set()
        self.is_stuck = False

    def note_available(self, instance: int) -> None:
        """Note that an instance is available, which begins the time anew."""
        self._over.add(instance)
        self._last_s = float(self._env.now)

    def note_failed(self, instance: int) -> None:
        """Note that an instance failed and that the rollout does not wait for it."""
        self._over.add(instance)

    def end(self) -> None:
        """Note that the rollout has ended."""
        self._has_ended = True

    @contextmanager
    def hold_clock(self) -> Iterator[None]:
        """Return a context in which no time counts; the time begins anew at its end."""
        self._held_count += 1
        try:
            yield
        finally:
            self._held_count -= 1
            self._last_s = float(self._env.now)

    def stalls(self, deadline_s: float) -> Generator[simpy.Event, Any, bool]:
        """Wait until no instance has become available for ``deadline_s``; return True then.

        Return False when the rollout has ended before.
        """
        self._last_s = float(self._env.now)
        while True:
            since_s = self._last_s
            yield self._env.timeout(max(0.0, since_s + deadline_s - float(self._env.now)))
            if self._has_ended:
                return False
            if self._held_count > 0 or self._only_ends:
                self._last_s = float(self._env.now)
            elif self._last_s == since_s:
                return True

    @property
    def _only_ends(self) -> bool:
        """Return whether no instance is left to become available: the old ones still end, at most."""
        return len(self._over) >= self._instance_count and not self.is_stuck
