"""The events of a rollout, as ``execute --events json`` prints them: one JSON object a line.

Below the screens the events are what a rollout reports. `executor.tell` makes sentences of them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from executor.decide import Wait, Waiting
from executor.fleet.balancers.base import Admin
from executor.plan.model import Step
from executor.progress import Ended, Event, EventKind
from executor.statement import FleetStatement
from executor.traffic import TrafficAnswer

EVENTS_1: Literal["rollcast.events/1"] = "rollcast.events/1"


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class RolloutStarted(_Event):
    """An executor has begun or resumed a rollout; no instance is touched yet.

    Attributes:
        plan: The plan's name.
        plan_digest: The digest of the plan's content, SHA-256.
        service: The service that is rolled.
        instances: The plan's instances, in its order.
        waves_count: The number of waves.
        is_resumed: Whether an earlier executor began the rollout.
        journal: The path of the journal.
        began_at: The present time, in UTC.
    """

    event: Literal["rollout_started"] = "rollout_started"
    schema_: Literal["rollcast.events/1"] = Field(default=EVENTS_1, alias="schema")
    plan: str
    plan_digest: str
    service: str
    instances: tuple[str, ...]
    waves_count: int
    is_resumed: bool
    journal: str
    began_at: str


class BalancerNamed(_Event):
    """The only balancer that the rollout acts on and watches: requests by another are not seen."""

    event: Literal["balancer_named"] = "balancer_named"
    balancer: str


class TrafficCheckBegun(_Event):
    """The requests are counted for some seconds before the first wave."""

    event: Literal["traffic_check_begun"] = "traffic_check_begun"
    over_s: float


class TrafficMeasured(_Event):
    """The traffic before the first wave, held against the range that the plan holds for.

    Attributes:
        answer: How it lies to the range; a rollout above it is refused.
        rate_rps: The measured rate, in requests per second; None where it could not be measured.
        low_rps: The range's lower end.
        high_rps: The range's upper end.
    """

    event: Literal["traffic_measured"] = "traffic_measured"
    answer: TrafficAnswer
    rate_rps: float | None
    low_rps: float
    high_rps: float
    highest_rps: float


class StepBegun(_Event):
    """A step of an instance begins.

    Attributes:
        t_s: Seconds since the rollout began; so it is in every event that has it.
        version: The version that the step brings.
    """

    event: Literal["step_begun"] = "step_begun"
    t_s: float
    instance: str
    step: Step
    version: str


class StepEnded(_Event):
    """A step of an instance has ended.

    Attributes:
        outcome: ``set_back``: the instance starts over. ``held``: somebody else took its server out.
        message: What came of it, in words.
    """

    event: Literal["step_ended"] = "step_ended"
    t_s: float
    instance: str
    step: Step
    version: str
    outcome: Literal["done", "failed", "set_back", "held"]
    message: str


class InstanceChanged(_Event):
    """Something about an instance has changed that is no step.

    Attributes:
        change: ``found``: the state in which others had put its server before the rollout first
            touched it. ``told``: the state that a step has put it into. ``keep_out`` and
            ``kept_out``: it is in the pool, must not be, and is taken out. ``set_back``: it starts
            over. ``held``: somebody else took its server out. ``given_up``: nothing more is tried.
        admin: The state, for ``found`` and ``told``.
        message: The reason, in words.
    """

    event: Literal["instance_changed"] = "instance_changed"
    t_s: float
    instance: str
    change: Literal["found", "told", "keep_out", "kept_out", "set_back", "held", "given_up"]
    admin: Admin | None = None
    message: str = ""


class RolloutChanged(_Event):
    """Something has changed about the whole rollout.

    Attributes:
        change: ``begun`` and ``resumed``: an executor is at work. ``gate_passed``: a wave is over.
            ``brake``: nothing new begins any more. ``turn_back``: the rollback begins. ``noticed``:
            something that people should know.
        wave: The wave that is over, counted from 1, for ``gate_passed``.
        instances: The instances to go back through, in this order, for ``turn_back``.
        message: The reason, in words.
    """

    event: Literal["rollout_changed"] = "rollout_changed"
    t_s: float
    change: Literal["begun", "resumed", "gate_passed", "brake", "turn_back", "noticed"]
    wave: int | None = None
    instances: tuple[str, ...] = ()
    message: str = ""


class WaitBegun(_Event):
    """The rollout waits for something else than before.

    Attributes:
        what: What is waited for.
        wave: For ``gate`` the wave before the gate, for ``approval`` the wave to be approved; from 1.
        gate: For ``gate``, what the gate is.
        instance: For ``settling``, the instance that is done but not yet in the pool and healthy.
        up_count: For ``capacity``, how many instances are in the pool.
        leaving_count: For ``capacity``, how many are to be taken out together.
        min_in_pool: For ``capacity``, how many must be left.
        approve_by: For ``approval``, where the answer is expected.
        approval_line: For an approval by a file, the line that gives it.
    """

    event: Literal["wait_begun"] = "wait_begun"
    what: Waiting
    wave: int | None = None
    gate: Literal["pause", "bake"] | None = None
    instance: str = ""
    up_count: int | None = None
    leaving_count: int | None = None
    min_in_pool: int | None = None
    approve_by: Literal["terminal", "file"] | None = None
    approval_line: str | None = None


class Warned(_Event):
    """A person should know this, and the rollout goes on."""

    event: Literal["warning"] = "warning"
    message: str


class StopRequested(_Event):
    """A signal asked the executor to stop: it finishes the steps that run, and begins no other."""

    event: Literal["stop_requested"] = "stop_requested"


class ActionPlanned(_Event):
    """A line of a dry run: an action that would be done, or the heading of several."""

    event: Literal["action_planned"] = "action_planned"
    message: str


class _Stand(_Event):
    """The state of a rollout when its executor ends.

    Attributes:
        fleet: The fleet's state.
        timeline: The path of the timeline; None when there is none.
        timeline_problem: Why there is no timeline; empty when there is one.
        resume_command: The command that goes on; None when nothing is left to do.
    """

    fleet: FleetStatement = FleetStatement()
    timeline: str | None = None
    timeline_problem: str = ""
    resume_command: str | None = None


class RolloutEnded(_Stand):
    """A rollout has ended.

    Attributes:
        exit_code: The executor's exit code.
        message: The reason of a halt, in words; empty otherwise.
        given_up: The instances that were given up, and why.
    """

    event: Literal["rollout_ended"] = "rollout_ended"
    ended: Ended
    exit_code: int
    message: str = ""
    given_up: dict[str, str] = Field(default_factory=dict)


class JournalFailed(_Stand):
    """The journal cannot be written, so nothing more was begun; an ``error`` says why."""

    event: Literal["journal_failed"] = "journal_failed"


class NothingTouched(_Event):
    """A person interrupted the executor before it touched anything."""

    event: Literal["nothing_touched"] = "nothing_touched"


class ErrorReported(_Event):
    """The executor ends with an error, which it says on standard error, too."""

    event: Literal["error"] = "error"
    message: str
    exit_code: int


RolloutEvent = (
    RolloutStarted
    | BalancerNamed
    | TrafficCheckBegun
    | TrafficMeasured
    | StepBegun
    | StepEnded
    | InstanceChanged
    | RolloutChanged
    | WaitBegun
    | Warned
    | StopRequested
    | ActionPlanned
    | RolloutEnded
    | JournalFailed
    | NothingTouched
    | ErrorReported
)

_ADAPTER: TypeAdapter[RolloutEvent] = TypeAdapter(
    Annotated[RolloutEvent, Field(discriminator="event")]
)


def event_line(event: RolloutEvent) -> str:
    """Return an event as one line of JSON, without the line break."""
    return event.model_dump_json(by_alias=True)


def parse_event(line: str) -> RolloutEvent | None:
    """Return the event in a line of the executor's output; None when the line holds none."""
    try:
        return _ADAPTER.validate_json(line)
    except ValidationError:
        return None


