"""What to do next: a pure function of the plan and of what is observed.

Enters: a `Plan` and an `FleetSnapshot`: how far the journal says the rollout is, what balancer and
instances say, which steps are in hand, and what time it is. Leaves: one `Decision`. No file, no
socket, no clock: whoever calls does what it says, writes it down, and looks again.

What holds, whatever is observed: no instance is taken out beyond the window or where that would
leave fewer than the minimum in the pool; the six steps of an instance follow each other, none left
out; what is found in the pool and must not be there, as in the middle of its steps or given up, is
taken out at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from executor.fleet.balancers.base import Admin, Server, is_held_by_others
from executor.fleet.inventory import VersionNames
from executor.plan.model import STEPS, Gate, Plan, Step, Wave, waves_for
from executor.progress import Ended, EventKind, InstanceProgress, Progress, format_names

BLIND_S = 30.0
"""How long the balancer may be silent before the rollout halts."""

SET_BACKS = 3
"""How often an instance may have to start over, beside the plan's own retries."""

_MAY_BE_IN_POOL = {Step.TAKE_OUT, Step.STOP, Step.RETURN}
"""Before these an instance may be in the pool: the last when its return was cut short."""


class Waiting(StrEnum):
    """What is waited for."""

    STEPS = "steps"
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
    """Take instances out of the pool at once: they are there and must not be. They go on after."""

    instances: tuple[str, ...]


@dataclass(frozen=True)
class DecisionNote:
    """Write down what follows from what is known; nothing is done to the fleet."""

    kind: EventKind
    instance: str = ""
    said: str = ""


@dataclass(frozen=True)
class Wait:
    """Look again later."""

    what: Waiting
    why: str


_LAST_STEPS = Wait(Waiting.STEPS, "the instances under way, then it stops")


@dataclass(frozen=True)
class Halt:
    """Stop here, the fleet as it is."""

    why: str


@dataclass(frozen=True)
class Done:
    """Nothing is left to do."""

    ended: Literal[Ended.DONE, Ended.ROLLED_BACK, Ended.INTERRUPTED]


Decision = Act | KeepOut | DecisionNote | Wait | Halt | Done


@dataclass(frozen=True)
class InstanceView:
    """One instance as it is.

    Attributes:
        server: What the balancer says of it.
        healthy: What it says itself, asked directly; None when nobody has asked lately.
        version: The version that answers; None when none does.
    """

    server: Server
    healthy: bool | None = None
    version: str | None = None


@dataclass(frozen=True)
class FleetSnapshot:
    """What is known at one moment.

    Attributes:
        now_s: Seconds since the rollout began.
        progress: How far the journal says it is.
        instances: Every instance as it is; empty when the balancer does not answer.
        versions: The names of the old and the new version.
        busy: Steps that are in hand.
        waited_s: How long the last `Wait` of each kind has lasted without a break.
        approval: Whether the next wave is approved; ``given`` where nobody has to, ``late`` where
            it is still awaited and the plan's validity has run out.
        stuck_s: How long taking out what must not be in the pool has failed, for those it has.
        tripped: Which limit was crossed, in words.
        stop_asked: Whether somebody wants it to stop.
    """

    now_s: float
    progress: Progress
    instances: Mapping[str, InstanceView]
    versions: VersionNames
    busy: Mapping[str, Step] = field(default_factory=dict)
    waited_s: Mapping[Waiting, float] = field(default_factory=dict)
    approval: Literal["given", "awaited", "refused", "late"] = "given"
    stuck_s: Mapping[str, float] = field(default_factory=dict)
    tripped: str | None = None
    stop_asked: bool = False

    @property
    def target(self) -> str:
        """The version that instances are brought to."""
        return self.versions.old if self.progress.direction == "back" else self.versions.new


