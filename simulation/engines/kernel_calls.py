"""What becomes of calls, compiled: `station`, `pool` and the way along a route of `reference`.

Each function does what the reference's of the same name does, in the same order; what is said there
is not said again here. A call's slot is that of its attempt and its place on the route.
"""

from __future__ import annotations

import math

from simulation.engines.belief import LEAST_SHARE
from simulation.engines.calls import (
    CONNECTING,
    GONE,
    HOLDING,
    OPEN,
    PAUSED,
    QUEUED,
    SERVING,
    WAITING,
)
from simulation.engines.kernel_build import part
from simulation.engines.kernel_draws import ERROR_DRAW, JITTER, uniform
from simulation.engines.kernel_memory import (
    ASK,
    ASK_AGAIN,
    CALM,
    COMPLETE,
    CONNECT_AGAIN,
    HEALTHY,
    IDLE,
    LIFE,
    PICK_AGAIN,
    RAMP,
    attempt_at,
    call_at,
    call_row_at,
    class_at,
    ended_at,
    f8_at,
    header_at,
    i4_at,
    i8_at,
    instance_at,
    node_at,
    row_at,
    service_at,
    signal_at,
)
from simulation.engines.kernel_policies import pick, update
from simulation.engines.kernel_timers import is_tight, set_timeout, set_timer
from simulation.engines.plane import ARRIVALS, ATTEMPT_BITS, COMPLETIONS, TIMEOUTS
from simulation.engines.retries import WINDOW_S
from simulation.results import CUT, ERROR, IN_FLIGHT, OK, REFUSED, REJECTED, TIMED_OUT

_MOST_ATTEMPTS = (1 << ATTEMPT_BITS) - 1


@part
def signal(p: int, what: int, which: int) -> None:
    """Control has to hear of this, once all that is due at this moment before it is over."""
    h = header_at(p, 0)
    one = signal_at(h.signals, h.signal_count)
    one.what, one.which = what, which
    h.signal_count += 1
    h.target = min(h.target, h.now)
    is_tight(p, h.signal_cap - h.signal_count)


# Queues


@part
def _node(p: int, slot: int, generation: int) -> int:
    h = header_at(p, 0)
    node = h.node_free
    if node >= 0:
        h.node_free = node_at(h.nodes, node).next
    else:
        node = h.node_used
        h.node_used += 1
    h.node_count += 1
    is_tight(p, h.node_cap - h.node_count)
    one = node_at(h.nodes, node)
    one.slot, one.generation, one.next = slot, generation, -1
    return node


@part
def _free_node(p: int, node: int) -> None:
    h = header_at(p, 0)
    node_at(h.nodes, node).next = h.node_free
    h.node_free = node
    h.node_count -= 1


@part
def append_own(p: int, g: int, slot: int, generation: int) -> None:
    """At the end of an instance's own queue: a call, or a check where the slot is −1."""
    h = header_at(p, 0)
    one = instance_at(h.instances, g)
    node = _node(p, slot, generation)
    if one.head < 0:
        one.head = node
    else:
        node_at(h.nodes, one.tail).next = node
    one.tail = node


@part
def _append(p: int, s: int, c: int, at_head: bool) -> None:
    h = header_at(p, 0)
    service = service_at(h.services, s)
    node = _node(p, c, call_at(h.calls, c).generation)
    if service.head < 0:
        service.head = service.tail = node
    elif at_head:
        node_at(h.nodes, node).next = service.head
        service.head = node
    else:
        node_at(h.nodes, service.tail).next = node
        service.tail = node


@part
def _waits(p: int, s: int, change: int) -> None:
    h = header_at(p, 0)
    service_at(h.services, s).waiting += change
    h.waiting += change
    h.highest = max(h.highest, h.waiting)
    if h.calm_level >= 0 and h.waiting <= h.calm_level:
        h.calm_level = -1
        signal(p, CALM, 0)


@part
def _freed(p: int, g: int) -> None:
    h = header_at(p, 0)
    i4_at(h.freed, h.freed_first + h.freed_count).v = g
    h.freed_count += 1
    is_tight(p, h.freed_cap - h.freed_first - h.freed_count)


