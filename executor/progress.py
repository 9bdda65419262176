"""How far a rollout is, according to its journal.

Pure: `replay_events` turns events in their order into a frozen `Progress` and reads no file and no
clock. A journal is a claim, not the truth: `executor.decide` compares it with what is observed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal

from executor.fleet.balancers.base import Admin
from executor.plan.model import STEPS, Step


class EventKind(StrEnum):
    """The kinds of events in a journal."""

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
    """How a rollout ended: in the simulation's words, and interrupted by a person."""

    DONE = "done"
    HALTED = "halted"
    ROLLED_BACK = "rolled_back"
    INTERRUPTED = "interrupted"


Direction = Literal["forward", "back"]


@dataclass(frozen=True)
class Event:
    """One line of the journal.

    A server is taken out of the pool after the event that says so is written, and put back before:
    if a server is in maintenance while the journal says `Admin.READY`, somebody else put it there.

    Attributes:
        t_s: Seconds since the rollout began, by a clock that never goes back.
        kind: The kind of event.
        instance: The instance that it is about; empty when it is about the whole rollout.
        step: The step that it is about.
        version: The version that the step brings.
        said: The reason or the result, in words.
        ended: For `ENDED`, how the rollout ended.
        admin: For `FOUND`, the state in which others had put the server before this rollout first
            touched it. For `TOLD`, the state that this rollout put it into within a step.
        names: For `TURN_BACK`, the instances to go back through, in this order.
        wave: For `GATE_PASSED`, the wave that is over, counted from 1.
    """

    t_s: float
    kind: EventKind
    instance: str = ""
    step: Step | None = None
    version: str = ""
    said: str = ""
    ended: Ended | None = None
    admin: Admin | None = None
    names: tuple[str, ...] = ()
    wave: int | None = None

    @property
    def text(self) -> str:
        """The facts or words of the event as one text, as journal and timeline store them."""
        match self.kind:
            case EventKind.ENDED if self.ended is not None:
                return self.ended
            case EventKind.FOUND | EventKind.TOLD if self.admin is not None:
                return self.admin
            case EventKind.TURN_BACK:
                return json.dumps(list(self.names), ensure_ascii=False)
            case EventKind.GATE_PASSED if self.wave is not None:
                return f"wave {self.wave}"
        return self.said


def with_text(event: Event, text: str) -> Event:
    """Return an event with the facts or words that a journal stores as `Event.text`.

    Raises:
        ValueError: An event of this kind has no such text.
    """
    match event.kind:
        case EventKind.ENDED:
            return replace(event, ended=Ended(text))
        case EventKind.FOUND | EventKind.TOLD:
            return replace(event, admin=Admin(text))
        case EventKind.TURN_BACK:
            return replace(event, names=_parse_names(text))
        case EventKind.GATE_PASSED:
            number = re.fullmatch(r"wave (\d+)", text)
            return replace(event, wave=int(number[1])) if number else replace(event, said=text)
    return replace(event, said=text)


def _parse_names(text: str) -> tuple[str, ...]:
    """Return the names in a stored text; older journals separate them by spaces only."""
    try:
        names = json.loads(text)
    except ValueError:
        names = None
    return tuple(names if isinstance(names, list) else text.split())


