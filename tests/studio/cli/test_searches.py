"""``plan`` over windows, drains and starts, and ``sensitivity``: what a person reads."""

from __future__ import annotations

import pytest

from executor.plan.file import read_plan
from tests.helpers.command_line import SHOP, CommandLine

ONE = ("--jobs", "1", "-q")
BUSY = (
    SHOP.replace("rate: 40/s", "rate: {steps: [[0h, 20/s], [9h, 235/s], [10h, 40/s]]}")
    .replace("in_runs: 40%", "in_runs: 60%")
    .replace("latency_p99: 2s", "latency_p99: 400ms")
)


@pytest.fixture
def busy(rollcast: CommandLine) -> CommandLine:
    rollcast.write("busy.yaml", BUSY)
    return rollcast


def test_a_search_over_starts_names_the_best_and_the_busiest(busy: CommandLine) -> None:
    answer = busy("plan", "busy.yaml", "--starts", "every:3h", "-o", "plan.json", *ONE)
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert lines[:2] == ["May two be out at once?", ""]
    assert lines[2].startswith("Window 2 at ")
    assert "meets the objectives in at least 60 % of runs, confirmed on fresh seeds (" in lines[2]
    assert " ".join(lines[3:5]).replace("  ", " ") == (
        "At the busiest start, 09:00, the same fails: p99 above 0.4 s in 10 of 10 runs: typically "
        "2.99 s, without a rollout 0.521 s; p99 0.4 s does not hold at 09:00 even without a rollout: "
        "0.521 s."
    )
    assert lines[5] == "The start matters: of 8 starts tried, this way to roll clearly fails at 1."
    assert lines[6].startswith("Next best: window 2, start ")
    assert ", as fast: its p99 is 0." in lines[6]
    assert lines[8].split() == ["candidate", "takes", "p99", "meets", "why"]
    assert lines[9].startswith("Window 2, start ")
    assert " chosen " in lines[9]
    rows = [line.partition("  ")[0] for line in lines[9:17] if not line.startswith(" ")]
    assert rows == [  # starts with the same traffic until the end have equal results
        "Window 2, start 00:00",
        "Window 2, start 12:00 … 21:00 (4)",
        "Window 1, start 00:00, 03:00 or 06:00",
        "Window 2, start 03:00 or 06:00",
        "Window 2, start 09:00",
        "Window 1, start 12:00 … 21:00 (4)",
        "Window 1, start 09:00",
    ]
    counts = "16 candidates: 7 slower, 6 as fast, 1 chosen, 1 hopeless, 1 fails."
    assert counts in lines
    assert lines[-1] == "The plan is in plan.json"
    plan = read_plan(busy.folder / "plan.json")
    assert plan.evidence is not None
    assert sum(plan.evidence.counts.values()) == 16
    assert plan.evidence.starts == lines[5]
    assert busy("validate", "plan.json", "--again", "--jobs", "1").code == 0


def test_a_start_that_hardly_matters_is_said_so(rollcast: CommandLine) -> None:
    steps = "traffic.rate={steps: [[0h, 40/s], [9h, 41/s]]}"
    told = ("--window", "2", "--starts", "every:6h", "--set", steps, "-o", "plan.json")
    answer = rollcast("plan", "shop.yaml", *told, *ONE)
    assert answer.code == 0
    assert "The start hardly matters: none of 4 tried clearly fails" in answer.out
    assert "At the busiest start" not in answer.out or "meets the objectives in 10" in answer.out


@pytest.mark.parametrize(
    "command", [("compare", "shop.yaml"), ("plan", "shop.yaml", "-o", "plan.json")]
)
def test_starts_on_constant_traffic_are_refused(
    rollcast: CommandLine, command: tuple[str, ...]
) -> None:
    refusal = (
        "--starts every:10m: must be one start: traffic is the same at every time (40 requests/s), so "
        "every start gives the same result"
    )
    rollcast.refuses([*command, "--starts", "every:10m"], {}, refusal, 2)
    assert rollcast(*command, "--starts", "09:00", *ONE).code == 0
    frozen = ("--set", "rollout.freeze=[[08:00, 10:00]]", "--starts", "07:00,09:00,11:00")
    assert rollcast(*command, *frozen, *ONE).code == 0


