"""``simulate`` and ``compare``: the JSON that others script against, tables, files."""

from __future__ import annotations

import itertools

import pandas as pd
import pytest

from simulation.results.run_result import LOSS_COUNTS
from simulation.scenario.file import ScenarioFile
from simulation.study.case import cases_of
from simulation.study.compare import Comparison, Confirmed, compare
from simulation.study.driver import run_study
from simulation.study.execution import Execution
from simulation.study.rows import run_rows
from simulation.study.statistics.new_study import PROPOSAL_NUMBER
from simulation.study.statistics.proportions import fresh_seed
from studio.views.figures_text import shown_columns, table_row
from studio.views.sentences import loss_table
from tests.helpers.command_line import SHOP, CommandLine

KEYS = {
    "schema",
    "scenario",
    "scenario_digest",
    "seed",
    "replications",
    "planned",
    "engine",
    "candidate",
    "requests",
    "metrics",
    "control_metrics",
    "losses",
    "retries",
    "ended",
    "waits",
    "critical_path",
    "verdict",
    "why",
}
BOTH = [
    "latency_mean_s",
    "latency_p50_s",
    "latency_p95_s",
    "latency_p99_s",
    "wait_mean_s",
    "wait_p99_s",
    "wait_fraction",
    "error_fraction",
    "utilisation_fraction",
    "queue_max",
]
OWN = [
    "rollout_duration_s",
    "lowest_in_pool_count",
    "lowest_capacity_fraction",
    "mixed_version_s",
    "exposure_requests",
    "failed_requests",
    "slow_requests",
    "cut_requests",
    "retries",
    "connections_at_start",
    "cut_connections",
    "cut_connections_fraction",
    "reconnects",
    "surge_instance_s",
    "most_instances_count",
    "failed_instances_count",
]
METRICS = {*BOTH, *(f"rollout_{name}" for name in BOTH), *OWN}
FIGURES = {"mean", "low", "high", "run_low", "run_high"}
ONE = ("--jobs", "1")


def in_python(*windows: int) -> Comparison:
    scenario = ScenarioFile.parse(SHOP).scenario
    cases = cases_of(scenario, windows)
    return compare(scenario, cases, list(run_rows(scenario, cases, Execution(jobs=1))))


OBJECTIVE = {
    *(
        "name",
        "answer",
        "limit",
        "rollout",
        "control",
        "runs_breaking",
        "control_runs_beyond",
        "cause",
    ),
    "class_name",
}


def in_python_confirmed(*windows: int) -> Confirmed | None:
    scenario = ScenarioFile.parse(SHOP).scenario
    comparison, _rows = run_study(scenario, cases_of(scenario, windows), Execution(jobs=1))
    assert comparison is not None
    return comparison.confirmed


def test_simulate_prints_one_object_of_the_stated_shape(rollcast: CommandLine) -> None:
    answer = rollcast("simulate", "shop.yaml", "--json", *ONE)
    assert (answer.code, answer.err) == (0, "")
    data = answer.json
    assert data.keys() == KEYS | {"control", "notes"}
    assert data["notes"] == []
    assert data["schema"] == "rollcast.result/2"
    (control,) = data["control"]
    assert control.keys() == {"candidate", "requests", "metrics", "losses", "retries"}
    assert control["candidate"] == {"policy": "round_robin", "start": "00:00:00"}
    assert control["requests"]["arrived"] == data["requests"]["arrived"]
    assert control["metrics"].keys() == data["control_metrics"].keys() == METRICS
    assert (data["scenario"], data["seed"], data["replications"]) == ("shop", 1, 4)
    assert data["engine"] == "compiled"
    assert len(data["scenario_digest"]) == 64
    assert data["candidate"] == {
        "window": 2,
        "advance": "sliding",
        "surge": 0,
        "pause_s": 0.0,
        "drain_timeout_s": 5.0,
        "policy": "round_robin",
        "start": "00:00:00",
    }
    assert data["metrics"].keys() == METRICS
    for name, figure in data["metrics"].items():
        assert figure.keys() == FIGURES | ({"runs_with_any"} if name in LOSS_COUNTS else set())
    assert data["metrics"]["failed_requests"]["runs_with_any"] == 0
    assert data["planned"]["runs"] == 4
    assert data["planned"]["reason"] == "asked"
    assert data["ended"] == {"done": 4, "halted": 0, "rolled_back": 0, "horizon": 0}
    objectives = data["verdict"].pop("objectives")
    assert {one["name"]: (one["answer"], one["limit"]) for one in objectives} == {
        "ends_well": ("meets", None),
        "error_fraction": ("meets", 0.01),
        "latency_p99": ("meets", 2.0),
        "duration": ("meets", 30.0),
    }
    assert all(one.keys() == OBJECTIVE for one in objectives)
    assert data["verdict"] == {
        "answer": "meets",
        "runs_meeting": 4,
        "runs": 4,
        "lower_bound": pytest.approx(0.05**0.25),
        "reasons": [],
    }
    requests = data["requests"]
    assert list(requests) == [
        *("arrived", "ok", "rejected", "timed_out", "refused", "cut", "error", "in_flight")
    ]
    assert requests["arrived"] == sum(requests.values()) - requests["arrived"] > 0
    duration = data["metrics"]["rollout_duration_s"]
    assert duration["low"] < duration["mean"] < duration["high"]
    assert duration["run_low"] <= duration["mean"] <= duration["run_high"]


