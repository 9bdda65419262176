"""The parts that all strategies share: the six steps of one instance, failures, halts, and phases of time.

A strategy is a subclass of `Strategy`, one module each in `simulation.control.strategies`. It moves
the instances of one service and calls the service's request plane.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import simpy

from executor.plan import model as plan
from executor.plan.model import Step
from simulation.control.correlated_steps import correlate_durations
from simulation.control.deadlines import ProgressClock, finish_within
from simulation.control.draining import SimulatedStepFailed, drain, finish
from simulation.control.guards import LOOK_EVERY_S, find_crossed_limit, watch
from simulation.control.instances import AdmissionQueue, Instances
from simulation.control.shared_work import ProcessorSharing
from simulation.control.time_spent import Phase, SpentOn
from simulation.requests.arrivals import purpose_stream
from simulation.requests.draws import Draws
from simulation.requests.plane import RequestPlane, past_event
from simulation.results.failures import Cause, Failure, FleetCounts, GuardFigure
from simulation.results.states import State
from simulation.scenario.model import NewVersion, Scenario
from simulation.scenario.rollout import Rollout
from simulation.scenario.units import Floats

Steps = Generator[simpy.Event, Any, None]

_ENOUGH = 100
"""Minimum number of answers of the new version before a bake may end early; at its end any number counts."""

_BRING_UP = {
    Step.DEPLOY: State.DEPLOYING,
    Step.VERIFY: State.VERIFYING,
    Step.START: State.STARTING,
}
_STEP_OF = {state: step for step, state in _BRING_UP.items()} | {State.RETURNING: Step.RETURN}


class InvariantBroken(Exception):
    """A broken promise of model.md §7: a defect of Rollcast, never of a scenario."""


def step_durations(
    scenario: Scenario, service: str, seed: int, replication: int
) -> dict[str, Floats]:
    """Return the duration of each step for each instance, in seconds, shape (instances,) a step.

    Each step has a stream of its own, drawn in the order of the instances, so an instance keeps its
    durations whatever the window or the drain. A second instance takes as long as the first. Steps
    that are correlated between instances have one common deviate each, drawn from another stream.
    """
    number = list(scenario.services).index(service)
    root = purpose_stream(seed, replication, "steps", number)
    part = scenario.services[service]
    names_and_times = list(part.steps.in_order())
    streams = root.spawn(len(names_and_times))
    count, correlation = part.instance_count, part.steps.correlation
    if correlation == 0:
        return {
            name: distribution.sample_s(rng, count)
            for (name, distribution), rng in zip(names_and_times, streams, strict=True)
        }
    common = purpose_stream(seed, replication, "correlation", number).standard_normal(len(streams))
    return {
        name: correlate_durations(distribution, correlation, float(z), rng, count)
        for (name, distribution), rng, z in zip(names_and_times, streams, common, strict=True)
    }


class StopSignal:
    """A signal that stops a whole release: after it, nothing new begins in any service.

    Attributes:
        fired: An event that fires when the release stops.
        rule: The rule of the service that stopped the release.
        failure: The reason.
    """

    def __init__(self, env: simpy.Environment) -> None:
        self.fired = simpy.Event(env)
        self.rule: Rollout | None = None
        self.failure: Failure | None = None

    @property
    def is_on(self) -> bool:
        """Return whether the release was stopped."""
        return self.fired.triggered

    def fire(self, rule: Rollout, failure: Failure) -> None:
        """Stop the release; only the first call counts, its rule decides what follows."""
        if not self.is_on:
            self.rule, self.failure = rule, failure
            self.fired.succeed()


@dataclass(frozen=True)
class Task:
    """The facts about its service that a strategy needs.

    Attributes:
        rule: How the service is rolled.
        version: The new version.
        window: Maximum number of instances under way at once.
        surge: Maximum number of instances beyond the fleet.
        min_healthy: Minimum number of instances that the rollout leaves in the pool.
        max_failures: Maximum number of failed instances with which the rollout continues.
        order: The instances in the order in which they are rolled.
        durations_s: Durations by step, shape (instances,).
        draws: The random numbers that decide whether a step fails.
        first_number: Number of the service's first instance among the instances of all services.
        service: The service's name.
        shared_s: Work in the queue that all instances share, for the steps that have such work.
        drains_to_timeout: Whether open connections hold every drain up until its timeout.
    """

    rule: Rollout
    version: NewVersion
    window: int
    surge: int
    min_healthy: int
    max_failures: int
    order: Sequence[int]
    durations_s: Mapping[str, Sequence[float]]
    draws: Draws
    first_number: int = 0
    service: str = ""
    shared_s: Mapping[str, float] = field(default_factory=dict)
    drains_to_timeout: bool = False


class _PhaseRecorder:
    """A context that records a phase at its end; a class, because a generator for each step is slower."""

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
    """The rollout of one service, forward and, on demand, back.

    Attributes:
        phases: What the time was spent on.
        failures: Failures in the order in which they happened.
        begun_s: When the rollout began; None when it never did.
        ended_s: When every instance was done; None when the rollout was stopped before.
    """

    def __init__(
        self, env: simpy.Environment, plane: RequestPlane, instances: Instances, task: Task
    ) -> None:
        self._env = env
        self._plane = plane
        self._instances = instances
        self._task = task
        self._rule = task.rule
        self._stop_signal = StopSignal(env)
        self._to_new = True
        self._shared = ProcessorSharing(env)
        self._progress = ProgressClock(env, instances.count)
        self._not_yet_ready: set[int] = set()  # in the pool, but not up for `min_ready` yet
        self.phases: list[Phase] = []
        self.failures: list[Failure] = []
        self.begun_s: float | None = None
        self.ended_s: float | None = None

    @property
    def rule(self) -> Rollout:
        """How the service is rolled."""
        return self._rule

    def forward(self, stop_signal: StopSignal) -> Steps:
        """Roll until every instance is done or, after a stop, the last instance under way is."""
        self._stop_signal = stop_signal
        self.begun_s = float(self._env.now)
        guards = self._rule.guards
        if guards is not None:
            watcher = self._env.process(watch(self._env, self._plane, guards, self.trip))
        if self._rule.progress_deadline_s is not None:
            self._env.process(self._watch_progress(self._rule.progress_deadline_s))
        yield from self._forward()
        yield from self._wait_while_stuck()
        self._progress.end()
        if guards is not None and watcher.is_alive:
            watcher.interrupt()
        if not stop_signal.is_on:
            self.ended_s = float(self._env.now)

    def back(self, stop_signal: StopSignal) -> Steps:
        """Roll back until everything is as it was before or, after a stop, the last one under way is done."""
        self._stop_signal, self._to_new = stop_signal, False
        yield from self._back()
        if not stop_signal.is_on:
            self._check_restored()

    def _forward(self) -> Steps:
        raise NotImplementedError

    def _back(self) -> Steps:
        raise NotImplementedError

    def trip(self, failure: Failure) -> None:
        """Stop the release, because something observed went over its limit."""
        failure = replace(failure, service=self._task.service)
        self.failures.append(failure)
        self._stop_signal.fire(self._rule, failure)

    def _watch_progress(self, deadline_s: float) -> Steps:
        """Stop the release when no instance has become available for ``deadline_s``."""
        if (yield from self._progress.stalls(deadline_s)) and not self._stop_signal.is_on:
            self.trip(
                Failure(
                    Cause.PROGRESS_DEADLINE,
                    figure=GuardFigure.SECONDS,
                    observed=deadline_s,
                    limit=deadline_s,
                    counts=self._count_fleet(),
                )
            )

    def _count_fleet(self) -> FleetCounts:
        failed = self._instances.numbers(State.FAILED)
        return FleetCounts(
            updated=sum(
                self._instances.state(k) is not State.ABSENT for k in self._progress.updated
            ),
            available=self._instances.in_pool_count - len(self._not_yet_ready),
            failed=len(failed),
        )

    @property
    def _keeps_places(self) -> bool:
        """Return whether an instance that fails now keeps its place: only on the way forward."""
        return self._rule.on_failure == "budget" and self._to_new

    def _wait_while_stuck(self) -> Steps:
        """Where a failed instance keeps its place, wait until the release stops."""
        if self._progress.is_stuck and self._to_new and not self._stop_signal.is_on:
            yield self._stop_signal.fired

    def _stop_after_failed_batch(self, batch: Sequence[int]) -> None:
        """Stop the release after a batch in which every instance failed, where the rule says so.

        Ansible ends a play in this case, whatever its `max_fail_percentage` is.
        """
        if not (self._rule.stops_after_failed_batch and self._to_new) or self._stop_signal.is_on:
            return
        if all(self._instances.state(instance) is State.FAILED for instance in batch):
            self.trip(
                Failure(
                    Cause.BATCH_FAILED,
                    figure=GuardFigure.INSTANCES_FAILED,
                    observed=len(batch),
                    limit=len(batch) - 1,
                )
            )

    def _check_restored(self) -> None:
        """Check that a rollback has restored exactly the fleet that was there before."""
        up = (State.SERVING, State.CRASHED)
        for k, state in enumerate(self._instances.fleet.state):
            as_it_was = state in up if k < self._instances.count else state is State.ABSENT
            if not as_it_was or (k < self._instances.count and self._instances.is_new[k]):
                raise InvariantBroken(f"instance {k + 1} is {state} after the rollback")

    def _changed_instances(self) -> list[int]:
        """Return the instances to roll back: those that failed, then those with the new version.

        Failed instances come first, because they are out of the pool already: the others may have to
        wait until these are back.
        """
        failed = self._instances.numbers(State.FAILED)
        new = [k for k in self._task.order if self._instances.is_new[k] and k not in failed]
        return [*(k for k in self._task.order if k in failed), *new]

    # What becomes of one instance

    def _drain(self, instance: int) -> Steps:
        """Wait until an instance that left the pool has drained, and at least as long as the step lasts."""
        with self._record_phase("drain", instance):
            least_s = max(self._duration_s(instance, Step.TAKE_OUT), self._rule.pre_stop)
            may_stop = self._elapsed_after(least_s)
            if Step.TAKE_OUT in self._task.shared_s:
                may_stop &= self._env.process(self._spend_step(instance, Step.TAKE_OUT))
            yield from drain(
                self._env,
                self._plane,
                instance,
                self._rule.drain,
                to_timeout=self._task.drains_to_timeout,
            )
            yield may_stop

    def _stop(self, instance: int) -> Steps:
        """Remove an instance from the balancer and stop it."""
        with self._record_phase("step", instance):
            self._instances.move(instance, State.STOPPING)
            self._plane.remove(instance)
            self._plane.stop(instance)
            rule = self._rule
            yield from finish(self._env, self._plane, instance, rule.stop, rule.pre_stop)
            yield from self._spend_step(instance, Step.STOP)

    def _take_down(self, instance: int) -> Generator[simpy.Event, Any, bool]:
        """Drain an instance, where it is draining, and stop it; return False when that failed."""
        try:
            if self._instances.state(instance) is State.DRAINING:
                yield from self._drain(instance)
            yield from self._stop(instance)
        except SimulatedStepFailed as failed:
            self._record_failure(instance, failed)
            return False
        return True

    def _make_ready(self, instance: int) -> Steps:
        """Deploy, verify, start and return an instance, within its deadline.

        The deadline includes `min_ready`: an instance that cannot be up for so long before its
        deadline has failed already. On the way back there is none.

        Raises:
            SimulatedStepFailed: A step failed for good, or the deadline passed.
        """
        deadline_s = self._rule.healthy_deadline if self._to_new else None
        if self._to_new:
            self._progress.updated.add(instance)
        if deadline_s is None:
            yield from self._bring_up_and_return(instance)
            return
        left_s = deadline_s - self._rule.min_ready
        late = partial(self._miss_deadline, instance, deadline_s)
        yield from finish_within(self._env, left_s, self._bring_up_and_return(instance), late)

    def _bring_up_and_return(self, instance: int) -> Steps:
        yield from self._bring_up(instance)
        yield from self._return(instance)

    def _miss_deadline(self, instance: int, deadline_s: float) -> Failure:
        """Return the failure of an instance that is not healthy at its deadline."""
        return Failure(
            Cause.HEALTHY_DEADLINE,
            step=_STEP_OF[self._instances.state(instance)],
            figure=GuardFigure.SECONDS,
            observed=deadline_s,
            limit=deadline_s,
        )

    def _bring_up(self, instance: int) -> Steps:
        """Deploy, verify and start an instance; from then on it listens, with the target version."""
        for step, state in _BRING_UP.items():
            self._instances.move(instance, state)
            with self._record_phase("step", instance):
                yield from self._run_step(instance, step)
        self._instances.is_new[instance] = self._to_new
        self._plane.start(instance, new_version=self._to_new)

    def _return(self, instance: int) -> Steps:
        """Do the step ``RETURN``, the last one before an instance joins the pool again.

        The step lasts its duration, and then until the balancer's health checks pass.
        """
        with self._record_phase("step", instance):
            self._instances.move(instance, State.RETURNING)
            yield from self._spend_step(instance, Step.RETURN)
            yield self._plane.when_healthy(instance)

    def _wait_min_ready(self, instance: int) -> Steps:
        """Wait until an instance in the pool has been up for `min_ready`; a crash begins the time anew."""
        if self._rule.min_ready > 0:
            self._not_yet_ready.add(instance)
            with self._record_phase("gate", instance):
                while True:
                    crashed = self._instances.when_moved(instance)
                    yield self._env.timeout(self._rule.min_ready) | crashed
                    if not crashed.triggered:
                        break
                    yield self._instances.when_moved(instance)  # until it is repaired
            self._not_yet_ready.discard(instance)
        self._progress.note_available(instance)

    def _run_step(self, instance: int, step: Step) -> Steps:
        """Do a step, and again while it fails and may be tried again."""
        for attempt in range(self._rule.retries + 1):
            yield from self._spend_step(instance, step)
            if not self._step_fails(instance, step, attempt):
                return
        tries = self._rule.retries + 1
        raise SimulatedStepFailed(
            Failure(Cause.STEP_FAILED, step=step, figure=GuardFigure.TRIES, observed=tries)
        )

    def _spend_step(self, instance: int, step: Step) -> Steps:
        """Wait for the step's own duration, then until its shared work is done."""
        yield self._elapsed_after(self._duration_s(instance, step))
        if step in self._task.shared_s:
            yield self._shared.request(self._task.shared_s[step])

    def _duration_s(self, instance: int, step: Step) -> float:
        return self._task.durations_s[step][instance % self._instances.count]

    def _step_fails(self, instance: int, step: Step, attempt: int) -> bool:
        """Return whether the new version fails at this attempt of a step."""
        version = self._task.version
        shares = {Step.VERIFY: version.verify_fails, Step.START: version.start_fails}
        share = shares.get(step, 0.0)
        if not self._to_new or share == 0:
            return False
        number = self._task.first_number + instance
        return self._task.draws.uniform(step, number, attempt) < share

    def _record_failure(self, instance: int, why: SimulatedStepFailed) -> None:
        """Leave an instance as it is after a step failed for good; too many failures stop the release.

        On the way back the first failure stops the release, whatever was allowed forward, because
        the fleet that was there before is then not restored.
        """
        self._instances.move(instance, State.FAILED)
        failure = replace(why.failure, service=self._task.service, instance=instance)
        self.failures.append(failure)
        if self._keeps_places:
            self._progress.is_stuck = True
            return
        self._progress.note_failed(instance)
        allowed = self._task.max_failures if self._rule.on_failure == "continue" else 0
        if not self._to_new or len(self.failures) > allowed:
            self._stop_signal.fire(self._rule, failure)

    # Waiting

    def _elapsed_after(self, duration_s: float) -> simpy.Event:
        """Return an event that fires after ``duration_s``.

        For a duration of 0 it has already fired, so no simulation step is spent.
        """
        return self._env.timeout(duration_s) if duration_s > 0 else past_event(self._env)

    def _wait_for_admission(
        self, queue: AdmissionQueue, *cancelled: simpy.Event
    ) -> Generator[simpy.Event, Any, bool]:
        """Wait for admission; return False when the release stops first, or `cancelled` fires."""
        ends = [self._stop_signal.fired, *cancelled]
        if not any(end.triggered for end in ends) and queue.try_enter():
            return True
        request = queue.request()
        yield self._env.any_of([request, *ends])
        if any(end.triggered for end in ends):
            queue.cancel(request)
            return False
        return True

    def _run_all(self, processes: Iterator[Steps]) -> simpy.Event:
        """Start processes side by side; return an event that fires when all of them have ended."""
        return self._env.all_of([self._env.process(process) for process in processes])

    def _pause(self, pause_s: float, instance: int | None = None) -> Steps:
        """Wait for a pause of the rule; a stop of the release ends the pause."""
        if pause_s == 0:
            return
        with self._progress.hold_clock(), self._record_phase("pause", instance):
            yield self._env.timeout(pause_s) | self._stop_signal.fired

    def _pass_gate(self, gate: plan.Gate) -> Steps:
        """Wait out a gate between two waves; in a bake, watch the new version from its beginning."""
        if gate.kind == "pause":
            yield from self._pause(gate.pause_s)
            return
        begin_s = float(self._env.now)
        end_s = begin_s + gate.pause_s
        with self._progress.hold_clock(), self._record_phase("gate"):
            while self._env.now < end_s and not self._stop_signal.is_on:
                left_s = end_s - float(self._env.now)
                yield self._env.timeout(min(LOOK_EVERY_S, left_s)) | self._stop_signal.fired
                now = float(self._env.now)
                seen = self._plane.ended_between(begin_s, now, new_version=True)
                failure = find_crossed_limit(
                    Cause.CANARY, seen, gate.error_fraction, gate.latency_p99_s
                )
                if failure is not None and (seen.ended >= _ENOUGH or now >= end_s):
                    self.trip(failure)

    def _record_phase(self, cause: SpentOn, instance: int | None = None) -> _PhaseRecorder:
        """Return a context whose duration is recorded as a phase."""
        return _PhaseRecorder(self._env, self.phases, cause, instance)
