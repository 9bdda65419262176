"""Where a study runs: what a lost process costs, and that a study stops and waits when it is told to."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from executor.base.errors import RollcastError
from simulation.scenario.model import Scenario
from simulation.study.candidates import candidates_of
from simulation.study.rows import Row, run_rows
from simulation.study.running import places
from simulation.study.running.work import Part
from simulation.study.running.workers import LocalWorkers, stop_workers
from simulation.study.store import Store
from simulation.study.time_left import Eta
from tests.helpers.results import assert_same
from tests.helpers.scenarios import small_shop

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def end_the_processes() -> None:
    stop_workers()


def processes() -> list[psutil.Process]:
    found = []
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it has just ended
            if "LokyProcess" in " ".join(child.cmdline()):
                found.append(child)
    return found


def shop(replications: int) -> Scenario:
    return small_shop(replications=replications)


def test_a_killed_process_costs_only_what_it_was_at(tmp_path: Path) -> None:
    one = shop(150)
    candidates = candidates_of(one, (1, 2))
    here = {row.replication: row for row in run_rows(one, candidates, jobs=1)}
    there: dict[int, Row] = {}
    with Store(tmp_path / "cells.sqlite") as store:
        for row in run_rows(one, candidates, jobs=2, store=store):
            assert row.replication not in there
            there[row.replication] = row
            if len(there) in (10, 60):
                processes()[0].kill()
    assert there.keys() == here.keys()
    for number, row in here.items():
        for mine, theirs in zip(row.runs, there[number].runs, strict=True):
            assert_same(theirs, mine)


def test_processes_that_are_lost_again_and_again_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = shop(20)
    begun = LocalWorkers.submit

    def submit(self: LocalWorkers, work: bytes, parts: list[Part]) -> object:
        future = begun(self, work, parts)
        for process in processes()[:1]:
            process.kill()
        return future

    monkeypatch.setattr(LocalWorkers, "submit", submit)
    with pytest.raises(RollcastError, match="were lost 4 times"):
        list(run_rows(one, candidates_of(one), jobs=2))
    monkeypatch.undo()
    assert len(list(run_rows(one, candidates_of(one), jobs=2))) == 20


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_study_stops_soon(monkeypatch: pytest.MonkeyPatch, jobs: int) -> None:
    monkeypatch.setattr(places, "_GRACE_S", 20.0)  # however busy the machine is
    one = shop(100_000)
    asked = [False]
    rows = run_rows(one, candidates_of(one), jobs=jobs, stopped=lambda: asked[0])
    next(rows)
    asked[0] = True
    before = {process.pid for process in processes()}
    assert len(list(rows)) < 1000  # of 100 000: those that were under way
    # What is soon done is waited for, so that the processes can serve the next study.
    assert {process.pid for process in processes()} == before
    two = shop(20)
    list(run_rows(two, candidates_of(two), jobs=jobs))
    assert {process.pid for process in processes()} == before


def test_processes_that_are_soon_done_serve_the_next_study(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "_GRACE_S", 20.0)  # however busy the machine is
    one, landed = shop(100_000), list[Row]()
    for row in run_rows(
        one, candidates_of(one), jobs=2, apart=True, stopped=lambda: len(landed) >= 10
    ):
        landed.append(row)
    before = {process.pid for process in processes()}
    assert len(before) == 2
    assert len(list(run_rows(shop(6), candidates_of(shop(6)), jobs=2, apart=True))) == 6
    assert {process.pid for process in processes()} == before


def test_processes_that_would_take_long_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "_GRACE_S", 0.02)
    long = small_shop(replications=2, instances=200, rate="20000/s")
    looked = [0]

    def stopped() -> bool:
        """From the second look on: what was sent is under way, and lasts longer than the grace."""
        looked[0] += 1
        return looked[0] > 2

    began_at = time.monotonic()
    assert list(run_rows(long, candidates_of(long), jobs=2, apart=True, stopped=stopped)) == []
    assert not processes()
    assert time.monotonic() - began_at < 60


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_study_that_waits_begins_nothing_and_goes_on(jobs: int) -> None:
    one = shop(300)
    looked = [0]

    def paused() -> bool:
        """From the 20th row on, for a dozen looks."""
        looked[0] += len(landed) >= 20
        return 0 < looked[0] < 12

    landed: list[Row] = []
    before = 0
    for row in run_rows(one, candidates_of(one), jobs=jobs, paused=paused):
        if 0 < looked[0] < 12:
            before = len(landed)
        landed.append(row)
    assert looked[0] >= 12
    assert before < 300
    assert sorted(row.replication for row in landed) == list(range(300))


def test_time_left_goes_by_what_was_simulated() -> None:
    now = [0.0]
    pace = Eta(100, lambda: now[0])
    for _ in range(40):
        pace.record_result(was_stored=True)
    assert pace.left_s() is None
    for _ in range(10):
        now[0] += 2.0
        pace.record_result(was_stored=False)
    assert (pace.done, pace.left_s()) == (50, 100.0)
    for _ in range(50):
        now[0] += 1.0
        pace.record_result(was_stored=False)
    assert pace.left_s() == 0.0