SOCKETS = SHOP.replace("error_fraction: 1%", "error_fraction: 5%").replace(
    "  rate: 40/s\n",
    "  rate: 40/s\n  classes:\n"
    "    ws: {share: 0.5%, holds_slot: false, service_time: {web: 10m}}\n    page: {}\n",
)
"""The shop with some 120 sockets open."""


def test_what_no_objective_limits_is_said_with_every_answer(rollcast: CommandLine) -> None:
    """A plan may meet while it cuts nearly all sockets; it says so, and an objective ends it."""
    rollcast.write("sockets.yaml", SOCKETS)
    note = "! cut connections (ws) have no limit"
    for command in (
        ("validate", "sockets.yaml"),
        ("simulate", "sockets.yaml", *ONE),
        ("compare", "sockets.yaml", "--windows", "2", *ONE),
        ("plan", "sockets.yaml", "-o", "plan.json", *ONE),
        ("sensitivity", "sockets.yaml", *ONE),
    ):
        answer = rollcast(*command)
        assert answer.code == 0, answer.err
        assert note in " ".join(answer.out.split()), command
    data = rollcast("compare", "sockets.yaml", "--windows", "2", "--json", *ONE).json
    assert data["notes"] == [{"kind": "no_cut_objective", "classes": ["ws"]}]
    figure = data["candidates"][0]["metrics"]["cut_connections_fraction"]
    assert figure["mean"] > 0.9
    limited = ("--set", "objectives.cut_connections=5%")
    data = rollcast("compare", "sockets.yaml", "--windows", "2", "--json", *limited, *ONE).json
    assert data["notes"] == []
    assert data["candidates"][0]["verdict"]["runs_meeting"] == 0
    assert data["candidates"][0]["verdict"]["reasons"][0].startswith(
        "more than 5 % of the open connections cut in"
    )
    answer = rollcast("plan", "sockets.yaml", "-o", "other.json", *limited, *ONE)
    assert answer.code == 3
    assert "connections cut" in answer.err


def test_validate_names_keys_of_connections_where_requests_are_balanced(
    rollcast: CommandLine,
) -> None:
    for balance, expected in (
        ("request", "! services.web.balancer.max_age: ignored with balance request\n"),
        ("connection", ""),
    ):
        rule = f"{{queue: instance, balance: {balance}, max_age: 10s}}"
        rollcast.write(
            "pinned.yaml", SHOP.replace("    slots: 2\n", f"    slots: 2\n    balancer: {rule}\n")
        )
        answer = rollcast("validate", "pinned.yaml")
        assert answer.code == 0, answer.err
        assert "".join(answer.out.splitlines(keepends=True)[2:]) == expected


def test_a_steady_state_has_no_figures_of_a_rollout(rollcast: CommandLine) -> None:
    rollcast.write("steady.yaml", SHOP.partition("rollout:")[0] + "clock: {horizon: 20s}\n")
    data = rollcast("simulate", "steady.yaml", "--json", *ONE).json
    assert data["metrics"]["rollout_duration_s"] == dict.fromkeys(sorted(FIGURES))
    assert data["metrics"]["latency_p99_s"]["mean"] > 0.05
    assert (data["control"], data["control_metrics"]) == ([], None)


