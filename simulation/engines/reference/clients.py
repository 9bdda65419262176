"""Those who ask: they send requests, leave when it takes too long, and ask again.

Enters: what arrives, drawn ahead, and what became of each attempt. Leaves: attempts, and when their
clients leave. Open loops send whatever happens, closed ones wait for an answer and think.
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
    """What clients send to."""

    def send(self, attempt: Attempt) -> None:
        """An attempt begins its route."""

    def client_left(self, attempt: Attempt) -> None:
        """Nobody waits for the attempt any more; it has its outcome."""


class Clients:
    """Requests and their attempts.

    Attributes:
        requests: All that were ever sent, in the order in which they were.
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
        self._env = env
        self._classes = classes
        self._services = services
        self._draws = draws
        self._demands = demands
        self._budgets = [
            None if one.retries.budget is None else RetryBudget(one.retries.budget)
            for one in classes
        ]
        self._answered: dict[Request, simpy.Event] = {}  # of closed loops
        if isinstance(arrivals, Streams):
            self._open_loop(self._drawn(arrivals))
        else:
            for client in range(arrivals.client_count):
                env.process(self._closed_loop(arrivals, client))

    def open(self, opened: OpenConnections) -> None:
        """Open the connections that are there at the beginning, each as old as it is.

        The balancer spreads them by its policy. Each closes when its life is over; asked for again,
        after a cut, it lives the whole of that life, as any attempt of its request does.
        """
        columns = (opened.opened_s, opened.life_s, opened.request_class, opened.session)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        for number, (opened_s, life_s, kind, session) in enumerate(rows):
            left_s = max(0.0, life_s - (self._env.now - opened_s))
            request = Request(number, opened_s, [left_s], kind, session)
            self.requests.append(request)
            self._ask(request, 0, opened_s)
            request.demands_s = [life_s]
            call = request.last.first
            if call.state == OPEN:
                call.start_s = opened_s
            self._env.afterwards(None)

    def _drawn(self, streams: Streams) -> Iterator[Request]:
        """The requests of an open loop, one after the other."""
        first = 0 if streams.opened is None else streams.opened.count
        for number in itertools.count(first, BLOCK):
            columns = [column.tolist() for column in streams.next_block()]
            for place, (time_s, *drawn) in enumerate(zip(*columns, strict=True)):
                if time_s == math.inf:
                    return
                yield Request(number + place, time_s, *drawn)

    def _open_loop(self, to_come: Iterator[Request]) -> None:
        """The next request is on its way, whatever happens to this one."""
        request = next(to_come, None)
        if request is not None:
            order = ARRIVALS + (request.number << ATTEMPT_BITS)
            self._env.call_at(request.arrival_s, order, self._arrives, (request, to_come))

    def _arrives(self, event: simpy.Event) -> None:
        request, to_come = event._value
        self._send(request)
        self._open_loop(to_come)

    def _closed_loop(self, loop: ClosedLoop, client: int) -> Generator[simpy.Event, Any, None]:
        """One client: it thinks, asks, waits for what becomes of it, and thinks again."""
        env = self._env
        sequence = 0
        while True:
            number = sequence * loop.client_count + client
            asks_s = env.now + loop.think_s(client, sequence)
            yield env.moment(asks_s, ARRIVALS + (number << ATTEMPT_BITS))
            request = Request(number, env.now, *loop.request(client, sequence))
            over = self._answered[request] = simpy.Event(env)
            self._send(request)
            self._env.afterwards(None)
            yield over
            sequence += 1

    def _send(self, request: Request) -> None:
        self.requests.append(request)
        budget = self._budgets[request.kind]
        if budget is not None:
            budget.request(request.arrival_s)
        self._ask(request, 0, self._env.now)

    def _ask(self, request: Request, number: int, since_s: float) -> None:
        """A first or a further attempt, whose client's patience began ``since_s``."""
        attempt = Attempt(request, number, since_s)
        request.last = attempt
        self._services.send(attempt)
        timeout_s = self._classes[request.kind].client_timeout
        if timeout_s is not None and attempt.outcome == IN_FLIGHT:
            leaves_s = max(self._env.now, since_s + timeout_s)
            self._env.call_at(leaves_s, TIMEOUTS + attempt.order, self._patience_ends, attempt)

    def _patience_ends(self, event: simpy.Event) -> None:
        attempt: Attempt = event._value
        if attempt.outcome == IN_FLIGHT:
            self._services.client_left(attempt)

    def told(self, attempt: Attempt, outcome: int) -> None:
        """The attempt is over for its client, who may make another."""
        now = self._env.now
        attempt.outcome = outcome
        attempt.finish_s = now
        is_over = outcome == OK or not self._asks_again(attempt, now)
        if is_over and attempt.request in self._answered:
            self._answered.pop(attempt.request).succeed()

    def _asks_again(self, attempt: Attempt, now: float) -> bool:
        """Whether there will be another attempt, which is then on its way."""
        request, number = attempt.request, attempt.number
        kind = self._classes[request.kind]
        rule = kind.retries
        if attempt.outcome == CUT and kind.reconnects and number < _MOST_ATTEMPTS:
            wait_s = 0.0
            request.demands_s = self._fresh_life(attempt)
        elif number < rule.attempts and (rule.cut or attempt.outcome != CUT):
            budget = self._budgets[request.kind]
            if budget is not None and not budget.allows(now):
                return False
            u = self._draws.uniform("jitter", attempt.order) if rule.jitter else 0.5
            wait_s = rule.wait_s(number, u)
        else:
            return False
        attempt.to_come = True
        self._env.call_at(now + wait_s, ARRIVALS + attempt.order + 1, self._again, attempt)
        return True

    def _fresh_life(self, attempt: Attempt) -> list[float]:
        """What a connection that comes back will ask for."""
        return [
            distribution.quantile_s(self._draws.uniform("reconnect", attempt.order, place))
            for place, distribution in enumerate(self._demands[attempt.request.kind])
        ]

    def _again(self, event: simpy.Event) -> None:
        """The client tries once more."""
        last: Attempt = event._value
        last.to_come = False
        self._ask(last.request, last.number + 1, self._env.now)
