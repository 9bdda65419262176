"""What a journal says has happened, folded into how far the rollout is.

Enters: events in their order. Leaves: a frozen `Progress`, nothing else: no file, no clock. It is a
claim, not the truth: `executor.decide` holds it against what is observed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal

from executor.fleet.balancers.base import Admin
from executor.plan.model import STEPS, Step


class EventKind(StrEnum):
    """What an event says."""

    BEGUN = "begun"
    RESUMED = "resumed"
    INTENT = "intent"
    DONE = "done"
    FAILED = "failed"
    SET_BACK = "set_back"
    KEEP_OUT = "keep_out"
    KEPT_OUT = "kept_out"
    FOUND = "found"
    TOLD = "told"
    HELD = "held"
    GIVEN_UP = "given_up"
    GATE_PASSED = "gate_passed"
    BRAKE = "brake"
    TURN_BACK = "turn_back"
    NOTICED = "noticed"
    ENDED = "ended"


class Ended(StrEnum):
    """How a rollout ended, in the simulation's words, and the two ways to be stopped."""

    DONE = "done"
    HALTED = "halted"
    ROLLED_BACK = "rolled_back"
    INTERRUPTED = "interrupted"


Direction = Literal["forward", "back"]


@dataclass(frozen=True)
class Event:
    """One line of the journal.

    Attributes:
        t_s: Seconds since the rollout began, by a clock that never goes back.
        kind: What it says.
        instance: Of which instance; empty where of the whole.
        step: Of which step.
        version: Which version the step brings.
        said: The reason or the result, in words; for `ENDED` a value of `Ended`, for `FOUND` and
            `TOLD` one of `Admin`: what the balancer was told about the server by others before the
            first touch, and by this rollout, where that is not the beginning of a step. A server
            is taken away after that is written, and put back before: one in maintenance that the
            journal says is ready was put there by somebody else.
    """

    t_s: float
    kind: EventKind
    instance: str = ""
    step: Step | None = None
    version: str = ""
    said: str = ""


