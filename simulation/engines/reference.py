"""The reference engine: the definition of how requests live, in SimPy.

One event for a request's arrival, one for its completion, one for its client's patience. What
happens at each is a method with a sentence of model.md §2 behind it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import simpy

from simulation.balancer import policy
from simulation.draws import Draws
from simulation.engines.plane import ARRIVALS, COMPLETIONS, TIMEOUTS, Clock, Requests
from simulation.results import CUT, ERROR, IN_FLIGHT, OK, REFUSED, REJECTED, TIMED_OUT, RequestTable
from simulation.scenario import Scenario
from simulation.traffic import Streams


class _Moment(simpy.Event):
    """An event that calls one function with one request."""

    def __init__(self, env: Clock, call: Callable[[Any], None], request: int) -> None:
        self.env = env
        self.callbacks = [call]
        self._value = request
        self._ok = True


class ReferencePlane:
    """A fleet behind a balancer, and the requests in it."""

    def __init__(self, env: Clock, scenario: Scenario, streams: Streams, draws: Draws) -> None:
        service = scenario.service
        count = service.instance_count
        self._env = env
        self._streams = streams
        self._slots = service.slots
        self._timeout_s = scenario.traffic.request_class.client_timeout
        balancer = service.balancer
        self._queue_at_balancer = balancer.queue == "balancer"
        self._queue_limit = math.inf if balancer.queue_limit is None else balancer.queue_limit
        self._queue_timeout_s = balancer.queue_timeout
        self._lag_s = balancer.propagation_delay
        self._told = [0] * count
        names = service.instance_names(scenario.service_name)
        weights = [balancer.weights.get(name, 1.0) for name in names]
        self._policy = policy(balancer.policy, weights, draws)
        self._draws = draws
        self._versions = service.versions

        self._in_pool = [True] * count
        self._pool_count = count
        self._listening = [True] * count
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

        # One entry a request, in order of arrival.
        self._arrived = 0
        self._arrival_s: list[float] = []
        self._demand_s: list[float] = []
        self._session: list[int] = []
        self._start_s: list[float] = []
        self._finish_s: list[float] = []
        self._released_s: list[float] = []
        self._outcome: list[int] = []
        self._instance: list[int] = []
        self._served_by_new: list[bool] = []
        env.process(self._arrivals())

    # What happens to requests

    def _arrivals(self) -> Generator[simpy.Event, Any, None]:
        """Brings the requests in, one after the other, as the streams drew them."""
        env = self._env
        while True:
            times, demands, sessions = self._streams.next_block()
            size = len(times)
            self._session += sessions.tolist()
            self._arrival_s += times.tolist()
            self._demand_s += demands.tolist()
            self._start_s += [math.nan] * size
            self._finish_s += [math.nan] * size
            self._released_s += [math.nan] * size
            self._outcome += [IN_FLIGHT] * size
            self._instance += [-1] * size
            self._served_by_new += [False] * size
            for time_s in times.tolist():
                if time_s == math.inf:
                    return
                request = self._arrived
                event = simpy.Event(env)
                event._ok, event._value = True, None
                yield env.at(time_s, ARRIVALS + request, event)
                self._arrived = request + 1
                self._arrive(request)

    def _arrive(self, request: int) -> None:
        """An instance of the pool gets the request, or it waits at the balancer."""
        if self._pool_count == 0:
            self._end(request, REJECTED)
            return
        instance = self._policy.pick(request, self._session[request])
        if instance >= 0:
            self._send(request, instance)
        elif len(self._balancer_queue) - self._left_balancer_queue < self._queue_limit:
            self._balancer_queue.append(request)
            self._waits(1)
        else:
            self._end(request, REJECTED)
        if self._outcome[request] != IN_FLIGHT:
            return
        if self._timeout_s is not None:
            self._leave_at(request, self._timeout_s, self._client_leaves)
        if self._queue_timeout_s is not None and math.isnan(self._start_s[request]):
            self._leave_at(request, self._queue_timeout_s, self._queue_gives_up)

    def _leave_at(self, request: int, after_s: float, call: Callable[[simpy.Event], None]) -> None:
        moment = _Moment(self._env, call, request)
        self._env.at(self._arrival_s[request] + after_s, TIMEOUTS + request, moment)

    def _send(self, request: int, instance: int) -> None:
        """The request goes to the instance: refused, served at once, or queued there."""
        self._instance[request] = instance
        if not self._listening[instance]:
            self._end(request, REFUSED)
        elif len(self._serving[instance]) < self._slots:
            self._begin(request, instance)
            self._tell(instance)
        elif self._queued[instance] >= self._queue_limit:
            self._end(request, REJECTED)
        else:
            self._own_queue[instance].append(request)
            self._queued[instance] += 1
            self._waits(1)
            self._tell(instance)

    def _begin(self, request: int, instance: int) -> None:
        """Service begins; it ends after the request's demand, whatever its client does."""
        now = self._env.now
        self._instance[request] = instance
        self._start_s[request] = now
        self._served_by_new[request] = self._new_version[instance]
        self._serving[instance].add(request)
        done = _Moment(self._env, self._complete, request)
        takes_s = self._demand_s[request] * self._slower(instance, now)
        self._env.at(now + takes_s, COMPLETIONS + request, done)

    def _slower(self, instance: int, now: float) -> float:
        """What the instance's version, and its age since its start, make of a demand."""
        if not self._new_version[instance]:
            return self._versions.old.service_factor
        new = self._versions.new
        return new.service_factor * new.cold.slower(now - self._started_s[instance])

    def _complete(self, event: simpy.Event) -> None:
        """Service ends: the slot is free for the next one."""
        request: int = event._value
        instance = self._instance[request]
        serving = self._serving[instance]
        if request not in serving:
            return  # cut meanwhile
        serving.remove(request)
        self._released_s[request] = self._env.now
        if self._outcome[request] == IN_FLIGHT:
            self._end(request, ERROR if self._is_wrong(request) else OK)
        self._refill(instance)

    def _is_wrong(self, request: int) -> bool:
        """Whether the version that served it answers this request wrongly."""
        is_new = self._served_by_new[request]
        version = self._versions.new if is_new else self._versions.old
        share = version.error_fraction
        return share > 0 and self._draws.uniform("error", request, is_new) < share

    def _client_leaves(self, event: simpy.Event) -> None:
        """Patience is over: out of the queue at once; in service the work goes on."""
        request: int = event._value
        if self._outcome[request] == IN_FLIGHT:
            self._end(request, TIMED_OUT)
            if math.isnan(self._start_s[request]):
                self._leaves_queue(request)

    def _queue_gives_up(self, event: simpy.Event) -> None:
        """It has waited for as long as the balancer lets it."""
        request: int = event._value
        if self._outcome[request] == IN_FLIGHT and math.isnan(self._start_s[request]):
            self._end(request, TIMED_OUT)
            self._leaves_queue(request)

    def _leaves_queue(self, request: int) -> None:
        """One that waits no more; whoever takes from the queue will skip it."""
        self._waits(-1)
        instance = self._instance[request]
        if instance >= 0:
            self._queued[instance] -= 1
            self._tell(instance)
        else:
            self._left_balancer_queue += 1

    def _refill(self, instance: int) -> None:
        """Free slots take what is queued at the instance, then at the balancer."""
        serving = self._serving[instance]
        while len(serving) < self._slots:
            request = self._next_queued(instance)
            if request is None:
                break
            self._waits(-1)
            self._begin(request, instance)
        if len(serving) < self._slots:
            self._refuse_queued(instance)
        self._tell(instance)

    def _refuse_queued(self, instance: int) -> None:
        """A dead instance that is believed in: it takes what waits at the balancer, and refuses."""
        queue = self._balancer_queue
        while queue and self._in_pool[instance] and not self._listening[instance]:
            request = queue.popleft()
            if self._outcome[request] == IN_FLIGHT:
                self._instance[request] = instance
                self._waits(-1)
                self._end(request, REFUSED)
            else:
                self._left_balancer_queue -= 1

    def _next_queued(self, instance: int) -> int | None:
        own = self._own_queue[instance]
        while own:
            request = own.popleft()
            if self._outcome[request] == IN_FLIGHT:
                self._queued[instance] -= 1
                return request
        queue = self._balancer_queue
        while queue and self._in_pool[instance] and self._listening[instance]:
            request = queue.popleft()
            if self._outcome[request] == IN_FLIGHT:
                return request
            self._left_balancer_queue -= 1
        return None

    def _end(self, request: int, outcome: int) -> None:
        self._outcome[request] = outcome
        self._finish_s[request] = self._env.now

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
        has_room = busy < self._slots if self._queue_at_balancer else True
        self._policy.update(instance, connections, self._in_pool[instance], has_room)
        if connections == 0 and instance in self._idle:
            self._idle.pop(instance).succeed()

    # What the control plane does and asks

    def set_pool(self, instance: int, in_pool: bool) -> None:
        """Tells the balancer whether to send to the instance; that one should not, it hears late."""
        self._told[instance] += 1
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

    def cut(self, instance: int) -> int:
        """Ends everything in service or queued at the instance; says how many clients lost."""
        now = self._env.now
        for request in self._serving[instance]:
            self._released_s[request] = now
        held = [*sorted(self._serving[instance]), *self._own_queue[instance]]
        lost = [request for request in held if self._outcome[request] == IN_FLIGHT]
        for request in lost:
            self._end(request, CUT)
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
        count = self._arrived
        table = RequestTable(
            arrival_s=np.array(self._arrival_s[:count]),
            start_s=np.array(self._start_s[:count]),
            finish_s=np.array(self._finish_s[:count]),
            instance=np.array(self._instance[:count], dtype=np.int64),
            new_version=np.array(self._served_by_new[:count], dtype=np.bool_),
            outcome=np.array(self._outcome[:count], dtype=np.int64),
        )
        return Requests(table, np.array(self._released_s[:count]))
