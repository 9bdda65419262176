"""Requests, their attempts and retries, compiled: `clients` and `retry_budget`."""

from __future__ import annotations

import math

from simulation.engines.compiled.kernel.build import hot_part, part
from simulation.engines.compiled.kernel.draws import JITTER, uniform
from simulation.engines.compiled.kernel.memory import (
    DRAWN_DEMAND,
    NEW_DEMAND,
    NEW_LIFE,
    RETRY,
    SAME_DEMAND,
    SEND_NEXT,
    attempt_at,
    call_at,
    class_at,
    f8_at,
    header_at,
    i4_at,
    i8_at,
    row_at,
)
from simulation.engines.compiled.kernel.queues import signal
from simulation.engines.compiled.kernel.tally import count_call_arrival, end_request, log_loss
from simulation.engines.compiled.kernel.timers import count_alive, note_if_tight, set_timer
from simulation.requests.call_states import PAUSED
from simulation.requests.plane import ARRIVALS
from simulation.requests.retry_budget import WINDOW_S
from simulation.results.run_result import CUT, IN_FLIGHT, OK
from simulation.scenario.limits import ATTEMPT_BITS

_MOST_ATTEMPTS = (1 << ATTEMPT_BITS) - 1


@hot_part
def attempt_order(number: int, n: int) -> int:
    """Return the order of an attempt's events among those of one kind at one time."""
    return (number << ATTEMPT_BITS) + n


@hot_part
def new_attempt(p: int) -> int:
    """Return the index of a free record for an attempt."""
    h = header_at(p, 0)
    a = h.attempt_free
    if a >= 0:
        h.attempt_free = attempt_at(h.attempts, a).free_next
    else:
        a = h.attempt_used
        h.attempt_used += 1
    count_alive(p, 1)
    if h.attempt_cap - h.alive < 4:
        h.tight = 1
    attempt = attempt_at(h.attempts, a)
    attempt.is_free = 0
    attempt.outcome = IN_FLIGHT
    attempt.first = attempt.next = attempt.live = 0
    attempt.to_come = attempt.superseded = attempt.exposed = 0
    return a


@hot_part
def free_attempt(p: int, a: int) -> None:
    """Free the record of an attempt if it has ended, no work of it continues, and no retry needs it."""
    h = header_at(p, 0)
    attempt = attempt_at(h.attempts, a)
    if (
        attempt.live == 0
        and attempt.outcome != IN_FLIGHT
        and not attempt.to_come
        and not attempt.is_free
    ):
        attempt.is_free = 1
        attempt.free_next = h.attempt_free
        h.attempt_free = a
        count_alive(p, -1)


@hot_part
def is_last(p: int, a: int) -> bool:
    """Return whether this is the latest attempt of its request."""
    return attempt_at(header_at(p, 0).attempts, a).superseded == 0


@part
def _forget_old(base: int, first: int, following: int, mask: int, now: float) -> int:
    while first < following and f8_at(base, first & mask).v <= now - WINDOW_S:
        first += 1
    return first


@hot_part
def count_in_budget(p: int, kind: int) -> None:
    """Record the first attempt of a request in the retry budget of its class."""
    h = header_at(p, 0)
    request_class = class_at(h.classes, kind)
    if request_class.budget < 0:
        return
    request_class.sent_first = _forget_old(
        request_class.sent,
        request_class.sent_first,
        request_class.sent_next,
        request_class.sent_mask,
        h.now,
    )
    f8_at(request_class.sent, request_class.sent_next & request_class.sent_mask).v = h.now
    request_class.sent_next += 1
    note_if_tight(
        p, request_class.sent_mask + 1 - (request_class.sent_next - request_class.sent_first)
    )


@part
def try_spend_budget(p: int, kind: int) -> bool:
    """Return whether the class may send one more retry now, and if so record it as sent."""
    h = header_at(p, 0)
    request_class = class_at(h.classes, kind)
    request_class.sent_first = _forget_old(
        request_class.sent,
        request_class.sent_first,
        request_class.sent_next,
        request_class.sent_mask,
        h.now,
    )
    request_class.retried_first = _forget_old(
        request_class.retried,
        request_class.retried_first,
        request_class.retried_next,
        request_class.retried_mask,
        h.now,
    )
    sent, retried = (
        request_class.sent_next - request_class.sent_first,
        request_class.retried_next - request_class.retried_first,
    )
    if retried + 1 > request_class.budget * sent:
        return False
    f8_at(request_class.retried, request_class.retried_next & request_class.retried_mask).v = h.now
    request_class.retried_next += 1
    note_if_tight(
        p,
        request_class.retried_mask + 1 - (request_class.retried_next - request_class.retried_first),
    )
    return True


@part
def backoff_s(p: int, kind: int, number: int, u: float) -> float:
    """Return how long a client waits before the retry after attempt ``number``, in seconds."""
    request_class = class_at(header_at(p, 0).classes, kind)
    return _wait_s(request_class.backoff, request_class.factor, request_class.jitter, number, u)


