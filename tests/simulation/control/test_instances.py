"""The instances of a service: what the log of the pool says, and who is admitted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
import simpy

from simulation.control.instances import AdmissionQueue, Instances
from simulation.requests.plane import RequestPlane
from simulation.results.pool_log import PoolChange
from simulation.results.states import State

NEW, OTHER_NEW = 2, 3
"""The second instances of a fleet of two."""


class Plane:
    """A plane that takes every call and does nothing."""

    def __getattr__(self, _name: str) -> Callable[..., None]:
        return lambda *_args, **_kwargs: None


def fleet(power: tuple[float, ...] = (1.0, 3.0)) -> tuple[Instances, list[PoolChange]]:
    log: list[PoolChange] = []
    instances = Instances(
        simpy.Environment(),
        cast(RequestPlane, Plane()),
        power=power,
        work_s=0.5,
        second_count=len(power),
        log=log.append,
    )
    return instances, log


def bring_in(instances: Instances, instance: int, *, is_new: bool = True) -> None:
    for state in (State.DEPLOYING, State.VERIFYING, State.STARTING, State.RETURNING):
        instances.move(instance, state)
    instances.is_new[instance] = is_new
    instances.join(instance)


def counts(change: PoolChange) -> tuple[int, int, bool]:
    return change.old_count, change.new_count, change.is_mixed


def test_the_log_counts_each_version_as_it_enters_and_leaves() -> None:
    instances, log = fleet()
    bring_in(instances, NEW)
    bring_in(instances, OTHER_NEW)
    instances.leave(0)
    instances.leave(1)
    instances.leave(NEW)
    instances.leave(OTHER_NEW)
    assert [counts(change) for change in log] == [
        (2, 0, False),
        (2, 1, True),
        (2, 2, True),
        (1, 2, True),
        (0, 2, False),
        (0, 1, False),  # a new one that leaves is counted no more
        (0, 0, False),
    ]


def test_a_new_instance_that_crashes_leaves_the_pool_until_it_is_repaired() -> None:
    instances, log = fleet()
    bring_in(instances, NEW)
    instances.crash(NEW)
    assert counts(log[-1]) == (2, 0, False)
    assert not instances.is_in_pool(NEW)
    instances.repair(NEW)
    assert counts(log[-1]) == (2, 1, True)


def test_an_instance_that_crashed_leaves_the_pool_once() -> None:
    """The rollout takes out an instance that has crashed: it left the pool when it crashed."""
    instances, log = fleet()
    bring_in(instances, NEW)
    instances.crash(NEW)
    instances.leave(NEW)
    assert counts(log[-1]) == (2, 0, False)
    assert log[-1].capacity_rps == 4.0 / 0.5


def test_capacity_is_the_power_in_the_pool_over_the_work_of_a_request() -> None:
    instances, log = fleet()
    assert (log[-1].capacity_rps, log[-1].capacity_fraction) == (8.0, 1.0)
    instances.leave(1)
    assert (log[-1].capacity_rps, log[-1].capacity_fraction) == (2.0, 0.25)
    bring_in(instances, OTHER_NEW)
    assert (log[-1].capacity_rps, log[-1].capacity_fraction) == (8.0, 1.0)


def gate(spare: int) -> tuple[simpy.Environment, AdmissionQueue, list[int]]:
    env, left = simpy.Environment(), [spare]
    return env, AdmissionQueue(env, lambda: left[0]), left


@pytest.mark.parametrize(("spare", "passed"), [(0, 0), (1, 1), (2, 2)])
def test_as_many_pass_as_are_spare(spare: int, passed: int) -> None:
    _env, queue, _left = gate(spare)
    requests = [queue.request() for _ in range(3)]
    assert [request.triggered for request in requests] == [k < passed for k in range(3)]
    assert not queue.try_enter()  # others wait


@pytest.mark.parametrize(("spare", "passes"), [(0, [False, False]), (1, [True, False])])
def test_passing_right_away_counts_those_that_have_passed(spare: int, passes: list[bool]) -> None:
    _env, queue, _left = gate(spare)
    assert [queue.try_enter(), queue.try_enter()] == passes


def test_one_that_has_passed_and_gives_up_lets_the_next_pass() -> None:
    _env, queue, _left = gate(1)
    first, second = queue.request(), queue.request()
    assert (first.triggered, second.triggered) == (True, False)
    queue.cancel(first)
    assert second.triggered


def test_one_that_gives_up_before_its_turn_takes_no_turn() -> None:
    _env, queue, left = gate(0)
    requests: list[Any] = [queue.request(), queue.request()]
    queue.cancel(requests[0])
    left[0] = 1
    queue.admit()
    assert [request.triggered for request in requests] == [False, True]
