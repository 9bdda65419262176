"""The reference engine: the definition of how requests live, in SimPy.

One event for a request's arrival, one for its completion, one for its client's patience. What
happens at each is a method with a sentence of model.md §2 behind it.
"""

from __future__ import annotations

import bisect
import math
from collections import deque
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import simpy

from simulation.balancer import policy
from simulation.draws import Draws
from simulation.engines.plane import (
    ARRIVALS,
    ATTEMPT_BITS,
    COMPLETIONS,
    TIMEOUTS,
    Attempts,
    Clock,
    RequestPlane,
    Requests,
    Seen,
)
from simulation.engines.retries import RetryBudget
from simulation.results import CUT, ERROR, IN_FLIGHT, OK, REFUSED, REJECTED, TIMED_OUT, RequestTable
from simulation.scenario import Scenario
from simulation.traffic import Streams


class _Moment(simpy.Event):
    """An event that calls one function with one attempt."""

    def __init__(self, env: Clock, call: Callable[[Any], None], attempt: int) -> None:
        self.env = env
        self.callbacks = [call]
        self._value = attempt
        self._ok = True


class ReferencePlane:
    """A fleet behind a balancer, and the requests in it."""

    def __init__(
        self, env: Clock, scenario: Scenario, streams: Streams | None, draws: Draws, name: str
    ) -> None:
        service = scenario.services[name]
        first_count = service.instance_count
        count = len(scenario.names_of(name))
        self._env = env
        self._slots = (service.slots_of() * 2)[:count]
        self._speed = (service.speeds() * 2)[:count]
        self._log: list[int] = []
        self._old_is_wrong = False
        self._classes = list(scenario.traffic.classes.values())
        balancer = service.balancer
        self._queue_at_balancer = balancer.queue == "balancer"
        self._queue_limit = math.inf if balancer.queue_limit is None else balancer.queue_limit
        self._queue_timeout_s = balancer.queue_timeout
        self._lag_s = balancer.propagation_delay
        self._told = [0] * count
        names = service.instance_names(name)
        weights = ([balancer.weights.get(one, 1.0) for one in names] * 2)[:count]
        self._policy = policy(balancer.policy, weights, draws)
        self._draws = draws
        self._versions = service.versions

        self._in_pool = [k < first_count for k in range(count)]
        self._wanted = list(self._in_pool)
        self._pool_count = first_count
        self._listening = [k < first_count for k in range(count)]
        self._new_version = [False] * count
        self._started_s = [-math.inf] * count
        self._serving: list[set[int]] = [set() for _ in range(count)]
        self._queued = [0] * count
        # Those whose client has left are skipped when their turn comes.
        self._own_queue: list[deque[int]] = [deque() for _ in range(count)]
        self._balancer_queue: deque[int] = deque()
        self._left_balancer_queue = 0
        self._waiting = 0
        self._highest_waiting = 0
        self._idle: dict[int, simpy.Event] = {}
        self._calm: tuple[int, simpy.Event] | None = None

        # One entry an attempt, in the order in which they were made.
        self._request: list[int] = []
        self._number: list[int] = []
        self._arrival_s: list[float] = []
        self._demand_s: list[float] = []
        self._session: list[int] = []
        self._class: list[int] = []
        self._start_s: list[float] = []
        self._finish_s: list[float] = []
        self._released_s: list[float] = []
        self._outcome: list[int] = []
        self._instance: list[int] = []
        self._served_by_new: list[bool] = []
        self._first: list[int] = []  # of each request
        self._to_come: set[int] = set()  # requests whose next attempt is still to be made
        self._budgets = [RetryBudget(one.retries.budget) for one in self._classes]
        for second in range(first_count, count):
            self._tell(second)
        if streams is not None:
            env.process(self._arrivals(streams))

    # What happens to requests

    def _arrivals(self, streams: Streams) -> Generator[simpy.Event, Any, None]:
        """Brings the requests in, one after the other, as the streams drew them."""
        env = self._env
        request = 0
        while True:
            block = streams.next_block()
            for time_s, *drawn in zip(*(column.tolist() for column in block), strict=True):
                if time_s == math.inf:
                    return
                event = simpy.Event(env)
                event._ok, event._value = True, None
                yield env.at(time_s, ARRIVALS + (request << ATTEMPT_BITS), event)
                self._first.append(len(self._arrival_s))
                self._budgets[drawn[1]].request(time_s)
                self._arrive(self._attempt(request, 0, *drawn))
                request += 1

    def _attempt(self, request: int, number: int, demand_s: float, kind: int, session: int) -> int:
        """A first or a further attempt of a request, made now; returns its place in the lists."""
        self._request.append(request)
        self._number.append(number)
        self._arrival_s.append(self._env.now)
        self._demand_s.append(demand_s)
        self._class.append(kind)
        self._session.append(session)
        self._start_s.append(math.nan)
        self._finish_s.append(math.nan)
        self._released_s.append(math.nan)
        self._outcome.append(IN_FLIGHT)
        self._instance.append(-1)
        self._served_by_new.append(False)
        return len(self._request) - 1

    def _order(self, attempt: int) -> int:
        """What orders events of one kind at one instant: the request, then its attempts."""
        return (self._request[attempt] << ATTEMPT_BITS) + self._number[attempt]

    def _arrive(self, attempt: int) -> None:
        """An instance of the pool gets the attempt, or it waits at the balancer."""
        if self._pool_count == 0:
            self._end(attempt, REJECTED)
            return
        instance = self._policy.pick(self._order(attempt), self._session[attempt])
        if instance >= 0:
            self._send(attempt, instance)
        elif len(self._balancer_queue) - self._left_balancer_queue < self._queue_limit:
            self._balancer_queue.append(attempt)
            self._waits(1)
        else:
            self._end(attempt, REJECTED)
        if self._outcome[attempt] != IN_FLIGHT:
            return
        timeout_s = self._classes[self._class[attempt]].client_timeout
        if timeout_s is not None:
            self._leave_at(attempt, timeout_s, self._client_leaves)
        if self._queue_timeout_s is not None and math.isnan(self._start_s[attempt]):
            self._leave_at(attempt, self._queue_timeout_s, self._queue_gives_up)

    def _leave_at(self, attempt: int, after_s: float, call: Callable[[simpy.Event], None]) -> None:
        moment = _Moment(self._env, call, attempt)
        self._env.at(self._arrival_s[attempt] + after_s, TIMEOUTS + self._order(attempt), moment)

    def _send(self, attempt: int, instance: int) -> None:
        """The attempt goes to the instance: refused, served at once, or queued there."""
        self._instance[attempt] = instance
        if not self._listening[instance]:
            self._end(attempt, REFUSED)
        elif len(self._serving[instance]) < self._slots[instance]:
            self._begin(attempt, instance)
            self._tell(instance)
        elif self._queued[instance] >= self._queue_limit:
            self._end(attempt, REJECTED)
        else:
            self._own_queue[instance].append(attempt)
            self._queued[instance] += 1
            self._waits(1)
            self._tell(instance)

    def _begin(self, attempt: int, instance: int) -> None:
        """Service begins; it ends after the attempt's demand, whatever its client does."""
        now = self._env.now
        self._instance[attempt] = instance
        self._start_s[attempt] = now
        self._served_by_new[attempt] = self._new_version[instance]
        self._serving[instance].add(attempt)
        done = _Moment(self._env, self._complete, attempt)
        takes_s = self._demand_s[attempt] * self._slower(instance, now) / self._speed[instance]
        self._env.at(now + takes_s, COMPLETIONS + self._order(attempt), done)

    def _slower(self, instance: int, now: float) -> float:
        """What the instance's version, and its age since its start, make of a demand."""
        if not self._new_version[instance]:
            return self._versions.old.service_factor
        new = self._versions.new
        return new.service_factor * new.cold.slower(now - self._started_s[instance])

    def _complete(self, event: simpy.Event) -> None:
        """Service ends: the slot is free for the next one."""
        attempt: int = event._value
        instance = self._instance[attempt]
        serving = self._serving[instance]
        if attempt not in serving:
            return  # cut meanwhile
        serving.remove(attempt)
        self._released_s[attempt] = self._env.now
        if self._outcome[attempt] == IN_FLIGHT:
            self._end(attempt, ERROR if self._is_wrong(attempt) else OK)
        self._refill(instance)

    def _is_wrong(self, attempt: int) -> bool:
        """Whether the version that served it answers this attempt wrongly."""
        is_new = self._served_by_new[attempt]
        if self._old_is_wrong and not is_new:
            return True
        version = self._versions.new if is_new else self._versions.old
        share = version.error_fraction
        return share > 0 and self._draws.uniform("error", self._order(attempt)) < share

    def _client_leaves(self, event: simpy.Event) -> None:
        """Patience is over: out of the queue at once; in service the work goes on."""
        attempt: int = event._value
        if self._outcome[attempt] == IN_FLIGHT:
            self._end(attempt, TIMED_OUT)
            if math.isnan(self._start_s[attempt]):
                self._leaves_queue(attempt)
            elif self._classes[self._class[attempt]].cancel_on_disconnect:
                instance = self._instance[attempt]
                self._serving[instance].remove(attempt)
                self._released_s[attempt] = self._env.now
                self._refill(instance)

    def _queue_gives_up(self, event: simpy.Event) -> None:
        """It has waited for as long as the balancer lets it."""
        attempt: int = event._value
        if self._outcome[attempt] == IN_FLIGHT and math.isnan(self._start_s[attempt]):
            self._end(attempt, TIMED_OUT)
            self._leaves_queue(attempt)

    def _leaves_queue(self, attempt: int) -> None:
        """One that waits no more; whoever takes from the queue will skip it."""
        self._waits(-1)
        instance = self._instance[attempt]
        if instance >= 0:
            self._queued[instance] -= 1
            self._tell(instance)
        else:
            self._left_balancer_queue += 1

    def _refill(self, instance: int) -> None:
        """Free slots take what is queued at the instance, then at the balancer."""
        serving = self._serving[instance]
        while len(serving) < self._slots[instance]:
            attempt = self._next_queued(instance)
            if attempt is None:
                break
            self._waits(-1)
            self._begin(attempt, instance)
        if len(serving) < self._slots[instance]:
            self._refuse_queued(instance)
        self._tell(instance)

    def _refuse_queued(self, instance: int) -> None:
        """A dead instance that is believed in: it takes what waits at the balancer, and refuses."""
        queue = self._balancer_queue
        while queue and self._in_pool[instance] and not self._listening[instance]:
            attempt = queue.popleft()
            if self._outcome[attempt] == IN_FLIGHT:
                self._instance[attempt] = instance
                self._waits(-1)
                self._end(attempt, REFUSED)
            else:
                self._left_balancer_queue -= 1

    def _next_queued(self, instance: int) -> int | None:
        own = self._own_queue[instance]
        while own:
            attempt = own.popleft()
            if self._outcome[attempt] == IN_FLIGHT:
                self._queued[instance] -= 1
                return attempt
        queue = self._balancer_queue
        while queue and self._in_pool[instance] and self._listening[instance]:
            attempt = queue.popleft()
            if self._outcome[attempt] == IN_FLIGHT:
                return attempt
            self._left_balancer_queue -= 1
        return None

    def _end(self, attempt: int, outcome: int) -> None:
        """The attempt is over for its client, who may make another."""
        now = self._env.now
        self._outcome[attempt] = outcome
        self._finish_s[attempt] = now
        self._log.append(attempt)
        if outcome == OK:
            return
        rule = self._classes[self._class[attempt]].retries
        number = self._number[attempt]
        if number < rule.attempts and self._budgets[self._class[attempt]].allows(now):
            self._to_come.add(self._request[attempt])
            u = self._draws.uniform("jitter", self._order(attempt)) if rule.jitter else 0.5
            again = _Moment(self._env, self._again, attempt)
            order = ARRIVALS + self._order(attempt) + 1
            self._env.at(now + rule.wait_s(number, u), order, again)

    def _again(self, event: simpy.Event) -> None:
        """The client tries once more, with the same demand."""
        last: int = event._value
        request = self._request[last]
        self._to_come.discard(request)
        kind = self._class[last]
        number = self._number[last] + 1
        self._arrive(
            self._attempt(request, number, self._demand_s[last], kind, self._session[last])
        )

    def _waits(self, change: int) -> None:
        """Counts those that wait, and says when they are few enough."""
        self._waiting += change
        self._highest_waiting = max(self._highest_waiting, self._waiting)
        if self._calm is not None and self._waiting <= self._calm[0]:
            self._calm[1].succeed()
            self._calm = None

    def _tell(self, instance: int) -> None:
        """Tells the policy, and whoever waits for the instance to be idle."""
        busy = len(self._serving[instance])
        connections = busy + self._queued[instance]
        has_room = busy < self._slots[instance] if self._queue_at_balancer else True
        self._policy.update(instance, connections, self._in_pool[instance], has_room)
        if connections == 0 and instance in self._idle:
            self._idle.pop(instance).succeed()

    # What the control plane does and asks

    def set_pool(self, instance: int, in_pool: bool) -> None:
        """Tells the balancer whether to send to the instance; that one should not, it hears late."""
        self._told[instance] += 1
        self._wanted[instance] = in_pool
        if in_pool or self._lag_s == 0:
            self._believe(instance, in_pool)
            return
        told = self._told[instance]
        hears = simpy.Event(self._env)
        hears._ok, hears._value = True, None
        hears.callbacks.append(
            lambda _: self._believe(instance, False) if self._told[instance] == told else None
        )
        self._env.at(self._env.now + self._lag_s, 0, hears)

    def _believe(self, instance: int, in_pool: bool) -> None:
        """From now on the balancer believes so."""
        self._pool_count += int(in_pool) - int(self._in_pool[instance])
        self._in_pool[instance] = in_pool
        self._refill(instance)

    def stop(self, instance: int) -> None:
        """From now on the instance answers nothing."""
        self._listening[instance] = False
        self._refill(instance)

    def start(self, instance: int, new_version: bool) -> None:
        """It listens, with a version, and is cold."""
        self._listening[instance] = True
        self._new_version[instance] = new_version
        self._started_s[instance] = self._env.now
        if self._wanted[instance]:  # it had crashed, and comes back by itself
            self._believe(instance, True)

    def remove(self, instance: int) -> None:
        """Tells the balancer that the drained instance is gone."""

    def crash(self, instance: int) -> None:
        """It died on its own: it listens no more, and everything there ends as `error`."""
        self._listening[instance] = False
        self._drop(instance, ERROR)
        self._believe(instance, False)

    def old_answers_wrongly(self) -> None:
        """From now on every answer of the old version is wrong."""
        self._old_is_wrong = True

    def when_healthy(self, instance: int) -> simpy.Event:
        """An event for when it has passed its checks: at once, there are none."""
        return simpy.Event(self._env).succeed()

    def seen(self, since_s: float, until_s: float, new_version: bool | None = None) -> Seen:
        """What ended after ``since_s``, up to ``until_s``."""
        begin, end = (
            bisect.bisect_right(self._log, time_s, key=self._finish_s.__getitem__)
            for time_s in (since_s, until_s)
        )
        ended = [
            one
            for one in self._log[begin:end]
            if new_version is None or self._served_by_new[one] is new_version
        ]
        good = [one for one in ended if self._outcome[one] == OK]
        latency = [self._finish_s[one] - self._arrival_s[one] for one in good]
        return Seen(len(ended), len(ended) - len(good), np.array(latency, dtype=np.float64))

    def cut(self, instance: int) -> int:
        """Ends everything in service or queued at the instance; says how many clients lost."""
        return self._drop(instance, CUT)

    def _drop(self, instance: int, outcome: int) -> int:
        now = self._env.now
        for attempt in self._serving[instance]:
            self._released_s[attempt] = now
        held = [*sorted(self._serving[instance]), *self._own_queue[instance]]
        lost = [attempt for attempt in held if self._outcome[attempt] == IN_FLIGHT]
        for attempt in lost:
            self._end(attempt, outcome)
        self._serving[instance].clear()
        self._own_queue[instance].clear()
        self._waits(-self._queued[instance])
        self._queued[instance] = 0
        self._refill(instance)
        return len(lost)

    def count(self, instance: int) -> int:
        """Requests in service or queued at the instance."""
        return len(self._serving[instance]) + self._queued[instance]

    def when_idle(self, instance: int) -> simpy.Event:
        """An event for the first moment at which nothing is in service or queued there."""
        event = simpy.Event(self._env)
        if self.count(instance) == 0:
            return event.succeed()
        self._idle[instance] = event
        return event

    def highest_waiting(self) -> int:
        """The most requests that have waited at once so far."""
        return self._highest_waiting

    def when_waiting_at_most(self, level: int) -> simpy.Event:
        """An event for the first moment at which no more than ``level`` requests wait."""
        event = simpy.Event(self._env)
        if self._waiting <= level:
            return event.succeed()
        self._calm = (level, event)
        return event

    def requests(self) -> Requests:
        """Everything that has arrived so far."""
        attempts = Attempts(
            arrival_s=np.array(self._arrival_s),
            start_s=np.array(self._start_s),
            finish_s=np.array(self._finish_s),
            released_s=np.array(self._released_s),
            outcome=np.array(self._outcome, dtype=np.int64),
        )
        first = np.array(self._first, dtype=np.int64)
        last = first.copy()
        made = np.ones(len(first), dtype=np.int64)
        for place, (request, number) in enumerate(zip(self._request, self._number, strict=True)):
            if number:
                last[request], made[request] = place, number + 1
        to_come = np.zeros(len(first), dtype=np.bool_)
        to_come[list(self._to_come)] = True
        table = RequestTable(
            arrival_s=attempts.arrival_s[first],
            start_s=attempts.start_s[last],
            finish_s=np.where(to_come, np.nan, attempts.finish_s[last]),
            instance=np.array(self._instance, dtype=np.int64)[last],
            new_version=np.array(self._served_by_new, dtype=np.bool_)[last],
            outcome=np.where(to_come, IN_FLIGHT, attempts.outcome[last]),
            attempts=made,
            request_class=np.array(self._class, dtype=np.int64)[first],
        )
        return Requests(table, attempts)


class ReferenceEngine:
    """A plane for each service; the traffic goes to the first of them."""

    def __init__(self, env: Clock, scenario: Scenario, streams: Streams, draws: Draws) -> None:
        first = scenario.service_name
        self._planes = {
            name: ReferencePlane(env, scenario, streams if name == first else None, draws, name)
            for name in scenario.services
        }
        self._first = self._planes[first]

    def plane(self, service: str) -> RequestPlane:
        """The requests of one service."""
        return self._planes[service]

    def highest_waiting(self) -> int:
        """The most requests that have waited at once so far."""
        return self._first.highest_waiting()

    def when_waiting_at_most(self, level: int) -> simpy.Event:
        """An event for the first moment at which no more than ``level`` requests wait."""
        return self._first.when_waiting_at_most(level)

    def requests(self) -> Requests:
        """Everything that has arrived so far."""
        return self._first.requests()
