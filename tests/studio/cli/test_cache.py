"""``rollcast cache`` shows and empties what is stored; a study goes on where nothing can be stored."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from simulation.study import store as store_module
from simulation.study.store import SUFFIX, Store
from tests.helpers.command_line import SHOP, CommandLine
from tests.helpers.paths import ROOT

STORE = f"shop{SUFFIX}"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the list of stores apart from that of the person who runs the tests."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_without_results_there_is_nothing(rollcast: CommandLine) -> None:
    answer = rollcast("cache")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("Stored results: 0 studies, 0 bytes of at most 1 GB\nCompiled ")


def test_each_study_is_listed_until_it_is_cleared(rollcast: CommandLine) -> None:
    rollcast.write("other.yaml", SHOP)
    first = rollcast("simulate", "other.yaml", "--json", "--jobs", "1")
    rollcast("simulate", "shop.yaml", "--jobs", "1")
    answer = rollcast("cache")
    lines = answer.out.splitlines()
    assert lines[0].startswith("Stored results: 2 studies, ")
    assert [line.split()[-1] for line in lines[1:3]] == [
        str(rollcast.folder / STORE),  # the one used last comes first
        str(rollcast.folder / f"other{SUFFIX}"),
    ]
    data = rollcast("cache", "--json").json["stored_results"]
    assert data["studies"] == len(data["stores"]) == 2
    assert data["size_bytes"] == sum(store["size_bytes"] for store in data["stores"]) > 10_000
    assert data["limit_bytes"] == 1_000_000_000

    cleared = rollcast("cache", "--clear")
    assert (cleared.code, cleared.err) == (0, "")
    assert cleared.out.startswith("Stored results: 0 studies, 0 bytes of at most 1 GB\n")
    for store in (STORE, f"other{SUFFIX}"):
        assert Store(rollcast.folder / store).cell_count() == 0
    assert rollcast("simulate", "other.yaml", "--json", "--jobs", "1") == first


def test_a_store_that_cannot_be_cleared_is_said(rollcast: CommandLine) -> None:
    rollcast("simulate", "shop.yaml", "--jobs", "1")
    rollcast.write(STORE, b"no database" * 500)
    for ending in ("-wal", "-shm"):
        (rollcast.folder / f"{STORE}{ending}").unlink(missing_ok=True)
    answer = rollcast("cache", "--clear")
    assert (answer.code, answer.err) == (0, "")
    assert f"! {rollcast.folder / STORE}: holds no stored results" in answer.out
    assert (rollcast.folder / STORE).read_bytes().startswith(b"no database")


def goes_on(rollcast: CommandLine, said: str) -> None:
    """Assert that a comparison gives its whole answer, and says in one line that nothing is stored."""
    answer = rollcast("compare", "shop.yaml", "--windows", "1,2", "--json", "--jobs", "1")
    assert answer.code == 0
    assert answer.err.count("\n") == 1
    assert f"results are not stored: {said}" in answer.err
    assert [one["requests"]["arrived"] > 0 for one in answer.json["candidates"]] == [True, True]


def test_a_study_goes_on_where_the_file_cannot_be_opened(rollcast: CommandLine) -> None:
    (rollcast.folder / STORE).mkdir()
    goes_on(rollcast, "unable to open database file")


def test_a_study_goes_on_when_the_disk_is_full(
    rollcast: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page limit of SQLite's own stands for the full disk."""
    set_up = store_module._set_up

    def set_up_on_full_disk(connection: sqlite3.Connection) -> None:
        set_up(connection)
        connection.execute("PRAGMA max_page_count = 1")

    monkeypatch.setattr(store_module, "_set_up", set_up_on_full_disk)
    goes_on(rollcast, "database or disk is full")


def test_a_study_goes_on_when_another_process_never_stops_writing(
    rollcast: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollcast("simulate", "shop.yaml", "--jobs", "1")
    monkeypatch.setattr(store_module, "_WAIT_S", 0.05)
    other = sqlite3.connect(rollcast.folder / STORE)
    try:
        other.execute("BEGIN EXCLUSIVE")
        goes_on(rollcast, "database is locked")
    finally:
        other.close()


@pytest.mark.skipif(os.getuid() != 0, reason="gives up root's rights, which only root can")
def test_a_study_goes_on_in_a_folder_that_is_read_only_without_a_cache(tmp_path: Path) -> None:
    """Neither the scenario's folder nor a cache or a temporary folder may be written to."""
    (tmp_path / "shop.yaml").write_text(SHOP, encoding="utf-8")
    code = (
        "import os, sys\n"
        "from simulation.study.store import Store\n"
        "from executor.base.errors import BadInput\n"
        "import simulation.study.store as store_module\n"
        "def none(_name):\n"
        "    raise BadInput('no folder for caches can be written to')\n"
        "store_module.cache_directory = none\n"
        "from simulation.scenario.file import ScenarioFile\n"
        "from simulation.study.case import cases_of\n"
        "from simulation.study.driver import run_study\n"
        "from simulation.study.execution import Execution\n"
        "from simulation.results.run_result import EngineName\n"
        "from pathlib import Path\n"
        "path = Path(sys.argv[1])\n"
        "one = ScenarioFile.load(path).scenario\n"
        "execution = Execution(jobs=1, engine=EngineName.REFERENCE)\n"
        "run_study(one, cases_of(one), execution)  # loads what only root may read here\n"
        "os.chmod(path.parent, 0o555)\n"
        "os.setegid(65534); os.seteuid(65534)\n"
        "said = []\n"
        "comparison, rows = run_study(one, cases_of(one), execution,\n"
        "    stored_beside=path, on_problem=said.append)\n"
        "print(len(rows), said)\n"
    )
    for folder in (tmp_path, *tmp_path.parents):
        if folder.is_relative_to(tempfile.gettempdir()) and folder != Path(tempfile.gettempdir()):
            folder.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "shop.yaml")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("4 [")
    assert done.stdout.count("results are not stored: unable to open database file") == 1


def test_clearing_while_a_study_runs_does_not_end_it(rollcast: CommandLine) -> None:
    """A second process empties the store between the study's look at it and its reading."""
    expected = rollcast("compare", "shop.yaml", "--windows", "1,2", "--json", "--jobs", "1")
    result = Store.result
    cleared: list[int] = []

    def clear_then_read(self: Store, *arguments: object) -> object:
        if not cleared:
            command = [sys.executable, "-m", "studio", "cache", "--clear", "--json"]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
            cleared.append(json.loads(done.stdout)["stored_results"]["studies"])
        return result(self, *arguments)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "result", clear_then_read)
        again = rollcast("compare", "shop.yaml", "--windows", "1,2", "--json", "--jobs", "1")
    assert cleared == [0]
    assert again == expected
