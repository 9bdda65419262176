"""The known answers of queueing theory that this engine covers (model.md §11).

Each case simulates independent replications and asks that the mean over them lies within four
standard errors of the answer, and that four standard errors are as small as the case states: an
engine that is off by more than the stated share fails.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from simulation.results.run_result import RunResult
from simulation.scenario.model import Scenario
from tests.helpers.scenarios import of_services, run_once, runs_of, scenario, steady

pytestmark = pytest.mark.slow

STANDARD_ERRORS = 4.0


def assert_mean(values: Sequence[float], expected: float, within: float) -> None:
    """Check a mean against the expected one, with a sampling error of at most ``within`` (a fraction)."""
    mean = float(np.mean(values))
    allowed = STANDARD_ERRORS * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    assert allowed <= within * expected, f"sampling error {allowed / expected:.1%} is too large"
    assert mean == pytest.approx(expected, abs=allowed)


def figures(runs: Sequence[RunResult], name: str) -> list[float]:
    values = [run.metrics[name] for run in runs]
    assert all(value is not None for value in values)
    return [float(value) for value in values if value is not None]


EXPONENTIAL = {"exponential": "50ms"}

LOGNORMAL = {"mean": "50ms", "cv": 1}


def gi_m_1_wait_s(phases: int, rate_rps: float, service_rps: float) -> float:
    """Mean wait of E_k/M/1: σ/(μ(1 − σ)) with σ = A*(μ(1 − σ)) (Kleinrock I, 6.4)."""
    share = 0.5
    for _step in range(200):
        share = (phases * rate_rps / (phases * rate_rps + service_rps * (1 - share))) ** phases
    return share / (service_rps * (1 - share))


def two_choices_response_s(load: float, service_rps: float) -> float:
    """Mean response with the shorter of two queues, many servers: Σ load^(2^i − 1) / (λ).

    The fixed point of the supermarket model (Mitzenmacher, 1996): a share load^(2^i − 1) of the
    servers has i or more; Little's law makes a time of it.
    """
    tails: list[float] = [load ** (2**i - 1) for i in range(1, 12)]
    return sum(tails) / (load * service_rps)


CASES: dict[str, tuple[dict[str, Any], int, dict[str, tuple[float, float]]]] = {
    # Erlang: response 1/(μ − λ), exponential, so p99 = ln(100)/(μ − λ)
    "M/M/1": (
        {"rate": "16/s", "instances": 1, "slots": 1, "horizon": "4000s", "warm_up": "30s"},
        12,
        {"latency_mean_s": (0.25, 0.08), "latency_p99_s": (1.1513, 0.14)},
    ),
    # Erlang C
    "M/M/4": (
        {"rate": "60/s", "instances": 1, "slots": 4, "horizon": "1500s", "warm_up": "30s"},
        12,
        {
            "wait_fraction": (0.50943, 0.03),
            "wait_mean_s": (0.025472, 0.08),
            "wait_p99_s": (0.1965, 0.10),
        },
    ),
    "M/M/4 over four instances, queue at the balancer": (
        {"rate": "60/s", "instances": 4, "slots": 1, "horizon": "1500s", "warm_up": "30s"},
        8,
        {"wait_fraction": (0.50943, 0.03), "wait_mean_s": (0.025472, 0.10)},
    ),
    # Pollaczek–Khinchine
    "M/D/1": (
        {"rate": "12/s", "instances": 1, "slots": 1, "horizon": "3000s", "service_time": "50ms"},
        10,
        {"wait_mean_s": (0.0375, 0.06)},
    ),
    "M/G/1 lognormal cv 1": (
        {
            "rate": "12/s",
            "instances": 1,
            "slots": 1,
            "horizon": "6000s",
            "service_time": {"mean": "50ms", "cv": 1},
        },
        12,
        {"wait_mean_s": (0.075, 0.06)},
    ),
    # Blocking of M/M/1/K at ρ = 1 is 1/(K + 1): ten in the system, nine of them waiting
    "M/M/1/10": (
        {"rate": "20/s", "instances": 1, "slots": 1, "horizon": "3000s", "queue_limit": 9},
        12,
        {"error_fraction": (1 / 11, 0.05)},
    ),
    # Erlang B at three Erlang on four slots, whatever the distribution of the service
    "M/M/4/4": (
        {"rate": "60/s", "instances": 4, "slots": 1, "horizon": "800s", "queue_limit": 0},
        8,
        {"error_fraction": (0.206107, 0.03)},
    ),
    "M/G/4/4": (
        {
            "rate": "60/s",
            "instances": 1,
            "slots": 4,
            "horizon": "800s",
            "queue_limit": 0,
            "service_time": LOGNORMAL,
        },
        8,
        {"error_fraction": (0.206107, 0.03)},
    ),
    # Every fourth of a Poisson stream: Erlang-4 between arrivals
    "E4/M/1 by round robin": (
        {"rate": "64/s", "instances": 4, "slots": 1, "horizon": "1500s", "queue": "instance"},
        8,
        {"wait_mean_s": (gi_m_1_wait_s(4, 16.0, 20.0), 0.08)},
    ),
    # A random quarter of one is Poisson again
    "M/M/1 by random choice": (
        {
            "rate": "64/s",
            "instances": 4,
            "slots": 1,
            "horizon": "1500s",
            "queue": "instance",
            "policy": "random",
        },
        10,
        {"latency_mean_s": (0.25, 0.10)},
    ),
    "the shorter of two queues": (
        {
            "rate": "1800/s",
            "instances": 100,
            "slots": 1,
            "horizon": "60s",
            "warm_up": "20s",
            "queue": "instance",
            "policy": "power_of_two",
        },
        6,
        {"latency_mean_s": (two_choices_response_s(0.9, 20.0), 0.06)},
    ),
    # Erlang C
    "M/M/72": (
        {"rate": "1080/s", "instances": 18, "slots": 4, "horizon": "120s", "warm_up": "5s"},
        8,
        {"wait_fraction": (0.012442, 0.40)},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_queueing_theory(name: str) -> None:
    parts, count, answers = CASES[name]
    runs = runs_of(steady(**{"service_time": EXPONENTIAL, **parts}), count)
    for metric, (expected, within) in answers.items():
        assert_mean(figures(runs, metric), expected, within)


def test_requests_cut_at_a_drain_timeout() -> None:
    """λ·∫ P(S > u) du from the timeout on: 60/s · 50 ms · e⁻⁴ = 0.05495 an instance (model.md §6).

    The whole fleet is taken out at once after 0.6 s of warm-up (twelve mean services), so that
    every instance has seen its full rate; there are slots enough that nothing queues.
    """
    instances = 400
    one = scenario(
        rate=f"{60 * instances}/s",
        instances=instances,
        slots=60,
        service_time=EXPONENTIAL,
        steps={"start": "1s"},
        rollout={"window": instances, "drain": {"timeout": "200ms", "on_timeout": "cut"}},
        clock={"warm_up": "0.6s", "horizon": "0.3s"},
    )
    runs = runs_of(one, 30)
    per_instance = [cut / instances for cut in figures(runs, "cut_requests")]
    assert_mean(per_instance, 60 * 0.05 * math.exp(-4), 0.20)


def test_overload_leaves_the_backlog_of_a_fluid() -> None:
    """(1,584 − 1,440)/s · 100 s = 14,400 waiting at the end."""
    one = steady(
        "100s",
        warm_up="0s",
        rate="1584/s",
        instances=18,
        slots=4,
        service_time=EXPONENTIAL,
    )
    waiting = [run.requests["in_flight"] - 18.0 * 4 for run in runs_of(one, 6)]
    assert_mean(waiting, 14_400.0, 0.08)


def closed(clients: int, servers: int) -> Scenario:
    """Return a scenario of clients that think 1 s and are served in 100 ms, both exponential."""
    return steady(
        "1500s",
        warm_up="30s",
        instances=1,
        slots=servers,
        service_time={"exponential": "100ms"},
        traffic={
            "arrivals": "closed",
            "clients": {"count": clients, "think_time": {"exponential": "1s"}},
        },
    )


def machine_repairman(clients: int, servers: int) -> tuple[float, float]:
    """Throughput and mean response of M/M/c//N, from its birth–death balance (Kleinrock I, 3.8).

    In state k the rate up is (N − k)/Z and the rate down min(k, c)/S; then Little's law.
    """
    weights = [1.0]
    for k in range(clients):
        weights.append(weights[-1] * (clients - k) / 1.0 / (min(k + 1, servers) / 0.1))
    share = [one / sum(weights) for one in weights]
    rate_rps = sum(p * min(k, servers) / 0.1 for k, p in enumerate(share))
    return rate_rps, sum(p * k for k, p in enumerate(share)) / rate_rps


@pytest.mark.parametrize(("clients", "servers"), [(12, 1), (30, 2)])
def test_a_closed_loop_slows_down_with_its_fleet(clients: int, servers: int) -> None:
    rate_rps, response_s = machine_repairman(clients, servers)
    runs = runs_of(closed(clients, servers), 8)
    assert_mean(figures(runs, "latency_mean_s"), response_s, 0.06)
    assert_mean([run.requests["ok"] / 1500 for run in runs], rate_rps, 0.02)


def chain(front: dict[str, Any], back: dict[str, Any], rate: str) -> Scenario:
    return of_services(
        {"web": front, "db": back},
        {"page": {"route": ["web", "db"]}},
        rate=rate,
        clock={"horizon": "4000s", "warm_up": "20s"},
    )


def test_a_front_that_holds_its_slot_is_an_m_g_1_of_the_whole_chain() -> None:
    """Pollaczek–Khinchine with S the sum of two exponentials, 20 ms and 30 ms, at 12/s."""
    mean_s, square_s2 = 0.05, 0.05**2 + 0.02**2 + 0.03**2
    wait_s = 12 * square_s2 / (2 * (1 - 12 * mean_s))
    one = chain(
        {"slots": 1, "service_time": {"exponential": "20ms"}},
        {"service_time": {"exponential": "30ms"}},
        "12/s",
    )
    assert_mean(figures(runs_of(one, 12), "latency_mean_s"), wait_s + mean_s, 0.05)


def test_a_back_with_one_slot_is_an_m_m_1_behind_a_front_that_has_room() -> None:
    """Departures of M/M/∞ are Poisson (Burke): 20 ms in front, then 1/(μ − λ) = 1/(20 − 16) s."""
    one = chain(
        {"service_time": {"exponential": "20ms"}},
        {"slots": 1, "service_time": {"exponential": "50ms"}},
        "16/s",
    )
    assert_mean(figures(runs_of(one, 12), "latency_mean_s"), 0.27, 0.09)


def test_a_replayed_log_obeys_lindleys_recursion_exactly() -> None:
    """One slot, 50 ms each: begin = max(arrival, the end before)."""
    rng = np.random.default_rng(3)
    times = np.round(np.cumsum(rng.exponential(0.06, 2000)), 6).tolist()
    one = steady(
        f"{times[-1]:g}s",
        warm_up="0s",
        instances=1,
        slots=1,
        service_time="50ms",
        rate={"timestamps": times},
        traffic={"arrivals": "replay"},
    )
    table = run_once(one).table
    assert table is not None
    free_s = -math.inf
    for arrival_s, start_s in zip(times, table.start_s.tolist(), strict=False):
        if math.isnan(start_s):
            break
        assert start_s == pytest.approx(max(arrival_s, free_s), abs=1e-9)
        free_s = start_s + 0.05
