"""Balanced connections: requests stay with their connection's instance (model.md §14)."""

from __future__ import annotations

import math
import statistics
from typing import Any

import numpy as np
import pytest

from benchmarks.oracles import connections as oracle
from simulation.results.run_result import EngineName
from tests.helpers.agree import difference, ran
from tests.helpers.engine import Bench
from tests.helpers.scenarios import scenario


def bench(requests: list[tuple[Any, ...]], **parts: Any) -> Bench:
    """Return an engine whose service, of two instances, balances connections, by default only one."""
    rule = {"balance": "connection", "connections": 1, **parts.pop("balancer", {})}
    return Bench(requests, **{"instances": 2, "queue": "instance", "balancer": rule, **parts})


def test_a_connection_stays_until_its_instance_stops_and_does_not_come_back() -> None:
    """The connection carries requests to instance 0 while it drains, until its stop."""
    one = bench([(t, 0.1) for t in (0.5, 1.5, 2.5, 3.5)])
    station = one.station()
    one.run(1)
    station.set_pool(0, False)
    one.run(2)
    station.stop(0)
    one.run(3)
    station.start(0, new_version=True)
    station.set_pool(0, True)
    one.run(9)
    assert one.instances() == [0, 0, 1, 1]
    assert set(one.outcomes()) == {"ok"}


def test_a_stopped_instance_serves_what_its_busy_connection_carries() -> None:
    """The request of 1.2 comes over a connection in use, so it is served by the stopped instance 0."""
    one = bench([(0.5, 1.0), (1.2, 1.0), (3.0, 0.1)])
    station = one.station()
    one.run(1)
    station.set_pool(0, False)
    station.stop(0)
    one.run(9)
    assert one.instances() == [0, 0, 1]
    assert one.finishes() == [1.5, 2.5, 3.1]


def test_connections_are_closed_from_the_take_out_on() -> None:
    one = bench(
        [(0.5, 1.0), (1.2, 0.1), (3.0, 0.1)], balancer={"close_connections": "take_out"}, slots=2
    )
    one.run(1)
    one.station().set_pool(0, False)
    one.run(9)
    assert one.instances() == [0, 0, 1]


def test_a_cut_closes_connections_that_have_requests() -> None:
    one = bench([(0.5, 9.0), (2.0, 0.1)], balancer={"close_connections": "never"})
    station = one.station()
    one.run(1)
    station.set_pool(0, False)
    assert station.cut(0) == 1
    one.run(9)
    assert one.instances() == [0, 1]
    assert one.outcomes() == ["cut", "ok"]


def test_a_crash_closes_connections_and_the_dead_instance_refuses_new_ones() -> None:
    """The round robin's pointer stands at instance 1, then at the dead instance 0, then at 1."""
    one = bench([(t, 0.1) for t in (0.5, 2.0, 3.0)])
    one.run(1)
    one.station().crash(0)
    one.run(2.5)
    one.station().crash(1)
    one.station().start(1, new_version=False)
    one.run(9)
    assert one.instances() == [0, 1, 0]
    assert one.outcomes() == ["ok", "ok", "refused"]


def test_a_retried_connect_takes_the_connection_that_another_request_opened() -> None:
    """Request 0 tries the dead instance 0 for 2 s; request 1 opens the connection to instance 1."""
    one = bench(
        [(1.0, 0.1), (1.5, 0.1)], balancer={"connect_retries": {"attempts": 3, "delay": "2s"}}
    )
    station = one.station()
    station.crash(0)
    station.set_pool(1, False)
    station.set_pool(1, True)
    station._policy.pick(0, 0)  # round robin's next is instance 0
    one.run(9)
    assert one.instances() == [1, 1]
    assert one.outcomes() == ["ok", "ok"]
    assert one.finishes() == [3.1, 1.6]


def test_an_old_connection_is_renewed_once_its_requests_have_finished() -> None:
    """Round robin: the connection moves to instance 1 after 4 s, but not during the long request."""
    requests = [(0.02 * k, 0.01) for k in range(1, 200)] + [(4.1, 3.0), (8.5, 0.1), (12.9, 0.1)]
    one = bench(requests, balancer={"max_age": "4s"}, slots=2)
    one.run(20)
    moved = np.flatnonzero(np.diff(one.instances()[:199]))
    assert len(moved) == 1  # its age at the start is between 0 and 4 s
    assert one.instances()[-3:] == [1, 0, 1]
    assert set(one.outcomes()) == {"ok"}


def test_ages_at_the_start_are_uniform() -> None:
    rule = {"connections": 20_000, "max_age": "10s"}
    one = bench([], balancer=rule)
    shared = one.station()._shared
    assert shared is not None
    one.run(4)
    old = sum(connection.instance < 0 for connection in shared._connections)
    assert old / 20_000 == pytest.approx(0.4, abs=5 * math.sqrt(0.24 / 20_000))


@pytest.mark.parametrize("policy", ["round_robin", "least_connections"])
def test_connections_are_spread_by_the_policy_at_the_start(policy: str) -> None:
    one = bench([], balancer={"connections": 200}, policy=policy, instances=8)
    shared = one.station()._shared
    assert shared is not None
    assert shared.open_count == [25] * 8


