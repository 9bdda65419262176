"""Announcements to a balancer, with their propagation delay; the growing share of a slow start.

Both engines use these SimPy processes: they carry the changes that control makes to a balancer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from typing import Any

import simpy

from simulation.requests.plane import SimulatedClock

LEAST_SHARE = 0.01
"""Fraction of its full weight that an instance gets at the beginning of a slow start."""

_RAMP_STEP_S = 1.0


class Announcements:
    """The announcements to one balancer, each applied when the balancer learns of it.

    The balancer learns immediately that it may send to an instance, but only after the propagation
    delay that it may not. A newer announcement about an instance replaces a pending one.
    """

    def __init__(
        self,
        env: SimulatedClock,
        lag_s: float,
        count: int,
        *,
        on_pool: Callable[[int, bool], None],
        on_removed: Callable[[int], None],
    ) -> None:
        self._env = env
        self._lag_s = lag_s
        self._on_pool = on_pool
        self._on_removed = on_removed
        self._versions = [0] * count  # number of announcements about each instance's place

    def announce(self, instance: int, in_pool: bool) -> None:
        """Announce whether the balancer may send to the instance."""
        self._versions[instance] += 1
        self._apply_after(
            instance, 0.0 if in_pool else self._lag_s, lambda: self._on_pool(instance, in_pool)
        )

    def remove(self, instance: int) -> None:
        """Announce that the drained instance is gone; the propagation delay holds here too."""
        self._apply_after(instance, self._lag_s, lambda: self._on_removed(instance))

    def _apply_after(self, instance: int, lag_s: float, apply: Callable[[], None]) -> None:
        version = self._versions[instance]

        def apply_if_newest(_event: object) -> None:
            if self._versions[instance] == version:
                apply()

        if lag_s == 0:
            apply()
        else:
            self._env.call_at(self._env.now + lag_s, 0, apply_if_newest, None)


def slow_start(
    env: SimulatedClock, ramp_s: float, set_share: Callable[[float], bool]
) -> Generator[simpy.Event, Any, None]:
    """Raise an instance's share of the traffic every second until it is whole.

    Args:
        env: The simulation.
        ramp_s: The time until the share is whole.
        set_share: Sets the share, a fraction of the full weight. Returns False when the instance
            has left the pool since the slow start began, which ends the process.
    """
    began_s = env.now
    for step in range(1, math.ceil(ramp_s / _RAMP_STEP_S) + 1):
        yield env.moment(began_s + step * _RAMP_STEP_S, 0)
        done = min(1.0, step * _RAMP_STEP_S / ramp_s)
        if not set_share(LEAST_SHARE + (1.0 - LEAST_SHARE) * done):
            return
        env.afterwards(None)
