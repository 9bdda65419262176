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

    The balancer learns after the return delay that it may send to an instance, and after the
    propagation delay that it may not. A take-out replaces a pending return. A return replaces a pending
    take-out only once the balancer has learnt of the return: an instance that was away for 3 s is still
    left out from 5 s to 13 s where the propagation delay is 5 s and the return delay 10 s.
    """

    def __init__(
        self,
        env: SimulatedClock,
        count: int,
        *,
        propagation_delay_s: float,
        return_delay_s: float,
        on_pool: Callable[[int, bool], None],
        on_removed: Callable[[int], None],
    ) -> None:
        self._env = env
        self._propagation_delay_s = propagation_delay_s
        self._return_delay_s = return_delay_s
        self._on_pool = on_pool
        self._on_removed = on_removed
        self._announced = [0] * count  # number of announcements about each instance's place
        self._learnt = [0] * count  # the number of the newest announcement that was applied

    def announce(
        self, instance: int, in_pool: bool, on_learnt: Callable[[], None] | None = None
    ) -> None:
        """Announce whether the balancer may send to the instance.

        Args:
            instance: The instance.
            in_pool: Whether the balancer may send to it.
            on_learnt: Called when the balancer has learnt of this announcement.
        """
        self._announced[instance] += 1
        number = self._announced[instance]

        def apply() -> None:
            self._learnt[instance] = number
            self._on_pool(instance, in_pool)
            if on_learnt is not None:
                on_learnt()

        if in_pool:
            self._call_after(
                self._return_delay_s, apply, lambda: self._announced[instance] == number
            )
        else:
            self._call_after(
                self._propagation_delay_s, apply, lambda: self._learnt[instance] < number
            )

    def remove(self, instance: int) -> None:
        """Announce that the drained instance is gone; the propagation delay holds here too."""
        number = self._announced[instance]
        self._call_after(
            self._propagation_delay_s,
            lambda: self._on_removed(instance),
            lambda: self._learnt[instance] <= number,
        )

    def _call_after(
        self, delay_s: float, apply: Callable[[], None], is_valid: Callable[[], bool]
    ) -> None:
        """Apply an announcement after a delay, unless a newer one has replaced it by then."""

        def apply_if_valid(_event: object) -> None:
            if is_valid():
                apply()

        if delay_s == 0:
            apply()
        else:
            self._env.call_at(self._env.now + delay_s, 0, apply_if_valid, None)


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
