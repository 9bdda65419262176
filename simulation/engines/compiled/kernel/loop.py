"""The event loop, compiled: from one event of control to the next.

`advance` processes events in the order of `simulation.requests.plane` up to the next event of control.
It returns early when there is a signal for control, when an array is nearly full, or when the drawn
requests are used up. `act` applies an action of control to an instance.
"""

from __future__ import annotations

import math

from simulation.engines.compiled.kernel.belief import (
    apply_belief,
    is_check_open,
    receive_check,
    record_check,
    update_belief,
    update_policy,
)
from simulation.engines.compiled.kernel.build import entry, hot_part, part
from simulation.engines.compiled.kernel.calls import (
    call_service,
    complete,
    connect_again,
    on_client_timeout,
    on_queue_timeout,
    pick_again,
)
from simulation.engines.compiled.kernel.fast_path import advance_fast_path
from simulation.engines.compiled.kernel.memory import (
    AGE,
    BEGIN_RUN,
    CLOSE_SHARED,
    COMPLETE,
    CRASH,
    CUT_ALL,
    DONE,
    DRAWN_DEMAND,
    FULL,
    NEXT_CHUNK,
    NEXT_CLIENTS,
    OPEN_CONNECTIONS,
    OPEN_SHARED,
    PICK_AGAIN,
    RETRY,
    SEND_NEXT,
    SET_CLOSES,
    SET_LISTENING,
    SET_POOL,
    SET_SHARE,
    attempt_at,
    call_at,
    class_at,
    f8_at,
    header_at,
    i4_at,
    i8_at,
    instance_at,
    lane_at,
    row_at,
    service_at,
    timer_at,
)
from simulation.engines.compiled.kernel.outcomes import cut_all
from simulation.engines.compiled.kernel.requests import (
    attempt_order,
    count_in_budget,
    free_attempt,
    new_attempt,
    schedule_next_request,
)
from simulation.engines.compiled.kernel.shared_connections import (
    close_all,
    on_age,
    open_next,
    set_closes,
)
from simulation.engines.compiled.kernel.slots import end_all, refill_freed, set_listening
from simulation.engines.compiled.kernel.tally import (
    count_arrival,
    count_open_at_start,
    count_reconnect,
    count_retry,
    new_row,
)
from simulation.engines.compiled.kernel.timers import (
    bring_timers,
    note_if_tight,
    pop_timeout,
    pop_timer,
    set_timeout,
)
from simulation.requests.call_states import OPEN
from simulation.requests.plane import ARRIVALS, CHECKS, TIMEOUTS
from simulation.results.run_result import CUT, ERROR, IN_FLIGHT

CHECK_BEGINS = 1 << 40
"""Added to the priority of a new check: at one time, timeouts of checks come before new checks."""

_ARRIVAL, _TIMER, _TIMEOUT, _CHECK = range(4)


@hot_part
def _send_attempt(p: int, a: int, since: float) -> None:
    """Send the first attempt or a retry; the client's timeout counts from ``since`` on."""
    h = header_at(p, 0)
    attempt = attempt_at(h.attempts, a)
    attempt.arrival = since
    if h.keeps_rows:
        row = row_at(h.rows, attempt.row)
        row.attempts = attempt.tries + 1
        row.new_version = 0
    kind = class_at(h.classes, attempt.kind)
    order = attempt.order
    call_service(p, a, 0)
    if kind.lane >= 0 and attempt.outcome == IN_FLIGHT:
        leaves = max(h.now, since + kind.timeout)
        set_timeout(p, kind.lane, leaves, TIMEOUTS + order, a, 0)


@hot_part
def _new_request(
    p: int, number: int, request_time: float, kind: int, session: int, client: int
) -> int:
    """Return the first attempt of a new request; the caller sets the demands."""
    h = header_at(p, 0)
    a = new_attempt(p)
    attempt = attempt_at(h.attempts, a)
    attempt.number, attempt.kind, attempt.session, attempt.client = number, kind, session, client
    attempt.order, attempt.tries = attempt_order(number, 0), 0
    attempt.request_time = request_time
    attempt.reconnection = 0
    count_arrival(p, request_time)
    if h.keeps_rows:
        attempt.row = new_row(p, request_time, kind)
        note_if_tight(p, h.row_cap - h.row_count)
    return a


@hot_part
def _on_arrival(p: int) -> None:
    h = header_at(p, 0)
    k = h.chunk_place
    h.chunk_place += 1
    kind = i8_at(h.kinds, k).v
    a = _new_request(p, h.chunk_first + k, h.now, kind, i8_at(h.sessions, k).v, -1)
    for place in range(h.route_max):
        want = f8_at(h.demands, k * h.route_max + place).v
        call_at(h.calls, a * h.route_max + place).want = want
    count_in_budget(p, kind)
    _send_attempt(p, a, h.now)


