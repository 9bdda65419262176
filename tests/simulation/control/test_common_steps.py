"""Steps that instances have in common: shared work and correlated durations, held to an independent model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simpy
from pydantic import TypeAdapter
from scipy import stats

from benchmarks.oracles.steps import correlated_s, rollout_s
from simulation.control.correlated_steps import correlate_durations
from simulation.control.shared_work import ProcessorSharing
from simulation.control.strategy import step_durations
from simulation.results.run_result import Ending, RunResult
from simulation.results.states import State
from simulation.scenario.distributions import Distribution
from simulation.scenario.file import ScenarioFile
from simulation.scenario.units import Floats
from studio.resources import scenarios_dir
from tests.helpers.generated import DURATIONS, STEPS
from tests.helpers.scenarios import run_once, runs_of, scenario


def rolled(instances: int, steps: dict[str, Any], **rollout: Any) -> RunResult:
    return run_once(scenario(rate="0/s", instances=instances, steps=steps, rollout=rollout))


@pytest.mark.parametrize(
    ("arrivals", "ends_s"),
    [
        pytest.param([(0, 4)], [4], id="alone"),
        pytest.param([(0, 4), (0, 4), (0, 4)], [12, 12, 12], id="three at once"),
        pytest.param([(0, 4), (2, 4)], [6, 8], id="the second comes later"),
        pytest.param([(0, 10), (1, 1)], [11, 3], id="the shorter overtakes"),
        pytest.param([(0, 1), (5, 1)], [1, 6], id="empty in between"),
    ],
)
def test_processor_sharing_by_hand(
    arrivals: list[tuple[float, float]], ends_s: list[float]
) -> None:
    env = simpy.Environment()
    queue, ended = ProcessorSharing(env), [0.0] * len(arrivals)

    def work(number: int, at_s: float, work_s: float) -> Any:
        yield env.timeout(at_s)
        yield queue.request(work_s)
        ended[number] = float(env.now)

    for number, (at_s, work_s) in enumerate(arrivals):
        env.process(work(number, at_s, work_s))
    env.run()
    assert ended == pytest.approx(ends_s)


@pytest.mark.parametrize(
    ("rollout", "duration_s"),
    [
        pytest.param({"window": 1}, 8 * (10 + 4), id="one by one"),
        pytest.param({"window": 4}, 2 * (10 + 4 * 4), id="four at once"),
        pytest.param({"window": 8}, 10 + 8 * 4, id="all at once"),
        pytest.param({"window": 4, "advance": "batch"}, 2 * (10 + 4 * 4), id="batches"),
        pytest.param({"strategy": "blue_green"}, 10 + 8 * 4, id="a second fleet"),
        pytest.param({"strategy": "recreate"}, 10 + 8 * 4, id="recreate"),
        pytest.param({"window": 1, "surge": 3}, 2 * (10 + 4 * 4), id="surge: four at once"),
    ],
)
def test_a_shared_deploy_takes_as_long_as_all_that_deploy_need(
    rollout: dict[str, Any], duration_s: float
) -> None:
    run = rolled(8, {"deploy": "10s", "shared": {"deploy": "4s"}}, **rollout)
    assert run.ended == Ending.DONE
    assert run.metrics["rollout_duration_s"] == pytest.approx(duration_s)


@pytest.mark.parametrize("step", STEPS)
def test_each_step_may_have_shared_work(step: str) -> None:
    run = rolled(4, {step: "1s", "shared": {step: "2s"}}, window=2)
    assert run.metrics["rollout_duration_s"] == pytest.approx(2 * (1 + 2 * 2))


def test_the_shared_work_of_different_steps_is_in_one_queue() -> None:
    """Instance 1 starts while instance 2 still deploys: they slow each other down."""
    run = rolled(2, {"shared": {"deploy": "2s", "start": "1s"}}, window=2)
    assert run.metrics["rollout_duration_s"] == pytest.approx(6.0)


def test_a_rollback_has_the_same_shared_work() -> None:
    steps = {"deploy": "3s", "shared": {"deploy": "4s"}}
    one = scenario(
        rate="0/s",
        instances=4,
        steps=steps,
        versions={"new": {"start_fails": 1.0}},
        rollout={"window": 2, "on_failure": "rollback"},
    )
    run = run_once(one)
    assert run.ended == Ending.ROLLED_BACK
    deploying = [part for part in run.states if part.state is State.DEPLOYING]
    assert [part.end_s - part.begin_s for part in deploying] == pytest.approx([11.0] * 4)


@pytest.mark.parametrize("window", [1, 3, 5, 12])
def test_an_independent_model_gives_the_same_rollout(window: int) -> None:
    deploy, start = {"mean": "5s", "cv": 0.8}, {"mean": "4s", "cv": 0.4}
    steps = {"deploy": deploy, "start": start, "shared": {"deploy": "3s"}, "correlation": 0.3}
    one = scenario(rate="0/s", instances=12, steps=steps, rollout={"window": window})
    for replication, run in enumerate(runs_of(one, 5)):
        drawn = step_durations(one, "app", one.seed, replication)
        expected_s = rollout_s(drawn["deploy"].tolist(), window, 3.0, drawn["start"].tolist())
        assert run.metrics["rollout_duration_s"] == pytest.approx(expected_s, abs=1e-6)


def quantile_gap(durations_s: Floats) -> float:
    low, high = np.quantile(durations_s, [0.05, 0.95])
    return float(high - low)


def test_a_correlation_of_a_third_makes_the_range_almost_three_times_as_wide() -> None:
    """The evening example one by one: 35 s, and 97 s with a correlation of 0.3.

    The independent model has the same ranges. The sampling error of each is about 4 %.
    """
    rng = np.random.default_rng(1)
    for correlation, wide_s in ((0.0, 35.0), (0.3, 97.0)):
        one = ScenarioFile.load(
            scenarios_dir() / "checkout-evening.yaml",
            [f"services.checkout.steps.correlation={correlation}"],
        ).scenario
        durations_s = np.array(
            [
                sum(float(step.sum()) for step in step_durations(one, "checkout", 1, k).values())
                for k in range(2000)
            ]
        )
        assert quantile_gap(durations_s) == pytest.approx(wide_s, rel=0.08)
        expected_s = sum(
            correlated_s(mean_s, cv, correlation, (2000, 24), rng).sum(axis=1)
            for mean_s, cv in ((5.0, 0.3), (4.0, 0.4))
        )
        assert quantile_gap(durations_s) == pytest.approx(quantile_gap(expected_s), rel=0.12)
        assert np.mean(durations_s) == pytest.approx(24 * (1 + 5 + 1 + 4), rel=0.01)


@pytest.mark.parametrize("kind", range(len(DURATIONS)))
@pytest.mark.parametrize("correlation", [0.3, 1.0])
def test_a_correlation_leaves_every_distribution_as_it_is(kind: int, correlation: float) -> None:
    duration = TypeAdapter(Distribution).validate_python(DURATIONS[kind])
    rng, common = np.random.default_rng(5), np.random.default_rng(6).standard_normal(3000)
    drawn = np.concatenate(
        [correlate_durations(duration, correlation, float(z), rng, 1) for z in common]
    )
    plain = duration.sample_s(np.random.default_rng(7), 3000)
    assert set(np.unique(drawn)) <= set(np.unique(plain)) or len(np.unique(drawn)) == 3000
    assert stats.ks_2samp(drawn, plain).pvalue > 0.001


def test_full_correlation_makes_instances_equally_slow() -> None:
    one = scenario(steps={"deploy": {"gamma": {"mean": "5s", "cv": 1}}, "correlation": 1})
    first, second = (step_durations(one, "app", 1, k)["deploy"] for k in range(2))
    assert len(set(first)) == len(set(second)) == 1
    assert first[0] != second[0]


def test_steps_without_a_correlation_are_drawn_as_before() -> None:
    """The same numbers as from each step's own stream."""
    steps = {"deploy": {"mean": "5s", "cv": 0.3}}
    plain, none = (
        scenario(steps={**steps, **own}, instances=3) for own in ({}, {"correlation": 0})
    )
    rng = np.random.default_rng([1, 0, 2]).spawn(6)[2]
    expected_s = plain.service.steps.deploy.sample_s(rng, 3)
    for one in (plain, none):
        assert np.array_equal(step_durations(one, "app", 1, 0)["deploy"], expected_s)


def test_the_oracle_is_independent() -> None:
    text = (Path(__file__).parents[3] / "benchmarks/oracles/steps.py").read_text(encoding="utf-8")
    assert "simulation" not in text
