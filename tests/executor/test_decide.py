"""What to do next, as a table of cases and as promises that hold whatever is observed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executor.decide import (
    BALANCER_SILENCE_LIMIT_S,
    Act,
    Decision,
    DecisionNote,
    Done,
    FleetSnapshot,
    Halt,
    InstanceView,
    KeepOut,
    Shortage,
    Wait,
    Waiting,
    decide,
)
from executor.fleet.balancers.base import Admin, Server
from executor.plan.model import STEPS, Plan, Step
from executor.progress import (
    Ended,
    Event,
    EventKind,
    InstanceProgress,
    Progress,
)
from tests.helpers.fake_fleet import VERSIONS, small_plan

A, B, C, D = NAMES = tuple(f"checkout-{number}" for number in range(1, 5))

UP = Server(Admin.READY, is_up=True, is_checked=True)
OLD = InstanceView(UP, healthy=True, version="1.0")
NEW = InstanceView(UP, healthy=True, version="1.1")
OUT = InstanceView(Server(Admin.MAINT, is_up=False), healthy=False)
DOWN = InstanceView(Server(Admin.READY, is_up=False), healthy=False)
HELD = InstanceView(Server(Admin.MAINT, is_up=True), healthy=True, version="1.0")
BACKUP = InstanceView(replace(UP, is_backup=True), healthy=True, version="1.0")
IDLE = InstanceView(replace(UP, weight=0), healthy=True, version="1.0")
FINISHED = InstanceProgress(begun=True, done=6, finished_s=50.0)


def under_way(done: int, **more: Any) -> InstanceProgress:
    told = Admin.MAINT if done else Admin.DRAIN
    return InstanceProgress(begun=True, done=done, **{"told": told, **more})


def given_up(done: int, why: str = "no") -> InstanceProgress:
    return under_way(done, given_up=why, was_given_up=True)


def observed(
    progress: dict[str, InstanceProgress] | None = None,
    instances: dict[str, InstanceView] | None = None,
    *,
    whole: dict[str, Any] | None = None,
    **more: Any,
) -> FleetSnapshot:
    return FleetSnapshot(
        now_s=100.0,
        progress=Progress(instances=progress or {}, **(whole or {})),
        instances=dict.fromkeys(NAMES, OLD) | (instances or {}),
        versions=VERSIONS,
        **more,
    )


def halfway(**more: Any) -> FleetSnapshot:
    """A is finished, B is stopped, C and D are untouched."""
    return observed({A: FINISHED, B: under_way(2)}, {A: NEW, B: OUT}, **more)


BUSY = {"running_steps": {B: Step.DEPLOY}}
BRAKED = {"whole": {"brake": "enough"}}
PATIENCE = {  # 30 s for a start, 20 s for a return, 5 s for it to stay up: 55 s
    "min_in_pool": 2,
    "min_ready_s": 5.0,
    "step_deadlines_s": dict.fromkeys(Step, 20.0) | {Step.START: 30.0},
}
ALL_DONE = (dict.fromkeys(NAMES, FINISHED), dict.fromkeys(NAMES, NEW))

CASES = [
    # plan's changes, what is observed, what is decided
    pytest.param({}, observed(), Act(A, Step.TAKE_OUT), id="the first of all"),
    pytest.param(
        {},
        observed({A: under_way(0)}, running_steps={A: Step.TAKE_OUT}),
        Act(B, Step.TAKE_OUT),
        id="the second place in the window",
    ),
    pytest.param({}, halfway(), Act(B, Step.DEPLOY), id="the next step of one under way"),
    pytest.param({}, halfway(**BUSY), Act(C, Step.TAKE_OUT), id="a place became free"),
    pytest.param(
        {},
        observed(
            {A: under_way(0), B: under_way(0)}, running_steps={A: Step.TAKE_OUT, B: Step.TAKE_OUT}
        ),
        Wait(Waiting.WINDOW),
        id="the window is full",
    ),
    pytest.param(
        {"pause_s": 60.0},
        halfway(**BUSY),
        Wait(Waiting.PAUSE),
        id="the pause in sliding",
    ),
    pytest.param({"pause_s": 50.0}, halfway(**BUSY), Act(C, Step.TAKE_OUT), id="the pause is over"),
    pytest.param(
        {"min_in_pool": 2},
        observed({}, {C: OUT, D: OUT}),
        Wait(Waiting.CAPACITY, shortage=Shortage(2, 2, 2)),
        id="too few are up",
    ),
    pytest.param(
        {"min_in_pool": 2},
        observed({}, {C: OUT, D: OUT}, waited_s={Waiting.CAPACITY: 41.0}),
        DecisionNote(
            EventKind.BRAKE,
            said=f"{A} cannot be taken out: up (2) less 2 must not fall below the minimum (2)",
        ),
        id="too few for too long",
    ),
    pytest.param(
        PATIENCE,
        observed({}, {C: OUT, D: OUT}, waited_s={Waiting.CAPACITY: 55.0}),
        Wait(Waiting.CAPACITY, shortage=Shortage(2, 2, 2)),
        id="too few for as long as a start, a return and min_ready may take",
    ),
    pytest.param(
        PATIENCE,
        observed({}, {C: OUT, D: OUT}, waited_s={Waiting.CAPACITY: 55.5}),
        DecisionNote(
            EventKind.BRAKE,
            said=f"{A} cannot be taken out: up (2) less 2 must not fall below the minimum (2)",
        ),
        id="too few for longer than a start, a return and min_ready may take",
    ),
    pytest.param(
        {"min_in_pool": 2},
        observed({}, {A: DOWN, B: DOWN}),
        Act(A, Step.TAKE_OUT),
        id="one that is down already costs nothing",
    ),
    pytest.param(
        {"min_in_pool": 2},
        observed({A: FINISHED}, {A: NEW, C: IDLE, D: IDLE}),
        Wait(Waiting.CAPACITY, shortage=Shortage(2, 1, 2)),
        id="weight 0 is no capacity",
    ),
    pytest.param(
        {"min_in_pool": 2},
        observed({A: FINISHED}, {A: NEW, C: BACKUP, D: BACKUP}),
        Wait(Waiting.CAPACITY, shortage=Shortage(2, 1, 2)),
        id="a backup is no capacity",
    ),
    pytest.param(
        {},
        observed({}, {A: HELD}),
        Halt(f"{A} was put into maint by somebody else, and is not touched"),
        id="in maintenance by others before its turn",
    ),
    pytest.param(
        {},
        observed({}, {A: InstanceView(Server(Admin.DRAIN, is_up=True), True, "1.0")}),
        Halt(f"{A} was put into drain by somebody else, and is not touched"),
        id="drained by others before its turn",
    ),
    pytest.param(
        {},
        observed({A: under_way(3)}, {A: OUT, B: HELD}, running_steps={A: Step.VERIFY}),
        Wait(Waiting.LAST_STEPS),
        id="in maintenance by others: the one under way goes on",
    ),
    pytest.param(
        {},
        observed({A: under_way(1, told=Admin.DRAIN)}, {A: HELD}),
        DecisionNote(
            EventKind.HELD, A, f"{A} was put into maint by somebody else, and is not touched"
        ),
        id="in maintenance by others between its drain and its stop",
    ),
    pytest.param(
        {"on_failure": "rollback"},
        observed({A: under_way(5, told=Admin.READY)}, {A: replace(NEW, server=HELD.server)}),
        Halt(f"{A} was put into maint by somebody else, and is not touched"),
        id="in maintenance by others after its return",
    ),
    pytest.param(
        {},
        observed(ALL_DONE[0], ALL_DONE[1] | {C: HELD}, whole={"gates_passed": 1}),
        Halt(f"{C} was put into maint by somebody else, and is not touched"),
        id="done, and in maintenance by others",
    ),
    pytest.param(
        {},
        observed(
            ALL_DONE[0],
            dict.fromkeys(NAMES, replace(NEW, server=IDLE.server)),
            whole={"gates_passed": 1},
        ),
        Done(Ended.DONE),
        id="done, with the weight 0 that others gave",
    ),
    pytest.param(
        {},
        observed({A: under_way(3)}, {A: replace(OUT, server=UP)}),
        KeepOut((A,)),
        id="in the pool in the middle of its steps",
    ),
    pytest.param(
        {},
        observed({A: under_way(3)}, {A: replace(OUT, server=UP)}, running_steps={A: Step.VERIFY}),
        KeepOut((A,)),
        id="the same while a step is in hand",
    ),
    pytest.param(
        {},
        observed({A: under_way(1)}, {A: OLD}),
        DecisionNote(EventKind.SET_BACK, A, "it is in the pool again before its return"),
        id="drained, and in the pool again",
    ),
    pytest.param(
        {},
        observed({A: under_way(1)}, {A: OLD}, running_steps={A: Step.STOP}),
        KeepOut((A,)),
        id="in the pool while it is being stopped",
    ),
    pytest.param(
        {},
        observed(
            {A: under_way(3), B: under_way(2)}, dict.fromkeys((A, B), replace(OUT, server=UP))
        ),
        KeepOut((A, B)),
        id="two in the pool in the middle of their steps",
    ),
    pytest.param(
        {},
        observed({A: under_way(5)}, {A: replace(NEW, server=UP)}),
        Act(A, Step.RETURN),
        id="in the pool when its return was cut short",
    ),
    pytest.param(
        {},
        observed({A: under_way(5, failed_count=1)}, {A: replace(NEW, server=UP)}),
        KeepOut((A,)),
        id="in the pool after a return that failed",
    ),
    pytest.param(
        {"on_failure": "continue", "max_failures": 1},
        observed({A: given_up(2)}, {A: replace(OUT, server=UP)}),
        KeepOut((A,)),
        id="given up, and in the pool again",
    ),
    pytest.param(
        {},
        observed({A: under_way(0, was_given_up=True)}, {A: OLD}),
        KeepOut((A,)),
        id="given up before a halt, and in the pool before its turn",
    ),
    pytest.param(
        {},
        observed({A: under_way(5, was_given_up=True)}, {A: NEW}),
        KeepOut((A,)),
        id="given up at its return before a halt, and in the pool before it is tried again",
    ),
    pytest.param(
        {},
        observed({A: under_way(0, was_given_up=True)}, {A: OLD}, running_steps={A: Step.TAKE_OUT}),
        Act(B, Step.TAKE_OUT),
        id="the same while it is taken out",
    ),
    pytest.param(
        {"on_failure": "rollback", "window": 1},
        observed(
            {A: InstanceProgress(was_given_up=True), B: under_way(0)},
            {A: OLD},
            running_steps={B: Step.TAKE_OUT},
            whole={"direction": "back", "order": (B, A)},
        ),
        KeepOut((A,)),
        id="back: given up forward, and in the pool before its turn",
    ),
    pytest.param(
        {},
        observed({A: under_way(3)}, {A: replace(OUT, server=UP)}, is_stop_requested=True),
        KeepOut((A,)),
        id="asked to stop: first out with it",
    ),
    pytest.param(
        {},
        observed(
            {A: under_way(3)},
            {A: replace(OUT, server=UP)},
            is_stop_requested=True,
            removal_failing_s={A: 1.0},
        ),
        Done(Ended.INTERRUPTED),
        id="asked to stop, and it cannot be taken out",
    ),
    pytest.param(
        {},
        observed(
            {A: under_way(3), B: under_way(3)},
            dict.fromkeys((A, B), replace(OUT, server=UP)),
            is_stop_requested=True,
            removal_failing_s={A: 1.0},
        ),
        KeepOut((A, B)),
        id="asked to stop, and one of two was not tried",
    ),
    pytest.param(
        {},
        observed(
            {A: under_way(3), B: under_way(3)},
            dict.fromkeys((A, B), replace(OUT, server=UP)),
            removal_failing_s={A: BALANCER_SILENCE_LIMIT_S + 1},
        ),
        KeepOut((A, B)),
        id="one cannot be taken out for too long, another was not tried",
    ),
    pytest.param(
        {},
        observed(
            {A: under_way(3), B: under_way(3)},
            dict.fromkeys((A, B), replace(OUT, server=UP)),
            removal_failing_s={A: BALANCER_SILENCE_LIMIT_S + 1, B: 1.0},
        ),
        Halt(f"{A}, {B} are in the pool, must not be, and cannot be taken out"),
        id="two cannot be taken out",
    ),
    pytest.param(
        {},
        observed(
            {A: under_way(3)},
            {A: replace(OUT, server=UP)},
            removal_failing_s={A: BALANCER_SILENCE_LIMIT_S},
        ),
        KeepOut((A,)),
        id="it cannot be taken out for exactly as long as is waited",
    ),
    pytest.param(
        {},
        observed(
            {A: under_way(3)},
            {A: replace(OUT, server=UP)},
            removal_failing_s={A: BALANCER_SILENCE_LIMIT_S + 1},
        ),
        Halt(f"{A} is in the pool, must not be, and cannot be taken out"),
        id="it cannot be taken out for too long",
    ),
    pytest.param(
        {},
        observed(
            {A: under_way(3)},
            {A: replace(OUT, server=UP), B: OUT},
            removal_failing_s={A: BALANCER_SILENCE_LIMIT_S + 1},
            **BUSY,
        ),
        KeepOut((A,)),
        id="the same, a step in hand: it is tried on",
    ),
    pytest.param(
        {},
        observed({A: under_way(5)}, {A: OUT}),
        DecisionNote(EventKind.SET_BACK, A, "it was started, yet nothing answers"),
        id="started, yet dead",
    ),
    pytest.param(
        {},
        observed({A: under_way(5)}, {A: replace(OUT, healthy=True, version="1.0")}),
        DecisionNote(EventKind.SET_BACK, A, "it was started, yet 1.0 answers"),
        id="started, yet the old version",
    ),
    pytest.param(
        {},
        observed({A: under_way(3)}, {A: replace(OUT, healthy=True, version="1.0")}),
        DecisionNote(EventKind.SET_BACK, A, "it was stopped, yet 1.0 answers"),
        id="stopped, yet it runs",
    ),
    pytest.param(
        {"retries": 1},
        observed({A: under_way(2, failed_count=1)}, {A: OUT}),
        Act(A, Step.DEPLOY),
        id="a step is tried again",
    ),
    pytest.param(
        {"retries": 1},
        observed({A: under_way(2, failed_count=2)}, {A: OUT}),
        DecisionNote(EventKind.GIVEN_UP, A, "deploy failed 2 times"),
        id="a step failed for good",
    ),
    pytest.param(
        {},
        observed({A: under_way(0, set_back_count=3)}),
        Act(A, Step.TAKE_OUT),
        id="it starts over for the third time",
    ),
    pytest.param(
        {},
        observed({A: under_way(0, set_back_count=4)}),
        DecisionNote(EventKind.GIVEN_UP, A, "had to start over 4 times"),
        id="it starts over again and again",
    ),
    pytest.param(
        {},
        observed({A: given_up(2, "deploy failed 1 times")}, {A: OUT}),
        DecisionNote(EventKind.BRAKE, said=f"{A}: deploy failed 1 times"),
        id="one failed",
    ),
    pytest.param(
        {"on_failure": "continue", "max_failures": 1},
        observed({A: given_up(2)}, {A: OUT}),
        Act(B, Step.TAKE_OUT),
        id="one may fail",
    ),
    pytest.param(
        {"on_failure": "continue"},
        observed(
            {A: under_way(2), B: under_way(4), C: under_way(3)}, dict.fromkeys((A, B, C), OUT)
        ),
        Act(B, Step.START),
        id="resumed: of three that were given up the nearest to its end",
    ),
    pytest.param(
        {"on_failure": "continue"},
        observed(
            {A: under_way(2), B: under_way(4), C: under_way(3)},
            dict.fromkeys((A, B, C), OUT),
            running_steps={B: Step.START},
        ),
        Act(C, Step.VERIFY),
        id="resumed: then the next",
    ),
    pytest.param(
        {"on_failure": "continue"},
        observed(
            {A: under_way(2), B: under_way(4), C: under_way(3)},
            dict.fromkeys((A, B, C), OUT),
            running_steps={B: Step.START, C: Step.VERIFY},
        ),
        Wait(Waiting.WINDOW),
        id="resumed: the window is full",
    ),
    pytest.param(
        {},
        halfway(crossed_limit="guard: errors"),
        DecisionNote(EventKind.BRAKE, said="guard: errors"),
        id="a guard",
    ),
    pytest.param(
        {}, halfway(**BRAKED), Act(B, Step.DEPLOY), id="braked: the one under way goes on"
    ),
    pytest.param(
        {},
        halfway(**BRAKED, **BUSY),
        Wait(Waiting.LAST_STEPS),
        id="braked: nothing new",
    ),
    pytest.param({}, observed({A: FINISHED}, {A: NEW}, **BRAKED), Halt("enough"), id="halted"),
    pytest.param(
        {"on_failure": "rollback"},
        observed({A: FINISHED, B: given_up(2)}, {A: NEW, B: OUT}, **BRAKED),
        DecisionNote(EventKind.TURN_BACK, names=(B, A)),
        id="turned back, the failed one first",
    ),
    pytest.param(
        {"on_failure": "rollback"},
        observed({B: FINISHED}, {A: NEW, B: OLD}, whole={"direction": "back", "order": (B, A)}),
        Act(A, Step.TAKE_OUT),
        id="back: the next",
    ),
    pytest.param(
        {"on_failure": "rollback"},
        observed(
            {A: FINISHED, B: FINISHED},
            whole={"direction": "back", "order": (B, A), "gates_passed": 1},
        ),
        Done(Ended.ROLLED_BACK),
        id="rolled back",
    ),
    pytest.param(
        {"on_failure": "rollback"},
        observed(
            {B: given_up(2)},
            {B: OUT},
            whole={"direction": "back", "order": (B, A)},
        ),
        DecisionNote(EventKind.BRAKE, said=f"{B}: no"),
        id="back: one failed",
    ),
    pytest.param({}, halfway(is_stop_requested=True), Done(Ended.INTERRUPTED), id="asked to stop"),
    pytest.param(
        {},
        halfway(is_stop_requested=True, **BUSY),
        Wait(Waiting.STEPS),
        id="asked to stop, a step in hand",
    ),
    pytest.param(
        {},
        replace(halfway(), instances={}),
        Wait(Waiting.BALANCER),
        id="blind",
    ),
    pytest.param(
        {},
        replace(halfway(), instances={}, waited_s={Waiting.BALANCER: BALANCER_SILENCE_LIMIT_S}),
        Wait(Waiting.BALANCER),
        id="blind for exactly as long as is waited",
    ),
    pytest.param(
        {},
        replace(halfway(), instances={}, waited_s={Waiting.BALANCER: BALANCER_SILENCE_LIMIT_S + 1}),
        Halt("the balancer has not answered as it should for 30 s"),
        id="blind for too long",
    ),
    pytest.param(
        {},
        observed(*ALL_DONE),
        DecisionNote(EventKind.GATE_PASSED, wave=1),
        id="the last wave",
    ),
    pytest.param(
        {},
        observed(*ALL_DONE, whole={"gates_passed": 1}),
        Done(Ended.DONE),
        id="done",
    ),
    pytest.param(
        {},
        observed(ALL_DONE[0], ALL_DONE[1] | {C: OLD}, whole={"gates_passed": 1}),
        DecisionNote(EventKind.SET_BACK, C, "it was done, yet 1.0 answers"),
        id="done, yet the old version",
    ),
    pytest.param(
        {},
        observed(ALL_DONE[0], ALL_DONE[1] | {C: DOWN}, whole={"gates_passed": 1}),
        Wait(Waiting.SETTLING, instance=C),
        id="done, yet one is out",
    ),
    pytest.param(
        {},
        observed(
            ALL_DONE[0],
            ALL_DONE[1] | {C: DOWN},
            whole={"gates_passed": 1},
            waited_s={Waiting.SETTLING: 41.0},
        ),
        Halt(f"{C} is done, but not in the pool and healthy"),
        id="one stays out",
    ),
    pytest.param(
        PATIENCE,
        observed(
            ALL_DONE[0],
            ALL_DONE[1] | {C: DOWN},
            whole={"gates_passed": 1},
            waited_s={Waiting.SETTLING: 55.0},
        ),
        Wait(Waiting.SETTLING, instance=C),
        id="one is out for as long as a start, a return and min_ready may take",
    ),
    pytest.param(
        {},
        observed(
            ALL_DONE[0] | {D: under_way(2, set_back_count=1)},
            ALL_DONE[1] | {C: OUT, D: OUT},
            running_steps={D: Step.DEPLOY},
            whole={"gates_passed": 1},
            waited_s={Waiting.SETTLING: 41.0},
        ),
        Wait(Waiting.STEPS),
        id="one stays out, another has a step in hand",
    ),
    pytest.param(
        {"advance": "batch", "pause_s": 60.0},
        observed({A: FINISHED, B: FINISHED}, {A: NEW, B: NEW}),
        Wait(Waiting.GATE, wave=1, gate="pause"),
        id="the gate between batches",
    ),
    pytest.param(
        {"advance": "batch", "pause_s": 60.0},
        observed({A: FINISHED, B: FINISHED}, {A: NEW, B: NEW}, whole={"resumed_s": 99.0}),
        Wait(Waiting.GATE, wave=1, gate="pause"),
        id="a gate that nobody watched begins again",
    ),
    pytest.param(
        {"advance": "batch", "pause_s": 50.5},
        observed({A: FINISHED, B: FINISHED}, {A: NEW, B: NEW}),
        Wait(Waiting.GATE, wave=1, gate="pause"),
        id="the gate half a second before it opens",
    ),
    pytest.param(
        {"advance": "batch", "pause_s": 50.0},
        observed({A: FINISHED, B: FINISHED}, {A: NEW, B: NEW}),
        DecisionNote(EventKind.GATE_PASSED, wave=1),
        id="the gate opens",
    ),
    pytest.param(
        {"advance": "batch"},
        observed({A: FINISHED, B: FINISHED}, {A: NEW, B: NEW}, approval="awaited"),
        Wait(Waiting.APPROVAL, wave=2),
        id="approval",
    ),
    pytest.param(
        {"advance": "batch"},
        observed({A: FINISHED, B: FINISHED}, {A: NEW, B: NEW}, approval="refused"),
        DecisionNote(EventKind.BRAKE, said="wave 2 was not approved"),
        id="not approved",
    ),
    pytest.param(
        {"advance": "batch", "on_failure": "rollback"},
        observed({A: FINISHED, B: FINISHED}, {A: NEW, B: NEW}, approval="late"),
        Halt("wave 2 was not approved while the plan was valid"),
        id="approval that comes too late",
    ),
    pytest.param(
        {"advance": "batch"},
        observed({A: FINISHED, B: under_way(5)}, {A: NEW, B: OUT}, running_steps={B: Step.RETURN}),
        Wait(Waiting.STEPS),
        id="a batch waits for its last",
    ),
]


@pytest.mark.parametrize(("changes", "seen", "decision"), CASES)
def test_what_is_decided(changes: dict[str, Any], seen: FleetSnapshot, decision: Decision) -> None:
    assert decide(small_plan(**changes), seen) == decision


def test_it_is_a_function_of_what_it_is_given() -> None:
    for case in CASES:
        changes, seen, _ = case.values
        plan = small_plan(**changes)  # type: ignore[arg-type] # the table's columns
        assert decide(plan, seen) == decide(plan, seen)  # type: ignore[arg-type] # as above


class Played:
    """A fleet that does what is decided, as fate has it: a model of everything around `decide`.

    Attributes:
        mischief: So much goes wrong, at most.
        calm: How seldom: the odds against it at each step and each wait.
        resumes: How often somebody goes on with what was halted.
    """

    def __init__(self, plan: Plan, draw: Any, mischief: int | None = None) -> None:
        self.plan, self.draw = plan, draw
        self.progress = Progress()
        self.now_s = 0.0
        self.busy: dict[str, Step] = {}
        self.running: dict[str, str] = dict.fromkeys(plan.instances, "1.0")
        self.server: dict[str, Server] = dict.fromkeys(plan.instances, UP)
        self.waited: dict[Waiting, float] = {}
        self.last: Waiting | None = None
        self.broken: set[str] = set()
        self.mischief = draw(st.integers(0, 8)) if mischief is None else mischief
        self.calm = draw(st.sampled_from([1, 6])) if self.mischief else 0
        self.resumes = draw(st.integers(0, 2)) if self.mischief else 0

    @property
    def target(self) -> str:
        return "1.0" if self.progress.direction == "back" else "1.1"

    def note(
        self,
        kind: EventKind,
        name: str = "",
        step: Step | None = None,
        said: str = "",
        **facts: Any,
    ) -> None:
        if kind is EventKind.GIVEN_UP:
            self.broken.add(name)
        if (kind, step) == (EventKind.DONE, Step.RETURN):
            self.broken.discard(name)
        self.progress = self.progress.after(Event(self.now_s, kind, name, step, "", said, **facts))

    def observed(self) -> FleetSnapshot:
        seen = {
            name: InstanceView(self.server[name], name in self.running, self.running.get(name))
            for name in self.plan.instances
        }
        blind = self.mischief > 0 and self.draw(st.integers(0, 9)) == 0
        return FleetSnapshot(
            self.now_s,
            self.progress,
            {} if blind else seen,
            VERSIONS,
            dict(self.busy),
            dict(self.waited),
        )

    def out_for_the_rollout(self) -> list[str]:
        return [n for n in self.plan.instances if self.progress.of(n).is_under_way]

    def begin(self, act: Act) -> None:
        one = self.progress.of(act.instance)
        assert act.instance not in self.busy, "two steps of one instance at once"
        assert act.step is one.next_step, "a step was left out"
        assert one.given_up is None
        if act.step is Step.TAKE_OUT and not one.begun:
            up = [n for n in self.plan.instances if self.server[n].is_in_pool]
            up = [n for n in up if not self.progress.of(n).is_under_way]
            if act.instance in up:
                assert len(up) - 1 >= self.plan.min_in_pool, "below the minimum"
        self.note(EventKind.INTENT, act.instance, act.step)
        if not one.begun:
            assert len(self.out_for_the_rollout()) <= self.plan.window, "beyond the window"
        self.busy[act.instance] = act.step
        assert len(self.busy) <= self.plan.window, "more in hand than the window"

    def finish(self, name: str) -> None:
        """A step in hand comes to its end, well or not, as `executor.steps` would have it."""
        step = self.busy.pop(name)
        if self.mischief > 0 and self.draw(st.integers(0, self.calm)) == 0:
            self.mischief -= 1
            if step is Step.RETURN:  # the balancer may be away when it is to be taken out again
                self.server[name] = self.draw(st.sampled_from([OUT.server, UP]))
            kind = self.draw(st.sampled_from([EventKind.FAILED, EventKind.SET_BACK]))
            self.note(kind, name, step, "fate")
            return
        match step:
            case Step.TAKE_OUT if self.server[name].admin is Admin.READY:
                self.server[name] = Server(Admin.DRAIN, is_up=True)
            case Step.STOP:
                self.server[name] = OUT.server
                self.running.pop(name, None)
            case Step.START:
                self.running[name] = self.target
            case Step.RETURN:
                if self.running.get(name) != self.target:
                    self.note(EventKind.FAILED, name, step, "not right")
                    return
                self.server[name] = UP
        self.note(EventKind.DONE, name, step)

    def disturb(self) -> None:
        """The balancer forgets, an instance dies, somebody kills the executor."""
        if self.mischief == 0 or self.draw(st.integers(0, self.calm)) != 0:
            return
        self.mischief -= 1
        what = self.draw(st.sampled_from(["forget", "die", "killed"]))
        if what == "forget":
            self.server = dict.fromkeys(self.plan.instances, UP)
        elif what == "die":
            self.running.pop(self.draw(st.sampled_from(self.plan.instances)), None)
        else:
            self.busy.clear()  # neither done nor failed: the journal knows the intent
            self.note(EventKind.RESUMED)

    def must_be_out(self) -> None:
        """Nobody who was given up or failed to return is in the pool once all that was decided.

        What somebody gave up, in whatever direction and before whatever halt, has not come back until
        it has gone through all steps again.
        """
        for name in self.plan.instances:
            one = self.progress.of(name)
            has_failed = one.failed_count > 0 and one.next_step is Step.RETURN
            if name not in self.busy and (name in self.broken or has_failed):
                assert self.server[name].admin is not Admin.READY, "unverified in the pool"

    def play(self) -> Done | Halt:
        for _ in range(3000):
            decision = decide(self.plan, self.observed())
            if not isinstance(decision, Wait):
                self.waited, self.last = {}, None
            match decision:
                case Act():
                    self.begin(decision)
                case KeepOut():
                    self.server |= dict.fromkeys(decision.instances, OUT.server)
                case DecisionNote():
                    self.note(
                        decision.kind,
                        decision.instance,
                        said=decision.said,
                        names=decision.names,
                        wave=decision.wave,
                    )
                case Wait():
                    if decision.what is not Waiting.BALANCER:
                        self.must_be_out()
                    self.now_s += 1.0
                    if self.last is not decision.what:
                        self.waited, self.last = {}, decision.what
                    self.waited[decision.what] = self.waited.get(decision.what, -1.0) + 1.0
                    if self.busy:
                        self.finish(self.draw(st.sampled_from(sorted(self.busy))))
                    self.disturb()
                case Halt() if self.resumes:
                    assert not self.busy
                    self.resumes -= 1
                    self.note(EventKind.ENDED, ended=Ended.HALTED)
                    self.disturb()  # while nobody watches
                    self.note(EventKind.RESUMED)
                case _:
                    assert not self.busy
                    return decision
        raise AssertionError("it never ends")


plans = st.builds(
    lambda window, spare, advance, on_failure, failures, retries, pause_s: small_plan(
        window=window,
        min_in_pool=4 - min(4, window + spare),
        advance=advance,
        on_failure=on_failure,
        max_failures=failures,
        retries=retries,
        pause_s=float(pause_s),
    ),
    st.integers(1, 3),
    st.integers(0, 1),
    st.sampled_from(["sliding", "batch"]),
    st.sampled_from(["halt", "continue", "rollback"]),
    st.integers(0, 2),
    st.integers(0, 2),
    st.integers(0, 5),
)


@settings(max_examples=200, deadline=None)
@given(plan=plans, data=st.data())
def test_whatever_happens_it_ends_and_keeps_its_promises(plan: Plan, data: st.DataObject) -> None:
    must_keep_its_promises(Played(plan, data.draw))


@settings(max_examples=200, deadline=None)
@given(plan=plans, data=st.data())
def test_a_halted_rollout_that_is_resumed_keeps_its_promises(
    plan: Plan, data: st.DataObject
) -> None:
    """Where each step fails as often as not, and for good: many are given up before the halt."""
    careless = plan.model_copy(update={"on_failure": "continue", "retries": 0})
    played = Played(careless, data.draw, mischief=8)
    played.calm, played.resumes = 1, 2
    must_keep_its_promises(played)


def must_keep_its_promises(played: Played) -> None:
    plan, ended = played.plan, played.play()
    failed = [n for n in plan.instances if played.progress.of(n).given_up is not None]
    if ended == Done(Ended.DONE):
        assert len(failed) <= (plan.max_failures if plan.on_failure == "continue" else 0)
        for name in set(plan.instances) - set(failed):
            assert played.running[name] == "1.1"
            assert played.server[name].is_in_pool
    if ended == Done(Ended.ROLLED_BACK):
        for name in played.progress.order:
            assert played.running[name] == "1.0"
            assert played.server[name].is_in_pool


@settings(max_examples=50, deadline=None)
@given(plan=plans, data=st.data())
def test_where_nothing_happens_all_are_new_after_six_steps_each(
    plan: Plan, data: st.DataObject
) -> None:
    acts: list[tuple[str, Step]] = []

    class Noted(Played):
        def begin(self, act: Act) -> None:
            acts.append((act.instance, act.step))
            super().begin(act)

    played = Noted(plan, data.draw, mischief=0)
    assert played.play() == Done(Ended.DONE)
    for name in plan.instances:
        assert [step for one, step in acts if one == name] == list(STEPS)
