"""``plan`` and ``validate``: from a scenario to a plan that holds, and back."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from executor.base.extras import install_command
from executor.plan.file import read_plan
from executor.plan.model import Step
from simulation.study.statistics.proportions import fresh_seed
from studio.cli import window
from tests.helpers.command_line import SHOP, CommandLine

ONE = ("--jobs", "1", "-q")
TRACED = SHOP.replace("rate: 40/s", "rate: {trace: evening.csv, scale: 0.5}").replace(
    "replications: 4", 'replications: 4\nclock: {start: "18:05"}'
)
TRACE = "time,requests\n" + "".join(
    f"2024-05-01T18:{minute:02d}:00,{4000 + 100 * minute}\n" for minute in range(60)
)


def test_the_fastest_that_meets_becomes_a_plan(rollcast: CommandLine) -> None:
    answer = rollcast("plan", "shop.yaml", "-o", "plan.json", *ONE)
    assert (answer.code, answer.err) == (0, "")
    assert (
        "Window 2, 8 to 10 seconds, meets the objectives in at least 40 % of runs, confirmed on fresh "
        "seeds (6 of 6 runs)."
    ) in answer.out
    assert "The plan is in plan.json" in answer.out
    runs = (
        "10 paired runs of each candidate, then up to 20 of one (five times the 4 that can show the "
        "objectives at least). Confirmation: 6 runs on a fresh seed (fixed before the first; what holds "
        "as often as this did in the search, 10 of 10 runs, is confirmed with 90 % probability); a "
        "candidate that is confirmed breaks an objective in at most 1 of them."
    )
    assert runs in " ".join(answer.out.split())
    plan = read_plan(rollcast.folder / "plan.json")
    compared = rollcast("compare", "shop.yaml", "--json", *ONE).json
    chosen = compared["candidates"][compared["chosen"]]
    assert plan.window == chosen["candidate"]["window"] == 2
    assert plan.prediction.ended.done == plan.replications == 6
    assert plan.evidence is not None
    assert plan.evidence.seed == compared["seed"] == 1
    assert plan.evidence.counts == {"chosen": 1, "slower": 1}
    assert plan.evidence.confirmations[-1].seed == plan.seed == fresh_seed(1, 1)
    assert plan.instances == tuple(f"web-{number:02d}" for number in range(1, 7))
    assert [(len(wave.instances), wave.parallel) for wave in plan.waves] == [(6, 2)]
    assert plan.step_deadlines_s[Step.TAKE_OUT] == 15.0  # at least ten seconds, and the drain
    assert plan.valid_until() - plan.created_at == timedelta(days=7)
    assert datetime.now(UTC) - plan.created_at < timedelta(minutes=5)


def test_runs_that_are_asked_for_are_said_so(rollcast: CommandLine) -> None:
    told = ("plan", "shop.yaml", "-o", "plan.json", "--replications", "30", *ONE)
    answer = " ".join(rollcast(*told).out.split())
    assert "then up to 150 of one (five times the 30 that are asked for)." in answer
    assert "Confirmation: 30 runs on a fresh seed (as asked for); a candidate" in answer
    assert rollcast(*told, "--json").json["planned"] == {
        "first_runs": 10,
        "most_runs": 150,
        "reason": "asked",
        "confirmation": {"runs": 30, "misses": 12, "reason": "asked"},
    }


@pytest.mark.parametrize(
    ("options", "field", "value"),
    [
        (["--window", "2"], "window", 2),
        (["--window", "50%"], "window", 3),
        (["--windows", "1,2"], "window", 2),
        (["--window", "2", "--valid-for", "2h"], "valid_for_s", 7200.0),
        (["--window", "2", "--seed", "5"], "seed", fresh_seed(5, 1)),
        (["--window", "2", "--set", "rollout.advance=batch"], "advance", "batch"),
        (["--window", "2", "--set", "rollout.min_healthy=3"], "min_in_pool", 3),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_is_asked_for_stands_in_the_plan(
    rollcast: CommandLine, options: list[str], field: str, value: object
) -> None:
    assert rollcast("plan", "shop.yaml", "-o", "plan.json", *options, *ONE).code == 0
    assert getattr(read_plan(rollcast.folder / "plan.json"), field) == value
    validated = rollcast("validate", "plan.json")
    assert (validated.code, validated.err) == (0, "")
    assert "✗" not in validated.out


def test_a_plan_gives_the_same_prediction_again(rollcast: CommandLine) -> None:
    rollcast("plan", "shop.yaml", "-o", "plan.json", *ONE)
    answer = rollcast("validate", "plan.json", "--again", "--jobs", "1")
    assert (answer.code, answer.err) == (0, "")
    assert "✓ simulated again, the embedded scenario gives the same prediction" in answer.out


CANARY = "rollout.canary=[{share: 20%, bake: 2s, error_fraction: 1%}]"


def test_a_canary_becomes_a_plan_with_a_bake(rollcast: CommandLine) -> None:
    sets = ("--set", "rollout.strategy=canary", "--set", CANARY)
    told = (*sets, "--set", "rollout.guards={error_fraction: 5%, over: 10s}")
    assert rollcast("plan", "shop.yaml", "-o", "plan.json", "--window", "2", *told, *ONE).code == 0
    plan = read_plan(rollcast.folder / "plan.json")
    assert plan.strategy == "canary"
    assert [len(one.instances) for one in plan.waves] == [1, 5]
    gate = plan.waves[0].gate
    assert gate is not None
    assert (gate.kind, gate.pause_s, gate.error_fraction) == ("bake", 2.0, 0.01)
    assert plan.guards is not None
    assert (plan.guards.error_fraction, plan.guards.over_s) == (0.05, 10.0)
    answer = rollcast("validate", "plan.json", "--again", "--jobs", "1")
    assert (answer.code, answer.err) == (0, "")


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (["rollout.strategy=blue_green"], "strategy blue_green is not carried out"),
        (["rollout.strategy=recreate", "objectives.in_runs=1%"], "is no plan"),
        (
            ["services.web.balancer.propagation_delay=1s"],
            "pre-stop (0 s) must be longer than the balancer's propagation delay (1 s)",
        ),
        (
            [
                "services.db={instances: 2, service_time: 5ms, slots: 9}",
                "traffic.classes={all: {route: [web, db]}}",
            ],
            "it releases 2 services (web, db) and a plan is for one; name it with --set "
            "'rollout.order=[web]'",
        ),
    ],
)
def test_what_cannot_be_carried_out_is_no_plan(
    rollcast: CommandLine, sets: list[str], said: str
) -> None:
    lenient = ["objectives={in_runs: 1%, confidence: 50%}", *sets]
    told = [word for one in lenient for word in ("--set", one)]
    answer = rollcast("plan", "shop.yaml", "-o", "plan.json", *told, *ONE)
    assert answer.code == 3
    assert said in answer.err
    assert answer.err.count("\n") == 1
    assert not (rollcast.folder / "plan.json").exists()


def test_one_service_of_several_can_be_planned(rollcast: CommandLine) -> None:
    told = [
        *("--set", "services.db={instances: 2, service_time: 5ms, slots: 9, steps: {start: 1s}}"),
        *("--set", "traffic.classes={all: {route: [web, db]}}"),
        *("--set", "rollout.order=[db]", "--set", "objectives={in_runs: 1%, confidence: 50%}"),
    ]
    answer = rollcast("plan", "shop.yaml", "-o", "plan.json", "--window", "1", *told, *ONE)
    assert (answer.code, answer.err) == (0, "")
    plan = read_plan(rollcast.folder / "plan.json")
    assert (plan.service, plan.instances) == ("db", ("db-01", "db-02"))


def test_a_plan_of_a_trace_needs_no_other_file(rollcast: CommandLine) -> None:
    rollcast.write("traced.yaml", TRACED)
    trace = rollcast.write("evening.csv", TRACE)
    assert rollcast("plan", "traced.yaml", "-o", "plan.json", *ONE).code == 0
    (rollcast.folder / trace).unlink()
    (rollcast.folder / "traced.yaml").unlink()
    assert rollcast("validate", "plan.json", "--again", "--jobs", "1").code == 0


def test_a_prediction_that_is_not_the_simulations_is_refused(rollcast: CommandLine) -> None:
    """Even when whoever changed it sealed the plan anew."""
    from executor.plan.file import seal, write_plan

    rollcast("plan", "shop.yaml", "-o", "plan.json", "--window", "2", *ONE)
    plan = read_plan(rollcast.folder / "plan.json")
    figure = plan.prediction.metrics["rollout_duration_s"]
    better = figure.model_copy(update={"mean": (figure.mean or 0) - 1e-3})
    metrics = {**plan.prediction.metrics, "rollout_duration_s": better}
    prediction = plan.prediction.model_copy(update={"metrics": metrics})
    write_plan(
        rollcast.folder / "plan.json", seal(plan.model_copy(update={"prediction": prediction}))
    )
    answer = rollcast("validate", "plan.json", "--again", "--jobs", "1")
    assert answer.code == 3
    assert "✗ simulated again" in answer.out
    assert "rollout_duration_s mean: the plan says" in answer.out


@pytest.mark.parametrize("position", [0.1, 0.35, 0.6, 0.85])
def test_a_plan_changed_by_one_digit_is_refused(rollcast: CommandLine, position: float) -> None:
    rollcast("plan", "shop.yaml", "-o", "plan.json", "--window", "2", *ONE)
    path = rollcast.folder / "plan.json"
    text = path.read_text(encoding="utf-8")
    place = next(k for k in range(int(len(text) * position), len(text)) if text[k].isdigit())
    digit = str((int(text[place]) + 1) % 10)
    path.write_text(text[:place] + digit + text[place + 1 :], encoding="utf-8")
    answer = rollcast("validate", "plan.json")
    assert answer.code in {2, 3}
    assert answer.err.count("\n") == 1


def test_a_scenario_is_validated_in_plain_words(rollcast: CommandLine) -> None:
    answer = rollcast("validate", "shop.yaml")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines() == [
        "✓ shop.yaml is a scenario that can be simulated",
        "  6 instances of web serve up to 240 requests/s, the traffic's highest is 40 requests/s",
    ]


def test_a_first_scenario_is_written_and_answers(rollcast: CommandLine) -> None:
    answer = rollcast("new", "mine.yaml")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == "mine.yaml is written. Next: rollcast compare mine.yaml\n"
    assert rollcast("validate", "mine.yaml").code == 0
    data = rollcast("compare", "mine.yaml", "--replications", "2", "--json", *ONE).json
    assert [one["candidate"]["window"] for one in data["candidates"]] == [1, 2, 4]


def test_the_shipped_scenarios_are_listed_and_copied(rollcast: CommandLine) -> None:
    lines = rollcast("scenarios").out.splitlines()
    assert [line.split()[0] for line in lines] == [
        *("checkout-evening", "edge-of-capacity", "internal-service", "loopback-fleet"),
        *("retry-storm", "shop-release"),
    ]
    assert all(line.endswith("?") for line in lines)
    assert rollcast("scenarios", "--copy", "internal-service").code == 0
    assert rollcast("validate", "internal-service.yaml").code == 0
    assert rollcast("scenarios", "--copy", "internal-service").code == 2


def test_the_version_is_said(rollcast: CommandLine) -> None:
    from importlib.metadata import version

    assert rollcast("--version").out == f"rollcast {version('rollcast')}\n"


@pytest.mark.parametrize("why", ["no display", "no Qt"])
def test_without_a_window_the_bare_command_answers_and_plans(
    rollcast: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, why: str
) -> None:
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    (shipped / "checkout-evening.yaml").write_text(SHOP, encoding="utf-8")
    monkeypatch.setattr(window, "scenarios_dir", lambda: shipped)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    reason = "No display"
    if why == "no Qt":
        monkeypatch.setenv("DISPLAY", ":9")
        monkeypatch.setenv("QT_QPA_PLATFORM", "xcb")
        monkeypatch.setitem(sys.modules, "PySide6", None)
        reason = f"No window without the extra `studio` ({install_command('studio')})"
    answer = rollcast()
    assert answer.code == 0
    assert answer.err == (
        f"{reason}: comparing the windows of checkout-evening, 4 replications each.\n"
    )
    assert "✓ meets in 4 of 4" in answer.out
    assert "The plan is in rollcast-out/plan.json" in answer.out
    assert rollcast("validate", "rollcast-out/plan.json").code == 0
    plan = json.loads((rollcast.folder / "rollcast-out" / "plan.json").read_text("utf-8"))
    assert plan["name"] == "checkout-evening"
