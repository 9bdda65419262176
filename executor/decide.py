"""Decide what a rollout does next: a pure function of the plan and of the observed fleet.

The function reads no file, no socket and no clock. `executor.run` executes each decision, writes it
into the journal, observes the fleet again and asks for the next decision.

Three rules hold whatever is observed:

- No instance is taken out beyond the window, or where fewer than the minimum would stay in the pool.
- The six steps of an instance follow each other, and none is left out.
- An instance that is in the pool and must not be there (it is in the middle of its steps, or was
  given up) is taken out at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from executor.fleet.balancers.base import Admin, Server, is_held_by_others
from executor.fleet.inventory import VersionNames
from executor.plan.model import STEPS, Gate, Plan, Step, Wave
from executor.plan.waves import waves_for
from executor.progress import Ended, EventKind, InstanceProgress, Progress

BALANCER_SILENCE_LIMIT_S = 30.0
"""Maximum time, in seconds, without a usable answer of the balancer; then the rollout halts."""

MAX_SET_BACKS = 3
"""Maximum number of times an instance may start over, on top of the plan's `retries`."""

_MAY_BE_IN_POOL = {Step.TAKE_OUT, Step.STOP, Step.RETURN}
"""Steps before which an instance may be in the pool.

Before its return it is there when an earlier return was cut short, as by a crash of the executor.
"""


class Waiting(StrEnum):
    """A reason for which the rollout waits."""

    STEPS = "steps"
    LAST_STEPS = "last_steps"
    WINDOW = "window"
    BALANCER = "balancer"
    CAPACITY = "capacity"
    PAUSE = "pause"
    GATE = "gate"
    APPROVAL = "approval"
    SETTLING = "settling"


@dataclass(frozen=True)
class Act:
    """Begin a step of an instance."""

    instance: str
    step: Step


@dataclass(frozen=True)
class KeepOut:
    """Take instances out of the pool at once, since they must not be there; their steps go on after."""

    instances: tuple[str, ...]


@dataclass(frozen=True)
class DecisionNote:
    """Write an event into the journal without a change of the fleet."""

    kind: EventKind
    instance: str = ""
    said: str = ""
    names: tuple[str, ...] = ()
    wave: int | None = None


@dataclass(frozen=True)
class Shortage:
    """Too few instances in the pool for the next take-out.

    Attributes:
        up_count: How many instances are in the pool.
        leaving_count: How many are to be taken out together.
        min_in_pool: How many the plan wants to be left.
    """

    up_count: int
    leaving_count: int
    min_in_pool: int

    def text(self) -> str:
        """Return the rule that is broken, with its values."""
        return (
            f"up ({self.up_count}) less {self.leaving_count} must not fall below "
            f"the minimum ({self.min_in_pool})"
        )


@dataclass(frozen=True)
class Wait:
    """Look again later.

    Attributes:
        what: What is waited for.
        wave: For `GATE` the wave before the gate, for `APPROVAL` the wave to be approved, from 1.
        gate: For `GATE` what the gate is.
        instance: For `SETTLING` the instance that is not yet in the pool and healthy.
        shortage: For `CAPACITY` what is missing.
    """

    what: Waiting
    wave: int | None = None
    gate: Literal["pause", "bake"] | None = None
    instance: str = ""
    shortage: Shortage | None = None


_LAST_STEPS = Wait(Waiting.LAST_STEPS)


@dataclass(frozen=True)
class Halt:
    """End the rollout now and leave the fleet as it is."""

    why: str


@dataclass(frozen=True)
class Done:
    """End the rollout: nothing is left to do."""

    ended: Literal[Ended.DONE, Ended.ROLLED_BACK, Ended.INTERRUPTED]


Decision = Act | KeepOut | DecisionNote | Wait | Halt | Done


