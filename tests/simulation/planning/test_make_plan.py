"""By when each step of a plan must have ended."""

from __future__ import annotations

from typing import Any

import pytest

from executor.plan.model import Step
from simulation.planning.make_plan import step_deadlines_s
from tests.helpers.scenarios import scenario

DEADLINES = [
    # the rollout's changes, the deadlines that are not the shortest or those of the steps
    pytest.param({"drain": {"timeout": "30s", "on_timeout": "cut"}}, 10 + 30, 10 + 30, id="cut"),
    pytest.param({"drain": {"timeout": "30s", "on_timeout": "abort"}}, 40, 40, id="abort"),
    pytest.param(
        {"drain": {"timeout": "30s", "on_timeout": "wait"}},
        10 + 3 * 4,
        40,
        id="wait: three times the p99.9 of a request, whatever the timeout",
    ),
    pytest.param(
        {"drain": {"timeout": "5s", "on_timeout": "cut"}, "pre_stop": "20s"},
        10 + 20,
        40,
        id="the time before the stop, where it is longer than the drain",
    ),
    pytest.param(
        {"drain": {"timeout": "25s", "on_timeout": "cut"}, "pre_stop": "20s"},
        10 + 25,
        40,
        id="the drain, where it is longer than the time before the stop",
    ),
    pytest.param(
        {"drain": {"timeout": "5s", "on_timeout": "wait"}, "pre_stop": "13s"},
        10 + 13,
        40,
        id="the time before the stop, where it is longer than three requests",
    ),
    pytest.param(
        {"drain": {"timeout": "30s", "on_timeout": "cut"}, "stop": {"grace": "45s"}},
        40,
        10 + 45,
        id="a longer grace period",
    ),
    pytest.param(
        {"drain": {"timeout": "30s", "on_timeout": "cut"}, "stop": {"mode": "abrupt"}},
        40,
        10,
        id="an abrupt stop has no grace period",
    ),
]


@pytest.mark.parametrize(("changes", "take_out_s", "stop_s"), DEADLINES)
def test_deadlines(changes: dict[str, Any], take_out_s: float, stop_s: float) -> None:
    rolled = scenario(
        service_time="4s",
        rate="1/s",
        steps={"deploy": "5s", "start": "3s"},
        rollout={"window": 1, **changes},
    )
    assert step_deadlines_s(rolled) == pytest.approx(
        {
            Step.TAKE_OUT: take_out_s,
            Step.STOP: stop_s,
            Step.DEPLOY: 15.0,
            Step.VERIFY: 10.0,
            Step.START: 10.0,
            Step.RETURN: 10.0,
        }
    )


def test_the_deadline_of_a_step_leaves_time_for_shared_work_and_uncertain_durations() -> None:
    def deploy_s(**steps: Any) -> float:
        rolled = scenario(steps={"deploy": "5s", **steps}, rollout={"window": 3})
        return step_deadlines_s(rolled)[Step.DEPLOY]

    assert deploy_s(shared={"deploy": "4s"}) == pytest.approx(3 * (5 + 3 * 4))
    assert deploy_s(uncertain="50%") == pytest.approx(3 * 5 * 1.5 ** (3.0902 / 1.6449), rel=1e-3)
