"""`blue_green`: a second fleet is started beside the first, and the traffic is switched to it.

The old fleet drains and stays up for `pause` after the switch, so that the rollout may fall back to
it: falling back is a second switch.
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
    """Switch between two fleets: the first instances of the service, and their second ones."""

    def __init__(
        self, env: simpy.Environment, plane: RequestPlane, instances: Instances, task: Task
    ) -> None:
        super().__init__(env, plane, instances, task)
        self._crashed_at_switch: set[int] = set()

    def _forward(self) -> Steps:
        old = list(self._task.order)
        new = [k + self._instances.count for k in old]
        yield self._run_all(self._prepare(instance) for instance in new)
        yield from self._wait_while_stuck()
        if self._stop_signal.is_on:
            return
        with self._record_phase("gate"):
            yield self._env.timeout(self._rule.min_ready) | self._stop_signal.fired
        if self._stop_signal.is_on:
            return
        ready = self._instances.numbers(State.RETURNING)
        replaced = [k for k in old if k + self._instances.count in ready]
        self._switch(replaced, ready)
        self._check_full_fleet(old)
        drains = [
            self._env.process(self._drain_unless_interrupted(instance)) for instance in replaced
        ]
        yield from self._pause(self._rule.pause)
        yield self._env.all_of(drains) | self._stop_signal.fired
        if not self._stop_signal.is_on:
            yield self._run_all(self._retire(instance) for instance in replaced)
            return
        for process in drains:  # the old instances are needed again, or stay as they are
            if process.is_alive:
                process.interrupt()

    def _back(self) -> Steps:
        old = list(self._task.order)
        new = [k + self._instances.count for k in old]
        gone = {*self._instances.numbers(State.ABSENT, State.FAILED), *self._crashed_at_switch}
        yield self._run_all(self._prepare(instance) for instance in old if instance in gone)
        self._switch(new, old)
        yield self._run_all(self._drain_unless_interrupted(instance) for instance in new)
        yield self._run_all(self._retire(instance) for instance in new)

    def _prepare(self, instance: int) -> Steps:
        """Start an instance until it passes its checks, outside the pool."""
        try:
            if self._instances.state(instance) in (State.FAILED, State.DRAINING):
                yield from self._stop(instance)
            yield from self._make_ready(instance)
        except SimulatedStepFailed as failed:
            self._record_failure(instance, failed)
            return
        self._progress.note_available(instance)

    def _switch(self, away: Sequence[int], to: Sequence[int]) -> None:
        """Switch the traffic in one instant: instances enter the pool first, then others leave it."""
        ready = (State.RETURNING, State.DRAINING)
        for instance in to:
            if self._instances.state(instance) in ready:
                self._instances.join(instance)
        for instance in away:
            state = self._instances.state(instance)
            if state is State.CRASHED:
                self._crashed_at_switch.add(instance)
            if state in (State.SERVING, State.CRASHED):
                self._instances.leave(instance)

    def _check_full_fleet(self, old: Sequence[int]) -> None:
        """Check that the pool is as large after the switch; crashed instances were not in it before."""
        up_count = self._instances.in_pool_count
        if up_count < len(old) - len(self._instances.numbers(State.CRASHED)):
            raise InvariantBroken(f"{up_count} in the pool after the switch, a fleet of {len(old)}")

    def _drain_unless_interrupted(self, instance: int) -> Steps:
        if self._instances.state(instance) is not State.DRAINING:
            return
        try:
            yield from self._drain(instance)
        except simpy.Interrupt:
            return
        except SimulatedStepFailed as failed:
            self._record_failure(instance, failed)

    def _retire(self, instance: int) -> Steps:
        """Stop an instance and remove it."""
        if self._instances.state(instance) is not State.ABSENT:
            yield from self._stop(instance)
            self._instances.move(instance, State.ABSENT)
