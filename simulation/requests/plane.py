"""The seam between requests and everything that decides about instances (model.md §10).

Control processes (rollout, drains) are SimPy processes written once; they see requests only
through a `RequestPlane`. Ties in time: completions, then timeouts, then health checks, then
control, then arrivals; within a kind by request.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappush
from typing import Any, Protocol

import simpy

from simulation.results.run_result import EngineName, RequestTable
from simulation.results.tally import Tally
from simulation.scenario.units import Floats

COMPLETIONS = -(1 << 52)
TIMEOUTS = -(1 << 51)
CHECKS = -(1 << 50)
ARRIVALS = 1 << 51
"""SimPy priorities, plus the attempt's order; control events lie between, at 0 and 1."""


class _Moment(simpy.Event):
    """An event that calls one function with one thing, and that nobody waits for."""

    _ok = True

    def __init__(self, callbacks: list[Callable[[Any], None]], what: object) -> None:
        self.callbacks = callbacks
        self._value = what


class SimulatedClock(simpy.Environment):
    """SimPy's environment, with events at exact times: ``now + (t − now)`` need not be ``t``.

    Attributes:
        afterwards: Called after every moment of `call_at`.
    """

    def __init__(self, initial_time: float = 0.0) -> None:
        super().__init__(initial_time)
        self.afterwards: Callable[[Any], None] = lambda _event: None

    def at(self, time_s: float, priority: int, event: simpy.Event) -> simpy.Event:
        """Schedules an event at an absolute time."""
        queue: list[Any] = self._queue
        heappush(queue, (time_s, priority, next(self._eid), event))
        return event

    def is_now(self, time_s: float) -> None:
        """Something has happened that no event of control has led to, at this moment."""
        self._now = time_s

    def moment(self, time_s: float, priority: int) -> simpy.Event:
        """An event for an absolute time, to wait for."""
        event = simpy.Event(self)
        event._ok, event._value = True, None
        return self.at(time_s, priority, event)

    def call_at(
        self, time_s: float, priority: int, call: Callable[[Any], None], what: object
    ) -> None:
        """Calls a function with an event whose value is ``what``, at an absolute time."""
        queue: list[Any] = self._queue
        moment = _Moment([call, self.afterwards], what)
        heappush(queue, (time_s, priority, next(self._eid), moment))


def past_event(env: simpy.Environment) -> simpy.Event:
    """An event that lies in the past: who waits for it goes on at once, and it costs no step."""
    event = simpy.Event(env)
    event._ok, event._value = True, None
    event.callbacks = None  # type: ignore[assignment]  # how SimPy marks what has been processed
    return event


@dataclass(frozen=True)
class EndedCalls:
    """What a service's balancer saw end in an interval: what guards look at.

    Attributes:
        ended: Calls that ended, in whatever way.
        failed: Those of them that did not end well.
        latency_s: Of those that ended well and took a slot, from when they came.
    """

    ended: int
    failed: int
    latency_s: Floats


class RequestPlane(Protocol):
    """What the control plane may do to the requests of one service, and ask about them.

    Instances are numbered from 0; where a strategy brings a second one for each (surge, blue/green),
    the second of instance k has the number k + the fleet's count. It neither listens nor is in the
    pool until it is started and put in.
    """

    def set_pool(self, instance: int, in_pool: bool) -> None:
        """Tells the balancer whether to send to the instance; that it should not, it hears late."""

    def remove(self, instance: int) -> None:
        """Tells the balancer that the drained instance is gone: sessions that stick to it leave."""

    def stop(self, instance: int) -> None:
        """From now on the instance answers nothing new."""

    def start(self, instance: int, new_version: bool) -> None:
        """It listens, with a version, and is cold."""

    def cut(self, instance: int) -> int:
        """Ends everything in service or queued at the instance; says how many clients lost."""

    def crash(self, instance: int) -> None:
        """It died on its own: it listens no more, and everything there ends as `error`."""

    def old_answers_wrongly(self) -> None:
        """From now on every answer of the old version is wrong: its database was contracted."""

    def count(self, instance: int) -> int:
        """Requests in service or queued at the instance, and connections open there."""

    def when_idle(self, instance: int) -> simpy.Event:
        """An event for the first moment at which `count` is 0."""

    def when_healthy(self, instance: int) -> simpy.Event:
        """An event for when it has passed its checks often enough, counted from now.

        At once where there are no health checks.
        """

    def seen(self, since_s: float, until_s: float, new_version: bool | None = None) -> EndedCalls:
        """What ended after ``since_s``, up to ``until_s``; of one version's answers only, or all."""


class Engine(Protocol):
    """All services, and the clients that ask them.

    Attributes:
        name: Which engine this is.
    """

    name: EngineName

    def plane(self, service: str) -> RequestPlane:
        """The requests of one service."""

    def highest_waiting(self) -> int:
        """The most requests that have waited at once since this was asked last."""

    def when_waiting_at_most(self, level: int, rest_s: float) -> simpy.Event:
        """An event for the first moment at which no more than ``level`` requests wait.

        Whoever waits for it looks at nothing and does nothing for ``rest_s`` afterwards, on account
        of it; so far an engine may go ahead.
        """

    def exposed_count(self) -> int:
        """How many of the requests that arrived from 0 on a new version had a part in so far."""

    def tally(self, with_bins: bool = True) -> Tally:
        """What has happened so far, in bins of time too if they are wanted.

        The most that waited at once counts since it was asked.
        """

    def table(self) -> RequestTable:
        """Every request that has arrived so far, warm-up included; if they are to be kept."""

    def close(self) -> None:
        """Lets go of the memory; nothing may be asked after it."""