def test_compare_prints_candidates_and_what_sets_them_apart(rollcast: CommandLine) -> None:
    answer = rollcast("compare", "shop.yaml", "--windows", "1,2,50%", "--json", *ONE)
    data = answer.json
    assert data.keys() == (
        KEYS
        - {
            "candidate",
            "requests",
            "metrics",
            "control_metrics",
            "losses",
            "retries",
            "ended",
            "waits",
            "critical_path",
            "verdict",
            "why",
        }
    ) | {
        *("candidates", "control", "baseline", "differences", "front", "chosen", "notes"),
        *("recommendation", "next_best", "left_out"),
        *("confirmed", "confirmations"),
    }
    assert [one["candidate"]["window"] for one in data["candidates"]] == [1, 2, 3]
    assert all(one.keys() == KEYS for one in data["candidates"])
    arrived = {one["requests"]["arrived"] for one in data["candidates"]}
    assert len(arrived) == 1  # the same traffic over one common interval
    assert data["baseline"] == 0
    assert [len(one) for one in data["differences"]] == [len(METRICS)] * 3
    assert data["differences"][0]["rollout_duration_s"] == {"mean": 0.0, "low": 0.0, "high": 0.0}
    durations = [one["metrics"]["rollout_duration_s"]["mean"] for one in data["candidates"]]
    assert data["differences"][2]["rollout_duration_s"]["mean"] == pytest.approx(
        durations[2] - durations[0]
    )
    assert data["differences"][2]["rollout_duration_s"]["high"] < 0
    assert 2 in data["front"]
    assert data["chosen"] == data["confirmed"]["candidate"] == 2
    assert data["confirmed"]["seed"] == fresh_seed(1, 1)
    assert data["confirmed"]["held"]
    assert data["confirmations"] == [data["confirmed"]]
    assert data["recommendation"] == [2]
    assert data["next_best"] == [1]
    assert data["left_out"] == [
        {"reason": "slower", "objective": None, "candidates": [[0]]},
    ]
    assert rollcast("compare", "shop.yaml", "--windows", "1,2,50%", "--json", *ONE) == answer


def test_every_combination_is_a_candidate(rollcast: CommandLine) -> None:
    options = ["--windows", "1,3", "--drain-timeouts", "1s,5s", "--advance", "sliding,batch"]
    options += ["--starts", "09:00,18:00", "--pauses", "0s,3s"]
    options += ["--set", "traffic.rate={steps: [[0h, 40/s], [12h, 41/s]]}"]
    options += ["--policies", "random,least_connections", "--replications", "1"]
    data = rollcast("compare", "shop.yaml", *options, "--json", *ONE).json
    found = [tuple(one["candidate"].values()) for one in data["candidates"]]
    assert sorted(found) == sorted(
        itertools.product(
            (1, 3),
            ("sliding", "batch"),
            (0,),
            (0.0, 3.0),
            (1.0, 5.0),
            ("random", "least_connections"),
            ("09:00:00", "18:00:00"),
        )
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--pauses", "0s,3s"], "rollout.pause: 3s: must be 0s where there is a surge (1)"),
        (
            ["--advance", "sliding,batch"],
            "rollout.advance: batch: must be sliding where there is a surge (1)",
        ),
    ],
)
def test_a_surge_is_not_combined_with_what_it_does_not_wait_for(
    rollcast: CommandLine, options: list[str], said: str
) -> None:
    answer = rollcast("compare", "shop.yaml", "--surges", "0,1", *options, *ONE)
    assert answer.code == 2
    assert said in answer.err


