"""Releases of several services: their order, their ends, and where the time goes."""

from __future__ import annotations

from typing import Any

import pytest

from executor.plan.model import Step
from simulation.results.failures import Cause, Failure, GuardFigure
from simulation.results.result_bytes import pack, unpack
from simulation.results.run_result import Ending, RunResult
from simulation.results.states import State
from simulation.scenario.model import Scenario
from simulation.scenario.release_graph import critical_chain, cycle_of, in_order, release_graph
from simulation.study.candidates import default_windows
from simulation.study.case import cases_of
from simulation.study.verdict import verdict
from tests.helpers.scenarios import of_services, run_once

SERVICES: dict[str, dict[str, Any]] = {
    "web": {"instances": 4, "steps": {"deploy": "5s"}},
    "api": {"instances": 3, "steps": {"deploy": "10s"}, "rollout": {"window": 1, "pause": "2s"}},
    "db": {"instances": 2, "steps": {"deploy": "20s"}},
}


def shop(services: dict[str, dict[str, Any]] | None = None, **rollout: Any) -> Scenario:
    """Three services that call each other; api has a window of its own."""
    return of_services(
        services or SERVICES,
        {"page": {"route": ["web", "api", "db"]}},
        rate="5/s",
        rollout={"window": 2, "drain": {"timeout": "5s"}, **rollout},
        clock={"warm_up": "5s"},
    )


def spans_s(run: RunResult) -> dict[str, tuple[float, float]]:
    """Return the time from first take-out to last return of each service."""
    numbers = {"web": range(4), "api": range(4, 7), "db": range(7, 9)}
    busy = {
        name: [p for p in run.states if p.instance in these and p.state is not State.SERVING]
        for name, these in numbers.items()
    }
    return {
        name: (min(p.begin_s for p in parts), max(p.end_s for p in parts))
        for name, parts in busy.items()
        if parts
    }


# Half a second is more than any drain takes here.
CLOSE = 0.6


def test_services_are_rolled_side_by_side_when_nothing_is_said() -> None:
    run = run_once(shop())
    spans = spans_s(run)
    assert {name: span[0] for name, span in spans.items()} == {"web": 0, "api": 0, "db": 0}
    assert spans["web"][1] == pytest.approx(2 * 5, abs=CLOSE)
    assert spans["api"][1] == pytest.approx(3 * 10 + 2 * 2, abs=CLOSE)
    assert spans["db"][1] == pytest.approx(20, abs=CLOSE)
    assert run.critical_path == ("api",)
    assert run.metrics["rollout_duration_s"] == pytest.approx(34, abs=CLOSE)


def test_a_list_is_one_after_the_other() -> None:
    run = run_once(shop(order=["db", "api", "web"]))
    spans = spans_s(run)
    assert spans["db"][1] <= spans["api"][0] <= spans["api"][1] <= spans["web"][0]
    assert run.critical_path == ("db", "api", "web")
    assert run.metrics["rollout_duration_s"] == pytest.approx(20 + 34 + 10, abs=3 * CLOSE)
    assert run.waits is not None
    assert run.waits.step_s == pytest.approx(20 + 30 + 10)
    assert run.waits.pause_s == pytest.approx(4)
    assert run.waits.gate_s == pytest.approx(0, abs=1e-6)


def test_a_graph_rolls_independent_services_side_by_side() -> None:
    run = run_once(shop(order={"web": ["api", "db"]}))
    spans = spans_s(run)
    assert spans["api"][0] == spans["db"][0] == 0
    assert spans["web"][0] == pytest.approx(spans["api"][1])
    assert run.critical_path == ("api", "web")


def test_what_is_not_named_is_not_rolled() -> None:
    run = run_once(shop(order=["db"]))
    assert set(spans_s(run)) == {"db"}
    assert run.metrics["lowest_in_pool_count"] == 4 + 3
    assert run.metrics["lowest_capacity_fraction"] == 0


def failing(**rollout: Any) -> RunResult:
    services = {**SERVICES, "api": {**SERVICES["api"], "versions": {"new": {"start_fails": 1.0}}}}
    return run_once(shop(services, order=["db", "api", "web"], **rollout))


def test_when_one_service_halts_the_next_does_not_begin() -> None:
    run = failing()
    assert run.ended == Ending.HALTED
    assert set(spans_s(run)) == {"db", "api"}
    assert run.failures[0] == Failure(
        Cause.STEP_FAILED, "api", 0, Step.START, GuardFigure.TRIES, observed=1
    )


