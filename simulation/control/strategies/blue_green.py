"""`blue_green`: a second fleet is brought up beside the first, and the traffic is switched to it.

The old fleet drains, and stays up for as long as one may want to fall back to it (`pause`, from the
switch); falling back is switching again.
"""

from __future__ import annotations

from collections.abc import Sequence

import simpy

from simulation.control.draining import SimulatedStepFailed
from simulation.control.instances import Instances
from simulation.control.strategy import InvariantBroken, Steps, Strategy, Task
from simulation.requests.plane import RequestPlane
from simulation.results.states import State


class BlueGreen(Strategy):
    """Both fleets are instances of the service: the first ones and their seconds."""

    def __init__(
        self, env: simpy.Environment, plane: RequestPlane, instances: Instances, task: Task
    ) -> None:
        super().__init__(env, plane, instances, task)
        self._dead: set[int] = set()  # had crashed when the traffic was switched away

    def _forward(self) -> Steps:
        old = list(self._task.order)
        new = [k + self._instances.count for k in old]
        yield self._all(self._prepare(instance) for instance in new)
        if self._brake.is_on:
            return
        with self._spent_on("gate"):
            yield self._env.timeout(self._rule.min_ready) | self._brake.pulled
        if self._brake.is_on:
            return
        ready = self._instances.numbers(State.RETURNING)
        replaced = [k for k in old if k + self._instances.count in ready]
        self._switch(replaced, ready)
        self._must_be_as_many(old)
        drains = [self._env.process(self._drains(instance)) for instance in replaced]
        yield from self._pause(self._rule.pause)
        yield self._env.all_of(drains) | self._brake.pulled
        if not self._brake.is_on:
            yield self._all(self._retire(instance) for instance in replaced)
            return
        for one in drains:  # they are needed again, or stay as they are
            if one.is_alive:
                one.interrupt()

    def _back(self) -> Steps:
        old = list(self._task.order)
        new = [k + self._instances.count for k in old]
        gone = {*self._instances.numbers(State.ABSENT, State.FAILED), *self._dead}
        yield self._all(self._prepare(instance) for instance in old if instance in gone)
        self._switch(new, old)
        yield self._all(self._drains(instance) for instance in new)
        yield self._all(self._retire(instance) for instance in new)

    def _prepare(self, instance: int) -> Steps:
        """It is up and passes its checks, and gets nothing yet."""
        try:
            if self._instances.state(instance) in (State.FAILED, State.DRAINING):
                yield from self._stop(instance)
            yield from self._bring_up(instance)
            yield from self._return(instance)
        except SimulatedStepFailed as failed:
            self._failed(instance, failed)

    def _switch(self, away: Sequence[int], to: Sequence[int]) -> None:
        """In one instant: first the ones enter the pool, then the others leave it."""
        ready = (State.RETURNING, State.DRAINING)
        for instance in to:
            if self._instances.state(instance) in ready:
                self._instances.join(instance)
        for instance in away:
            state = self._instances.state(instance)
            if state is State.CRASHED:
                self._dead.add(instance)
            if state in (State.SERVING, State.CRASHED):
                self._instances.leave(instance)

    def _must_be_as_many(self, old: Sequence[int]) -> None:
        """The switch takes nothing from the pool; those that had crashed were not in it."""
        up_count = self._instances.in_pool_count
        if up_count < len(old) - len(self._instances.numbers(State.CRASHED)):
            raise InvariantBroken(f"{up_count} in the pool after the switch, a fleet of {len(old)}")

    def _drains(self, instance: int) -> Steps:
        if self._instances.state(instance) is not State.DRAINING:
            return
        try:
            yield from self._drain(instance)
        except simpy.Interrupt:
            return
        except SimulatedStepFailed as failed:
            self._failed(instance, failed)

    def _retire(self, instance: int) -> Steps:
        """It stops, and is there no more."""
        if self._instances.state(instance) is not State.ABSENT:
            yield from self._stop(instance)
            self._instances.move(instance, State.ABSENT)