def decide(plan: Plan, seen: FleetSnapshot) -> Decision:
    """The next thing to do.

    Args:
        plan: What is to be carried out.
        seen: What is known now.
    """
    if not seen.instances:
        return _blind(seen)
    strays = tuple(_strays(plan, seen))
    are_tried = seen.stuck_s.keys() >= set(strays)
    if strays and not (are_tried and seen.stop_asked):
        return _put_out(seen, strays, are_tried=are_tried)
    if seen.stop_asked:
        return Wait(Waiting.STEPS, "the steps in hand") if seen.busy else Done(Ended.INTERRUPTED)
    progress = seen.progress
    if progress.brake is None:
        why = _trouble(plan, seen)
        if why is not None:
            return DecisionNote(EventKind.BRAKE, said=why)
    under_way = [name for name in plan.instances if progress.of(name).is_under_way]
    # A resumed one may find more under way than the window: the nearest to its end goes first.
    held = [name for name in under_way if _is_held(seen, name)]
    for name in held:
        if progress.of(name).told is not Admin.READY:
            return DecisionNote(EventKind.HELD, name, _held_words(seen, name))
    going = [name for name in under_way if name not in held]
    for name in sorted(going, key=lambda one: -progress.of(one).done):
        if name not in seen.busy and len(seen.busy) < plan.window:
            return _next_of(plan, seen, name)
    if progress.brake is None and not held:
        return _onward(plan, seen, under_way)
    return _LAST_STEPS if going else _stop(plan, seen, held)


def _stop(plan: Plan, seen: FleetSnapshot, held: Sequence[str]) -> Decision:
    """Nothing new may begin, and nothing more is done with those under way."""
    progress = seen.progress
    if held or progress.brake is None:
        return Halt(_held_words(seen, held[0]))
    if plan.on_failure == "rollback" and progress.direction == "forward":
        return DecisionNote(
            EventKind.TURN_BACK, said=format_names(changed_instances(plan, progress))
        )
    return Halt(progress.brake)


def _is_held(seen: FleetSnapshot, name: str) -> bool:
    """Whether somebody else took the server out; in the middle of a step the step itself minds it."""
    told, admin = seen.progress.of(name).told, seen.instances[name].server.admin
    return name not in seen.busy and is_held_by_others(told, admin)


def _held_words(seen: FleetSnapshot, name: str) -> str:
    admin = seen.instances[name].server.admin
    return f"{name} was put into {admin} by somebody else, and is not touched"


def waves_of(plan: Plan, progress: Progress) -> tuple[Wave, ...]:
    """The waves in the present direction; back, those of what was changed."""
    if progress.direction == "forward":
        return plan.waves
    if not progress.order:
        return ()
    return waves_for(progress.order, plan.window, plan.advance, plan.pause_s)


def open_gate(plan: Plan, seen: FleetSnapshot) -> tuple[Gate, float] | None:
    """The gate that is open and since when, in seconds; None when there is none."""
    waves, passed = waves_of(plan, seen.progress), seen.progress.gates_passed
    if passed >= len(waves):
        return None
    wave = waves[passed]
    if wave.gate is None or not all(seen.progress.of(one).is_over for one in wave.instances):
        return None
    return wave.gate, _gate_since_s(seen.progress, wave)


def changed_instances(plan: Plan, progress: Progress) -> tuple[str, ...]:
    """The instances that are not as they were: those that failed, then the rest, in their order."""
    begun = [name for name in plan.instances if progress.of(name).begun]
    failed = [name for name in begun if progress.of(name).given_up is not None]
    return (*failed, *(name for name in begun if name not in failed))


def _blind(seen: FleetSnapshot) -> Decision:
    """The balancer does not answer: nothing begins, and not for ever."""
    if seen.busy:
        return Wait(Waiting.BALANCER, "the balancer, which does not answer as it should")
    if seen.stop_asked:
        return Done(Ended.INTERRUPTED)
    if seen.waited_s.get(Waiting.BALANCER, 0.0) > BLIND_S:
        return Halt(f"the balancer has not answered as it should for {BLIND_S:g} s")
    return Wait(Waiting.BALANCER, "the balancer, which does not answer as it should")


