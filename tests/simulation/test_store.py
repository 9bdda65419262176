"""What is stored comes back to the last bit, and only for what would have given the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simulation import work as work_module
from simulation.candidates import candidates_of
from simulation.cells import Cell, run_cells
from simulation.frame import frame_of
from simulation.packed import pack, unpack
from simulation.results import RunResult
from simulation.scenario import Scenario
from simulation.store import Store
from tests.helpers.scenarios import scenario

SHOP = scenario(
    rate="60/s",
    instances=6,
    steps={"deploy": "2s", "start": {"mean": "1s", "cv": 0.3}},
    rollout={"window": 2, "drain": {"timeout": "5s"}},
    replications=3,
)


def assert_same(one: RunResult, other: RunResult) -> None:
    for name in vars(one):
        mine, theirs = getattr(one, name), getattr(other, name)
        if name == "series":
            for column in mine:
                assert np.array_equal(mine[column], theirs[column], equal_nan=True), column
        else:
            assert mine == theirs, name


def cells_of(one: Scenario, windows: tuple[int, ...] = (1, 2)) -> list[Cell]:
    return [
        Cell(candidate, replication)
        for replication in range(one.replications)
        for candidate in candidates_of(one, windows)
    ]


def test_a_result_is_packed_and_unpacked() -> None:
    cells = cells_of(SHOP)
    frame = frame_of([cell.candidate.applied_to(SHOP) for cell in cells])
    for _cell, result in run_cells(SHOP, cells, frame):
        assert_same(unpack(pack(result)), result)


def test_cells_that_are_stored_are_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = cells_of(SHOP)
    frame = frame_of([cell.candidate.applied_to(SHOP) for cell in cells])
    with Store(tmp_path / "cells.sqlite") as store:
        first = dict(run_cells(SHOP, cells, frame, store=store))
        monkeypatch.setattr(work_module, "Run", None)
        again = dict(run_cells(SHOP, cells, frame, store=store))
    assert first.keys() == again.keys() == set(cells)
    for cell, result in first.items():
        assert result.metrics == result.alone
        assert_same(again[cell], result)
