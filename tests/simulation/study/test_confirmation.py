"""The best of several candidates is named once fresh runs have confirmed it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from simulation.results.run_result import Ending, RunResult
from simulation.study.case import Case, cases_of
from simulation.study.compare import Comparison, compare
from simulation.study.confirmation import confirm_best
from simulation.study.driver import run_study
from simulation.study.execution import Execution
from simulation.study.rows import run_rows
from simulation.study.statistics.proportions import fresh_seed
from simulation.study.store import SUFFIX
from tests.helpers.scenarios import small_shop

SHOP = small_shop(replications=60)
CASES = cases_of(SHOP, (1, 2, 3))


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return compare(SHOP, CASES, list(run_rows(SHOP, CASES, Execution(jobs=1))))


class Simulation:
    """Gives runs of the study itself, of which those of some windows fail."""

    def __init__(self, comparison: Comparison, *failing: int) -> None:
        self.failing = failing
        self.cases: list[Case] = []
        self._run = comparison.candidates[0].runs[0]

    def __call__(self, case: Case) -> Sequence[RunResult]:
        self.cases.append(case)
        fails = case.candidate.window in self.failing
        run = replace(self._run, ended=Ending.HALTED) if fails else self._run
        assert case.scenario.replications is not None
        return [run] * case.scenario.replications


def test_the_fastest_that_meets_is_named_once_it_is_confirmed(comparison: Comparison) -> None:
    assert [one.verdict.answer for one in comparison.candidates] == ["meets"] * 3
    assert comparison.chosen is None
    assert comparison.fastest_meeting == 2
    simulate = Simulation(comparison)
    found = confirm_best(comparison, simulate)
    assert found.chosen == 2
    assert found.confirmed is not None
    assert found.confirmed.confidence == pytest.approx(0.955)
    [case] = simulate.cases
    assert case.candidate.window == 3
    assert case.scenario.seed == fresh_seed(SHOP.seed, 1)
    assert case.scenario.replications == 127  # at most two misses, at 95.5 %
    assert found.to_json()["confirmed"]["runs"] == 127


def test_where_fresh_runs_do_not_confirm_it_the_next_is_tried(comparison: Comparison) -> None:
    simulate = Simulation(comparison, 3)
    found = confirm_best(comparison, simulate)
    assert [case.candidate.window for case in simulate.cases] == [3, 2]
    assert [case.scenario.seed for case in simulate.cases] == [fresh_seed(1, 1), fresh_seed(1, 2)]
    assert [one.held for one in found.confirmations] == [False, True]
    assert found.chosen == 1


def test_none_is_named_where_none_is_confirmed(comparison: Comparison) -> None:
    found = confirm_best(comparison, Simulation(comparison, 1, 2, 3))
    assert [one.number for one in found.confirmations] == [2, 1, 0]
    assert found.chosen is None
    assert found.to_json()["confirmed"] is None


def test_a_single_candidate_is_picked_from_nothing() -> None:
    [case] = cases_of(SHOP)
    alone = compare(SHOP, [case], list(run_rows(SHOP, [case], Execution(jobs=1))))
    simulate = Simulation(alone)
    assert confirm_best(alone, simulate) is alone
    assert simulate.cases == []
    assert alone.chosen == 0


def test_a_confirmation_is_stored_and_can_be_stopped(tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    small = SHOP.model_copy(update={"replications": 59})
    cases = cases_of(small, (2, 3))
    totals: list[int] = []
    stopping = Execution(jobs=1, is_stopped=lambda: len(totals) > 70)
    stopped, rows = run_study(
        small, cases, stopping, stored_beside=path, on_progress=lambda eta: totals.append(eta.total)
    )
    assert (stopped, len(rows)) == (None, 59)
    first, _rows = run_study(small, cases, Execution(jobs=1), stored_beside=path)
    size = path.with_name(f"shop{SUFFIX}").stat().st_size
    again, _rows = run_study(small, cases, Execution(jobs=1), stored_beside=path)
    assert first is not None
    assert first.confirmed is not None
    assert again is not None
    assert again.to_json() == first.to_json()
    assert path.with_name(f"shop{SUFFIX}").stat().st_size == size


def test_until_all_runs_are_there_no_candidate_has_an_answer(comparison: Comparison) -> None:
    rows = list(run_rows(SHOP.model_copy(update={"replications": 59}), CASES, Execution(jobs=1)))
    so_far = compare(SHOP, CASES, rows)
    assert {one.verdict.answer for one in so_far.candidates} == {"undecided"}
    assert all(one.is_open and not one.verdict.reasons for one in so_far.candidates)
    assert not any(one.is_open for one in comparison.candidates)
    halted = [
        replace(row, runs=tuple(replace(run, ended=Ending.HALTED) for run in row.runs))
        for row in rows
    ]
    failing = compare(SHOP, CASES, halted[:7])  # 53 more that all meet do not change it
    assert {one.verdict.answer for one in failing.candidates} == {"fails"}
    still_open = compare(SHOP, CASES, halted[:6])
    assert {one.verdict.answer for one in still_open.candidates} == {"undecided"}
