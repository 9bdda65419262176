"""What becomes of calls, compiled: `station` and the way along a route of `reference`.

Each function does what the reference's of the same name does, in the same order; what is said there
is not said again here. A call's slot is that of its attempt and its place on the route.
"""

from __future__ import annotations

import math

from simulation.engines.compiled.kernel.belief import connections, tell
from simulation.engines.compiled.kernel.build import part
from simulation.engines.compiled.kernel.draws import ERROR_DRAW, uniform
from simulation.engines.compiled.kernel.memory import (
    COMPLETE,
    CONNECT_AGAIN,
    PICK_AGAIN,
    attempt_at,
    call_at,
    class_at,
    header_at,
    i4_at,
    instance_at,
    row_at,
    service_at,
)
from simulation.engines.compiled.kernel.policies import pick, update
from simulation.engines.compiled.kernel.queues import append, append_own, count_waiting, freed
from simulation.engines.compiled.kernel.requests import free_attempt, is_last, new_call, told
from simulation.engines.compiled.kernel.tally import (
    call_gave_up,
    call_started,
    connection_began,
    connection_ended,
    exposed,
    log_ended,
    slot_taken,
)
from simulation.engines.compiled.kernel.timers import set_timeout, set_timer
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
from simulation.requests.plane import ARRIVALS, COMPLETIONS, TIMEOUTS
from simulation.results.run_result import ERROR, IN_FLIGHT, OK, REFUSED, REJECTED, TIMED_OUT


@part
def call(p: int, a: int, place: int) -> None:
    """The attempt reaches a service of its route."""
    c = new_call(p, a, place)
    attempt_at(header_at(p, 0).attempts, a).next = place + 1
    arrive(p, c)


@part
def call_ended(p: int, c: int, outcome: int) -> None:
    """Its caller is done with the call."""
    h = header_at(p, 0)
    one = call_at(h.calls, c)
    one.outcome = outcome
    if math.isnan(one.start):
        call_gave_up(p, c, outcome)
    elif not one.takes_slot:
        connection_ended(p, c, outcome)
    if service_at(h.services, one.service).keeps_log:
        is_served = not math.isnan(one.start)
        by_new, takes_slot = one.new_version == 1, one.takes_slot == 1
        log_ended(
            p, one.service, h.now, h.now - one.arrival, outcome, by_new, is_served, takes_slot
        )


@part
def route_over(p: int, a: int, first: int, until: float, outcome: int) -> None:
    """Whoever made these calls of the attempt is done with them, and what they held is free."""
    h = header_at(p, 0)
    for c in range(a * h.route_max + first, a * h.route_max + until):
        if call_at(h.calls, c).outcome == IN_FLIGHT:
            call_ended(p, c, outcome)
        release(p, c)


@part
def release(p: int, c: int) -> None:
    """The call holds nothing any more."""
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
        count_waiting(p, one.service, -1)
        return
    instance = instance_at(h.instances, g)
    if state == SERVING or state == HOLDING:
        instance.at_work -= 1
        instance.taken -= 1
        slot_taken(p, -1)
    elif state == OPEN:
        instance.open -= 1
    elif state == CONNECTING:
        instance.taken -= 1
    else:
        count_waiting(p, one.service, -1)
        instance.queued -= 1
    freed(p, g)


@part
def _served(p: int, c: int) -> None:
    h = header_at(p, 0)
    a = c // h.route_max
    one = attempt_at(h.attempts, a)
    place = c % h.route_max + 1
    if place < class_at(h.classes, one.kind).route_length:
        call(p, a, place)
        return
    route_over(p, a, one.first, one.next, OK)
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
    route_over(p, a, one.first, until, outcome)
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
        route_over(p, a, one.first, one.next, TIMED_OUT)
        one.first = one.next
    else:
        call_ended(p, c, TIMED_OUT)
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
        append(p, s, c, False)
        queue_up(p, c, WAITING)
    else:
        failed(p, c, REJECTED)


@part
def queue_up(p: int, c: int, state: int) -> None:
    """It waits from now on, for as long as the balancer lets it."""
    h = header_at(p, 0)
    one = call_at(h.calls, c)
    service = service_at(h.services, one.service)
    one.state = state
    count_waiting(p, one.service, 1)
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
    if h.keeps_rows and c == a * h.route_max and is_last(p, a):
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
        queue_up(p, c, QUEUED)
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
    call_started(p, c)
    if instance_at(h.instances, one.instance).new_version:
        one.new_version = 1
    if is_last(p, a):
        if h.keeps_rows and c == a * h.route_max:
            row_at(h.rows, attempt.row).start = h.now
        if one.new_version:
            exposed(p, a)


@part
def takes_s(p: int, s: int, g: int, demand: float, start: float) -> float:
    """How long an instance works on a demand, from then on."""
    h = header_at(p, 0)
    service, instance = service_at(h.services, s), instance_at(h.instances, g)
    slower = service.old_factor
    if instance.new_version:
        slower = service.new_factor
        if service.cold_factor != 1.0:
            age = start - instance.started
            cold = 1.0 + (service.cold_factor - 1.0) * math.exp(-age / service.cold_decay)
            slower = service.new_factor * cold
    return demand * slower / instance.speed


@part
def _begin(p: int, c: int) -> None:
    h = header_at(p, 0)
    one = call_at(h.calls, c)
    instance = instance_at(h.instances, one.instance)
    one.state = SERVING
    instance.at_work += 1
    instance.taken += 1
    _starts(p, c)
    slot_taken(p, 1)
    done_s = h.now + takes_s(p, one.service, one.instance, one.demand, h.now)
    order = attempt_at(h.attempts, c // h.route_max).order
    set_timer(p, done_s, COMPLETIONS + order, COMPLETE, c, one.generation)


@part
def _connect(p: int, c: int) -> None:
    h = header_at(p, 0)
    one = call_at(h.calls, c)
    one.state = OPEN
    _starts(p, c)
    connection_began(p, c)
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
        tried = connections(p, g) + 1
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
        freed(p, g)
