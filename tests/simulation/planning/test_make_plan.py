"""What a plan says of a scenario: deadlines of its steps, counts, and what cannot be carried out."""

from __future__ import annotations

from typing import Any

import pytest

from executor.base.errors import Refused
from executor.plan.model import PLAN_1, PLAN_2, Plan, Step
from simulation.planning.make_plan import outline_plan, step_deadlines_s
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


def planned(kind: str | None = None, **rollout: Any) -> Plan:
    workload = {"kind": kind, "name": "app"} if kind else None
    return outline_plan(
        scenario(instances=10, service={"workload": workload}, rollout={"window": 2, **rollout})
    )


def test_a_plan_has_counts_where_the_scenario_has_shares() -> None:
    """Half of ten must stay, one in four may fail (two), and the last listed is first."""
    plan = planned(
        min_healthy="41%", max_failures="29%", on_failure="continue", instance_order="reverse"
    )
    assert (plan.min_in_pool, plan.max_failures) == (5, 2)
    assert plan.instances == tuple(f"app-{number:02d}" for number in range(10, 0, -1))


@pytest.mark.parametrize(
    ("rollout", "key"),
    [
        ({"on_failure": "budget"}, "rollout.on_failure (budget)"),
        ({"progress_deadline": "60s"}, "rollout.progress_deadline (60 s)"),
        ({"healthy_deadline": "60s"}, "rollout.healthy_deadline (60 s)"),
        (
            {"advance": "batch", "on_failure": "continue", "stop_when_batch_failed": True},
            "rollout.stop_when_batch_failed (true)",
        ),
    ],
)
def test_what_the_executor_cannot_carry_out_is_refused_by_name(
    rollout: dict[str, Any], key: str
) -> None:
    with pytest.raises(Refused, match="is no plan: ") as refused:
        planned(**rollout)
    assert key in str(refused.value)


def test_what_changes_nothing_is_no_reason_to_refuse() -> None:
    assert planned(stop_when_batch_failed=True).schema_ == PLAN_1


def test_a_plan_for_a_controller_carries_budget_and_deadline() -> None:
    plan = planned(replacement="beside", on_failure="budget")
    assert (plan.schema_, plan.on_failure, plan.progress_deadline_s) == (PLAN_2, "budget", 600.0)
    assert planned(replacement="beside", progress_deadline="5m").progress_deadline_s == 300.0
    assert planned("StatefulSet", window=1, on_failure="budget").on_failure == "budget"
    with pytest.raises(Refused, match=r"rollout\.healthy_deadline"):
        planned(replacement="beside", healthy_deadline="5m")
