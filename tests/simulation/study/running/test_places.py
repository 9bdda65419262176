"""Studies in processes: the cost of a lost process, stops, and pauses."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from executor.base.errors import RollcastError
from simulation.scenario.model import Scenario
from simulation.study.case import cases_of
from simulation.study.execution import Execution
from simulation.study.rows import Row, run_rows
from simulation.study.running import places
from simulation.study.running.work import Part
from simulation.study.running.workers import LocalWorkers, stop_workers
from simulation.study.store import Store
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


def test_only_the_parts_of_a_killed_process_are_simulated_again(tmp_path: Path) -> None:
    one = shop(150)
    cases = cases_of(one, (1, 2))
    here = {row.replication: row for row in run_rows(one, cases, Execution(jobs=1))}
    there: dict[int, Row] = {}
    with Store(tmp_path / "cells.sqlite") as store:
        for row in run_rows(one, cases, Execution(jobs=2, store=store)):
            assert row.replication not in there
            there[row.replication] = row
            if len(there) in (10, 60):
                processes()[0].kill()
    assert there.keys() == here.keys()
    for number, row in here.items():
        for mine, theirs in zip(row.runs, there[number].runs, strict=True):
            assert_same(theirs, mine)


def test_processes_that_are_lost_repeatedly_end_the_study(
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
        list(run_rows(one, cases_of(one), Execution(jobs=2)))
    monkeypatch.undo()
    assert len(list(run_rows(one, cases_of(one), Execution(jobs=2)))) == 20


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_study_stops_soon(monkeypatch: pytest.MonkeyPatch, jobs: int) -> None:
    monkeypatch.setattr(places, "_GRACE_S", 20.0)  # however busy the machine is
    one = shop(100_000)
    asked = [False]
    rows = run_rows(one, cases_of(one), Execution(jobs=jobs, is_stopped=lambda: asked[0]))
    next(rows)
    asked[0] = True
    before = {process.pid for process in processes()}
    assert len(list(rows)) < 1000  # of 100 000: those that were under way
    # What is soon done is waited for, so that the processes can serve the next study.
    assert {process.pid for process in processes()} == before
    two = shop(20)
    list(run_rows(two, cases_of(two), Execution(jobs=jobs)))
    assert {process.pid for process in processes()} == before


def test_processes_that_finish_in_time_serve_the_next_study(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(places, "_GRACE_S", 20.0)  # however busy the machine is
    one, landed = shop(100_000), list[Row]()
    for row in run_rows(
        one,
        cases_of(one),
        Execution(jobs=2, in_process=False, is_stopped=lambda: len(landed) >= 10),
    ):
        landed.append(row)
    before = {process.pid for process in processes()}
    assert len(before) == 2
    assert len(list(run_rows(shop(6), cases_of(shop(6)), Execution(jobs=2, in_process=False)))) == 6
    assert {process.pid for process in processes()} == before


def test_processes_that_would_take_long_are_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "_GRACE_S", 0.02)
    long = small_shop(replications=2, instances=200, slots=6, rate="20000/s")
    looked = [0]

    def stopped() -> bool:
        """Stop from the second question on: parts are then under way and take longer than the grace."""
        looked[0] += 1
        return looked[0] > 2

    began_at = time.monotonic()
    assert (
        list(
            run_rows(long, cases_of(long), Execution(jobs=2, in_process=False, is_stopped=stopped))
        )
        == []
    )
    assert not processes()
    assert time.monotonic() - began_at < 60


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_paused_study_begins_nothing_and_then_goes_on(jobs: int) -> None:
    one = shop(300)
    looked = [0]

    def paused() -> bool:
        """Pause from the 20th row on, for a dozen questions."""
        looked[0] += len(landed) >= 20
        return 0 < looked[0] < 12

    landed: list[Row] = []
    before = 0
    for row in run_rows(one, cases_of(one), Execution(jobs=jobs, is_paused=paused)):
        if 0 < looked[0] < 12:
            before = len(landed)
        landed.append(row)
    assert looked[0] >= 12
    assert before < 300
    assert sorted(row.replication for row in landed) == list(range(300))
