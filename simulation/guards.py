"""Limits on what is observed, and who watches them (model.md §7).

Enters: limits, and what a balancer saw end. Leaves: the sentence that says which limit was crossed.
Guards are looked at every second from the beginning of the rollout, over the seconds before.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import simpy

from simulation.engines.plane import RequestPlane, Seen
from simulation.scenario_rollout import Guards

LOOK_EVERY_S = 1.0


def crossed(seen: Seen, error_fraction: float | None, latency_p99_s: float | None) -> str | None:
    """Which limit was crossed, in words; None when none was, or nothing ended."""
    if error_fraction is not None and seen.ended and seen.failed / seen.ended > error_fraction:
        return f"errors {seen.failed / seen.ended:.3%}, limit {error_fraction:.2%}"
    if latency_p99_s is not None and len(seen.latency_s):
        p99_s = float(np.quantile(seen.latency_s, 0.99))
        if p99_s > latency_p99_s:
            return f"p99 {p99_s:.3g} s, limit {latency_p99_s:g} s"
    return None


def watch(
    env: simpy.Environment, plane: RequestPlane, rule: Guards, trip: Callable[[str], None]
) -> Generator[simpy.Event, Any, None]:
    """Looks every second, until a limit is crossed or somebody interrupts it."""
    try:
        while True:
            yield env.timeout(LOOK_EVERY_S)
            now = float(env.now)
            seen = plane.seen(now - rule.over, now)
            what = crossed(seen, rule.error_fraction, rule.latency_p99)
            if what is not None:
                trip(f"guard over {rule.over:g} s: {what}")
                return
    except simpy.Interrupt:
        return