def test_each_thing_that_is_varied_makes_a_difference(rollcast: CommandLine) -> None:
    for option, values, name in [
        ("--surges", "0,2", "Window 2, surge 2"),
        ("--pauses", "0s,3s", "Window 2, pause 3 s"),
        ("--policies", "round_robin,least_connections", "Window 2, least connections"),
    ]:
        data = rollcast("compare", "shop.yaml", option, values, "--json", *ONE).json
        one, other = data["candidates"]
        assert (
            one["metrics"]["rollout_latency_mean_s"] != other["metrics"]["rollout_latency_mean_s"]
        )
        told = rollcast("compare", "shop.yaml", option, values, *ONE).out
        assert f"  {name}: duration" in told
        assert f" {option[2:5]}" in next(
            line for line in told.splitlines() if line.startswith("window")
        )  # its column


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        pytest.param(["--seed", "7"], ("seed", 7), id="seed"),
        pytest.param(["--replications", "2"], ("replications", 2), id="replications"),
        pytest.param(["--set", "seed=9"], ("seed", 9), id="set"),
        pytest.param(["--set", "name=other"], ("scenario", "other"), id="set text"),
    ],
)
def test_an_option_reaches_the_scenario(
    rollcast: CommandLine, options: list[str], changed: tuple[str, object]
) -> None:
    plain = rollcast("simulate", "shop.yaml", "--json", *ONE).json
    other = rollcast("simulate", "shop.yaml", "--json", *ONE, *options).json
    assert other[changed[0]] == changed[1]
    assert other["scenario_digest"] != plain["scenario_digest"]


def test_set_reaches_any_key(rollcast: CommandLine) -> None:
    slots = ["--set", "services.web.slots=4", "--set", "rollout.drain={timeout: 9s}"]
    plain = rollcast("simulate", "shop.yaml", "--json", *ONE).json
    other = rollcast("simulate", "shop.yaml", "--json", *ONE, *slots).json
    used = [one["metrics"]["utilisation_fraction"]["mean"] for one in (plain, other)]
    assert used[1] == pytest.approx(used[0] / 2, rel=0.05)
    assert other["candidate"]["drain_timeout_s"] == 9.0


def test_processes_change_nothing(rollcast: CommandLine) -> None:
    one = rollcast("simulate", "shop.yaml", "--json", "--jobs", "1")
    two = rollcast("simulate", "shop.yaml", "--json", "--jobs", "2")
    assert one == two


def test_the_table_shows_the_figures_of_the_comparison(rollcast: CommandLine) -> None:
    answer = rollcast("compare", "shop.yaml", "--windows", "1,2", *ONE)
    assert (answer.code, answer.err) == (0, "")
    comparison = in_python(1, 2)
    shown = shown_columns(comparison.candidates)
    lines = [" ".join(line.split()) for line in answer.out.splitlines()]
    for result in comparison.candidates:
        row = table_row(result)
        assert " ".join(row[column] for column in shown) in lines
    assert lines[0] == "May two be out at once?"
    confirmed = in_python_confirmed(1, 2)
    assert confirmed is not None
    assert confirmed.number == 1
    answer_line = (
        "Window 2 meets every objective in 4 of 4 runs, and is the fastest that does, confirmed on "
        f"fresh seeds ({confirmed.result.verdict.runs_meeting} of {confirmed.result.verdict.runs} runs)."
    )
    assert answer_line in lines
    assert any(line.startswith("Window 2: duration −") for line in lines)


def test_too_few_runs_that_all_meet_propose_a_study_that_decides(rollcast: CommandLine) -> None:
    sure = ("--set", "objectives.in_runs=95%")
    few = rollcast("compare", "shop.yaml", "--windows", "2", *sure, *ONE)
    study = ("--seed", str(fresh_seed(1, PROPOSAL_NUMBER)), "--replications", "181")
    assert (
        "4 of 4 runs meet every objective, which neither shows nor refutes 95 % with 95 % confidence; "
        f"a new study may decide it: {' '.join(study)}"
    ) in " ".join(few.out.split())
    assert "objectives.confidence" not in few.out
    decided = rollcast("compare", "shop.yaml", "--windows", "2", *sure, *study, *ONE)
    assert "Window 2 meets every objective in 181 of 181 runs" in decided.out


MANY = ("--windows", "1,2,3,4,5,6", "--pauses", "0s,1s,2s", "--drain-timeouts", "5s,30s,60s,90s")


