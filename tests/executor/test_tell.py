"""The sentences of a rollout: one row for each, made of an event."""

from __future__ import annotations

import pytest

from executor.decide import Waiting
from executor.events import (
    ActionPlanned,
    BalancerNamed,
    ErrorReported,
    InstanceChanged,
    JournalFailed,
    NothingTouched,
    RolloutChanged,
    RolloutEnded,
    RolloutEvent,
    RolloutStarted,
    StepBegun,
    StepEnded,
    StopRequested,
    TrafficCheckBegun,
    TrafficMeasured,
    WaitBegun,
    Warned,
)
from executor.fleet.balancers.base import Admin
from executor.plan.model import Step
from executor.progress import Ended
from executor.statement import FleetStatement, InstanceStatement
from executor.tell import is_warning, lines_of, report_json, report_text
from executor.traffic import TrafficAnswer

STARTED = RolloutStarted(
    plan="evening",
    plan_digest="0" * 64,
    service="shop",
    instances=("a", "b"),
    waves_count=1,
    is_resumed=False,
    journal="p.journal",
    began_at="2026-01-01T00:00:00+00:00",
)
FLEET = FleetStatement((InstanceStatement("a", Admin.MAINT, False, None, True, Step.DEPLOY),))
FLEET_LINES = ["The fleet:", "  1 out of the pool (maint), not answering: a (before deploy)"]
STOPPING = "warning: stopping: the steps in hand are finished first; once more stops at once"
WHERE = {"instance": "a", "step": Step.TAKE_OUT, "version": "1.1"}
WAIT = "            waiting for "
SIMULATED = "the plan was simulated with 100 to 150 requests/s"

EVENTS: dict[str, tuple[RolloutEvent, list[str]]] = {
    "start": (STARTED, []),
    "balancer": (BalancerNamed(balancer="x"), ["only x is told and watched"]),
    "traffic is counted": (
        TrafficCheckBegun(over_s=60.0),
        ["counting requests for 60 s before the first wave"],
    ),
    **{
        f"traffic {answer}": (
            TrafficMeasured(
                answer=answer, rate_rps=rate_rps, low_rps=100.0, high_rps=150.0, highest_rps=160.0
            ),
            [line],
        )
        for answer, rate_rps, line in [
            (TrafficAnswer.WITHIN, 120.0, f"traffic is 120 requests/s; {SIMULATED}"),
            (
                TrafficAnswer.BELOW,
                80.0,
                f"warning: traffic is 80 requests/s, below the plan's range: {SIMULATED}",
            ),
            (
                TrafficAnswer.UPPER,
                155.0,
                f"warning: traffic is 155 requests/s, above 95 % of the plan's minutes: {SIMULATED}",
            ),
            (
                TrafficAnswer.ABOVE,
                170.0,
                "warning: traffic is 170 requests/s, above the highest of the plan's runs: 160",
            ),
            (
                TrafficAnswer.NOT_COUNTED,
                None,
                "warning: traffic is not checked: the balancer does not count requests; "
                + SIMULATED,
            ),
            (
                TrafficAnswer.RESTARTED,
                None,
                "warning: traffic is not checked: the balancer's counters began anew; " + SIMULATED,
            ),
        ]
    },
    "step begun": (
        StepBegun(t_s=1.26, instance="a", step=Step.TAKE_OUT, version="1.1"),
        ["     1.3 s  a  take out  …"],
    ),
    "step done": (
        StepEnded(t_s=2.0, instance="a", step=Step.STOP, version="1.1", outcome="done", message=""),
        ["     2.0 s  a  stop  done"],
    ),
    "step set back": (
        StepEnded(
            t_s=12.0,
            instance="a",
            step=Step.TAKE_OUT,
            version="1.1",
            outcome="set_back",
            message="no drain",
        ),
        ["    12.0 s  a  take out  set back  no drain"],
    ),
    "found": (InstanceChanged(t_s=0, instance="a", change="found", admin=Admin.READY), []),
    "told": (InstanceChanged(t_s=0, instance="a", change="told", admin=Admin.MAINT), []),
    "to be kept out": (InstanceChanged(t_s=0, instance="a", change="keep_out"), []),
    "kept out": (
        InstanceChanged(t_s=0, instance="a", change="kept_out", message="it was in the pool"),
        ["     0.0 s  a  kept out  it was in the pool"],
    ),
    "given up": (
        InstanceChanged(t_s=0, instance="a", change="given_up", message="deploy failed 2 times"),
        ["     0.0 s  a  given up  deploy failed 2 times"],
    ),
    "begun": (RolloutChanged(t_s=0, change="begun"), []),
    "resumed": (RolloutChanged(t_s=0, change="resumed"), ["     0.0 s  resumed"]),
    "gate": (
        RolloutChanged(t_s=0, change="gate_passed", wave=2),
        ["     0.0 s  gate passed  wave 2"],
    ),
    "brake": (
        RolloutChanged(t_s=0, change="brake", message="errors 9 %"),
        ["     0.0 s  brake  errors 9 %"],
    ),
    "rollback": (
        RolloutChanged(t_s=0, change="turn_back", instances=("b", "a")),
        ["     0.0 s  turn back  b, a"],
    ),
    "notice": (
        RolloutChanged(t_s=0, change="noticed", message="the balancer was restarted"),
        ["     0.0 s  noticed  the balancer was restarted"],
    ),
    "waits for steps": (WaitBegun(what=Waiting.STEPS), []),
    "waits for the last steps": (WaitBegun(what=Waiting.LAST_STEPS), []),
    "waits for the window": (WaitBegun(what=Waiting.WINDOW), []),
    "waits for an instance": (WaitBegun(what=Waiting.SETTLING, instance="a"), []),
    "waits for the balancer": (
        WaitBegun(what=Waiting.BALANCER),
        [f"{WAIT}the balancer, which does not answer as it should"],
    ),
    "waits for a pause": (
        WaitBegun(what=Waiting.PAUSE),
        [f"{WAIT}the pause after the instance before"],
    ),
    "waits for a gate": (
        WaitBegun(what=Waiting.GATE, wave=1, gate="bake"),
        [f"{WAIT}the bake after wave 1"],
    ),
    "waits for capacity": (
        WaitBegun(what=Waiting.CAPACITY, up_count=2, leaving_count=1, min_in_pool=2),
        [f"{WAIT}up (2) less 1 must not fall below the minimum (2)"],
    ),
    "waits for a person": (
        WaitBegun(what=Waiting.APPROVAL, wave=2, approve_by="terminal"),
        ["wave 2 may begin? yes or no"],
    ),
    "waits for a file": (
        WaitBegun(what=Waiting.APPROVAL, wave=2, approve_by="file", approval_line="wave 2 abc"),
        ["wave 2 begins when the file says: wave 2 abc"],
    ),
    "warning": (Warned(message="a: mode"), ["warning: a: mode"]),
    "stop": (StopRequested(), [STOPPING]),
    "dry run": (ActionPlanned(message="  gate: pause 9 s"), ["  gate: pause 9 s"]),
    "done": (
        RolloutEnded(
            ended=Ended.DONE,
            exit_code=0,
            given_up={"a": "deploy failed 1 times", "b": "no"},
            fleet=FLEET,
            timeline="p.timeline.json",
        ),
        [
            "done: every instance that was rolled is in the pool with the new version",
            "Given up and out of the pool: a (deploy failed 1 times), b (no)",
            *FLEET_LINES,
            "The timeline is in p.timeline.json",
        ],
    ),
    "rolled back": (
        RolloutEnded(ended=Ended.ROLLED_BACK, exit_code=5, timeline_problem="full"),
        [
            "rolled back: every instance that was changed has the old version again",
            "There is no timeline: full",
        ],
    ),
    "halted": (
        RolloutEnded(
            ended=Ended.HALTED,
            exit_code=4,
            message="a: no",
            fleet=FLEET,
            timeline="p.timeline.json",
            resume_command="go --resume",
        ),
        [
            "halted: a: no",
            *FLEET_LINES,
            "The timeline is in p.timeline.json",
            "Go on with: go --resume",
        ],
    ),
    "interrupted": (RolloutEnded(ended=Ended.INTERRUPTED, exit_code=130), ["interrupted"]),
    "journal failed": (
        JournalFailed(fleet=FLEET, resume_command="go --resume"),
        [*FLEET_LINES, "Go on with: go --resume"],
    ),
    "nothing touched": (NothingTouched(), ["interrupted: nothing was touched"]),
    "error": (ErrorReported(message="p.json: no", exit_code=3), []),
}
"""An event of each kind, and its lines."""

