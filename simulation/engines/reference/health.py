"""Health checks: what a balancer believes of instances that nobody has told it about.

Every instance is asked at a fixed interval, each with a phase of its own. A check of an instance
that does not listen fails at once. One of a busy instance takes its turn in the instance's queue,
without a slot, and fails when that takes longer than its timeout (model.md §4, §13).
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import simpy

from simulation.requests.plane import CHECKS, SimulatedClock
from simulation.scenario.balancer import HealthCheck

_BEGINS = 1 << 40
"""Of checks at one instant, those that run out come first."""


class Check:
    """One time that an instance is asked.

    Attributes:
        instance: The instance's number.
        is_open: Whether it has neither been answered nor run out of time.
    """

    __slots__ = ("instance", "is_open")

    def __init__(self, instance: int) -> None:
        self.instance = instance
        self.is_open = True


class Health:
    """Which instances pass their checks.

    Attributes:
        is_up: What the checks say of each instance.
    """

    def __init__(
        self,
        env: SimulatedClock,
        rule: HealthCheck,
        *,
        phases: list[float],
        is_up: list[bool],
        ask: Callable[[Check], None],
        changed: Callable[[int], None],
    ) -> None:
        self.is_up = is_up
        self._env = env
        self._rule = rule
        self._ask = ask
        self._changed = changed
        self._contrary = [0] * len(phases)  # results in a row that speak against `is_up`
        self._passed = [0] * len(phases)  # in a row, since somebody waits for it
        self._waiters: dict[int, simpy.Event] = {}
        for instance, phase in enumerate(phases):
            env.process(self._checks(instance, phase))

    def _checks(self, instance: int, phase: float) -> Generator[simpy.Event, Any, None]:
        """Asks the instance at every interval, for ever."""
        env, rule = self._env, self._rule
        first_s = env.now + phase * rule.interval
        number = 0
        while True:
            begins_s = first_s + number * rule.interval
            yield env.moment(begins_s, CHECKS + _BEGINS + instance)
            check = Check(instance)
            self._ask(check)
            env.afterwards(None)
            if check.is_open:
                env.call_at(begins_s + rule.timeout, CHECKS + instance, self._runs_out, check)
            number += 1

    def _runs_out(self, event: simpy.Event) -> None:
        if event._value.is_open:
            self.answer(event._value, passed=False)

    def answer(self, check: Check, passed: bool) -> None:
        """A check has been answered, or will not be."""
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
                self._changed(instance)
        if (
            instance in self._waiters
            and self.is_up[instance]
            and self._passed[instance] >= rule.rise
        ):
            self._waiters.pop(instance).succeed()

    def when_healthy(self, instance: int) -> simpy.Event:
        """An event for when it is up and has passed ``rise`` checks in a row, from now on."""
        self._passed[instance] = 0
        return self._waiters.setdefault(instance, simpy.Event(self._env))
