"""Calls and their way along a route, compiled: `station` and `engine` of the reference engine.

Each function does the same as the reference's function of that name, in the same order; the
docstrings there say more. The index of a call is attempt × ``route_max`` + place on the route.
"""

from __future__ import annotations

import math

from simulation.engines.compiled.kernel.belief import connections, update_policy
from simulation.engines.compiled.kernel.build import hot_part, part
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
    shared_at,
)
from simulation.engines.compiled.kernel.policies import pick, update
from simulation.engines.compiled.kernel.queues import append, append_own, count_waiting, on_freed
from simulation.engines.compiled.kernel.requests import (
    free_attempt,
    is_last,
    make_handshake,
    new_call,
    on_attempt_ended,
)
from simulation.engines.compiled.kernel.shared_connections import draw, end_on_shared, open_shared
from simulation.engines.compiled.kernel.tally import (
    add_busy_now,
    count_call_start,
    count_connection_end,
    count_connection_start,
    count_unserved_call,
    log_end,
    mark_exposed,
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


@hot_part
def call_service(p: int, a: int, place: int) -> None:
    """Call the service at a place of the attempt's route."""
    c = new_call(p, a, place)
    attempt = attempt_at(header_at(p, 0).attempts, a)
    attempt.next = place + 1
    if attempt.reconnection > 0:
        make_handshake(p, c)
    arrive(p, c)


@hot_part
def end_call(p: int, c: int, outcome: int) -> None:
    """End a call for its caller, and count the end."""
    h = header_at(p, 0)
    call = call_at(h.calls, c)
    call.outcome = outcome
    if math.isnan(call.start):
        count_unserved_call(p, c, outcome)
    elif not call.takes_slot:
        count_connection_end(p, c, outcome)
    keeps_log = service_at(h.services, call.service).keeps_log
    if keeps_log and not (call.is_handshake and outcome == OK):
        is_served = not math.isnan(call.start)
        by_new, takes_slot = call.new_version == 1, call.takes_slot == 1
        log_end(
            p, call.service, h.now, h.now - call.arrival, outcome, by_new, is_served, takes_slot
        )


@hot_part
def end_calls(p: int, a: int, first: int, until: float, outcome: int) -> None:
    """End the attempt's calls from place ``first`` to before ``until``, and free what they hold."""
    h = header_at(p, 0)
    for c in range(a * h.route_max + first, a * h.route_max + until):
        if call_at(h.calls, c).outcome == IN_FLIGHT:
            end_call(p, c, outcome)
        release(p, c)


@hot_part
def release(p: int, c: int) -> None:
    """Free what the call holds: its place in a queue, its slot or its connection."""
    h = header_at(p, 0)
    call = call_at(h.calls, c)
    state, g = call.state, call.instance
    if state == GONE:
        return
    call.state = GONE
    attempt_at(h.attempts, c // h.route_max).live -= 1
    if state == PAUSED:
        return
    if state == WAITING:
        count_waiting(p, call.service, -1)
        return
    instance = instance_at(h.instances, g)
    if call.shared >= 0 and state != CONNECTING:
        end_on_shared(p, call.shared)
    if state == SERVING or state == HOLDING:
        instance.at_work -= 1
        instance.taken -= 1
        add_busy_now(p, -1)
    elif state == OPEN:
        instance.open -= 1
    elif state == CONNECTING:
        instance.taken -= 1
    else:
        count_waiting(p, call.service, -1)
        instance.queued -= 1
    on_freed(p, g)


@hot_part
def _on_served(p: int, c: int) -> None:
    h = header_at(p, 0)
    a = c // h.route_max
    attempt = attempt_at(h.attempts, a)
    place = c % h.route_max + 1
    if place < class_at(h.classes, attempt.kind).route_length:
        call_service(p, a, place)
        return
    end_calls(p, a, attempt.first, attempt.next, OK)
    attempt.first = attempt.next
    if attempt.outcome == IN_FLIGHT:
        on_attempt_ended(p, a, OK, c)
    free_attempt(p, a)


@part
def on_failed(p: int, c: int, outcome: int) -> None:
    """End the attempt with the outcome of a failed call."""
    h = header_at(p, 0)
    a = c // h.route_max
    attempt = attempt_at(h.attempts, a)
    until = c % h.route_max + 1
    end_calls(p, a, attempt.first, until, outcome)
    attempt.first = until
    if attempt.outcome == IN_FLIGHT:
        on_attempt_ended(p, a, outcome, c)
    free_attempt(p, a)


@part
def on_client_timeout(p: int, a: int, order: int) -> None:
    """End an attempt in flight as `timed_out`; ``order`` tells whether it is still the same one."""
    h = header_at(p, 0)
    attempt = attempt_at(h.attempts, a)
    c, deepest = a * h.route_max, a * h.route_max + attempt.next - 1
    if attempt.is_free or attempt.outcome != IN_FLIGHT or attempt.order != order:
        return
    first = call_at(h.calls, c)
    state = first.state
    if (
        class_at(h.classes, attempt.kind).cancels
        or state == WAITING
        or state == QUEUED
        or state == CONNECTING
        or state == OPEN
        or state == PAUSED
    ):
        end_calls(p, a, attempt.first, attempt.next, TIMED_OUT)
        attempt.first = attempt.next
    else:
        end_call(p, c, TIMED_OUT)
    on_attempt_ended(p, a, TIMED_OUT, deepest)
    free_attempt(p, a)


@hot_part
def arrive(p: int, c: int) -> None:
    """Send a call to an instance of the believed pool, put it into the queue, or reject it."""
    h = header_at(p, 0)
    call = call_at(h.calls, c)
    s = call.service
    service = service_at(h.services, s)
    attempt = attempt_at(h.attempts, c // h.route_max)
    if service.sticky and call.tries == 0:
        sticky = i4_at(service.sticky_instances, attempt.session).v - 1
        if sticky >= 0:
            there = instance_at(h.instances, sticky)
            if not there.removed and there.is_up:
                send(p, c, sticky)
                return
    session = attempt.session
    if service.shared_count > 0 and call.takes_slot:
        k = draw(p, s, attempt.order)
        call.shared = k
        there = shared_at(h.shared, k).instance
        if there >= 0:
            send(p, c, there)
            return
        session = k - service.shared_first
    if service.believed_count == 0 and not service.pulls:
        on_failed(p, c, REJECTED)
        return
    picked_by = attempt.order + (call.tries << 56)
    g = pick(p, s, picked_by, session, call.takes_slot == 1)
    if g >= 0:
        send(p, c, g)
    elif service.waiting < service.queue_limit and call.takes_slot:
        append(p, s, c, False)
        start_waiting(p, c, WAITING)
    else:
        on_failed(p, c, REJECTED)


@part
def start_waiting(p: int, c: int, state: int) -> None:
    """Count the call as waiting from now on, at most for the balancer's `queue_timeout`."""
    h = header_at(p, 0)
    call = call_at(h.calls, c)
    service = service_at(h.services, call.service)
    call.state = state
    count_waiting(p, call.service, 1)
    if service.lane >= 0:
        call.gives_up = h.now + service.queue_timeout
        order = attempt_at(h.attempts, c // h.route_max).order
        set_timeout(p, service.lane, call.gives_up, TIMEOUTS + order, c, call.generation)


@part
def on_queue_timeout(p: int, c: int, generation: int) -> None:
    """End the call as `timed_out` if its time in the queue has run out."""
    h = header_at(p, 0)
    call = call_at(h.calls, c)
    if (
        call.generation == generation
        and (call.state == WAITING or call.state == QUEUED)
        and h.now >= call.gives_up
    ):
        on_failed(p, c, TIMED_OUT)


@hot_part
def send(p: int, c: int, g: int) -> None:
    """Send the call to the instance, which serves it, puts it into its queue, or rejects it."""
    h = header_at(p, 0)
    call = call_at(h.calls, c)
    a = c // h.route_max
    call.instance = g
    if h.keeps_rows and c == a * h.route_max and is_last(p, a):
        row_at(h.rows, attempt_at(h.attempts, a).row).instance = g
    service = service_at(h.services, call.service)
    instance = instance_at(h.instances, g)
    if service.sticky:
        i4_at(service.sticky_instances, attempt_at(h.attempts, a).session).v = g + 1
    k = call.shared
    is_open = k >= 0 and shared_at(h.shared, k).instance == g
    if not instance.listening and not is_open:
        _on_no_answer(p, c)
        update_policy(p, g)
        return
    if k >= 0:
        if not is_open:
            open_shared(p, call.service, k, g, h.now)
        shared_at(h.shared, k).in_flight += 1
    if not call.takes_slot:
        _open_connection(p, c)
    elif instance.taken < instance.limit:
        begin_service(p, c)
    elif (service.waiting if service.at_balancer else instance.queued) < service.queue_limit:
        append_own(p, g, c, call.generation)
        instance.queued += 1
        start_waiting(p, c, QUEUED)
    else:
        if k >= 0:
            end_on_shared(p, k)
        on_failed(p, c, REJECTED)
        return
    update_policy(p, g)


@hot_part
def _record_start(p: int, c: int) -> None:
    """Record the start of service and the version that serves, in the request's row too."""
    h = header_at(p, 0)
    call = call_at(h.calls, c)
    a = c // h.route_max
    attempt = attempt_at(h.attempts, a)
    call.start = h.now
    count_call_start(p, c)
    if instance_at(h.instances, call.instance).new_version:
        call.new_version = 1
    if is_last(p, a):
        if h.keeps_rows and c == a * h.route_max:
            row_at(h.rows, attempt.row).start = h.now
        if call.new_version:
            mark_exposed(p, a)


@hot_part
def service_time_s(p: int, s: int, g: int, demand: float, start: float) -> float:
    """Return how long an instance works on a demand from ``start`` on, in seconds.

    The fast path calls this function before it knows whether the service will begin, so services are
    counted in `begin_service`; where instances warm up by requests there is no fast path.
    """
    h = header_at(p, 0)
    service, instance = service_at(h.services, s), instance_at(h.instances, g)
    slower = service.old_factor
    if instance.new_version:
        slower = service.new_factor
        if service.cold_factor != 1.0:
            if service.cold_requests > 0:
                x = instance.begun / service.cold_requests
            else:
                x = (start - instance.started) / service.cold_decay
            cold = 1.0 + (service.cold_factor - 1.0) * math.exp(-x)
            slower = service.new_factor * cold
    return demand * slower / instance.speed


@hot_part
def begin_service(p: int, c: int) -> None:
    """Serve the call; service ends after the call's demand, even when its client has left."""
    h = header_at(p, 0)
    call = call_at(h.calls, c)
    instance = instance_at(h.instances, call.instance)
    call.state = SERVING
    instance.at_work += 1
    instance.taken += 1
    _record_start(p, c)
    add_busy_now(p, 1)
    done_s = h.now + service_time_s(p, call.service, call.instance, call.demand, h.now)
    if service_at(h.services, call.service).cold_requests > 0:
        instance.begun += 1
    order = attempt_at(h.attempts, c // h.route_max).order
    set_timer(p, done_s, COMPLETIONS + order, COMPLETE, c, call.generation)


@part
def _open_connection(p: int, c: int) -> None:
    h = header_at(p, 0)
    call = call_at(h.calls, c)
    call.state = OPEN
    _record_start(p, c)
    count_connection_start(p, c)
    instance_at(h.instances, call.instance).open += 1
    order = attempt_at(h.attempts, c // h.route_max).order
    set_timer(p, h.now + call.demand, COMPLETIONS + order, COMPLETE, c, call.generation)


@part
def _end_handshake(p: int, c: int) -> None:
    """Free the slot of a handshake, and open its connection there if its client has not left."""
    h = header_at(p, 0)
    call = call_at(h.calls, c)
    a = c // h.route_max
    if attempt_at(h.attempts, a).outcome != IN_FLIGHT:
        call.state = HOLDING
        _on_served(p, c)
        return
    g = call.instance
    end_call(p, c, OK)
    release(p, c)
    new_call(p, a, 0)
    call.instance = g
    if h.keeps_rows and is_last(p, a):
        row_at(h.rows, attempt_at(h.attempts, a).row).instance = g
    _open_connection(p, c)


@part
def complete(p: int, c: int, generation: int) -> None:
    """End the call's own work: it fails with an error, or its route continues."""
    h = header_at(p, 0)
    call = call_at(h.calls, c)
    if call.generation != generation:
        return
    if call.state == SERVING:
        if call.is_handshake:
            _end_handshake(p, c)
            return
        call.state = HOLDING
        service = service_at(h.services, call.service)
        share = service.new_error if call.new_version else service.old_error
        if not call.new_version and service.old_is_wrong:
            on_failed(p, c, ERROR)
            return
        if share > 0:
            order = attempt_at(h.attempts, c // h.route_max).order
            if uniform(service.key, ERROR_DRAW, order) < share:
                on_failed(p, c, ERROR)
                return
        _on_served(p, c)
    elif call.state == OPEN:
        _on_served(p, c)


@part
def _on_no_answer(p: int, c: int) -> None:
    h = header_at(p, 0)
    call = call_at(h.calls, c)
    g = call.instance
    s = call.service
    service = service_at(h.services, s)
    instance = instance_at(h.instances, g)
    if service.counts:
        tried = connections(p, g) + 1
        update(p, s, g - service.first, tried, instance.is_believed, True)
    if call.tries >= service.connect_attempts:
        on_failed(p, c, REFUSED)
        return
    call.tries += 1
    again_s = h.now + service.connect_delay
    order = ARRIVALS + attempt_at(h.attempts, c // h.route_max).order
    if service.redispatch:
        call.state = PAUSED
        set_timer(p, again_s, order, PICK_AGAIN, c, call.generation)
    else:
        call.state = CONNECTING
        instance.taken += 1
        set_timer(p, again_s, order, CONNECT_AGAIN, c, call.generation)


@part
def pick_again(p: int, c: int, generation: int) -> None:
    """Let the balancer pick an instance anew, after the delay of a failed attempt to connect."""
    call = call_at(header_at(p, 0).calls, c)
    if call.generation == generation and call.state == PAUSED:
        arrive(p, c)


@part
def connect_again(p: int, c: int, generation: int) -> None:
    """Send the call to the same instance again, after the delay of a failed attempt to connect."""
    h = header_at(p, 0)
    call = call_at(h.calls, c)
    if call.generation == generation and call.state == CONNECTING:
        g = call.instance
        instance_at(h.instances, g).taken -= 1
        call.state = PAUSED
        to = g
        if call.shared >= 0 and shared_at(h.shared, call.shared).instance >= 0:
            to = shared_at(h.shared, call.shared).instance
        send(p, c, to)
        on_freed(p, g)
