"""Where a command writes to: a pipe that closes, a full disk, a terminal, none at all."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import termios
from contextlib import suppress
from pathlib import Path
from typing import IO

import pytest

from tests.helpers.command_line import SHOP, CommandLine
from tests.helpers.paths import ROOT

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-m", "studio"]
COMPARE = ["compare", "shop.yaml", "--windows", "1,2", "--jobs", "1"]
ESCAPE = "\x1b"


def started(
    folder: Path,
    arguments: list[str],
    out: int | IO[bytes] | None = subprocess.PIPE,
    *,
    shell: str = "",
    **environment: str,
) -> subprocess.CompletedProcess[bytes]:
    (folder / "shop.yaml").write_text(SHOP, encoding="utf-8")
    inherited = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    command = [*COMMAND, *arguments]
    return subprocess.run(
        ["sh", "-c", f'"$@" {shell}', "sh", *command] if shell else command,
        cwd=folder,
        env={**inherited, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", **environment},
        stdout=out,
        stderr=subprocess.PIPE,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("buffered", [True, False], ids=["at the end", "at once"])
@pytest.mark.parametrize(
    "arguments",
    [["scenarios"], ["--help"], COMPARE, [*COMPARE, "--json"]],
    ids=["plain", "help", "table", "json"],
)
def test_nobody_reading_on_is_no_reason_to_fail(
    tmp_path: Path, arguments: list[str], buffered: bool
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = started(
            tmp_path, arguments, writing, **({} if buffered else {"PYTHONUNBUFFERED": "1"})
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
@pytest.mark.parametrize("arguments", [["scenarios"], COMPARE], ids=["plain", "table"])
def test_a_full_disk_is_told_in_one_line(tmp_path: Path, arguments: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = started(tmp_path, arguments, full)
    assert (done.returncode, done.stderr) == (2, b"rollcast: [Errno 28] No space left on device\n")


def test_a_closed_output_is_no_reason_to_fail(tmp_path: Path) -> None:
    done = started(tmp_path, COMPARE, shell=">&-")
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LANG": "C", "LC_ALL": "", "LC_CTYPE": "", "PYTHONIOENCODING": ""},
        {"LC_ALL": "POSIX", "PYTHONIOENCODING": ""},
    ],
    ids=["ascii", "LANG=C", "LC_ALL=POSIX"],
)
def test_marks_and_signs_have_an_ascii_form(tmp_path: Path, environment: dict[str, str]) -> None:
    done = started(tmp_path, COMPARE, subprocess.PIPE, **environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"[ok] meets in 4 of 4" in done.stdout
    assert b"Window 2: duration -8.8 s (-8.9 s to -8.6 s)" in done.stdout
    assert done.stdout.isascii()


@pytest.mark.parametrize("name", ["LANG", "LC_ALL"])
def test_a_locale_that_is_not_named_leaves_utf_8(tmp_path: Path, name: str) -> None:
    others = {"LANG": "", "LC_ALL": "", "LC_CTYPE": "", "PYTHONIOENCODING": ""}
    for environment in ({**others}, {**others, name: "C.UTF-8"}):
        done = started(tmp_path, ["validate", "shop.yaml"], subprocess.PIPE, **environment)
        assert done.stdout.decode("utf-8").startswith("✓ shop.yaml is a scenario")


def test_json_stays_json_where_its_signs_must_be_escaped(tmp_path: Path) -> None:
    options = ["simulate", "shop.yaml", "--replications", "1", "--jobs", "1", "--json"]
    name = "Größe – \N{ROCKET}"
    (tmp_path / f"{name}.yaml").write_text(SHOP, encoding="utf-8")
    options[1] = f"{name}.yaml"
    done = started(tmp_path, options, PYTHONIOENCODING="ascii", PYTHONUTF8="1")
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)["scenario"] == name


def test_errors_have_an_ascii_form(tmp_path: Path) -> None:
    done = started(tmp_path, ["simulate", "a×b – ö.yaml"], PYTHONIOENCODING="ascii", PYTHONUTF8="1")
    assert done.returncode == 2
    assert done.stderr.startswith(b"rollcast: axb - \\xf6.yaml: cannot be read")


def test_what_is_no_terminal_gets_plain_text_and_no_progress(tmp_path: Path) -> None:
    done = started(tmp_path, COMPARE, COLUMNS="40", TERM="xterm-256color")
    assert (done.returncode, done.stderr) == (0, b"")
    out = done.stdout.decode()
    assert ESCAPE not in out
    row = next(line for line in out.splitlines() if line.startswith("     2"))
    assert row.endswith("✓ meets in 4 of 4")  # whole, however narrow the terminal that started it


def on_terminal(folder: Path, command: list[str], columns: int, lines: int) -> str:
    """Run a command on a terminal of this size; return all that the terminal was sent."""
    (folder / "shop.yaml").write_text(SHOP, encoding="utf-8")
    try:
        ours, theirs = pty.openpty()
    except OSError as error:  # a bare chroot or container has no /dev/pts
        pytest.skip(f"no terminal is to be had here: {error}")
    termios.tcsetwinsize(theirs, (lines, columns))
    inherited = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        [*COMMAND, *command],
        cwd=folder,
        env={**inherited, "PYTHONPATH": str(ROOT), "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.PIPE,
    )
    os.close(theirs)
    seen = b""
    with suppress(OSError):  # Linux says so at the end, when nobody holds the other side
        while part := os.read(ours, 65536):
            seen += part
    os.close(ours)
    _out, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (0, b"")
    return seen.decode()


def test_a_terminal_sees_the_table_and_in_the_end_keeps_it_once(tmp_path: Path) -> None:
    seen = on_terminal(tmp_path, COMPARE, 120, 40)
    assert ESCAPE in seen
    assert seen.count("Window 2 meets every objective") == 1


def test_a_small_terminal_sees_the_progress_above_any_number_of_rows(tmp_path: Path) -> None:
    pauses = ",".join(f"{number}s" for number in range(12))
    command = [
        "compare",
        "shop.yaml",
        "--windows",
        "1,2,3",
        "--pauses",
        pauses,
        "--jobs",
        "1",
    ]
    seen = on_terminal(tmp_path, command, 80, 24)
    live, _, answer = seen.partition("May two be out at once?")
    frames = [re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text) for text in live.split("\x1b[2K")]
    frames = [frame.lstrip("\r") for frame in frames if frame.strip()]
    assert len(frames) >= 2
    assert frames[0].startswith("0 of 4 replications")
    tables = [frame for frame in frames if "verdict" in frame]
    assert tables
    for frame in tables:
        lines = frame.split("\r\n")
        assert len(lines) < 24
        assert re.match(
            r"\d of (4 replications|9 replications that confirm the best)( about \d+ s left)?$",
            lines[0],
        )
        assert {"window", "pause", "takes", "p99", "verdict"} <= set(lines[1].split())
        assert not re.search(r"\w…", frame)  # figures are whole; the least important are not shown
        assert "and 24 more rows" in frame
    assert "24 more candidates: " in answer


def test_what_a_scenario_says_is_printed_as_it_stands(rollcast: CommandLine) -> None:
    question = "Is [/b] [bold]this[/bold] :smile: ok?"
    rollcast.write("odd.yaml", SHOP.replace("May two be out at once?", f'"{question}"'))
    answer = rollcast("compare", "odd.yaml", "--windows", "2", "--jobs", "1")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[0] == question


def test_no_traffic_at_all_has_no_figures_and_breaks_nothing(rollcast: CommandLine) -> None:
    options = ["--set", "traffic.rate=0", "--jobs", "1", "--windows", "1,2"]
    data = rollcast("compare", "shop.yaml", *options, "--json").json
    for one in data["candidates"]:
        assert set(one["requests"].values()) == {0}
        assert set(one["metrics"]["latency_p99_s"].values()) == {None}
        assert one["verdict"]["answer"] == "undecided"
        assert one["verdict"]["reasons"] == [
            "0 of 4 runs meet every objective, which neither shows nor refutes 40 % with 95 % "
            "confidence; a new study of up to 5,000 runs would probably not show it either",
            "no request was seen in 4 of 4 runs",
        ]
        answers = {each["name"]: each["answer"] for each in one["verdict"]["objectives"]}
        assert answers == {
            "ends_well": "meets",
            "error_fraction": "undecided",
            "latency_p99": "undecided",
            "duration": "meets",
        }
    assert set(data["differences"][1]["rollout_latency_p99_s"].values()) == {None}
    table = rollcast("compare", "shop.yaml", *options)
    assert table.code == 0
    rows = [line.split() for line in table.out.splitlines() if "? undecided" in line]
    assert [(row[0], row[4:6]) for row in rows] == [("2", ["–", "–"]), ("1", ["–", "–"])]


def test_a_plan_is_known_by_what_it_holds(rollcast: CommandLine) -> None:
    assert rollcast("plan", "shop.yaml", "-o", "friday", "--window", "2", "--jobs", "1").code == 0
    answer = rollcast("validate", "friday")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("✓ the form is that of rollcast.plan/1\n")
