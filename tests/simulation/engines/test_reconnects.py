"""Connections that come back after a cut, and retries with a new demand: known answers, engines agree."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from simulation.engines.compiled.layout import has_fast_path
from simulation.results.run_result import METRICS, EngineName
from simulation.scenario.inputs.retries import Reconnects
from simulation.scenario.model import Scenario
from tests.helpers.agree import difference, ran
from tests.helpers.engine import Bench
from tests.helpers.results import figure
from tests.helpers.scenarios import run_once, runs_of, scenario

SOCKET = 1
"""The number of the class of connections."""


def sockets(reconnects: Any, **keys: Any) -> dict[str, Any]:
    return {
        "page": {"share": "50%"},
        "socket": {"share": "50%", "holds_slot": False, "reconnects": reconnects, **keys},
    }


def bench_of(requests: list[Any], reconnects: Any, **parts: Any) -> Bench:
    keys = parts.pop("keys", {})
    defaults = {"instances": 2, "service_time": {"exponential": "60s"}}
    return Bench(requests, **{**defaults, **parts}, classes=sockets(reconnects, **keys))


def cut(bench: Bench, instance: int, *, returns: bool = False) -> None:
    bench.station().set_pool(instance, False)
    bench.station().cut(instance)
    bench.station().set_pool(instance, returns)


@pytest.mark.parametrize("reconnects", [True, {}, {"backoff": "0s", "cost": "0s"}])
def test_true_is_short_for_no_backoff_and_no_cost(reconnects: Any) -> None:
    bench = bench_of([(0.0, 60.0, SOCKET)], reconnects)
    bench.run(1)
    cut(bench, 0)
    bench.run(2)
    assert [call.arrival_s for call in bench.calls()] == [0.0, 1.0]
    assert bench.instances() == [1]


def test_a_client_waits_its_backoff_and_then_the_handshake() -> None:
    """Cut at 1 s: the client asks at 3 s, and its connection opens at 3.5 s, at the same instance."""
    bench = bench_of([(0.0, 60.0, SOCKET)], {"backoff": "2s", "jitter": 0, "cost": "500ms"})
    bench.run(1)
    cut(bench, 0)
    bench.run(10)
    first, handshake, connection = bench.calls()
    assert (first.start_s, first.finish_s) == (0.0, 1.0)
    assert (handshake.start_s, handshake.finish_s, handshake.released_s) == (3.0, 3.5, 3.5)
    assert (connection.start_s, connection.instance, connection.takes_slot) == (3.5, 1, False)
    bench.run(3600)
    assert connection.finish_s == 3.5 + connection.demand_s
    assert bench.outcomes() == ["ok"]
    assert bench.engine.tally(with_bins=False)["reconnects"] == 1


def test_jitter_spreads_the_wait_to_both_sides() -> None:
    rule = Reconnects.model_validate({"backoff": "2s", "jitter": 0.5})
    assert [rule.wait_s(0, u) for u in (0.0, 0.5, 1.0)] == [1.0, 2.0, 3.0]
    bench = bench_of(
        [(0.001 * k, 60.0, SOCKET) for k in range(400)], {"backoff": "2s", "jitter": 0.5}
    )
    bench.run(1)
    cut(bench, 0)
    bench.run(5)
    waits = np.array([call.arrival_s - 1.0 for call in bench.calls()[400:]])
    assert len(waits) == 200
    assert (waits.min(), waits.max()) == (pytest.approx(1, abs=0.1), pytest.approx(3, abs=0.1))
    assert waits.mean() == pytest.approx(2, abs=4 / math.sqrt(12 * 200) * 2)


def test_a_handshake_holds_a_slot_and_waits_for_one() -> None:
    """One slot: the page from 1 s to 5 s, then the handshakes of both connections in turn."""
    bench = bench_of(
        [(0.0, 60.0, SOCKET), (0.1, 60.0, SOCKET), (1.5, 4.0), (6.0, 1.0)],
        {"cost": "2s"},
        instances=["a", "b"],
        policy="source_hash",
        traffic={"sessions": 1},
    )
    bench.run(1)
    home = bench.calls()[0].instance
    bench.station().set_pool(1 - home, False)
    bench.run(2)
    bench.station().cut(home)  # the instance stays in the pool, and its page is cut too
    bench.run(100)
    shakes = [call for call in bench.calls() if call.is_handshake]
    assert [(call.start_s, call.released_s) for call in shakes] == [(2.0, 4.0), (4.0, 6.0)]
    page = next(call for call in bench.calls() if call.arrival_s == 6.0 and call.takes_slot)
    assert page.start_s == 6.0


def test_a_handshake_takes_the_time_of_the_instance_that_makes_it() -> None:
    bench = bench_of(
        [(0.0, 60.0, SOCKET)],
        {"cost": "1s"},
        instances={"fast": {"speed": 4}},
        versions={"old": {"service_factor": 2}},
    )
    bench.run(1)
    bench.station().cut(0)
    bench.run(1.49)
    assert len(bench.calls()) == 2
    bench.run(2)
    assert bench.calls()[2].start_s == 1.5  # 1 s × 2 / 4


def test_a_client_that_finds_no_instance_tries_again_after_a_longer_wait_each_time() -> None:
    """Nobody is in the pool from 1 s to 9 s: attempts at 2, 4, 8 and 16 s; a second cut begins anew."""
    bench = bench_of([(0.0, 600.0, SOCKET)], {"backoff": "1s", "jitter": 0}, instances=1)
    bench.run(1)
    cut(bench, 0)
    bench.run(9)
    bench.station().set_pool(0, True)
    bench.run(17)
    assert [call.arrival_s for call in bench.calls()] == [0.0, 2.0, 4.0, 8.0, 16.0]
    assert bench.calls()[-1].start_s == 16.0
    cut(bench, 0, returns=True)
    bench.run(18.5)
    assert bench.calls()[-1].arrival_s == 18.0
    assert bench.engine.tally(with_bins=False)["reconnects"] == 5


def test_without_a_backoff_a_client_that_finds_no_instance_gives_up() -> None:
    bench = bench_of([(0.0, 600.0, SOCKET)], True, instances=1)
    bench.run(1)
    cut(bench, 0)
    bench.run(9)
    assert bench.outcomes() == ["rejected"]


def test_a_handshake_that_is_cut_is_tried_again() -> None:
    bench = bench_of(
        [(0.0, 600.0, SOCKET)], {"backoff": "1s", "jitter": 0, "cost": "2s"}, instances=1
    )
    bench.run(1)
    cut(bench, 0, returns=True)
    bench.run(3)  # the handshake runs from 2 s to 4 s
    cut(bench, 0, returns=True)
    bench.run(6)
    shakes = [call for call in bench.calls() if call.is_handshake]
    assert [call.start_s for call in shakes] == [2.0, 5.0]
    assert shakes[0].finish_s == 3.0
    assert bench.engine.tally(with_bins=False)["cut_connections"] == 1


def test_a_client_that_leaves_during_its_handshake_gets_no_connection() -> None:
    bench = bench_of(
        [(0.0, 600.0, SOCKET)],
        {"cost": "5s"},
        keys={"client_timeout": "3s"},
        instances=1,
    )
    bench.run(1)
    cut(bench, 0, returns=True)
    bench.run(30)
    _, handshake = bench.calls()
    assert (handshake.finish_s, handshake.released_s) == (4.0, 6.0)
    assert bench.outcomes() == ["timed_out"]


def test_a_handshake_is_no_task_that_goes_back_to_the_queue() -> None:
    bench = bench_of(
        [(0.0, 600.0, SOCKET)],
        {"cost": "5s"},
        policy="pull",
        balancer={"requeue": True},
        instances=1,
    )
    bench.run(1)
    bench.station().cut(0)
    bench.run(2)
    bench.station().cut(0)
    bench.run(3)
    assert [call.requeued for call in bench.calls()] == [False, False, False]
    assert bench.engine.tally(with_bins=False)["reconnects"] == 2


def test_guards_do_not_judge_handshakes() -> None:
    bench = bench_of([(0.0, 600.0, SOCKET), (0.5, 0.1)], {"cost": "1s"}, instances=1)
    bench.run(1)
    cut(bench, 0, returns=True)
    bench.run(5)
    ended = bench.station().ended_between(0.0, 5.0)
    assert (ended.ended, ended.failed) == (2, 1)
    assert ended.latency_s == pytest.approx([0.1])


def test_a_new_version_that_answers_wrongly_makes_no_wrong_handshake() -> None:
    bench = bench_of(
        [(0.0, 600.0, SOCKET)],
        {"cost": "1s"},
        instances=1,
        versions={"old": {"error_fraction": 1.0}},
    )
    bench.run(1)
    cut(bench, 0, returns=True)
    bench.run(5)
    assert bench.station().count(0) == 1
    assert bench.outcomes() == ["in_flight"]


# Whole runs


def fleet(reconnects: Any, **parts: Any) -> Scenario:
    defaults: dict[str, Any] = {
        "rate": "20/s",
        "instances": 4,
        "slots": 2,
        "service_time": {"mean": "60ms", "cv": 1},
        "classes": {
            "page": {"share": "80%", "client_timeout": "400ms", "retries": {"attempts": 2}},
            "ws": {
                "holds_slot": False,
                "reconnects": reconnects,
                "service_time": {"app": {"exponential": "2m"}},
            },
        },
        "steps": {"deploy": "1s", "return": "500ms"},
        "rollout": {"window": 1, "drain": {"timeout": "1s"}},
        "clock": {"warm_up": "2s"},
    }
    return scenario(**{**defaults, **parts})


def test_reconnects_are_counted_and_each_follows_a_cut() -> None:
    run = run_once(fleet({"cost": "5ms"}))
    assert figure(run, "reconnects") == figure(run, "cut_connections") > 300
    assert "reconnects" in METRICS
    assert run_once(fleet(False)).metrics["reconnects"] is None
    assert run_once(scenario(rollout={"window": 1})).metrics["reconnects"] is None


def test_handshakes_fill_the_slots_that_pages_need() -> None:
    """About 120 connections come back from each instance; 120 × 50 ms on six slots are a second of work."""
    quiet, storm, spread = (
        np.mean([figure(run, "rollout_latency_p99_s") for run in runs_of(fleet(how), 10)])
        for how in (
            {"cost": "0s"},
            {"cost": "50ms"},
            {"backoff": "5s", "jitter": 1, "cost": "50ms"},
        )
    )
    assert storm > 1.5 * quiet
    assert spread < 0.9 * storm


POLICIES = ("round_robin", "least_connections", "random", "power_of_two", "source_hash", "pull")


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("queue", ["balancer", "instance"])
def test_engines_agree_on_reconnections(policy: str, queue: str) -> None:
    more = {} if policy == "pull" else {"sticky": True, "propagation_delay": "300ms"}
    one = fleet(
        {"backoff": "300ms", "factor": 3, "cost": "20ms"},
        policy=policy,
        queue="balancer" if policy == "pull" else queue,
        queue_limit=20,
        balancer={"queue_timeout": "2s", "requeue": policy == "pull", **more},
        rollout={
            "window": 2,
            "drain": {"timeout": "200ms"},
            "guards": {"error_fraction": "99%", "over": "2s"},
        },
        service={"crashes": {"mtbf": "20s", "repair": "1s"}},
    )
    assert difference(one) is None
    assert figure(run_once(one), "reconnects") > 100


# Retries with a new demand


def impatient(demand: str) -> Scenario:
    """Return a fleet with much room whose clients wait until a fifth of the services are over."""
    keys = {"attempts": 3, "backoff": "0s", "demand": demand}
    timeout_ms = -100 * math.log(0.8)
    return scenario(
        rate="100/s",
        instances=10,
        slots=40,
        service_time={"exponential": "100ms"},
        classes={"all": {"client_timeout": f"{timeout_ms}ms", "retries": keys}},
        clock={"horizon": "200s", "warm_up": "1s"},
    )


@pytest.mark.parametrize(("demand", "ok_fraction"), [("same", 0.2), ("new", 1 - 0.8**4)])
def test_a_retry_repeats_the_demand_or_draws_a_new_one(demand: str, ok_fraction: float) -> None:
    """A demand that is too long is so in each of four attempts, 20 % are served; with new ones 59 %."""
    run = run_once(impatient(demand), keep_requests=False)
    arrived = run.requests["arrived"]
    spread = math.sqrt(ok_fraction * (1 - ok_fraction) / arrived)
    assert run.requests["ok"] / arrived == pytest.approx(ok_fraction, abs=4 * spread)


def test_a_new_demand_needs_the_way_beside_the_fast_path() -> None:
    one = scenario(queue="instance", classes={"all": {"retries": {"attempts": 1}}})
    assert has_fast_path(one)
    retries = {"attempts": 1, "demand": "new"}
    assert not has_fast_path(scenario(queue="instance", classes={"all": {"retries": retries}}))
    unused = {"attempts": 0, "demand": "new"}
    assert has_fast_path(scenario(queue="instance", classes={"all": {"retries": unused}}))


@pytest.mark.parametrize("backoff", ["0s", "80ms"])
@pytest.mark.parametrize("cancels", [False, True])
def test_engines_agree_on_new_demands_along_a_route(backoff: str, cancels: bool) -> None:
    """A client that has left asks again, while its former attempt goes on along the route."""
    retries = {"attempts": 3, "backoff": backoff, "demand": "new", "budget": "90%"}
    page = {
        "client_timeout": "120ms",
        "cancel_on_disconnect": cancels,
        "retries": retries,
        "route": ["front", "back"],
    }
    one = Scenario.model_validate(
        {
            "rollcast": "scenario/1",
            "traffic": {"rate": "40/s", "classes": {"page": page}},
            "services": {
                "front": {
                    "instances": 3,
                    "slots": 3,
                    "service_time": {"mean": "60ms", "cv": 2},
                    "steps": {"deploy": "500ms"},
                },
                "back": {"instances": 2, "slots": 3, "service_time": {"exponential": "50ms"}},
            },
            "rollout": {"window": 1, "drain": {"timeout": "100ms"}, "order": ["front"]},
            "clock": {"horizon": "20s", "warm_up": "3s"},
        }
    )
    assert difference(one) is None
    _, result = ran(one, EngineName.COMPILED)
    assert result.table is not None
    assert np.count_nonzero(result.table.attempts > 1) > 100


def test_engines_agree_on_new_demands_of_connections_and_clients_of_a_closed_loop() -> None:
    retries = {"attempts": 2, "demand": "new", "backoff": "0s"}
    opened = fleet(False, classes={"ws": {"holds_slot": False, "retries": retries}})
    assert difference(opened) is None
    clients = {"count": 30, "think_time": {"exponential": "500ms"}}
    closed = fleet(
        False,
        traffic={"arrivals": "closed", "clients": clients},
        classes={"page": {"client_timeout": "60ms", "retries": retries}},
    )
    assert difference(closed) is None