# Requests and attempts


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
    h.alive += 1
    if h.attempt_cap - h.alive < 4:
        h.tight = 1
    one = attempt_at(h.attempts, a)
    one.is_free = 0
    one.outcome = IN_FLIGHT
    one.first = one.next = one.live = 0
    one.to_come = one.by_new = 0
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
        h.alive -= 1


@part
def _is_last(p: int, a: int) -> bool:
    h = header_at(p, 0)
    one = attempt_at(h.attempts, a)
    return row_at(h.rows, one.row).attempts == one.tries + 1


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
def _budget_allows(p: int, kind: int) -> bool:
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
def _wait_s(p: int, kind: int, number: int, u: float) -> float:
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
        wait_s = 0.0
        signal(p, LIFE, a)
    elif one.tries < kind.attempts and (kind.cut or one.outcome != CUT):
        if kind.budget >= 0 and not _budget_allows(p, one.kind):
            return False
        u = uniform(h.key, JITTER, one.order) if kind.jitter > 0 else 0.5
        wait_s = _wait_s(p, one.kind, one.tries, u)
    else:
        return False
    one.to_come = 1
    set_timer(p, h.now + wait_s, ARRIVALS + one.order + 1, ASK_AGAIN, a, 0)
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
    row = row_at(h.rows, one.row)
    row.finish = h.now
    row.outcome = outcome
    if one.client >= 0:
        think(p, one.client)


# Calls


@part
def _new_call(p: int, a: int, place: int) -> int:
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
    call.row = h.call_row_count
    h.call_row_count += 1
    is_tight(p, h.call_row_cap - h.call_row_count)
    row = call_row_at(h.call_rows, call.row)
    row.arrival = h.now
    row.start = row.finish = row.released = math.nan
    row.service = call.service
    row.outcome = IN_FLIGHT
    row.takes_slot = call.takes_slot
    one.live += 1
    if place == 0 and _is_last(p, a):
        first = row_at(h.rows, one.row)
        first.start = math.nan
        first.instance = -1
    return c


@part
def call(p: int, a: int, place: int) -> None:
    """The attempt reaches a service of its route."""
    c = _new_call(p, a, place)
    attempt_at(header_at(p, 0).attempts, a).next = place + 1
    arrive(p, c)


@part
def _ended(p: int, c: int, outcome: int) -> None:
    """Its caller is done with the call."""
    h = header_at(p, 0)
    one = call_at(h.calls, c)
    one.outcome = outcome
    row = call_row_at(h.call_rows, one.row)
    row.outcome = outcome
    row.finish = h.now
    service = service_at(h.services, one.service)
    if service.keeps_log:
        ended = ended_at(service.log, service.log_count)
        service.log_count += 1
        ended.finish = h.now
        ended.latency = h.now - one.arrival
        ended.outcome = outcome
        ended.new_version = one.new_version
        ended.served = not math.isnan(one.start)
        ended.takes_slot = one.takes_slot
        is_tight(p, service.log_cap - service.log_count)


@part
def _over(p: int, a: int, first: int, until: float, outcome: int) -> None:
    h = header_at(p, 0)
    for c in range(a * h.route_max + first, a * h.route_max + until):
        if call_at(h.calls, c).outcome == IN_FLIGHT:
            _ended(p, c, outcome)
        _release(p, c)


