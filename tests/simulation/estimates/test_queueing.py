"""Queueing theory against its known answers (model.md §11), and what must always hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.estimates.queueing import (
    erlang_b,
    fluid_backlog,
    let_in,
    poisson_range,
    queue_over_time,
)
from simulation.scenario.units import Floats
from tests.helpers.steady_wait import erlang_c, steady_wait


def every(value: float, count: int = 64) -> Floats:
    return np.full(count, value)


# slots, offered, Erlang B, Erlang C; the last two columns by recursion and by hand
ERLANG: dict[str, tuple[float, float, float, float]] = {
    "one slot": (1, 0.8, 0.8 / 1.8, 0.8),
    "four slots": (4, 3.0, 0.206107, 0.509434),
    "a fleet": (72, 54.0, 0.003139732, 0.012442),
    "too much": (4, 8.0, 0.574689, 1.0),
    "far too much": (10, 1e6, 1 - 10 / 1e6, 1.0),
    "nothing": (4, 0.0, 0.0, 0.0),
}


@pytest.mark.parametrize("case", ERLANG)
def test_erlang(case: str) -> None:
    slots, offered, blocked, waits = ERLANG[case]
    assert float(erlang_b(np.array(slots), np.array(offered))) == pytest.approx(blocked, rel=1e-4)
    assert float(erlang_c(np.array(slots), np.array(offered))) == pytest.approx(waits, rel=1e-4)


def by_recursion(slots: int, offered: float) -> float:
    """B(c) = a·B(c − 1)/(c + a·B(c − 1)), B(0) = 1."""
    blocked = 1.0
    for count in range(1, slots + 1):
        blocked = offered * blocked / (count + offered * blocked)
    return blocked


@given(st.integers(1, 3000), st.floats(0.01, 3.0))
def test_erlang_b_is_that_of_the_recursion(slots: int, load: float) -> None:
    found = float(erlang_b(np.array(float(slots)), np.array(slots * load)))
    assert found == pytest.approx(by_recursion(slots, slots * load), rel=1e-5, abs=1e-12)


# rate, mean service, slots, variability, share that waits, mean wait, p99 of the wait
WAITS: dict[str, tuple[float, float, float, float, float, float, float]] = {
    "M/M/1": (16, 0.05, 1, 1.0, 0.8, 0.2, math.log(80) / 4),
    "M/M/4": (60, 0.05, 4, 1.0, 0.50943, 0.025472, 0.1965),
    "M/D/1": (12, 0.05, 1, 0.5, 0.6, 0.0375, math.log(60) / 16),
    "M/G/1 cv 1": (12, 0.05, 1, 1.0, 0.6, 0.075, math.log(60) / 8),
    "M/M/72": (1080, 0.05, 72, 1.0, 0.012442, 0.012442 / 360, math.log(1.2442) / 360),
    "too much": (90, 0.05, 4, 1.0, 1.0, math.inf, math.inf),
    "nobody waits": (1, 0.05, 72, 1.0, 0.0, 0.0, 0.0),
}


@pytest.mark.parametrize("case", WAITS)
def test_steady_waits(case: str) -> None:
    rate_rps, service_s, slots, variability, fraction, mean_s, p99_s = WAITS[case]
    found = steady_wait(rate_rps, service_s, slots, variability)
    assert found.fraction == pytest.approx(fraction, abs=5e-6)
    assert found.mean_s() == pytest.approx(mean_s, rel=1e-4, abs=1e-12)
    assert found.quantile_s(0.99) == pytest.approx(p99_s, rel=1e-3, abs=1e-12)


@pytest.mark.parametrize("case", ["M/M/1", "M/M/4", "M/D/1", "M/G/1 cv 1", "M/M/72"])
def test_the_queue_over_time_stays_in_its_steady_state(case: str) -> None:
    rate_rps, service_s, slots, variability, fraction, mean_s, _ = WAITS[case]
    capacity_rps = slots / service_s
    found = queue_over_time(
        every(rate_rps), every(capacity_rps), every(slots), every(0.5), variability=variability
    )
    assert 1 - found.free == pytest.approx(every(fraction), rel=0.01)
    assert found.mean() / capacity_rps == pytest.approx(every(mean_s), rel=0.01)


def test_an_overload_piles_up_its_backlog() -> None:
    rate, capacity = every(1584.0, 100), every(1440.0, 100)
    assert fluid_backlog(rate, capacity, every(1.0, 100))[-1] == pytest.approx(14_400)
    found = queue_over_time(rate, capacity, every(72.0, 100), every(1.0, 100), variability=1.0)
    assert found.mean()[-1] == pytest.approx(14_400, rel=0.02)


def test_a_backlog_goes_and_does_not_go_below_nothing() -> None:
    rate = np.array([20.0, 20.0, 5.0, 5.0, 5.0, 20.0])
    found = fluid_backlog(rate, every(10.0, 6), every(1.0, 6))
    assert found.tolist() == [10.0, 20.0, 15.0, 10.0, 5.0, 15.0]
    assert fluid_backlog(rate, every(30.0, 6), every(1.0, 6), begin=25.0).tolist() == [
        *(15.0, 5.0, 0.0, 0.0, 0.0, 0.0)
    ]


def test_a_queue_takes_time_to_become_long() -> None:
    """At ρ = 0.99 from nothing: far below the steady state at first, and at last there."""
    rate = np.concatenate([every(40.0, 4), every(79.2, 196)])
    found = queue_over_time(
        rate, every(80.0, 200), every(4.0, 200), every(20.0, 200), variability=1
    )
    steady = steady_wait(79.2, 0.05, 4).mean_s() * 80
    assert found.mean()[4] < steady / 2
    assert found.mean()[-1] == pytest.approx(steady, rel=0.1)


def test_of_many_queues_some_are_new() -> None:
    """Where nothing comes and nothing is served, a half that is new halves the mean."""
    rate = np.concatenate([every(20.0, 40), np.zeros(2)])
    step, nobody = every(0.1, 42), np.zeros(42)
    fresh = np.zeros(42)
    fresh[41] = 0.5
    found = queue_over_time(rate, nobody, nobody, step, variability=1.0, fresh=fresh)
    assert found.mean()[41] == pytest.approx(found.mean()[40] / 2, rel=1e-6)
    assert found.free[41] == pytest.approx(0.5, abs=0.01)


def test_free_slots_take_in_what_comes_first() -> None:
    """Ten of 20 slots go; the rest were half full, so that five arrivals find one free."""
    step = every(0.01, 300)
    slots = np.concatenate([every(20.0, 100), every(10.0, 200)])
    left = np.zeros(300)
    left[100] = 10.0
    found = let_in(every(10.0, 300), slots, slots, left, step)
    assert found[:100] == pytest.approx(every(10.0, 100))
    assert found[100] == pytest.approx(5.0, rel=0.02)
    kept = np.sum((10.0 - found) * step)
    assert kept == pytest.approx(5 * (1 - math.exp(-2)), rel=0.01)  # over two service times
    assert np.all(np.diff(found[100:]) >= -1e-9)


def test_slots_that_come_back_are_empty_and_take_from_the_queue() -> None:
    slots = np.array([10.0, 10.0, 14.0, 14.0])
    found = let_in(every(20.0, 4), slots, slots, np.zeros(4), every(5.0, 4))
    assert found == pytest.approx([20.0, 20.0, 20.0 - 4 / 5, 20.0])


def test_without_anybody_everything_waits() -> None:
    nobody = np.zeros(4)
    assert let_in(every(20.0, 4), nobody, nobody, nobody, every(1.0, 4)).tolist() == [20.0] * 4
    nobody = np.zeros(40)
    found = queue_over_time(every(20.0, 40), nobody, nobody, every(0.1, 40), variability=1.0)
    assert found.mean()[9::10] == pytest.approx([20, 40, 60, 80], rel=0.06)


RATES = st.lists(st.floats(0.0, 200.0), min_size=6, max_size=6)


@given(RATES, RATES, st.floats(0.0, 20.0), st.floats(0.25, 4.0))
def test_more_that_comes_never_waits_less(
    rates: list[float], capacities: list[float], more: float, variability: float
) -> None:
    rate, capacity = np.repeat(rates, 8), np.repeat(capacities, 8)
    slots = np.maximum(capacity * 0.05, 0.05)

    def mean(extra_rps: float) -> Floats:
        return queue_over_time(
            rate + extra_rps, capacity, slots, every(1.0, 48), variability=variability
        ).mean()

    less, longer = mean(0.0), mean(more)
    assert np.isfinite(less).all()
    assert np.isfinite(longer).all()
    # The grids differ: they reach as far as is needed.
    assert np.sum(longer) >= np.sum(less) * 0.95 - 0.5
    assert np.all(
        fluid_backlog(rate + more, capacity, every(1.0, 48))
        >= fluid_backlog(rate, capacity, every(1.0, 48))
    )


@given(st.floats(0.1, 500), st.floats(0.001, 2), st.integers(1, 200), st.floats(0, 5))
def test_more_that_comes_waits_longer_in_the_steady_state(
    rate_rps: float, service_s: float, slots: int, variability: float
) -> None:
    one, more = (
        steady_wait(rate, service_s, slots, variability + 0.1)
        for rate in (rate_rps, rate_rps * 1.1)
    )
    assert more.mean_s() >= one.mean_s()
    assert more.quantile_s(0.99) >= one.quantile_s(0.99)
    assert 0 <= one.fraction <= more.fraction <= 1


@pytest.mark.parametrize(
    ("mean", "low", "high"),
    [(0.0, 0.0, 0.0), (0.02, 0.0, 0.0), (0.1, 0.0, 1.0), (1.0, 0.0, 3.0), (100.0, 84.0, 117.0)],
)
def test_the_range_of_a_count(mean: float, low: float, high: float) -> None:
    assert poisson_range(mean) == (low, high)
