"""The timeline of a rollout: its steps, states and samples as JSON data (`rollcast.timeline/1`).

Times are in seconds since the rollout began. The studio draws pages and charts from this data.
"""

from __future__ import annotations

from typing import Any, TypedDict

from executor.plan.model import Plan, Step
from executor.progress import Ended, Event, EventKind, replay_events
from executor.records.journal import Journal

STATES = {
    Step.TAKE_OUT: "draining",
    Step.STOP: "stopping",
    Step.DEPLOY: "deploying",
    Step.VERIFY: "verifying",
    Step.START: "starting",
    Step.RETURN: "returning",
}
"""The state of an instance during each step; otherwise it is `serving` or has `failed`."""

_ENDS = {
    EventKind.DONE: "done",
    EventKind.FAILED: "failed",
    EventKind.SET_BACK: "set_back",
    EventKind.HELD: "failed",
}


class StepAttempt(TypedDict):
    """One attempt at a step.

    `outcome` is ``done``; ``failed``, also when somebody else took the server out; ``set_back``, when
    the instance starts over from its first step; or ``lost``, when the journal has no end of the
    attempt, because the attempt still runs or its executor died.
    """

    instance: str
    step: str
    version: str
    begin_s: float
    end_s: float
    outcome: str
    said: str


class InstanceStateInterval(TypedDict):
    """An interval in which an instance is in one state."""

    instance: str
    state: str
    begin_s: float
    end_s: float


def timeline(plan: Plan, journal: Journal) -> dict[str, Any]:
    """Return the timeline of a rollout up to now.

    Args:
        plan: The plan that is carried out.
        journal: The journal of the rollout.
    """
    events, at = journal.events(), journal.times()
    samples = [{"t_s": t_s, **_counts(seen)} for t_s, seen in journal.samples()]
    ends = [event.t_s for event in events] + [sample["t_s"] for sample in samples]
    end_s = max(ends, default=0.0)
    steps = list_step_attempts(events)
    # The end needs no events of instances, and the studio calls this four times a second.
    progress = replay_events(event for event in events if not event.instance)
    figures = plan.prediction.metrics
    return {
        "schema": "rollcast.timeline/1",
        "plan": plan.name,
        "plan_digest": plan.digest,
        "service": plan.service,
        "instances": list(plan.instances),
        "window": plan.window,
        "min_in_pool": plan.min_in_pool,
        "versions": {key: journal.about().get(f"{key}_version", key) for key in ("old", "new")},
        "began_at": at[0] if at else None,
        "ended_at": at[-1] if at else None,
        "ended": progress.ended,
        "reason": _reason(events),
        "steps": steps,
        "states": states(plan, events, end_s),
        "samples": samples,
        "events": [
            {"t_s": e.t_s, "kind": e.kind.value, "instance": e.instance, "said": e.text}
            for e in events
            if e.kind is not EventKind.INTENT and not (e.kind in _ENDS and e.step)
        ],
        "measured": _measured(steps, samples),
        "predicted": {name: figure.model_dump() for name, figure in figures.items()},
    }


def list_step_attempts(events: list[Event]) -> list[StepAttempt]:
    """Return every attempt at every step, in the order in which they began."""
    attempts: list[StepAttempt] = []
    open_attempts: dict[str, StepAttempt] = {}
    for event in events:
        if event.kind is EventKind.INTENT and event.step is not None:
            attempt = StepAttempt(
                instance=event.instance,
                step=event.step.value,
                version=event.version,
                begin_s=event.t_s,
                end_s=event.t_s,
                outcome="lost",
                said="",
            )
            attempts.append(attempt)
            open_attempts[event.instance] = attempt
        elif event.kind in _ENDS and event.step is not None and event.instance in open_attempts:
            attempt = open_attempts.pop(event.instance)
            attempt["end_s"], attempt["outcome"], attempt["said"] = (
                event.t_s,
                _ENDS[event.kind],
                event.said,
            )
    return attempts


def states(plan: Plan, events: list[Event], end_s: float) -> list[InstanceStateInterval]:
    """Return the state intervals of every instance, without gap or overlap from 0 to the end."""
    intervals: list[InstanceStateInterval] = []
    events_by_name: dict[str, list[Event]] = {name: [] for name in plan.instances}
    for event in events:
        if event.instance in events_by_name:
            events_by_name[event.instance].append(event)
    for name, own_events in events_by_name.items():
        state, begin_s = "serving", 0.0
        for event in own_events:
            new_state = state
            if event.kind is EventKind.INTENT and event.step is not None:
                new_state = STATES[event.step]
            elif event.kind is EventKind.DONE and event.step is Step.RETURN:
                new_state = "serving"
            elif event.kind is EventKind.GIVEN_UP:
                new_state = "failed"
            if new_state != state:
                if event.t_s > begin_s:
                    intervals.append(_interval(name, state, begin_s, event.t_s))
                state, begin_s = new_state, event.t_s
        intervals.append(_interval(name, state, begin_s, end_s))
    return intervals


def _interval(name: str, state: str, begin_s: float, end_s: float) -> InstanceStateInterval:
    return InstanceStateInterval(instance=name, state=state, begin_s=begin_s, end_s=end_s)


def _counts(seen: dict[str, Any]) -> dict[str, Any]:
    return {**seen, "in_pool_count": len(seen["in_pool"])}


def _reason(events: list[Event]) -> str:
    """Return why the rollout did not go on: the reason of the last brake, else the last notice."""
    brakes = [event.said for event in events if event.kind is EventKind.BRAKE]
    if brakes:
        return brakes[-1]
    if not events or events[-1].ended is not Ended.HALTED:
        return ""
    notices = [event.said for event in events if event.kind is EventKind.NOTICED]
    return notices[-1] if notices else ""


def _measured(steps: list[StepAttempt], samples: list[dict[str, Any]]) -> dict[str, float | None]:
    """Return the measured figures by the names of their predictions; None where not measured."""
    begins = [attempt["begin_s"] for attempt in steps]
    ends = [attempt["end_s"] for attempt in steps]
    return {
        "rollout_duration_s": max(ends) - min(begins) if steps else None,
        "lowest_in_pool_count": min((sample["in_pool_count"] for sample in samples), default=None),
        "queue_max": max((sample["queued_count"] for sample in samples), default=None),
        "exposure_requests": samples[-1]["exposure_count"] if samples else None,
        "failed_requests": samples[-1]["failed_count"] if samples else None,
    }
