"""The store: results come back to the last bit, and only where a simulation would give the same."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executor.base.errors import BadInput
from simulation.engine_version import engine_version
from simulation.results.result_bytes import pack, unpack
from simulation.results.run_result import EngineName
from simulation.run import Run
from simulation.scenario.file import ScenarioFile
from simulation.scenario.model import Scenario
from simulation.scenario.simulated_interval import frame_of
from simulation.study import store as store_module
from simulation.study.case import cases_of, frame_of_cases
from simulation.study.cells import Cell, run_cells
from simulation.study.execution import Execution
from simulation.study.rows import Row, run_rows
from simulation.study.running.overloaded import OverloadedRun
from simulation.study.running.work import Work
from simulation.study.store import Store, cell_key
from tests.helpers.command_line import SHOP as SHOP_FILE
from tests.helpers.generated import scenarios
from tests.helpers.results import assert_same
from tests.helpers.scenarios import small_shop

SHOP = small_shop(replications=3)


def cells_of(one: Scenario, windows: Sequence[int] = (1, 2)) -> list[Cell]:
    return [
        Cell(case, replication)
        for replication in range(one.replications or 0)
        for case in cases_of(one, windows)
    ]


@pytest.fixture
def run_count(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Record the replication of each run that is made."""
    counted: list[int] = []
    opened = Work._make_run

    def count(self: Work, index: int, replication: int) -> Run | OverloadedRun:
        counted.append(replication)
        return opened(self, index, replication)

    monkeypatch.setattr(Work, "_make_run", count)
    return counted


def compared(
    store: Store | None,
    windows: Sequence[int],
    one: Scenario = SHOP,
    engine: EngineName = EngineName.AUTO,
    *,
    keep_requests: bool = False,
) -> dict[int, Row]:
    execution = Execution(jobs=1, store=store, engine=engine)
    rows = run_rows(one, cases_of(one, windows), execution, keep_requests=keep_requests)
    return {row.replication: row for row in rows}


def assert_same_rows(some: dict[int, Row], others: dict[int, Row]) -> None:
    assert some.keys() == others.keys()
    for number, row in some.items():
        for mine, theirs in zip(row.runs, others[number].runs, strict=True):
            assert_same(mine, theirs)


@settings(max_examples=25, deadline=None)
@given(one=scenarios())
def test_a_result_survives_packing(one: Scenario) -> None:
    run = Run(one, frame_of([one]), 0)
    try:
        result = run.finish(run.settle())
    except BadInput:
        return  # its timestamps are over
    finally:
        run.close()
    assert_same(unpack(pack(result)), result)
    # Summaries: it grows with the bins and the states at most, never with the requests.
    series_bytes = sum(values.nbytes for values in result.series.values())
    assert len(pack(result)) < 20_000 + series_bytes + 64 * len(result.states)


@pytest.mark.parametrize("packed", [b"", b"no", b"x\x9c\x03\x00\x00\x00\x00\x01"])
def test_bytes_that_are_no_result_are_refused(packed: bytes) -> None:
    with pytest.raises(ValueError, match="not a packed result"):
        unpack(packed)


def test_stored_cells_are_not_simulated(tmp_path: Path, run_count: list[int]) -> None:
    cells = cells_of(SHOP)
    frame = frame_of_cases([cell.case for cell in cells])
    with Store(tmp_path / "cells.sqlite") as store:
        first = dict(run_cells(cells, frame, Execution(jobs=1, store=store)))
        assert len(run_count) == len(cells)
        again = dict(run_cells(cells[::-1], frame, Execution(jobs=1, store=store)))
    assert len(run_count) == len(cells)
    assert first.keys() == again.keys() == set(cells)
    for cell, result in first.items():
        assert result.metrics == result.alone
        assert_same(again[cell], result)


def test_a_further_faster_candidate_is_simulated_alone(
    tmp_path: Path, run_count: list[int]
) -> None:
    expected = compared(None, (1, 2, 3))
    run_count.clear()
    with Store(tmp_path / "cells.sqlite") as store:
        compared(store, (1, 3))
        assert len(run_count) == 6
        rows = compared(store, (1, 2, 3))
        assert len(run_count) == 9
        again = compared(store, (1, 2, 3))
        assert len(run_count) == 9
    assert not any(row.was_stored for row in rows.values())
    assert all(row.was_stored for row in again.values())
    assert_same_rows(rows, expected)
    assert_same_rows(again, expected)


