"""Means, survival and excess of every kind of distribution, compared with its samples and quantiles."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from scipy import integrate

from simulation.scenario.distributions import KINDS, Distribution

PARSE: TypeAdapter[Any] = TypeAdapter(Distribution)

# value, mean, cv, a time, what share lasts longer, what goes beyond it in the mean
CASES: dict[str, tuple[Any, float, float, float, float, float]] = {
    "constant": ("200ms", 0.2, 0.0, 0.05, 1.0, 0.15),
    "exponential": ({"exponential": "50ms"}, 0.05, 1.0, 0.2, math.exp(-4), 0.05 * math.exp(-4)),
    "lognormal": (
        {"mean": "1s", "cv": 1},
        1.0,
        1.0,
        math.sqrt(0.5),
        0.5,
        0.7974521 - math.sqrt(0.5) / 2,
    ),
    "gamma": (
        {"gamma": {"mean": "2s", "cv": math.sqrt(0.5)}},  # Erlang-2 of two phases of 1 s
        *(2.0, math.sqrt(0.5), 3.0, 4 * math.exp(-3), 5 * math.exp(-3)),
    ),
    "weibull": (
        {"weibull": {"mean": "2s", "shape": 0.5}},  # scale 1 s: P(S > t) = exp(−√t)
        *(2.0, math.sqrt(5.0), 4.0, math.exp(-2), 2 * (1 + 2) * math.exp(-2)),
    ),
    "empirical": ({"empirical": ["1s", "2s", "3s", "6s"]}, 3.0, math.sqrt(3.5) / 3, 2.0, 0.5, 1.25),
    "shifted": (
        {"shifted": {"by": "1s", "of": {"exponential": "1s"}}},
        *(2.0, 0.5, 2.0, math.exp(-1), math.exp(-1)),
    ),
}


def test_every_kind_has_a_case() -> None:
    assert CASES.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", CASES)
def test_known_answers(kind: str) -> None:
    value, mean_s, cv, time_s, longer, excess_s = CASES[kind]
    one = PARSE.validate_python(value)
    times = np.array([time_s])
    assert one.mean_s() == pytest.approx(mean_s)
    assert one.cv() == pytest.approx(cv)
    assert one.survival(times) == pytest.approx([longer])
    assert one.excess_s(times) == pytest.approx([excess_s], rel=1e-6)


@pytest.mark.parametrize("kind", CASES)
def test_excess_is_the_integral_of_survival(kind: str) -> None:
    one = PARSE.validate_python(CASES[kind][0])
    for begin_s in (0.0, 0.3, 1.5):
        end_s = 60.0 * one.mean_s() * max(1.0, one.cv())
        edges = np.geomspace(max(begin_s, 1e-6), end_s, 40_001)
        whole = np.concatenate([[begin_s], edges]) if begin_s == 0 else edges
        area = integrate.trapezoid(one.survival(whole), whole)
        assert one.excess_s(np.array([begin_s]))[0] == pytest.approx(area, rel=2e-3, abs=1e-9)


@pytest.mark.parametrize("kind", CASES)
def test_survival_is_that_of_the_samples(kind: str) -> None:
    one = PARSE.validate_python(CASES[kind][0])
    values = one.sample_s(np.random.default_rng(5), 200_000)
    times = np.array([0.0, 0.5, 1.0, 2.0]) * one.mean_s() + 1e-9
    seen = np.array([np.mean(values > time) for time in times])
    assert one.survival(times) == pytest.approx(seen, abs=0.005)  # over four standard errors
    assert one.cv() == pytest.approx(np.std(values) / np.mean(values), rel=0.1, abs=1e-12)


@pytest.mark.parametrize("kind", CASES)
def test_survival_before_time_0_is_1(kind: str) -> None:
    one = PARSE.validate_python(CASES[kind][0])
    times = np.array([-2.0, -0.5])
    assert one.survival(times).tolist() == [1.0, 1.0]
    assert one.excess_s(times) == pytest.approx(one.mean_s() - times)


@pytest.mark.parametrize(
    "value",
    [
        "0s",
        {"exponential": "0s"},
        {"gamma": {"mean": "0s", "cv": 1}},
        {"weibull": {"mean": "0s", "shape": 2}},
        {"empirical": ["0s"]},
        {"shifted": {"by": "0s", "of": "0s"}},
    ],
)
def test_durations_of_zero(value: Any) -> None:
    one = PARSE.validate_python(value)
    times = np.array([-1.0, 0.0, 1.0])
    assert one.cv() == 0.0
    assert one.survival(times).tolist() == [1.0, 0.0, 0.0]
    assert one.excess_s(times).tolist() == [1.0, 0.0, 0.0]


def test_a_lognormal_without_spread_is_a_constant() -> None:
    one = PARSE.validate_python({"mean": "2s", "cv": 0})
    times = np.array([0.0, 1.0, 2.5])
    assert one.survival(times).tolist() == [1.0, 1.0, 0.0]
    assert one.excess_s(times) == pytest.approx([2.0, 1.0, 0.0])


@given(st.sampled_from([kind for kind in CASES if kind != "constant"]), st.floats(0.01, 0.99))
def test_survival_undoes_the_quantile(kind: str, q: float) -> None:
    one = PARSE.validate_python(CASES[kind][0])
    if kind == "empirical":
        return  # its quantiles lie between samples
    assert one.survival(np.array([one.quantile_s(q)]))[0] == pytest.approx(1 - q, abs=1e-9)
