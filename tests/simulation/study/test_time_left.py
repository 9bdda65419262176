"""The time left of a study, and the limit on how often its progress is reported."""

from __future__ import annotations

import pytest

from simulation.study.time_left import Eta, Throttle


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_the_time_left_comes_from_simulated_results_not_from_stored_ones() -> None:
    clock = Clock()
    eta = Eta(100, clock)
    for _ in range(40):
        eta.record_result(was_stored=True)
    assert eta.left_s() is None
    for _ in range(10):
        clock.now_s += 2.0
        eta.record_result(was_stored=False)
    assert (eta.done, eta.left_s()) == (50, 100.0)
    for _ in range(50):
        clock.now_s += 1.0
        eta.record_result(was_stored=False)
    assert eta.left_s() == 0.0


@pytest.mark.parametrize(("count", "left_s"), [(2, None), (3, 7 * 2.0)])
def test_three_simulated_results_are_enough_for_a_time_left(
    count: int, left_s: float | None
) -> None:
    clock = Clock()
    eta = Eta(10, clock)
    for _ in range(count):
        clock.now_s += 2.0
        eta.record_result(was_stored=False)
    assert eta.left_s() == left_s


def test_only_the_latest_64_results_count() -> None:
    """After 63 fast results one slow one is still among the latest, after 64 no longer."""
    clock = Clock()
    eta = Eta(1000, clock)
    eta.record_result(was_stored=False)
    clock.now_s += 1000.0
    for _ in range(63):
        clock.now_s += 1.0
        eta.record_result(was_stored=False)
    assert eta.left_s() == pytest.approx(936 * 1063 / 63)
    clock.now_s += 1.0
    eta.record_result(was_stored=False)
    assert eta.left_s() == pytest.approx(935 * 1.0)


def test_a_throttle_is_due_at_once_and_then_when_the_interval_has_passed() -> None:
    clock = Clock()
    throttle = Throttle(0.5, clock)
    assert throttle.is_due()
    assert throttle.is_due()  # until it is restarted
    throttle.restart()
    assert not throttle.is_due()
    clock.now_s += 0.499
    assert not throttle.is_due()
    clock.now_s = 100.5
    assert throttle.is_due()