QUIET = {
    "warning",
    "stop",
    "waits for a person",
    "waits for a file",
    "dry run",
    "done",
    "rolled back",
    "halted",
    "interrupted",
} | {
    "journal failed",
    "nothing touched",
    "error",
    *(f"traffic {answer}" for answer in TrafficAnswer if answer is not TrafficAnswer.WITHIN),
}


@pytest.mark.parametrize(("event", "lines"), EVENTS.values(), ids=EVENTS)
def test_an_event_is_said_in_words(event: RolloutEvent, lines: list[str]) -> None:
    assert list(lines_of(event)) == lines


def test_words_go_to_standard_output_and_warnings_to_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines: list[str] = []
    report = report_text(lines.append, is_quiet=False)
    for event, _ in EVENTS.values():
        report(event)
    warnings = [line for event, said in EVENTS.values() if is_warning(event) for line in said]
    said = [line for event, said in EVENTS.values() if not is_warning(event) for line in said]
    assert lines == said
    assert capsys.readouterr().err.splitlines() == warnings
    beginnings = [line.split(",")[0].split(":")[1] for line in warnings]
    assert beginnings.count(" traffic is not checked") == 2
    assert [line for line in warnings if "traffic" not in line] == ["warning: a: mode", STOPPING]


@pytest.mark.parametrize("make", [report_text, report_json])
def test_quiet_leaves_warnings_and_the_end(
    make: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make in (report_text, report_json)
    lines: list[str] = []
    quiet = (report_text if make is report_text else report_json)(lines.append, is_quiet=True)
    for name, (event, _) in EVENTS.items():
        lines.clear()
        quiet(event)
        said = bool(lines or capsys.readouterr().err)
        assert said == (name in QUIET and not (make is report_text and name == "error")), name
