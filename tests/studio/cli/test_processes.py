"""What only a process of its own shows: an interrupt, a reader that leaves, a quick start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.command_line import SHOP
from tests.helpers.paths import ROOT

COMMAND = [sys.executable, "-m", "studio"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}


def children_of(process: int) -> set[int]:
    """All processes below one, from /proc."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue  # it has just ended
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    found = {process}
    while new := {child for child, parent in parents.items() if parent in found} - found:
        found |= new
    return found - {process}


def is_alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("jobs", "sent", "code"),
    [
        ("1", signal.SIGINT, 130),
        ("2", signal.SIGINT, 130),
        ("2", signal.SIGKILL, -signal.SIGKILL),
    ],
    ids=["one process", "processes", "killed"],
)
def test_what_ends_the_command_ends_its_processes(
    tmp_path: Path, jobs: str, sent: signal.Signals, code: int
) -> None:
    (tmp_path / "shop.yaml").write_text(SHOP, encoding="utf-8")
    process = subprocess.Popen(
        [*COMMAND, "compare", "shop.yaml", "--replications", "100000", "--jobs", jobs],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        # An interrupt comes as its processes start, the worst moment; a kill when they are at work.
        if jobs == "1":
            wait_for(lambda: worked_s(process.pid) > 2.5)
        elif sent is signal.SIGINT:
            wait_for(lambda: len(children_of(process.pid)) >= 2)
        else:
            wait_for(lambda: sum(map(worked_s, children_of(process.pid))) > 5)
        children = children_of(process.pid)
        if sent is signal.SIGINT:
            os.killpg(process.pid, sent)  # as Ctrl-C does
        else:
            os.kill(process.pid, sent)
        out, err = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    assert process.returncode == code
    assert out == ""
    # When it was killed, the tracker of its resources says what it cleaned up.
    assert err == "" or (sent is signal.SIGKILL and "Traceback" not in err)
    wait_for(lambda: not any(is_alive(child) for child in children))


def worked_s(process: int) -> float:
    """Processor time that a process has used."""
    stat = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def wait_for(condition: Callable[[], bool], at_most_s: float = 60.0) -> None:
    """Until a condition holds; looks often, fails when it never does."""
    ends_at = time.monotonic() + at_most_s
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < ends_at, "the condition never held"
        pause.wait(0.02)


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(SHOP, encoding="utf-8")
    command = " ".join([*COMMAND, "simulate shop.yaml --jobs 1 --replications 1 --json"])
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{command} | head -c 1"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "{", "")


@pytest.mark.parametrize(
    ("arguments", "stays_out"),
    [
        (["scenarios"], {"numpy", "simulation", "PySide6", "matplotlib", "pandas"}),
        (["new", "mine.yaml"], {"numpy", "simulation", "PySide6", "matplotlib", "pandas"}),
        (["validate", "shop.yaml"], {"PySide6", "matplotlib", "pandas"}),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_a_command_loads_no_more_than_it_needs(
    tmp_path: Path, arguments: list[str], stays_out: set[str]
) -> None:
    (tmp_path / "shop.yaml").write_text(SHOP, encoding="utf-8")
    program = (
        "import sys; from studio.__main__ import main; "
        f"sys.argv = ['rollcast', *{arguments!r}]; main(); "
        f"print(sorted({stays_out!r} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == "[]\n"
