"""What the lab cannot put up is refused by its key."""

from __future__ import annotations

from typing import Any

import pytest

from executor.base.errors import Refused
from studio.lab.limits import refuse_unable
from tests.helpers.scenarios import scenario


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rate": "500/s"}, "traffic.rate (500/s) must not exceed 400/s"),
        ({"rate": {"steps": [["0s", "10/s"], ["1m", "900/s"]]}}, "traffic.rate (900/s)"),
        (
            {"traffic": {"arrivals": "closed", "clients": {"count": 5, "think_time": "1s"}}},
            "traffic.arrivals (closed)",
        ),
        ({"classes": {"all": {"holds_slot": False}}}, "traffic.classes.all.holds_slot (false)"),
        ({"classes": {"all": {"retries": {"attempts": 2}}}}, "retries.attempts (2) must be 0"),
        ({"instances": 40}, "instances (40) must not exceed 32"),
        ({"policy": "source_hash"}, "balancer.policy (source_hash) must be one of"),
        ({"queue_limit": 5}, "balancer.queue_limit (5)"),
        ({"propagation_delay": "1s"}, "balancer.propagation_delay (1 s)"),
        ({"balancer": {"return_delay": "2s"}}, "balancer.return_delay (2 s) must be 0"),
        (
            {"versions": {"new": {"cold": {"factor": 3, "requests": 150}}}},
            "versions.new.cold.requests (150) must be left out for decay",
        ),
        ({"balancer": {"sticky": True}}, "balancer.sticky"),
        (
            {"queue": "instance", "balancer": {"balance": "connection"}},
            "balancer.balance (connection) must be request",
        ),
        (
            {"balancer": {"connect_retries": {"attempts": 2, "delay": "2s"}}},
            "balancer.connect_retries.delay (2 s)",
        ),
        ({"traffic": {"uncertain": "10%"}}, "traffic.uncertain (10%) must be 0"),
        ({"service": {"uncertain": 0.2}}, "uncertain (20%) must be 0"),
        ({"steps": {"uncertain": 0.2}}, "steps.uncertain (20%) must be 0"),
        ({"steps": {"shared": {"return": "4s"}}}, "steps.shared.return (4 s) must be 0"),
        ({"service": {"crashes": {"mtbf": "1h", "repair": "1m"}}}, "crashes must be none"),
        ({"rollout": {"strategy": "recreate"}}, "rollout.strategy (recreate)"),
        ({"rollout": {"surge": 1}}, "rollout.surge (1)"),
        (
            {"rollout": {"window": 2}, "service": {"rollout": {"surge": 1}}},
            "rollout.surge (1)",
        ),
        ({"rollout": {"replacement": "beside"}}, "rollout.replacement (beside) must be in_place"),
        ({"rollout": {"on_failure": "budget"}}, "rollout.on_failure (budget) must be halt"),
        (
            {"rollout": {"progress_deadline": "60s"}},
            "rollout.progress_deadline (60 s) must be none",
        ),
        ({"rollout": {"healthy_deadline": "60s"}}, "rollout.healthy_deadline (60 s) must be none"),
        (
            {
                "rollout": {
                    "advance": "batch",
                    "on_failure": "continue",
                    "stop_when_batch_failed": True,
                }
            },
            "rollout.stop_when_batch_failed (true) must be false",
        ),
    ],
)
def test_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(Refused, match="the lab cannot put up test") as refused:
        refuse_unable(scenario(**{"rate": "100/s", **changes}))
    assert said in str(refused.value)


def test_what_it_can_is_let_through() -> None:
    refuse_unable(
        scenario(
            rate="300/s",
            queue="instance",
            queue_limit=5,
            policy="power_of_two",
            balancer={"connect_retries": {"attempts": 3}},
            rollout={"window": 2, "canary": [{"share": "25%", "bake": "1s"}], "strategy": "canary"},
        )
    )
