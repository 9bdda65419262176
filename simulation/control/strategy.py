"""What all strategies share: the six steps of one instance, failing, halting, what the time went on.

Enters: a service's instances, its rule, and how long each step takes for each instance. Leaves:
moves of the instances, calls to the plane, and the phases in which the time was spent. A strategy
is a class over `Strategy`, one room each in `simulation.control.strategies`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import simpy

from executor.plan import model as plan
from executor.plan.model import Step
from simulation.control.draining import SimulatedStepFailed, drain, finish
from simulation.control.guards import LOOK_EVERY_S, find_crossed_limit, watch
from simulation.control.instances import Instances, Turnstile
from simulation.control.time_spent import Phase, SpentOn
from simulation.requests.arrivals import purpose_stream
from simulation.requests.draws import Draws
from simulation.requests.plane import RequestPlane, past_event
from simulation.results.failures import Cause, Failure, GuardFigure
from simulation.results.states import State
from simulation.scenario.model import NewVersion, Scenario
from simulation.scenario.rollout import Rollout
from simulation.scenario.units import Floats

Steps = Generator[simpy.Event, Any, None]

_ENOUGH = 100
"""Answers of the new version before a bake is cut short; at its end whatever there is counts."""

_BRING_UP = {
    Step.DEPLOY: State.DEPLOYING,
    Step.VERIFY: State.VERIFYING,
    Step.START: State.STARTING,
}


class InvariantBroken(Exception):
    """The rollout broke a promise of model.md §7: a defect of Rollcast, never of a scenario."""


def step_durations(
    scenario: Scenario, service: str, seed: int, replication: int
) -> dict[str, Floats]:
    """What each step takes for each instance, in seconds, shape (instances,) a step.

    A stream for each step, drawn in instance order: an instance keeps its durations whatever the
    window or the drain. A second instance takes as long as the first.
    """
    number = list(scenario.services).index(service)
    root = purpose_stream(seed, replication, "steps", number)
    part = scenario.services[service]
    names_and_times = list(part.steps.in_order())
    return {
        name: distribution.sample_s(rng, part.instance_count)
        for (name, distribution), rng in zip(
            names_and_times, root.spawn(len(names_and_times)), strict=True
        )
    }


class StopSignal:
    """Stops a whole release: once it is pulled, nothing new begins anywhere.

    Attributes:
        pulled: An event for when it is pulled.
        by: The rule of the service that pulled it.
        failure: Why it was pulled.
    """

    def __init__(self, env: simpy.Environment) -> None:
        self.pulled = simpy.Event(env)
        self.by: Rollout | None = None
        self.failure: Failure | None = None

    @property
    def is_on(self) -> bool:
        """Whether it was pulled."""
        return self.pulled.triggered

    def pull(self, by: Rollout, failure: Failure) -> None:
        """Pulls it; the first to do so decides what follows."""
        if not self.is_on:
            self.by, self.failure = by, failure
            self.pulled.succeed()


@dataclass(frozen=True)
class Task:
    """What a service's strategy is given.

    Attributes:
        rule: How the service is rolled.
        version: What is rolled out.
        window: Instances under way at once.
        surge: Instances beyond the fleet.
        order: The instances as they are rolled.
        durations_s: By step, shape (instances,).
        draws: Decide whether a step fails.
        first_number: The service's first instance among those of all services.
        service: The service's name.
    """

    rule: Rollout
    version: NewVersion
    window: int
    surge: int
    order: Sequence[int]
    durations_s: Mapping[str, Floats]
    draws: Draws
    first_number: int = 0
    service: str = ""


class _SpentOn:
    """Notes a phase when it is left; made for every step, so that it is no generator."""

    __slots__ = ("_begin_s", "_cause", "_env", "_instance", "_phases")

    def __init__(
        self, env: simpy.Environment, phases: list[Phase], cause: SpentOn, instance: int | None
    ) -> None:
        self._env, self._phases, self._cause, self._instance = env, phases, cause, instance

    def __enter__(self) -> None:
        self._begin_s = float(self._env.now)

    def __exit__(self, *_error: object) -> None:
        end_s = float(self._env.now)
        self._phases.append(Phase(self._cause, self._instance, self._begin_s, end_s))


class Strategy:
    """One service's rollout, forward and, on demand, back.

    Attributes:
        phases: What the time was spent on.
        failures: What failed or tripped, in turn.
        begun_s: When it began, None when it never did.
        ended_s: When every instance was done, None when it was stopped before.
    """

    def __init__(
        self, env: simpy.Environment, plane: RequestPlane, instances: Instances, task: Task
    ) -> None:
        self._env = env
        self._plane = plane
        self._instances = instances
        self._task = task
        self._rule = task.rule
        self._brake = StopSignal(env)
        self._to_new = True
        self.phases: list[Phase] = []
        self.failures: list[Failure] = []
        self.begun_s: float | None = None
        self.ended_s: float | None = None

    @property
    def rule(self) -> Rollout:
        """How the service is rolled."""
        return self._rule

    def forward(self, brake: StopSignal) -> Steps:
        """The whole rollout; ends when every instance is done, or the last one under way is."""
        self._brake = brake
        self.begun_s = float(self._env.now)
        guards = self._rule.guards
        if guards is not None:
            watching = self._env.process(watch(self._env, self._plane, guards, self.trip))
        yield from self._forward()
        if guards is not None and watching.is_alive:
            watching.interrupt()
        if not brake.is_on:
            self.ended_s = float(self._env.now)

    def back(self, brake: StopSignal) -> Steps:
        """Everything as it was before; ends likewise."""
        self._brake, self._to_new = brake, False
        yield from self._back()
        if not brake.is_on:
            self._must_be_what_was()

    def _forward(self) -> Steps:
        raise NotImplementedError

    def _back(self) -> Steps:
        raise NotImplementedError

    def trip(self, failure: Failure) -> None:
        """Something observed went over its limit: the release stops."""
        own = replace(failure, service=self._task.service)
        self.failures.append(own)
        self._brake.pull(self._rule, own)

    def _must_be_what_was(self) -> None:
        """A rollback restores exactly the fleet that was."""
        up = (State.SERVING, State.CRASHED)
        for k, state in enumerate(self._instances.fleet.state):
            as_it_was = state in up if k < self._instances.count else state is State.ABSENT
            if not as_it_was or (k < self._instances.count and self._instances.is_new[k]):
                raise InvariantBroken(f"instance {k + 1} is {state} after the rollback")

    def _changed(self) -> list[int]:
        """The instances that are not as they were: those that failed, then the new version's.

        Who is out of the pool already comes first: the others may have to wait for it.
        """
        failed = self._instances.numbers(State.FAILED)
        new = [k for k in self._task.order if self._instances.is_new[k] and k not in failed]
        return [*(k for k in self._task.order if k in failed), *new]

    # What becomes of one instance

    def _drain(self, instance: int) -> Steps:
        """It has left the pool: until what is in flight has ended, and the step took its time."""
        with self._spent_on("drain", instance):
            least_s = max(self._duration_s(instance, Step.TAKE_OUT), self._rule.pre_stop)
            may_stop = self._for(least_s)
            yield from drain(self._env, self._plane, instance, self._rule.drain)
            yield may_stop

    def _stop(self, instance: int) -> Steps:
        """It is removed from the balancer, and ends."""
        with self._spent_on("step", instance):
            self._instances.move(instance, State.STOPPING)
            self._plane.remove(instance)
            self._plane.stop(instance)
            rule = self._rule
            yield from finish(self._env, self._plane, instance, rule.stop, rule.pre_stop)
            yield self._for(self._duration_s(instance, Step.STOP))

    def _take_down(self, instance: int) -> Generator[simpy.Event, Any, bool]:
        """Its drain, where it has one, and its stop; whether it came so far."""
        try:
            if self._instances.state(instance) is State.DRAINING:
                yield from self._drain(instance)
            yield from self._stop(instance)
        except SimulatedStepFailed as failed:
            self._failed(instance, failed)
            return False
        return True

    def _bring_up(self, instance: int) -> Steps:
        """Deploy, verify, start; from then on it listens, with the version that is meant."""
        for step, state in _BRING_UP.items():
            self._instances.move(instance, state)
            with self._spent_on("step", instance):
                yield from self._attempts(instance, step)
        self._instances.is_new[instance] = self._to_new
        self._plane.start(instance, new_version=self._to_new)

    def _return(self, instance: int) -> Steps:
        """The step before the pool: it lasts until the balancer's checks pass."""
        with self._spent_on("step", instance):
            self._instances.move(instance, State.RETURNING)
            yield self._for(self._duration_s(instance, Step.RETURN))
            yield self._plane.when_healthy(instance)

    def _stay_up(self, instance: int) -> Steps:
        """Back in the pool, for as long as `min_ready`; a crash makes it begin again."""
        if self._rule.min_ready == 0:
            return
        with self._spent_on("gate", instance):
            while True:
                crashed = self._instances.when_moved(instance)
                yield self._env.timeout(self._rule.min_ready) | crashed
                if not crashed.triggered:
                    return
                yield self._instances.when_moved(instance)  # it is repaired

    def _attempts(self, instance: int, step: Step) -> Steps:
        """A step, again as often as it fails and may be tried again."""
        for attempt in range(self._rule.retries + 1):
            yield self._for(self._duration_s(instance, step))
            if not self._fails(instance, step, attempt):
                return
        tries = self._rule.retries + 1
        raise SimulatedStepFailed(
            Failure(Cause.STEP_FAILED, step=step, figure=GuardFigure.TRIES, observed=tries)
        )

    def _duration_s(self, instance: int, step: Step) -> float:
        return float(self._task.durations_s[step][instance % self._instances.count])

    def _fails(self, instance: int, step: Step, attempt: int) -> bool:
        """Whether the new version does not come through this step."""
        version = self._task.version
        shares = {Step.VERIFY: version.verify_fails, Step.START: version.start_fails}
        share = shares.get(step, 0.0)
        if not self._to_new or share == 0:
            return False
        number = self._task.first_number + instance
        return self._task.draws.uniform(step, number, attempt) < share

    def _failed(self, instance: int, why: SimulatedStepFailed) -> None:
        """A step failed for good: the instance stays as it is, and too many stop the release.

        On the way back the first one does, whatever was allowed forward: what was is not restored.
        """
        self._instances.move(instance, State.FAILED)
        failure = replace(why.failure, service=self._task.service, instance=instance)
        self.failures.append(failure)
        allowed = self._rule.max_failures if self._rule.on_failure == "continue" else 0
        if not self._to_new or len(self.failures) > allowed:
            self._brake.pull(self._rule, failure)

    # Waiting

    def _for(self, duration_s: float) -> simpy.Event:
        """An event for when so much time has passed; of no time, none is made of it."""
        return self._env.timeout(duration_s) if duration_s > 0 else past_event(self._env)

    def _passes(self, gate: Turnstile, *given_up: simpy.Event) -> Generator[simpy.Event, Any, bool]:
        """Waits for a turn; whether it came before a halt, or before it was given up."""
        ends = [self._brake.pulled, *given_up]
        if not any(end.triggered for end in ends) and gate.passes():
            return True
        wish = gate.wish()
        yield self._env.any_of([wish, *ends])
        if any(end.triggered for end in ends):
            gate.withdraw(wish)
            return False
        return True

    def _all(self, processes: Iterator[Steps]) -> simpy.Event:
        """An event for when all of these have ended, which run side by side."""
        return self._env.all_of([self._env.process(one) for one in processes])

    def _pause(self, pause_s: float, instance: int | None = None) -> Steps:
        """A pause as the rule says it; a halt ends it."""
        if pause_s == 0:
            return
        with self._spent_on("pause", instance):
            yield self._env.timeout(pause_s) | self._brake.pulled

    def _pass_gate(self, gate: plan.Gate) -> Steps:
        """Wait out a gate between two waves; in a bake, watch the new version from its beginning."""
        if gate.kind == "pause":
            yield from self._pause(gate.pause_s)
            return
        begin_s = float(self._env.now)
        end_s = begin_s + gate.pause_s
        with self._spent_on("gate"):
            while self._env.now < end_s and not self._brake.is_on:
                left_s = end_s - float(self._env.now)
                yield self._env.timeout(min(LOOK_EVERY_S, left_s)) | self._brake.pulled
                now = float(self._env.now)
                seen = self._plane.ended_between(begin_s, now, new_version=True)
                failure = find_crossed_limit(
                    Cause.CANARY, seen, gate.error_fraction, gate.latency_p99_s
                )
                if failure is not None and (seen.ended >= _ENOUGH or now >= end_s):
                    self.trip(failure)

    def _spent_on(self, cause: SpentOn, instance: int | None = None) -> _SpentOn:
        """What the time went on while this lasts."""
        return _SpentOn(self._env, self.phases, cause, instance)
