"""Input that would exhaust the machine is refused in one line with the limit, before it is processed.

All cases run in one process whose address space is limited to 512 MiB above that of the loaded program, so
a command that allocates first and checks the size later fails on every machine.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from dataclasses import dataclass, field

import pytest

from executor.base import text_limits
from executor.base.errors import BadInput
from executor.base.text_limits import MOST_YAML_BYTES
from executor.plan.file import plan_text
from simulation.planning.make_plan import resimulate
from simulation.scenario import limits, units
from simulation.scenario.file import ScenarioFile
from studio.cli import options
from studio.gui.document.fields import parse_windows_text
from tests.helpers.command_line import SHOP
from tests.helpers.paths import ROOT
from tests.helpers.plans import example_plan


def alias_bomb(last: str) -> str:
    """Return nine levels of ten aliases: a thousand million values in a few lines."""
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [
        f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 9)
    ]
    return "\n".join([*levels, last]) + "\n"


def merge_bomb() -> str:
    """Return the same number of values by merge keys, which a YAML loader expands itself."""
    levels = ["a0: &a0 {x: 1}"]
    levels += [
        f"a{level}: &a{level} {{<<: [{', '.join([f'*a{level - 1}'] * 10)}], y{level}: 1}}"
        for level in range(1, 9)
    ]
    return "\n".join(levels) + "\n"


DIGITS = "9" * 10_000
MANIFEST = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  template: {spec: {containers: [{name: app}]}}
"""
LOG_LINE = b'10.0.0.1 - - [01/May/2024:18:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "-" rt=0.010 urt="0.010"\n'
INVENTORY = """\
rollcast: inventory/1
service: checkout
"""


@dataclass(frozen=True)
class Case:
    """A command, the files that it reads, and a part of its error message."""

    name: str
    command: tuple[str, ...]
    said: str
    files: dict[str, str | bytes] = field(default_factory=dict)


def key(name: str, pair: str, said: str) -> Case:
    """Return a case that sets a key of the shop by `--set`."""
    return Case(name, ("simulate", "shop.yaml", "-q", "--set", pair), said)


def replaced(name: str, old: str, new: str, said: str) -> Case:
    """Return a case that writes the same value in the file."""
    assert old in SHOP
    return Case(name, ("validate", "bad.yaml"), said, {"bad.yaml": SHOP.replace(old, new)})


def option(name: str, *arguments: str, said: str) -> Case:
    """Return a case with an option of a command."""
    return Case(name, (arguments[0], "shop.yaml", "-q", *arguments[1:]), said)


def imported(name: str, file: str, content: str | bytes, said: str) -> Case:
    """Return a case with a file to import."""
    return Case(name, ("import", file, "-o", "made.yaml"), said, {file: content})