def test_json_tells_every_candidate(busy: CommandLine) -> None:
    told = ("--windows", "1,2", "--drain-timeouts", "1s,5s", "--advance", "sliding,batch")
    found = busy("plan", "busy.yaml", *told, "-o", "plan.json", "--json", *ONE).json
    assert found["schema"] == "rollcast.search/1"
    assert len(found["considered"]) == 8
    chosen = found["considered"][found["chosen"]]
    assert chosen["outcome"] == "chosen"
    assert chosen["window"] == 2
    assert found["considered"][found["next_best"]]["outcome"] in ("as fast", "slower")
    assert found["confirmations"][-1]["held"] is True
    assert found["counts"]["chosen"] == 1
    assert found["runs_count"] >= 80
    assert all(found["considered"][index]["on_front"] for index in found["front"])


def test_none_that_meets_is_refused_with_the_reasons(busy: CommandLine) -> None:
    answer = busy(
        "plan", "busy.yaml", "--starts", "09:00", "--windows", "1,2,3", "-o", "plan.json", *ONE
    )
    assert answer.code == 3
    assert answer.err.startswith("rollcast: no plan is written, none meets the objectives: window ")
    assert "; window 3 hopeless: more arrives than is served for so long that " in answer.err
    assert answer.err.count("\n") == 1
    assert not (busy.folder / "plan.json").exists()


LATE = SHOP.replace(
    "    steps: {deploy", "    balancer: {propagation_delay: 1s}\n    steps: {deploy"
).replace("error_fraction: 1%", "error_fraction: 0.1%")


@pytest.fixture
def late(rollcast: CommandLine) -> CommandLine:
    """A shop whose instances stop a second before the balancer learns of it, so that requests are refused."""
    rollcast.write("late.yaml", LATE)
    return rollcast


def test_when_nothing_meets_plan_prints_what_would_and_ends_with_3(late: CommandLine) -> None:
    told = ("plan", "late.yaml", "--windows", "1,2", "-o", "plan.json", *ONE)
    answer = late(*told)
    assert answer.code == 3
    assert answer.err.startswith("rollcast: no plan is written, none meets the objectives: ")
    assert answer.err.count("\n") == 1
    [sentence] = [line for line in answer.out.splitlines() if line.startswith("What would meet")]
    assert sentence.startswith("What would meet every objective: pre-stop 1.2 s, with window 2")
    assert "--set rollout.pre_stop=1.2s --window 2" in answer.out
    assert not (late.folder / "plan.json").exists()
    without = late(*told, "--no-changes")
    assert without.code == 3
    assert "What would meet" not in without.out


def test_the_option_of_a_change_makes_a_plan(late: CommandLine) -> None:
    told = ("--set", "rollout.pre_stop=1.2s", "--window", "2", "--seed", "77")
    assert late("plan", "late.yaml", *told, "-o", "plan.json", *ONE).code == 0


def test_json_has_the_changes_when_nothing_meets(late: CommandLine) -> None:
    answer = late("plan", "late.yaml", "--windows", "1,2", "-o", "plan.json", "--json", *ONE)
    assert answer.code == 3
    change = answer.json["alternatives"][0]
    assert (change["kind"], change["key"]) == ("longer_pre_stop", "rollout.pre_stop")
    assert (change["value"], change["from"]) == (1.2, 0.0)
    assert change["verdict"]["answer"] == "meets"
    assert change["cost"]["duration_s"] >= 0
    assert answer.json["chosen"] is None


def test_compare_prints_the_changes_when_nothing_meets(late: CommandLine) -> None:
    told = ("compare", "late.yaml", "--windows", "1,2", "--replications", "10", *ONE)
    answer = late(*told, "--html", "page.html")
    assert answer.code == 0
    assert "What would meet every objective: pre-stop 1.2 s, with window 2" in answer.out
    page = (late.folder / "page.html").read_text()
    assert "What would meet every objective: pre-stop 1.2 s, with window 2" in page
    assert "<td>--set rollout.pre_stop=1.2s --window 2</td>" in page
    changes = late(*told, "--json").json["alternatives"]
    assert [change["kind"] for change in changes][:1] == ["longer_pre_stop"]
    assert "What would meet" not in late(*told, "--no-changes").out
    met = late("compare", "shop.yaml", "--windows", "2", "--json", *ONE).json
    assert "alternatives" not in met