@part
def _open_next(p: int) -> None:
    """Open the next connection of the chunk, which exists at the beginning, with its age."""
    h = header_at(p, 0)
    k = h.chunk_place
    h.chunk_place += 1
    opened, life = f8_at(h.times, k).v, f8_at(h.demands, k).v
    kind = i8_at(h.kinds, k).v
    a = _new_request(p, h.chunk_first + k, opened, kind, i8_at(h.sessions, k).v, -1)
    c = a * h.route_max
    call = call_at(h.calls, c)
    call.want = max(0.0, life - (h.now - opened))
    _send_attempt(p, a, opened)
    call.want = life
    if attempt_at(h.attempts, a).outcome == IN_FLIGHT and call.state == OPEN:
        count_open_at_start(p, c, opened)
    refill_freed(p)


@part
def _send_request_of(p: int, client: int) -> None:
    h = header_at(p, 0)
    place = i4_at(h.loop_place, client)
    sequence = i8_at(h.loop_sequence, client)
    entry = client * h.loop_width + place.v
    kind = i4_at(h.loop_kind, entry).v
    number = sequence.v * h.client_count + client
    session = i8_at(h.loop_session, client).v
    a = _new_request(p, number, h.now, kind, session, client)
    for k in range(h.route_max):
        want = f8_at(h.loop_demand, entry * h.route_max + k).v
        call_at(h.calls, a * h.route_max + k).want = want
    sequence.v += 1
    place.v += 1
    if place.v >= h.loop_width - 1:
        h.loop_dry += 1
    count_in_budget(p, kind)
    _send_attempt(p, a, h.now)


@part
def _retry(p: int, last: int) -> None:
    """Send the attempt after ``last``."""
    h = header_at(p, 0)
    a = new_attempt(p)
    attempt, before = attempt_at(h.attempts, a), attempt_at(h.attempts, last)
    attempt.number, attempt.kind, attempt.session = before.number, before.kind, before.session
    attempt.client, attempt.row, attempt.request_time = (
        before.client,
        before.row,
        before.request_time,
    )
    attempt.exposed = before.exposed
    attempt.reconnection = before.next_reconnection
    if attempt.reconnection > 0:
        count_reconnect(p)
    before.superseded = 1
    attempt.tries = before.tries + 1
    attempt.order = attempt_order(attempt.number, attempt.tries)
    for place in range(h.route_max):
        want = call_at(h.calls, last * h.route_max + place).want
        if before.to_come == DRAWN_DEMAND:
            want = f8_at(h.next_wants, last * h.route_max + place).v
        call_at(h.calls, a * h.route_max + place).want = want
    before.to_come = 0
    free_attempt(p, last)
    count_retry(p)
    _send_attempt(p, a, h.now)


@part
def _find_next_check(p: int) -> None:
    """Find the health check that begins or times out next."""
    h = header_at(p, 0)
    h.check_time = math.inf
    best = 0
    for s in range(h.service_count):
        service = service_at(h.services, s)
        if not service.has_checks:
            continue
        # Drop the timeouts of checks that were answered.
        while service.ends_number < service.begins_number or (
            service.ends_number == service.begins_number
            and service.ends_place < service.begins_place
        ):
            k = i4_at(service.check_order, service.ends_place).v
            if is_check_open(p, service.first + k, service.ends_number):
                break
            service.ends_place += 1
            if service.ends_place == service.count:
                service.ends_place = 0
                service.ends_number += 1
        k = i4_at(service.check_order, service.begins_place).v
        first = instance_at(h.instances, service.first + k).first_check
        time = first + service.begins_number * service.interval
        key = CHECKS + CHECK_BEGINS + k
        if time < h.check_time or (time == h.check_time and key < best):
            h.check_time, best = time, key
            h.check_service, h.check_is_end = s, 0
        if (
            service.ends_number != service.begins_number
            or service.ends_place != service.begins_place
        ):
            k = i4_at(service.check_order, service.ends_place).v
            first = instance_at(h.instances, service.first + k).first_check
            time = first + service.ends_number * service.interval + service.timeout
            key = CHECKS + k
            if time < h.check_time or (time == h.check_time and key < best):
                h.check_time, best = time, key
                h.check_service, h.check_is_end = s, 1


@part
def _check_key(p: int) -> int:
    h = header_at(p, 0)
    service = service_at(h.services, h.check_service)
    if h.check_is_end:
        return CHECKS + i4_at(service.check_order, service.ends_place).v
    return CHECKS + CHECK_BEGINS + i4_at(service.check_order, service.begins_place).v


@part
def _on_check(p: int) -> None:
    """Begin the next health check, or end one that timed out."""
    h = header_at(p, 0)
    service = service_at(h.services, h.check_service)
    if h.check_is_end:
        g = service.first + i4_at(service.check_order, service.ends_place).v
        if is_check_open(p, g, service.ends_number):
            record_check(p, g, service.ends_number, False)
    else:
        g = service.first + i4_at(service.check_order, service.begins_place).v
        number = service.begins_number
        service.begins_place += 1
        if service.begins_place == service.count:
            service.begins_place = 0
            service.begins_number += 1
        receive_check(p, g, number)


