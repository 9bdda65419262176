"""The records of the reference engine: requests, their attempts, and the calls of each attempt.

A request is made of attempts: the first one and its retries. An attempt makes one call to each
service on its route.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from simulation.engines.reference.shared_connections import SharedConnection
from simulation.requests.call_states import PAUSED
from simulation.results.run_result import IN_FLIGHT
from simulation.scenario.limits import ATTEMPT_BITS


class Request:
    """One request of a client, with all its attempts.

    Attributes:
        number: The request's number, in the order of arrival (in closed loops: sequence number ×
            clients + client).
        arrival_s: When the first attempt was sent.
        demands_s: Seconds of service at each place of the route.
        kind: The number of the request's class.
        session: The session key.
        last: The latest attempt.
        exposed: Whether a new version served a call of an attempt while that was the latest one.
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

    def is_in_flight(self) -> bool:
        """Return whether the request has not ended: an attempt is under way or will follow."""
        return self.last.to_come or self.last.outcome == IN_FLIGHT


class Attempt:
    """One attempt of a request: the first one, or a retry.

    Attributes:
        number: 0 for the first attempt of a request.
        reconnection: Which attempt to connect this is since the connection was last open, from 1 on;
            0 for an attempt that does not reconnect.
        demands_s: Seconds of service at each place of the route.
        order: The order of this attempt's events among those of one kind at one time: by request,
            then by attempt.
        calls: The calls in progress, from the first service of the route to the deepest. When an
            instance in the middle of the route is cut, the calls below it continue.
        first: The call to the first service.
        outcome: The outcome for the client.
        finish_s: When the client got its answer or left; NaN while in flight.
        by_new: Whether a new version served any call of the attempt.
        to_come: Whether another attempt will follow.
        failed_call: The call that failed, or that the client's timeout ended; None before that.
        was_served: Whether the service of that call had begun then; it may begin later.
        was_new: Whether the new version served it then.
        was_listening: Whether the instance of that call still listened then.
    """

    __slots__ = (
        "arrival_s",
        "by_new",
        "calls",
        "demands_s",
        "failed_call",
        "finish_s",
        "first",
        "number",
        "order",
        "outcome",
        "reconnection",
        "request",
        "to_come",
        "was_listening",
        "was_new",
        "was_served",
    )

    def __init__(
        self, request: Request, number: int, arrival_s: float, reconnection: int = 0
    ) -> None:
        self.request = request
        self.number = number
        self.arrival_s = arrival_s
        self.order = (request.number << ATTEMPT_BITS) + number
        self.reconnection = reconnection
        self.demands_s = request.demands_s
        self.calls: list[Call] = []
        self.first: Call
        self.outcome = IN_FLIGHT
        self.finish_s = math.nan
        self.by_new = False
        self.to_come = False
        self.failed_call: Call | None = None
        self.was_listening = self.was_new = self.was_served = False

    def fail_at(self, call: Call) -> None:
        """Record the call that ends the attempt other than with `ok`, before the call ends."""
        self.failed_call = call
        self.was_listening = call.station.is_listening(call.instance)
        self.was_served, self.was_new = not math.isnan(call.start_s), call.new_version


class CallStation(Protocol):
    """The service of a call, as far as the engine needs it to end the call.

    Attributes:
        first_instance: The number of the service's first instance, counted over all services.
        ended_calls: The calls that have ended, in the order of their ends.
    """

    first_instance: int
    ended_calls: list[Call]

    def release(self, call: Call) -> None:
        """Free what the call holds: its place in a queue, its slot or its connection."""

    def is_listening(self, instance: int) -> bool:
        """Return whether an instance accepts new requests; False for −1."""


class Call:
    """The call of an attempt to one service of its route.

    Attributes:
        state: One of `simulation.requests.call_states`.
        station: The service.
        instance: The instance's number within the service, −1 for none.
        start_s: When service began, NaN when it never did.
        finish_s: When the call ended for its caller, NaN while in flight.
        released_s: When the slot was free again, NaN before that or where there was no slot.
        takes_slot: Whether the call is served in a slot; a long-lived connection is not.
        is_handshake: Whether the call is a handshake, after which its connection opens.
        gives_up_s: When the call's time in the balancer's queue runs out, infinite without a limit.
        tries: Number of failed attempts to connect.
        requeued: Whether the call went back to the queue after an earlier one was cut.
        connection: The shared connection that the call takes, None where requests are balanced.
    """

    __slots__ = (
        "arrival_s",
        "attempt",
        "connection",
        "demand_s",
        "finish_s",
        "gives_up_s",
        "instance",
        "is_handshake",
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
        self.demand_s = attempt.demands_s[place]
        self.takes_slot = takes_slot
        self.is_handshake = False
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
        self.connection: SharedConnection | None = None