def test_a_further_slower_candidate_moves_the_common_end(
    tmp_path: Path, run_count: list[int]
) -> None:
    expected = compared(None, (1, 2, 3))
    run_count.clear()
    with Store(tmp_path / "cells.sqlite") as store:
        compared(store, (2, 3))
        assert len(run_count) == 6
        assert_same_rows(compared(store, (1, 2, 3)), expected)
        assert len(run_count) == 6 + 9
        compared(store, (2, 3))  # what was observed before is still there
        assert len(run_count) == 6 + 9


def test_an_interrupted_study_simulates_only_what_is_missing(
    tmp_path: Path, run_count: list[int]
) -> None:
    one = SHOP.model_copy(update={"replications": 6})
    path = tmp_path / "cells.sqlite"
    with Store(path) as store:
        study = run_rows(one, cases_of(one, (1, 2)), Execution(jobs=1, store=store))
        for _ in range(2):
            next(study)
        study.close()
    with Store(path) as store:
        rows = compared(store, (1, 2), one)
    assert sorted(run_count) == sorted([*range(6), *range(6)])
    assert_same_rows(rows, compared(None, (1, 2), one))


def changed(**parts: Any) -> Scenario:
    return small_shop(replications=3, **parts)


@pytest.mark.parametrize(
    ("other", "same"),
    [
        pytest.param(changed(name="other", question="Why?"), True, id="name and question"),
        pytest.param(SHOP.model_copy(update={"replications": 9}), True, id="replications"),
        pytest.param(changed(objectives={"error_fraction": "1%"}), True, id="objectives"),
        pytest.param(changed(objectives={"latency_p99": "1s"}), False, id="what is slow"),
        pytest.param(
            changed(
                rollout={
                    "window": 2,
                    "drain": {"timeout": "5s"},
                    "freeze": [["01:00", "02:00"]],
                }
            ),
            True,
            id="freeze",
        ),
        pytest.param(changed(seed=2), False, id="seed"),
        pytest.param(changed(rate="61/s"), False, id="traffic"),
        pytest.param(changed(instances=7), False, id="fleet"),
        pytest.param(changed(traffic={"uncertain": "10%"}), False, id="uncertain traffic"),
        pytest.param(changed(service={"uncertain": "10%"}), False, id="uncertain service times"),
        pytest.param(changed(policy="random"), False, id="policy"),
        pytest.param(changed(clock={"start": "1s"}), True, id="start on a constant rate"),
        pytest.param(changed(clock={"warm_up": "9s"}), False, id="warm-up"),
    ],
)
def test_the_key_of_a_cell_holds_all_that_decides_its_result(other: Scenario, same: bool) -> None:
    def key(one: Scenario) -> str:
        return cell_key(one, frame_of([one]))

    assert (key(other) == key(SHOP)) is same


def test_the_key_holds_the_start_where_traffic_changes() -> None:
    steps = {"steps": [["0h", "60/s"], ["1h", "50/s"]]}
    early, late = (changed(rate=steps, clock={"start": start}) for start in ("0s", "1s"))
    frame = frame_of([early])
    assert cell_key(early, frame) != cell_key(late, frame)


def test_the_key_of_traffic_is_the_content_of_its_file(tmp_path: Path) -> None:
    text = SHOP_FILE.replace("40/s", "{trace: t.csv}")

    def key(rows: str) -> str:
        (tmp_path / "t.csv").write_text(f"time,rate\n{rows}", encoding="utf-8")
        one = ScenarioFile.parse(text, tmp_path / "shop.yaml").scenario
        return cell_key(one, frame_of([one]))

    first = key("0,40\n6000,40\n")
    assert key("0,40\n6000,41\n") != first
    assert key("0,40.0\n6000,40.0\n") == first


@settings(max_examples=25, deadline=None)
@given(one=scenarios(), longer=st.sampled_from([1.5, 2.0, 37.3]))
def test_a_run_that_has_settled_never_met_the_horizon(one: Scenario, longer: float) -> None:
    frame = frame_of([one])
    other = replace(frame, horizon_s=frame.horizon_s * longer)
    if frame.exact:
        assert cell_key(one, frame) != cell_key(one, other)
        return
    assert cell_key(one, frame) == cell_key(one, other)
    results = []
    for each in (frame, other):
        run = Run(one, each, 0)
        try:
            results.append(run.finish(run.settle()))
        except BadInput:
            return  # its timestamps are over
        finally:
            run.close()
    if results[0].settled_s < frame.horizon_s - 2:
        assert_same(*results)