def test_the_answer_stands_before_a_table_of_the_most_useful_rows(rollcast: CommandLine) -> None:
    plain = rollcast("compare", "shop.yaml", *MANY, *ONE)
    assert (plain.code, plain.err) == (0, "")
    lines = plain.out.splitlines()
    headings = next(k for k, line in enumerate(lines) if line.startswith("window"))
    first = "Window 5, pause 0 s, drain 5 s … 90 s (4) meets every objective in 4 of 4 runs"
    assert (
        lines[2]
        == f"{first}, and is the fastest that does, confirmed on fresh seeds (9 of 9 runs)."
    )
    assert lines[3].startswith("Next best: window 4, pause 0 s, drain 5 s … 90 s (4) meets every")
    assert "Left out:" in lines[4:headings]
    table = lines[headings + 1 : headings + 13]
    assert [line.split()[:3] for line in table[:3]] == [
        ["5", "0", "s"],  # recommended
        ["4", "0", "s"],  # next best
        ["2", "0", "s"],  # the scenario's own
    ]
    assert lines[headings + 13].endswith("  without a rollout           ")
    assert lines[headings + 14].startswith("16 more candidates: ")
    assert lines[headings + 14].endswith(". --all shows them.")
    assert lines[headings + 15] == (
        "72 candidates gave 16 different results; those with equal results are one row."
    )
    every = rollcast("compare", "shop.yaml", *MANY, "--all", *ONE).out.splitlines()
    assert every[headings + 1 : headings + 13] == table
    assert (
        len(
            " ".join(every[headings + 1 :])
            .partition(" candidates gave ")[0]
            .split("5 s … 90 s (4)")
        )
        == 17
    )
    data = rollcast("compare", "shop.yaml", *MANY, "--json", "--csv", "rows.csv", *ONE).json
    assert len(data["candidates"]) == 72
    assert len(data["recommendation"]) == len(data["next_best"]) == 4
    left_out = [index for one in data["left_out"] for row in one["candidates"] for index in row]
    others = {*range(72)} - {*data["recommendation"], *data["next_best"]}
    assert sorted(left_out) == sorted(others)
    assert len(pd.read_csv(rollcast.folder / "rows.csv")) == 72 * len(METRICS)


def test_a_difference_to_no_rollout_needs_a_rollout(rollcast: CommandLine) -> None:
    steady = SHOP.partition("rollout:")[0] + "clock: {horizon: 20s}\n"
    refusal = "steady.yaml: rollout: is missing, so --difference has nothing to compare"
    rollcast.refuses(
        ["compare", "steady.yaml", "--difference"], {"steady.yaml": steady}, refusal, 2
    )


HEAVY = (
    SHOP.replace("rate: 40/s", "rate: 119.9/s").replace("slots: 2", "slots: 1")
    + "clock: {horizon: 30s}\n"
)
"""The shop at a load of 99.9 %."""


def test_a_start_that_is_not_steady_is_said_with_every_answer(rollcast: CommandLine) -> None:
    rollcast.write("heavy.yaml", HEAVY)
    note = "a steady state needs"
    for command, code in (
        (("validate", "heavy.yaml"), 0),
        (("simulate", "heavy.yaml", *ONE), 0),
        (("compare", "heavy.yaml", "--windows", "2", *ONE), 0),
        (("plan", "heavy.yaml", "-o", "plan.json", *ONE), 3),
    ):
        answer = rollcast(*command)
        assert answer.code == code, answer.err
        assert note in " ".join((answer.out + answer.err).split()), command
    for name, *options in (("simulate",), ("compare", "--windows", "2")):
        data = rollcast(name, "heavy.yaml", *options, "--json", *ONE).json
        assert [each["kind"] for each in data["notes"]] == ["warm_up_too_short"]
        assert data["notes"][0]["wanted_s"] > 10 * data["notes"][0]["given_s"]


def test_simulate_prints_every_figure(rollcast: CommandLine) -> None:
    out = rollcast("simulate", "shop.yaml", *ONE).out
    of_connections = {
        "connections_at_start",
        "cut_connections",
        "cut_connections_fraction",
        "reconnects",
    }
    assert all(name in out for name in METRICS - of_connections)
    rollcast.write("sockets.yaml", SOCKETS.replace("10m}}", "10m}, reconnects: true}"))
    printed = rollcast("simulate", "sockets.yaml", *ONE).out
    assert all(name in printed for name in METRICS)
    assert out.startswith("Window 2 meets every objective in 4 of 4 runs.")


