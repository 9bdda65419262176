"""The seam between requests and everything that decides about instances (model.md §10).

Control processes (rollout, drains) are SimPy processes written once; they see requests only
through a `RequestPlane`. Ties in time: completions, then client timeouts, then control, then
arrivals; within a kind by request.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappush
from typing import Any, Protocol

import numpy as np
import simpy
from numpy.typing import NDArray

from simulation.results import RequestTable
from simulation.units import Floats

COMPLETIONS = -(1 << 52)
TIMEOUTS = -(1 << 51)
ARRIVALS = 1 << 51
"""SimPy priorities, plus the attempt's order; control events lie between, at 0 and 1."""

ATTEMPT_BITS = 5
"""The order of an attempt: its request's number, and in the last bits its own among them."""


class Clock(simpy.Environment):
    """SimPy's environment, with events at exact times: ``now + (t − now)`` need not be ``t``."""

    def at(self, time_s: float, priority: int, event: simpy.Event) -> simpy.Event:
        """Schedules an event at an absolute time."""
        queue: list[Any] = self._queue
        heappush(queue, (time_s, priority, next(self._eid), event))
        return event


@dataclass(frozen=True)
class Attempts:
    """What was sent to the fleet: a row each time a client asked, the first or again.

    Attributes:
        arrival_s: When it was sent.
        start_s: When its service began, NaN when it never did.
        finish_s: When its client was done with it, NaN while in flight.
        released_s: When the slot that served it was free again, NaN where none was or it is not
            yet; later than the client's finish when the client left first.
        outcome: A code, see `simulation.results.OUTCOMES`.
    """

    arrival_s: Floats
    start_s: Floats
    finish_s: Floats
    released_s: Floats
    outcome: NDArray[np.int64]


@dataclass(frozen=True)
class Requests:
    """All requests that have arrived, warm-up included, and the attempts they were made in."""

    table: RequestTable
    attempts: Attempts


class RequestPlane(Protocol):
    """What the control plane may do to requests, and ask about them."""

    def set_pool(self, instance: int, in_pool: bool) -> None:
        """Tells the balancer whether to send to the instance."""

    def stop(self, instance: int) -> None:
        """From now on the instance answers nothing."""

    def start(self, instance: int, new_version: bool) -> None:
        """It listens, with a version, and is cold."""

    def cut(self, instance: int) -> int:
        """Ends everything in service or queued at the instance; says how many clients lost."""

    def count(self, instance: int) -> int:
        """Requests in service or queued at the instance."""

    def when_idle(self, instance: int) -> simpy.Event:
        """An event for the first moment at which nothing is in service or queued there."""

    def highest_waiting(self) -> int:
        """The most requests that have waited at once so far."""

    def when_waiting_at_most(self, level: int) -> simpy.Event:
        """An event for the first moment at which no more than ``level`` requests wait."""

    def requests(self) -> Requests:
        """Everything that has arrived so far."""
