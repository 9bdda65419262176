"""``lab`` and ``report`` on the command line, without a fleet: options, refusals, what is printed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from executor.plan.file import read_plan, write_plan
from studio.lab import contest as room
from studio.lab.contest import Contest
from studio.lab.trial import TrialRecord
from tests.helpers.command_line import SHOP, CommandLine
from tests.helpers.plans import example_plan
from tests.studio.lab.test_contest import FOUND, SIX, arms, record

FAST = SHOP.replace("rate: 40/s", "rate: 500/s")
"""More than the lab sends."""


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        (["lab", "up", "nowhere.yaml"], "nowhere.yaml", 2),
        (["lab", "up", "--instances", "0"], "--instances 0: must be a whole number, at least 1", 2),
        (["lab", "up", "fast.yaml"], "traffic.rate (500/s) must not exceed 400/s", 3),
        (["lab", "run", "nowhere.json"], "nowhere.json: cannot be read", 2),
        (["lab", "run", "foreign.json", "-q"], "foreign.json: scenario: is not one of", 2),
        (["lab", "compare", "fast.yaml", "-q"], "traffic.rate (500/s) must not exceed 400/s", 3),
        (["lab", "compare", "--windows", "0"], "--windows 0: 0: a window must be at least 1", 2),
        (["lab", "compare", "--runs", "none"], "--runs none: must be a whole number", 2),
        (["lab", "compare", "steady.yaml"], "rollout: is missing, there is nothing to roll", 2),
        (["lab", "compare", "--html", "no/where.html"], "no such directory: no", 2),
        (["report", "foreign.json", "-o", "a.html"], "foreign.timeline.json: cannot be read", 2),
        (
            ["report", "foreign.json", "-o", "a.html", "--timeline", "odd.json"],
            "odd.json: schema (rollcast.plan/1) must be rollcast.timeline/1",
            2,
        ),
        (
            ["report", "foreign.json", "-o", "a.html", "--timeline", "other.json"],
            "it is the record of another plan",
            3,
        ),
        (
            ["report", "foreign.json", "-o", "a.html", "--timeline", "text.json"],
            "text.json: is not JSON",
            2,
        ),
    ],
)
def test_what_is_wrong_is_one_line(
    rollcast: CommandLine, arguments: list[str], said: str, code: int
) -> None:
    write_plan(rollcast.folder / "foreign.json", example_plan(scenario={"rollcast": "scenario/9"}))
    files: dict[str, str | bytes] = {
        "fast.yaml": FAST,
        "steady.yaml": SHOP[: SHOP.index("rollout:")] + "clock: {horizon: 1m}\n",
        "odd.json": '{"schema": "rollcast.plan/1"}',
        "other.json": '{"schema": "rollcast.timeline/1", "plan_digest": "abc"}',
        "text.json": "none",
    }
    rollcast.refuses(arguments, files, said, code)


def record_of(digest: str, names: tuple[str, ...]) -> dict[str, Any]:
    """A timeline in which each instance took 1 s a step, one after the other."""
    words = ("take_out", "stop", "deploy", "verify", "start", "return")
    steps = [
        {
            "instance": name,
            "step": word,
            "version": "new",
            "outcome": "done",
            "said": "",
            "begin_s": 6.0 * place + number,
            "end_s": 6.0 * place + number + 1.0,
        }
        for place, name in enumerate(names)
        for number, word in enumerate(words)
    ]
    return {
        "schema": "rollcast.timeline/1",
        "plan_digest": digest,
        "service": "web",
        "instances": list(names),
        "window": 1,
        "ended": "done",
        "reason": "",
        "began_at": "2026-01-01T18:00:00+00:00",
        "ended_at": "2026-01-01T18:01:00+00:00",
        "steps": steps,
        "states": [
            {
                "instance": one["instance"],
                "state": "deploying",
                "begin_s": one["begin_s"],
                "end_s": one["end_s"],
            }
            for one in steps
        ],
        "measured": {"rollout_duration_s": 36.0},
    }


def test_a_report_and_the_figures_of_an_executed_plan(rollcast: CommandLine) -> None:
    path = rollcast.write("shop.yaml", SHOP)
    assert rollcast("plan", path, "--window", "2", "-o", "plan.json", "-q").code == 0
    plan = read_plan(rollcast.folder / "plan.json")
    rollcast.write("plan.timeline.json", json.dumps(record_of(plan.digest, plan.instances)))

    told = rollcast("report", "plan.json", "-o", "out.html", "--calibration", "cal.json", "-q")

    assert told.code == 0, told.err
    assert "The report is in out.html" in told.out
    page = (rollcast.folder / "out.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 1
    assert "36.0 s" in page
    found = json.loads((rollcast.folder / "cal.json").read_text(encoding="utf-8"))
    assert found["schema"] == "rollcast.calibration/1"
    assert found["service"] == "web"
    assert found["steps_s"] == dict.fromkeys(
        ("stop", "deploy", "verify", "start", "return"), [1.0] * 6
    )
    assert found["drains_s"] == [1.0] * 6
    assert found["slot_time_s"] is None


def test_a_comparison_is_printed_and_written(
    rollcast: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    two, four = arms(2, 4)

    def contested(*_: Any, **said: Any) -> Contest:
        assert said["runs"] == 2
        return Contest(SIX, FOUND, (two, four), "d" * 64, {"window 2": good, "window 4": bad}, ())

    def figures(p99_s: float) -> TrialRecord:
        return record(rollout_duration_s=1.0, failed_requests=0.0, rollout_latency_p99_s=p99_s)

    good, bad = (figures(0.1), figures(0.1)), (figures(9.0), figures(9.1))
    monkeypatch.setattr(room, "run_contest", contested)
    files = ["--html", "lab.html", "--calibration", "cal.json"]
    told = rollcast("lab", "compare", "--windows", "2,4", "--runs", "2", *files, "-q")
    assert told.code == 0, told.err
    assert "right in 2 of 2 runs" in told.out
    assert "9.10 s ✗" in told.out
    assert "d" * 64 in told.out
    assert (rollcast.folder / "lab.html").read_text(encoding="utf-8").count("<svg") == 3
    written = json.loads((rollcast.folder / "cal.json").read_text(encoding="utf-8"))
    assert written["slot_time_s"] == FOUND.slot_time_s
    answer = rollcast("lab", "compare", "--windows", "2,4", "--runs", "2", "--json", "-q").json
    assert answer["schema"] == "rollcast.lab/1"
    assert answer["predictions_digest"] == "d" * 64
    assert answer["ranking_right"] == [True, True]
    assert [one["arm"] for one in answer["arms"]] == ["window 2", "window 4"]
    assert answer["arms"][0]["predicted"]["rollout_duration_s"].keys() == {"mean", "low", "high"}