@part
def _release(p: int, c: int) -> None:
    h = header_at(p, 0)
    one = call_at(h.calls, c)
    state, g = one.state, one.instance
    if state == GONE:
        return
    one.state = GONE
    attempt_at(h.attempts, c // h.route_max).live -= 1
    if state == PAUSED:
        return
    if state == WAITING:
        _waits(p, one.service, -1)
        return
    instance = instance_at(h.instances, g)
    if state == SERVING or state == HOLDING:
        instance.at_work -= 1
        instance.taken -= 1
        call_row_at(h.call_rows, one.row).released = h.now
    elif state == OPEN:
        instance.open -= 1
        call_row_at(h.call_rows, one.row).released = h.now
    elif state == CONNECTING:
        instance.taken -= 1
    else:
        _waits(p, one.service, -1)
        instance.queued -= 1
    _freed(p, g)


@part
def _served(p: int, c: int) -> None:
    h = header_at(p, 0)
    a = c // h.route_max
    one = attempt_at(h.attempts, a)
    place = c % h.route_max + 1
    if place < class_at(h.classes, one.kind).route_length:
        call(p, a, place)
        return
    _over(p, a, one.first, one.next, OK)
    one.first = one.next
    if one.outcome == IN_FLIGHT:
        told(p, a, OK)
    free_attempt(p, a)


@part
def failed(p: int, c: int, outcome: int) -> None:
    """The attempt fails with the call."""
    h = header_at(p, 0)
    a = c // h.route_max
    one = attempt_at(h.attempts, a)
    until = c % h.route_max + 1
    _over(p, a, one.first, until, outcome)
    one.first = until
    if one.outcome == IN_FLIGHT:
        told(p, a, outcome)
    free_attempt(p, a)


@part
def patience_ends(p: int, a: int, order: int) -> None:
    """The client of the attempt leaves."""
    h = header_at(p, 0)
    one = attempt_at(h.attempts, a)
    c = a * h.route_max
    if one.is_free or one.outcome != IN_FLIGHT or one.order != order:
        return
    first = call_at(h.calls, c)
    state = first.state
    if (
        class_at(h.classes, one.kind).cancels
        or state == WAITING
        or state == QUEUED
        or state == CONNECTING
        or state == OPEN
        or state == PAUSED
    ):
        _over(p, a, one.first, one.next, TIMED_OUT)
        one.first = one.next
    else:
        _ended(p, c, TIMED_OUT)
    told(p, a, TIMED_OUT)
    free_attempt(p, a)


@part
def arrive(p: int, c: int) -> None:
    """The balancer picks an instance among those it believes are in the pool, or it waits."""
    h = header_at(p, 0)
    one = call_at(h.calls, c)
    s = one.service
    service = service_at(h.services, s)
    attempt = attempt_at(h.attempts, c // h.route_max)
    if service.sticky and one.tries == 0:
        bound = i4_at(service.bound, attempt.session).v - 1
        if bound >= 0:
            there = instance_at(h.instances, bound)
            if not there.removed and there.is_up:
                send(p, c, bound)
                return
    if service.believed_count == 0 and not service.pulls:
        failed(p, c, REJECTED)
        return
    picked_by = attempt.order + (one.tries << 56)
    g = pick(p, s, picked_by, attempt.session, one.takes_slot == 1)
    if g >= 0:
        send(p, c, g)
    elif service.waiting < service.queue_limit and one.takes_slot:
        _append(p, s, c, False)
        _queue_up(p, c, WAITING)
    else:
        failed(p, c, REJECTED)


@part
def _queue_up(p: int, c: int, state: int) -> None:
    h = header_at(p, 0)
    one = call_at(h.calls, c)
    service = service_at(h.services, one.service)
    one.state = state
    _waits(p, one.service, 1)
    if service.lane >= 0:
        one.gives_up = h.now + service.queue_timeout
        order = attempt_at(h.attempts, c // h.route_max).order
        set_timeout(p, service.lane, one.gives_up, TIMEOUTS + order, c, one.generation)


@part
def waited_enough(p: int, c: int, generation: int) -> None:
    """It has waited for as long as the balancer lets it, and not only before another try."""
    h = header_at(p, 0)
    one = call_at(h.calls, c)
    if (
        one.generation == generation
        and (one.state == WAITING or one.state == QUEUED)
        and h.now >= one.gives_up
    ):
        failed(p, c, TIMED_OUT)


@part
def send(p: int, c: int, g: int) -> None:
    """The call goes to the instance: refused, served at once, or queued there."""
    h = header_at(p, 0)
    one = call_at(h.calls, c)
    a = c // h.route_max
    one.instance = g
    if c == a * h.route_max and _is_last(p, a):
        row_at(h.rows, attempt_at(h.attempts, a).row).instance = g
    service = service_at(h.services, one.service)
    instance = instance_at(h.instances, g)
    if service.sticky:
        i4_at(service.bound, attempt_at(h.attempts, a).session).v = g + 1
    if not instance.listening:
        _gets_no_answer(p, c)
    elif not one.takes_slot:
        _connect(p, c)
    elif instance.taken < instance.limit:
        _begin(p, c)
    elif (service.waiting if service.at_balancer else instance.queued) < service.queue_limit:
        append_own(p, g, c, one.generation)
        instance.queued += 1
        _queue_up(p, c, QUEUED)
    else:
        failed(p, c, REJECTED)
        return
    tell(p, g)


@part
def _starts(p: int, c: int) -> None:
    """It is with the instance's version now; in the row of its request too."""
    h = header_at(p, 0)
    one = call_at(h.calls, c)
    a = c // h.route_max
    attempt = attempt_at(h.attempts, a)
    one.start = h.now
    call_row_at(h.call_rows, one.row).start = h.now
    is_last = _is_last(p, a)
    row = row_at(h.rows, attempt.row)
    if is_last and c == a * h.route_max:
        row.start = h.now
    if instance_at(h.instances, one.instance).new_version:
        one.new_version = attempt.by_new = 1
        if is_last:
            row.new_version = 1


@part
def _begin(p: int, c: int) -> None:
    h = header_at(p, 0)
    one = call_at(h.calls, c)
    instance = instance_at(h.instances, one.instance)
    service = service_at(h.services, one.service)
    one.state = SERVING
    instance.at_work += 1
    instance.taken += 1
    _starts(p, c)
    slower = service.old_factor
    if instance.new_version:
        age = h.now - instance.started
        cold = 1.0 + (service.cold_factor - 1.0) * math.exp(-age / service.cold_decay)
        slower = service.new_factor * cold
    takes_s = one.demand * slower / instance.speed
    order = attempt_at(h.attempts, c // h.route_max).order
    set_timer(p, h.now + takes_s, COMPLETIONS + order, COMPLETE, c, one.generation)


@part
def _connect(p: int, c: int) -> None:
    h = header_at(p, 0)
    one = call_at(h.calls, c)
    one.state = OPEN
    _starts(p, c)
    instance_at(h.instances, one.instance).open += 1
    order = attempt_at(h.attempts, c // h.route_max).order
    set_timer(p, h.now + one.demand, COMPLETIONS + order, COMPLETE, c, one.generation)


@part
def complete(p: int, c: int, generation: int) -> None:
    """The call's own work is done."""
    h = header_at(p, 0)
    one = call_at(h.calls, c)
    if one.generation != generation:
        return
    if one.state == SERVING:
        one.state = HOLDING
        service = service_at(h.services, one.service)
        share = service.new_error if one.new_version else service.old_error
        if not one.new_version and service.old_is_wrong:
            failed(p, c, ERROR)
            return
        if share > 0:
            order = attempt_at(h.attempts, c // h.route_max).order
            if uniform(service.key, ERROR_DRAW, order) < share:
                failed(p, c, ERROR)
                return
        _served(p, c)
    elif one.state == OPEN:
        _served(p, c)


@part
def _gets_no_answer(p: int, c: int) -> None:
    h = header_at(p, 0)
    one = call_at(h.calls, c)
    g = one.instance
    s = one.service
    service = service_at(h.services, s)
    instance = instance_at(h.instances, g)
    if service.counts:
        tried = _connections(p, g) + 1
        update(p, s, g - service.first, tried, instance.is_believed, True)
    if one.tries >= service.connect_attempts:
        failed(p, c, REFUSED)
        return
    one.tries += 1
    again_s = h.now + service.connect_delay
    order = ARRIVALS + attempt_at(h.attempts, c // h.route_max).order
    if service.redispatch:
        one.state = PAUSED
        set_timer(p, again_s, order, PICK_AGAIN, c, one.generation)
    else:
        one.state = CONNECTING
        instance.taken += 1
        set_timer(p, again_s, order, CONNECT_AGAIN, c, one.generation)


@part
def pick_again(p: int, c: int, generation: int) -> None:
    """After a pause the balancer picks anew."""
    one = call_at(header_at(p, 0).calls, c)
    if one.generation == generation and one.state == PAUSED:
        arrive(p, c)


@part
def connect_again(p: int, c: int, generation: int) -> None:
    """After a pause the same instance is tried again."""
    h = header_at(p, 0)
    one = call_at(h.calls, c)
    if one.generation == generation and one.state == CONNECTING:
        g = one.instance
        instance_at(h.instances, g).taken -= 1
        one.state = PAUSED
        send(p, c, g)
        _freed(p, g)


# Who is next


@part
def settle(p: int) -> None:
    """Fills what was freed."""
    h = header_at(p, 0)
    while h.freed_count > 0:
        g = i4_at(h.freed, h.freed_first).v
        h.freed_first += 1
        h.freed_count -= 1
        _refill(p, g)
    h.freed_first = 0


@part
def _refill(p: int, g: int) -> None:
    h = header_at(p, 0)
    instance = instance_at(h.instances, g)
    s = instance.service
    while instance.taken < instance.limit:
        own = _next_queued(p, g)
        if own >= 0:
            instance.queued -= 1
            _waits(p, s, -1)
            _begin(p, own)
            continue
        c = _next_waiting(p, g)
        if c < 0:
            break
        _waits(p, s, -1)
        call_at(h.calls, c).state = PAUSED
        send(p, c, g)
    tell(p, g)


@part
def _next_queued(p: int, g: int) -> int:
    h = header_at(p, 0)
    instance = instance_at(h.instances, g)
    while instance.head >= 0:
        node = instance.head
        one = node_at(h.nodes, node)
        slot, generation = one.slot, one.generation
        instance.head = one.next
        _free_node(p, node)
        if slot < 0:
            if is_open(p, g, generation) and instance.listening:
                answer(p, g, generation, True)
        else:
            waits = call_at(h.calls, slot)
            if waits.generation == generation and waits.state == QUEUED:
                return slot
    return -1


@part
def _next_waiting(p: int, g: int) -> int:
    h = header_at(p, 0)
    instance = instance_at(h.instances, g)
    service = service_at(h.services, instance.service)
    while service.head >= 0 and instance.is_believed:
        node = service.head
        one = node_at(h.nodes, node)
        slot, generation = one.slot, one.generation
        service.head = one.next
        _free_node(p, node)
        waits = call_at(h.calls, slot)
        if waits.generation == generation and waits.state == WAITING:
            return slot
    return -1


@part
def _connections(p: int, g: int) -> int:
    one = instance_at(header_at(p, 0).instances, g)
    return one.taken + one.queued + one.open


@part
def tell(p: int, g: int) -> None:
    """Tells the policy, and whoever waits for the instance to be idle."""
    h = header_at(p, 0)
    one = instance_at(h.instances, g)
    s = one.service
    service = service_at(h.services, s)
    has_room = one.taken < one.limit if service.at_balancer else True
    update(p, s, g - service.first, _connections(p, g), one.is_believed == 1, has_room)
    if one.watch_idle and one.at_work + one.queued + one.open == 0:
        one.watch_idle = 0
        signal(p, IDLE, g)


# Belief and health


@part
def believes(p: int, g: int, share: float) -> None:
    """The balancer's belief has changed, or how much of its traffic it gives the instance."""
    h = header_at(p, 0)
    one = instance_at(h.instances, g)
    service = service_at(h.services, one.service)
    if share != 1.0 or service.slow_start > 0:
        one.weight = one.base_weight * share
        if service.at_balancer:
            one.limit = max(1, math.ceil(one.slots * share))
    _freed(p, g)
    tell(p, g)


@part
def update_belief(p: int, g: int) -> None:
    """It sends to an instance that it was told to send to, and that is up as far as it knows."""
    h = header_at(p, 0)
    one = instance_at(h.instances, g)
    service = service_at(h.services, one.service)
    believed = 1 if one.told and one.is_up else 0
    if believed == one.is_believed:
        return
    one.is_believed = believed
    service.believed_count += 1 if believed else -1
    one.ramp += 1
    if believed and service.slow_start > 0:
        signal(p, RAMP, g)
        believes(p, g, LEAST_SHARE)
    else:
        believes(p, g, 1.0)


@part
def is_open(p: int, g: int, number: int) -> bool:
    """Whether a check of an instance has neither been answered nor run out of time."""
    one = instance_at(header_at(p, 0).instances, g)
    return (one.check_odd if number & 1 else one.check_even) == number


@part
def answer(p: int, g: int, number: int, passed: bool) -> None:
    """A check has been answered, or will not be."""
    h = header_at(p, 0)
    one = instance_at(h.instances, g)
    service = service_at(h.services, one.service)
    if number & 1:
        one.check_odd = -1
    else:
        one.check_even = -1
    one.passed = one.passed + 1 if passed else 0
    if passed == (one.is_up == 1):
        one.contrary = 0
    else:
        one.contrary += 1
        if one.contrary >= (service.rise if passed else service.fall):
            one.contrary = 0
            one.is_up = 1 if passed else 0
            update_belief(p, g)
    if one.watch_healthy and one.is_up and one.passed >= service.rise:
        one.watch_healthy = 0
        signal(p, HEALTHY, g)


@part
def check_begins(p: int, g: int, number: int) -> None:
    """A health check comes: it takes its turn, without a slot."""
    h = header_at(p, 0)
    one = instance_at(h.instances, g)
    if number & 1:
        one.check_odd = number
    else:
        one.check_even = number
    if not one.listening:
        answer(p, g, number, False)
    elif one.head >= 0 or one.taken >= one.slots:
        append_own(p, g, -1, number)
    else:
        answer(p, g, number, True)


# What the control plane does


@part
def listens(p: int, g: int, listening: bool) -> None:
    """It answers from now on, or does not."""
    h = header_at(p, 0)
    one = instance_at(h.instances, g)
    one.listening = 1 if listening else 0
    if service_at(h.services, one.service).pulls:
        one.is_up = one.listening
        update_belief(p, g)
    _freed(p, g)
    settle(p)


@part
def _sort(p: int, count: int) -> None:
    """Puts the calls in `scratch` into the order in which they began (Shell's sort)."""
    h = header_at(p, 0)
    gap = count // 2
    while gap > 0:
        for k in range(gap, count):
            c = i4_at(h.scratch, k).v
            start, order = call_at(h.calls, c).start, attempt_at(h.attempts, c // h.route_max).order
            place = k
            while place >= gap:
                other = i4_at(h.scratch, place - gap).v
                began = call_at(h.calls, other).start
                if began < start or (
                    began == start and attempt_at(h.attempts, other // h.route_max).order < order
                ):
                    break
                i4_at(h.scratch, place).v = other
                place -= gap
            i4_at(h.scratch, place).v = c
        gap //= 2


@part
def end_all(p: int, g: int, outcome: int) -> int:
    """Ends everything in service or queued at the instance; says how many clients lost."""
    h = header_at(p, 0)
    instance = instance_at(h.instances, g)
    count = 0
    for a in range(h.attempt_used):
        if attempt_at(h.attempts, a).is_free:
            continue
        for c in range(a * h.route_max, (a + 1) * h.route_max):
            one = call_at(h.calls, c)
            if one.instance == g and (
                one.state == SERVING or one.state == HOLDING or one.state == OPEN
            ):
                i4_at(h.scratch, count).v = c
                count += 1
    _sort(p, count)
    while instance.head >= 0:
        node = instance.head
        waits = node_at(h.nodes, node)
        slot, generation = waits.slot, waits.generation
        instance.head = waits.next
        _free_node(p, node)
        if slot >= 0:
            one = call_at(h.calls, slot)
            if one.generation == generation and one.state == QUEUED:
                i4_at(h.scratch, count).v = slot
                count += 1
    service = service_at(h.services, instance.service)
    lost = 0
    for k in range(count):
        c = i4_at(h.scratch, k).v
        one = call_at(h.calls, c)
        in_flight = attempt_at(h.attempts, c // h.route_max).outcome == IN_FLIGHT
        if in_flight and service.requeue and not one.requeued and one.state == SERVING:
            _goes_back(p, c)
        else:
            lost += in_flight
            failed(p, c, outcome)
    tell(p, g)
    settle(p)
    return lost


@part
def _goes_back(p: int, c: int) -> None:
    h = header_at(p, 0)
    a = c // h.route_max
    if call_at(h.calls, c).outcome == IN_FLIGHT:
        _ended(p, c, CUT)
    _release(p, c)
    _new_call(p, a, c % h.route_max)
    call_at(h.calls, c).requeued = 1
    attempt = attempt_at(h.attempts, a)
    s = call_at(h.calls, c).service
    idle = pick(p, s, attempt.order, attempt.session, True)
    if idle >= 0:
        send(p, c, idle)
        return
    _append(p, s, c, True)
    _queue_up(p, c, WAITING)
