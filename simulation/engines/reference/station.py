"""One service: its balancer, its instances, and the calls to them.

A `Station` is the `RequestPlane` of its service, through which the control plane changes instances.
It reports to the engine (`CallRouter`) which calls were served and which failed.

Slots that an event frees are noted and filled when the event is over (`CallRouter.refill_freed`), so
that one event never interrupts another.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from typing import Protocol

import numpy as np
import simpy

from simulation.engines.reference.calls import Call
from simulation.engines.reference.health import Check
from simulation.engines.reference.pool import Pool
from simulation.engines.reference.shared_connections import SharedConnections
from simulation.requests.call_states import (
    CONNECTING,
    GONE,
    HOLDING,
    OPEN,
    PAUSED,
    QUEUED,
    SERVING,
    WAITING,
)
from simulation.requests.draws import Draws
from simulation.requests.hosts import Hosts
from simulation.requests.plane import (
    ARRIVALS,
    COMPLETIONS,
    TIMEOUTS,
    EndedCalls,
    SimulatedClock,
    past_event,
)
from simulation.requests.policies import policy
from simulation.results.run_result import CUT, ERROR, IN_FLIGHT, OK, REFUSED, REJECTED, TIMED_OUT
from simulation.scenario.model import Service

_AT_INSTANCE = frozenset({SERVING, HOLDING, QUEUED})
"""States in which an instance has the call."""


class CallRouter(Protocol):
    """The engine, which sends calls to stations and moves attempts along their routes."""

    def on_served(self, call: Call) -> None:
        """Continue the route after a call was served without an error; it still holds its slot."""

    def on_failed(self, call: Call, outcome: int) -> None:
        """End the attempt of a call that ended with another outcome than `ok`."""

    def replace_call(self, call: Call, outcome: int) -> Call:
        """End a call with an outcome and return a new one in its place."""

    def count_waiting(self, change: int) -> None:
        """Change the number of calls that wait."""

    def on_freed(self, station: Station, instance: int) -> None:
        """Note that a slot of the instance may be free; it is filled when the current event is over."""

    def refill_freed(self) -> None:
        """Fill the slots that were freed."""


class Station:
    """One service: its balancer, its instances, and the calls to them.

    Attributes:
        number: The service's number, in the order of the scenario.
        first_instance: The number of the service's first instance, counted over all services.
        ended_calls: Every call that has ended for its caller, in the order of the ends.
    """

    def __init__(
        self,
        env: SimulatedClock,
        service: Service,
        hosts: Hosts,
        router: CallRouter,
        draws: Draws,
        *,
        number: int,
        first_instance: int,
    ) -> None:
        count = len(hosts.slots)
        rule = service.balancer
        self.number = number
        self.first_instance = first_instance
        self.ended_calls: list[Call] = []
        self._env = env
        self._router = router
        self._draws = draws
        self._versions = service.versions
        self._old_is_wrong = False
        self._rule = rule
        self._queue_limit = math.inf if rule.queue_limit is None else rule.queue_limit
        self._queue_at_balancer = rule.queue == "balancer"
        self._pulls = rule.policy == "pull"
        will_change = rule.slow_start > 0
        self._policy = policy(rule.policy, hosts.weights, draws, will_change=will_change)
        self._pool = Pool(
            env,
            rule,
            hosts,
            draws,
            send_check=self._receive_check,
            on_change=self._apply_belief,
        )
        self._slots = list(hosts.slots)
        self._limit = list(hosts.slots)  # slots that the balancer uses now; fewer in a slow start
        self._speeds = hosts.speeds
        exists = [k < hosts.first_count for k in range(count)]
        self._listening = exists
        self._new_version = [False] * count
        self._started_s = [-math.inf] * count
        self._begun_count = [0] * count  # services begun since the start
        self._at_work: list[set[Call]] = [set() for _ in range(count)]  # states SERVING and HOLDING
        self._taken = [0] * count  # slots of calls at work and of calls that try to connect
        self._open: list[set[Call]] = [set() for _ in range(count)]
        # A call that ends stays in its queue and is skipped when its turn comes.
        self._own_queue: list[deque[Call | Check]] = [deque() for _ in range(count)]
        self._queued = [0] * count
        self._queue: deque[Call] = deque()
        self._waiting = 0
        self._idle: dict[int, simpy.Event] = {}
        self._shared: SharedConnections | None = None
        if rule.balances_connections:
            self._shared = SharedConnections(
                env,
                rule,
                draws,
                service=number,
                instance_count=count,
                on_change=self._count_connections,
            )
        for instance in range(count):
            self._update_policy(instance)
        if self._shared is not None:
            self._shared.open_all(self._policy.pick)

    # The way of a call

    def arrive(self, call: Call) -> None:
        """Send a call to an instance that the balancer believes is in the pool.

        Without a free one, put the call into the balancer's queue, or reject it when the queue is full
        or the pool is empty.
        """
        if self._rule.sticky and call.tries == 0:
            sticky = self._pool.sticky_instance(call.attempt.request.session)
            if sticky >= 0:
                self._send(call, sticky)
                return
        attempt = call.attempt
        session = attempt.request.session
        if self._shared is not None and call.takes_slot:
            connection = call.connection = self._shared.draw(attempt.order)
            if connection.instance >= 0:
                self._send(call, connection.instance)
                return
            session = connection.number
        if not self._pool.count and not self._pulls:
            self._fail(call, REJECTED)
            return
        picked_by = attempt.order + (call.tries << 56)
        instance = self._policy.pick(picked_by, session, call.takes_slot)
        if instance >= 0:
            self._send(call, instance)
        elif self._waiting < self._queue_limit and call.takes_slot:
            self._queue.append(call)
            self._start_waiting(call, WAITING)
        else:
            self._fail(call, REJECTED)

    def _start_waiting(self, call: Call, state: int) -> None:
        """Count the call as waiting from now on, at most for the balancer's `queue_timeout`."""
        call.state = state
        self._count_waiting(1)
        timeout_s = self._rule.queue_timeout
        if timeout_s is not None:
            call.gives_up_s = self._env.now + timeout_s
            order = TIMEOUTS + call.attempt.order
            self._env.call_at(call.gives_up_s, order, self._on_queue_timeout, call)

    def _send(self, call: Call, instance: int) -> None:
        """Send the call to the instance, which serves it, puts it into its queue, or rejects it."""
        call.instance = instance
        if self._rule.sticky:
            self._pool.bind(call.attempt.request.session, instance)
        connection = call.connection
        is_open = connection is not None and connection.instance == instance
        if not self._listening[instance] and not is_open:
            self._on_no_answer(call)
            self._update_policy(instance)
            return
        if self._shared is not None and connection is not None:
            if not is_open:
                self._shared.open(connection, instance, self._env.now)
            connection.in_flight += 1
        if not call.takes_slot:
            self._open_connection(call)
        elif self._taken[instance] < self._limit[instance]:
            self._begin_service(call)
        elif self._queue_length(instance) < self._queue_limit:
            self._own_queue[instance].append(call)
            self._queued[instance] += 1
            self._start_waiting(call, QUEUED)
        else:
            if self._shared is not None and connection is not None:
                self._shared.end_request(connection)
            self._fail(call, REJECTED)
            return
        self._update_policy(instance)

    def _queue_length(self, instance: int) -> int:
        """Return the length of the queue that `queue_limit` limits: the balancer's or the instance's."""
        return self._waiting if self._queue_at_balancer else self._queued[instance]

    def _begin_service(self, call: Call) -> None:
        """Serve the call; service ends after the call's demand, even when its client has left."""
        now = self._env.now
        instance = call.instance
        call.state = SERVING
        call.start_s = now
        self._at_work[instance].add(call)
        self._taken[instance] += 1
        slower = self._versions.old.service_factor
        if self._new_version[instance]:
            self._mark_new_version(call)
            age_s = now - self._started_s[instance]
            slower = self._versions.new.slower(age_s, self._begun_count[instance])
        self._begun_count[instance] += 1
        takes_s = call.demand_s * slower / self._speeds[instance]
        self._env.call_at(now + takes_s, COMPLETIONS + call.attempt.order, self._complete, call)

    def _open_connection(self, call: Call) -> None:
        """Open a long-lived connection; its demand is its life, with both versions."""
        now = self._env.now
        call.state = OPEN
        call.start_s = now
        if self._new_version[call.instance]:
            self._mark_new_version(call)
        self._open[call.instance].add(call)
        order = COMPLETIONS + call.attempt.order
        self._env.call_at(now + call.demand_s, order, self._complete, call)

    def _open_after_handshake(self, handshake: Call) -> None:
        """Free the slot of a handshake, and open its connection at the same instance."""
        connection = self._router.replace_call(handshake, OK)
        connection.instance = handshake.instance
        self._open_connection(connection)

    def _mark_new_version(self, call: Call) -> None:
        """Record that the new version serves the call.

        The request is exposed only when the call belongs to its latest attempt: work for an attempt
        that the client has given up reaches nobody.
        """
        attempt = call.attempt
        call.new_version = attempt.by_new = True
        if attempt is attempt.request.last:
            attempt.request.exposed = True

    def _complete(self, event: simpy.Event) -> None:
        """End the call's own work: it fails with an error, or its route continues."""
        call: Call = event._value
        if call.state not in (SERVING, OPEN):
            return  # the call was cut before
        if call.state == SERVING:
            if call.is_handshake and call.attempt.outcome == IN_FLIGHT:  # else its client has left
                self._open_after_handshake(call)
                return
            call.state = HOLDING
            if not call.is_handshake and self._is_wrong(call):
                self._router.on_failed(call, ERROR)
                return
        self._router.on_served(call)

    def _is_wrong(self, call: Call) -> bool:
        """Return whether the version that served the call answers it wrongly."""
        if not call.new_version and self._old_is_wrong:
            return True
        version = self._versions.new if call.new_version else self._versions.old
        share = version.error_fraction
        return share > 0 and self._draws.uniform("error", call.attempt.order) < share

    def release(self, call: Call) -> None:
        """Free what the call holds: its place in a queue, its slot or its connection."""
        state, instance = call.state, call.instance
        call.state = GONE
        if self._shared is not None and call.connection is not None and state in _AT_INSTANCE:
            self._shared.end_request(call.connection)
        if state in (SERVING, HOLDING):
            self._at_work[instance].remove(call)
            self._taken[instance] -= 1
            call.released_s = self._env.now
        elif state == OPEN:
            self._open[instance].remove(call)
            call.released_s = self._env.now
        elif state == CONNECTING:
            self._taken[instance] -= 1
        elif state == QUEUED:
            self._count_waiting(-1)
            self._queued[instance] -= 1
        elif state == WAITING:
            self._count_waiting(-1)
            return
        else:
            return
        self._router.on_freed(self, instance)

    def _fail(self, call: Call, outcome: int) -> None:
        self._router.on_failed(call, outcome)

    def _on_queue_timeout(self, event: simpy.Event) -> None:
        """End the call as `timed_out` if its time in the queue has run out.

        A call that failed to connect waits a second time, with a later ``gives_up_s``: the event
        of its first wait then does nothing.
        """
        call: Call = event._value
        if call.state in (WAITING, QUEUED) and self._env.now >= call.gives_up_s:
            self._fail(call, TIMED_OUT)

    # Dead instances

    def _on_no_answer(self, call: Call) -> None:
        """Refuse a call whose instance does not listen, or schedule another attempt to connect.

        The policy counts the connection while it is tried. Among instances with equally many
        connections this instance is therefore the one that changed last.
        """
        if self._policy.counts:
            believed = self._pool.believed[call.instance]
            connections = self._connections(call.instance) + 1
            self._policy.update(call.instance, connections, believed, True)
        rule = self._rule.connect_retries
        if call.tries >= rule.attempts:
            self._fail(call, REFUSED)
            return
        call.tries += 1
        again_s = self._env.now + rule.delay
        order = ARRIVALS + call.attempt.order
        if rule.redispatch:
            call.state = PAUSED
            self._env.call_at(again_s, order, self._pick_again, call)
        else:
            call.state = CONNECTING
            self._taken[call.instance] += 1
            self._env.call_at(again_s, order, self._connect_again, call)

    def _pick_again(self, event: simpy.Event) -> None:
        call: Call = event._value
        if call.state == PAUSED:
            self.arrive(call)

    def _connect_again(self, event: simpy.Event) -> None:
        call: Call = event._value
        if call.state == CONNECTING:
            self._taken[call.instance] -= 1
            call.state = PAUSED
            tried, connection = call.instance, call.connection
            if connection is not None and connection.instance >= 0:
                # Another request has opened the connection meanwhile, to any instance.
                self._send(call, connection.instance)
            else:
                self._send(call, tried)
            self._router.on_freed(self, tried)

    # The next call for a free slot

    def refill(self, instance: int) -> None:
        """Fill the instance's free slots, first from its own queue, then from the balancer's."""
        while self._taken[instance] < self._limit[instance]:
            queued = self._pop_queued(instance)
            if queued is not None:
                self._queued[instance] -= 1
                self._count_waiting(-1)
                self._begin_service(queued)
                continue
            call = self._pop_waiting(instance)
            if call is None:
                break
            self._count_waiting(-1)
            call.state = PAUSED
            self._send(call, instance)
        self._update_policy(instance)

    def _pop_queued(self, instance: int) -> Call | None:
        """Take the next call out of the instance's queue; health checks before it pass."""
        queue = self._own_queue[instance]
        while queue:
            entry = queue.popleft()
            if isinstance(entry, Check):
                if entry.is_open and self._listening[instance]:
                    self._pool.record_check(entry, passed=True)
            elif entry.state == QUEUED:
                return entry
        return None

    def _pop_waiting(self, instance: int) -> Call | None:
        """Take the next call out of the balancer's queue, for an instance of the believed pool.

        The instance may be dead: the balancer then sends the call and gets no answer.
        """
        queue = self._queue
        while queue and self._pool.believed[instance]:
            call = queue.popleft()
            if call.state == WAITING:
                return call
        return None

    def _count_waiting(self, change: int) -> None:
        self._waiting += change
        self._router.count_waiting(change)

    def _receive_check(self, check: Check) -> None:
        """Answer a health check now, or put it into the queue of a busy instance."""
        instance = check.instance
        if not self._listening[instance]:
            self._pool.record_check(check, passed=False)
        elif self._own_queue[instance] or self._taken[instance] >= self._slots[instance]:
            self._own_queue[instance].append(check)
        else:
            self._pool.record_check(check, passed=True)

    def _update_policy(self, instance: int) -> None:
        """Pass the state of an instance to the policy; fire the event of `when_idle` if it is idle."""
        policy, taken = self._policy, self._taken[instance]
        believed = self._pool.believed[instance]
        has_room = taken < self._limit[instance] if self._queue_at_balancer else True
        if policy.counts:
            policy.update(instance, self._connections(instance), believed, has_room)
        elif policy.in_pool[instance] != believed or policy.has_room[instance] != has_room:
            policy.update(instance, 0, believed, has_room)
        if instance in self._idle and self.count(instance) == 0:
            self._idle.pop(instance).succeed()

    def _connections(self, instance: int) -> int:
        """Return the connections of an instance, as the policy counts them.

        Where requests are balanced, each request is one, and so is each that tries to connect. Where
        connections are balanced, the balancer does not see the requests on them.
        """
        if self._shared is not None:
            trying = self._taken[instance] - len(self._at_work[instance])
            return self._shared.open_count[instance] + trying + len(self._open[instance])
        return self._taken[instance] + self._queued[instance] + len(self._open[instance])

    def _count_connections(self, instance: int) -> None:
        """Pass the number of connections of an instance to the policy."""
        if self._policy.counts:
            believed = self._pool.believed[instance]
            self._policy.update(instance, self._connections(instance), believed, True)

    def _apply_belief(self, instance: int, share: float) -> None:
        """Apply a change of the believed pool, or of an instance's share during its slow start."""
        if share != 1.0 or self._rule.slow_start > 0:
            self._policy.set_weight(instance, self._pool.weight(instance) * share)
            if self._queue_at_balancer:
                self._limit[instance] = max(1, math.ceil(self._slots[instance] * share))
        self._router.on_freed(self, instance)
        self._update_policy(instance)

    # The request plane

    def set_pool(
        self, instance: int, in_pool: bool, on_learnt: Callable[[], None] | None = None
    ) -> None:
        """Announce to the balancer whether it may send to the instance."""
        if self._shared is not None:
            closes = not in_pool and self._rule.close_connections == "take_out"
            self._shared.set_closes(instance, closes)
        self._pool.announce(instance, in_pool, on_learnt)
        self._router.refill_freed()

    def remove(self, instance: int) -> None:
        """Announce to the balancer that the drained instance is gone, which ends its sessions there."""
        self._pool.remove(instance)

    def stop(self, instance: int) -> None:
        """Make the instance refuse new requests; requests that it has are still served."""
        self._set_listening(instance, False)
        if self._shared is not None and self._rule.close_connections != "never":
            self._shared.set_closes(instance, True)

    def start(self, instance: int, new_version: bool) -> None:
        """Make the instance listen with the old or the new version; it is cold from now on."""
        self._new_version[instance] = new_version
        self._started_s[instance] = self._env.now
        self._begun_count[instance] = 0
        if self._shared is not None:
            self._shared.set_closes(instance, False)
        self._set_listening(instance, True)

    def is_listening(self, instance: int) -> bool:
        """Return whether an instance accepts new requests; False for −1."""
        return instance >= 0 and self._listening[instance]

    def _set_listening(self, instance: int, listening: bool) -> None:
        self._listening[instance] = listening
        if self._pulls:
            self._pool.set_up(instance, listening)
        self._router.on_freed(self, instance)
        self._router.refill_freed()

    def cut(self, instance: int) -> int:
        """End all calls at the instance as `cut`; return how many of them a client still waited for."""
        return self._end_all(instance, CUT)

    def crash(self, instance: int) -> None:
        """Make the instance stop listening, and end all calls there as `error`."""
        self._set_listening(instance, False)
        self._end_all(instance, ERROR)

    def _end_all(self, instance: int, outcome: int) -> int:
        working = [*self._at_work[instance], *self._open[instance]]
        working.sort(key=lambda call: (call.start_s, call.attempt.order))
        queue = [entry for entry in self._own_queue[instance] if isinstance(entry, Call)]
        calls = [*working, *(call for call in queue if call.state == QUEUED)]
        self._own_queue[instance].clear()  # health checks in the queue get no answer and time out
        lost = 0
        for call in calls:
            in_flight = call.attempt.outcome == IN_FLIGHT
            is_task = not call.requeued and not call.is_handshake and call.state == SERVING
            if in_flight and is_task and self._rule.requeue:
                self._requeue(call)
            else:
                lost += in_flight
                self._router.on_failed(call, outcome)
        self.close_connections(instance)
        self._update_policy(instance)
        self._router.refill_freed()
        return lost

    def close_connections(self, instance: int) -> None:
        """Close all connections that requests share: the instance has ended, with no request left."""
        if self._shared is not None:
            self._shared.close_all(instance)

    def _requeue(self, call: Call) -> None:
        """Put a task that was cut at the head of the queue, as a new call."""
        new_call = self._router.replace_call(call, CUT)
        new_call.requeued = True
        idle = self._policy.pick(new_call.attempt.order, new_call.attempt.request.session)
        if idle >= 0:
            self._send(new_call, idle)
            return
        self._queue.appendleft(new_call)
        self._start_waiting(new_call, WAITING)

    def break_old_version(self) -> None:
        """Make every further answer of the old version wrong, as after its schema was contracted."""
        self._old_is_wrong = True

    def count(self, instance: int) -> int:
        """Return the calls in service or queued at the instance, plus the connections open there."""
        return len(self._at_work[instance]) + self._queued[instance] + len(self._open[instance])

    def when_idle(self, instance: int) -> simpy.Event:
        """Return an event that fires when `count` is first 0."""
        if self.count(instance) == 0:
            return past_event(self._env)
        return self._idle.setdefault(instance, simpy.Event(self._env))

    def when_healthy(self, instance: int) -> simpy.Event:
        """Return an event that fires when the instance has passed `rise` checks in a row from now on."""
        return self._pool.when_healthy(instance)

    def ended_between(
        self, since_s: float, until_s: float, new_version: bool | None = None
    ) -> EndedCalls:
        """Return the calls that ended after ``since_s`` and no later than ``until_s``."""
        calls = self.ended_calls
        first, last = (bisect_right(calls, t, key=_finish_s) for t in (since_s, until_s))
        ended = [
            call
            for call in calls[first:last]
            if new_version is None
            or (call.new_version is new_version and not math.isnan(call.start_s))
        ]
        good = [call for call in ended if call.outcome == OK]
        latency_s = [call.finish_s - call.arrival_s for call in good if call.takes_slot]
        return EndedCalls(len(ended), len(ended) - len(good), np.array(latency_s))


def _finish_s(call: Call) -> float:
    return call.finish_s