@dataclass(frozen=True)
class InstanceProgress:
    """How far one instance is in the present direction.

    Attributes:
        begun: Whether a step was meant to begin.
        done: The number of steps that are recorded as done; steps are done in their order.
        failed_count: How many tries of the next step have failed in a row.
        set_back_count: How often the instance had to start over.
        given_up: Why nothing more is tried; None while something is.
        was_given_up: Whether it was given up, in either direction, and has not returned to the pool
            for good since. Such an instance must not be in the pool.
        finished_s: When it was back in the pool for good; None before.
        found: The state in which others had put it when it was first touched; None before.
        told: The state into which this rollout has put it.
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
        """The step that comes next; None when all six are done."""
        return STEPS[self.done] if self.done < len(STEPS) else None

    @property
    def is_under_way(self) -> bool:
        """Return whether it was begun and is neither finished nor given up."""
        return self.begun and self.finished_s is None and self.given_up is None

    @property
    def is_over(self) -> bool:
        """Return whether nothing more will be done with it."""
        return self.finished_s is not None or self.given_up is not None


UNTOUCHED = InstanceProgress()


@dataclass(frozen=True)
class Progress:
    """How far a rollout is.

    Attributes:
        direction: To the new version, or back to the old one.
        instances: By name; those not named are untouched.
        order: The instances that a rollback goes through, in this order; empty forward.
        gates_passed: The number of waves that are over.
        resumed_s: When the executor that now runs took over; 0 when it began the rollout.
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
        """Return how far one instance is."""
        return self.instances.get(name, UNTOUCHED)

    def after(self, event: Event) -> Progress:
        """Return the progress once this event has happened, too."""
        if event.instance:
            changed = _instance_after(self.of(event.instance), event)
            return replace(self, instances={**self.instances, event.instance: changed})
        match event.kind:
            case EventKind.GATE_PASSED:
                return replace(self, gates_passed=self.gates_passed + 1)
            case EventKind.BRAKE:
                return replace(self, brake=self.brake or event.said)
            case EventKind.TURN_BACK:
                return self._turned_back(event.names)
            case EventKind.RESUMED:
                return self._resumed(event.t_s)
            case EventKind.ENDED:
                return replace(self, ended=event.ended)
        return self

    def _turned_back(self, order: tuple[str, ...]) -> Progress:
        """Return the progress at the beginning of a rollback: every instance starts over."""
        instances = {
            name: InstanceProgress(
                was_given_up=instance.was_given_up, found=instance.found, told=instance.told
            )
            for name, instance in self.instances.items()
        }
        return replace(
            self, direction="back", brake=None, gates_passed=0, order=order, instances=instances
        )

    def _resumed(self, t_s: float) -> Progress:
        """Return the progress once an executor has resumed.

        After a halt, a resume means that an operator has fixed the cause: the failure counts are
        reset. After a crash nobody has, so they are kept.
        """
        if self.ended is not Ended.HALTED:
            return replace(self, resumed_s=t_s, ended=None)
        instances = {
            name: replace(instance, given_up=None, failed_count=0, set_back_count=0)
            for name, instance in self.instances.items()
        }
        return replace(self, resumed_s=t_s, ended=None, brake=None, instances=instances)


def _instance_after(before: InstanceProgress, event: Event) -> InstanceProgress:
    match event.kind:
        case EventKind.INTENT:
            is_stopped = before.is_stopped or event.step is Step.STOP
            told = _told_after(event.step, before.told)
            return replace(before, begun=True, is_stopped=is_stopped, told=told)
        case EventKind.FOUND:
            return replace(before, found=event.admin)
        case EventKind.TOLD:
            assert event.admin is not None
            return replace(before, told=event.admin)
        case EventKind.KEEP_OUT:
            return replace(before, told=Admin.MAINT)
        case EventKind.HELD:
            # An instance that was not stopped is as it was: it counts as not begun, and starts over
            # when its server is released. An instance that was stopped stays under way.
            if before.is_stopped:
                return replace(before, told=Admin.READY, failed_count=0)
            return InstanceProgress(was_given_up=before.was_given_up, found=before.found)
        case EventKind.DONE:
            assert event.step is not None
            done = STEPS.index(event.step) + 1
            told = _told_after(event.step, before.told)
            after = replace(
                before, begun=True, done=done, failed_count=0, finished_s=None, told=told
            )
            if done < len(STEPS):
                return after
            return replace(after, finished_s=event.t_s, was_given_up=False, told=Admin.READY)
        case EventKind.FAILED:
            return replace(before, failed_count=before.failed_count + 1)
        case EventKind.SET_BACK:
            set_back_count = before.set_back_count + 1
            return replace(
                before, done=0, failed_count=0, finished_s=None, set_back_count=set_back_count
            )
        case EventKind.GIVEN_UP:
            return replace(before, given_up=event.said, was_given_up=True)
    return before


def _told_after(step: Step | None, told: Admin) -> Admin:
    """Return the state into which a step that begins puts a server.

    What changes within a step has an event of its own, `EventKind.TOLD`.
    """
    if step is Step.TAKE_OUT:
        return Admin.DRAIN if told is Admin.READY else told
    return told if step is Step.RETURN else Admin.MAINT


def replay_events(events: Iterable[Event]) -> Progress:
    """Return how far a rollout is after these events."""
    progress = Progress()
    for event in events:
        progress = progress.after(event)
    return progress
