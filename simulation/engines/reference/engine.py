"""The reference engine: the definition of how requests live, in SimPy.

Who asks is `clients`, where it is served `station`; here is the way between the services: a route
is a chain of calls, each of which holds its slot while the next one works (model.md §2).
"""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import numpy as np
import simpy

from simulation.engines.reference.calls import Attempt, Call
from simulation.engines.reference.clients import Clients
from simulation.engines.reference.counted import calls_of, table_of
from simulation.engines.reference.station import Station
from simulation.requests.arrivals import ClosedLoop, Streams
from simulation.requests.call_states import CONNECTING, OPEN, PAUSED, QUEUED, WAITING
from simulation.requests.draws import Draws
from simulation.requests.hosts import hosts_of
from simulation.requests.plane import RequestPlane, SimulatedClock, past_event
from simulation.results.run_result import CUT, IN_FLIGHT, OK, TIMED_OUT, EngineName, RequestTable
from simulation.results.tally import Tally, count_requests
from simulation.scenario.model import Scenario

_ENDS_WITH_CLIENT = frozenset({WAITING, QUEUED, CONNECTING, OPEN, PAUSED, OPEN})


class ReferenceEngine:
    """All services of a scenario, and the clients that ask them."""

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
        env.afterwards = self._settle
        self._calls: list[Call] = []
        self._freed: deque[tuple[Station, int]] = deque()
        self._waiting = 0
        self._highest_waiting = 0
        self._calm: tuple[int, simpy.Event] | None = None
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
            [self._stations[name] for name in scenario.route_of(one)] for one in self._classes
        ]
        self._clients = Clients(
            env,
            self,
            draws,
            arrivals=arrivals,
            classes=self._classes,
            demands=scenario.demands(),
        )
        if isinstance(arrivals, Streams) and arrivals.opened is not None:
            self._clients.open(arrivals.opened)

    # The way along a route

    def send(self, attempt: Attempt) -> None:
        """An attempt begins its route."""
        self._call(attempt, 0)

    def _call(self, attempt: Attempt, place: int) -> None:
        """The attempt reaches a service of its route."""
        kind = attempt.request.kind
        station = self._routes[kind][place]
        call = Call(attempt, station, place, self._env.now, self._classes[kind].holds_slot)
        self._calls.append(call)
        attempt.calls.append(call)
        if place == 0:
            attempt.first = call
        station.arrive(call)

    def served(self, call: Call) -> None:
        """The next service of the route is called; after the last one all slots are free."""
        attempt = call.attempt
        place = call.place + 1
        if place < len(self._routes[attempt.request.kind]):
            self._call(attempt, place)
            return
        self._over(attempt.calls, OK)
        attempt.calls = []
        if attempt.outcome == IN_FLIGHT:
            self._clients.told(attempt, OK)

    def failed(self, call: Call, outcome: int) -> None:
        """The attempt fails with it: everyone before it lets go; what it has called runs on."""
        attempt = call.attempt
        until = attempt.calls.index(call) + 1
        self._over(attempt.calls[:until], outcome)
        attempt.calls = attempt.calls[until:]
        if attempt.outcome == IN_FLIGHT:
            self._clients.told(attempt, outcome)

    def client_left(self, attempt: Attempt) -> None:
        """Out of a queue at once; in service the work goes on, unless it is to be cancelled."""
        first = attempt.first
        cancels = self._classes[attempt.request.kind].cancel_on_disconnect
        if first.state in _ENDS_WITH_CLIENT or cancels:
            self._over(attempt.calls, TIMED_OUT)
            attempt.calls = []
        else:
            first.outcome = TIMED_OUT  # and its work goes on
            first.finish_s = self._env.now
            first.station.ended.append(first)
        self._clients.told(attempt, TIMED_OUT)

    def again(self, call: Call) -> Call:
        """A task that was cut goes back to the queue, as a new call in the place of the old."""
        self._over([call], CUT)
        again = Call(call.attempt, call.station, call.place, self._env.now, call.takes_slot)
        again.requeued = True
        self._calls.append(again)
        call.attempt.calls[-1] = again
        if call.place == 0:
            call.attempt.first = again
        return again

    def _over(self, calls: list[Call], outcome: int) -> None:
        """Whoever called them is done with them, and what they held is free."""
        now = self._env.now
        for call in calls:
            station = call.station
            if call.outcome == IN_FLIGHT:
                call.outcome = outcome
                call.finish_s = now
                station.ended.append(call)
            station.release(call)

    # What is free, and who waits

    def freed(self, station: Station, instance: int) -> None:
        """Something there may be free for the next one, once this event is over."""
        self._freed.append((station, instance))

    def settle(self) -> None:
        """Fills what was freed."""
        freed = self._freed
        while freed:
            station, instance = freed.popleft()
            station.refill(instance)

    def _settle(self, _event: Any) -> None:
        if self._freed:
            self.settle()

    def waits(self, change: int) -> None:
        """So many more calls wait; says when they are few enough."""
        self._waiting += change
        self._highest_waiting = max(self._highest_waiting, self._waiting)
        if self._calm is not None and self._waiting <= self._calm[0]:
            self._calm[1].succeed()
            self._calm = None

    # What the control plane asks

    def plane(self, service: str) -> RequestPlane:
        """The requests of one service."""
        return self._stations[service]

    def highest_waiting(self) -> int:
        """The most requests that have waited at once since this was asked last."""
        highest, self._highest_waiting = self._highest_waiting, self._waiting
        return highest

    def when_waiting_at_most(self, level: int, rest_s: float) -> simpy.Event:
        """An event for the first moment at which no more than ``level`` requests wait."""
        if self._waiting <= level:
            return past_event(self._env)
        event = simpy.Event(self._env)
        self._calm = (level, event)
        return event

    def exposed_count(self) -> int:
        """How many of the requests that arrived from 0 on a new version had a part in so far."""
        return sum(one.exposed for one in self._clients.requests if one.arrival_s >= 0)

    def tally(self, with_bins: bool = True) -> Tally:
        """What has happened so far, in bins of time too if they are wanted."""
        slow_over_s = self._scenario.objectives.latency_p99
        return count_requests(
            self.table(),
            calls_of(self._calls),
            has_latency=np.array([one.holds_slot for one in self._classes]),
            slow_over_s=math.inf if slow_over_s is None else slow_over_s,
            bin_s=self._bin_s,
            until_s=self._env.now if with_bins else None,
            queue_max=self._highest_waiting,
            exposed=self.exposed_count(),
        )

    def table(self) -> RequestTable:
        """Every request that has arrived so far, warm-up included."""
        return table_of(self._clients.requests)

    def close(self) -> None:
        """Lets go of the memory; nothing may be asked after it."""
        self._calls.clear()
        self._clients.requests.clear()