@hot_part
def _on_timer(p: int) -> None:
    h = header_at(p, 0)
    timer = timer_at(h.timers, pop_timer(p))
    purpose, slot, generation = timer.purpose, timer.slot, timer.generation
    if purpose == COMPLETE:
        complete(p, slot, generation)
    elif purpose == RETRY:
        _retry(p, slot)
    elif purpose == SEND_NEXT:
        _send_request_of(p, slot)
    elif purpose == PICK_AGAIN:
        pick_again(p, slot, generation)
    elif purpose == AGE:
        on_age(p, slot, generation)
    else:
        connect_again(p, slot, generation)


@part
def _on_timeout(p: int) -> None:
    h = header_at(p, 0)
    lane = lane_at(h.lanes, h.lane_best)
    timer = timer_at(lane.entries, pop_timeout(p))
    if lane.waits:
        on_queue_timeout(p, timer.slot, timer.generation)
    else:
        on_client_timeout(p, timer.slot, timer.key - TIMEOUTS)


@part
def _advance(p: int) -> int:
    h = header_at(p, 0)
    while True:
        if h.tight:
            return FULL
        if h.chunk_place == h.chunk_count and not h.chunk_over:
            return NEXT_CHUNK
        if h.loop_dry:
            return NEXT_CLIENTS
        time, event = math.inf, _ARRIVAL
        if h.chunk_place < h.chunk_count:
            time = f8_at(h.times, h.chunk_place).v
        key = ARRIVALS + attempt_order(h.chunk_first + h.chunk_place, 0)
        bring_timers(p, min(time, h.target))
        if h.heap_count > 0:
            timer = timer_at(h.timers, i4_at(h.heap, 0).v)
            if timer.time < time or (timer.time == time and timer.key < key):
                time, key, event = timer.time, timer.key, _TIMER
        if h.lane_best >= 0 and h.lane_time <= time:
            lane = lane_at(h.lanes, h.lane_best)
            lane_key = timer_at(lane.entries, lane.first & lane.mask).key
            if h.lane_time < time or lane_key < key:
                time, key, event = h.lane_time, lane_key, _TIMEOUT
        if h.check_time <= time and h.check_time < math.inf:
            check_key = _check_key(p)
            if h.check_time < time or check_key < key:
                time, key, event = h.check_time, check_key, _CHECK
        if not (time < h.target or (time == h.target and key < 0)):
            h.now = max(h.now, h.target)
            return DONE
        h.now = time
        if event == _ARRIVAL:
            _on_arrival(p)
        elif event == _TIMER:
            _on_timer(p)
        elif event == _TIMEOUT:
            _on_timeout(p)
        else:
            _on_check(p)
        if h.freed_count > 0:
            refill_freed(p)
        if event == _CHECK:
            _find_next_check(p)


@entry
def advance(p: int) -> int:
    """Process all events up to the header's target; return the reason for the return."""
    h = header_at(p, 0)
    return advance_fast_path(p) if h.is_fast else _advance(p)


@entry
def act(p: int, action: int, g: int, flag: int, share: float) -> int:
    """Apply an action of control to an instance, now; return how many clients lost their request.

    Args:
        p: The address of the header.
        action: The action.
        g: The instance, numbered over all services; for `BEGIN_RUN` the number of instances.
        flag: The new value, for actions that set one.
        share: The new share of the traffic, for `SET_SHARE`.
    """
    h = header_at(p, 0)
    instance = instance_at(h.instances, g)
    lost = 0
    if action == SET_POOL:
        if flag:
            instance.removed = 0
        instance.announced = flag
        update_belief(p, g)
        refill_freed(p)
    elif action == SET_SHARE:
        apply_belief(p, g, share)
        refill_freed(p)
    elif action == SET_LISTENING:
        set_listening(p, g, flag == 1)
    elif action == CUT_ALL:
        lost = cut_all(p, g) if h.is_fast else end_all(p, g, CUT)
    elif action == CRASH:
        set_listening(p, g, False)
        lost = end_all(p, g, ERROR)
    elif action == BEGIN_RUN:
        for k in range(g):
            update_policy(p, k)
        for client in range(h.client_count):
            schedule_next_request(p, client)
        _find_next_check(p)
    elif action == OPEN_CONNECTIONS:
        while h.chunk_place < h.chunk_count and not h.tight:
            _open_next(p)
    elif action == OPEN_SHARED:
        service = service_at(h.services, instance.service)
        while service.shared_next < service.shared_count and not h.tight:
            open_next(p, instance.service)
    elif action == SET_CLOSES:
        set_closes(p, g, flag)
    elif action == CLOSE_SHARED:
        close_all(p, g)
    return lost
