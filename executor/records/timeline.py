"""The record of a rollout: what happened when, in the simulation's words.

Enters: a plan and its journal. Leaves: JSON-ready data, schema `rollcast.timeline/1`. Times are
seconds since the rollout began. Pages and pictures are made of it upstairs.
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
"""What an instance is doing during a step; otherwise it is `serving` or has `failed`."""

_ENDS = {
    EventKind.DONE: "done",
    EventKind.FAILED: "failed",
    EventKind.SET_BACK: "set_back",
    EventKind.HELD: "failed",
}


class StepTaken(TypedDict):
    """One try of one step: `outcome` is done, failed, set_back, or lost with its executor."""

    instance: str
    step: str
    version: str
    begin_s: float
    end_s: float
    outcome: str
    said: str


class InstanceStateInterval(TypedDict):
    """An instance in one state."""

    instance: str
    state: str
    begin_s: float
    end_s: float


def timeline(plan: Plan, journal: Journal) -> dict[str, Any]:
    """The record so far.

    Args:
        plan: What was to be carried out.
        journal: What was.
    """
    events, at = journal.events(), journal.times()
    samples = [{"t_s": t_s, **_counts(seen)} for t_s, seen in journal.samples()]
    ends = [event.t_s for event in events] + [sample["t_s"] for sample in samples]
    end_s = max(ends, default=0.0)
    steps = list_step_attempts(events)
    progress = replay_events(
        event for event in events if not event.instance
    )  # how it ended is of the whole
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


def list_step_attempts(events: list[Event]) -> list[StepTaken]:
    """Every try of every step, in the order in which they began."""
    taken: list[StepTaken] = []
    open_ones: dict[str, StepTaken] = {}
    for event in events:
        if event.kind is EventKind.INTENT and event.step is not None:
            one = StepTaken(
                instance=event.instance,
                step=event.step.value,
                version=event.version,
                begin_s=event.t_s,
                end_s=event.t_s,
                outcome="lost",
                said="",
            )
            taken.append(one)
            open_ones[event.instance] = one
        elif event.kind in _ENDS and event.step is not None and event.instance in open_ones:
            one = open_ones.pop(event.instance)
            one["end_s"], one["outcome"], one["said"] = event.t_s, _ENDS[event.kind], event.said
    return taken


def states(plan: Plan, events: list[Event], end_s: float) -> list[InstanceStateInterval]:
    """Every instance's states, complete and without overlap from 0 to the end."""
    found: list[InstanceStateInterval] = []
    of: dict[str, list[Event]] = {name: [] for name in plan.instances}
    for event in events:
        if event.instance in of:
            of[event.instance].append(event)
    for name, its_own in of.items():
        state, begin_s = "serving", 0.0
        for event in its_own:
            now = state
            if event.kind is EventKind.INTENT and event.step is not None:
                now = STATES[event.step]
            elif event.kind is EventKind.DONE and event.step is Step.RETURN:
                now = "serving"
            elif event.kind is EventKind.GIVEN_UP:
                now = "failed"
            if now != state:
                if event.t_s > begin_s:
                    found.append(_interval(name, state, begin_s, event.t_s))
                state, begin_s = now, event.t_s
        found.append(_interval(name, state, begin_s, end_s))
    return found


def _interval(name: str, state: str, begin_s: float, end_s: float) -> InstanceStateInterval:
    return InstanceStateInterval(instance=name, state=state, begin_s=begin_s, end_s=end_s)


def _counts(seen: dict[str, Any]) -> dict[str, Any]:
    return {**seen, "in_pool_count": len(seen["in_pool"])}


def _reason(events: list[Event]) -> str:
    """Why it did not go on, in the words of the brake or the last notice."""
    brakes = [event.said for event in events if event.kind is EventKind.BRAKE]
    if brakes:
        return brakes[-1]
    if not events or events[-1].ended is not Ended.HALTED:
        return ""
    notices = [event.said for event in events if event.kind is EventKind.NOTICED]
    return notices[-1] if notices else ""


def _measured(steps: list[StepTaken], samples: list[dict[str, Any]]) -> dict[str, float | None]:
    """The figures that have a forecast, under the forecast's names, where they can be told."""
    begins = [one["begin_s"] for one in steps]
    ends = [one["end_s"] for one in steps]
    return {
        "rollout_duration_s": max(ends) - min(begins) if steps else None,
        "lowest_in_pool_count": min((one["in_pool_count"] for one in samples), default=None),
        "queue_max": max((one["queued_count"] for one in samples), default=None),
        "exposure_requests": samples[-1]["exposure_count"] if samples else None,
        "failed_requests": samples[-1]["failed_count"] if samples else None,
    }