def test_least_connections_counts_connections_and_not_requests() -> None:
    """Instance 1 returns without a connection and gets the next ones, however busy instance 0 is."""
    one = bench(
        [(3.0 + k / 10, 0.01) for k in range(200)],
        balancer={"connections": 8, "close_connections": "take_out"},
        policy="least_connections",
    )
    station = one.station()
    shared = station._shared
    assert shared is not None
    station.set_pool(1, False)
    station.set_pool(1, True)
    assert shared.open_count == [4, 0]
    one.run(60)
    assert shared.open_count == [4, 4]


def test_each_request_takes_a_connection_uniformly() -> None:
    """Two connections to two instances: each gets half of 2,000 requests."""
    one = bench([(k / 10, 0.01) for k in range(2000)], balancer={"connections": 2})
    one.run(300)
    assert np.mean(one.instances()) == pytest.approx(0.5, abs=5 * math.sqrt(0.25 / 2000))


def test_never_makes_every_drain_run_to_its_timeout() -> None:
    """Eight instances, one after the other, with hardly a request: 7 s of drain and 2 s of deploy each."""
    one = scenario(
        rate="1/s",
        instances=8,
        queue="instance",
        balancer={"balance": "connection", "close_connections": "never"},
        steps={"deploy": "2s"},
        rollout={"window": 1, "drain": {"timeout": "7s"}},
    )
    _, result = ran(one, EngineName.REFERENCE)
    assert result.metrics["rollout_duration_s"] == pytest.approx(8 * 9.0)
    assert result.requests["refused"] == 0


@pytest.mark.parametrize("close", ["stop", "take_out"])
def test_idle_connections_hold_up_no_drain(close: str) -> None:
    one = scenario(
        rate="0.1/s",
        instances=8,
        queue="instance",
        service_time="10ms",
        balancer={"balance": "connection", "close_connections": close},
        steps={"deploy": "2s"},
        rollout={"window": 1, "drain": {"timeout": "7s"}},
    )
    _, result = ran(one, EngineName.REFERENCE)
    assert result.metrics["rollout_duration_s"] == pytest.approx(8 * 2.0, abs=0.1)


def test_candidates_take_the_same_connections() -> None:
    """The connection of a request does not depend on the rollout, so candidates are paired."""
    one = bench([(k / 10, 0.01) for k in range(50)], balancer={"connections": 7})
    other = bench([(k / 10, 0.01) for k in range(50)], balancer={"connections": 7}, instances=5)
    for each in (one, other):
        each.run(30)
    numbers = [
        [call.connection.number for call in each.calls() if call.connection]
        for each in (one, other)
    ]
    assert numbers[0] == numbers[1]
    assert set(numbers[0]) == set(range(7))


def _of_oracle(count: int, max_age_s: float) -> Any:
    balance: dict[str, Any] = {}
    if count:
        max_age = "none" if math.isinf(max_age_s) else f"{max_age_s:g}s"
        balance = {"balance": "connection", "connections": count, "max_age": max_age}
    return scenario(
        rate=f"{oracle.RATE_RPS:g}/s",
        instances=oracle.INSTANCES,
        slots=oracle.SLOTS,
        service_time={"exponential": f"{1000 * oracle.SERVICE_S:g}ms"},
        policy="random",
        queue="instance",
        balancer=balance,
        steps={"deploy": f"{oracle.DEPLOY_S:g}s"},
        rollout={"window": oracle.WINDOW, "drain": {"timeout": f"{oracle.DRAIN_S:g}s"}},
        clock={"warm_up": f"{oracle.WARM_UP_S:g}s", "horizon": f"{oracle.END_S:g}s"},
    )


@pytest.mark.parametrize("name", oracle.CASES)
def test_engines_agree_on_the_independent_model_s_scenario(name: str) -> None:
    assert difference(_of_oracle(*oracle.CASES[name])) is None


@pytest.mark.slow
@pytest.mark.parametrize("name", oracle.CASES)
def test_an_independent_model_gives_the_same_p99(name: str) -> None:
    """Both samples of p99 have one distribution: Kolmogorov-Smirnov at a level of 0.1 %."""
    count, max_age_s = oracle.CASES[name]
    theirs = [oracle.simulate(seed, count, max_age_s) for seed in range(oracle.RUNS)]
    one = _of_oracle(count, max_age_s)
    mine = [
        ran(one, EngineName.COMPILED, replication, keep_requests=False)[1].metrics
        for replication in range(oracle.RUNS)
    ]
    p99_s = np.array([metrics["latency_p99_s"] for metrics in mine], dtype=float)
    other_s = np.array([p99 for p99, _ in theirs])
    grid = np.concatenate([p99_s, other_s])
    shares = [np.mean(sample[:, None] <= grid, axis=0) for sample in (p99_s, other_s)]
    assert np.max(np.abs(shares[0] - shares[1])) < 1.95 * math.sqrt(2 / oracle.RUNS)
    cut = np.array([metrics["cut_requests"] for metrics in mine], dtype=float)
    other_cut = [float(number) for _, number in theirs]
    error = math.hypot(np.std(cut), statistics.pstdev(other_cut)) / math.sqrt(oracle.RUNS)
    assert np.mean(cut) == pytest.approx(statistics.fmean(other_cut), abs=4 * error + 0.1)