@dataclass(frozen=True)
class InstanceProgress:
    """How far one instance is, in the present direction.

    Attributes:
        begun: Whether a step was meant to begin.
        done: Steps that are recorded as done, in their order.
        failed_count: How often the next step has failed in a row.
        set_back_count: How often the instance had to start over.
        given_up: Why nothing more is tried; None while something is.
        was_given_up: Whether it was, in either direction, and has not been returned for good since:
            until it is, it must not be in the pool.
        finished_s: When it was back in the pool for good; None before.
        found: How others had it at the balancer when it was first touched; None before.
        told: How this rollout has it at the balancer.
        is_stopped: Whether a stop was meant to begin, so that its old version may be gone.
    """

    begun: bool = False
    done: int = 0
    failed_count: int = 0
    set_back_count: int = 0
    given_up: str | None = None
    was_given_up: bool = False
    finished_s: float | None = None
    found: Admin | None = None
    told: Admin = Admin.READY
    is_stopped: bool = False

    @property
    def next_step(self) -> Step | None:
        """What comes next; None when all six are done."""
        return STEPS[self.done] if self.done < len(STEPS) else None

    @property
    def is_under_way(self) -> bool:
        """Whether it was taken in hand and is neither finished nor given up."""
        return self.begun and self.finished_s is None and self.given_up is None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will be done with it."""
        return self.finished_s is not None or self.given_up is not None


UNTOUCHED = InstanceProgress()


@dataclass(frozen=True)
class Progress:
    """How far a rollout is.

    Attributes:
        direction: To the new version, or back to the old one.
        instances: By name; those not named are untouched.
        order: In which a rollback goes through what was changed; empty forward.
        gates_passed: So many waves are behind.
        resumed_s: When the executor that now runs took over; 0 when it began it.
        brake: Why nothing new begins; None while it may.
        ended: How it ended; None while it goes on.
    """

    direction: Direction = "forward"
    instances: Mapping[str, InstanceProgress] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    gates_passed: int = 0
    resumed_s: float = 0.0
    brake: str | None = None
    ended: Ended | None = None

    def of(self, name: str) -> InstanceProgress:
        """How far one instance is."""
        return self.instances.get(name, UNTOUCHED)

    def after(self, event: Event) -> Progress:
        """How far it is once this has happened too."""
        if event.instance:
            changed = _instance_after(self.of(event.instance), event)
            return replace(self, instances={**self.instances, event.instance: changed})
        match event.kind:
            case EventKind.GATE_PASSED:
                return replace(self, gates_passed=self.gates_passed + 1)
            case EventKind.BRAKE:
                return replace(self, brake=self.brake or event.said)
            case EventKind.TURN_BACK:
                return replace(
                    self,
                    direction="back",
                    brake=None,
                    gates_passed=0,
                    order=names_of(event.said),
                    instances={
                        name: InstanceProgress(
                            was_given_up=one.was_given_up, found=one.found, told=one.told
                        )
                        for name, one in self.instances.items()
                    },
                )
            case EventKind.RESUMED:
                return self._resumed(event.t_s)
            case EventKind.ENDED:
                return replace(self, ended=Ended(event.said))
        return self

    def _resumed(self, t_s: float) -> Progress:
        """Whoever resumes what was halted has seen to the cause; a crash was no such thing."""
        if self.ended is not Ended.HALTED:
            return replace(self, resumed_s=t_s, ended=None)
        again = {
            name: replace(one, given_up=None, failed_count=0, set_back_count=0)
            for name, one in self.instances.items()
        }
        return replace(self, resumed_s=t_s, ended=None, brake=None, instances=again)


def _instance_after(one: InstanceProgress, event: Event) -> InstanceProgress:
    match event.kind:
        case EventKind.INTENT:
            is_stopped = one.is_stopped or event.step is Step.STOP
            told = _told_by(event.step, one.told)
            return replace(one, begun=True, is_stopped=is_stopped, told=told)
        case EventKind.FOUND:
            return replace(one, found=Admin(event.said))
        case EventKind.TOLD:
            return replace(one, told=Admin(event.said))
        case EventKind.KEEP_OUT:
            return replace(one, told=Admin.MAINT)
        case EventKind.HELD:
            # What was not stopped is as it was: it has not been begun, and starts over when its
            # holder gives it back. What was stopped stays under way.
            if one.is_stopped:
                return replace(one, told=Admin.READY, failed_count=0)
            return InstanceProgress(was_given_up=one.was_given_up, found=one.found)
        case EventKind.DONE:
            assert event.step is not None
            done = STEPS.index(event.step) + 1
            told = _told_by(event.step, one.told)
            now = replace(one, begun=True, done=done, failed_count=0, finished_s=None, told=told)
            if done < len(STEPS):
                return now
            return replace(now, finished_s=event.t_s, was_given_up=False, told=Admin.READY)
        case EventKind.FAILED:
            return replace(one, failed_count=one.failed_count + 1)
        case EventKind.SET_BACK:
            return replace(
                one, done=0, failed_count=0, finished_s=None, set_back_count=one.set_back_count + 1
            )
        case EventKind.GIVEN_UP:
            return replace(one, given_up=event.said, was_given_up=True)
    return one


def _told_by(step: Step | None, told: Admin) -> Admin:
    """How this rollout has a server once a step has begun; the rest is told by `Kind.TOLD`."""
    if step is Step.TAKE_OUT:
        return Admin.DRAIN if told is Admin.READY else told
    return told if step is Step.RETURN else Admin.MAINT


def format_names(names: Iterable[str]) -> str:
    """Names of instances, as an event says them."""
    return json.dumps(list(names), ensure_ascii=False)


def names_of(said: str) -> tuple[str, ...]:
    """The names that an event says; in older journals nothing but spaces stands between them."""
    try:
        names = json.loads(said)
    except ValueError:
        names = None
    return tuple(names if isinstance(names, list) else said.split())


def replay_events(events: Iterable[Event]) -> Progress:
    """How far a rollout is after these events."""
    progress = Progress()
    for event in events:
        progress = progress.after(event)
    return progress
