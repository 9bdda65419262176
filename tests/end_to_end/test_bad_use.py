"""Wrong use of the program is refused in one line, too.

The rows cover options, outputs, plans, and malformed files that no editor would write. Mistakes inside a
scenario are in `test_bad_input`.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from executor.plan.file import plan_text
from tests.helpers.command_line import SHOP, CommandLine
from tests.helpers.plans import example_plan

GOOD: dict[str, str | bytes] = {"shop.yaml": SHOP}
PLAN = plan_text(example_plan())
TRACED = SHOP.replace("rate: 40/s", "rate: {trace: evening.csv.gz, scale: 2}")
PACKED = gzip.compress(b"time,rate\n" + b"".join(b"%d,40\n" % second for second in range(300)))
DAMAGED = PACKED[:20] + bytes(byte ^ 255 for byte in PACKED[20:40]) + PACKED[40:]


def shop(old: str, new: str) -> dict[str, str | bytes]:
    """Return the shop with a mistake in it."""
    assert old in SHOP
    return {"shop.yaml": SHOP.replace(old, new)}


def case(
    name: str,
    command: str,
    files: dict[str, str | bytes],
    said: str,
    code: int = 2,
) -> object:
    """Return a row: the command, the files that exist, and a part of the error message."""
    return pytest.param(command.split(" "), files, said, code, id=name)


CASES = [
    # options
    case("unknown option of all", "--nope", {}, "No such option: --nope"),
    case("command that is none", "fly p.json", {}, "No such command 'fly'"),
    case("execute without a fleet", "execute p.json", {}, "Missing option '--inventory'"),
    case("execute without a plan", "execute p.json --inventory f", {}, "p.json: cannot be read"),
    case("fleet for a scenario", "validate shop.yaml --inventory f", GOOD, "only a plan can be"),
    case("key that is none", "plan shop.yaml -o p.json --sign k", GOOD, "k: cannot be read"),
    case("command nearly right", "simulat shop.yaml", GOOD, "Did you mean 'simulate'?"),
    case("too many arguments", "validate shop.yaml other.yaml", GOOD, "(other.yaml)"),
    case("new without a name", "new", {}, "Missing argument 'FILE'"),
    case("option without a value", "compare shop.yaml --windows", GOOD, "'--windows' requires"),
    case("no process", "simulate shop.yaml --jobs 0", GOOD, "--jobs 0: must be a whole number"),
    case(
        "seed below 0",
        "simulate shop.yaml --seed -1",
        GOOD,
        "--seed -1: must be a whole number, at least 0",
    ),
    case(
        "half a replication",
        "simulate shop.yaml --replications 1.5",
        GOOD,
        "--replications 1.5: must be a whole number, at least 1",
    ),
    case("no window at all", "compare shop.yaml --windows ", GOOD, "--windows : nothing: must be"),
    case(
        "window with an exponent",
        "compare shop.yaml --windows ²",
        GOOD,
        "--windows ²: ²: must be a count or a whole percentage, such as 4 or 25%",
    ),
    case(
        "negative drain",
        "compare shop.yaml --drain-timeouts 5s,-1s",
        GOOD,
        "--drain-timeouts 5s,-1s: -1s: a duration must not be negative",
    ),
    case(
        "start on a date",
        "compare shop.yaml --starts 2024-05-01T18:00",
        GOOD,
        "clock.start: 2024-05-01 18:00:00: a date needs a trace with dates",
    ),
    case(
        "two windows for one",
        "plan shop.yaml -o p.json --window 1,2",
        GOOD,
        "--window 1,2: must be one value",
    ),
    case(
        "no window for one",
        "plan shop.yaml -o p.json --window 0",
        GOOD,
        "--window 0: 0: a window must be at least 1",
    ),
    case(
        "a window and windows",
        "plan shop.yaml -o p.json --window 1 --windows 1,2",
        GOOD,
        "--window and --windows: must not both be given",
    ),
    case(
        "a step between starts without a unit",
        "plan shop.yaml -o p.json --starts every:30",
        GOOD,
        "--starts every:30: every:30: a duration needs a unit, such as 30s",
    ),
    case(
        "starts to nowhere",
        "plan shop.yaml -o p.json --starts 02:00..06:00",
        GOOD,
        "--starts 02:00..06:00: 02:00..06:00: a range of starts needs its step, such as 02:00",
    ),
    case(
        "a way to advance that is none",
        "plan shop.yaml -o p.json --advance backwards",
        GOOD,
        "--advance backwards: backwards: must be sliding or batch",
    ),
    case(
        "here and elsewhere",
        "plan shop.yaml -o p.json --jobs 1 --cluster tcp://127.0.0.1:1",
        GOOD,
        "--jobs and --cluster: must not both be given",
    ),
    case(
        "a chart of no kind",
        "sensitivity shop.yaml --chart bars.doc",
        GOOD,
        "--chart bars.doc: must end in .png, .svg, .pdf",
    ),
    case(
        "a chart in no folder",
        "sensitivity shop.yaml --chart nowhere/bars.png",
        GOOD,
        "nowhere/bars.png: cannot be written: no such directory: nowhere",
    ),
    case(
        "two validities",
        "plan shop.yaml -o p.json --valid-for 1h,2h",
        GOOD,
        "--valid-for 1h,2h: must be one value",
    ),
    case(
        "validity without unit",
        "plan shop.yaml -o p.json --valid-for 7",
        GOOD,
        "--valid-for 7: 7: a duration needs a unit, such as 7s",
    ),
    case(
        "size without pictures",
        "studio shop.yaml --size big",
        GOOD,
        "--size big: must be width x height, such as 1180x760",
    ),
    case("size with an exponent", "studio shop.yaml --size ²x5", GOOD, "--size ²x5: must be width"),
    case("size of nothing", "studio shop.yaml --size 0x760", GOOD, "--size 0x760: must be width"),
    case("studio of nothing", "studio nowhere.yaml", {}, "nowhere.yaml: cannot be read: No such"),
    # --set
    case("set no key", "simulate shop.yaml --set =3", GOOD, "--set : a key is names with dots"),
    case("set half a key", "simulate shop.yaml --set rollout.=3", GOOD, "a key is names with dots"),
    case(
        "set no place",
        "simulate shop.yaml --set services.web.²=3",
        GOOD,
        "shop.yaml with --set: services.web.²: 3: unknown key",
    ),
    case(
        "set nothing",
        "simulate shop.yaml --set rollout.window=",
        GOOD,
        "shop.yaml with --set: rollout.window: null: must be a count or a percentage",
    ),
    case(
        "set no YAML",
        "simulate shop.yaml --set rollout.window=[1",
        GOOD,
        "--set rollout.window=[1: the value is not YAML",
    ),
    case(
        "set a cave",
        f"simulate shop.yaml --set name={'[' * 400}{']' * 400}",
        GOOD,
        "--set name: the value is nested too deeply: must not exceed 100 levels",
    ),
    case(
        "set one level more than may be",
        f"simulate shop.yaml --set name={'[' * 101}{']' * 101}",
        GOOD,
        "--set name: the value is nested too deeply",
    ),
    case(
        "set as deep as may be",
        f"simulate shop.yaml --set name={'[' * 100}{']' * 100}",
        GOOD,
        "must be a text",
    ),
    case(
        "set a key without end",
        f"simulate shop.yaml --set {'.'.join(['a'] * 3000)}=1",
        GOOD,
        "is nested too deeply",
    ),
    case(
        "set a day that is none",
        "simulate shop.yaml --set clock.start=2024-02-31",
        GOOD,
        "--set clock.start=2024-02-31: the value is not YAML",
    ),
    # outputs
    case(
        "plan over the scenario",
        "plan shop.yaml -o ./shop.yaml",
        GOOD,
        "shop.yaml: cannot be written: is the scenario itself",
    ),
    case("figures over the scenario", "compare shop.yaml --csv shop.yaml", GOOD, "is the scenario"),
    case("figures onto a folder", "compare shop.yaml --csv .", GOOD, ".: cannot be written: is a"),
    case(
        "requests below a file",
        "simulate shop.yaml --requests shop.yaml/r.csv",
        GOOD,
        "shop.yaml/r.csv: cannot be written: no such directory: shop.yaml",
    ),
    case("requests of no kind", "simulate shop.yaml --requests r", GOOD, "must end in .csv or"),
    case(
        "new nowhere", "new nowhere/a.yaml", {}, "nowhere/a.yaml: cannot be written: No such file"
    ),
    # files
    case(
        "key of the rollout written at a service",
        "validate shop.yaml",
        shop("slots: 2", "pre_stop: 5s"),
        "shop.yaml:10: services.web.pre_stop: 5s: unknown key (known here: balancer, crashes, instances",
    ),
    case(
        "key that is no text",
        "validate shop.yaml",
        shop("replications: 4", "4: replications"),
        "shop.yaml:4: 4: replications: unknown key (known here: clock, name",
    ),
    case(
        "key that is a list",
        "validate shop.yaml",
        shop("replications: 4", "? [a, b]\n: 4"),
        "shop.yaml:4: ",
    ),
    case(
        "key beside the one that its kind is named by",
        "validate shop.yaml",
        {"shop.yaml": TRACED.replace("scale: 2", "scale: 0"), "evening.csv.gz": PACKED},
        "shop.yaml:6: traffic.rate.scale: 0: must be above 0",
    ),
    case(
        "day that is none",
        "validate shop.yaml",
        shop("replications: 4", "clock: {start: 2024-13-45}"),
        "shop.yaml:4: is not YAML: 2024-13-45: month must be in 1..12",
    ),
    case(
        "number without end",
        "validate shop.yaml",
        shop("replications: 4", f"replications: {'9' * 5000}"),
        "shop.yaml:4: 99999999999999999999…: a number of 5,000 digits must not exceed 40",
    ),
    case(
        "nested without end",
        "validate shop.yaml",
        {"shop.yaml": "rollcast: scenario/1\na: " + "[" * 400 + "]" * 400},
        "shop.yaml:2: is nested too deeply: must not exceed 100 levels",
    ),
    case(
        "nothing where keys belong",
        "validate shop.yaml",
        shop("drain: {timeout: 5s}", "drain:"),
        "shop.yaml:15: rollout.drain: null: must be a mapping of keys",
    ),
    case(
        "text with line breaks",
        "validate shop.yaml",
        shop("window: 2", 'window: "2\\n\\n3"'),
        "shop.yaml:14: rollout.window: 2  3: must be a count",
    ),
    case(
        "damaged trace",
        "simulate shop.yaml",
        {"shop.yaml": TRACED, "evening.csv.gz": DAMAGED},
        "traffic.rate.trace: evening.csv.gz: cannot read the trace evening.csv.gz: Error -3",
    ),
    case(
        "trace that is not packed",
        "simulate shop.yaml",
        {"shop.yaml": TRACED, "evening.csv.gz": "time,rate\n"},
        "cannot read the trace evening.csv.gz: Not a gzipped file",
    ),
    case(
        "trace that ends in the middle",
        "simulate shop.yaml",
        {"shop.yaml": TRACED, "evening.csv.gz": PACKED[:-20]},
        "cannot read the trace evening.csv.gz: Compressed file ended",
    ),
    # plans
    case("plan that is a folder", "validate .", {}, ".: cannot be read: Is a directory"),
    case("plan that is empty", "validate p.json", {"p.json": ""}, "p.json:1:1: is not JSON"),
    case("plan that is no text", "validate p.json", {"p.json": b"{\xff}"}, "is not UTF-8: byte 1"),
    case(
        "key of a plan twice",
        "validate p.json",
        {"p.json": PLAN.replace('"seed": 1,', '"seed": 1, "seed": 1,')},
        'p.json: is not JSON: key "seed" must stand only once in an object',
    ),
    case(
        "changed plan of another name",
        "validate plan",
        {"plan": PLAN.replace('"seed": 1', '"seed": 2')},
        "plan: digest (",
        3,
    ),
    case("plan for a scenario", "simulate p.json", {"p.json": PLAN}, "p.json:2: schema: rollcast"),
]


@pytest.mark.parametrize(("arguments", "files", "said", "code"), CASES)
def test_wrong_use_is_answered_in_one_line(
    arguments: list[str],
    files: dict[str, str | bytes],
    said: str,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    CommandLine(tmp_path, monkeypatch, capsys).refuses(arguments, files, said, code)