LOSSY = SHOP.replace("slots: 2", "slots: 1").replace(
    "  rate: 40/s\n",
    "  rate: 60/s\n  classes: {page: {client_timeout: 300ms, retries: {attempts: 1}}}\n",
)


def test_what_was_lost_stands_in_text_json_and_report(rollcast: CommandLine) -> None:
    rollcast.write("lossy.yaml", LOSSY)
    command = ("simulate", "lossy.yaml", "--html", "lossy.html", *ONE)
    data = rollcast(*command, "--json").json
    losses, retries = data["losses"], data["retries"]
    lost = data["metrics"]["failed_requests"]["mean"] * data["replications"]
    assert losses["count"] == sum(cell["count"] for cell in losses["cells"]) == round(lost) > 0
    assert all(0 < cell["peak_count"] <= cell["count"] for cell in losses["cells"])
    assert losses["cells"][0].keys() == {"cause", "phase", "count", "peak_s", "peak_count"}
    assert retries["count"] == round(data["metrics"]["retries"]["mean"] * data["replications"])
    assert 0 < sum(count for _, count in retries["bins"]) <= retries["count"]
    scenario = ScenarioFile.parse(LOSSY).scenario
    rows = list(run_rows(scenario, cases_of(scenario), Execution(jobs=1)))
    result = compare(scenario, cases_of(scenario), rows).candidates[0]
    table = loss_table(result.losses(), len(result.runs))
    assert table is not None
    lines = [" ".join(line.split()) for line in rollcast(*command).out.splitlines()]
    for cells in (table.headings, *table.rows):
        assert " ".join(filter(None, cells)) in lines
    page = (rollcast.folder / "lossy.html").read_text(encoding="utf-8")
    assert all(f"<td>{row[0]}</td>" in page for row in table.rows)


def test_csv_holds_the_figures_of_the_json(rollcast: CommandLine) -> None:
    options = ["--windows", "1,2", "--csv", "figures.csv", "--json", *ONE]
    data = rollcast("compare", "shop.yaml", *options).json
    table = pd.read_csv(rollcast.folder / "figures.csv")
    assert len(table) == 2 * len(METRICS)
    for one in data["candidates"]:
        mine = table[table["window"] == one["candidate"]["window"]].set_index("metric")
        for name, figure in one["metrics"].items():
            for key, value in figure.items():
                if value is None:
                    assert pd.isna(mine.loc[name, key])
                else:
                    assert mine.loc[name, key] == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("name", ["requests.csv", "requests.parquet"])
def test_requests_holds_a_row_for_each(rollcast: CommandLine, name: str) -> None:
    data = rollcast("simulate", "shop.yaml", "--json", "--requests", name, *ONE).json
    path = rollcast.folder / name
    table = pd.read_csv(path) if name.endswith("csv") else pd.read_parquet(path)
    assert list(table.columns) == [
        *("replication", "request", "class", "arrival_s", "start_s", "finish_s"),
        *("instance", "version", "attempts", "outcome"),
    ]
    assert len(table) == data["requests"]["arrived"]
    assert (table["outcome"] == "ok").sum() == data["requests"]["ok"]
    assert sorted(table["replication"].unique()) == [0, 1, 2, 3]
    assert set(table["instance"].dropna()) == {f"web-{number:02d}" for number in range(1, 7)}
    assert set(table["version"].dropna()) == {"old", "new"}
    served = table[table["outcome"] == "ok"]
    assert (served["arrival_s"] <= served["start_s"]).all()
    assert (served["start_s"] < served["finish_s"]).all()
    assert not (rollcast.folder / f"{name}.part").exists()


def test_requests_of_several_candidates_say_whose_they_are(rollcast: CommandLine) -> None:
    rollcast("compare", "shop.yaml", "--windows", "1,2", "--requests", "r.csv", *ONE)
    table = pd.read_csv(rollcast.folder / "r.csv")
    assert table.columns[0] == "candidate"
    first, second = (table[table["candidate"] == name] for name in ("Window 1", "Window 2"))
    assert list(first["arrival_s"]) == list(second["arrival_s"])
