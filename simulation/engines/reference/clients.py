"""The clients: they send requests, leave when an answer takes too long, and retry.

In an open loop the requests arrive whatever happens to earlier ones. In a closed loop each client
waits for its answer and thinks before it sends the next request.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Generator, Iterator, Sequence
from typing import Any, Protocol

import simpy

from simulation.engines.reference.calls import Attempt, Request
from simulation.requests.arrivals import BLOCK, ClosedLoop, OpenConnections, Streams
from simulation.requests.call_states import OPEN
from simulation.requests.draws import Draws
from simulation.requests.plane import ARRIVALS, TIMEOUTS, SimulatedClock
from simulation.requests.retry_budget import RetryBudget
from simulation.results.run_result import CUT, IN_FLIGHT, OK
from simulation.scenario.distributions import Distribution
from simulation.scenario.limits import ATTEMPT_BITS
from simulation.scenario.traffic import RequestClass

_MOST_ATTEMPTS = (1 << ATTEMPT_BITS) - 1


class Services(Protocol):
    """The services, as clients send attempts to them."""

    def send(self, attempt: Attempt) -> None:
        """Begin the route of an attempt."""

    def on_client_left(self, attempt: Attempt) -> None:
        """End the attempt as `timed_out`: its client waits no longer."""


class ClientProcesses:
    """All clients, with their requests and attempts.

    Attributes:
        requests: All requests so far, in the order in which they were sent.
        retried_s: When each attempt after the first one of its request was sent.
        reconnect_count: Number of attempts to open a connection again.
        edge_s: The last edge; requests that arrived from time 0 on and before this edge are logged
            when they end.
        late: These requests, in the order in which they ended.
    """

    def __init__(
        self,
        env: SimulatedClock,
        services: Services,
        draws: Draws,
        *,
        arrivals: Streams | ClosedLoop,
        classes: Sequence[RequestClass],
        demands: Sequence[Sequence[Distribution]],
    ) -> None:
        self.requests: list[Request] = []
        self.retried_s: list[float] = []
        self.reconnect_count = 0
        self.edge_s = 0.0
        self.late: list[Request] = []
        self._env = env
        self._classes = classes
        self._services = services
        self._draws = draws
        self._demands = demands
        self._budgets = [
            None if kind.retries.budget is None else RetryBudget(kind.retries.budget)
            for kind in classes
        ]
        self._ended_events: dict[Request, simpy.Event] = {}  # closed loops wait for these
        if isinstance(arrivals, Streams):
            self._schedule_arrival(self._draw_requests(arrivals))
        else:
            for client in range(arrivals.client_count):
                env.process(self._closed_loop(arrivals, client))

    def open(self, opened: OpenConnections) -> None:
        """Open the connections that exist at the beginning, each with its age.

        The balancer distributes the connections by its policy. Each closes when its life is over. A
        connection that was cut and is opened again by a retry lives its whole life once more, as
        every retry repeats the whole demand of its request.
        """
        columns = (opened.opened_s, opened.life_s, opened.request_class, opened.session)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        for number, (opened_s, life_s, kind, session) in enumerate(rows):
            left_s = max(0.0, life_s - (self._env.now - opened_s))
            request = Request(number, opened_s, [left_s], kind, session)
            self.requests.append(request)
            self._send_attempt(request, 0, opened_s)
            request.demands_s = [life_s]
            call = request.last.first
            if call.state == OPEN:
                call.start_s = opened_s
            self._env.afterwards(None)

    def _draw_requests(self, streams: Streams) -> Iterator[Request]:
        """Yield the requests of an open loop in the order of arrival."""
        first = 0 if streams.opened is None else streams.opened.count
        for number in itertools.count(first, BLOCK):
            columns = [column.tolist() for column in streams.next_block()]
            for place, (time_s, *drawn) in enumerate(zip(*columns, strict=True)):
                if time_s == math.inf:
                    return
                yield Request(number + place, time_s, *drawn)

    def _schedule_arrival(self, requests: Iterator[Request]) -> None:
        """Schedule the arrival of the next request of an open loop."""
        request = next(requests, None)
        if request is not None:
            order = ARRIVALS + (request.number << ATTEMPT_BITS)
            self._env.call_at(request.arrival_s, order, self._on_arrival, (request, requests))

    def _on_arrival(self, event: simpy.Event) -> None:
        request, requests = event._value
        self._send_request(request)
        self._schedule_arrival(requests)

    def _closed_loop(self, loop: ClosedLoop, client: int) -> Generator[simpy.Event, Any, None]:
        """Run one client: it thinks, sends a request, waits for the outcome, and thinks again."""
        env = self._env
        sequence = 0
        while True:
            number = sequence * loop.client_count + client
            send_s = env.now + loop.think_s(client, sequence)
            yield env.moment(send_s, ARRIVALS + (number << ATTEMPT_BITS))
            request = Request(number, env.now, *loop.request(client, sequence))
            request_ended = self._ended_events[request] = simpy.Event(env)
            self._send_request(request)
            self._env.afterwards(None)
            yield request_ended
            sequence += 1

    def _send_request(self, request: Request) -> None:
        self.requests.append(request)
        budget = self._budgets[request.kind]
        if budget is not None:
            budget.request(request.arrival_s)
        self._send_attempt(request, 0, self._env.now)

    def _send_attempt(
        self, request: Request, number: int, since_s: float, reconnection: int = 0
    ) -> None:
        """Send the first attempt or a retry; the client's timeout counts from ``since_s`` on."""
        attempt = Attempt(request, number, since_s, reconnection)
        request.last = attempt
        self._services.send(attempt)
        timeout_s = self._classes[request.kind].client_timeout
        if timeout_s is not None and attempt.outcome == IN_FLIGHT:
            leaves_s = max(self._env.now, since_s + timeout_s)
            self._env.call_at(leaves_s, TIMEOUTS + attempt.order, self._on_client_timeout, attempt)

    def _on_client_timeout(self, event: simpy.Event) -> None:
        attempt: Attempt = event._value
        if attempt.outcome == IN_FLIGHT:
            self._services.on_client_left(attempt)

    def on_attempt_ended(self, attempt: Attempt, outcome: int) -> None:
        """Record the attempt's outcome for its client, and schedule a retry if there is one."""
        now = self._env.now
        attempt.outcome = outcome
        attempt.finish_s = now
        is_over = outcome == OK or not self._schedule_retry(attempt, now)
        if is_over and 0 <= attempt.request.arrival_s < self.edge_s:
            self.late.append(attempt.request)
        if is_over and attempt.request in self._ended_events:
            self._ended_events.pop(attempt.request).succeed()

    def _schedule_retry(self, attempt: Attempt, now: float) -> bool:
        """Schedule the next attempt of the request; return False when there is none."""
        request, number = attempt.request, attempt.number
        kind = self._classes[request.kind]
        rule = kind.retries
        reconnection = self._next_reconnection(attempt)
        if reconnection and kind.reconnects is not None:
            u = self._draws.uniform("jitter", attempt.order) if kind.reconnects.jitter else 0.5
            wait_s = kind.reconnects.wait_s(reconnection - 1, u)
            request.demands_s = self._draw_demands("reconnect", attempt)
        elif number < rule.attempts and (rule.cut or attempt.outcome != CUT):
            budget = self._budgets[request.kind]
            if budget is not None and not budget.try_spend(now):
                return False
            u = self._draws.uniform("jitter", attempt.order) if rule.jitter else 0.5
            wait_s = rule.wait_s(number, u)
            if rule.draws_demand:
                request.demands_s = self._draw_demands("retry demand", attempt)
        else:
            return False
        attempt.to_come = True
        retry = (attempt, reconnection)
        self._env.call_at(now + wait_s, ARRIVALS + attempt.order + 1, self._retry, retry)
        return True

    def _next_reconnection(self, attempt: Attempt) -> int:
        """Return the number of the attempt to connect that follows an attempt, 0 for none.

        A client reconnects when its connection was cut. With a backoff it tries again when the
        connection did not open; without one, it would try again at the same moment, for ever.
        """
        rule = self._classes[attempt.request.kind].reconnects
        if rule is None or attempt.number >= _MOST_ATTEMPTS:
            return 0
        was_open = not attempt.first.takes_slot and not math.isnan(attempt.first.start_s)
        tries_again = attempt.reconnection > 0 and not was_open and rule.backoff > 0
        if attempt.outcome != CUT and not tries_again:
            return 0
        return 1 if was_open else attempt.reconnection + 1

    def _draw_demands(self, purpose: str, attempt: Attempt) -> list[float]:
        """Draw the demands of the attempt after ``attempt``, at each place of the route."""
        return [
            distribution.quantile_s(self._draws.uniform(purpose, attempt.order, place))
            for place, distribution in enumerate(self._demands[attempt.request.kind])
        ]

    def _retry(self, event: simpy.Event) -> None:
        """Send the attempt after the one of the event."""
        last, reconnection = event._value
        last.to_come = False
        self.retried_s.append(self._env.now)
        self.reconnect_count += reconnection > 0
        self._send_attempt(last.request, last.number + 1, self._env.now, reconnection)
