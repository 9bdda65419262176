"""Scenarios in which no candidate meets: what is offered, and that it meets in a fresh study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from simulation.planning.alternatives.find import (
    find_alternatives,
    has_alternatives,
    tried_in_comparison,
)
from simulation.planning.alternatives.model import Alternatives, ChangeKind
from simulation.scenario.model import Scenario
from simulation.study.case import cases_of
from simulation.study.compare import compare
from simulation.study.execution import Execution
from simulation.study.rows import run_rows
from tests.helpers.scenarios import scenario

HERE = Execution(jobs=1)
FRESH_SEED, FRESH_RUNS = 987_654, 181


@dataclass(frozen=True)
class Infeasible:
    """A scenario whose windows all miss the objectives, with the kinds of changes that must be offered."""

    parts: dict[str, Any]
    windows: Sequence[int]
    offers: frozenset[ChangeKind]
    never: frozenset[ChangeKind]

    def scenario(self, **more: Any) -> Scenario:
        return scenario(**{**self.parts, **more})


K = ChangeKind
_STEPS = {"deploy": "4s", "start": {"mean": "2s", "cv": 0.3}}
INFEASIBLE = {
    "too few instances for the traffic at this hour": Infeasible(
        {
            "rate": {"steps": [[0, "20/s"], ["9h", "66/s"], ["15h", "30/s"]]},
            "instances": 8,
            "slots": 1,
            "service_time": {"mean": "100ms", "cv": 1},
            "policy": "least_connections",
            "steps": _STEPS,
            "clock": {"start": "12:00"},
            "rollout": {"window": 2},
            "objectives": {"latency_p99": "1s"},
        },
        (2, 4),
        frozenset({K.MORE_INSTANCES, K.EARLIER_START, K.LATER_START}),
        frozenset({K.WIDER_WINDOW, K.LONGER_DURATION_LIMIT}),
    ),
    "a window that takes too long": Infeasible(
        {
            "rate": "30/s",
            "instances": 12,
            "service_time": {"mean": "50ms", "cv": 1},
            "steps": _STEPS,
            "rollout": {"window": 1},
            "objectives": {"latency_p99": "1s", "duration": "45s"},
        },
        (1,),
        frozenset({K.WIDER_WINDOW, K.LONGER_DURATION_LIMIT}),
        frozenset({K.MORE_INSTANCES, K.NARROWER_WINDOW, K.EARLIER_START, K.LATER_START}),
    ),
    "a balancer that learns late": Infeasible(
        {
            "rate": "60/s",
            "instances": 6,
            "slots": 4,
            "service_time": {"mean": "50ms", "cv": 1},
            "propagation_delay": "2s",
            "steps": _STEPS,
            "rollout": {"window": 1},
            "objectives": {"error_fraction": 0.001},
        },
        (1, 2),
        frozenset({K.LONGER_PRE_STOP}),
        frozenset({K.WIDER_WINDOW, K.HIGHER_P99_LIMIT, K.LATER_START}),
    ),
    "a drain that is cut": Infeasible(
        {
            "rate": "4/s",
            "instances": 6,
            "slots": 20,
            "service_time": {"mean": "8s", "cv": 0.5},
            "steps": _STEPS,
            "rollout": {"window": 1, "drain": {"timeout": "4s"}, "stop": {"mode": "abrupt"}},
            "objectives": {"error_fraction": 0.001},
        },
        (1, 2),
        frozenset({K.LONGER_DRAIN}),
        frozenset({K.WIDER_WINDOW, K.MORE_INSTANCES}),
    ),
    "a pause that is too long": Infeasible(
        {
            "rate": "30/s",
            "instances": 6,
            "service_time": {"mean": "50ms", "cv": 1},
            "steps": _STEPS,
            "rollout": {"window": 1, "pause": "20s"},
            "objectives": {"duration": "2m"},
        },
        (1,),
        frozenset({K.SHORTER_PAUSE, K.WIDER_WINDOW, K.LONGER_DURATION_LIMIT}),
        frozenset({K.MORE_INSTANCES, K.LATER_START}),
    ),
    "a Deployment without an instance to spare": Infeasible(
        {
            "rate": "62/s",
            "instances": 4,
            "slots": 2,
            "service_time": {"mean": "100ms", "cv": 1},
            "policy": "least_connections",
            "steps": _STEPS,
            "rollout": {"window": 1, "replacement": "beside"},
            "objectives": {"latency_p99": "900ms", "duration": "18s"},
        },
        (1, 2),
        frozenset({K.SURGE}),
        frozenset({K.WIDER_WINDOW, K.NARROWER_WINDOW, K.LONGER_DURATION_LIMIT}),
    ),
    "a start in a freeze": Infeasible(
        {
            "rate": {"daily": {"low": "10/s", "high": "40/s", "peak": "14:00"}},
            "instances": 6,
            "service_time": {"mean": "50ms", "cv": 1},
            "steps": _STEPS,
            "clock": {"start": "12:00"},
            "rollout": {"window": 1, "freeze": [["08:00", "18:00"]]},
            "objectives": {"latency_p99": "1s"},
        },
        (1, 2),
        frozenset({K.EARLIER_START, K.LATER_START}),
        frozenset({K.MORE_INSTANCES, K.HIGHER_P99_LIMIT}),
    ),
}


def find_for(infeasible: Infeasible) -> Alternatives:
    """Compare the windows in ten runs, and search for changes."""
    one = infeasible.scenario(replications=10)
    cases = cases_of(one, infeasible.windows)
    comparison = compare(one, cases, list(run_rows(one, cases, HERE)))
    assert has_alternatives(comparison)
    alternatives = find_alternatives(one, tried_in_comparison(comparison), HERE)
    assert alternatives is not None
    return alternatives


@pytest.mark.slow
@pytest.mark.parametrize("name", INFEASIBLE)
def test_each_offered_change_meets_in_a_fresh_study(name: str) -> None:
    infeasible = INFEASIBLE[name]
    alternatives = find_for(infeasible)
    kinds = {alternative.change.kind for alternative in alternatives.offered}
    assert infeasible.offers <= kinds
    assert not infeasible.never & kinds
    assert alternatives.runs_count <= alternatives.budget_runs
    assert alternatives.not_searched == ()
    for alternative in alternatives.offered:
        confirmed = alternative.confirmed
        assert confirmed.held
        assert confirmed.scenario.seed != 1
        assert confirmed.result.verdict.answer == "meets"
        fresh = alternative.case.scenario.model_copy(
            update={"seed": FRESH_SEED, "replications": FRESH_RUNS}
        )
        cases = cases_of(fresh)
        result = compare(fresh, cases, list(run_rows(fresh, cases, HERE))).candidates[0]
        assert result.verdict.answer == "meets", (alternative.change, result.verdict)


@pytest.mark.slow
def test_the_smallest_surge_is_offered_that_keeps_the_fleet_and_is_fast_enough() -> None:
    """One instance more keeps the p99 and takes 24 s; two take 13 s, where 18 s are allowed."""
    found = find_for(INFEASIBLE["a Deployment without an instance to spare"])
    [surge] = [offer for offer in found.offered if offer.change.kind is K.SURGE]
    assert (surge.change.key, surge.change.value, surge.change.before) == ("rollout.surge", 2, 0)
    assert surge.cost.surge_count == 2
    assert surge.case.scenario.min_healthy_count("app") == 4
    assert surge.to_json()["candidate"]["surge"] == 2
