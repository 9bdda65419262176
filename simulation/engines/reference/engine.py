"""The reference engine: the definition of how requests are served, in SimPy.

`clients` sends the requests, `station` serves them at one service. This module moves them along their
routes: a route is a chain of calls, each of which holds its slot while the next one works
(model.md §2).
"""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import numpy as np
import simpy
from numpy.typing import NDArray

from simulation.engines.reference.calls import Attempt, Call, Request
from simulation.engines.reference.clients import ClientProcesses
from simulation.engines.reference.counted import calls_of, late_of, losses_of, table_of
from simulation.engines.reference.station import Station
from simulation.requests.arrivals import ClosedLoop, Streams
from simulation.requests.call_states import CONNECTING, OPEN, PAUSED, QUEUED, WAITING
from simulation.requests.draws import Draws
from simulation.requests.hosts import hosts_of
from simulation.requests.plane import RequestPlane, SimulatedClock, past_event
from simulation.results.request_ends import StretchEdge, count_ended, judged_classes
from simulation.results.run_result import IN_FLIGHT, OK, TIMED_OUT, EngineName, RequestTable
from simulation.results.tally import Tally, count_requests
from simulation.scenario.model import Scenario

_ENDS_WITH_CLIENT = frozenset({WAITING, QUEUED, CONNECTING, OPEN, PAUSED})
"""States in which a call ends as soon as its client leaves: no instance works on the call."""


