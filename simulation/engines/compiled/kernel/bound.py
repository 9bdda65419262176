"""The fast path: requests whose way is known when they arrive, compiled.

Where every instance has a queue of its own, without a limit, and nothing asks its way through the
fleet again, a request's whole fate follows from its arrival: it begins when the first slot of its
instance is free of those before it, and ends after its demand, or when its client has had enough.
What is over before control can interfere (`limit`) is counted at once and never becomes an event; for
the rest there are timers. Which scenarios these are, `simulation.engines.compiled.engine` says.
"""

from __future__ import annotations

import math

from simulation.engines.compiled.kernel.ahead import (
    all_on_wheel,
    becomes_calm,
    depart_until,
    departs_at,
    no_longer_wait,
    waits_until,
)
from simulation.engines.compiled.kernel.build import hot_part, part
from simulation.engines.compiled.kernel.calls import takes_s
from simulation.engines.compiled.kernel.memory import (
    BEGIN,
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
    begins,
    completes,
    gives_up,
    goes_slow,
    is_exposed,
    leaves_queue,
    outcome_of,
    patience_of,
    told_of,
)
from simulation.engines.compiled.kernel.policies import goes_to, has_changed, next_of, pick
from simulation.engines.compiled.kernel.requests import attempt_order
from simulation.engines.compiled.kernel.tally import (
    add_exposed,
    bin_of,
    busy,
    called,
    came,
    log_ended,
    new_row,
    put_apart,
    put_latencies,
    put_served,
    put_wait,
    ticks_of,
    turned_away,
    waiting,
)
from simulation.engines.compiled.kernel.timers import bring_timers, is_tight, next_timer, pop_timer
from simulation.engines.compiled.kernel.wheel import due, first_time, put
from simulation.requests.plane import ARRIVALS, COMPLETIONS, TIMEOUTS
from simulation.results.run_result import REJECTED, TIMED_OUT

_CONTROL, _ARRIVAL, _TIMER, _RETRY = range(4)

_NOT_PLAIN = 16
"""After a request that was no part of a stretch, so many are not tried: in a storm hardly any is."""


@part
def _limit(p: int, time: float) -> float:
    """Until when control will surely not interfere, as far as is known at a time."""
    h = header_at(p, 0)
    until = h.target
    if h.calm_level >= 0:
        until = min(until, time + h.calm_rest)
    if h.watch_count > 0:
        for g in range(h.instance_count):
            one = instance_at(h.instances, g)
            if one.watch_idle:
                until = min(until, one.last)
    return until


