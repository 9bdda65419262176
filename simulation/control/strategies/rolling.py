"""`rolling`: every instance goes through the six steps in place, a window at a time."""

from __future__ import annotations

from collections.abc import Sequence

import simpy

from executor.plan.model import Wave
from executor.plan.waves import waves_for
from simulation.control.draining import SimulatedStepFailed
from simulation.control.instances import AdmissionQueue, Instances
from simulation.control.strategy import InvariantBroken, Steps, Strategy, Task
from simulation.control.waiting import FirstOf, Places
from simulation.requests.plane import RequestPlane
from simulation.results.failures import Cause, Failure, GuardFigure
from simulation.results.states import State


class Rolling(Strategy):
    """Replace instances in place: `_places` limits those under way, `_spare` keeps the minimum in the pool."""

    def __init__(
        self, env: simpy.Environment, plane: RequestPlane, instances: Instances, task: Task
    ) -> None:
        super().__init__(env, plane, instances, task)
        self._places = Places(env, task.window)
        self._spare = AdmissionQueue(env, lambda: instances.in_pool_count - task.min_healthy)
        instances.queues.append(self._spare)
        self._under_way = 0
        self._taken: set[int] = set()

    def _forward(self) -> Steps:
        yield from self._roll(self._waves(self._task.order))

    def _back(self) -> Steps:
        self._places = Places(self._env, self._task.window)
        self._under_way = 0  # failed instances that kept their places no longer do
        changed = self._changed_instances()
        if changed:  # none where the stop came before the first take-out
            yield from self._roll(self._waves(changed))

    def _waves(self, order: Sequence[int]) -> Sequence[Wave]:
        names = [str(instance) for instance in order]
        return waves_for(names, self._task.window, self._rule.advance, self._rule.pause)

    def _roll(self, waves: Sequence[Wave]) -> Steps:
        """Bring instances to the target version, wave by wave."""
        for wave in waves:
            batch = [int(name) for name in wave.instances]
            yield self._run_all(self._instance(instance) for instance in batch)
            yield from self._wait_while_stuck()
            self._stop_after_failed_batch(batch)
            if self._stop_signal.is_on:
                return
            if wave.gate is not None:
                yield from self._pass_gate(wave.gate)

    def _instance(self, instance: int) -> Steps:
        """Roll one instance: wait for a place in the window, then do the six steps and `min_ready`."""
        places = self._places
        yield FirstOf(self._env, places.request(), self._stop_signal.fired)
        if self._stop_signal.is_on:
            return
        if self._instances.is_in_pool(instance):
            if not (yield from self._wait_for_admission(self._spare)):
                return
            self._instances.leave(instance)
            self._spare.confirm()
            self._check_minimum()
        elif self._instances.state(instance) is State.CRASHED:
            self._instances.leave(instance)
        self._under_way += 1
        self._taken.add(instance)
        if self._under_way > self._task.window:
            raise InvariantBroken(f"{self._under_way} under way, window {self._task.window}")
        try:
            yield from self._six_steps(instance)
        except SimulatedStepFailed as failed:
            self._record_failure(instance, failed)
            if self._keeps_places:
                return
            self._stop_when_none_may_follow()
        self._under_way -= 1
        if self._rule.pause > 0 and self._rule.advance == "sliding":
            self._env.process(self._release_after_pause(places, instance))
        else:
            places.release()

    def _six_steps(self, instance: int) -> Steps:
        """Do the six steps of an instance that was taken out or has failed, from its drain on."""
        if self._instances.state(instance) is State.DRAINING:
            yield from self._drain(instance)
        yield from self._stop(instance)
        yield from self._make_ready(instance)
        self._instances.join(instance)
        yield from self._wait_min_ready(instance)

    def _release_after_pause(self, places: Places, instance: int) -> Steps:
        """Free the place in the window after the pause."""
        yield from self._pause(self._rule.pause, instance)
        places.release()

    def _stop_when_none_may_follow(self) -> None:
        """Stop the release when failed instances leave no more than the minimum to the pool.

        With a minimum of 3 of 4 instances, one that failed stays out, so no other may be taken out.
        """
        instances, least = self._instances, self._task.min_healthy
        left = [k for k in range(instances.count) if instances.state(k) is not State.FAILED]
        is_over = self._taken.issuperset(left)
        if len(left) <= least and not is_over and not self._stop_signal.is_on:
            self.trip(
                Failure(
                    Cause.NO_MORE_MAY_FOLLOW,
                    figure=GuardFigure.INSTANCES_LEFT,
                    observed=len(left),
                    limit=least,
                )
            )

    def _check_minimum(self) -> None:
        in_pool, least = self._instances.in_pool_count, self._task.min_healthy
        if in_pool < least:
            raise InvariantBroken(f"{in_pool} in the pool, minimum {least}")
