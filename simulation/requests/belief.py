"""What a balancer is told, and when it hears it; how a returned instance's share grows.

Both engines use it: here is what control does to a balancer's belief, in SimPy's time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from typing import Any

import simpy

from simulation.requests.plane import SimulatedClock

LEAST_SHARE = 0.01
"""Of its traffic, what an instance gets at once when it starts slowly."""

_RAMP_STEP_S = 1.0


class Announcements:
    """That it may send is heard at once, that it should not after a lag; the newest word counts."""

    def __init__(
        self,
        env: SimulatedClock,
        lag_s: float,
        count: int,
        *,
        hears: Callable[[int, bool], None],
        hears_it_is_gone: Callable[[int], None],
    ) -> None:
        self._env = env
        self._lag_s = lag_s
        self._hears = hears
        self._hears_it_is_gone = hears_it_is_gone
        self._words = [0] * count

    def tell(self, instance: int, in_pool: bool) -> None:
        """It is told whether to send to the instance."""
        self._words[instance] += 1
        self._later(
            instance, 0.0 if in_pool else self._lag_s, lambda: self._hears(instance, in_pool)
        )

    def remove(self, instance: int) -> None:
        """It is told that the drained instance is gone, and hears it as late as other things."""
        self._later(instance, self._lag_s, lambda: self._hears_it_is_gone(instance))

    def _later(self, instance: int, lag_s: float, hears: Callable[[], None]) -> None:
        word = self._words[instance]

        def unless_told_otherwise(_event: object) -> None:
            if self._words[instance] == word:
                hears()

        if lag_s == 0:
            hears()
        else:
            self._env.call_at(self._env.now + lag_s, 0, unless_told_otherwise, None)


def slow_start(
    env: SimulatedClock, ramp_s: float, gives: Callable[[float], bool]
) -> Generator[simpy.Event, Any, None]:
    """An instance's share grows every second, until it has its whole or is out again.

    Args:
        env: The simulation.
        ramp_s: How long until it has its whole.
        gives: Gives it a share; says whether it is still in the pool since then.
    """
    began_s = env.now
    for step in range(1, math.ceil(ramp_s / _RAMP_STEP_S) + 1):
        yield env.moment(began_s + step * _RAMP_STEP_S, 0)
        done = min(1.0, step * _RAMP_STEP_S / ramp_s)
        if not gives(LEAST_SHARE + (1.0 - LEAST_SHARE) * done):
            return
        env.afterwards(None)