@part
def _is_plain(p: int) -> bool:
    """Whether nothing may become of a request but that it is served, or that its client leaves."""
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
def _stretch(p: int, until: float) -> None:
    """Requests in a row, before a time, of which control cannot touch any; it ends with one it may.

    What those add up to that are over in the bin in which they arrive is kept in registers.
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
        g = next_of(p, 0)
        instance = instance_at(instances, g)
        best = _first_free(p, g)
        start = max(now, f8_at(free_at, best).v)
        done = start + takes_s(p, 0, g, f8_at(demands, k).v, start)
        if done > limit or done > now + span or instance.watch_idle:
            break
        h.now = now
        f8_at(free_at, best).v = done
        is_new += instance.new_version
        if counts:
            instance.taken += 1
            has_changed(p, 0, g, instance.taken)
            departs_at(p, done, COMPLETIONS + attempt_order(h.chunk_first + k, 0), g)
        else:
            goes_to(p, 0, g)
        if start > now:
            waits_until(p, start)
        if done < ends:
            came_ticks, begun, gone = ticks_of(now), ticks_of(start), ticks_of(done)
            flying_ticks += came_ticks - gone
            waiting_ticks += came_ticks - begun
            busy_ticks += begun - gone
            waited += 1 if start > now else 0
            put_latencies(p, place, start - now, done - now)
            served += 1
        else:
            put_apart(p, now, start, done)
        k += 1
    h.chunk_place = k
    put_served(p, place, served, waited, flying_ticks, waiting_ticks, busy_ticks)
    add_exposed(p, is_new)


@part
def arrives(p: int) -> None:
    """The next request of the chunk."""
    h = header_at(p, 0)
    k = h.chunk_place
    h.chunk_place += 1
    now = h.now
    kind = i8_at(h.kinds, k).v
    order = attempt_order(h.chunk_first + k, 0)
    came(p, now)
    row = 0
    if h.keeps_rows:
        row = new_row(p, now, kind)
        is_tight(p, h.row_cap - h.row_count)
    _asks(p, -1, order, 0, kind, f8_at(h.demands, k).v, now, row)


@part
def asks_again(p: int, a: int) -> None:
    """The client tries once more, with the slot that was kept for it."""
    one = attempt_at(header_at(p, 0).attempts, a)
    one.tries += 1
    one.order += 1
    _asks(p, a, one.order, one.tries, one.kind, one.want, one.asked, one.row)


@part
def _asks(
    p: int, a: int, order: int, tries: int, kind: int, want: float, asked: float, row: int
) -> None:
    """A first or a further attempt, now; the slot of a first one is −1."""
    h = header_at(p, 0)
    now = h.now
    service = service_at(h.services, 0)
    if h.keeps_rows:
        record = row_at(h.rows, row)
        record.attempts = tries + 1
        record.new_version = 0
        record.start = math.nan
        record.instance = -1
    called(p, now)
    if service.believed_count == 0:
        turned_away(p, now)
        if service.keeps_log:
            log_ended(p, 0, now, 0.0, REJECTED, False, False, True)
        told_of(p, a, order, tries, kind, want, asked, row, now, REJECTED, 0)
        return
    g, start, done = _bind(p, order, kind, want, patience_of(p, kind))
    if h.keeps_rows:
        row_at(h.rows, row).instance = g
    _goes_on(p, a, order, tries, kind, want, asked, row, g, start, done)


@hot_part
def _bind(p: int, order: int, kind: int, want: float, patience: float) -> tuple[int, float, float]:
    """Who serves an attempt, from when, and when the work would be done; books the slot for it."""
    h = header_at(p, 0)
    g = pick(p, 0, order, 0, True)
    instance = instance_at(h.instances, g)
    slot = f8_at(h.free_at, _first_free(p, g))
    start = max(h.now, slot.v)
    done = start + takes_s(p, 0, g, want, start)
    if start <= patience:
        cancels = done > patience and class_at(h.classes, kind).cancels
        slot.v = patience if cancels else done
    if service_at(h.services, 0).counts:
        instance.taken += 1
        has_changed(p, 0, g, instance.taken)
    return g, start, done


@hot_part
def _passes(p: int, g: int, start: float, until: float, over: float, key: int) -> None:
    """What is over before control can interfere waits, and is counted, as long as it is there."""
    h = header_at(p, 0)
    if start > h.now:
        waits_until(p, until)
    if service_at(h.services, 0).counts:
        departs_at(p, over, key, g)


@hot_part
def _goes_on(
    p: int,
    a: int,
    order: int,
    tries: int,
    kind: int,
    want: float,
    asked: float,
    row: int,
    g: int,
    start: float,
    done: float,
) -> None:
    """What becomes of an attempt that is bound to an instance."""
    h = header_at(p, 0)
    now = h.now
    service, instance = service_at(h.services, 0), instance_at(h.instances, g)
    patience = patience_of(p, kind)
    is_served = start <= patience
    in_time = done <= patience
    over = done
    if not is_served or (not in_time and class_at(h.classes, kind).cancels):
        over = patience
    if over > h.limit or instance.watch_idle:
        goes_slow(p, a, order, tries, kind, want, asked, row, g, start, done)
        return
    by_new = instance.new_version == 1
    until = min(start, patience)
    _passes(p, g, start, until, over, (COMPLETIONS if over == done else TIMEOUTS) + order)
    if until > now:
        waiting(p, now, 1)
        waiting(p, until, -1)
    if now >= 0:
        put_wait(p, until - now)
    outcome, end, flag = TIMED_OUT, patience, 0
    if is_served:
        busy(p, start, 1)
        busy(p, over, -1)
        if h.keeps_rows:
            row_at(h.rows, row).start = start
        if by_new:
            flag = is_exposed(p, a, asked, row)
        if in_time:
            outcome, end = outcome_of(p, order, by_new), done
    if service.keeps_log:
        log_ended(p, 0, end, end - now, outcome, by_new and is_served, is_served, True)
    told_of(p, a, order, tries, kind, want, asked, row, end, outcome, flag)


@part
def _first_free(p: int, g: int) -> int:
    """Where the slot of an instance is that is free first."""
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
def timer(p: int) -> None:
    """The first timer that is due."""
    h = header_at(p, 0)
    due = timer_at(h.timers, pop_timer(p))
    what, a, generation = due.what, due.slot, due.generation
    if call_at(h.calls, a).generation == generation:
        if what == BEGIN:
            leaves_queue(p, a)
            begins(p, a)
        elif what == COMPLETE:
            completes(p, a)
        else:
            gives_up(p, a)


@part
def advance_bound(p: int) -> int:
    """Takes what is due up to the header's target; says why it came back."""
    h = header_at(p, 0)
    h.limit = _limit(p, h.now)
    if h.calm_level >= 0:
        all_on_wheel(p)
    counts, is_plain = service_at(h.services, 0).counts != 0, _is_plain(p)
    plain_after = 0
    while True:
        if h.tight:
            return FULL
        if h.chunk_place == h.chunk_count and not h.chunk_over:
            return NEXT_CHUNK
        # At the target's own moment only what comes before control.
        time, key, what = h.target, 0, _CONTROL
        if h.chunk_place < h.chunk_count and f8_at(h.times, h.chunk_place).v < time:
            time, what = f8_at(h.times, h.chunk_place).v, _ARRIVAL
            key = ARRIVALS + attempt_order(h.chunk_first + h.chunk_place, 0)
        if h.timer_count > 0:
            bring_timers(p, time)
            if h.heap_count > 0:
                first = timer_at(h.timers, i4_at(h.heap, 0).v)
                if first.time < time or (first.time == time and first.key < key):
                    time, key, what = first.time, first.key, _TIMER
        slot = -1
        again = due(p, RETRIES, time, key)
        if again != 0:
            one = entry_at(again, 0)
            time, key, what, slot = one.time, one.key, _RETRY, int(one.what)
        if h.calm_level >= 0 and becomes_calm(p, time, key):
            if what == _RETRY:
                put(p, RETRIES, time, key, slot)
            continue
        if what == _CONTROL:
            h.now = max(h.now, h.target)
            no_longer_wait(p, h.now)
            if counts:
                depart_until(p, h.now, ARRIVALS)
            return DONE
        if time > h.limit or h.calm_level >= 0:
            h.limit = _limit(p, time)
        may_stretch = is_plain and h.calm_level < 0
        if (
            what == _ARRIVAL
            and may_stretch
            and h.chunk_place >= plain_after
            and 0 <= time < h.limit
        ):
            place = h.chunk_place
            _stretch(p, first_time(p, RETRIES, next_timer(p, h.limit)))
            if h.chunk_place > place:
                continue
            plain_after = place + _NOT_PLAIN
        h.now = time
        if counts:
            depart_until(p, time, key)
        if what == _TIMER:
            timer(p)
        elif what == _RETRY:
            asks_again(p, slot)
        else:
            arrives(p)
