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

from simulation.results import RunResult
from tests.helpers.scenarios import runs_of, scenario, steady

pytestmark = pytest.mark.slow

STANDARD_ERRORS = 4.0


def assert_mean(values: Sequence[float], expected: float, within: float) -> None:
    """The mean is the expected one, up to a sampling error of at most ``within`` (a share)."""
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
    tails = [load ** (2**i - 1) for i in range(1, 12)]
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
