"""Changes of a scenario keep its requests, and break no rule."""

from __future__ import annotations

import pytest

from executor.base.errors import BadInput
from simulation.study.why.changes import (
    limited_objectives,
    with_objectives,
    with_values,
    without_rollout,
)
from tests.helpers.scenarios import run_once, small_shop


def test_values_are_set_by_their_keys_and_the_rest_stays() -> None:
    shop = small_shop()
    changed = with_values(
        shop, {"rollout.pre_stop": "2s", "services.app.balancer.policy": "random"}
    )
    assert changed.rollout is not None
    assert changed.rollout.pre_stop == 2.0
    assert changed.services["app"].balancer.policy == "random"
    assert (
        with_values(
            changed, {"rollout.pre_stop": "0s", "services.app.balancer.policy": "round_robin"}
        )
        == shop
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rollout.window": 7}, "window"),
        ({"rollout.window": "many"}, "count or a whole percentage"),
        ({"rollout.surge": 1, "rollout.advance": "batch"}, "must be sliding"),
    ],
)
def test_values_that_break_a_rule_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        with_values(small_shop(), values)


def test_without_a_rollout_the_same_requests_arrive() -> None:
    shop = small_shop()
    rolled = run_once(shop)
    steady = run_once(without_rollout(shop, rolled.settled_s))
    assert rolled.table is not None
    assert steady.table is not None
    assert steady.end_s == rolled.end_s
    assert steady.table.arrival_s.tolist() == rolled.table.arrival_s.tolist()
    assert steady.metrics["rollout_duration_s"] is None


def test_objectives_are_left_out_by_name() -> None:
    shop = small_shop(objectives={"in_runs": "80%", "latency_p99": "1s", "duration": "5m"})
    assert limited_objectives(shop) == ("latency_p99", "duration")
    only = with_objectives(shop, ("duration",))
    assert limited_objectives(only) == ("duration",)
    assert only.objectives.in_runs == 0.8