class ReferenceEngine:
    """All services of a scenario and the clients that send requests to them."""

    name = EngineName.REFERENCE

    def __init__(
        self,
        env: SimulatedClock,
        scenario: Scenario,
        arrivals: Streams | ClosedLoop,
        draws: Draws,
        *,
        bin_s: float = 1.0,
    ) -> None:
        self._env = env
        self._scenario = scenario
        self._bin_s = bin_s
        env.afterwards = self._refill_after_event
        self._calls: list[Call] = []
        self._freed: deque[tuple[Station, int]] = deque()
        self._open_at_edge: list[Request] = []
        self._waiting = 0
        self._highest_waiting = 0
        self._backlog_watch: tuple[int, simpy.Event] | None = None
        self._stations: dict[str, Station] = {}
        first_instance = 0
        for number, (name, service) in enumerate(scenario.services.items()):
            hosts = hosts_of(scenario, name)
            self._stations[name] = Station(
                env,
                service,
                hosts,
                self,
                draws.of_service(number),
                number=number,
                first_instance=first_instance,
            )
            first_instance += len(hosts.slots)
        self._classes = list(scenario.traffic.classes.values())
        self._routes = [
            [self._stations[name] for name in scenario.route_of(kind)] for kind in self._classes
        ]
        self._clients = ClientProcesses(
            env,
            self,
            draws,
            arrivals=arrivals,
            classes=self._classes,
            demands=scenario.demands(),
        )
        if isinstance(arrivals, Streams) and arrivals.opened is not None:
            self._clients.open(arrivals.opened)

    # Routes

    def send(self, attempt: Attempt) -> None:
        """Begin the route of an attempt."""
        self._call_service(attempt, 0)

    def _call_service(self, attempt: Attempt, place: int) -> None:
        """Call the service at a place of the attempt's route."""
        kind = attempt.request.kind
        station = self._routes[kind][place]
        call = Call(attempt, station, place, self._env.now, self._classes[kind].holds_slot)
        self._calls.append(call)
        attempt.calls.append(call)
        if place == 0:
            attempt.first = call
        rule = self._classes[kind].reconnects
        if attempt.reconnection and rule is not None and rule.cost > 0:
            call.is_handshake = call.takes_slot = True
            call.demand_s = rule.cost
        station.arrive(call)

    def on_served(self, call: Call) -> None:
        """Call the next service of the route; after the last one, end the attempt as `ok`."""
        attempt = call.attempt
        place = call.place + 1
        if place < len(self._routes[attempt.request.kind]):
            self._call_service(attempt, place)
            return
        self._end_calls(attempt.calls, OK)
        attempt.calls = []
        if attempt.outcome == IN_FLIGHT:
            self._clients.on_attempt_ended(attempt, OK)

    def on_failed(self, call: Call, outcome: int) -> None:
        """End the attempt with the outcome of a failed call.

        The call and the calls above it on the route end and free what they hold. The calls below
        it continue: their services do not know that nobody waits for the answer.
        """
        attempt = call.attempt
        if attempt.outcome == IN_FLIGHT:
            attempt.fail_at(call)
        until = attempt.calls.index(call) + 1
        self._end_calls(attempt.calls[:until], outcome)
        attempt.calls = attempt.calls[until:]
        if attempt.outcome == IN_FLIGHT:
            self._clients.on_attempt_ended(attempt, outcome)

    def on_client_left(self, attempt: Attempt) -> None:
        """End the attempt as `timed_out`.

        A call that waits leaves its queue. Work in service continues without a client, unless the
        class has `cancel_on_disconnect`.
        """
        first = attempt.first
        attempt.fail_at(attempt.calls[-1])
        cancels = self._classes[attempt.request.kind].cancel_on_disconnect
        if first.state in _ENDS_WITH_CLIENT or cancels:
            self._end_calls(attempt.calls, TIMED_OUT)
            attempt.calls = []
        else:
            first.outcome = TIMED_OUT  # the call keeps its slot until the work is done
            first.finish_s = self._env.now
            first.station.ended_calls.append(first)
        self._clients.on_attempt_ended(attempt, TIMED_OUT)

    def replace_call(self, call: Call, outcome: int) -> Call:
        """End a call with an outcome and return a new one in its place.

        A task that was cut is queued again, and after a handshake its connection opens.
        """
        self._end_calls([call], outcome)
        takes_slot = self._classes[call.attempt.request.kind].holds_slot
        new_call = Call(call.attempt, call.station, call.place, self._env.now, takes_slot)
        self._calls.append(new_call)
        call.attempt.calls[-1] = new_call
        if call.place == 0:
            call.attempt.first = new_call
        return new_call

    def _end_calls(self, calls: list[Call], outcome: int) -> None:
        """End calls for their callers and free what the calls hold."""
        now = self._env.now
        for call in calls:
            station = call.station
            if call.outcome == IN_FLIGHT:
                call.outcome = outcome
                call.finish_s = now
                if not (call.is_handshake and outcome == OK):  # guards judge requests, not these
                    station.ended_calls.append(call)
            station.release(call)

    # Freed slots, and the calls that wait

    def on_freed(self, station: Station, instance: int) -> None:
        """Note that a slot of the instance may be free; it is filled when the current event is over."""
        self._freed.append((station, instance))

    def refill_freed(self) -> None:
        """Fill the slots that were freed, in the order in which they were freed."""
        freed = self._freed
        while freed:
            station, instance = freed.popleft()
            station.refill(instance)

    def _refill_after_event(self, _event: Any) -> None:
        if self._freed:
            self.refill_freed()

    def count_waiting(self, change: int) -> None:
        """Change the number of calls that wait; fire the event of `when_waiting_at_most` if due."""
        self._waiting += change
        self._highest_waiting = max(self._highest_waiting, self._waiting)
        if self._backlog_watch is not None and self._waiting <= self._backlog_watch[0]:
            self._backlog_watch[1].succeed()
            self._backlog_watch = None

    # Questions of the control plane

    def plane(self, service: str) -> RequestPlane:
        """Return the requests of one service."""
        return self._stations[service]

    def pop_highest_waiting(self) -> int:
        """Return the most requests that waited at once since the last such question."""
        highest, self._highest_waiting = self._highest_waiting, self._waiting
        return highest

    def when_waiting_at_most(self, level: int, rest_s: float) -> simpy.Event:
        """Return an event that fires when no more than ``level`` requests wait."""
        if self._waiting <= level:
            return past_event(self._env)
        event = simpy.Event(self._env)
        self._backlog_watch = (level, event)
        return event

    def exposed_count(self) -> int:
        """Return how many requests that arrived from time 0 on reached a new version so far."""
        return sum(request.exposed for request in self._clients.requests if request.arrival_s >= 0)

    def tally(self, with_bins: bool = True) -> Tally:
        """Return the counts of all requests so far; with ``with_bins`` also in bins of time."""
        slow_over_s = self._scenario.objectives.latency_p99
        return count_requests(
            self.table(),
            calls_of(self._calls),
            has_latency=self._has_latency(),
            slow_over_s=math.inf if slow_over_s is None else slow_over_s,
            bin_s=self._bin_s,
            until_s=self._env.now if with_bins else None,
            queue_max=self._highest_waiting,
            exposed=self.exposed_count(),
            retried_s=np.array(self._clients.retried_s, np.float64),
            reconnects=self._clients.reconnect_count,
        )

    def mark_edge(self) -> StretchEdge:
        """Make the present time an edge; return the requests that have ended, and log later ends."""
        kinds = [*dict.fromkeys(judged_classes(self._scenario).values())]
        ended = count_ended(self.table(), self._has_latency(), kinds)
        self._clients.edge_s = self._env.now
        self._open_at_edge = [
            request
            for request in self._clients.requests
            if 0 <= request.arrival_s < self._env.now and request.is_in_flight()
        ]
        return StretchEdge(ended, len(self._clients.late))

    def _has_latency(self) -> NDArray[np.bool_]:
        return np.array([kind.holds_slot for kind in self._classes])

    def late(self) -> NDArray[Any]:
        """Return a `LATE` for each request that was in flight at an edge."""
        return late_of([*self._clients.late, *self._in_flight_at_edge()])

    def in_flight_count(self) -> int:
        """Return how many of the requests that arrived before the last edge are still in flight."""
        return len(self._in_flight_at_edge())

    def _in_flight_at_edge(self) -> list[Request]:
        return [request for request in self._open_at_edge if request.is_in_flight()]

    def losses(self) -> NDArray[Any]:
        """Return a `simulation.results.tally.LOSS` for each request that was lost from time 0 on."""
        return losses_of(self._clients.requests)

    def table(self) -> RequestTable:
        """Return every request that has arrived so far, warm-up included."""
        return table_of(self._clients.requests)

    def close(self) -> None:
        """Free the memory of the run; no other method may be called afterwards."""
        self._calls.clear()
        self._clients.requests.clear()