def _strays(plan: Plan, seen: FleetSnapshot) -> Iterator[str]:
    """Who is in the pool and must not be: the balancer has forgotten, as by a reload.

    That is who is in the middle of its steps, who was given up, and who could not be returned for
    good: the balancer may have been away when it was to be taken out again. One that is drained and
    no more is none: it starts over, see `_next_of`.
    """
    for name in plan.instances:
        one, step = seen.progress.of(name), seen.busy.get(name)
        if seen.instances[name].server.admin is not Admin.READY:
            continue
        if step is None:
            has_failed_to_return = one.next_step is Step.RETURN and one.failed_count > 0
            is_halfway = one.is_under_way and one.next_step not in _MAY_BE_IN_POOL
            if one.was_given_up or has_failed_to_return or is_halfway:
                yield name
        elif step not in {Step.TAKE_OUT, Step.RETURN}:
            yield name


def _put_out(seen: FleetSnapshot, strays: tuple[str, ...], *, are_tried: bool) -> Decision:
    """Out with them, but not for ever where the balancer does not do it."""
    if seen.busy or not are_tried or max(seen.stuck_s[name] for name in strays) <= BLIND_S:
        return KeepOut(strays)
    are = "is" if len(strays) == 1 else "are"
    return Halt(f"{', '.join(strays)} {are} in the pool, must not be, and cannot be taken out")


def _trouble(plan: Plan, seen: FleetSnapshot) -> str | None:
    """Why nothing new may begin."""
    if seen.tripped is not None and seen.progress.direction == "forward":
        return seen.tripped
    given_up = [name for name in plan.instances if seen.progress.of(name).given_up is not None]
    forward = seen.progress.direction == "forward"
    allowed = plan.max_failures if plan.on_failure == "continue" and forward else 0
    if len(given_up) > allowed:
        last = given_up[-1]
        return f"{last}: {seen.progress.of(last).given_up}"
    return None


def _next_of(plan: Plan, seen: FleetSnapshot, name: str) -> Decision:
    """The next step of an instance under way, unless what is seen says otherwise."""
    one, now = seen.progress.of(name), seen.instances[name]
    if one.failed_count > plan.retries:
        words = (one.next_step or STEPS[-1]).replace("_", " ")
        return DecisionNote(EventKind.GIVEN_UP, name, f"{words} failed {one.failed_count} times")
    if one.set_back_count > plan.retries + SET_BACKS:
        return DecisionNote(
            EventKind.GIVEN_UP, name, f"had to start over {one.set_back_count} times"
        )
    step = one.next_step
    assert step is not None  # all six done is finished
    if step is Step.STOP and now.server.admin is Admin.READY:
        return DecisionNote(EventKind.SET_BACK, name, "it is in the pool again before its return")
    why = _contradiction(one, now, seen.target) if one.failed_count == 0 else None
    return DecisionNote(EventKind.SET_BACK, name, why) if why is not None else Act(name, step)


def _contradiction(one: InstanceProgress, now: InstanceView, target: str) -> str | None:
    """What the instance itself says against the steps that are recorded as done."""
    if now.healthy is None:
        return None
    step = one.next_step
    if step in {Step.DEPLOY, Step.VERIFY, Step.START} and now.healthy and now.version != target:
        return f"it was stopped, yet {now.version or 'something'} answers"
    if step is Step.RETURN and not (now.healthy and now.version == target):
        return f"it was started, yet {now.version or 'nothing'} answers"
    return None


def _onward(plan: Plan, seen: FleetSnapshot, under_way: Sequence[str]) -> Decision:
    """The next instance, the next gate, or the end."""
    progress = seen.progress
    waves = waves_of(plan, progress)
    for number, wave in enumerate(waves, start=1):
        if number > progress.gates_passed:
            untouched = [name for name in wave.instances if not progress.of(name).begun]
            if untouched:
                return _begin(plan, seen, wave, untouched[0], under_way)
            if not all(progress.of(name).is_over for name in wave.instances):
                return Wait(Waiting.STEPS, "the instances under way")
            return _pass_gate(seen, wave, number, is_last=number == len(waves))
    return _settle(plan, seen)


