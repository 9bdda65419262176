"""The search for changes in a made-up world, in which it is known what each value leads to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulation.planning.alternatives import simulator
from simulation.planning.alternatives.find import (
    MOST_CONFIRMATIONS,
    find_alternatives,
    has_alternatives,
    tried_in_search,
)
from simulation.planning.alternatives.model import Alternatives, ChangeKind
from simulation.planning.search import search
from simulation.results.run_result import METRICS, Ending, RunResult
from simulation.results.states import StateIntervals
from simulation.scenario.model import Scenario
from simulation.scenario.simulated_interval import SimulatedInterval
from simulation.study.candidate_result import candidate_result
from simulation.study.case import Case, cases_of
from simulation.study.cells import Cell
from simulation.study.compare import compare
from simulation.study.execution import Execution
from simulation.study.rows import Row
from simulation.study.statistics.proportions import FIRST_LOOK
from tests.helpers.scenarios import scenario

K = ChangeKind
Figures = dict[str, float]
P99, ERRORS, DURATION = "rollout_latency_p99_s", "rollout_error_fraction", "rollout_duration_s"


@dataclass
class World:
    """A simulation whose figures are a function of the scenario; it counts runs by seed."""

    figures: Callable[[Scenario, float], Figures]
    runs: Counter[int] = field(default_factory=Counter)

    def __call__(
        self, cells: Sequence[Cell], frame: SimulatedInterval, execution: Execution
    ) -> Iterator[tuple[Cell, RunResult]]:
        for cell in reversed(cells):  # in any order
            one = cell.case.scenario
            self.runs[one.seed] += 1
            luck = np.random.default_rng([one.seed, cell.replication]).random()
            metrics: dict[str, float | None] = dict.fromkeys(METRICS, 0.0)
            metrics |= {DURATION: 60.0, P99: 0.5, "lowest_in_pool_count": 3.0}
            metrics |= self.figures(one, luck)
            yield cell, _run(metrics)


def _run(metrics: dict[str, float | None]) -> RunResult:
    return RunResult(
        ended=Ending.DONE,
        settled_s=60.0,
        end_s=60.0,
        requests={"arrived": 1, "ok": 1},
        metrics=metrics,
        alone=metrics,
        bin_s=1.0,
        series={"offered_rps": np.ones(5)},
        states=StateIntervals.of(()),
    )


def world_of(windows: Sequence[int] = (2,), **parts: Any) -> tuple[Scenario, list[Case]]:
    told = {
        "rate": "10/s",
        "instances": 8,
        "steps": {"deploy": "5s"},
        "rollout": {"window": 2},
        "objectives": {"latency_p99": "1s", "duration": "100s", "error_fraction": 0.01},
        **parts,
    }
    one = scenario(**told)
    return one, [*cases_of(one, windows)]


def find(
    figures: Callable[[Scenario, float], Figures], windows: Sequence[int] = (2,), **parts: Any
) -> tuple[Alternatives, World]:
    one, cases = world_of(windows, **parts)
    world = World(figures)
    found = find_alternatives(
        one, [(case, None) for case in cases], Execution(jobs=1), simulate=world
    )
    assert found is not None
    return found, world


def offers(found: Alternatives) -> dict[ChangeKind, float | str]:
    return {one.change.kind: one.change.value for one in found.offered}


@settings(max_examples=25, deadline=None)
@given(st.integers(9, 30))
def test_the_smallest_fleet_that_meets_is_offered(enough: int) -> None:
    found, _ = find(lambda one, luck: {P99: 0.5 if one.service.instance_count >= enough else 9.0})
    expected = {K.MORE_INSTANCES: enough, K.HIGHER_P99_LIMIT: 9.0}
    if enough > 24:  # three times the fleet is the most
        del expected[K.MORE_INSTANCES]
    assert offers(found) == expected
    if enough <= 24:
        assert found.offered[0].cost.instances_count == enough - 8


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 8), st.integers(1, 8))
def test_windows_are_searched_towards_what_failed(fast: int, narrow: int) -> None:
    """A window from ``fast`` on is quick enough, and one up to ``narrow`` leaves enough capacity."""

    def figures(one: Scenario, luck: float) -> Figures:
        window = one.window_count()
        return {DURATION: 60.0 if window >= fast else 5e3, P99: 0.5 if window <= narrow else 50.0}

    found, _ = find(figures, windows=(1, 8))
    expected = range(fast, narrow + 1)
    windows = {one.candidate.window for one in found.offered if one.change.key == "rollout.window"}
    if expected and 1 not in expected and 8 not in expected:
        assert windows == {expected[0], expected[-1]}
        assert len(windows) == len(
            [one for one in found.offered if one.change.key == "rollout.window"]
        )
    elif not expected:
        assert windows == set()


def test_pre_stop_and_drain_come_first_against_errors() -> None:
    def figures(one: Scenario, luck: float) -> Figures:
        assert one.rollout is not None
        return {ERRORS: 0.0 if one.rollout.pre_stop >= 2 else 0.5}

    found, _ = find(figures)
    assert found.tried[:2] == (K.LONGER_PRE_STOP, K.LONGER_DRAIN)
    assert offers(found) == {K.LONGER_PRE_STOP: 2.0}
    assert found.offered[0].change.before == 0


def test_a_limit_is_relaxed_without_new_runs_until_it_is_confirmed() -> None:
    found, world = find(lambda one, luck: {DURATION: 130.0})
    assert offers(found) == {K.LONGER_DURATION_LIMIT: 150.0}
    assert found.offered[0].cost.limit_by == 50.0
    confirmed = found.offered[0].confirmed
    assert world.runs[confirmed.scenario.seed] == len(confirmed.result.runs)
    own = found.runs_count - len(confirmed.result.runs)
    assert world.runs[1] == own


def test_two_objectives_at_fault_need_one_change_that_helps_against_both() -> None:
    figures = {DURATION: 300.0, P99: 4.0}
    found, _ = find(lambda one, luck: figures)
    assert found.offered == ()
    assert found.tried == ()
    found, _ = find(
        lambda one, luck: {ERRORS: 0.5, P99: 4.0} if one.service.instance_count < 10 else {}
    )
    assert offers(found) == {K.MORE_INSTANCES: 10}


def test_the_candidate_that_needs_the_smallest_change_is_taken() -> None:
    def figures(one: Scenario, luck: float) -> Figures:
        free = one.service.instance_count - one.window_count()
        return {P99: 0.5 if free >= 7 else 2.0 + one.window_count() / 10}

    found, _ = find(figures, windows=(2, 3, 4))
    more = found.offered[0]
    assert (more.change.kind, more.change.value, more.candidate.window) == (K.MORE_INSTANCES, 9, 2)


def test_a_change_that_only_often_suffices_is_followed_by_a_larger_one() -> None:
    """Ten instances miss in a run of ten, so more than the ten first runs are needed to see it."""

    def figures(one: Scenario, luck: float) -> Figures:
        count = one.service.instance_count
        misses = 1.0 if count < 10 else 0.1 if count == 10 else 0.0
        return {P99: 9.0 if luck < misses else 0.5}

    for seed in range(1, 4):
        found, _ = find(figures, seed=seed)
        assert offers(found)[K.MORE_INSTANCES] == 11


def test_nothing_is_offered_that_its_confirmation_does_not_show() -> None:
    def figures(one: Scenario, luck: float) -> Figures:
        return {P99: 0.5 if one.seed == 1 and one.service.instance_count > 8 else 9.0}

    found, world = find(figures)
    assert K.MORE_INSTANCES in found.tried
    assert K.MORE_INSTANCES not in offers(found)
    confirmations = [seed for seed in world.runs if seed != 1]
    assert len(confirmations) == MOST_CONFIRMATIONS + 1  # and one of the limit


def test_confirmations_of_a_kind_share_the_error_probability() -> None:
    confirmed: list[int] = []

    def figures(one: Scenario, luck: float) -> Figures:
        if one.seed != 1 and one.seed not in confirmed:
            confirmed.append(one.seed)
        is_first = one.seed in confirmed[:1]
        return {P99: 9.0 if is_first or one.service.instance_count < 10 else 0.5}

    found, _ = find(figures)
    more = found.offered[0]
    assert more.change.value == 11
    assert more.confirmed.confidence == pytest.approx(0.9955)
    assert more.confirmed.lower_bound >= 0.95


def test_the_search_ends_at_its_budget_and_says_what_it_did_not_try(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(simulator, "BUDGET_TIMES", 3)
    found, world = find(lambda one, luck: {P99: 0.5 if one.service.instance_count > 8 else 9.0})
    assert found.budget_runs == 3 * 59
    assert found.tried == ()
    assert found.not_searched[0] == K.MORE_INSTANCES
    assert found.runs_count == world.runs.total() <= found.budget_runs


def test_where_one_candidate_exceeds_the_budget_no_kind_is_tried() -> None:
    dear: dict[str, Any] = {"rate": "900000/s", "service_time": "1ms", "slots": 200}
    found, world = find(lambda one, luck: {P99: 9.0}, **dear)
    assert found.not_searched == (*ChangeKind,)
    assert world.runs.total() == 0


def test_a_stopped_search_has_no_result() -> None:
    one, cases = world_of()
    world = World(lambda one, luck: {P99: 9.0})
    stop_after = 25
    execution = Execution(jobs=1, is_stopped=lambda: world.runs.total() >= stop_after)
    tried = [(case, None) for case in cases]
    assert find_alternatives(one, tried, execution, simulate=world) is None
    assert world.runs.total() == stop_after


def test_progress_counts_every_run_once() -> None:
    one, cases = world_of()
    reports: list[tuple[str, int, int]] = []
    found = find_alternatives(
        one,
        [(case, None) for case in cases],
        Execution(jobs=1),
        simulate=World(lambda one, luck: {P99: 9.0}),
        on_progress=lambda *report: reports.append(report),
    )
    assert found is not None
    assert [done for _, done, _ in reports] == [*range(found.runs_count + 1)]
    assert {total for *_, total in reports} == {found.budget_runs}
    assert {kind for kind, *_ in reports} <= {"changes", *found.tried}


def test_a_search_that_chose_none_gives_its_candidates_with_their_results() -> None:
    one, cases = world_of(windows=(1, 2), objectives={"latency_p99": "1s"})
    world = World(lambda one, luck: {P99: 9.0})
    result = search(one, cases, Execution(jobs=1), simulate=world)
    assert result is not None
    assert result.chosen is None
    tried = tried_in_search(result)
    assert [case.candidate.window for case, _ in tried] == [1, 2]
    assert all(known is not None and len(known.runs) == FIRST_LOOK for _, known in tried)


def test_only_where_every_candidate_fails_something_else_is_sought() -> None:
    one, cases = world_of(windows=(1, 2))

    def compared(p99s: Sequence[float], runs: int) -> bool:
        world = World(lambda one, luck: {P99: p99s[one.window_count() - 1]})
        frame: Any = None
        rows = []
        for k in range(runs):
            results = [next(world([Cell(case, k)], frame, Execution()))[1] for case in cases]
            rows.append(Row(k, tuple(results)))
        asked = one.model_copy(update={"replications": runs})
        return has_alternatives(compare(asked, cases, rows))

    assert compared((9.0, 9.0), 10)
    assert not compared((0.5, 9.0), 60)
    assert not compared((0.5, 9.0), 10)  # window 1 is undecided


def test_json_has_every_figure_of_a_change() -> None:
    found, _ = find(lambda one, luck: {P99: 0.5 if one.service.instance_count >= 11 else 9.0})
    more = found.to_json()[0]
    assert (more["key"], more["value"], more["from"]) == ("services.app.instances", 11, 8)
    assert more["cost"] == {
        "instances_count": 3,
        "duration_s": 0.0,
        "later_s": 0.0,
        "limit_by": 0.0,
        "surge_count": 0,
    }
    assert more["verdict"]["answer"] == "meets"
    assert more["candidate"]["window"] == 2
    assert more["seed"] != 1


def test_results_that_exist_are_not_simulated_again() -> None:
    one, cases = world_of()
    world = World(lambda one, luck: {P99: 0.5 if one.service.instance_count >= 9 else 9.0})
    cells = [Cell(cases[0], k) for k in range(FIRST_LOOK)]
    frame: Any = None
    runs = tuple(run for _, run in world(cells, frame, Execution()))
    known = candidate_result(cases[0], runs)
    fresh = World(world.figures)
    found = find_alternatives(one, [(cases[0], known)], Execution(jobs=1), simulate=fresh)
    assert found is not None
    assert offers(found)[K.MORE_INSTANCES] == 9
    assert found.runs_count == fresh.runs.total()