WEB = "services.web"
CASES = [
    replaced(
        "a thousand million instances", "instances: 6", "instances: 1000000000",
        "bad.yaml:9: services.web.instances: 1000000000: must be at most 100,000",
    ),
    replaced(
        "10^15 requests a second", "40/s", "1e15/s",
        "bad.yaml:6: traffic.rate: 1e15/s: a rate must be at most 10,000,000/s",
    ),
    replaced(
        "10^12 replications", "replications: 4", "replications: 1000000000000",
        "bad.yaml:4: replications: 1000000000000: must be at most 100,000",
    ),
    replaced(
        "slots", "slots: 2", "slots: 1000000000",
        "bad.yaml:10: services.web.slots: 1000000000: must be at most 100,000",
    ),
    replaced(
        "a number of 10,000 digits", "slots: 2", f"slots: {DIGITS}",
        "bad.yaml:10: 99999999999999999999…: a number of 10,000 digits must not exceed 40",
    ),
    replaced(
        "a hexadecimal number of 10,000 digits", "slots: 2", f"slots: 0x{DIGITS}",
        "a number of 10,002 digits must not exceed 40",
    ),
    replaced(
        "an infinite number", "slots: 2", "speed: 1e400",
        "bad.yaml:10: services.web.speed: inf: must be finite",
    ),
    replaced(
        "a coefficient of variation", "cv: 1}", "cv: 1e200}",
        "bad.yaml:11: services.web.service_time",
    ),
    Case(
        "deep nesting", ("validate", "bad.yaml"), "is nested too deeply", {"bad.yaml": SHOP + "x: " + "[" * 5000 + "]" * 5000 + "\n"},
    ),
    Case(
        "nesting in a block", ("validate", "bad.yaml"), "is nested too deeply",
        {"bad.yaml": SHOP + "".join(" " * n + "k:\n" for n in range(150))},
    ),
    Case(
        "a large file", ("validate", "bad.yaml"), "bad.yaml: 4.001 MiB: must not exceed 4 MiB",
        {"bad.yaml": SHOP + "#" * (MOST_YAML_BYTES + 500)},
    ),
    Case("a file without an end", ("validate", "/dev/zero"), "/dev/zero: must not exceed 4 MiB"),
    Case(
        "aliases in a scenario", ("validate", "bad.yaml"),
        "bad.yaml:6: &a5: comes to more than 1,000,000 values, aliases filled in",
        {"bad.yaml": alias_bomb("traffic: {rate: *a8}")},
    ),
    Case(
        "an alias that holds itself", ("validate", "bad.yaml"), "bad.yaml:1: &a: must not hold itself",
        {"bad.yaml": "a: &a [*a]\n"},
    ),
    Case(
        "aliases in an inventory", ("validate", "plan.json", "--inventory", "bad.yaml"),
        "bad.yaml:6: &a5: comes to more than 1,000,000 values",
        {"bad.yaml": alias_bomb("service: *a8")},
    ),
    Case(
        "a large inventory", ("validate", "plan.json", "--inventory", "bad.yaml"),
        "bad.yaml: 4.001 MiB: must not exceed 4 MiB",
        {"bad.yaml": INVENTORY + "#" * (MOST_YAML_BYTES + 500)},
    ),
    key("aliases in a value", "name=" + alias_bomb("b: *a8"), "comes to more than 1,000,000 values"),
    key("digits in a value", f"seed={DIGITS}", "a number of 10,000 digits must not exceed 40"),
    key("digits in a key", f"rollout.canary.{DIGITS}=1", "rollout.canary"),
    key("seed", "seed=99999999999999999999999", "seed: 99999999999999999999999: must be at most"),
    key("a fleet by --set", f"{WEB}.instances=1000000000", "must be at most 100,000"),
    key("horizon", "clock.horizon=1e300d", "must be"),
    key(
        "requests of a run", "clock.horizon=30000d",
        "traffic.rate: comes to about 1.04e+11 requests in a run of 2,592,000,600 s, at most "
        "10,000,000,000 may be",
    ),
    Case(
        "requests of a study",
        ("simulate", "shop.yaml", "-q", "--replications", "100000", "--set", "clock.horizon=30d"),
        "replications: 100000: comes to about 1.04e+08 requests in a run of 2,592,600 s, 1.04e+13 in "
        "all, at most 1,000,000,000,000 may be",
    ),
    key("steps", "rollout.pause=36500d", "requests in a run"),
    key("health checks", f"{WEB}.balancer.health_check={{interval: 1e-9s, timeout: 1e-9s}}",
        "balancer.health_check.interval: 1e-09s: comes to about"),
    key("crashes", f"{WEB}.crashes={{mtbf: 1e-9s, repair: 1s}}", "crashes.mtbf: 1e-09s: comes to"),
    key("a drain of a hundred years", "rollout.drain.timeout=36500d",
        "clock.horizon: auto: a run that never settles would last"),
    key("looks at a drain", "rollout.drain.poll=1e-12s", "drain.poll: 1e-12s: comes to about"),
    key("sessions", "traffic.sessions=1000000000000", "must be at most 10,000,000"),
    key("attempts", "traffic.classes.all.retries.attempts=1000000000", "retries.attempts: 1000000000"),
    key("retries of a step", "rollout.retries=1000000000000", "must be at most 1,000"),
    key(
        "clients", "traffic={arrivals: closed, clients: {count: 1000000000000, think_time: 1s}}",
        "traffic.clients.count: 1000000000000: must be at most 1,000,000",
    ),
    key(
        "impatient clients", "traffic={arrivals: closed, clients: {count: 1000000, think_time: 1ns}}",
        "traffic",
    ),
    key("a percentage", "rollout.window=99999999999%", "must have at most 9 digits"),
    key("a percentage of many digits", f"rollout.surge='{DIGITS}%'", "must have at most 9 digits"),
    key("a share", "objectives.error_fraction=99999999999%", "must lie between 0% and 100%"),
    key(
        "canary steps",
        "rollout={strategy: canary, canary: ["
        + ", ".join(f"{{share: {n / 2000}, bake: 0s}}" for n in range(1, 1500)) + "]}",
        "rollout.canary: has 1,499 entries, at most 1,000 may be",
    ),
    Case(
        "slots of all instances",
        ("simulate", "shop.yaml", "-q", "--set", f"{WEB}.instances=100000", "--set",
         f"{WEB}.slots=100000"),
        "services.web.slots: 100000: 100,000 instances of up to 100,000 slots come to 10,000,000,000",
    ),
    option("jobs", "simulate", "--jobs", "1000000000",
           said="--jobs 1000000000: must be at most 1,024"),
    option("digits of an option", "simulate", "--replications", DIGITS, said="--replications 999"),
    option("windows", "compare", "--windows", "999999999999", said="--windows 999999999999"),
    option(
        "many candidates", "compare",
        "--windows", ",".join(["1", "2", "3"] * 100),
        "--drain-timeouts", ",".join(f"{n}s" for n in range(1, 500)),
        said="300 windows × 499 drain timeouts: come to 149,700 candidates, at most 100,000 may be",
    ),
    option("starts", "compare", "--starts", "every:1ms", said="must be at most 10,000 starts"),
    option("a pause", "compare", "--pauses", "36500d", said="requests in a run"),
    imported(
        "replicas", "web.yaml", MANIFEST.replace("replicas: 3", "replicas: 1000000000"),
        "web.yaml: web: replicas: 1000000000: must be at most 100,000",
    ),
    imported(
        "aliases in a manifest", "web.yaml", MANIFEST + alias_bomb("b: *a8"),
        "comes to more than 1,000,000 values, aliases filled in",
    ),
    imported(
        "merge keys in a manifest", "web.yaml", MANIFEST + merge_bomb(),
        "comes to more than 1,000,000 values, aliases filled in",
    ),
    imported("digits in a manifest", "web.yaml", MANIFEST.replace("s: 3", f"s: {DIGITS}"),
             "a number of 10,000 digits must not exceed 40"),
    imported("a bomb to import", "access.log.gz", gzip.compress(LOG_LINE * 400_000),
             "must not unpack to more than 200 times its size"),
    Case(
        "a bomb as a trace", ("validate", "bad.yaml"), "must not unpack to more than 200 times its size",
        {
            "bad.yaml": SHOP.replace("40/s", "{trace: t.csv.gz}"),
            "t.csv.gz": gzip.compress(b"time,requests\n" + b"0,0\n" * 20_000_000),
        },
    ),
    Case("digits in a plan", ("validate", "bad.json"), "bad.json: is not JSON",
         {"bad.json": f'{{"seed": {DIGITS}}}'}),
    Case("deep nesting in a plan", ("validate", "bad.json"), "bad.json: is not JSON",
         {"bad.json": "[" * 100_000}),
]  # fmt: skip


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    """Return exit code and standard error of every case."""
    folder = tmp_path_factory.mktemp("large")
    commands = [["validate", str(folder / "shop.yaml")]]
    (folder / "shop.yaml").write_text(SHOP, encoding="utf-8")
    (folder / "plan.json").write_text(plan_text(example_plan()), encoding="utf-8")
    for number, case in enumerate(CASES):
        place = folder / str(number)
        place.mkdir()
        for name, content in case.files.items():
            raw = content if isinstance(content, bytes) else content.encode()
            (place / name).write_bytes(raw)
        names = {*case.files, "made.yaml"}
        commands.append(
            [
                str(place / word)
                if word in names
                else str(folder / word)
                if word in ("shop.yaml", "plan.json")
                else word
                for word in case.command
            ]
        )
    done = subprocess.run(
        [sys.executable, "-m", "tests.helpers.limited"],
        input=json.dumps(commands), capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = [(code, text) for code, text in json.loads(done.stdout)]
    assert found[0] == (0, "")
    return dict(zip((case.name for case in CASES), found[1:], strict=True))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_too_large_is_refused_in_one_line(
    case: Case, answers: dict[str, tuple[int, str]]
) -> None:
    code, text = answers[case.name]
    assert case.said in text
    assert code == 2
    assert len(text.splitlines()) == 1
    assert len(text) < 700


def test_a_large_fleet_under_much_traffic_is_a_scenario() -> None:
    sets = [f"{WEB}.instances=5000", f"{WEB}.slots=64", "traffic.rate=100000/s", "replications=100"]
    sets += ["rollout.window=1"]
    assert ScenarioFile.parse(SHOP, sets=sets).scenario.service.instance_count == 5000


def test_a_run_of_a_hundred_million_requests_is_a_scenario() -> None:
    sets = [f"{WEB}.instances=100", "traffic.rate=1000/s", "clock.horizon=100000s"]
    assert ScenarioFile.parse(SHOP, sets=[*sets, "replications=1000"]).scenario.replications == 1000


def test_anchors_of_normal_size_stay_allowed() -> None:
    text = SHOP.replace("slots: 2", "slots: &n 2").replace("window: 2 ", "window: *n ")
    assert ScenarioFile.parse(text).scenario.window_count() == 2


def test_a_plan_whose_scenario_is_too_large_is_not_simulated_again() -> None:
    scenario = ScenarioFile.parse(SHOP).scenario
    plan = example_plan(scenario=scenario.as_data(), replications=10**12)
    with pytest.raises(BadInput, match=r"replications: 1000000000000: must be at most 100,000"):
        resimulate(plan)


def test_the_page_says_the_limits() -> None:
    text = (ROOT / "docs" / "scenario.md").read_text(encoding="utf-8")
    table = text.split("## Limits\n", 1)[1].split("\n## ", 1)[0]
    for limit in (
        limits.MOST_INSTANCES,
        limits.MOST_PLACES,
        limits.MOST_REPLICATIONS,
        limits.MOST_REQUESTS_OF_A_RUN,
        limits.MOST_REQUESTS_OF_A_STUDY,
        limits.MOST_EVENTS_OF_A_RUN,
        limits.MOST_CANDIDATES,
        limits.MOST_NUMBER,
        text_limits.MOST_YAML_VALUES,
        text_limits.MOST_PACKED_RATIO,
        int(units.MOST_RATE_RPS),
        options.MOST_JOBS,
    ):
        assert f"{limit:,}" in table
    for size in (text_limits.MOST_YAML_BYTES, text_limits.MOST_PLAN_BYTES):
        assert text_limits.size_text(size) in table
    assert f"{units.MOST_DURATION_S / 86400:g}d" in table


def test_a_field_of_the_studio_takes_no_more_than_a_file() -> None:
    """Fields are written by `with_values`, whose message stands beside the field."""
    file = ScenarioFile.parse(SHOP)
    with pytest.raises(BadInput, match=r"instances: 1000000: must be at most 100,000"):
        file.with_values({f"{WEB}.instances": 1_000_000})
    with pytest.raises(ValueError, match="windows are counts"):
        parse_windows_text("9" * 10_000)