@pytest.mark.parametrize("name", ["web-canary", "guard over 4", "canary: guard", "api: x: y"])
def test_a_service_may_be_called_anything(name: str) -> None:
    """The failure that stopped a release is typed, whatever the service is called, and survives packing."""
    services = {
        name: {"instances": 2, "versions": {"new": {"start_fails": 1.0}}},
        "other": {"instances": 2, "rollout": {"window": 1}},
    }
    one = of_services(
        services,
        {"page": {"route": [name, "other"]}},
        rate="5/s",
        rollout={"window": 1},
        clock={"warm_up": "5s"},
    )
    run = run_once(one, keep_requests=False)
    assert run.stopped_by == Failure(
        Cause.STEP_FAILED, name, 0, Step.START, GuardFigure.TRIES, observed=1
    )
    assert unpack(pack(run)).stopped_by == run.stopped_by
    assert unpack(pack(run)).failures == run.failures
    [reason] = [one for one in verdict(one, [run]).reasons if "end well" in one]
    assert reason == "the rollout did not end well (halted, start failed) in 1 of 1 runs"


def test_the_first_cause_is_the_one_that_stopped_a_release() -> None:
    """A failure of api halts the release at 10 s; db, under way then, fails 10 s later."""
    breaks = {"versions": {"new": {"start_fails": 1.0}}}
    services = {name: {**one, **breaks} if name != "web" else one for name, one in SERVICES.items()}
    run = run_once(shop(services))
    assert [one.service for one in run.failures] == ["api", "db", "db"]
    assert run.stopped_by is run.failures[0]


def test_a_release_goes_back_in_reverse_order() -> None:
    run = failing(on_failure="rollback")
    assert run.ended == Ending.ROLLED_BACK
    deployed = [(p.begin_s, p.instance) for p in run.states if p.state is State.DEPLOYING]
    order = [instance for _begin, instance in sorted(deployed)]
    assert order == [7, 8, 4, 4, 7, 8]  # db, the failing api, api back, db back
    assert {p.state for p in run.states if p.end_s == run.end_s} == {State.SERVING}


def test_a_failure_on_the_way_back_stops_it_whatever_was_allowed_forward() -> None:
    impatient = {"timeout": "0s", "on_timeout": "abort"}
    web = {"window": 1, "on_failure": "continue", "max_failures": 4, "drain": impatient}
    services = {
        **SERVICES,
        "web": {"instances": 4, "steps": {"deploy": "1s"}, "rollout": web},
        "api": {**SERVICES["api"], "versions": {"new": {"start_fails": 1.0}}},
    }
    release = shop(services, order=["web", "api", "db"], on_failure="rollback")
    ended = {run_once(release.model_copy(update={"seed": seed})).ended for seed in range(1, 6)}
    assert ended == {"rolled_back", "halted"}


def test_own_keys_stand_over_the_common_ones_one_by_one() -> None:
    one = shop()
    rule = one.rule("api")
    assert rule is not None
    assert (rule.window, rule.pause, rule.drain.timeout) == (1, 2.0, 5.0)
    assert Scenario.model_validate(one.as_data()) == one
    assert one.as_data()["services"]["api"]["rollout"] == {"window": 1, "pause": "2s"}


def test_windows_are_compared_where_a_service_has_none_of_its_own() -> None:
    one = shop()
    assert default_windows(one).windows == (1, 2)
    cases = cases_of(one, windows=["50%"])
    applied = cases[0].scenario
    assert [applied.window_count(name) for name in ("web", "api", "db")] == [2, 1, 1]


def test_instances_are_named_over_all_services() -> None:
    names = shop().all_instance_names()
    assert names[0] == "web-01"
    assert names[4:] == ("api-01", "api-02", "api-03", "db-01", "db-02")
    surging = shop(surge=1, order=["db"])
    assert surging.all_instance_names()[-2:] == ("db-01-new", "db-02-new")


# The graph


def test_a_cycle_is_named() -> None:
    cycle = cycle_of(release_graph({"a": ["b"], "b": ["c"], "c": ["a"], "d": []}))
    assert cycle[0] == cycle[-1]
    assert sorted(cycle[1:]) == ["a", "b", "c"]
    assert cycle_of(release_graph({"a": [], "b": ["a"]})) == []


def test_the_order_is_that_of_the_list_where_the_graph_leaves_it_open() -> None:
    assert in_order(release_graph({"c": [], "a": [], "b": ["c"]})) == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("before", "ended_s", "chain"),
    [
        ({"a": [], "b": []}, {"a": 5.0, "b": 9.0}, ["b"]),
        ({"a": [], "b": ["a"], "c": ["a"]}, {"a": 5.0, "b": 9.0, "c": 8.0}, ["a", "b"]),
        ({"a": [], "b": [], "c": ["a", "b"]}, {"a": 5.0, "b": 6.0, "c": 8.0}, ["b", "c"]),
        ({}, {}, []),
    ],
)
def test_the_critical_chain_is_the_one_that_was_waited_for(
    before: dict[str, list[str]], ended_s: dict[str, float], chain: list[str]
) -> None:
    assert critical_chain(release_graph(before), ended_s) == chain