def events_schema() -> dict[str, Any]:
    """Return the JSON Schema of one line, for ``assets/``."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Rollcast event",
        "description": "One line of `execute --events json`.",
        **_ADAPTER.json_schema(by_alias=True, mode="serialization"),
    }


def from_journal(event: Event) -> RolloutEvent | None:
    """Return what a rollout reports of an event in its journal.

    None for the end of a rollout: `RolloutEnded` reports more of it.
    """
    kind, t_s, message = event.kind, event.t_s, event.said
    if kind is EventKind.ENDED:
        return None
    if event.step is not None:
        about = {"instance": event.instance, "step": event.step, "version": event.version}
        if kind is EventKind.INTENT:
            return StepBegun(t_s=t_s, **about)
        return StepEnded.model_validate(
            {**about, "t_s": t_s, "outcome": kind.value, "message": message}
        )
    fields = {"t_s": t_s, "change": kind.value, "message": message}
    if event.instance:
        return InstanceChanged.model_validate(
            {**fields, "instance": event.instance, "admin": event.admin}
        )
    return RolloutChanged.model_validate({**fields, "wave": event.wave, "instances": event.names})


def from_wait(
    wait: Wait, approve_by: Literal["terminal", "file"] | None, approval_line: str | None
) -> WaitBegun:
    """Return what a rollout reports of a wait.

    Args:
        wait: What is waited for.
        approve_by: Where an approval is expected.
        approval_line: The line of a file that approves the wave.
    """
    shortage = wait.shortage
    is_approval = wait.what is Waiting.APPROVAL
    return WaitBegun(
        what=wait.what,
        wave=wait.wave,
        gate=wait.gate,
        instance=wait.instance,
        up_count=shortage.up_count if shortage else None,
        leaving_count=shortage.leaving_count if shortage else None,
        min_in_pool=shortage.min_in_pool if shortage else None,
        approve_by=approve_by if is_approval else None,
        approval_line=approval_line if is_approval else None,
    )
