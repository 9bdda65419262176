"""What ends a drain, and what a stop does to what is left (model.md §6).

Enters: an instance that was taken out, and the rules. Leaves: when nothing is in flight there, or
the time has run out and been acted on, whichever is first.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from typing import Any

import simpy

from executor.plan.model import Step
from simulation.requests.plane import RequestPlane
from simulation.results.failures import Cause, Failure, GuardFigure
from simulation.scenario.rollout import Drain, Stop


class SimulatedStepFailed(Exception):
    """A step of the rollout failed.

    Attributes:
        failure: Which and why; whoever catches it adds the service and the instance.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure


def drain(
    env: simpy.Environment, plane: RequestPlane, instance: int, rule: Drain
) -> Generator[simpy.Event, Any, None]:
    """Waits until the instance is idle, at most as long as the rule lets it.

    An interrupt ends it at once, with everything left as it is.

    Raises:
        StepFailed: Requests were in flight at the timeout, and the rule is to abort.
    """
    polls = env.process(_polled(env, plane, instance, rule.poll)) if rule.poll > 0 else None
    idle = plane.when_idle(instance) if polls is None else polls
    try:
        if rule.on_timeout == "wait" or idle.processed:
            yield idle
            return
        yield idle | env.timeout(rule.timeout)
    finally:  # in time or not, or because the instance is put back
        if polls is not None and polls.is_alive:
            polls.interrupt()
    left = plane.count(instance)
    if left == 0:
        return
    if rule.on_timeout == "abort":
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


def _polled(
    env: simpy.Environment, plane: RequestPlane, instance: int, poll_s: float
) -> Generator[simpy.Event, Any, None]:
    """Until nothing is in flight there: who polls sees it the second time in a row."""
    with suppress(simpy.Interrupt):
        found_nothing = 0
        while found_nothing < 2:
            yield env.timeout(poll_s)
            found_nothing = found_nothing + 1 if plane.count(instance) == 0 else 0


def finish(
    env: simpy.Environment, plane: RequestPlane, instance: int, rule: Stop, pre_stop_s: float
) -> Generator[simpy.Event, Any, None]:
    """An instance that was told to stop ends what it still has, as long as it is let; then it is cut.

    The grace period includes the time before the stop, as it does in Kubernetes.
    """
    if plane.count(instance) == 0:
        return
    if rule.mode == "graceful":
        yield plane.when_idle(instance) | env.timeout(max(0.0, rule.grace - pre_stop_s))
    plane.cut(instance)
