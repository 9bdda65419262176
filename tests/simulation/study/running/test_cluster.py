"""A study on a dask cluster on this machine: the same results, whatever happens to a worker."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from executor.base.errors import BadInput, Refused, RollcastError
from simulation.scenario.model import Scenario
from simulation.study.case import cases_of, frame_of_cases
from simulation.study.cells import Cell, run_cells
from simulation.study.execution import Execution
from simulation.study.rows import run_rows
from simulation.study.store import Store
from tests.helpers.cluster import ROOT, cluster_of, until
from tests.helpers.results import assert_same
from tests.helpers.scenarios import small_shop

pytest.importorskip("distributed", reason="the extra `cluster` is not installed")


def shop(replications: int) -> Scenario:
    return small_shop().model_copy(update={"replications": replications})


@pytest.mark.slow
def test_results_are_those_of_this_machine_though_a_worker_is_killed(tmp_path: Path) -> None:
    one = shop(150)
    cases = cases_of(one, (1, 2, 3))
    here = {row.replication: row for row in run_rows(one, cases, Execution(jobs=1))}
    there = {}
    with cluster_of(tmp_path, 2) as cluster:
        for row in run_rows(one, cases, Execution(cluster=cluster.address)):
            assert row.replication not in there
            there[row.replication] = row
            if len(there) == 20:
                cluster.workers[0].kill()
    assert there.keys() == here.keys()
    for number, row in here.items():
        for mine, theirs in zip(row.runs, there[number].runs, strict=True):
            assert_same(theirs, mine)


@pytest.mark.slow
def test_a_stop_cancels_parts_that_were_sent(tmp_path: Path) -> None:
    import distributed

    one = shop(100_000)
    with cluster_of(tmp_path, 1) as cluster:
        asked = [False]
        rows = run_rows(
            one, cases_of(one), Execution(cluster=cluster.address, is_stopped=lambda: asked[0])
        )
        assert next(rows).runs
        asked[0] = True
        assert len(list(rows)) < 200  # those of the answer that was being handed out
        with distributed.Client(cluster.address, set_as_default=False) as client:
            until(lambda: not any(client.processing().values()))


@pytest.mark.slow
def test_results_before_the_loss_of_the_scheduler_are_kept(tmp_path: Path) -> None:
    one = shop(5000)
    cases = cases_of(one)
    landed = []
    with Store(tmp_path / "cells.sqlite") as store:
        gone = pytest.raises(RollcastError, match="has gone; finished results are kept")
        with cluster_of(tmp_path / "dask", 1) as cluster, gone:
            for row in run_rows(one, cases, Execution(cluster=cluster.address, store=store)):
                landed.append(row.replication)
                cluster.scheduler.kill()
        again = run_rows(one, cases, Execution(jobs=1, store=store))
        stored = [next(again) for _ in landed]
        assert all(row.was_stored for row in stored)
        assert {row.replication for row in stored} == set(landed)
        assert not next(again).was_stored


@pytest.mark.slow
def test_a_worker_of_another_version_is_refused(tmp_path: Path) -> None:
    changed = tmp_path / "changed"
    for part in ("executor", "simulation"):
        shutil.copytree(ROOT / part, changed / part)
    with (changed / "simulation" / "run.py").open("a", encoding="utf-8") as source:
        source.write("# another version\n")
    missing = tmp_path / "missing"
    (missing / "simulation").mkdir(parents=True)
    (missing / "simulation" / "__init__.py").write_text("raise ImportError('none here')\n")
    one = shop(2)
    cells = [Cell(case, 0) for case in cases_of(one)]
    frame = frame_of_cases([cell.case for cell in cells])
    for sources, said in (
        (changed, r"not 0\.1\.0\+[0-9a-f]{16};"),
        (missing, "not none"),
    ):
        with cluster_of(tmp_path / "dask", 0) as cluster:
            cluster.add_worker(sources)
            with pytest.raises(Refused, match=said) as refused:
                list(run_cells(cells, frame, Execution(cluster=cluster.address)))
            assert "install the same version there" in str(refused.value)
        shutil.rmtree(tmp_path / "dask")


def test_a_cluster_without_workers_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulation.study.running.cluster._WITHOUT_WORKERS_S", 0.3)
    one = shop(2)
    told = pytest.raises(BadInput, match="no worker for 0")
    with cluster_of(tmp_path, 0) as cluster, told:
        list(run_rows(one, cases_of(one), Execution(cluster=cluster.address)))
