"""Requests, the attempts they are made in, and the calls that an attempt makes along its route.

What happens to them is decided elsewhere; here is what is known of each, and how it becomes the
arrays that are observed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from simulation.requests.call_states import PAUSED
from simulation.results.run_result import IN_FLIGHT
from simulation.scenario.limits import ATTEMPT_BITS


class Request:
    """What one client wants, however often it has to ask.

    Attributes:
        number: Its own, in the order of arrival (closed loops: by sequence number and client).
        arrival_s: When it was first sent.
        demands_s: Seconds of service at each place of its route.
        kind: The number of its class.
        session: Its session key.
        last: The attempt made last.
        exposed: Whether a new version had a part in it.
    """

    __slots__ = ("arrival_s", "demands_s", "exposed", "kind", "last", "number", "session")

    def __init__(
        self, number: int, arrival_s: float, demands_s: Sequence[float], kind: int, session: int
    ) -> None:
        self.number = number
        self.arrival_s = arrival_s
        self.demands_s = demands_s
        self.kind = kind
        self.session = session
        self.last: Attempt
        self.exposed = False


class Attempt:
    """One time that a client asked.

    Attributes:
        number: 0 for the first of its request.
        order: What orders events of one kind at one instant: the request, then its attempts.
        calls: Those under way, from the first of the route to the deepest; when an instance is cut
            in their middle, what is left of them runs on.
        first: The call at the first service.
        outcome: What its client was told.
        finish_s: When it was told, or left; NaN while in flight.
        by_new: Whether a new version had a part in it.
        to_come: Whether another attempt will follow.
    """

    __slots__ = (
        "arrival_s",
        "by_new",
        "calls",
        "finish_s",
        "first",
        "number",
        "order",
        "outcome",
        "request",
        "to_come",
    )

    def __init__(self, request: Request, number: int, arrival_s: float) -> None:
        self.request = request
        self.number = number
        self.arrival_s = arrival_s
        self.order = (request.number << ATTEMPT_BITS) + number
        self.calls: list[Call] = []
        self.first: Call
        self.outcome = IN_FLIGHT
        self.finish_s = math.nan
        self.by_new = False
        self.to_come = False


class CallStation(Protocol):
    """What a call asks of the service that it is at.

    Attributes:
        first_instance: The number of the service's first instance, counted over all services.
        ended: The calls that have ended since they were last collected.
    """

    first_instance: int
    ended: list[Call]

    def release(self, call: Call) -> None:
        """Free what the call holds there: its place in a queue, its slot or its connection."""


class Call:
    """An attempt at one service of its route.

    Attributes:
        state: Where it is.
        station: The service.
        instance: The instance's number there, −1 for none.
        start_s: When its service began, NaN when it never did.
        finish_s: When its caller was done with it, NaN while in flight.
        released_s: When its slot was free again, NaN while it is not, or where none was.
        takes_slot: Whether it is served in a slot; a long-lived connection is not.
        gives_up_s: When the balancer lets it wait no longer, where it waits.
        tries: How often it has tried to connect in vain.
        requeued: Whether it is here for the second time, after a cut.
    """

    __slots__ = (
        "arrival_s",
        "attempt",
        "demand_s",
        "finish_s",
        "gives_up_s",
        "instance",
        "new_version",
        "outcome",
        "place",
        "released_s",
        "requeued",
        "start_s",
        "state",
        "station",
        "takes_slot",
        "tries",
    )

    def __init__(
        self, attempt: Attempt, station: CallStation, place: int, arrival_s: float, takes_slot: bool
    ) -> None:
        self.attempt = attempt
        self.station = station
        self.place = place
        self.arrival_s = arrival_s
        self.demand_s = attempt.request.demands_s[place]
        self.takes_slot = takes_slot
        self.state = PAUSED
        self.instance = -1
        self.start_s = math.nan
        self.finish_s = math.nan
        self.released_s = math.nan
        self.outcome = IN_FLIGHT
        self.new_version = False
        self.gives_up_s = math.inf
        self.tries = 0
        self.requeued = False
