"""`replacement: beside`: new instances beside the old ones, as a Kubernetes Deployment makes them.

At most `surge` instances more than the fleet are there, those that terminate not counted; at least
the fleet less `window`, and `min_healthy`, are available, which is up for `min_ready`. So also
without a surge: a new instance is started as soon as an old one is marked for removal, while that
one still drains. The controller makes and removes as these two limits allow, here as one process
for each instance to make and one for each to remove. A canary does so wave by wave, and its bakes
do not wait for the end of what is marked.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import simpy

from simulation.control.draining import SimulatedStepFailed
from simulation.control.instances import Instances, Turnstile
from simulation.control.order import waves_of
from simulation.control.strategy import InvariantBroken, Steps, Strategy, Task
from simulation.requests.plane import RequestPlane
from simulation.results.states import State

_NOT_LIVE = (State.ABSENT, State.DRAINING, State.STOPPING, State.FAILED)


class Surge(Strategy):
    """Second instances take the place of the first ones, and back, for `rolling` and `canary`."""

    def __init__(
        self, env: simpy.Environment, plane: RequestPlane, instances: Instances, task: Task
    ) -> None:
        super().__init__(env, plane, instances, task)
        self._least = max(instances.count - task.window, task.rule.min_healthy)
        self._making: set[int] = set()
        self._young: set[int] = set()  # in the pool, and not yet up for `min_ready`
        self._room = Turnstile(env, lambda: instances.count + task.surge - self._live_count())
        self._spare = Turnstile(env, lambda: self._available_count() - self._least)
        instances.watched.append(self._spare)
        self._waiting: list[simpy.Event] = []  # of those to be removed: it stays
        self._staying_count = 0  # of those in later waves: they stay for replacements that failed
        self._ending: list[simpy.Event] = []  # of those marked for removal: it is gone

    def _live_count(self) -> int:
        states = enumerate(self._instances.fleet.state)
        return sum(state not in _NOT_LIVE or k in self._making for k, state in states)

    def _available_count(self) -> int:
        return self._instances.in_pool_count - len(self._young)

    def _forward(self) -> Steps:
        names = [str(instance) for instance in self._task.order]
        for wave in waves_of(self._rule, self._task.window, names):
            old = [int(name) for name in wave.instances]
            away = old[: max(0, len(old) - self._staying_count)]
            self._staying_count -= len(old) - len(away)
            yield from self._replace(away, [k + self._instances.count for k in old])
            if wave.gate is not None and not self._brake.is_on:
                yield from self._pass_gate(wave.gate)
            if self._brake.is_on:
                break
        yield self._env.all_of(self._ending)

    def _back(self) -> Steps:
        """Old ones that are gone are made again, new ones that are there are removed."""
        gone = self._instances.numbers(State.ABSENT, State.FAILED)
        old = list(self._task.order)
        new = [k + self._instances.count for k in old]
        there = [k for k in new if self._instances.state(k) is not State.ABSENT]
        self._ending.clear()
        yield from self._replace(there, [k for k in old if k in gone])
        yield self._env.all_of(self._ending)

    def _replace(self, away: Sequence[int], by: Sequence[int]) -> Steps:
        """Make and remove these, each as soon as it may be; those marked may still be ending."""
        marked = [simpy.Event(self._env) for _ in away]
        for instance, mark in zip(away, marked, strict=True):
            self._ending.append(self._env.process(self._remove(instance, mark)))
        made = self._all(self._make(instance) for instance in by)
        yield made & self._env.all_of(marked)

    def _make(self, instance: int) -> Steps:
        if not (yield from self._passes(self._room)):
            return
        self._making.add(instance)
        self._room.done()
        try:
            if self._instances.state(instance) is State.FAILED:
                yield from self._stop(instance)
            yield from self._bring_up(instance)
            yield from self._return(instance)
        except SimulatedStepFailed as failed:
            self._making.discard(instance)
            self._failed(instance, failed)
            self._one_stays()
            self._room.look()
            return
        self._making.discard(instance)
        self._young.add(instance)
        self._instances.join(instance)
        yield from self._stay_up(instance)
        self._young.discard(instance)
        self._spare.look()

    def _one_stays(self) -> None:
        """Keep an old instance for a replacement that failed: the last that waits, or a later one."""
        if self._waiting:
            self._waiting.pop().succeed()
        else:
            self._staying_count += 1

    def _may_go(self) -> Generator[simpy.Event, Any, bool]:
        """Until one more may be missing; whether it came so far, and none has to stay instead."""
        stays = simpy.Event(self._env)
        self._waiting.append(stays)
        may_go = yield from self._passes(self._spare, stays)
        if stays in self._waiting:
            self._waiting.remove(stays)
        return may_go

    def _remove(self, instance: int, marked: simpy.Event) -> Steps:
        """Mark an instance for removal once it may go, then drain and stop it."""
        if self._instances.in_pool(instance):
            if not (yield from self._may_go()):
                marked.succeed()
                return
            self._instances.leave(instance)
            self._spare.done()
            self._must_be_enough()
            self._room.look()
        elif self._instances.state(instance) is State.CRASHED:
            self._instances.leave(instance)
            self._room.look()
        marked.succeed()
        if (yield from self._take_down(instance)):
            self._instances.move(instance, State.ABSENT)
            self._room.look()

    def _must_be_enough(self) -> None:
        if self._available_count() < self._least:
            raise InvariantBroken(f"{self._available_count()} available, minimum {self._least}")