@dataclass(frozen=True)
class InstanceView:
    """One instance as it was observed.

    Attributes:
        server: Its server as the balancer reports it.
        healthy: The result of its last probe; None when it was not probed since its last step.
        version: The version that answers; None when none does.
    """

    server: Server
    healthy: bool | None = None
    version: str | None = None


@dataclass(frozen=True)
class FleetSnapshot:
    """Everything that a decision depends on, observed at one moment.

    Attributes:
        now_s: Seconds since the rollout began.
        progress: The progress that the journal records.
        instances: Every instance by name; empty when the balancer gives no usable answer.
        versions: The names of the old and the new version.
        running_steps: The step that runs now, by name of its instance.
        waited_s: For how many seconds the present kind of `Wait` has lasted without a break.
        approval: Whether the next wave may begin: ``given`` also where the rollout asks nobody,
            ``late`` where the answer is still awaited and the plan's validity has ended.
        removal_failing_s: For how many seconds the balancer has failed to take an instance out that
            must not be in the pool, by name of the instance.
        crossed_limit: The limit that was crossed, as a sentence; None when none was.
        is_stop_requested: Whether an operator or a signal asked the rollout to stop.
    """

    now_s: float
    progress: Progress
    instances: Mapping[str, InstanceView]
    versions: VersionNames
    running_steps: Mapping[str, Step] = field(default_factory=dict)
    waited_s: Mapping[Waiting, float] = field(default_factory=dict)
    approval: Literal["given", "awaited", "refused", "late"] = "given"
    removal_failing_s: Mapping[str, float] = field(default_factory=dict)
    crossed_limit: str | None = None
    is_stop_requested: bool = False

    @property
    def target(self) -> str:
        """The version that instances get: the old one during a rollback."""
        return self.versions.old if self.progress.direction == "back" else self.versions.new


def decide(plan: Plan, snapshot: FleetSnapshot) -> Decision:
    """Return the next thing to do.

    Args:
        plan: The plan that is carried out.
        snapshot: The fleet and the progress as they are now.
    """
    if not snapshot.instances:
        return _wait_for_balancer(snapshot)
    strays = tuple(_misplaced_in_pool(plan, snapshot))
    was_removal_tried = snapshot.removal_failing_s.keys() >= set(strays)
    if strays and not (was_removal_tried and snapshot.is_stop_requested):
        return _remove_strays(snapshot, strays, was_tried=was_removal_tried)
    if snapshot.is_stop_requested:
        return Wait(Waiting.STEPS) if snapshot.running_steps else Done(Ended.INTERRUPTED)
    progress = snapshot.progress
    if progress.brake is None:
        why = _reason_to_stop(plan, snapshot)
        if why is not None:
            return DecisionNote(EventKind.BRAKE, said=why)
    under_way = [name for name in plan.instances if progress.of(name).is_under_way]
    held = [name for name in under_way if _is_held(snapshot, name)]
    for name in held:
        if progress.of(name).told is not Admin.READY:
            return DecisionNote(EventKind.HELD, name, _held_reason(snapshot, name))
    advancing = [name for name in under_way if name not in held]
    # After a halt that gave up three instances, `resume` finds three under way in a window of one.
    # The instance with the fewest steps left goes first, and no more step at once than the window.
    for name in sorted(advancing, key=lambda name: -progress.of(name).done):
        if name not in snapshot.running_steps and len(snapshot.running_steps) < plan.window:
            return _decide_next_step(plan, snapshot, name)
    if progress.brake is None and not held:
        return _advance_waves(plan, snapshot, under_way)
    return _LAST_STEPS if advancing else _stop(plan, snapshot, held)


def _stop(plan: Plan, snapshot: FleetSnapshot, held: Sequence[str]) -> Decision:
    """Halt or turn back, once no instance under way can advance."""
    progress = snapshot.progress
    if held or progress.brake is None:
        return Halt(_held_reason(snapshot, held[0]))
    if plan.on_failure == "rollback" and progress.direction == "forward":
        return DecisionNote(EventKind.TURN_BACK, names=changed_instances(plan, progress))
    return Halt(progress.brake)