def _begin(
    plan: Plan, seen: FleetSnapshot, wave: Wave, name: str, under_way: Sequence[str]
) -> Decision:
    """Takes an instance in hand when there is a place in the window and enough are up."""
    progress = seen.progress
    resting = [
        one
        for one in wave.instances
        if plan.advance == "sliding"
        and (finished_s := progress.of(one).finished_s) is not None
        and seen.now_s - finished_s < plan.pause_s
    ]
    if len(under_way) >= wave.parallel:
        return Wait(Waiting.STEPS, "a place in the window")
    if len(under_way) + len(resting) >= wave.parallel:
        return Wait(Waiting.PAUSE, "the pause after the instance before")
    if _is_held(seen, name):
        return _LAST_STEPS if under_way else Halt(_held_words(seen, name))
    if not seen.instances[name].server.is_in_pool:
        return Act(name, Step.TAKE_OUT)  # it is out already: that costs nothing
    up = sum(
        seen.instances[one].server.is_in_pool and not progress.of(one).is_under_way
        for one in plan.instances
    )
    is_first = not any(progress.of(one).begun for one in wave.instances)
    going = min(wave.parallel, len(wave.instances)) if is_first else 1
    if up - going < plan.min_in_pool:
        why = f"up ({up}) less {going} must not fall below the minimum ({plan.min_in_pool})"
        if seen.waited_s.get(Waiting.CAPACITY, 0.0) > patience_s(plan) and not under_way:
            return DecisionNote(EventKind.BRAKE, said=f"{name} cannot be taken out: {why}")
        return Wait(Waiting.CAPACITY, why)
    return Act(name, Step.TAKE_OUT)


def patience_s(plan: Plan) -> float:
    """How long the fleet may take to come back to what the plan needs: a start and a return."""
    return sum(plan.step_deadlines_s[step] for step in (Step.START, Step.RETURN)) + plan.min_ready_s


def _gate_since_s(progress: Progress, wave: Wave) -> float:
    """A gate opens with the last instance; while nobody watched it does not pass."""
    ends = [progress.of(name).finished_s for name in wave.instances]
    return max([progress.resumed_s, *(end for end in ends if end is not None)])


def _pass_gate(seen: FleetSnapshot, wave: Wave, number: int, *, is_last: bool) -> Decision:
    gate = wave.gate
    if gate is not None:
        left_s = _gate_since_s(seen.progress, wave) + gate.pause_s - seen.now_s
        if left_s > 0:
            return Wait(Waiting.GATE, f"the {gate.kind} after wave {number}")
    if not is_last and seen.progress.direction == "forward":
        if seen.approval == "refused":
            return DecisionNote(EventKind.BRAKE, said=f"wave {number + 1} was not approved")
        if seen.approval == "awaited":
            return Wait(Waiting.APPROVAL, f"approval of wave {number + 1}")
        if seen.approval == "late":
            return Halt(f"wave {number + 1} was not approved while the plan was valid")
    return DecisionNote(EventKind.GATE_PASSED, said=f"wave {number}")


def _settle(plan: Plan, seen: FleetSnapshot) -> Decision:
    """All is done when everything that was rolled is in the pool and answers as it should."""
    if seen.busy:
        return Wait(Waiting.STEPS, "the steps in hand")
    rolled = plan.instances if seen.progress.direction == "forward" else seen.progress.order
    for name in rolled:
        one, now = seen.progress.of(name), seen.instances[name]
        if one.given_up is not None:
            continue
        if _is_held(seen, name):
            return Halt(_held_words(seen, name))
        if now.healthy and now.version != seen.target:
            return DecisionNote(EventKind.SET_BACK, name, f"it was done, yet {now.version} answers")
        if not now.server.is_ready or not now.healthy:
            if seen.waited_s.get(Waiting.SETTLING, 0.0) > patience_s(plan):
                return Halt(f"{name} is done, but not in the pool and healthy")
            return Wait(Waiting.SETTLING, f"{name}, which is done, to be in the pool and healthy")
    return Done(Ended.DONE if seen.progress.direction == "forward" else Ended.ROLLED_BACK)
