"""Health checks: how a balancer notices that an instance is down or up again.

Every instance is checked at a fixed interval; each has a phase of its own. A check of an instance
that does not listen fails immediately. A check of a busy instance waits its turn in the instance's
queue, takes no slot, and fails when it waits longer than its timeout (model.md §4, §13).
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import simpy

from simulation.requests.plane import CHECKS, SimulatedClock
from simulation.scenario.balancer import HealthCheck

_BEGINS = 1 << 40
"""Added to the priority of a new check: at one time, timeouts of checks come before new checks."""


class Check:
    """One health check of one instance.

    Attributes:
        instance: The instance's number.
        is_open: Whether the check has neither an answer nor timed out.
    """

    __slots__ = ("instance", "is_open")

    def __init__(self, instance: int) -> None:
        self.instance = instance
        self.is_open = True


class Health:
    """The health checks of one service and their results.

    Attributes:
        is_up: Whether each instance is up, according to its checks.
    """

    def __init__(
        self,
        env: SimulatedClock,
        rule: HealthCheck,
        *,
        phases: list[float],
        is_up: list[bool],
        send_check: Callable[[Check], None],
        on_change: Callable[[int], None],
    ) -> None:
        self.is_up = is_up
        self._env = env
        self._rule = rule
        self._send_check = send_check
        self._on_change = on_change
        self._contrary = [0] * len(phases)  # results in a row that contradict `is_up`
        self._passed = [0] * len(phases)  # checks passed in a row since the last `when_healthy`
        self._waiters: dict[int, simpy.Event] = {}
        for instance, phase in enumerate(phases):
            env.process(self._checks(instance, phase))

    def _checks(self, instance: int, phase: float) -> Generator[simpy.Event, Any, None]:
        """Check the instance at every interval, without an end."""
        env, rule = self._env, self._rule
        first_s = env.now + phase * rule.interval
        number = 0
        while True:
            begins_s = first_s + number * rule.interval
            yield env.moment(begins_s, CHECKS + _BEGINS + instance)
            check = Check(instance)
            self._send_check(check)
            env.afterwards(None)
            if check.is_open:
                env.call_at(begins_s + rule.timeout, CHECKS + instance, self._on_timeout, check)
            number += 1

    def _on_timeout(self, event: simpy.Event) -> None:
        if event._value.is_open:
            self.record_check(event._value, passed=False)

    def record_check(self, check: Check, passed: bool) -> None:
        """Record the result of a check: it passed, or it failed or timed out."""
        check.is_open = False
        instance = check.instance
        rule = self._rule
        self._passed[instance] = self._passed[instance] + 1 if passed else 0
        if passed == self.is_up[instance]:
            self._contrary[instance] = 0
        else:
            self._contrary[instance] += 1
            if self._contrary[instance] >= (rule.rise if passed else rule.fall):
                self._contrary[instance] = 0
                self.is_up[instance] = passed
                self._on_change(instance)
        if (
            instance in self._waiters
            and self.is_up[instance]
            and self._passed[instance] >= rule.rise
        ):
            self._waiters.pop(instance).succeed()

    def when_healthy(self, instance: int) -> simpy.Event:
        """Return an event that fires when the instance has passed ``rise`` checks in a row from now on."""
        self._passed[instance] = 0
        return self._waiters.setdefault(instance, simpy.Event(self._env))
