"""Requests and the attempts they are made in, compiled: `clients` and `retries`."""

from __future__ import annotations

import math

from simulation.engines.compiled.kernel.build import part
from simulation.engines.compiled.kernel.draws import JITTER, uniform
from simulation.engines.compiled.kernel.memory import (
    ASK,
    ASK_AGAIN,
    LIFE,
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
from simulation.engines.compiled.kernel.tally import call_came, request_ended
from simulation.engines.compiled.kernel.timers import is_tight, lives, set_timer
from simulation.requests.call_states import PAUSED
from simulation.requests.plane import ARRIVALS
from simulation.requests.retry_budget import WINDOW_S
from simulation.results.run_result import CUT, IN_FLIGHT, OK
from simulation.scenario.limits import ATTEMPT_BITS

_MOST_ATTEMPTS = (1 << ATTEMPT_BITS) - 1


@part
def attempt_order(number: int, n: int) -> int:
    """What orders events of one kind at one instant."""
    return (number << ATTEMPT_BITS) + n


@part
def new_attempt(p: int) -> int:
    """A free slot for an attempt."""
    h = header_at(p, 0)
    a = h.attempt_free
    if a >= 0:
        h.attempt_free = attempt_at(h.attempts, a).free_next
    else:
        a = h.attempt_used
        h.attempt_used += 1
    lives(p, 1)
    if h.attempt_cap - h.alive < 4:
        h.tight = 1
    one = attempt_at(h.attempts, a)
    one.is_free = 0
    one.outcome = IN_FLIGHT
    one.first = one.next = one.live = 0
    one.to_come = one.superseded = one.exposed = 0
    return a


@part
def free_attempt(p: int, a: int) -> None:
    """Its slot is free, once nothing of it goes on and nobody has to come back to it."""
    h = header_at(p, 0)
    one = attempt_at(h.attempts, a)
    if one.live == 0 and one.outcome != IN_FLIGHT and not one.to_come and not one.is_free:
        one.is_free = 1
        one.free_next = h.attempt_free
        h.attempt_free = a
        lives(p, -1)


@part
def is_last(p: int, a: int) -> bool:
    """Whether its request has made no other attempt since."""
    return attempt_at(header_at(p, 0).attempts, a).superseded == 0


@part
def _budget_forgets(base: int, first: int, following: int, mask: int, now: float) -> int:
    while first < following and f8_at(base, first & mask).v <= now - WINDOW_S:
        first += 1
    return first


@part
def budget_request(p: int, kind: int) -> None:
    """A request of the class arrived, its first attempt."""
    h = header_at(p, 0)
    one = class_at(h.classes, kind)
    if one.budget < 0:
        return
    one.asked_first = _budget_forgets(
        one.asked, one.asked_first, one.asked_next, one.asked_mask, h.now
    )
    f8_at(one.asked, one.asked_next & one.asked_mask).v = h.now
    one.asked_next += 1
    is_tight(p, one.asked_mask + 1 - (one.asked_next - one.asked_first))


@part
def budget_allows(p: int, kind: int) -> bool:
    """Whether the class may ask again, which then counts."""
    h = header_at(p, 0)
    one = class_at(h.classes, kind)
    one.asked_first = _budget_forgets(
        one.asked, one.asked_first, one.asked_next, one.asked_mask, h.now
    )
    one.again_first = _budget_forgets(
        one.again, one.again_first, one.again_next, one.again_mask, h.now
    )
    asked, again = one.asked_next - one.asked_first, one.again_next - one.again_first
    if again + 1 > one.budget * asked:
        return False
    f8_at(one.again, one.again_next & one.again_mask).v = h.now
    one.again_next += 1
    is_tight(p, one.again_mask + 1 - (one.again_next - one.again_first))
    return True


@part
def wait_s(p: int, kind: int, number: int, u: float) -> float:
    """How long a client waits before it asks again."""
    one = class_at(header_at(p, 0).classes, kind)
    wait = one.backoff
    for _attempt in range(number):
        wait *= one.factor
    return wait * (1.0 + one.jitter * (2.0 * u - 1.0))


@part
def _asks_again(p: int, a: int) -> bool:
    h = header_at(p, 0)
    one = attempt_at(h.attempts, a)
    kind = class_at(h.classes, one.kind)
    if one.outcome == CUT and kind.reconnects and one.tries < _MOST_ATTEMPTS:
        again_s = 0.0
        signal(p, LIFE, a)
    elif one.tries < kind.attempts and (kind.cut or one.outcome != CUT):
        if kind.budget >= 0 and not budget_allows(p, one.kind):
            return False
        u = uniform(h.key, JITTER, one.order) if kind.jitter > 0 else 0.5
        again_s = wait_s(p, one.kind, one.tries, u)
    else:
        return False
    one.to_come = 1
    set_timer(p, h.now + again_s, ARRIVALS + one.order + 1, ASK_AGAIN, a, 0)
    return True


@part
def think(p: int, client: int) -> None:
    """A client of a closed loop thinks, and will ask."""
    h = header_at(p, 0)
    place = i4_at(h.loop_place, client).v
    asks_s = h.now + f8_at(h.loop_think, client * h.loop_width + place).v
    number = i8_at(h.loop_sequence, client).v * h.client_count + client
    set_timer(p, asks_s, ARRIVALS + attempt_order(number, 0), ASK, client, 0)


@part
def told(p: int, a: int, outcome: int) -> None:
    """The attempt is over for its client, who may make another."""
    h = header_at(p, 0)
    one = attempt_at(h.attempts, a)
    one.outcome = outcome
    if outcome != OK and _asks_again(p, a):
        return
    request_ended(p, a, outcome)
    if one.client >= 0:
        think(p, one.client)


@part
def new_call(p: int, a: int, place: int) -> int:
    """A call at a place of the attempt's route."""
    h = header_at(p, 0)
    one = attempt_at(h.attempts, a)
    c = a * h.route_max + place
    call = call_at(h.calls, c)
    kind = class_at(h.classes, one.kind)
    call.service = i4_at(h.route, one.kind * h.route_max + place).v
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
    one.live += 1
    call_came(p, c)
    if h.keeps_rows and place == 0 and is_last(p, a):
        first = row_at(h.rows, one.row)
        first.start = math.nan
        first.instance = -1
    return c
