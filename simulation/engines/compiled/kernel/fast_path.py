"""The fast path, compiled: requests whose whole course is known when they arrive.

Where every instance has a queue of its own without a limit, a request's course follows from its
arrival: its service begins when the first slot of its instance is free, and ends after its demand or
at its client's timeout. A request that ends before control can interfere (`limit` in the header) is
counted when it arrives and never becomes an event. The other requests get timers.

`simulation.engines.compiled.layout.has_fast_path` decides which scenarios are simulated this way.
"""

from __future__ import annotations

import math

from simulation.engines.compiled.kernel.ahead import (
    add_wait_until,
    depart_until,
    end_waits_until,
    move_waits_to_wheel,
    schedule_departure,
    signal_backlog_before,
)
from simulation.engines.compiled.kernel.build import hot_part, part
from simulation.engines.compiled.kernel.calls import service_time_s
from simulation.engines.compiled.kernel.memory import (
    BEGIN_SERVICE,
    COMPLETE,
    DONE,
    FULL,
    NEXT_CHUNK,
    RETRIES,
    attempt_at,
    call_at,
    class_at,
    entry_at,
    f8_at,
    header_at,
    i4_at,
    i8_at,
    instance_at,
    row_at,
    service_at,
    timer_at,
)
from simulation.engines.compiled.kernel.outcomes import (
    begin_service,
    complete,
    leave_queue,
    leave_time,
    mark_new_version,
    on_attempt_ended,
    on_client_timeout,
    outcome_of_work,
    schedule_attempt,
)
from simulation.engines.compiled.kernel.policies import (
    move_pointer,
    next_instance,
    pick,
    set_connections,
)
from simulation.engines.compiled.kernel.requests import attempt_order
from simulation.engines.compiled.kernel.tally import (
    add_busy,
    add_exposed,
    add_waiting,
    bin_of,
    count_arrival,
    count_call,
    count_retry,
    count_served_request,
    count_turned_away,
    log_end,
    log_loss,
    new_row,
    put_latencies,
    put_served,
    put_wait,
    ticks_of,
)
from simulation.engines.compiled.kernel.timers import (
    bring_timers,
    next_timer,
    note_if_tight,
    pop_timer,
)
from simulation.engines.compiled.kernel.wheel import first_time, pop_due, put
from simulation.requests.plane import ARRIVALS, COMPLETIONS, TIMEOUTS
from simulation.results.run_result import REJECTED, TIMED_OUT

_CONTROL, _ARRIVAL, _TIMER, _RETRY = range(4)

_NOT_PLAIN = 16
"""Number of requests after an empty stretch before the next stretch is tried.

When retries come at a high rate, hardly any request can be part of a stretch, and trying is wasted.
"""


@part
def _control_limit(p: int, time: float) -> float:
    """Return the time up to which control certainly does not interfere, judged at ``time``."""
    h = header_at(p, 0)
    until = h.target
    if h.backlog_level >= 0:
        until = min(until, time + h.backlog_rest)
    if h.watch_count > 0:
        for g in range(h.instance_count):
            instance = instance_at(h.instances, g)
            if instance.watch_idle:
                until = min(until, instance.last)
    return until


@part
def _is_plain(p: int) -> bool:
    """Return whether a request can only be served or time out at its client, with nothing to log."""
    h = header_at(p, 0)
    service = service_at(h.services, 0)
    return (
        h.class_count == 1
        and not h.keeps_rows
        and not service.keeps_log
        and not service.old_is_wrong
        and service.old_error == 0
        and service.new_error == 0
        and service.believed_count > 0
    )


@part
def _run_stretch(p: int, until: float) -> None:
    """Simulate consecutive requests up to a time, as long as control cannot interfere with them.

    The counts of requests that arrive and end in the same bin of time are added up in local
    variables, which the compiler keeps in registers.
    """
    h = header_at(p, 0)
    service = service_at(h.services, 0)
    counts = service.counts != 0
    span = class_at(h.classes, 0).timeout if class_at(h.classes, 0).lane >= 0 else math.inf
    k, last, limit = h.chunk_place, h.chunk_count, h.limit
    times, demands, instances, free_at = h.times, h.demands, h.instances, h.free_at
    is_new = 0
    place, ends = 0, 0.0
    served, waited, flying_ticks, waiting_ticks, busy_ticks = 0, 0, 0, 0, 0
    while k < last and not h.tight:
        now = f8_at(times, k).v
        if now >= until:
            break
        if now >= ends:
            put_served(p, place, served, waited, flying_ticks, waiting_ticks, busy_ticks)
            served, waited, flying_ticks, waiting_ticks, busy_ticks = 0, 0, 0, 0, 0
            place = bin_of(p, now)
            ends = (place + 1) / h.bins_per_s - 1e-9
        if counts:
            depart_until(p, now, ARRIVALS)
        g = next_instance(p, 0)
        instance = instance_at(instances, g)
        best = _first_free(p, g)
        start = max(now, f8_at(free_at, best).v)
        done = start + service_time_s(p, 0, g, f8_at(demands, k).v, start)
        if done > limit or done > now + span or instance.watch_idle:
            break
        h.now = now
        f8_at(free_at, best).v = done
        is_new += instance.new_version
        if counts:
            instance.taken += 1
            set_connections(p, 0, g, instance.taken)
            schedule_departure(p, done, COMPLETIONS + attempt_order(h.chunk_first + k, 0), g)
        else:
            move_pointer(p, 0, g)
        if start > now:
            add_wait_until(p, start)
        if done < ends:
            came_ticks, begun, gone = ticks_of(now), ticks_of(start), ticks_of(done)
            flying_ticks += came_ticks - gone
            waiting_ticks += came_ticks - begun
            busy_ticks += begun - gone
            waited += 1 if start > now else 0
            put_latencies(p, place, start - now, done - now)
            served += 1
        else:
            count_served_request(p, now, start, done)
        k += 1
    h.chunk_place = k
    put_served(p, place, served, waited, flying_ticks, waiting_ticks, busy_ticks)
    add_exposed(p, is_new)


