"""Limits on what is observed, at exactly the limit; and what ends a drain and a stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
import simpy

from executor.plan.model import Gate, Step
from simulation.control.draining import SimulatedStepFailed, drain, finish
from simulation.control.guards import find_crossed_limit, watch
from simulation.control.instances import Instances
from simulation.control.strategies.rolling import Rolling
from simulation.control.strategy import StopSignal, Task
from simulation.requests.draws import Draws
from simulation.requests.plane import EndedCalls, RequestPlane
from simulation.results.failures import Cause, Failure, GuardFigure
from simulation.scenario.model import NewVersion
from simulation.scenario.rollout import Drain, Guards, Rollout, Stop

NOTHING = EndedCalls(0, 0, np.array([]))


def calls(ended: int, failed: int = 0, latency_s: float = 0.1) -> EndedCalls:
    return EndedCalls(ended, failed, np.full(ended - failed, latency_s))


@pytest.mark.parametrize(
    ("seen", "crossed"),
    [
        (NOTHING, None),
        (calls(100, failed=5), None),  # exactly the limit
        (calls(100, failed=6), GuardFigure.ERROR_FRACTION),
        (calls(1, failed=1), GuardFigure.ERROR_FRACTION),
        (calls(100, latency_s=0.5), None),  # exactly the limit
        (calls(100, latency_s=0.501), GuardFigure.LATENCY_P99_S),
        (calls(1, latency_s=0.501), GuardFigure.LATENCY_P99_S),
        (calls(100, failed=6, latency_s=0.501), GuardFigure.ERROR_FRACTION),  # errors come first
    ],
)
def test_a_limit_is_crossed_above_it(seen: EndedCalls, crossed: GuardFigure | None) -> None:
    failure = find_crossed_limit(Cause.GUARD, seen, 0.05, 0.5)
    assert (None if failure is None else failure.figure) == crossed


def test_only_limits_that_are_asked_for_are_watched() -> None:
    bad = calls(100, failed=50, latency_s=9.0)
    assert find_crossed_limit(Cause.GUARD, bad, None, None) is None
    failure = find_crossed_limit(Cause.GUARD, bad, None, 0.5, over_s=30.0)
    assert failure == Failure(
        Cause.GUARD, figure=GuardFigure.LATENCY_P99_S, observed=9.0, limit=0.5, over_s=30.0
    )


class Plane:
    """A plane of which each test says what is observed and what is in flight, by the time.

    Attributes:
        intervals: The intervals that were asked for.
        cut_at: When an instance was cut.
    """

    def __init__(
        self,
        env: simpy.Environment,
        seen: Callable[[float, float], EndedCalls] = lambda since_s, until_s: NOTHING,
        in_flight: Callable[[float], int] = lambda now_s: 0,
        idle_at_s: float = 1e9,
    ) -> None:
        self._env, self._seen, self._in_flight = env, seen, in_flight
        self._idle_at_s = idle_at_s
        self.intervals: list[tuple[float, float]] = []
        self.cut_at: list[float] = []

    def ended_between(
        self, since_s: float, until_s: float, new_version: bool | None = None
    ) -> EndedCalls:
        self.intervals.append((since_s, until_s))
        return self._seen(since_s, until_s)

    def count(self, _instance: int) -> int:
        return self._in_flight(float(self._env.now))

    def close_connections(self, _instance: int) -> None:
        """Do nothing: no connection is shared."""

    def when_idle(self, _instance: int) -> simpy.Event:
        return self._env.timeout(self._idle_at_s)

    def cut(self, _instance: int) -> int:
        self.cut_at.append(float(self._env.now))
        return 1

    def plane(self) -> RequestPlane:
        return cast(RequestPlane, self)


def test_a_guard_looks_every_second_over_its_interval_and_trips_once() -> None:
    env = simpy.Environment()
    plane = Plane(env, lambda _since_s, until_s: calls(10, failed=10 if until_s >= 3 else 0))
    tripped: list[tuple[float, Failure]] = []
    rule = Guards(error_fraction=0.5, over="30s")
    env.process(watch(env, plane.plane(), rule, lambda why: tripped.append((env.now, why))))
    env.run(until=10.5)
    assert plane.intervals == [(-29.0, 1.0), (-28.0, 2.0), (-27.0, 3.0)]
    [(at_s, failure)] = tripped
    assert (at_s, failure.cause, failure.over_s) == (3.0, Cause.GUARD, 30.0)


def bake(
    seen: Callable[[float, float], EndedCalls], pause_s: float = 5.5
) -> tuple[float, Plane, Any]:
    """When a bake of a new version ends, what it asked for, and what it ended by."""
    env = simpy.Environment()
    plane = Plane(env, seen)
    rule = Rollout()
    instances = Instances(
        env, plane.plane(), power=[1.0], work_s=1.0, second_count=0, log=lambda _: None
    )
    task = Task(rule, NewVersion(), 1, 0, 0, 0, (0,), {}, Draws(1, 0))
    strategy = Rolling(env, plane.plane(), instances, task)
    strategy._stop_signal = StopSignal(env)
    gate = Gate(kind="bake", pause_s=pause_s, error_fraction=0.05)
    env.run(until=env.process(strategy._pass_gate(gate)))
    return float(env.now), plane, strategy._stop_signal.failure


@pytest.mark.parametrize(
    ("ended", "at_s"), [(99, 5.5), (100, 1.0)], ids=["too few, so it waits", "enough"]
)
def test_a_bake_is_cut_short_by_a_hundred_answers(ended: int, at_s: float) -> None:
    now_s, _plane, failure = bake(lambda _since_s, _until_s: calls(ended, failed=ended // 2))
    assert now_s == at_s
    assert failure.cause == Cause.CANARY


def test_at_the_end_of_a_bake_whatever_there_is_counts() -> None:
    now_s, plane, failure = bake(lambda _since_s, _until_s: calls(1, failed=1))
    assert (now_s, failure.observed) == (5.5, 1.0)
    assert plane.intervals == [(0.0, at_s) for at_s in (1.0, 2.0, 3.0, 4.0, 5.0, 5.5)]


def test_a_bake_that_crosses_no_limit_ends_by_itself() -> None:
    now_s, _plane, failure = bake(lambda _since_s, _until_s: calls(100, failed=5))
    assert (now_s, failure) == (5.5, None)


def run_drain(plane: Plane, env: simpy.Environment, **rule: Any) -> float:
    env.run(until=env.process(drain(env, plane.plane(), 0, Drain(**rule))))
    return float(env.now)


@pytest.mark.parametrize(
    ("idle_at_s", "ends_s", "cut_at"),
    [
        pytest.param(3.0, 3.0, [], id="idle in time"),
        pytest.param(5.0, 5.0, [], id="idle exactly at the timeout"),
        pytest.param(5.5, 5.0, [5.0], id="too late"),
    ],
)
def test_a_drain_of_five_seconds(idle_at_s: float, ends_s: float, cut_at: list[float]) -> None:
    env = simpy.Environment()
    plane = Plane(env, in_flight=lambda now_s: int(now_s < idle_at_s), idle_at_s=idle_at_s)
    assert run_drain(plane, env, timeout="5s") == ends_s
    assert plane.cut_at == cut_at


def test_a_drain_that_aborts_says_what_was_in_flight() -> None:
    env = simpy.Environment()
    plane = Plane(env, in_flight=lambda _now_s: 7)
    with pytest.raises(SimulatedStepFailed) as failed:
        run_drain(plane, env, timeout="5s", on_timeout="abort")
    assert failed.value.failure == Failure(
        Cause.DRAIN_TIMEOUT,
        step=Step.TAKE_OUT,
        figure=GuardFigure.REQUESTS_IN_FLIGHT,
        observed=7,
        limit=0,
        over_s=5.0,
    )


def test_a_drain_is_over_after_two_polls_in_a_row_without_a_request() -> None:
    """Polls at 1, 2, 3 …: the one at 1 finds nothing, the one at 2 finds a request again."""
    env = simpy.Environment()
    plane = Plane(env, in_flight=lambda now_s: int(now_s == 2.0))
    assert run_drain(plane, env, timeout="30s", poll="1s") == 4.0


@pytest.mark.parametrize(
    ("rule", "pre_stop_s", "in_flight", "ends_s", "cut_at"),
    [
        pytest.param(Stop(grace="30s"), 10.0, 1, 20.0, [20.0], id="pre_stop is part of the grace"),
        pytest.param(Stop(grace="5s"), 10.0, 1, 0.0, [0.0], id="pre_stop used all of the grace"),
        pytest.param(Stop(mode="abrupt"), 0.0, 1, 0.0, [0.0], id="abrupt"),
        pytest.param(Stop(grace="30s"), 0.0, 0, 0.0, [], id="nothing is in flight"),
    ],
)
def test_a_stop_cuts_what_is_left_after_its_grace(
    rule: Stop, pre_stop_s: float, in_flight: int, ends_s: float, cut_at: list[float]
) -> None:
    env = simpy.Environment()
    plane = Plane(env, in_flight=lambda _now_s: in_flight)
    env.run(until=env.process(finish(env, plane.plane(), 0, rule, pre_stop_s)))
    assert (float(env.now), plane.cut_at) == (ends_s, cut_at)
