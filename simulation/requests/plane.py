"""The interface between the requests and the processes that control the instances (model.md §10).

Control processes (rollout, drains) are SimPy processes that both engines share: they reach the
requests only through a `RequestPlane`. Events at the same time are processed in this order:
completions, timeouts, health checks, ages of connections, control, arrivals; events of one kind in the order of requests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappush
from typing import Any, Protocol

import simpy
from numpy.typing import NDArray

from simulation.results.request_ends import StretchEdge
from simulation.results.run_result import EngineName, RequestTable
from simulation.results.tally import Tally
from simulation.scenario.units import Floats

COMPLETIONS = -(1 << 52)
TIMEOUTS = -(1 << 51)
CHECKS = -(1 << 50)
AGES = -(1 << 49)
ARRIVALS = 1 << 51
"""SimPy priorities. The attempt's order is added to each, or the number of an instance (`CHECKS`) or
of a connection (`AGES`); control events have 0 and 1."""

FIRST_PICK = 1 << 62
"""Added to the number of a connection that is open at the beginning, to draw its instance; no order of
an attempt is as large."""


class _Moment(simpy.Event):
    """An event that runs callbacks, for which no process waits."""

    _ok = True

    def __init__(self, callbacks: list[Callable[[Any], None]], value: object) -> None:
        self.callbacks = callbacks
        self._value = value


class SimulatedClock(simpy.Environment):
    """SimPy's environment with events at exact times.

    SimPy itself schedules after a delay only, and in floating point ``now + (t − now)`` may differ
    from ``t``.

    Attributes:
        afterwards: A function that is called after every callback of `call_at`.
    """

    def __init__(self, initial_time: float = 0.0) -> None:
        super().__init__(initial_time)
        self.afterwards: Callable[[Any], None] = lambda _event: None

    def at(self, time_s: float, priority: int, event: simpy.Event) -> simpy.Event:
        """Schedule an event at an absolute time, in seconds, and return the event."""
        queue: list[Any] = self._queue
        heappush(queue, (time_s, priority, next(self._eid), event))
        return event

    def set_now(self, time_s: float) -> None:
        """Move the clock to a time at which the compiled engine, not an event here, did something."""
        self._now = time_s

    def moment(self, time_s: float, priority: int) -> simpy.Event:
        """Return an event at an absolute time, in seconds, for a process to wait for."""
        event = simpy.Event(self)
        event._ok, event._value = True, None
        return self.at(time_s, priority, event)

    def call_at(
        self, time_s: float, priority: int, call: Callable[[Any], None], value: object
    ) -> None:
        """Call a function at an absolute time, with an event whose ``_value`` is ``value``."""
        queue: list[Any] = self._queue
        moment = _Moment([call, self.afterwards], value)
        heappush(queue, (time_s, priority, next(self._eid), moment))


def past_event(env: simpy.Environment) -> simpy.Event:
    """Return an event that has already fired: a process that waits for it continues without a step."""
    event = simpy.Event(env)
    event._ok, event._value = True, None
    event.callbacks = None  # type: ignore[assignment]  # SimPy's mark of a processed event
    return event


@dataclass(frozen=True)
class EndedCalls:
    """The calls of one service that ended in an interval; guards judge these figures.

    Attributes:
        ended: Number of calls that ended, whatever their outcome.
        failed: Number of these calls whose outcome was not `ok`.
        latency_s: Time from arrival to end of each call that took a slot and ended with `ok`.
    """

    ended: int
    failed: int
    latency_s: Floats


class RequestPlane(Protocol):
    """The requests of one service, as control processes change them and ask about them.

    Instances are numbered from 0. Where a strategy brings a second instance for each (surge,
    blue/green), the second instance of instance k has the number k + the fleet's count. A second
    instance neither listens nor is in the pool until it is started and put into the pool.
    """

    def set_pool(
        self, instance: int, in_pool: bool, on_learnt: Callable[[], None] | None = None
    ) -> None:
        """Announce to the balancer whether it may send to the instance.

        The balancer learns after `return_delay` that it may, and after `propagation_delay` that it
        may not; then ``on_learnt`` is called, unless a newer announcement has replaced this one.
        """

    def remove(self, instance: int) -> None:
        """Announce to the balancer that the drained instance is gone, which ends its sessions there."""

    def stop(self, instance: int) -> None:
        """Make the instance refuse new requests; requests that it has are still served.

        Connections that requests share carry requests until they are closed (`close_connections`).
        """

    def start(self, instance: int, new_version: bool) -> None:
        """Make the instance listen with the old or the new version; it is cold from now on."""

    def cut(self, instance: int) -> int:
        """End all calls at the instance as `cut`; return how many of them a client still waited for."""

    def crash(self, instance: int) -> None:
        """Make the instance stop listening, and end all calls there as `error`."""

    def close_connections(self, instance: int) -> None:
        """Close all connections that requests share: the instance has ended, with no request left."""

    def break_old_version(self) -> None:
        """Make every further answer of the old version wrong, as after its schema was contracted."""

    def count(self, instance: int) -> int:
        """Return the calls in service or queued at the instance, plus the connections open there."""

    def when_idle(self, instance: int) -> simpy.Event:
        """Return an event that fires when `count` is first 0."""

    def when_healthy(self, instance: int) -> simpy.Event:
        """Return an event that fires when the instance has passed `rise` checks in a row from now on.

        Without health checks it has already fired.
        """

    def ended_between(
        self, since_s: float, until_s: float, new_version: bool | None = None
    ) -> EndedCalls:
        """Return the calls that ended after ``since_s`` and no later than ``until_s``.

        Args:
            since_s: The beginning of the interval, excluded.
            until_s: The end of the interval, included.
            new_version: Count only calls that were served by the new (True) or the old (False)
                version; None counts all calls.
        """


class Engine(Protocol):
    """All services of a scenario and the clients that send requests to them.

    Attributes:
        name: Which engine this is.
    """

    name: EngineName

    def plane(self, service: str) -> RequestPlane:
        """Return the requests of one service."""

    def pop_highest_waiting(self) -> int:
        """Return the most requests that waited at once since the last such question."""

    def when_waiting_at_most(self, level: int, rest_s: float) -> simpy.Event:
        """Return an event that fires when no more than ``level`` requests wait.

        The caller promises to do nothing for ``rest_s`` seconds after the event because of it, so
        the engine may simulate that far ahead before it fires the event.
        """

    def exposed_count(self) -> int:
        """Return how many requests that arrived from time 0 on reached a new version so far."""

    def tally(self, with_bins: bool = True) -> Tally:
        """Return the counts of all requests so far; with ``with_bins`` also in bins of time.

        ``queue_max`` covers the time since `pop_highest_waiting` was last called.
        """

    def mark_edge(self) -> StretchEdge:
        """Make the present time an edge; return the requests that have ended, and log later ends."""

    def late(self) -> NDArray[Any]:
        """Return a `simulation.results.request_ends.LATE` for each request that was in flight at an edge.

        These are requests that arrived from time 0 on and before the last edge. Those that have ended
        come in the order in which they ended; those still in flight come last.
        """

    def in_flight_count(self) -> int:
        """Return how many of the requests that arrived before the last edge are still in flight.

        Requests that arrived before time 0 do not count.
        """

    def losses(self) -> NDArray[Any]:
        """Return a `simulation.results.tally.LOSS` for each request that was lost from time 0 on."""

    def table(self) -> RequestTable:
        """Return every request that has arrived so far, warm-up included, where they are kept."""

    def close(self) -> None:
        """Free the memory of the run; no other method may be called afterwards."""