@part
def on_arrival(p: int) -> None:
    """Send the next request of the chunk."""
    h = header_at(p, 0)
    k = h.chunk_place
    h.chunk_place += 1
    now = h.now
    kind = i8_at(h.kinds, k).v
    order = attempt_order(h.chunk_first + k, 0)
    count_arrival(p, now)
    row = 0
    if h.keeps_rows:
        row = new_row(p, now, kind)
        note_if_tight(p, h.row_cap - h.row_count)
    _send_attempt(p, -1, order, 0, kind, f8_at(h.demands, k).v, now, row)


@part
def retry(p: int, a: int) -> None:
    """Send a retry, with the record that was kept for it."""
    attempt = attempt_at(header_at(p, 0).attempts, a)
    attempt.tries += 1
    attempt.order += 1
    attempt.to_come = 0
    count_retry(p)
    _send_attempt(
        p,
        a,
        attempt.order,
        attempt.tries,
        attempt.kind,
        attempt.want,
        attempt.request_time,
        attempt.row,
    )


@part
def _send_attempt(
    p: int, a: int, order: int, tries: int, kind: int, want: float, request_time: float, row: int
) -> None:
    """Send an attempt now; ``a`` is −1 for a first attempt, which has no record yet."""
    h = header_at(p, 0)
    now = h.now
    service = service_at(h.services, 0)
    if h.keeps_rows:
        record = row_at(h.rows, row)
        record.attempts = tries + 1
        record.new_version = 0
        record.start = math.nan
        record.instance = -1
    count_call(p, now)
    if service.believed_count == 0:
        count_turned_away(p, now)
        if service.keeps_log:
            log_end(p, 0, now, 0.0, REJECTED, False, False, True)
        if on_attempt_ended(p, a, order, tries, kind, want, request_time, row, now, REJECTED, 0):
            log_loss(p, now, -1, REJECTED, False, False)
        return
    g, start, done = _book_slot(p, order, kind, want, leave_time(p, kind))
    if h.keeps_rows:
        row_at(h.rows, row).instance = g
    _follow_attempt(p, a, order, tries, kind, want, request_time, row, g, start, done)


@hot_part
def _book_slot(
    p: int, order: int, kind: int, want: float, leaves_at: float
) -> tuple[int, float, float]:
    """Pick an instance for an attempt and book its slot; return it with the start and end of work."""
    h = header_at(p, 0)
    g = pick(p, 0, order, 0, True)
    instance = instance_at(h.instances, g)
    slot = f8_at(h.free_at, _first_free(p, g))
    start = max(h.now, slot.v)
    done = start + service_time_s(p, 0, g, want, start)
    if start <= leaves_at:
        cancels = done > leaves_at and class_at(h.classes, kind).cancels
        slot.v = leaves_at if cancels else done
    if service_at(h.services, 0).counts:
        instance.taken += 1
        set_connections(p, 0, g, instance.taken)
    return g, start, done


@hot_part
def _count_ahead(p: int, g: int, start: float, until: float, over: float, key: int) -> None:
    """Schedule the end of the wait and the departure of an attempt that control cannot touch."""
    h = header_at(p, 0)
    if start > h.now:
        add_wait_until(p, until)
    if service_at(h.services, 0).counts:
        schedule_departure(p, over, key, g)