def _is_held(snapshot: FleetSnapshot, name: str) -> bool:
    """Return whether somebody else took the server out of the pool.

    While a step runs, the step itself checks this.
    """
    told, admin = snapshot.progress.of(name).told, snapshot.instances[name].server.admin
    return name not in snapshot.running_steps and is_held_by_others(told, admin)


def _held_reason(snapshot: FleetSnapshot, name: str) -> str:
    admin = snapshot.instances[name].server.admin
    return f"{name} was put into {admin} by somebody else, and is not touched"


def waves_of(plan: Plan, progress: Progress) -> tuple[Wave, ...]:
    """Return the waves in the present direction: during a rollback, those of the changed instances."""
    if progress.direction == "forward":
        return plan.waves
    if not progress.order:
        return ()
    return waves_for(progress.order, plan.window, plan.advance, plan.pause_s)


def open_gate(plan: Plan, snapshot: FleetSnapshot) -> tuple[Gate, float] | None:
    """Return the gate after the wave that is complete, and since when it lasts, in seconds.

    Return None when the rollout is not at a gate.
    """
    waves, passed = waves_of(plan, snapshot.progress), snapshot.progress.gates_passed
    if passed >= len(waves):
        return None
    wave = waves[passed]
    if wave.gate is None or not all(snapshot.progress.of(name).is_over for name in wave.instances):
        return None
    return wave.gate, _gate_since_s(snapshot.progress, wave)


def changed_instances(plan: Plan, progress: Progress) -> tuple[str, ...]:
    """Return the instances that a rollback has to change: first those that failed, then the others."""
    begun = [name for name in plan.instances if progress.of(name).begun]
    failed = [name for name in begun if progress.of(name).given_up is not None]
    return (*failed, *(name for name in begun if name not in failed))


def _wait_for_balancer(snapshot: FleetSnapshot) -> Decision:
    """Begin nothing while the balancer gives no usable answer, and halt when that lasts too long."""
    if snapshot.running_steps:
        return Wait(Waiting.BALANCER)
    if snapshot.is_stop_requested:
        return Done(Ended.INTERRUPTED)
    if snapshot.waited_s.get(Waiting.BALANCER, 0.0) > BALANCER_SILENCE_LIMIT_S:
        return Halt(
            f"the balancer has not answered as it should for {BALANCER_SILENCE_LIMIT_S:g} s"
        )
    return Wait(Waiting.BALANCER)


def _misplaced_in_pool(plan: Plan, snapshot: FleetSnapshot) -> Iterator[str]:
    """Yield the instances that are in the pool and must not be, as after a reload of the balancer.

    These are instances in the middle of their steps, instances that were given up, and instances
    whose return failed: the balancer may have been away when they were to be taken out again. An
    instance that was only drained is not among them: it starts over, see `_decide_next_step`.
    """
    for name in plan.instances:
        instance, step = snapshot.progress.of(name), snapshot.running_steps.get(name)
        if snapshot.instances[name].server.admin is not Admin.READY:
            continue
        if step is None:
            has_failed_to_return = instance.next_step is Step.RETURN and instance.failed_count > 0
            is_halfway = instance.is_under_way and instance.next_step not in _MAY_BE_IN_POOL
            if instance.was_given_up or has_failed_to_return or is_halfway:
                yield name
        elif step not in {Step.TAKE_OUT, Step.RETURN}:
            yield name


def _remove_strays(
    snapshot: FleetSnapshot, strays: tuple[str, ...], *, was_tried: bool
) -> Decision:
    """Take the strays out, and halt when the balancer fails to do so for too long."""
    if (
        snapshot.running_steps
        or not was_tried
        or max(snapshot.removal_failing_s[name] for name in strays) <= BALANCER_SILENCE_LIMIT_S
    ):
        return KeepOut(strays)
    are = "is" if len(strays) == 1 else "are"
    return Halt(f"{', '.join(strays)} {are} in the pool, must not be, and cannot be taken out")


