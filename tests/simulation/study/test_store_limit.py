"""All stores together keep to a limit: what was used longest ago goes first."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from simulation.results.result_bytes import pack
from simulation.results.run_result import RunResult
from simulation.scenario.simulated_interval import frame_of
from simulation.study.store import Store
from simulation.study.store_list import list_directory, listed_stores
from tests.helpers.paths import ROOT
from tests.helpers.scenarios import run_once, small_shop

SHOP = small_shop()
FRAME = frame_of([SHOP])
CASE_BYTES = 40_000
"""Size of one stored case in these tests, in bytes."""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the list of stores apart from that of the person who runs the tests."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def result() -> RunResult:
    return run_once(SHOP, keep_requests=False)


def put(path: Path, key: str, result: RunResult, limit_bytes: int, count: int = 1) -> list[str]:
    """Store observations of one case in a study of its own; return the problems."""
    problems: list[str] = []
    packed = pack(result)
    with Store(path, problems.append, limit_bytes) as store:
        for number in range(count):
            store.put(number, FRAME, [(key, result, packed + b"." * (CASE_BYTES - len(packed)))])
    return problems


def keys_of(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT DISTINCT key FROM cells JOIN keys ON id = key_id").fetchall()
    connection.close()
    return sorted(key for (key,) in rows)


def test_within_the_limit_nothing_is_dropped(tmp_path: Path, result: RunResult) -> None:
    path = tmp_path / "a.sqlite"
    for key in "abc":
        assert put(path, key, result, 10 * CASE_BYTES) == []
    assert keys_of(path) == ["a", "b", "c"]


def test_the_case_used_longest_ago_is_dropped(
    tmp_path: Path, result: RunResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, limit_bytes = tmp_path / "a.sqlite", 4 * CASE_BYTES
    for moment, key in enumerate("abc"):
        monkeypatch.setattr("simulation.study.store.time.time", lambda moment=moment: 100 + moment)
        put(path, key, result, limit_bytes)
    monkeypatch.setattr("simulation.study.store.time.time", lambda: 200)
    with Store(path, limit_bytes=limit_bytes) as store:  # the oldest is read once more
        assert store.stored_runs("a", FRAME).keys() == {0}
    monkeypatch.setattr("simulation.study.store.time.time", lambda: 300)
    put(path, "d", result, limit_bytes)
    assert keys_of(path) == ["a", "d"]  # below the limit by a tenth of it
    assert path.stat().st_size <= limit_bytes  # free pages are given back


def test_other_studies_go_before_one_of_this_study(tmp_path: Path, result: RunResult) -> None:
    limit_bytes = 12 * CASE_BYTES
    old, newer, own = (tmp_path / f"{name}.sqlite" for name in ("old", "newer", "own"))
    for moment, path in enumerate((old, newer, own)):
        put(path, "a", result, limit_bytes, 2)
        for note in list_directory().iterdir():
            if note.read_bytes() == os.fsencode(path):
                os.utime(note, (1000 + moment, 1000 + moment))
    put(own, "b", result, limit_bytes, 4)
    assert keys_of(old) == []
    assert keys_of(newer) == ["a"]
    assert keys_of(own) == ["a", "b"]


def test_a_study_that_fills_the_limit_alone_goes_on_and_says_so(
    tmp_path: Path, result: RunResult
) -> None:
    path = tmp_path / "a.sqlite"
    problems: list[str] = []
    packed = pack(result) + b"." * CASE_BYTES
    with Store(path, problems.append, 40 * CASE_BYTES) as store:
        for number in range(200):
            store.put(number, FRAME, [("a", result, packed)])
    assert len(problems) == 1
    assert "results of this study reach the limit of 1,600,000 bytes" in problems[0]
    assert path.stat().st_size < 80 * CASE_BYTES  # checked after 64 writes


def test_a_file_that_is_gone_leaves_the_list(tmp_path: Path, result: RunResult) -> None:
    gone, stays = tmp_path / "gone.sqlite", tmp_path / "stays.sqlite"
    for path in (gone, stays):
        put(path, "a", result, 10 * CASE_BYTES)
    gone.unlink()
    assert [store.path for store in listed_stores()] == [stays]
    assert len(list(list_directory().iterdir())) == 1


def test_a_file_that_became_something_else_is_left_alone(tmp_path: Path, result: RunResult) -> None:
    other, own = tmp_path / "other.sqlite", tmp_path / "own.sqlite"
    put(other, "a", result, 10 * CASE_BYTES)
    other.write_bytes(b"a person's own notes" * 10_000)
    put(own, "b", result, 3 * CASE_BYTES, 2)
    assert other.read_bytes().startswith(b"a person's own notes")
    assert keys_of(own) == ["b"]


def test_results_of_an_earlier_layout_are_dropped(tmp_path: Path, result: RunResult) -> None:
    path = tmp_path / "a.sqlite"
    put(path, "a", result, 10 * CASE_BYTES)
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("ALTER TABLE keys DROP COLUMN used_s")
        connection.execute("UPDATE versions SET engine = 'earlier'")
    connection.close()
    assert put(path, "b", result, 10 * CASE_BYTES) == []
    assert keys_of(path) == ["b"]


WRITER = """
import sys
from pathlib import Path
from simulation.study.store import Store
from tests.simulation.study.test_store_limit import CASE_BYTES, FRAME, SHOP
from simulation.results.result_bytes import pack
from tests.helpers.scenarios import run_once

result = run_once(SHOP, keep_requests=False)
packed = pack(result) + b"." * CASE_BYTES
problems = []
for study in range(12):
    with Store(Path(sys.argv[1]), problems.append, 12 * CASE_BYTES) as store:
        for number in range(3):
            store.put(number, FRAME, [(f"{sys.argv[2]}{study}", result, packed)])
print(problems)
"""


def test_two_processes_keep_to_one_limit_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), name],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in "xy"
    ]
    answers = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], answers
    assert [out for out, _ in answers] == ["[]\n", "[]\n"]
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    (size_bytes,) = connection.execute("SELECT sum(length(result)) FROM cells").fetchone()
    connection.close()
    assert 0 < size_bytes <= 16 * CASE_BYTES  # each process may have one study of three open
    assert replace(listed_stores()[0], used_s=0.0, size_bytes=0).path == path
