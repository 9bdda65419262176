"""New versions: slower, wrong or cold ones, and rollouts of versions that fail."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from simulation.planning.make_plan import make_plan
from simulation.results.run_result import ERROR, Ending, RunResult
from simulation.results.states import State
from simulation.scenario.model import Scenario
from simulation.study.case import cases_of
from simulation.study.compare import compare
from simulation.study.execution import Execution
from simulation.study.rows import run_rows
from tests.helpers.results import figure
from tests.helpers.scenarios import run_once, scenario
from tests.simulation.control.test_properties import scenarios

pytestmark = pytest.mark.slow

STEPS = {"deploy": "2s", "verify": "1s", "start": "3s"}


def rolled(**parts: Any) -> RunResult:
    """Return a scenario of four instances with more slots than needed, rolled two at a time."""
    given = {"rate": "200/s", "slots": 1000, "steps": STEPS, "rollout": {"window": 2}, **parts}
    return run_once(scenario(**given))


def last_states(run: RunResult) -> list[State]:
    """Return the last state of each instance."""
    return list({part.instance: part.state for part in run.states}.values())


def test_a_slower_version_takes_its_factor_longer() -> None:
    table = rolled(versions={"old": {"service_factor": 1.5}, "new": {"service_factor": 2.0}}).table
    assert table is not None
    ended = np.isfinite(table.finish_s)
    took_s = (table.finish_s - table.start_s)[ended]
    expected = np.where(table.new_version, 0.1, 0.075)[ended]
    assert took_s == pytest.approx(expected)
    assert set(table.new_version.tolist()) == {True, False}


def test_a_wrong_version_answers_wrongly_as_often_as_it_says() -> None:
    run = rolled(rate="2000/s", versions={"new": {"error_fraction": 0.1}})
    table = run.table
    assert table is not None
    new = table.new_version & np.isfinite(table.finish_s)
    share, count = (table.outcome[new] == ERROR).mean(), int(new.sum())
    assert share == pytest.approx(0.1, abs=4 * (0.1 * 0.9 / count) ** 0.5)
    assert not (table.outcome[~table.new_version] == ERROR).any()
    assert run.requests["error"] == (table.outcome == ERROR).sum()


def test_a_cold_instance_warms_up_with_its_age() -> None:
    """Each request takes 50 ms times 1 + (5 − 1)·exp(−age/2 s), age counted from the start."""
    run = rolled(versions={"new": {"cold": {"factor": 5.0, "decay": "2s"}}})
    table = run.table
    assert table is not None
    starts = {p.instance: p.begin_s for p in run.states if p.state is State.RETURNING}
    new = table.new_version & np.isfinite(table.finish_s)
    started_s = np.array([starts[k] for k in table.instance[new].tolist()])
    age_s = table.start_s[new] - started_s
    expected = 0.05 * (1 + 4 * np.exp(-age_s / 2))
    assert (table.finish_s - table.start_s)[new] == pytest.approx(expected, rel=1e-9)
    # Summed over an instance's requests: rate · demand · (factor − 1) · decay, once it is warm. While
    # the other two are out, it and its twin share what arrives.
    extra_s = ((table.finish_s - table.start_s)[new] - 0.05)[table.instance[new] == 0].sum()
    assert extra_s == pytest.approx(100 * 0.05 * 4 * 2.0, rel=0.10)


@pytest.mark.parametrize(
    ("new", "step", "took_s"),
    [
        ({"verify_fails": 1.0}, State.VERIFYING, 3.0),
        ({"start_fails": 1.0}, State.STARTING, 9.0),
    ],
)
def test_a_version_that_never_comes_up_halts_the_rollout(
    new: dict[str, float], step: State, took_s: float
) -> None:
    run = rolled(versions={"new": new}, rollout={"window": 1, "retries": 2})
    assert run.ended == Ending.HALTED
    assert last_states(run) == [State.FAILED, *[State.SERVING] * 3]
    spent = next(p.end_s - p.begin_s for p in run.states if p.state is step)
    assert spent == pytest.approx(took_s)  # three times
    assert run.metrics["rollout_duration_s"] is None
    assert run.metrics["lowest_in_pool_count"] == 3


def test_a_step_that_fails_now_and_then_is_tried_again() -> None:
    run = rolled(
        instances=40, versions={"new": {"verify_fails": 0.4}}, rollout={"window": 8, "retries": 50}
    )
    assert run.ended == Ending.DONE
    spent = [p.end_s - p.begin_s for p in run.states if p.state is State.VERIFYING]
    # A try lasts a second; a geometric number of them, 1/(1 − 0.4) on average.
    assert np.mean(spent) == pytest.approx(1 / 0.6, abs=4 * (0.4 / 0.36 / 40) ** 0.5)


@pytest.mark.parametrize(("allowed", "ended"), [(40, "done"), (2, "halted")])
def test_failures_may_be_put_up_with(allowed: int, ended: str) -> None:
    rule = {"window": 1, "on_failure": "continue", "max_failures": allowed}
    run = rolled(instances=20, versions={"new": {"verify_fails": 0.5}}, rollout=rule)
    assert run.ended == ended
    failed = last_states(run).count(State.FAILED)
    assert failed == 3 if ended == "halted" else 3 < failed < 17


def test_a_rollback_restores_the_fleet() -> None:
    run = rolled(
        instances=12,
        seed=3,
        versions={"new": {"verify_fails": 0.2}},
        rollout={"window": 3, "min_healthy": 8, "on_failure": "rollback"},
    )
    assert run.ended == Ending.ROLLED_BACK
    assert last_states(run) == [State.SERVING] * 12
    assert run.series["mixed_version_fraction"].max() > 0
    assert run.series["mixed_version_fraction"][-1] == 0
    assert run.series["in_pool_count"][-1] == 12
    assert figure(run, "lowest_in_pool_count") >= 8
    table = run.table
    assert table is not None
    late = table.start_s > run.settled_s - 9
    assert not table.new_version[late].any()


@given(scenarios())
@settings(max_examples=40, deadline=None)
def test_a_rollback_restores_exactly_what_was(one: Scenario) -> None:
    run = run_once(one)
    if run.ended == Ending.ROLLED_BACK:
        for name, state in zip(one.all_instance_names(), last_states(run), strict=True):
            was = {State.ABSENT} if name.endswith("-new") else {State.SERVING, State.CRASHED}
            assert state in was
        assert run.series["mixed_version_fraction"][-1] == 0


def test_a_random_order_is_one_order() -> None:
    rule = {"window": 1, "instance_order": "random"}
    one = scenario(instances=8, steps=STEPS, rollout=rule, replications=3)
    orders = []
    for replication in range(3):
        parts = run_once(one, replication).states
        drains = sorted((p.begin_s, p.instance) for p in parts if p.state is State.DRAINING)
        orders.append([instance for _begin, instance in drains])
    assert orders[0] == orders[1] == orders[2] != list(range(8))
    assert sorted(orders[0]) == list(range(8))
    comparison = compare(one, cases_of(one), list(run_rows(one, cases_of(one), Execution(jobs=1))))
    result = comparison.candidates[0]
    verdict = result.verdict.model_copy(update={"answer": "meets", "lower_bound": 0.96})
    plan = make_plan(one, replace(result, verdict=verdict))
    assert [int(name[-2:]) - 1 for name in plan.instances] == orders[0]
