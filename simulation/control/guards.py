"""Limits on what is observed, and who watches them (model.md §7).

Enters: limits, and what a balancer saw end. Leaves: the failure that says which limit was crossed.
Guards are looked at every second from the beginning of the rollout, over the seconds before.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import simpy

from simulation.requests.plane import EndedCalls, RequestPlane
from simulation.results.failures import Cause, Failure, GuardFigure
from simulation.scenario.rollout import Guards

LOOK_EVERY_S = 1.0


def find_crossed_limit(
    cause: Cause,
    seen: EndedCalls,
    error_fraction: float | None,
    latency_p99_s: float | None,
    over_s: float | None = None,
) -> Failure | None:
    """Return which limit was crossed; None when none was, or nothing ended."""
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
    """Looks every second, until a limit is crossed or somebody interrupts it."""
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