@part
def _wait_s(first: float, factor: float, jitter: float, number: int, u: float) -> float:
    """Return `simulation.scenario.traffic.backoff_s` of these arguments."""
    wait = first
    for _attempt in range(number):
        wait *= factor
    return wait * (1.0 + jitter * (2.0 * u - 1.0))


@part
def _next_reconnection(p: int, a: int) -> int:
    """Return the number of the attempt to connect that follows an attempt, 0 for none."""
    h = header_at(p, 0)
    attempt = attempt_at(h.attempts, a)
    kind = class_at(h.classes, attempt.kind)
    if not kind.reconnects or attempt.tries >= _MOST_ATTEMPTS:
        return 0
    first = call_at(h.calls, a * h.route_max)
    was_open = not first.takes_slot and not math.isnan(first.start)
    tries_again = attempt.reconnection > 0 and not was_open and kind.again_backoff > 0
    if attempt.outcome != CUT and not tries_again:
        return 0
    return 1 if was_open else attempt.reconnection + 1


@part
def _schedule_retry(p: int, a: int) -> bool:
    h = header_at(p, 0)
    attempt = attempt_at(h.attempts, a)
    kind = class_at(h.classes, attempt.kind)
    attempt.next_reconnection = _next_reconnection(p, a)
    to_come = SAME_DEMAND
    if attempt.next_reconnection > 0:
        u = uniform(h.key, JITTER, attempt.order) if kind.again_jitter > 0 else 0.5
        failed = attempt.next_reconnection - 1
        again_s = _wait_s(kind.again_backoff, kind.again_factor, kind.again_jitter, failed, u)
        to_come = DRAWN_DEMAND
        signal(p, NEW_LIFE, a)
    elif attempt.tries < kind.attempts and (kind.cut or attempt.outcome != CUT):
        if kind.budget >= 0 and not try_spend_budget(p, attempt.kind):
            return False
        u = uniform(h.key, JITTER, attempt.order) if kind.jitter > 0 else 0.5
        again_s = backoff_s(p, attempt.kind, attempt.tries, u)
        if kind.draws_demand:
            to_come = DRAWN_DEMAND
            signal(p, NEW_DEMAND, a)
    else:
        return False
    attempt.to_come = to_come
    set_timer(p, h.now + again_s, ARRIVALS + attempt.order + 1, RETRY, a, 0)
    return True


@part
def schedule_next_request(p: int, client: int) -> None:
    """Schedule the next request of a client of a closed loop, after its think time."""
    h = header_at(p, 0)
    place = i4_at(h.loop_place, client).v
    asks_s = h.now + f8_at(h.loop_think, client * h.loop_width + place).v
    number = i8_at(h.loop_sequence, client).v * h.client_count + client
    set_timer(p, asks_s, ARRIVALS + attempt_order(number, 0), SEND_NEXT, client, 0)


@hot_part
def on_attempt_ended(p: int, a: int, outcome: int, c: int) -> None:
    """Record the attempt's outcome for its client, and schedule a retry if there is one.

    Args:
        p: The address of the header.
        a: The attempt.
        outcome: Its outcome.
        c: The call that ended it.
    """
    h = header_at(p, 0)
    attempt = attempt_at(h.attempts, a)
    attempt.outcome = outcome
    if outcome != OK and _schedule_retry(p, a):
        return
    if outcome != OK:
        call = call_at(h.calls, c)
        is_served, by_new = not math.isnan(call.start), call.new_version == 1
        log_loss(p, h.now, call.instance, outcome, is_served, by_new)
    end_request(p, a, outcome)
    if attempt.client >= 0:
        schedule_next_request(p, attempt.client)


@hot_part
def new_call(p: int, a: int, place: int) -> int:
    """Return the index of a new call at a place of the attempt's route."""
    h = header_at(p, 0)
    attempt = attempt_at(h.attempts, a)
    c = a * h.route_max + place
    call = call_at(h.calls, c)
    kind = class_at(h.classes, attempt.kind)
    call.service = i4_at(h.route, attempt.kind * h.route_max + place).v
    call.generation += 1
    call.arrival = h.now
    call.demand = call.want
    call.start = math.nan
    call.state = PAUSED
    call.instance = -1
    call.outcome = IN_FLIGHT
    call.gives_up = math.inf
    call.tries = 0
    call.takes_slot = kind.holds_slot
    call.new_version = 0
    call.requeued = 0
    call.is_handshake = 0
    call.shared = -1
    attempt.live += 1
    count_call_arrival(p, c)
    if h.keeps_rows and place == 0 and is_last(p, a):
        first = row_at(h.rows, attempt.row)
        first.start = math.nan
        first.instance = -1
    return c


@part
def make_handshake(p: int, c: int) -> None:
    """Make a new call the handshake of a connection, if handshakes of its class cost something."""
    h = header_at(p, 0)
    call = call_at(h.calls, c)
    cost = class_at(h.classes, attempt_at(h.attempts, c // h.route_max).kind).handshake
    if cost > 0:
        call.is_handshake = call.takes_slot = 1
        call.demand = cost
        count_call_arrival(p, c)
