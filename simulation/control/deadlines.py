"""The deadlines of a rollout: one for the progress of its service, one for the health of each instance.

`progress_deadline` limits the time since the last instance became available. Waits that the rollout
plans itself do not count: bakes, pauses, and the steps of a migration. Kubernetes does not count the
time of a paused Deployment either.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import simpy

from simulation.control.draining import SimulatedStepFailed
from simulation.results.failures import Failure


def finish_within(
    env: simpy.Environment,
    deadline_s: float,
    steps: Generator[simpy.Event, Any, None],
    late: Callable[[], Failure],
) -> Generator[simpy.Event, Any, None]:
    """Do steps of an instance; break them off at a deadline.

    Args:
        env: The simulation.
        deadline_s: Maximum duration of the steps together.
        steps: The steps.
        late: Returns the failure when the deadline passes; called before the steps are broken off.

    Raises:
        SimulatedStepFailed: A step failed, or the deadline passed.
    """
    process = env.process(_catch_failure(steps))
    yield process | env.timeout(deadline_s)
    if not process.triggered:
        yield env.timeout(0)  # steps that end at the deadline itself are in time
    failure = process.value if process.triggered else late()
    if process.is_alive:
        process.interrupt()
    if failure is not None:
        raise SimulatedStepFailed(failure)


def _catch_failure(
    steps: Generator[simpy.Event, Any, None],
) -> Generator[simpy.Event, Any, Failure | None]:
    """Do steps; return the failure of one of them, None where they end well or are interrupted."""
    try:
        yield from steps
    except SimulatedStepFailed as failed:
        return failed.failure
    except simpy.Interrupt:
        return None
    return None


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
            yield self._env.timeout(0)  # an instance that is available at the deadline is in time
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