def test_a_run_that_met_the_horizon_is_simulated_again_for_another_horizon(
    tmp_path: Path, run_count: list[int]
) -> None:
    never = changed(rate="10/s", rollout={"window": 2, "pause": "1h"})
    cells = [Cell(cases_of(never)[0], 0)]
    frame = replace(frame_of([never]), horizon_s=20.0)
    with Store(tmp_path / "cells.sqlite") as store:
        for horizon_s, runs in ((20.0, 1), (20.0, 1), (30.0, 2)):
            asked = replace(frame, horizon_s=horizon_s)
            ((_cell, result),) = run_cells(cells, asked, Execution(jobs=1, store=store))
            assert (result.ended, result.end_s) == ("horizon", horizon_s)
            assert len(run_count) == runs


def test_cells_of_another_version_are_dropped(
    tmp_path: Path, run_count: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cells.sqlite"
    with Store(path) as store:
        compared(store, (2,))
    monkeypatch.setattr("simulation.study.store.engine_version", lambda: "another")
    with Store(path) as store:
        compared(store, (2,))
    assert len(run_count) == 6
    with sqlite3.connect(path) as connection:
        # A cell and a control for each replication.
        assert connection.execute("SELECT count(*) FROM cells").fetchone() == (6,)
    connection.close()


def test_results_of_the_wanted_engine_are_used(tmp_path: Path, run_count: list[int]) -> None:
    with Store(tmp_path / "cells.sqlite") as store:
        compared(store, (2,), engine=EngineName.COMPILED)
        rows = compared(store, (2,), engine=EngineName.REFERENCE)
        assert len(run_count) == 6
        assert {run.engine for row in rows.values() for run in row.runs} == {EngineName.REFERENCE}
        compared(store, (2,), engine=EngineName.AUTO)
        assert len(run_count) == 6


def test_requests_are_never_stored(tmp_path: Path) -> None:
    path = tmp_path / "cells.sqlite"
    with Store(path) as store:
        rows = compared(store, (2,), keep_requests=True)
    assert all(run.table is not None for row in rows.values() for run in row.runs)
    assert not path.exists()


def test_two_studies_share_a_store(tmp_path: Path) -> None:
    one = SHOP.model_copy(update={"replications": 40})
    path = tmp_path / "cells.sqlite"
    failures: list[BaseException] = []

    def study() -> None:
        try:
            with Store(path) as store:
                compared(store, (1, 2), one)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=study) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    with Store(path) as store:
        assert all(row.was_stored for row in compared(store, (1, 2), one).values())


def test_the_store_lies_beside_the_scenario(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "shop.yaml"
    assert Store.beside(path).path == tmp_path / "shop.rollcast-cells.sqlite"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    usual = os.access
    monkeypatch.setattr(os, "access", lambda one, mode: one != tmp_path and usual(one, mode))
    elsewhere = Store.beside(path).path
    assert elsewhere.parent == tmp_path / "cache" / "rollcast" / "cells"
    assert elsewhere != Store.beside(tmp_path / "other" / "shop.yaml").path


def test_a_process_of_an_older_version_stores_under_other_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = SHOP
    frame = frame_of([one])
    results = {
        window: Run(case.scenario, frame, 0)
        for window, case in zip((1, 2), cases_of(one, [1, 2]), strict=True)
    }
    done = {window: run.finish(run.settle()) for window, run in results.items()}
    applied = [case.scenario for case in cases_of(one, [1, 2])]
    with Store(tmp_path / "cells.sqlite") as newer:
        keys = [cell_key(candidate, frame) for candidate in applied]
        with monkeypatch.context() as patch:
            patch.setattr(store_module, "engine_version", lambda: "older")
            with Store(tmp_path / "cells.sqlite") as older:
                old_keys = [cell_key(candidate, frame) for candidate in applied]
                older.put(0, frame, [(old_keys[0], done[1], pack(done[1]))])
                patch.setattr(store_module, "engine_version", engine_version)
                newer.put(0, frame, [(keys[1], done[2], pack(done[2]))])
                older.put(1, frame, [(old_keys[0], done[1], pack(done[1]))])
        assert set(newer.stored_runs(keys[1], frame, EngineName.AUTO)) == {0}
        assert not newer.stored_runs(keys[0], frame, EngineName.AUTO)
