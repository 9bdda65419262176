"""`replacement: beside`: new instances beside the old ones, as a Kubernetes Deployment makes them.

Two limits hold. At most `surge` instances more than the fleet exist; instances that terminate do not
count. At least the fleet less `window`, and at least `min_healthy`, are available, that is, up for
`min_ready`. So even without a surge a new instance starts as soon as an old one is marked for
removal, while the old one still drains. Like the controller, this strategy makes and removes
instances as the two limits allow: one process for each instance to make, one for each to remove. A
canary does so wave by wave, and its bakes do not wait until marked instances have ended.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import simpy

from simulation.control.draining import SimulatedStepFailed
from simulation.control.instances import AdmissionQueue, Instances
from simulation.control.order import waves_of
from simulation.control.strategy import InvariantBroken, Steps, Strategy, Task
from simulation.requests.plane import RequestPlane
from simulation.results.states import State

_NOT_LIVE = (State.ABSENT, State.DRAINING, State.STOPPING, State.FAILED)


class Surge(Strategy):
    """Replace first instances by second ones, and back, for `rolling` and `canary`."""

    def __init__(
        self, env: simpy.Environment, plane: RequestPlane, instances: Instances, task: Task
    ) -> None:
        super().__init__(env, plane, instances, task)
        self._least = max(instances.count - task.window, task.min_healthy)
        self._making: set[int] = set()
        self._room = AdmissionQueue(env, lambda: instances.count + task.surge - self._live_count())
        self._spare = AdmissionQueue(env, lambda: self._available_count() - self._least)
        instances.queues.append(self._spare)
        self._waiting: list[simpy.Event] = []  # one per waiting removal; fires when it must stay
        self._staying_count = 0  # of later waves, old ones that stay for failed replacements
        self._ending: list[simpy.Event] = []  # one per removal; fires when the instance is gone

    def _live_count(self) -> int:
        states = enumerate(self._instances.fleet.state)
        return sum(state not in _NOT_LIVE or k in self._making for k, state in states)

    def _available_count(self) -> int:
        return self._instances.in_pool_count - len(self._not_yet_ready)

    def _forward(self) -> Steps:
        names = [str(instance) for instance in self._task.order]
        for wave in waves_of(self._rule, self._task.window, names):
            old = [int(name) for name in wave.instances]
            away = old[: max(0, len(old) - self._staying_count)]
            self._staying_count -= len(old) - len(away)
            new = [k + self._instances.count for k in old]
            yield from self._replace(away, new)
            yield from self._wait_while_stuck()
            self._stop_after_failed_batch(new)
            if wave.gate is not None and not self._stop_signal.is_on:
                yield from self._pass_gate(wave.gate)
            if self._stop_signal.is_on:
                break
        yield self._env.all_of(self._ending)

    def _back(self) -> Steps:
        """Make old instances again that are gone, and remove the new ones."""
        gone = self._instances.numbers(State.ABSENT, State.FAILED)
        old = list(self._task.order)
        new = [k + self._instances.count for k in old]
        there = [k for k in new if self._instances.state(k) is not State.ABSENT]
        self._making.clear()  # failed instances that kept their places no longer do
        self._ending.clear()
        yield from self._replace(there, [k for k in old if k in gone])
        yield self._env.all_of(self._ending)

    def _replace(self, away: Sequence[int], by: Sequence[int]) -> Steps:
        """Make and remove instances as the limits allow; marked instances may still be ending afterwards."""
        marked = [simpy.Event(self._env) for _ in away]
        for instance, mark in zip(away, marked, strict=True):
            self._ending.append(self._env.process(self._remove(instance, mark)))
        made = self._run_all(self._make(instance) for instance in by)
        yield made & self._env.all_of(marked)

    def _make(self, instance: int) -> Steps:
        if not (yield from self._wait_for_admission(self._room)):
            return
        self._making.add(instance)
        self._room.confirm()
        try:
            if self._instances.state(instance) is State.FAILED:
                yield from self._stop(instance)
            yield from self._make_ready(instance)
        except SimulatedStepFailed as failed:
            self._record_failure(instance, failed)
            if self._keeps_places:
                return
            self._making.discard(instance)
            self._keep_one_old()
            self._room.admit()
            return
        self._making.discard(instance)
        self._not_yet_ready.add(instance)
        self._instances.join(instance)
        yield from self._wait_min_ready(instance)
        self._not_yet_ready.discard(instance)
        self._spare.admit()

    def _keep_one_old(self) -> None:
        """Keep an old instance because its replacement failed.

        The last instance whose removal waits stays, else one of a later wave.
        """
        if self._waiting:
            self._waiting.pop().succeed()
        else:
            self._staying_count += 1

    def _wait_until_removable(self) -> Generator[simpy.Event, Any, bool]:
        """Wait until one more old instance may be removed.

        Return False when the release stops first, or when this instance must stay because a
        replacement failed.
        """
        stays = simpy.Event(self._env)
        self._waiting.append(stays)
        is_removable = yield from self._wait_for_admission(self._spare, stays)
        if stays in self._waiting:
            self._waiting.remove(stays)
        return is_removable

    def _remove(self, instance: int, marked: simpy.Event) -> Steps:
        """Mark an instance for removal as soon as it may be removed, then drain and stop it."""
        if self._instances.is_in_pool(instance):
            if not (yield from self._wait_until_removable()):
                marked.succeed()
                return
            self._instances.leave(instance)
            self._spare.confirm()
            self._check_minimum()
            self._room.admit()
        elif self._instances.state(instance) is State.CRASHED:
            self._instances.leave(instance)
            self._room.admit()
        marked.succeed()
        if (yield from self._take_down(instance)):
            self._instances.move(instance, State.ABSENT)
            self._room.admit()

    def _check_minimum(self) -> None:
        if self._available_count() < self._least:
            raise InvariantBroken(f"{self._available_count()} available, minimum {self._least}")
