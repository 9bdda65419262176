"""Drains and stops: how long an instance may finish its requests, and what then ends the rest.

See model.md §6.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from typing import Any

import simpy

from executor.plan.model import Step
from simulation.control.waiting import FirstOf
from simulation.requests.plane import RequestPlane
from simulation.results.failures import Cause, Failure, GuardFigure
from simulation.scenario.rollout import Drain, Stop


class SimulatedStepFailed(Exception):
    """A step of the rollout failed.

    Attributes:
        failure: Which step, and why. The code that catches the exception adds service and instance.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure


def drain(
    env: simpy.Environment,
    plane: RequestPlane,
    instance: int,
    rule: Drain,
    *,
    to_timeout: bool = False,
) -> Generator[simpy.Event, Any, None]:
    """Wait until the instance is idle, or until the timeout; then cut what is left, or abort.

    An interrupt ends the drain at once and leaves the requests as they are.

    Args:
        env: The simulation.
        plane: The requests of the service.
        instance: The instance, which has left the pool.
        rule: How the instance drains.
        to_timeout: Whether the drain lasts until its timeout, with requests in flight or without.

    Raises:
        SimulatedStepFailed: Requests were in flight at the timeout, and the rule is to abort.
    """
    if to_timeout:
        yield env.timeout(rule.timeout)
        _end_rest(plane, instance, rule)
        return
    polls = (
        env.process(_poll_until_idle(env, plane, instance, rule.poll)) if rule.poll > 0 else None
    )
    idle = plane.when_idle(instance) if polls is None else polls
    try:
        if rule.on_timeout == "wait" or idle.processed:
            yield idle
            return
        yield FirstOf(env, idle, env.timeout(rule.timeout))
    finally:  # also when the drain is interrupted, because the instance is put back
        if polls is not None and polls.is_alive:
            polls.interrupt()
    if plane.count(instance) > 0:
        _end_rest(plane, instance, rule)


def _end_rest(plane: RequestPlane, instance: int, rule: Drain) -> None:
    """Cut what is left at the drain's timeout, open connections included, or abort."""
    left = plane.count(instance)
    if left > 0 and rule.on_timeout == "abort":
        raise SimulatedStepFailed(
            Failure(
                Cause.DRAIN_TIMEOUT,
                step=Step.TAKE_OUT,
                figure=GuardFigure.REQUESTS_IN_FLIGHT,
                observed=left,
                limit=0,
                over_s=rule.timeout,
            )
        )
    plane.cut(instance)


def _poll_until_idle(
    env: simpy.Environment, plane: RequestPlane, instance: int, poll_s: float
) -> Generator[simpy.Event, Any, None]:
    """Poll until two polls in a row find no request in flight.

    One empty poll may be a gap between two requests.
    """
    with suppress(simpy.Interrupt):
        empty_polls = 0
        while empty_polls < 2:
            yield env.timeout(poll_s)
            empty_polls = empty_polls + 1 if plane.count(instance) == 0 else 0


def finish(
    env: simpy.Environment, plane: RequestPlane, instance: int, rule: Stop, pre_stop_s: float
) -> Generator[simpy.Event, Any, None]:
    """Let a stopping instance finish its requests within its grace period, then cut the rest.

    The grace period includes `pre_stop`, as in Kubernetes.
    """
    if plane.count(instance) == 0:
        plane.close_connections(instance)
        return
    if rule.mode == "graceful":
        yield plane.when_idle(instance) | env.timeout(max(0.0, rule.grace - pre_stop_s))
    plane.cut(instance)
