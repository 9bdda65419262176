"""The driver of studies: what it reports on the way, what it stores, and how it ends when stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from simulation.study import driver
from simulation.study.case import cases_of
from simulation.study.compare import Comparison, compare
from simulation.study.driver import run_study
from simulation.study.execution import Execution
from simulation.study.store import SUFFIX
from simulation.study.time_left import Eta
from tests.helpers.scenarios import small_shop

SHOP = small_shop(replications=4)
CASES = cases_of(SHOP, (1, 2))


def test_progress_is_reported_for_every_row_and_comparisons_on_the_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(driver, "COMPARED_EVERY_S", 0.0)
    done: list[tuple[int, int]] = []
    compared: list[int] = []

    def on_comparison(comparison: Comparison, eta: Eta) -> None:
        assert eta.done == len(comparison.candidates[0].runs)
        compared.append(eta.done)

    comparison, rows = run_study(
        SHOP,
        CASES,
        Execution(jobs=1),
        on_progress=lambda eta: done.append((eta.done, eta.total)),
        on_comparison=on_comparison,
    )
    assert done[:5] == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
    assert compared == [1, 2, 3]  # the whole comparison is returned
    assert comparison is not None
    assert replace(comparison, confirmations=()) == compare(SHOP, CASES, rows)
    assert len(rows) == 4


def test_comparisons_on_the_way_are_throttled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "COMPARED_EVERY_S", 1e9)
    compared: list[int] = []
    run_study(
        SHOP, CASES, Execution(jobs=1), on_comparison=lambda _, eta: compared.append(eta.done)
    )
    assert compared == [1]


def test_results_are_stored_beside_the_scenario(tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    _, first = run_study(SHOP, CASES, Execution(jobs=1), stored_beside=path)
    assert path.with_name(f"shop{SUFFIX}").exists()
    _, again = run_study(SHOP, CASES, Execution(jobs=1), stored_beside=path)
    assert {row.was_stored for row in first} == {False}
    assert {row.was_stored for row in again} == {True}


def test_a_study_that_is_stopped_has_rows_and_no_comparison() -> None:
    done: list[int] = []
    execution = Execution(jobs=1, is_stopped=lambda: len(done) > 2)
    comparison, rows = run_study(
        SHOP, CASES, execution, on_progress=lambda eta: done.append(eta.done)
    )
    assert comparison is None
    assert 1 <= len(rows) < 4
