"""One service: its balancer, its instances, and the calls that are there.

Enters: calls, what the rollout does to instances, what health checks say. Leaves: calls that were
served or failed, told to whoever sent them. It is the `RequestPlane` of its service.

Slots that an event frees are noted and filled when the event is over (`Floor.settle`), so that
nothing happens in the middle of something else.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from typing import Protocol

import numpy as np
import simpy

from simulation.engines.reference.calls import Call
from simulation.engines.reference.health import Check
from simulation.engines.reference.pool import Pool
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


class Senders(Protocol):
    """Who sends calls, and hears what became of them."""

    def served(self, call: Call) -> None:
        """The call's own work is done, well; it still holds its slot."""

    def failed(self, call: Call, outcome: int) -> None:
        """The call ended otherwise; who holds a slot for it lets it go."""

    def again(self, call: Call) -> Call:
        """The call was cut and goes back to the queue, as a new one."""

    def waits(self, change: int) -> None:
        """So many more calls wait."""

    def freed(self, station: Station, instance: int) -> None:
        """Something there may be free for the next one, once this event is over."""

    def settle(self) -> None:
        """Fills what was freed."""


class Station:
    """One service and the calls that are there.

    Attributes:
        number: The service's, in the order of the scenario.
        first_instance: The number of its first instance, counted over all services.
        ended: Every call whose caller was done with it, in the order in which they were.
    """

    def __init__(
        self,
        env: SimulatedClock,
        service: Service,
        hosts: Hosts,
        senders: Senders,
        draws: Draws,
        *,
        number: int,
        first_instance: int,
    ) -> None:
        count = len(hosts.slots)
        rule = service.balancer
        self.number = number
        self.first_instance = first_instance
        self.ended: list[Call] = []
        self._env = env
        self._senders = senders
        self._draws = draws
        self._versions = service.versions
        self._old_is_wrong = False
        self._rule = rule
        self._queue_limit = math.inf if rule.queue_limit is None else rule.queue_limit
        self._queue_at_balancer = rule.queue == "balancer"
        self._pulls = rule.policy == "pull"
        will_change = rule.slow_start > 0
        self._policy = policy(rule.policy, hosts.weights, draws, will_change=will_change)
        self._pool = Pool(env, rule, hosts, draws, ask=self._check, changed=self._believes)
        self._slots = list(hosts.slots)
        self._limit = list(hosts.slots)  # slots that the balancer lets it use now
        self._speeds = hosts.speeds
        exists = [k < hosts.first_count for k in range(count)]
        self._listening = exists
        self._new_version = [False] * count
        self._started_s = [-math.inf] * count
        self._at_work: list[set[Call]] = [set() for _ in range(count)]  # in service or holding
        self._taken = [0] * count  # slots: those of calls at work, and of those that try to connect
        self._open: list[set[Call]] = [set() for _ in range(count)]
        # Calls that are over are skipped when their turn comes.
        self._own_queue: list[deque[Call | Check]] = [deque() for _ in range(count)]
        self._queued = [0] * count
        self._queue: deque[Call] = deque()
        self._waiting = 0
        self._idle: dict[int, simpy.Event] = {}
        for instance in range(count):
            self._tell(instance)

    # A call's way through

    def arrive(self, call: Call) -> None:
        """The balancer picks an instance among those it believes are in the pool, or it waits."""
        if self._rule.sticky and call.tries == 0:
            bound = self._pool.bound(call.attempt.request.session)
            if bound >= 0:
                self._send(call, bound)
                return
        if not self._pool.count and not self._pulls:
            self._fail(call, REJECTED)
            return
        attempt = call.attempt
        picked_by = attempt.order + (call.tries << 56)
        instance = self._policy.pick(picked_by, attempt.request.session, call.takes_slot)
        if instance >= 0:
            self._send(call, instance)
        elif self._waiting < self._queue_limit and call.takes_slot:
            self._queue.append(call)
            self._queue_up(call, WAITING)
        else:
            self._fail(call, REJECTED)

    def _queue_up(self, call: Call, state: int) -> None:
        """It waits from now on, for as long as the balancer lets it."""
        call.state = state
        self._waits(1)
        timeout_s = self._rule.queue_timeout
        if timeout_s is not None:
            call.gives_up_s = self._env.now + timeout_s
            order = TIMEOUTS + call.attempt.order
            self._env.call_at(call.gives_up_s, order, self._waited_enough, call)

    def _send(self, call: Call, instance: int) -> None:
        """The call goes to the instance: refused, served at once, or queued there."""
        call.instance = instance
        if self._rule.sticky:
            self._pool.bind(call.attempt.request.session, instance)
        if not self._listening[instance]:
            self._gets_no_answer(call)
        elif not call.takes_slot:
            self._connect(call)
        elif self._taken[instance] < self._limit[instance]:
            self._begin(call)
        elif self._waiting_before(instance) < self._queue_limit:
            self._own_queue[instance].append(call)
            self._queued[instance] += 1
            self._queue_up(call, QUEUED)
        else:
            self._fail(call, REJECTED)
            return
        self._tell(instance)

    def _waiting_before(self, instance: int) -> int:
        """What counts against the queue's limit: in all at a balancer, else at the instance."""
        return self._waiting if self._queue_at_balancer else self._queued[instance]

    def _begin(self, call: Call) -> None:
        """Service begins; it ends after the call's demand, whatever its client does."""
        now = self._env.now
        instance = call.instance
        call.state = SERVING
        call.start_s = now
        self._at_work[instance].add(call)
        self._taken[instance] += 1
        slower = self._versions.old.service_factor
        if self._new_version[instance]:
            self._served_by_new(call)
            slower = self._versions.new.slower(now - self._started_s[instance])
        takes_s = call.demand_s * slower / self._speeds[instance]
        self._env.call_at(now + takes_s, COMPLETIONS + call.attempt.order, self._complete, call)

    def _connect(self, call: Call) -> None:
        """A long-lived connection opens; its demand is its life, at whatever version."""
        now = self._env.now
        call.state = OPEN
        call.start_s = now
        if self._new_version[call.instance]:
            self._served_by_new(call)
        self._open[call.instance].add(call)
        order = COMPLETIONS + call.attempt.order
        self._env.call_at(now + call.demand_s, order, self._complete, call)

    def _served_by_new(self, call: Call) -> None:
        """A new version has a part in the call; in its request, if that is still asked for."""
        attempt = call.attempt
        call.new_version = attempt.by_new = True
        if attempt is attempt.request.last:
            attempt.request.exposed = True

    def _complete(self, event: simpy.Event) -> None:
        """The call's own work is done."""
        call: Call = event._value
        if call.state not in (SERVING, OPEN):
            return  # cut meanwhile
        if call.state == SERVING:
            call.state = HOLDING
            if self._is_wrong(call):
                self._senders.failed(call, ERROR)
                return
        self._senders.served(call)

    def _is_wrong(self, call: Call) -> bool:
        """Whether the version that served it answers this call wrongly."""
        if not call.new_version and self._old_is_wrong:
            return True
        version = self._versions.new if call.new_version else self._versions.old
        share = version.error_fraction
        return share > 0 and self._draws.uniform("error", call.attempt.order) < share

    def release(self, call: Call) -> None:
        """The call is over: what it held is free."""
        state, instance = call.state, call.instance
        call.state = GONE
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
            self._waits(-1)
            self._queued[instance] -= 1
        elif state == WAITING:
            self._waits(-1)
            return
        else:
            return
        self._senders.freed(self, instance)

    def _fail(self, call: Call, outcome: int) -> None:
        self._senders.failed(call, outcome)

    def _waited_enough(self, event: simpy.Event) -> None:
        """It has waited for as long as the balancer lets it, and not only before another try."""
        call: Call = event._value
        if call.state in (WAITING, QUEUED) and self._env.now >= call.gives_up_s:
            self._fail(call, TIMED_OUT)

    # Dead instances

    def _gets_no_answer(self, call: Call) -> None:
        """Nobody listens there: refused, unless the balancer tries again.

        The connection was counted while it was tried, so of instances with as many this one has
        changed last.
        """
        if self._policy.counts:
            believed = self._pool.believed[call.instance]
            tried = self._connections(call.instance) + 1
            self._policy.update(call.instance, tried, believed, True)
        rule = self._rule.connect_retries
        if call.tries >= rule.attempts:
            self._fail(call, REFUSED)
            return
        call.tries += 1
        again_s = self._env.now + rule.delay
        order = ARRIVALS + call.attempt.order
        if rule.redispatch:
            call.state = PAUSED
            self._env.call_at(again_s, order, self._picks_again, call)
        else:
            call.state = CONNECTING
            self._taken[call.instance] += 1
            self._env.call_at(again_s, order, self._tries_again, call)

    def _picks_again(self, event: simpy.Event) -> None:
        call: Call = event._value
        if call.state == PAUSED:
            self.arrive(call)

    def _tries_again(self, event: simpy.Event) -> None:
        call: Call = event._value
        if call.state == CONNECTING:
            self._taken[call.instance] -= 1
            call.state = PAUSED
            self._send(call, call.instance)
            self._senders.freed(self, call.instance)

    # Who is next

    def refill(self, instance: int) -> None:
        """Free slots take what is queued at the instance, then at the balancer."""
        while self._taken[instance] < self._limit[instance]:
            own = self._next_queued(instance)
            if own is not None:
                self._queued[instance] -= 1
                self._waits(-1)
                self._begin(own)
                continue
            call = self._next_waiting(instance)
            if call is None:
                break
            self._waits(-1)
            call.state = PAUSED
            self._send(call, instance)
        self._tell(instance)

    def _next_queued(self, instance: int) -> Call | None:
        """The next call of the instance's own queue; checks before it are answered."""
        queue = self._own_queue[instance]
        while queue:
            one = queue.popleft()
            if isinstance(one, Check):
                if one.is_open and self._listening[instance]:
                    self._pool.answer(one, passed=True)
            elif one.state == QUEUED:
                return one
        return None

    def _next_waiting(self, instance: int) -> Call | None:
        """The next one at the balancer, for an instance that it believes in, dead or not."""
        queue = self._queue
        while queue and self._pool.believed[instance]:
            call = queue.popleft()
            if call.state == WAITING:
                return call
        return None

    def _waits(self, change: int) -> None:
        self._waiting += change
        self._senders.waits(change)

    def _check(self, check: Check) -> None:
        """A health check comes: it takes its turn, without a slot."""
        instance = check.instance
        if not self._listening[instance]:
            self._pool.answer(check, passed=False)
        elif self._own_queue[instance] or self._taken[instance] >= self._slots[instance]:
            self._own_queue[instance].append(check)
        else:
            self._pool.answer(check, passed=True)

    def _tell(self, instance: int) -> None:
        """Tells the policy, and whoever waits for the instance to be idle."""
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
        return self._taken[instance] + self._queued[instance] + len(self._open[instance])

    def _believes(self, instance: int, share: float) -> None:
        """The balancer's belief has changed, or how much of its traffic it gives the instance."""
        if share != 1.0 or self._rule.slow_start > 0:
            self._policy.set_weight(instance, self._pool.weight(instance) * share)
            if self._queue_at_balancer:
                self._limit[instance] = max(1, math.ceil(self._slots[instance] * share))
        self._senders.freed(self, instance)
        self._tell(instance)

    # What the control plane does and asks

    def set_pool(self, instance: int, in_pool: bool) -> None:
        """Tells the balancer whether to send to the instance; that it should not, it hears late."""
        self._pool.tell(instance, in_pool)
        self._senders.settle()

    def remove(self, instance: int) -> None:
        """Tells the balancer that the drained instance is gone: sessions that stick to it leave."""
        self._pool.remove(instance)

    def stop(self, instance: int) -> None:
        """From now on the instance answers nothing new."""
        self._listens(instance, False)

    def start(self, instance: int, new_version: bool) -> None:
        """It listens, with a version, and is cold."""
        self._new_version[instance] = new_version
        self._started_s[instance] = self._env.now
        self._listens(instance, True)

    def _listens(self, instance: int, listening: bool) -> None:
        self._listening[instance] = listening
        if self._pulls:
            self._pool.knows(instance, listening)
        self._senders.freed(self, instance)
        self._senders.settle()

    def cut(self, instance: int) -> int:
        """Ends everything in service or queued at the instance; says how many clients lost."""
        return self._end_all(instance, CUT)

    def crash(self, instance: int) -> None:
        """It died on its own: it listens no more, and everything there ends as `error`."""
        self._listens(instance, False)
        self._end_all(instance, ERROR)

    def _end_all(self, instance: int, outcome: int) -> int:
        working = [*self._at_work[instance], *self._open[instance]]
        working.sort(key=lambda call: (call.start_s, call.attempt.order))
        queued = [one for one in self._own_queue[instance] if isinstance(one, Call)]
        held = [*working, *(call for call in queued if call.state == QUEUED)]
        self._own_queue[instance].clear()  # checks there run out of time
        lost = 0
        for call in held:
            in_flight = call.attempt.outcome == IN_FLIGHT
            goes_back = self._rule.requeue and not call.requeued and call.state == SERVING
            if in_flight and goes_back:
                self._goes_back(call)
            else:
                lost += in_flight
                self._senders.failed(call, outcome)
        self._tell(instance)
        self._senders.settle()
        return lost

    def _goes_back(self, call: Call) -> None:
        """A task that was cut is the next one again, as a new call."""
        again = self._senders.again(call)
        idle = self._policy.pick(again.attempt.order, again.attempt.request.session)
        if idle >= 0:
            self._send(again, idle)
            return
        self._queue.appendleft(again)
        self._queue_up(again, WAITING)

    def old_answers_wrongly(self) -> None:
        """From now on every answer of the old version is wrong: its database was contracted."""
        self._old_is_wrong = True

    def count(self, instance: int) -> int:
        """Requests in service or queued at the instance, and connections open there."""
        return len(self._at_work[instance]) + self._queued[instance] + len(self._open[instance])

    def when_idle(self, instance: int) -> simpy.Event:
        """An event for the first moment at which `count` is 0."""
        if self.count(instance) == 0:
            return past_event(self._env)
        return self._idle.setdefault(instance, simpy.Event(self._env))

    def when_healthy(self, instance: int) -> simpy.Event:
        """An event for when it has passed its checks often enough, counted from now."""
        return self._pool.when_healthy(instance)

    def seen(self, since_s: float, until_s: float, new_version: bool | None = None) -> EndedCalls:
        """What ended after ``since_s``, up to ``until_s``; of one version's answers only, or all."""
        first, last = (bisect_right(self.ended, t, key=_finish_s) for t in (since_s, until_s))
        ended = [
            call
            for call in self.ended[first:last]
            if new_version is None
            or (call.new_version is new_version and not math.isnan(call.start_s))
        ]
        good = [call for call in ended if call.outcome == OK]
        latency_s = [call.finish_s - call.arrival_s for call in good if call.takes_slot]
        return EndedCalls(len(ended), len(ended) - len(good), np.array(latency_s))


def _finish_s(call: Call) -> float:
    return call.finish_s