def _reason_to_stop(plan: Plan, snapshot: FleetSnapshot) -> str | None:
    """Return why no new instance may begin; None when one may."""
    if snapshot.crossed_limit is not None and snapshot.progress.direction == "forward":
        return snapshot.crossed_limit
    given_up = [name for name in plan.instances if snapshot.progress.of(name).given_up is not None]
    forward = snapshot.progress.direction == "forward"
    allowed = plan.max_failures if plan.on_failure == "continue" and forward else 0
    if len(given_up) > allowed:
        last = given_up[-1]
        return f"{last}: {snapshot.progress.of(last).given_up}"
    return None


def _decide_next_step(plan: Plan, snapshot: FleetSnapshot, name: str) -> Decision:
    """Begin the next step of an instance under way, unless it must be given up or start over."""
    instance, view = snapshot.progress.of(name), snapshot.instances[name]
    if instance.failed_count > plan.retries:
        step_text = (instance.next_step or STEPS[-1]).replace("_", " ")
        return DecisionNote(
            EventKind.GIVEN_UP, name, f"{step_text} failed {instance.failed_count} times"
        )
    if instance.set_back_count > plan.retries + MAX_SET_BACKS:
        return DecisionNote(
            EventKind.GIVEN_UP, name, f"had to start over {instance.set_back_count} times"
        )
    step = instance.next_step
    assert step is not None  # an instance with all six steps done is not under way
    if step is Step.STOP and view.server.admin is Admin.READY:
        return DecisionNote(EventKind.SET_BACK, name, "it is in the pool again before its return")
    is_first_try = instance.failed_count == 0
    why = _find_contradiction(instance, view, snapshot.target) if is_first_try else None
    return DecisionNote(EventKind.SET_BACK, name, why) if why is not None else Act(name, step)


def _find_contradiction(instance: InstanceProgress, view: InstanceView, target: str) -> str | None:
    """Return how the probe contradicts the steps that the journal records as done; None if not.

    The instance of a journal that says ``stopped`` may run all the same, as after a reboot.
    """
    if view.healthy is None:
        return None
    step = instance.next_step
    if step in {Step.DEPLOY, Step.VERIFY, Step.START} and view.healthy and view.version != target:
        return f"it was stopped, yet {view.version or 'something'} answers"
    if step is Step.RETURN and not (view.healthy and view.version == target):
        return f"it was started, yet {view.version or 'nothing'} answers"
    return None


def _advance_waves(plan: Plan, snapshot: FleetSnapshot, under_way: Sequence[str]) -> Decision:
    """Begin the next instance, pass the next gate, or end the rollout."""
    progress = snapshot.progress
    waves = waves_of(plan, progress)
    for number, wave in enumerate(waves, start=1):
        if number > progress.gates_passed:
            untouched = [name for name in wave.instances if not progress.of(name).begun]
            if untouched:
                return _begin(plan, snapshot, wave, untouched[0], under_way)
            if not all(progress.of(name).is_over for name in wave.instances):
                return Wait(Waiting.STEPS)
            return _pass_gate(snapshot, wave, number, is_last=number == len(waves))
    return _settle(plan, snapshot)


