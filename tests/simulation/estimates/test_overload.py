"""Endless overload: what counts as one, by hand, and that nothing of it is simulated."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from simulation.estimates.estimate import estimate
from simulation.estimates.overload import EndlessOverload, OverloadedFleet, find_endless_overload
from simulation.planning.search import search
from simulation.results.failures import Cause
from simulation.results.result_bytes import pack, unpack
from simulation.results.run_result import Ending
from simulation.scenario.model import Scenario
from simulation.study.case import cases_of
from simulation.study.compare import compare
from simulation.study.execution import Execution
from simulation.study.notes import NoteKind, notes_of
from simulation.study.rows import run_rows
from tests.helpers.scenarios import of_services, run_once, scenario

FLEET: dict[str, Any] = {
    "instances": 8,
    "slots": 4,
    "service_time": "100ms",
    "steps": {"deploy": "8s"},
    "rollout": {"window": 2},
}
"""A fleet that serves 320 requests/s; its rollout takes about 32 s."""

SLOWER = {"new": {"service_factor": 1.25}}
"""A new version with which the fleet serves 256 requests/s."""

ANY, NEW = OverloadedFleet.ANY, OverloadedFleet.NEW


def rises(from_s: int, to: str) -> dict[str, Any]:
    return {"steps": [["0s", "100/s"], [f"{from_s}s", to]]}


CASES: dict[str, tuple[dict[str, Any], EndlessOverload | None]] = {
    "six times the fleet": ({"rate": "1920/s"}, EndlessOverload(ANY, "app", 1920, 320)),
    "just above": ({"rate": "320.1/s"}, EndlessOverload(ANY, "app", 320.1, 320)),
    "at capacity": ({"rate": "320/s"}, None),
    "just below": ({"rate": "319.9/s"}, None),
    "a slower version": (
        {"rate": "300/s", "versions": SLOWER},
        EndlessOverload(NEW, "app", 300, 256),
    ),
    "a slower version, just below": ({"rate": "255.9/s", "versions": SLOWER}, None),
    "neither version": (
        {"rate": "400/s", "versions": SLOWER},
        EndlessOverload(ANY, "app", 400, 320),
    ),
    "a queue with a limit": ({"rate": "400/s", "queue_limit": 10}, None),
    "clients that leave": ({"rate": "400/s", "client_timeout": "2s"}, None),
    "clients that leave more often than they may": (
        {"rate": "400/s", "client_timeout": "2s", "objectives": {"error_fraction": "19%"}},
        EndlessOverload(ANY, "app", 400, 320),
    ),
    "clients that leave as often as they may": (
        {"rate": "400/s", "client_timeout": "2s", "objectives": {"error_fraction": "21%"}},
        None,
    ),
    "a faster version is the remedy": (
        {"rate": "400/s", "versions": {"new": {"service_factor": 0.5}}},
        None,
    ),
    "a slower version that is not rolled": (
        {"rate": "300/s", "versions": SLOWER, "rollout": None},
        None,
    ),
    "without a rollout": (
        {"rate": "400/s", "rollout": None},
        EndlessOverload(ANY, "app", 400, 320),
    ),
    "a cold start passes": (
        {"rate": "300/s", "versions": {"new": {"cold": {"factor": 4, "decay": "5s"}}}},
        None,
    ),
    "a guard may stop it": (
        {
            "rate": "300/s",
            "versions": SLOWER,
            "rollout": {"window": 2, "guards": {"latency_p99": "1s"}},
        },
        None,
    ),
    "no guard helps any version": (
        {"rate": "400/s", "rollout": {"window": 2, "guards": {"latency_p99": "1s"}}},
        EndlessOverload(ANY, "app", 400, 320),
    ),
    "a canary that only waits": (
        {
            "rate": "300/s",
            "versions": SLOWER,
            "rollout": {"strategy": "canary", "canary": [{"share": "20%", "bake": "9s"}]},
        },
        EndlessOverload(NEW, "app", 300, 256),
    ),
    "a canary that checks": (
        {
            "rate": "300/s",
            "versions": SLOWER,
            "rollout": {
                "strategy": "canary",
                "canary": [{"share": "20%", "bake": "9s", "latency_p99": "1s"}],
            },
        },
        None,
    ),
    "a peak that passes": (
        {"rate": {"steps": [["0s", "1920/s"], ["10m", "100/s"]]}},
        None,
    ),
    "a rate that rises and stays": (
        {"rate": rises(10, "640/s")},
        EndlessOverload(ANY, "app", 640, 320),
    ),
    "a rate that rises when all is over": ({"rate": rises(3600, "640/s")}, None),
    "a day that falls below": (
        {"rate": {"daily": {"low": "300/s", "high": "900/s", "peak": "00:00"}}},
        None,
    ),
    "a day that never falls below": (
        {"rate": {"daily": {"low": "400/s", "high": "900/s", "peak": "00:00"}}},
        EndlessOverload(ANY, "app", 400, 320),
    ),
    "a horizon is an end": ({"rate": "1920/s", "clock": {"horizon": "100s"}}, None),
    "retries are not counted": (
        {
            "rate": "319/s",
            "classes": {"all": {"client_timeout": "50ms", "retries": {"attempts": 3}}},
        },
        None,
    ),
    "pull": ({"rate": "400/s", "policy": "pull"}, EndlessOverload(ANY, "app", 400, 320)),
    "pull, just below": ({"rate": "319.9/s", "policy": "pull"}, None),
    "connections without a slot": (
        {
            "rate": "400/s",
            "classes": {
                "all": {"share": "75%"},
                "ws": {"holds_slot": False, "service_time": {"app": "10m"}},
            },
        },
        None,
    ),
    "the same with more requests": (
        {
            "rate": "440/s",
            "classes": {
                "all": {"share": "75%"},
                "ws": {"holds_slot": False, "service_time": {"app": "10m"}},
            },
        },
        EndlessOverload(ANY, "app", 330, 320),
    ),
}


def same(found: EndlessOverload | None, expected: EndlessOverload | None) -> bool:
    if found is None or expected is None:
        return found is expected
    rates = (found.offered_rps, found.capacity_rps)
    return (found.fleet, found.service) == (expected.fleet, expected.service) and pytest.approx(
        (expected.offered_rps, expected.capacity_rps), rel=1e-4
    ) == rates


@pytest.mark.parametrize("name", CASES)
def test_what_counts_as_endless_overload(name: str) -> None:
    keys, expected = CASES[name]
    found = find_endless_overload(scenario(**{**FLEET, **keys}))
    assert same(found, expected), found


def test_closed_traffic_is_never_overloaded_for_ever() -> None:
    """A thousand clients that never rest on one slot: each waits for its answer."""
    clients = {"count": 1000, "think_time": "1ms"}
    one = scenario(
        rate=None,
        instances=1,
        slots=1,
        traffic={"arrivals": "closed", "clients": clients},
        rollout={"window": 1},
    )
    assert find_endless_overload(one) is None


def test_a_slot_is_held_while_the_next_service_works() -> None:
    """Ten slots for 100 ms + 100 ms serve 50/s, although their own work alone would allow 100/s."""
    services = {
        "web": {"instances": 1, "slots": 10, "service_time": "100ms"},
        "store": {"instances": 1, "slots": 100, "service_time": "100ms"},
    }
    classes = {"all": {"route": ["web", "store"]}}
    assert find_endless_overload(of_services(services, classes, "49.9/s")) is None
    found = find_endless_overload(of_services(services, classes, "60/s"))
    assert same(found, EndlessOverload(ANY, "web", 60, 50)), found


@pytest.fixture(
    params=[{"rate": "1920/s"}, {"rate": "300/s", "versions": SLOWER}], ids=["six", "new"]
)
def overloaded(request: pytest.FixtureRequest) -> Scenario:
    return scenario(**{**FLEET, **request.param}, objectives={"latency_p99": "1s"}, replications=60)


def test_a_run_ends_at_its_start_and_has_no_figure(overloaded: Scenario) -> None:
    run = run_once(overloaded)
    assert run.ended is Ending.HORIZON
    assert run.stopped_by is not None
    assert run.stopped_by.cause is Cause.ENDLESS_OVERLOAD
    assert (run.settled_s, sum(run.requests.values())) == (0.0, 0)
    assert set(run.metrics.values()) == {None}
    assert run.table is not None
    assert len(run.table.arrival_s) == 0
    stored = unpack(pack(run))
    assert (stored.stopped_by, stored.metrics) == (run.stopped_by, run.metrics)


def test_with_an_end_the_same_is_simulated_and_piles_up() -> None:
    """Six times the fleet for 100 s: (1,920 − 320)·100 s wait at its end, less those that drain."""
    clock = {"horizon": "100s", "warm_up": "0s"}
    run = run_once(scenario(**{**FLEET, "rate": "1920/s", "rollout": None}, clock=clock))
    waiting = run.requests["in_flight"] - 32
    assert waiting == pytest.approx(160_000, rel=0.01)


def test_a_study_answers_at_once_with_the_sentence(overloaded: Scenario) -> None:
    cases = cases_of(overloaded, [1, 2, 4])
    began_s = time.process_time()
    rows = list(run_rows(overloaded, cases, Execution(jobs=1)))
    comparison = compare(overloaded, cases, rows)
    assert time.process_time() - began_s < 5  # to the horizon it takes minutes
    for candidate in comparison.candidates:
        verdict = candidate.verdict
        assert verdict.answer == "fails"
        assert [reason[:17] for reason in verdict.reasons] == ["endless overload:"]
    assert comparison.chosen is None
    notes = notes_of(overloaded)
    assert [note.kind for note in notes] == [NoteKind.ENDLESS_OVERLOAD]
    assert json.dumps(comparison.candidate_json(0))


def test_the_planner_finds_it_hopeless_without_a_run(overloaded: Scenario) -> None:
    found = search(overloaded, cases_of(overloaded, [1, 2]), Execution(jobs=1))
    assert found is not None
    assert [looked.outcome for looked in found.looked] == ["hopeless", "hopeless"]
    assert found.runs_count == 0


def test_there_is_no_estimate(overloaded: Scenario) -> None:
    found = estimate(overloaded)
    assert found.hopeless[0].startswith("endless overload: ")
    assert found.rollout_duration_s is None
    assert found.rollout_latency_p99_s is None
    assert found.lowest_in_pool_count is None
    assert found.why_none("rollout_duration_s") is not None


def test_other_starts_are_simulated(tmp_path: Path) -> None:
    """A trace that ends overloaded: one start is named, the other one is simulated."""
    rows = "\n".join(f"{60 * k},{100 if k < 60 else 640}" for k in range(120))
    (tmp_path / "trace.csv").write_text(f"time,rate\n{rows}\n", encoding="utf-8")
    one = scenario(
        **{**FLEET, "rate": {"trace": str(tmp_path / "trace.csv")}},
        clock={"start": "1m", "warm_up": "30s"},
        replications=1,
    )
    cases = cases_of(one, starts=[60.0, 4200.0])
    [row] = run_rows(one, cases, Execution(jobs=1))
    calm, over = row.runs
    assert calm.ended is Ending.DONE
    assert calm.metrics["rollout_duration_s"] is not None
    assert over.stopped_by is not None
    assert over.end_s == calm.end_s
