"""Sensitivity: scaled assumptions, and their ranking."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter
from SALib.analyze import morris as analysis
from SALib.sample import morris as sampling

from simulation.planning.assumptions import assumptions_of, scale_spread
from simulation.planning.sensitivity import (
    LEVELS,
    OFF_BY,
    RUNS,
    TRAJECTORIES,
    elementary_effects,
    sensitivity,
)
from simulation.results.run_result import METRICS, Ending, RunResult
from simulation.results.states import StateIntervals
from simulation.scenario.distributions import Distribution, Lognormal
from simulation.scenario.inputs.scaling import scale_duration
from simulation.scenario.simulated_interval import SimulatedInterval
from simulation.study.cells import Cell
from simulation.study.execution import Execution
from tests.helpers.scenarios import of_services, scenario

DURATIONS: TypeAdapter[Any] = TypeAdapter(Distribution)

RICH: dict[str, Any] = {
    "service_time": {"mean": "50ms", "cv": 1},
    "propagation_delay": "2s",
    "balancer": {"return_delay": "4s"},
    "client_timeout": "3s",
    "steps": {"deploy": {"mean": "4s", "cv": 0.3}, "start": "2s", "return": {"exponential": "1s"}},
    "versions": {
        "new": {
            "service_factor": 1.2,
            "cold": {"factor": 3.0, "decay": "20s"},
            "error_fraction": 0.01,
            "start_fails": 0.9,
        }
    },
    "rollout": {"window": 1, "pre_stop": "3s"},
}


def test_the_assumptions_are_those_that_a_scenario_has() -> None:
    assert [one.key for one in assumptions_of(scenario(**RICH))] == [
        "traffic.rate",
        "traffic.classes.all.client_timeout",
        "services.app.service_time",
        "spread of services.app.service_time",
        "services.app.steps.deploy",
        "spread of services.app.steps.deploy",
        "services.app.steps.start",
        "services.app.steps.return",
        "services.app.versions.new.service_factor",
        "services.app.versions.new.cold.factor",
        "services.app.versions.new.cold.decay",
        "services.app.versions.new.error_fraction",
        "services.app.versions.new.start_fails",
        "services.app.balancer.propagation_delay",
        "services.app.balancer.return_delay",
    ]
    plain = scenario(rollout={"window": 1})
    assert [one.key for one in assumptions_of(plain)] == [
        "traffic.rate",
        "services.app.service_time",
    ]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("traffic.rate", 125.0),
        ("services.app.service_time", 0.0625),
        ("spread of services.app.service_time", 1.25),
        ("services.app.steps.return", 1.25),
        ("services.app.versions.new.cold.factor", 3.5),  # 1 + 2·1.25
        ("services.app.versions.new.start_fails", 1.0),  # no more than all of them
        ("services.app.balancer.propagation_delay", 2.5),
        ("services.app.balancer.return_delay", 5.0),
    ],
)
def test_an_assumption_is_off_by_a_factor_and_nothing_else_is(key: str, expected: float) -> None:
    one = scenario(**RICH)
    [found] = [each for each in assumptions_of(one) if each.key == key]
    off = found.off_by(one, 1.25)
    assert isinstance(off.service.service_time, Lognormal)
    values = {
        "traffic.rate": off.rates().highest_rps(),
        "services.app.service_time": off.service.service_time.mean_s(),
        "spread of services.app.service_time": off.service.service_time.lognormal.cv,
        "services.app.steps.return": off.service.steps.return_.mean_s(),
        "services.app.versions.new.cold.factor": off.service.versions.new.cold.factor,
        "services.app.versions.new.start_fails": off.service.versions.new.start_fails,
        "services.app.balancer.propagation_delay": off.service.balancer.propagation_delay,
        "services.app.balancer.return_delay": off.service.balancer.return_delay,
    }
    assert values[key] == pytest.approx(expected)
    before, after = one.as_data(), off.as_data()
    assert before != after
    for part in found.place[:-1]:
        before, after = before[part], after[part]
    last = "return" if found.place[-1] == "return_" else found.place[-1]
    assert {name for name in after if after[name] != before.get(name)} == {last}


def test_a_warm_up_by_requests_is_an_assumption_in_place_of_a_decay() -> None:
    cold = {"factor": 3.0, "requests": 40}
    one = scenario(versions={"new": {"cold": cold}}, rollout={"window": 1})
    key = "services.app.versions.new.cold.requests"
    [found] = [each for each in assumptions_of(one) if each.key == key]
    assert found.off_by(one, 1.25).service.versions.new.cold.requests == 50.0
    assert not any(each.key.endswith("decay") for each in assumptions_of(one))


def test_what_instances_have_in_common_is_an_assumption() -> None:
    steps = {"shared": {"deploy": "4s", "return": "1s"}, "correlation": 0.9}
    one = scenario(steps=steps, rollout={"window": 1})
    common = {each.key: each for each in assumptions_of(one) if ".steps." in each.key}
    assert list(common) == [
        "services.app.steps.shared.deploy",
        "services.app.steps.shared.return",
        "services.app.steps.correlation",
    ]
    for each in common.values():
        one = each.off_by(one, 1.25)
    found = one.service.steps
    assert (found.shared.deploy, found.shared.return_, found.correlation) == (5.0, 1.25, 1.0)


@pytest.mark.parametrize(
    "rate",
    [
        "100/s",
        {"steps": [["0s", "100/s"], ["1h", "50/s"]]},
        {"daily": {"low": "10/s", "high": "100/s", "peak": "12:00"}},
    ],
)
def test_every_kind_of_rate_can_be_off(rate: Any) -> None:
    one = scenario(rate=rate, rollout={"window": 1})
    off = assumptions_of(one)[0].off_by(one, 1.2)
    assert off.rates().rates_rps == pytest.approx(one.rates().rates_rps * 1.2)


@pytest.mark.parametrize(
    "said",
    [
        "20s",
        {"exponential": "20s"},
        {"mean": "20s", "cv": 0.5},
        {"mean": "20s", "p99": "60s"},
        {"gamma": {"mean": "20s", "cv": 0.5}},
        {"weibull": {"mean": "20s", "shape": 1.5}},
        {"empirical": ["10s", "20s", "60s"]},
        {"shifted": {"by": "5s", "of": {"mean": "20s", "cv": 0.5}}},
    ],
    ids=str,
)
def test_durations_are_scaled_and_spread(said: Any) -> None:
    one = DURATIONS.validate_python(said)
    twice = scale_duration(one, 2.0)
    for quantile in (0.1, 0.5, 0.99):
        assert twice.quantile_s(quantile) == pytest.approx(2 * one.quantile_s(quantile))
    wider = scale_spread(one, 1.5)
    assert wider.mean_s() == pytest.approx(one.mean_s())
    if wider is one:
        assert not isinstance(said, dict) or {"exponential", "empirical"} & said.keys()
    else:
        assert wider.quantile_s(0.99) > one.quantile_s(0.99)
        assert wider.quantile_s(0.05) < one.quantile_s(0.05)


def test_services_are_told_apart() -> None:
    one = of_services(
        {"web": {"steps": {"start": "1s"}}, "db": {}},
        {"all": {"route": ["web", "db"], "service_time": {"db": "5ms"}}},
        rollout={"order": ["web"], "window": 1},
    )
    keys = [each.key for each in assumptions_of(one)]
    assert keys == [
        "traffic.rate",
        "traffic.classes.all.service_time.db",
        "services.web.service_time",
        "services.web.steps.start",
        "services.db.service_time",
    ]


def made_up(
    cells: Sequence[Cell], frame: SimulatedInterval, execution: Execution
) -> Iterator[tuple[Cell, RunResult]]:
    """A made-up world whose p99 is the third power of the rate times the mean service time."""
    for cell in cells:
        metrics: dict[str, float | None] = dict.fromkeys(METRICS, 0.0)
        one = cell.case.scenario
        rate = one.rates().highest_rps() / 100
        metrics["rollout_latency_p99_s"] = rate**3 * one.service.service_time.mean_s() / 0.05
        metrics["rollout_duration_s"] = 1.0
        metrics["lowest_in_pool_count"] = 3.0
        yield (
            cell,
            RunResult(Ending.DONE, 1.0, 1.0, {}, metrics, metrics, 1.0, {}, StateIntervals.of(())),
        )


def test_effects_are_those_of_a_known_function() -> None:
    """Between 0.8 and 1.25 the rate moves it by (1.25/0.8)³, the service time by 1.25/0.8."""
    one = scenario(rollout={"window": 1}, steps={"start": "1s"}, objectives={"latency_p99": "1s"})
    told: list[tuple[str, int, int]] = []
    found = sensitivity(one, simulate=made_up, on_progress=lambda *what: told.append(what))
    effects = {each.key: each for each in found.effects}
    assert [each.key for each in found.effects] == [
        "traffic.rate",
        "services.app.service_time",
        "services.app.steps.start",
    ]
    span = OFF_BY**2
    assert effects["traffic.rate"].factor == pytest.approx(span**3)
    assert effects["services.app.service_time"].factor == pytest.approx(span)
    assert effects["services.app.steps.start"].factor == pytest.approx(1.0)
    assert effects["traffic.rate"].rises
    assert effects["traffic.rate"].flips_fraction > 0.5
    assert effects["services.app.steps.start"].flips_fraction == 0
    assert found.judged_by == ("p99",)
    assert found.runs_count == (3 + 1) * TRAJECTORIES[0] * RUNS
    assert len(told) == 4 * TRAJECTORIES[0]
    assert LEVELS == 4
    assert [each.is_apart for each in found.effects] == [True, True, False]
    assert found.ties() == []
    assert sensitivity(one, simulate=made_up).to_json() == found.to_json()


def test_a_rollout_that_does_not_end_counts_as_far_beyond_its_limit() -> None:
    def halts(
        cells: Sequence[Cell], frame: SimulatedInterval, execution: Execution
    ) -> Iterator[Any]:
        for cell, run in made_up(cells, frame, execution):
            hot = cell.case.scenario.rates().highest_rps() > 100
            metrics = {**run.metrics, "rollout_duration_s": None} if hot else run.metrics
            ended = Ending.HALTED if hot else Ending.DONE
            yield (
                cell,
                RunResult(ended, 1.0, 1.0, {}, metrics, metrics, 1.0, {}, StateIntervals.of(())),
            )

    one = scenario(rollout={"window": 1}, objectives={"duration": "10s"})
    found = sensitivity(one, simulate=halts)
    assert found.effects[0].key == "traffic.rate"
    assert found.effects[0].factor > 100


def test_the_effects_are_those_of_salib() -> None:
    problem = {
        "num_vars": 3,
        "names": ["a", "b", "c"],
        "bounds": [[-math.log(OFF_BY), math.log(OFF_BY)]] * 3,
    }
    points = sampling.sample(problem, 12, num_levels=LEVELS, seed=1)
    sizes = np.exp(points[:, 0]) + points[:, 1] * points[:, 2]
    expected = analysis.analyze(problem, points, sizes, num_levels=LEVELS, seed=1)
    effects = elementary_effects(points, sizes)
    assert effects.shape == (12, 3)
    assert np.abs(effects).mean(axis=0) == pytest.approx(np.array(expected["mu_star"]))
    assert effects.mean(axis=0) == pytest.approx(np.array(expected["mu"]))


def test_where_ranks_stay_close_paths_are_added_and_the_tie_is_said() -> None:
    """The rate and the service time move it by about the same factor, which depends on the other."""

    def close(
        cells: Sequence[Cell], frame: SimulatedInterval, execution: Execution
    ) -> Iterator[Any]:
        for cell, run in made_up(cells, frame, execution):
            one = cell.case.scenario
            rate = math.log(one.rates().highest_rps() / 100)
            service = math.log(one.service.service_time.mean_s() / 0.05)
            p99_s = math.exp(rate + service + 3 * rate * service)
            metrics = {**run.metrics, "rollout_latency_p99_s": p99_s}
            yield (
                cell,
                RunResult(
                    Ending.DONE, 1.0, 1.0, {}, metrics, metrics, 1.0, {}, StateIntervals.of(())
                ),
            )

    one = scenario(rollout={"window": 1}, steps={"start": "1s"}, objectives={"latency_p99": "1s"})
    found = sensitivity(one, simulate=close)
    assert found.trajectories_count == TRAJECTORIES[-1]
    assert found.runs_count == 4 * TRAJECTORIES[-1] * RUNS
    [tie] = found.ties()
    assert set(tie) == {"traffic.rate", "services.app.service_time"}
    assert found.to_json()["ties"] == [tie]
    assert (
        found.effects[-1].key == "services.app.steps.start"
    )  # no effect, so no path is spent on it