def _begin(
    plan: Plan, snapshot: FleetSnapshot, wave: Wave, name: str, under_way: Sequence[str]
) -> Decision:
    """Begin an instance when the window has a free place and enough others are up."""
    progress = snapshot.progress
    pausing = [
        finished
        for finished in wave.instances
        if plan.advance == "sliding"
        and (finished_s := progress.of(finished).finished_s) is not None
        and snapshot.now_s - finished_s < plan.pause_s
    ]
    if len(under_way) >= wave.parallel:
        return Wait(Waiting.WINDOW)
    if len(under_way) + len(pausing) >= wave.parallel:
        return Wait(Waiting.PAUSE)
    if _is_held(snapshot, name):
        return _LAST_STEPS if under_way else Halt(_held_reason(snapshot, name))
    if not snapshot.instances[name].server.is_in_pool:
        return Act(name, Step.TAKE_OUT)  # it is out already, so the pool loses nothing
    up = sum(
        snapshot.instances[other].server.is_in_pool and not progress.of(other).is_under_way
        for other in plan.instances
    )
    # A wave begins only when there is room for all that it takes out at once.
    is_first = not any(progress.of(member).begun for member in wave.instances)
    leaving = min(wave.parallel, len(wave.instances)) if is_first else 1
    if up - leaving < plan.min_in_pool:
        shortage = Shortage(up, leaving, plan.min_in_pool)
        if snapshot.waited_s.get(Waiting.CAPACITY, 0.0) > patience_s(plan) and not under_way:
            return DecisionNote(
                EventKind.BRAKE, said=f"{name} cannot be taken out: {shortage.text()}"
            )
        return Wait(Waiting.CAPACITY, shortage=shortage)
    return Act(name, Step.TAKE_OUT)


def patience_s(plan: Plan) -> float:
    """Return for how many seconds the rollout waits for capacity: a start, a return and min_ready.

    In this time an instance that was restarted by somebody else can be back in the pool.
    """
    return sum(plan.step_deadlines_s[step] for step in (Step.START, Step.RETURN)) + plan.min_ready_s


def _gate_since_s(progress: Progress, wave: Wave) -> float:
    """Return since when a gate lasts: since the last instance of its wave, or since the resume.

    While no executor ran, nobody watched the bake, so it begins again.
    """
    ends = [progress.of(name).finished_s for name in wave.instances]
    return max([progress.resumed_s, *(end for end in ends if end is not None)])


def _pass_gate(snapshot: FleetSnapshot, wave: Wave, number: int, *, is_last: bool) -> Decision:
    """Wait for a gate's time and for the approval of the next wave, then pass the gate."""
    gate = wave.gate
    if gate is not None:
        left_s = _gate_since_s(snapshot.progress, wave) + gate.pause_s - snapshot.now_s
        if left_s > 0:
            return Wait(Waiting.GATE, wave=number, gate=gate.kind)
    if not is_last and snapshot.progress.direction == "forward":
        if snapshot.approval == "refused":
            return DecisionNote(EventKind.BRAKE, said=f"wave {number + 1} was not approved")
        if snapshot.approval == "awaited":
            return Wait(Waiting.APPROVAL, wave=number + 1)
        if snapshot.approval == "late":
            return Halt(f"wave {number + 1} was not approved while the plan was valid")
    return DecisionNote(EventKind.GATE_PASSED, wave=number)


def _settle(plan: Plan, snapshot: FleetSnapshot) -> Decision:
    """End the rollout once every changed instance is in the pool and answers with its version."""
    if snapshot.running_steps:
        return Wait(Waiting.STEPS)
    rolled = plan.instances if snapshot.progress.direction == "forward" else snapshot.progress.order
    for name in rolled:
        view = snapshot.instances[name]
        if snapshot.progress.of(name).given_up is not None:
            continue
        if _is_held(snapshot, name):
            return Halt(_held_reason(snapshot, name))
        if view.healthy and view.version != snapshot.target:
            return DecisionNote(
                EventKind.SET_BACK, name, f"it was done, yet {view.version} answers"
            )
        if not view.server.is_ready or not view.healthy:
            if snapshot.waited_s.get(Waiting.SETTLING, 0.0) > patience_s(plan):
                return Halt(f"{name} is done, but not in the pool and healthy")
            return Wait(Waiting.SETTLING, instance=name)
    return Done(Ended.DONE if snapshot.progress.direction == "forward" else Ended.ROLLED_BACK)
