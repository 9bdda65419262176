"""The events of a rollout as lines of JSON: what is written is read again, and fits its schema."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from executor.decide import Shortage, Wait, Waiting
from executor.events import (
    InstanceChanged,
    RolloutChanged,
    RolloutEvent,
    StepBegun,
    StepEnded,
    WaitBegun,
    event_line,
    events_schema,
    from_journal,
    from_wait,
    parse_event,
)
from executor.fleet.balancers.base import Admin
from executor.plan.model import Step
from executor.progress import Ended, Event, EventKind
from tests.executor.test_tell import EVENTS


@pytest.mark.parametrize("event", [event for event, _ in EVENTS.values()], ids=EVENTS)
def test_a_line_is_read_again_and_fits_the_schema(event: RolloutEvent) -> None:
    line = event_line(event)
    assert "\n" not in line
    assert parse_event(line) == event
    jsonschema.validate(json.loads(line), events_schema())


def test_every_kind_of_event_has_a_row() -> None:
    kinds = set(events_schema()["discriminator"]["mapping"])
    assert kinds == {json.loads(event_line(event))["event"] for event, _ in EVENTS.values()}


@pytest.mark.parametrize(
    "line", ["", "wave 2", "[]", '{"event": "other"}', '{"event": "warning"}', '{"event": "nothing']
)
def test_another_line_is_no_event(line: str) -> None:
    assert parse_event(line) is None


STEP: dict[str, Any] = {"instance": "a", "step": Step.STOP, "version": "1.1"}


@pytest.mark.parametrize(
    ("event", "reported"),
    [
        (Event(1.0, EventKind.INTENT, **STEP), StepBegun(t_s=1.0, **STEP)),
        *(
            (
                Event(1.0, kind, **STEP, said="so"),
                StepEnded(t_s=1.0, **STEP, outcome=kind.value, message="so"),
            )
            for kind in (EventKind.DONE, EventKind.FAILED, EventKind.SET_BACK, EventKind.HELD)
        ),
        *(
            (
                Event(1.0, kind, "a", said="so"),
                InstanceChanged(t_s=1.0, instance="a", change=kind.value, message="so"),
            )
            for kind in (
                EventKind.SET_BACK,
                EventKind.KEEP_OUT,
                EventKind.KEPT_OUT,
                EventKind.HELD,
                EventKind.GIVEN_UP,
            )
        ),
        *(
            (
                Event(1.0, kind, "a", admin=Admin.DRAIN),
                InstanceChanged(t_s=1.0, instance="a", change=kind.value, admin=Admin.DRAIN),
            )
            for kind in (EventKind.FOUND, EventKind.TOLD)
        ),
        *(
            (
                Event(1.0, kind, said="so"),
                RolloutChanged(t_s=1.0, change=kind.value, message="so"),
            )
            for kind in (EventKind.BEGUN, EventKind.RESUMED, EventKind.BRAKE, EventKind.NOTICED)
        ),
        (
            Event(1.0, EventKind.GATE_PASSED, wave=3),
            RolloutChanged(t_s=1.0, change="gate_passed", wave=3),
        ),
        (
            Event(1.0, EventKind.TURN_BACK, names=("b", "a")),
            RolloutChanged(t_s=1.0, change="turn_back", instances=("b", "a")),
        ),
        (Event(1.0, EventKind.ENDED, ended=Ended.DONE), None),
    ],
)
def test_what_is_reported_of_a_journal(event: Event, reported: RolloutEvent | None) -> None:
    assert from_journal(event) == reported


@pytest.mark.parametrize(
    ("wait", "reported"),
    [
        (
            Wait(Waiting.APPROVAL, wave=2),
            WaitBegun(what=Waiting.APPROVAL, wave=2, approve_by="file", approval_line="wave 2 abc"),
        ),
        (
            Wait(Waiting.GATE, wave=1, gate="bake"),
            WaitBegun(what=Waiting.GATE, wave=1, gate="bake"),
        ),
        (
            Wait(Waiting.CAPACITY, shortage=Shortage(3, 2, 2)),
            WaitBegun(what=Waiting.CAPACITY, up_count=3, leaving_count=2, min_in_pool=2),
        ),
        (
            Wait(Waiting.SETTLING, instance="a"),
            WaitBegun(what=Waiting.SETTLING, instance="a"),
        ),
    ],
)
def test_what_is_reported_of_a_wait(wait: Wait, reported: WaitBegun) -> None:
    assert from_wait(wait, "file", "wave 2 abc") == reported
