"""The rolling strategy as SimPy processes: one process for each instance, one for the whole.

Enters: the plane, the fleet, and how long each step takes for each instance. Leaves: moves of the
fleet, calls to the plane, a log of the pool, and how it ended. A window is a `simpy.Resource` of
places, `min_healthy` a `simpy.Container` of instances that may be spared.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import simpy
from simpy.resources.resource import Request

from executor.plan import Step, waves_for
from simulation.arrivals import purpose_stream
from simulation.draining import StepFailed, drain, finish
from simulation.draws import Draws
from simulation.engines.plane import RequestPlane
from simulation.fleet import Fleet, State
from simulation.scenario import NewVersion, Rollout, Scenario, Service
from simulation.units import Floats

Steps = Generator[simpy.Event, Any, None]

_STATE_OF = {
    Step.STOP: State.STOPPING,
    Step.DEPLOY: State.DEPLOYING,
    Step.VERIFY: State.VERIFYING,
    Step.START: State.STARTING,
    Step.RETURN: State.RETURNING,
}


def step_durations(service: Service, seed: int, replication: int) -> dict[str, Floats]:
    """What each step takes for each instance, in seconds, shape (instances,) a step.

    A stream for each step, drawn in instance order: an instance keeps its durations whatever the
    window or the drain.
    """
    root = purpose_stream(seed, replication, "steps")
    names_and_times = list(service.steps.in_order())
    return {
        name: distribution.sample_s(rng, service.instance_count)
        for (name, distribution), rng in zip(
            names_and_times, root.spawn(len(names_and_times)), strict=True
        )
    }


def rolling_order(scenario: Scenario) -> list[int]:
    """The instances in the order in which they are rolled, the same in every replication."""
    numbers = list(range(scenario.service.instance_count))
    if scenario.rollout is not None and scenario.rollout.instance_order == "random":
        draws = Draws(scenario.seed, 0)
        numbers.sort(key=lambda instance: draws.uniform("order", instance))
    return numbers


@dataclass(frozen=True)
class PoolChange:
    """How many instances of each version are in the pool from a moment on."""

    time_s: float
    old_count: int
    new_count: int


class InvariantBroken(Exception):
    """The rollout broke a promise of model.md §7: a defect of Rollcast, never of a scenario."""


class RollingRollout:
    """Takes every instance through the six steps, a window at a time."""

    def __init__(
        self,
        env: simpy.Environment,
        plane: RequestPlane,
        fleet: Fleet,
        rollout: Rollout,
        version: NewVersion,
        *,
        window: int,
        order: Sequence[int],
        durations_s: Mapping[str, Sequence[float] | Floats],
        draws: Draws,
    ) -> None:
        self._env = env
        self._plane = plane
        self._fleet = fleet
        self._rule = rollout
        self._version = version
        self._window = window
        self._order = order
        self._durations_s = durations_s
        self._draws = draws
        self._spare = simpy.Container(env, init=fleet.count - rollout.min_healthy)
        self._places = simpy.Resource(env, capacity=window)
        self._halted = simpy.Event(env)
        self._to_new = True
        self._under_way = 0
        self._is_new = [False] * fleet.count
        self.pool_log = [PoolChange(float(env.now), fleet.count, 0)]
        self.failures: list[str] = []
        self.rolled_back = False
        self.ended_s: float | None = None

    @property
    def is_halted(self) -> bool:
        """Whether so much failed that nothing new begins."""
        return self._halted.triggered

    def run(self) -> Steps:
        """The whole rollout; ends when every instance is done, or the last one under way is."""
        yield from self._roll(self._order)
        if not self.is_halted:
            self.ended_s = float(self._env.now)
        elif self._rule.on_failure == "rollback":
            self._to_new = False
            self._places = simpy.Resource(self._env, capacity=self._window)
            self._halted = simpy.Event(self._env)
            states = self._fleet.state
            changed = [k for k in self._order if self._is_new[k] or states[k] is State.FAILED]
            yield from self._roll(changed)
            self.rolled_back = True

    def _roll(self, order: Sequence[int]) -> Steps:
        """These instances, wave by wave, to the version that is meant."""
        names = [str(instance) for instance in order]
        for wave in waves_for(names, self._window, self._rule.advance, self._rule.pause):
            rolled = [self._env.process(self._instance(int(name))) for name in wave.instances]
            yield self._env.all_of(rolled)
            if self.is_halted:
                return
            if wave.gate is not None:
                yield self._env.timeout(wave.gate.pause_s)

    def _instance(self, instance: int) -> Steps:
        """One instance: a place in the window, the six steps, `min_ready`."""
        place = self._places.request()
        yield place | self._halted
        is_out = self._fleet.state[instance] is State.FAILED
        if not is_out and not self.is_halted:
            yield from self._wait_for_spare()
        if self.is_halted:
            return
        self._under_way += 1
        try:
            yield from self._six_steps(instance, is_out)
            yield self._env.timeout(self._rule.min_ready)
        except StepFailed as failed:
            self._fleet.move(instance, State.FAILED, self._env.now)
            self.failures.append(f"instance {instance + 1}: {failed}")
            allowed = self._rule.max_failures if self._rule.on_failure == "continue" else 0
            if len(self.failures) > allowed and not self.is_halted:
                self._halted.succeed()
        self._under_way -= 1
        self._env.process(self._give_back(place))

    def _wait_for_spare(self) -> Steps:
        """Until one more may be missing from the pool; a halt takes the wish back."""
        spare = self._spare.get(1)
        yield spare | self._halted
        if self.is_halted:
            if spare.triggered:
                yield self._spare.put(1)
            else:
                spare.cancel()

    def _give_back(self, place: Request) -> Steps:
        """The place in the window is free again: after the pause, where places slide."""
        yield self._env.timeout(self._rule.pause if self._rule.advance == "sliding" else 0.0)
        place.resource.release(place)

    def _six_steps(self, instance: int, is_out: bool) -> Steps:
        """Take out, unless it is; stop, deploy, verify, start, return."""
        if not is_out:
            yield from self._take_out(instance)
        for step, state in _STATE_OF.items():
            self._fleet.move(instance, state, self._env.now)
            if step is Step.STOP:
                self._plane.stop(instance)
                yield from finish(
                    self._env, self._plane, instance, self._rule.stop, self._rule.pre_stop
                )
            yield from self._attempts(instance, step)
            if step is Step.START:
                self._plane.start(instance, new_version=self._to_new)
                self._is_new[instance] = self._to_new
        self._fleet.move(instance, State.SERVING, self._env.now)
        self._plane.set_pool(instance, True)
        self._log_pool(instance, 1)
        yield self._spare.put(1)

    def _attempts(self, instance: int, step: Step) -> Steps:
        """A step, again as often as it fails and may be tried again."""
        for attempt in range(self._rule.retries + 1):
            yield self._env.timeout(self._durations_s[step][instance])
            if not self._fails(instance, step, attempt):
                return
        raise StepFailed(f"{step}: failed {self._rule.retries + 1} times")

    def _fails(self, instance: int, step: Step, attempt: int) -> bool:
        """Whether the new version does not come through this step."""
        shares = {Step.VERIFY: self._version.verify_fails, Step.START: self._version.start_fails}
        share = shares.get(step, 0.0)
        if not self._to_new or share == 0:
            return False
        return self._draws.uniform(step, instance, attempt) < share

    def _take_out(self, instance: int) -> Steps:
        """No new requests from now on; the drain, while the step itself takes its time."""
        self._fleet.move(instance, State.DRAINING, self._env.now)
        self._plane.set_pool(instance, False)
        self._log_pool(instance, -1)
        took_out = self._env.timeout(self._durations_s[Step.TAKE_OUT][instance])
        may_stop = self._env.timeout(self._rule.pre_stop)
        yield from drain(self._env, self._plane, instance, self._rule.drain)
        yield took_out & may_stop

    def _log_pool(self, instance: int, change_count: int) -> None:
        before = self.pool_log[-1]
        old, new = before.old_count, before.new_count
        if self._is_new[instance]:
            new += change_count
        else:
            old += change_count
        change = PoolChange(float(self._env.now), old, new)
        self.pool_log.append(change)
        in_pool = change.old_count + change.new_count
        if self._under_way > self._window:
            raise InvariantBroken(f"{self._under_way} under way, window {self._window}")
        if in_pool < self._rule.min_healthy:
            raise InvariantBroken(f"{in_pool} in the pool, minimum {self._rule.min_healthy}")


def lowest_in_pool(log: Sequence[PoolChange], until_s: float) -> int:
    """The fewest instances in the pool up to a moment."""
    return min(one.old_count + one.new_count for one in log if one.time_s <= until_s)


def pool_at(log: Sequence[PoolChange], edges_s: Floats) -> tuple[Floats, Floats, Floats]:
    """Means between the edges: instances in the pool, the new ones' share, both versions at once.

    Args:
        log: The pool's changes.
        edges_s: Ascending times, shape (bins + 1,).

    Returns:
        Three arrays of shape (bins,): mean count in the pool, mean share of the new version among
        them (0 where the pool is empty), share of the time with both versions in the pool.
    """
    times = np.array([one.time_s for one in log])
    old = np.array([one.old_count for one in log], dtype=float)
    new = np.array([one.new_count for one in log], dtype=float)
    total = old + new
    share = np.divide(new, total, out=np.zeros_like(new), where=total > 0)
    mixed = ((old > 0) & (new > 0)).astype(float)
    return tuple(_means(times, values, edges_s) for values in (total, share, mixed))  # type: ignore[return-value]


def _means(times: Floats, values: Floats, edges_s: Floats) -> Floats:
    """Means between edges of a step function that begins at or before the first edge."""
    areas = np.concatenate([[0.0], np.cumsum(values[:-1] * np.diff(times))])
    index = np.searchsorted(times, edges_s, side="right") - 1
    integral = areas[index] + values[index] * (edges_s - times[index])
    return np.diff(integral) / np.diff(edges_s)
