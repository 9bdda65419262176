"""Guards: limits on what a balancer observes, checked every second during a rollout (model.md §7)."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import simpy

from simulation.requests.plane import EndedCalls, RequestPlane
from simulation.results.failures import Cause, Failure, GuardFigure
from simulation.scenario.rollout import Guards

LOOK_EVERY_S = 1.0
"""Time between two checks of a guard or a bake, in seconds."""


def find_crossed_limit(
    cause: Cause,
    seen: EndedCalls,
    error_fraction: float | None,
    latency_p99_s: float | None,
    over_s: float | None = None,
) -> Failure | None:
    """Return the failure that tells the crossed limit; None when no limit was, or no call ended."""
    if error_fraction is not None and seen.ended and seen.failed / seen.ended > error_fraction:
        share = seen.failed / seen.ended
        return Failure(
            cause,
            figure=GuardFigure.ERROR_FRACTION,
            observed=share,
            limit=error_fraction,
            over_s=over_s,
        )
    if latency_p99_s is not None and len(seen.latency_s):
        p99_s = float(np.quantile(seen.latency_s, 0.99))
        if p99_s > latency_p99_s:
            return Failure(
                cause,
                figure=GuardFigure.LATENCY_P99_S,
                observed=p99_s,
                limit=latency_p99_s,
                over_s=over_s,
            )
    return None


def watch(
    env: simpy.Environment, plane: RequestPlane, rule: Guards, trip: Callable[[Failure], None]
) -> Generator[simpy.Event, Any, None]:
    """Check the calls of the last ``rule.over`` seconds every second; call `trip` at a crossed limit.

    The process ends then, or when it is interrupted.
    """
    try:
        while True:
            yield env.timeout(LOOK_EVERY_S)
            now = float(env.now)
            seen = plane.ended_between(now - rule.over, now)
            failure = find_crossed_limit(
                Cause.GUARD, seen, rule.error_fraction, rule.latency_p99, over_s=rule.over
            )
            if failure is not None:
                trip(failure)
                return
    except simpy.Interrupt:
        return