@hot_part
def _follow_attempt(
    p: int,
    a: int,
    order: int,
    tries: int,
    kind: int,
    want: float,
    request_time: float,
    row: int,
    g: int,
    start: float,
    done: float,
) -> None:
    """Count the whole course of an attempt whose slot is booked, or set timers for it.

    Timers are needed where control may interfere before the attempt is over.
    """
    h = header_at(p, 0)
    now = h.now
    service, instance = service_at(h.services, 0), instance_at(h.instances, g)
    leaves_at = leave_time(p, kind)
    is_served = start <= leaves_at
    in_time = done <= leaves_at
    over = done
    if not is_served or (not in_time and class_at(h.classes, kind).cancels):
        over = leaves_at
    if over > h.limit or instance.watch_idle:
        schedule_attempt(p, a, order, tries, kind, want, request_time, row, g, start, done)
        return
    by_new = instance.new_version == 1
    until = min(start, leaves_at)
    _count_ahead(p, g, start, until, over, (COMPLETIONS if over == done else TIMEOUTS) + order)
    if until > now:
        add_waiting(p, now, 1)
        add_waiting(p, until, -1)
    if now >= 0:
        put_wait(p, until - now)
    outcome, end, flag = TIMED_OUT, leaves_at, 0
    if is_served:
        add_busy(p, start, 1)
        add_busy(p, over, -1)
        if h.keeps_rows:
            row_at(h.rows, row).start = start
        if by_new:
            flag = mark_new_version(p, a, request_time, row)
        if in_time:
            outcome, end = outcome_of_work(p, order, by_new), done
    if service.keeps_log:
        log_end(p, 0, end, end - now, outcome, by_new and is_served, is_served, True)
    if on_attempt_ended(p, a, order, tries, kind, want, request_time, row, end, outcome, flag):
        log_loss(p, end, g, outcome, is_served, by_new and is_served)


@part
def _first_free(p: int, g: int) -> int:
    """Return the index in ``free_at`` of the instance's slot that is free first."""
    h = header_at(p, 0)
    base, slots = h.free_at, instance_at(h.instances, g).slots
    best = g * h.slots_max
    time = f8_at(base, best).v
    for place in range(best + 1, best + slots):
        other = f8_at(base, place).v
        best = place if other < time else best
        time = min(time, other)
    return best


@part
def _on_timer(p: int) -> None:
    """Process the first timer."""
    h = header_at(p, 0)
    due = timer_at(h.timers, pop_timer(p))
    purpose, a, generation = due.purpose, due.slot, due.generation
    if call_at(h.calls, a).generation == generation:
        if purpose == BEGIN_SERVICE:
            leave_queue(p, a)
            begin_service(p, a)
        elif purpose == COMPLETE:
            complete(p, a)
        else:
            on_client_timeout(p, a)


@part
def advance_fast_path(p: int) -> int:
    """Process all events up to the header's target; return the reason for the return."""
    h = header_at(p, 0)
    h.limit = _control_limit(p, h.now)
    if h.backlog_level >= 0:
        move_waits_to_wheel(p)
    counts, is_plain = service_at(h.services, 0).counts != 0, _is_plain(p)
    plain_after = 0
    while True:
        if h.tight:
            return FULL
        if h.chunk_place == h.chunk_count and not h.chunk_over:
            return NEXT_CHUNK
        # At the target's own time, only events that come before those of control.
        time, key, event = h.target, 0, _CONTROL
        if h.chunk_place < h.chunk_count and f8_at(h.times, h.chunk_place).v < time:
            time, event = f8_at(h.times, h.chunk_place).v, _ARRIVAL
            key = ARRIVALS + attempt_order(h.chunk_first + h.chunk_place, 0)
        if h.timer_count > 0:
            bring_timers(p, time)
            if h.heap_count > 0:
                first = timer_at(h.timers, i4_at(h.heap, 0).v)
                if first.time < time or (first.time == time and first.key < key):
                    time, key, event = first.time, first.key, _TIMER
        slot = -1
        again = pop_due(p, RETRIES, time, key)
        if again != 0:
            entry = entry_at(again, 0)
            time, key, event, slot = entry.time, entry.key, _RETRY, int(entry.value)
        if h.backlog_level >= 0 and signal_backlog_before(p, time, key):
            if event == _RETRY:
                put(p, RETRIES, time, key, slot)
            continue
        if event == _CONTROL:
            h.now = max(h.now, h.target)
            end_waits_until(p, h.now)
            if counts:
                depart_until(p, h.now, ARRIVALS)
            return DONE
        if time > h.limit or h.backlog_level >= 0:
            h.limit = _control_limit(p, time)
        may_stretch = is_plain and h.backlog_level < 0
        if (
            event == _ARRIVAL
            and may_stretch
            and h.chunk_place >= plain_after
            and 0 <= time < h.limit
        ):
            place = h.chunk_place
            _run_stretch(p, first_time(p, RETRIES, next_timer(p, h.limit)))
            if h.chunk_place > place:
                continue
            plain_after = place + _NOT_PLAIN
        h.now = time
        if counts:
            depart_until(p, time, key)
        if event == _TIMER:
            _on_timer(p)
        elif event == _RETRY:
            retry(p, slot)
        else:
            on_arrival(p)
