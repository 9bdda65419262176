"""Keys that change nothing are named, and only these: each key is changed, and the runs are compared."""

from __future__ import annotations

from typing import Any

import pytest

from simulation.results.run_result import RunResult
from simulation.scenario.file import ScenarioFile
from simulation.scenario.model import Scenario
from simulation.scenario.rollout import ServiceRollout
from simulation.scenario.rules import broken_rules
from simulation.study.ignored_keys import IgnoredKeys, ignored_keys, reason_to_ignore
from studio.views.sentences import ignored_lines
from tests.helpers.scenarios import run_once, scenario

BASE: dict[str, Any] = {
    "window": 2,
    "on_failure": "continue",
    "max_failures": 9,
    "drain": {"timeout": "4s"},
    "pre_stop": "4500ms",
    "canary": [{"share": "34%", "bake": "3s"}],
    "migration": {"expand": "1s"},
}
MANNERS: dict[str, dict[str, Any]] = {
    "rolling": {"strategy": "rolling"},
    "rolling beside": {"strategy": "rolling", "replacement": "beside"},
    "rolling with a surge": {"strategy": "rolling", "surge": 1},
    "canary": {"strategy": "canary"},
    "canary beside": {"strategy": "canary", "replacement": "beside"},
    "blue_green": {"strategy": "blue_green"},
    "recreate": {"strategy": "recreate"},
    "expand_migrate_contract": {"strategy": "expand_migrate_contract"},
    "expand_migrate_contract beside": {
        "strategy": "expand_migrate_contract",
        "replacement": "beside",
    },
}
OTHER: dict[str, Any] = {
    "window": 1,
    "advance": "batch",
    "surge": 2,
    "replacement": "beside",
    "min_healthy": "67%",
    "pause": "5s",
    "min_ready": "2s",
    "instance_order": "reverse",
    "drain": {"timeout": "1s"},
    "pre_stop": "6s",
    "stop": {"mode": "abrupt"},
    "canary": [{"share": "51%", "bake": "9s"}],
    "migration": {"expand": "8s", "contract": "2s"},
    "retries": 3,
    "on_failure": "halt",
    "max_failures": 0,
    "guards": {"error_fraction": "0%", "over": "1s"},
    "stop_when_batch_failed": True,
    "progress_deadline": "3s",
    "healthy_deadline": "4s",
}
"""Another value of each key; `strategy` is the manner itself, and `rounding` has one value only."""


def with_rollout(rollout: dict[str, Any]) -> Scenario:
    """Return six instances that drain and start for different times; some fail to start, all are wrong."""
    return scenario(
        rate="20/s",
        instances=6,
        slots=20,
        service_time={"mean": "800ms", "cv": 1.5},
        propagation_delay="5s",  # so that requests are in flight at a stop
        steps={"deploy": "2s", "start": {"mean": "2s", "cv": 0.9}},
        versions={
            "new": {
                "error_fraction": 0.2,
                "start_fails": 1 if rollout.get("stop_when_batch_failed") is not None else 0.45,
            }
        },
        rollout=rollout,
        clock={"warm_up": "3s", "horizon": "90s"},
        replications=1,
    )


RESULTS = ("states", "ended", "waits", "rollout_duration_s")


def result_of(run: RunResult, name: str) -> object:
    return run.metrics[name] if name in run.metrics else getattr(run, name)


def differs(rollout: dict[str, Any], key: str) -> bool | None:
    """Return whether another value of a key changes the run; None where it is refused."""
    value = OTHER[key]
    if key == "replacement" and (rollout.get(key) == value or "surge" in rollout):
        value = "in_place"
    one, other = with_rollout(rollout), with_rollout({**rollout, key: value})
    assert broken_rules(one) == []
    if broken_rules(other):
        return None
    for replication in range(3):
        mine, theirs = (run_once(case, replication, keep_requests=False) for case in (one, other))
        if any(result_of(mine, name) != result_of(theirs, name) for name in RESULTS):
            return True
    return False


@pytest.mark.parametrize("manner", MANNERS)
@pytest.mark.parametrize("key", sorted({*ServiceRollout.model_fields} - {"strategy", "rounding"}))
def test_exactly_the_keys_that_change_nothing_are_ignored(manner: str, key: str) -> None:
    rollout = {**BASE, **MANNERS[manner]}
    if key == "stop_when_batch_failed":
        rollout |= {key: False, **({"advance": "batch"} if _may_be_batch(rollout) else {})}
    changes = differs(rollout, key)
    rule = with_rollout(rollout).rollout
    assert rule is not None
    if changes is not None:
        assert (reason_to_ignore(rule, key) is None) == changes


def _may_be_batch(rollout: dict[str, Any]) -> bool:
    return "replacement" not in rollout and "surge" not in rollout


REFUSED = {
    *(("rolling beside", key) for key in ("advance", "pause")),
    *(("rolling with a surge", key) for key in ("advance", "pause")),
    *(("canary beside", key) for key in ("advance", "pause")),
    *(("expand_migrate_contract beside", key) for key in ("advance", "pause")),
    *(("recreate", key) for key in ("replacement", "min_healthy")),
}
"""The other values that are refused instead."""


@pytest.mark.parametrize("manner", MANNERS)
def test_the_other_values_are_refused_only_where_it_is_known(manner: str) -> None:
    rollout = {**BASE, **MANNERS[manner]}
    refused = {key for key in OTHER if broken_rules(with_rollout({**rollout, key: OTHER[key]}))}
    assert {(manner, key) for key in refused} == {pair for pair in REFUSED if pair[0] == manner}


TEXT = """
rollcast: scenario/1
traffic: {rate: 10/s, classes: {all: {route: [web]}}}
services:
  web: {instances: 4, service_time: 50ms}
  db: {instances: 4, service_time: 50ms, rollout: {window: 2, strategy: recreate}}
rollout: {strategy: rolling, window: 2, max_failures: 2}
"""


def test_validate_says_which_keys_are_ignored_and_why() -> None:
    one = ScenarioFile.parse(TEXT).scenario
    assert ignored_keys(one) == (
        IgnoredKeys(("services.db.rollout.window",), "strategy recreate"),
        IgnoredKeys(("rollout.max_failures",), "on_failure halt"),
    )
    assert ignored_lines(one)[0] == "services.db.rollout.window: ignored with strategy recreate"


def test_a_common_key_is_ignored_only_where_every_service_ignores_it() -> None:
    one = ScenarioFile.parse(TEXT, sets=["rollout.instance_order=reverse"]).scenario
    assert all("instance_order" not in line for line in ignored_lines(one))
    both = ScenarioFile.parse(
        TEXT, sets=["rollout.instance_order=reverse", "rollout.strategy=blue_green"]
    ).scenario
    assert ignored_lines(both) == [
        "rollout.window: ignored with strategy blue_green",
        "services.db.rollout.window: ignored with strategy recreate",
        "rollout.instance_order: ignored with strategy blue_green or strategy recreate",
        "rollout.max_failures: ignored with on_failure halt",
    ]
