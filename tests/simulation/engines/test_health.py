"""Health checks: how a balancer notices that instances are down or up."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.engine import Bench

CHECKS: dict[str, Any] = {"interval": "2s", "timeout": "1s", "rise": 2, "fall": 3}


def checked(requests: list[tuple[float, float]], **parts: Any) -> Bench:
    given = {"instances": 2, "slots": 50, "balancer": {"health_check": CHECKS}, **parts}
    return Bench(requests, **given)


def phase_s(bench: Bench, instance: int = 0) -> float:
    """Return the time of the instance's first check."""
    return bench.station()._draws.uniform("phase", instance) * 2.0


STEADY = [(0.1 * k, 0.01) for k in range(1, 600)]


def test_an_instance_that_stops_keeps_receiving_until_enough_checks_fail() -> None:
    """Dead at 10 s: the third failed check takes the instance out, the second passed check brings it back."""
    bench = checked(STEADY)
    bench.run(10)
    bench.station().stop(0)
    bench.run(30)
    bench.station().start(0, new_version=False)
    bench.run(60)
    table = bench.engine.table()
    refused_s = table.arrival_s[(table.outcome == 3)]
    first_check_s = phase_s(bench) + 2.0 * -(-(10 - phase_s(bench)) // 2.0)
    out_s = first_check_s + 2 * 2.0
    assert 10 <= refused_s.min() < 10.3
    assert out_s - 0.3 < refused_s.max() <= out_s
    back = table.arrival_s[(table.instance == 0) & (table.arrival_s > 20)].min()
    up_s = phase_s(bench) + 2.0 * -(-(30 - phase_s(bench)) // 2.0) + 2.0
    assert up_s <= back < up_s + 0.3


def test_a_check_of_a_saturated_instance_times_out_and_takes_it_out() -> None:
    """A slot is taken for 30 s: three checks time out in the queue, later the instance is back."""
    bench = checked([(0.0, 30.0), *STEADY], instances=2, slots=1)
    bench.run(4.0 + phase_s(bench) + 1.0 - 0.001)
    assert bench.station()._pool.believed == [True, True]
    bench.run(4.0 + phase_s(bench) + 1.0 + 0.001)
    assert bench.station()._pool.believed == [False, True]
    bench.run(36)
    assert bench.station()._pool.believed == [True, True]


def test_a_check_takes_its_turn_and_passes_when_that_is_in_time() -> None:
    """Requests take 0.7 s: a check waits for the slot, but never a whole second."""
    bench = checked([(0.0, 0.7)] * 60, instances=1, slots=1, queue="instance")
    bench.run(2)  # 60 in the queue: those checks stand behind all of them
    bench.run(43)
    assert bench.station()._pool.believed == [False]
    alone = checked([(k * 0.8, 0.79) for k in range(50)], instances=1, slots=1)
    alone.run(40)
    assert alone.station()._pool.believed == [True]
    assert alone.outcomes().count("ok") >= 49


def test_a_passing_check_cancels_its_own_timeout() -> None:
    """With `fall: 1`, a single wrong timeout would take the instance out."""
    rule = {"interval": "2s", "timeout": "1s", "rise": 1, "fall": 1}
    bench = checked([(0.0, 0.5)] * 2, instances=1, slots=1, balancer={"health_check": rule})
    for until_s in range(1, 30):
        bench.run(until_s)
        assert bench.station()._pool.believed == [True]


def test_an_instance_that_dies_does_not_answer_the_check_that_waits() -> None:
    rule = {"interval": "2s", "timeout": "2s", "rise": 1, "fall": 1}
    bench = checked([(0.0, 9.0)], instances=1, slots=1, balancer={"health_check": rule})
    begins_s = phase_s(bench)
    bench.run(begins_s + 0.1)
    bench.station().crash(0)
    bench.station().start(0, new_version=False)
    bench.run(begins_s + 1.99)
    assert bench.station()._pool.believed == [True]
    bench.run(begins_s + 2.0 + 1e-6)
    # The lost check failed, and the next one, at the same instant, passed after it.
    assert bench.station()._pool._health is not None
    assert bench.station()._pool.believed == [True]
    assert bench.outcomes() == ["error"]


def test_returning_waits_for_fresh_passes() -> None:
    bench = checked([], instances=1)
    bench.run(10)
    healthy = bench.station().when_healthy(0)
    checks_s = [phase_s(bench) + 2.0 * k for k in range(20)]
    second_s = [t for t in checks_s if t > 10][1]
    bench.run(second_s - 0.001)
    assert not healthy.triggered
    bench.run(second_s + 0.001)
    assert healthy.triggered


def test_without_checks_an_instance_is_healthy_at_once() -> None:
    assert Bench([]).station().when_healthy(0).triggered


@pytest.mark.parametrize("lag_s", [0.0, 3.0])
def test_belief_follows_announcements_within_the_lag(lag_s: float) -> None:
    bench = Bench(
        [(0.05 * k, 0.01) for k in range(400)], instances=2, propagation_delay=f"{lag_s:g}s"
    )
    bench.run(5)
    bench.station().set_pool(0, False)
    bench.run(20)
    table = bench.engine.table()
    last_s = table.arrival_s[table.instance == 0].max()
    assert 5 + lag_s - 0.15 <= last_s <= 5 + lag_s
