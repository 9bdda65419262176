"""The control of a study: the same requests without a rollout, over the same time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simulation.results.run_result import METRICS, Ending, EngineName
from simulation.run import Run
from simulation.scenario.model import Scenario
from simulation.study.case import cases_of, frame_of_cases
from simulation.study.cells import Cell, run_cells
from simulation.study.compare import compare
from simulation.study.control import controls_of, without_rollout
from simulation.study.execution import Execution
from simulation.study.rows import Row, run_rows
from simulation.study.running.work import Work
from simulation.study.store import Store
from tests.helpers.results import assert_same
from tests.helpers.scenarios import run_replication, small_shop, steady

SHOP = small_shop(replications=2, objectives={"latency_p99": "200ms"})
UNCERTAIN = {
    "service": {"uncertain": "20%", "crashes": {"mtbf": "15s", "repair": {"exponential": "3s"}}}
}


def rows_of(one: Scenario, *, store: Store | None = None, **varied: Any) -> list[Row]:
    execution = Execution(jobs=1, store=store)
    rows = run_rows(one, cases_of(one, **varied), execution)
    return sorted(rows, key=lambda row: row.replication)


def test_the_control_is_the_scenario_without_a_rollout() -> None:
    row = run_replication(cases_of(SHOP, (1, 2)), frame_of_cases(cases_of(SHOP, (1, 2))), 1)
    (control,) = row.controls
    frame = frame_of_cases(cases_of(SHOP, (1, 2)))
    assert control.end_s == row.runs[0].end_s == row.runs[1].end_s
    exact = replace(frame, horizon_s=control.end_s, exact=True)
    fleet = SHOP.model_copy(update={"rollout": None})
    alone = Run(fleet, exact, 1)
    result = alone.finish(alone.settle())
    assert result.metrics == control.metrics
    assert result.requests == control.requests
    assert control.ended == Ending.DONE
    for name, series in result.series.items():
        assert np.array_equal(series, control.series[name], equal_nan=True), name


@pytest.mark.parametrize("window", [0, 1])
def test_control_metrics_are_those_of_the_candidates_own_interval(window: int) -> None:
    cases = cases_of(SHOP, (1, 3))
    row = run_replication(cases, frame_of_cases(cases), 0)
    run = row.runs[window]
    assert run.control_metrics is not None
    frame = replace(frame_of_cases(cases), horizon_s=run.settled_s, exact=True)
    alone = Run(SHOP.model_copy(update={"rollout": None}), frame, 0)
    assert alone.finish(alone.settle()).metrics == run.control_metrics
    needs_rollout = {name for name in METRICS if name.startswith("rollout_")}
    known = {name for name, value in run.control_metrics.items() if value is not None}
    assert not known & needs_rollout
    assert {"latency_p99_s", "error_fraction", "failed_requests", "slow_requests"} <= known


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"balancer": {"policy": "random"}},
        {"balancer": {"policy": "source_hash"}, "traffic": {"sessions": 20}},
        {"traffic": {"uncertain": "30%"}},
        UNCERTAIN,
        {"rollout": {"window": 1, "surge": 1}},
    ],
    ids=str,
)
@pytest.mark.parametrize("engine", [EngineName.REFERENCE, EngineName.COMPILED])
def test_both_arms_see_the_same_requests(parts: dict[str, Any], engine: EngineName) -> None:
    one = small_shop(**parts)
    frame = frame_of_cases(cases_of(one))
    run = Run(one, frame, 0, engine, keep_requests=True)
    end_s = run.settle()
    table = run.finish(end_s).table
    fleet = Run(without_rollout(one), frame, 0, engine, keep_requests=True)
    fleet.observe_fleet((), (), end_s)
    control = fleet.finish(end_s).table
    assert table is not None
    assert control is not None
    assert len(table.arrival_s) > 100
    assert np.array_equal(table.arrival_s, control.arrival_s)
    assert np.array_equal(table.request_class, control.request_class)


def test_requests_without_a_route_go_to_the_same_service() -> None:
    one = small_shop()
    services = {"idle": one.service, "web": one.service}
    rollout = one.rollout.model_copy(update={"order": ("web",)}) if one.rollout else None
    two = one.model_copy(update={"services": services, "rollout": rollout})
    fleet = without_rollout(two)
    for kind, same in zip(
        two.traffic.classes.values(), fleet.traffic.classes.values(), strict=True
    ):
        assert two.route_of(kind) == fleet.route_of(same) == ("web",)


def test_a_control_stands_for_each_start_and_policy() -> None:
    one = small_shop()
    cases = cases_of(one, (1, 2), starts=(0.0, 60.0), policies=("random", "round_robin"))
    controls = controls_of(cases)
    named = [
        (control.case.candidate.start, control.case.candidate.policy) for control in controls.each
    ]
    assert named == [
        (0.0, "random"),
        (0.0, "round_robin"),
        (60.0, "random"),
        (60.0, "round_robin"),
    ]
    for case, number in zip(cases, controls.of_case, strict=True):
        assert number is not None
        assert (case.candidate.start, case.candidate.policy) == named[number]


def test_a_scenario_without_a_rollout_has_no_control() -> None:
    one = steady("10s")
    (row, *_) = rows_of(one.model_copy(update={"replications": 1}))
    assert row.controls == ()
    assert row.runs[0].control_metrics is None
    (stretch,) = row.runs[0].stretches
    assert (stretch.begin_s, stretch.end_s, stretch.control) == (0.0, 10.0, None)
    assert stretch.rollout[""].requests_count > 100


VERSIONS = [
    ({}, False),
    ({"versions": {"new": {"cold": {"factor": 4}}}}, False),
    ({"versions": {"new": {"service_factor": 1.5}}}, True),
    ({"versions": {"new": {"error_fraction": 0.1}}}, True),
    ({"versions": {"old": {"error_fraction": 0.1}, "new": {"error_fraction": 0.1}}}, False),
]


@pytest.mark.parametrize(("parts", "has_second"), VERSIONS)
def test_the_new_version_has_a_control_where_it_differs(
    parts: dict[str, Any], has_second: bool
) -> None:
    one = small_shop(replications=1, **parts)
    (row,) = rows_of(one)
    (stretch,) = row.runs[0].stretches
    assert (stretch.new_version is not None) == has_second
    assert stretch.control is not None
    if stretch.new_version is not None:
        new, old = stretch.new_version[""], stretch.control[""]
        assert new.requests_count == old.requests_count
        assert (new.failed_count, new.latency_p99_s) > (old.failed_count, old.latency_p99_s)


def test_what_is_stored_equals_what_is_simulated(tmp_path: Path) -> None:
    one = SHOP.model_copy(update={"objectives": SHOP.objectives.model_copy(update={"over": 5.0})})
    fresh = rows_of(one, windows=(1, 2))
    with Store(tmp_path / "cells.sqlite") as store:
        rows_of(one, windows=(1, 2), store=store)
        stored = rows_of(one, windows=(1, 2), store=store)
    for mine, theirs in zip(stored, fresh, strict=True):
        assert mine.was_stored
        assert len(mine.controls) == len(theirs.controls) == 1
        for one_run, other in zip(
            (*mine.runs, *mine.controls), (*theirs.runs, *theirs.controls), strict=True
        ):
            assert_same(one_run, other)
        assert all(len(run.stretches) == -(-run.settled_s // 5) for run in mine.runs)


def test_a_cell_has_the_figures_that_it_has_in_a_comparison() -> None:
    cases = cases_of(SHOP, (1, 3))
    frame = frame_of_cases(cases)
    rows = {row.replication: row for row in rows_of(SHOP, windows=(1, 3))}
    cells = [Cell(case, replication) for case in cases for replication in (0, 1)]
    for cell, result in run_cells(cells, frame, Execution(jobs=1)):
        beside = rows[cell.replication].runs[cases.index(cell.case)]
        assert result.stretches == beside.stretches
        assert result.control_metrics == beside.control_metrics
        assert result.metrics == beside.alone


def test_a_further_candidate_gets_its_figures_and_the_control_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = rows_of(SHOP, windows=(1, 2, 3))
    runs = 0
    opened = Work._make_run

    def count(self: Work, index: int, replication: int) -> Any:
        nonlocal runs
        runs += 1
        return opened(self, index, replication)

    monkeypatch.setattr(Work, "_make_run", count)
    with Store(tmp_path / "cells.sqlite") as store:
        rows_of(SHOP, windows=(1, 3), store=store)
        runs = 0
        wider = rows_of(SHOP, windows=(1, 2, 3), store=store)
        assert runs == 2  # window 2 in both replications
    for mine, theirs in zip(wider, fresh, strict=True):
        for one_run, other in zip(
            (*mine.runs, *mine.controls), (*theirs.runs, *theirs.controls), strict=True
        ):
            assert_same(one_run, other)


def test_the_control_is_a_column_of_the_comparison() -> None:
    cases = cases_of(SHOP, (1, 2), starts=(0.0, 60.0))
    rows = list(run_rows(SHOP, cases, Execution(jobs=1)))
    comparison = compare(SHOP, cases, rows)
    data = comparison.to_json()
    assert data["schema"] == "rollcast.result/2"
    assert [control["candidate"]["start"] for control in data["control"]] == [
        comparison.candidates[0].candidate.start_label,
        comparison.candidates[2].candidate.start_label,
    ]
    assert comparison.control_places == (0, 0, 1, 1)
    for candidate, number in zip(data["candidates"], comparison.control_places, strict=True):
        assert number is not None
        control = data["control"][number]
        assert control["requests"]["arrived"] == candidate["requests"]["arrived"]
        assert control["metrics"].keys() == candidate["control_metrics"].keys()
        own = candidate["control_metrics"]["latency_p99_s"]["mean"]
        assert own is not None
        assert candidate["control_metrics"]["rollout_duration_s"]["mean"] is None
    assert len(comparison.controls[0].band("latency_p99_s").median) > 5


def test_an_endless_overload_has_no_control() -> None:
    one = small_shop(rate="900/s", replications=1)
    (row,) = rows_of(one)
    assert row.runs[0].stretches == ()
    assert row.runs[0].control_metrics is None
    assert row.controls[0].requests["arrived"] == 0
    assert row.controls[0].stopped_by == row.runs[0].stopped_by is not None
