"""The fast path: requests whose way is known when they arrive, compiled.

Where every instance has a queue of its own, without a limit, and nothing asks its way through the
fleet again, a request's whole fate follows from its arrival: it begins when the first slot of its
instance is free of those before it, and ends after its demand, or when its client has had enough.
What is over before control can interfere (`limit`) is counted at once and never becomes an event; for
the rest there are timers. Which scenarios these are, `simulation.engines.compiled` says.
"""

from __future__ import annotations

import math

from simulation.engines.calls import GONE, HOLDING, QUEUED, SERVING
from simulation.engines.kernel.belief import tell
from simulation.engines.kernel.build import part
from simulation.engines.kernel.calls import log_ended, takes_s
from simulation.engines.kernel.departures import depart_until, departs_at
from simulation.engines.kernel.draws import ERROR_DRAW, JITTER, uniform
from simulation.engines.kernel.memory import (
    ASK_AGAIN,
    BEGIN,
    COMPLETE,
    DONE,
    FULL,
    GIVE_UP,
    NEXT_CHUNK,
    attempt_at,
    call_at,
    class_at,
    f8_at,
    header_at,
    i4_at,
    i8_at,
    instance_at,
    row_at,
    service_at,
    timer_at,
)
from simulation.engines.kernel.policies import goes_to, has_changed, next_of, pick
from simulation.engines.kernel.queues import count_waiting
from simulation.engines.kernel.requests import attempt_order, free_attempt, new_attempt, wait_s
from simulation.engines.kernel.slots import sort_calls
from simulation.engines.kernel.tally import (
    add_exposed,
    bin_of,
    busy,
    called,
    came,
    count_exposed,
    ended,
    new_row,
    put_latencies,
    put_served,
    put_wait,
    ticks_of,
    turned_away,
    waiting,
)
from simulation.engines.kernel.timers import (
    bring_timers,
    is_tight,
    next_timer,
    pop_timer,
    set_timer,
)
from simulation.engines.plane import ARRIVALS, COMPLETIONS, TIMEOUTS
from simulation.results import CUT, ERROR, IN_FLIGHT, OK, REJECTED, TIMED_OUT

_MANY = 64
"""So many that wait are worth a heap."""


@part
def _limit(p: int) -> float:
    """Until when control will surely not interfere, as far as is known now."""
    h = header_at(p, 0)
    if h.calm_level >= 0:
        return -math.inf
    until = h.target
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
    """Requests in a row, before a time, that are over in the bin in which they arrive.

    What all of them add up to is kept in registers; it ends with the first that is not so.
    """
    h = header_at(p, 0)
    service = service_at(h.services, 0)
    counts = service.counts != 0
    span = class_at(h.classes, 0).timeout if class_at(h.classes, 0).lane >= 0 else math.inf
    k, last = h.chunk_place, h.chunk_count
    times, demands, instances, free_at = h.times, h.demands, h.instances, h.free_at
    slots_max, is_new = h.slots_max, 0
    place = bin_of(p, f8_at(times, k).v)
    ends = min(until, (place + 1) / h.bins_per_s - 1e-9)
    served, waited = 0, 0
    flying_ticks, waiting_ticks, busy_ticks = 0, 0, 0
    while k < last and not h.tight:
        now = f8_at(times, k).v
        if now >= ends:
            break
        if counts:
            depart_until(p, now, ARRIVALS)
        g = next_of(p, 0)
        instance = instance_at(instances, g)
        first = best = g * slots_max
        time = f8_at(free_at, first).v
        for other in range(first + 1, first + instance.slots):
            free = f8_at(free_at, other).v
            best = other if free < time else best
            time = min(time, free)
        start = max(now, time)
        done = start + takes_s(p, 0, g, f8_at(demands, k).v, start)
        if done >= ends or done > now + span or instance.watch_idle:
            break
        h.now = now
        goes_to(p, 0, g)
        f8_at(free_at, best).v = done
        is_new += instance.new_version
        if counts:
            instance.taken += 1
            has_changed(p, 0, g, instance.taken)
            departs_at(p, done, COMPLETIONS + attempt_order(h.chunk_first + k, 0), g)
        came_ticks, begun, gone = ticks_of(now), ticks_of(start), ticks_of(done)
        flying_ticks += came_ticks - gone
        waiting_ticks += came_ticks - begun
        busy_ticks += begun - gone
        if start > now:
            waited += 1
            _waits_until(p, start)
        put_latencies(p, place, start - now, done - now)
        served += 1
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
    want = call_at(header_at(p, 0).calls, a).want
    one.tries += 1
    one.order += 1
    _asks(p, a, one.order, one.tries, one.kind, want, one.asked, one.row)


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
        _told(p, a, order, tries, kind, want, asked, row, now, REJECTED, 0)
        return
    g, start, done = _bind(p, order, kind, want, _patience(p, kind))
    if h.keeps_rows:
        row_at(h.rows, row).instance = g
    _goes_on(p, a, order, tries, kind, want, asked, row, g, start, done)


@part
def _patience(p: int, kind: int) -> float:
    """When the client of an attempt leaves that begins now."""
    rule = class_at(header_at(p, 0).classes, kind)
    return header_at(p, 0).now + rule.timeout if rule.lane >= 0 else math.inf


@part
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


@part
def _passes(p: int, g: int, start: float, until: float, over: float, key: int) -> None:
    """What is over before control can interfere waits, and is counted, as long as it is there."""
    h = header_at(p, 0)
    if start > h.now:
        _waits_until(p, until)
    if service_at(h.services, 0).counts:
        departs_at(p, over, key, g)


@part
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
    patience = _patience(p, kind)
    is_served = start <= patience
    in_time = done <= patience
    over = done
    if not is_served or (not in_time and class_at(h.classes, kind).cancels):
        over = patience
    if over > h.limit or instance.watch_idle:
        _goes_slow(p, a, order, tries, kind, want, asked, row, g, start, over, over == done)
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
            flag = _is_exposed(p, a, asked, row)
        if in_time:
            outcome, end = _outcome(p, order, by_new), done
    if service.keeps_log:
        log_ended(p, 0, end, end - now, outcome, by_new and is_served, is_served, True)
    _told(p, a, order, tries, kind, want, asked, row, end, outcome, flag)


@part
def _no_longer_wait(p: int, time: float) -> None:
    """Forgets those of the waiting that were served by then."""
    h = header_at(p, 0)
    if h.wait_is_heap:
        while h.wait_count > 0 and f8_at(h.wait_ends, 0).v <= time:
            _pop_wait(p)
        return
    ends, kept = h.wait_ends, 0
    for k in range(h.wait_count):
        end = f8_at(ends, k).v
        f8_at(ends, kept).v = end
        kept += 1 if end > time else 0
    h.waiting -= h.wait_count - kept
    h.wait_count = kept


@part
def _waits_until(p: int, time: float) -> None:
    """One more waits from now on, until then.

    Who has been served meanwhile matters only when there may be more than ever before. Few are
    gone through then; of many a heap is made.
    """
    h = header_at(p, 0)
    if h.wait_count > _MANY and not h.wait_is_heap:
        _no_longer_wait(p, h.now)
        if h.wait_count > _MANY:
            count = h.wait_count
            h.wait_is_heap, h.wait_count = 1, 0
            for k in range(count):
                _push_wait(p, f8_at(h.wait_ends, k).v)
    if h.wait_is_heap:
        _no_longer_wait(p, h.now)
        _push_wait(p, time)
        h.wait_is_heap = h.wait_count > _MANY
    else:
        if h.waiting >= h.highest:
            _no_longer_wait(p, h.now)
        f8_at(h.wait_ends, h.wait_count).v = time
        h.wait_count += 1
    h.waiting += 1
    h.highest = max(h.highest, h.waiting)
    is_tight(p, h.wait_cap - h.wait_count)


@part
def _push_wait(p: int, time: float) -> None:
    h = header_at(p, 0)
    place = h.wait_count
    h.wait_count += 1
    while place > 0:
        above = (place - 1) >> 1
        if f8_at(h.wait_ends, above).v <= time:
            break
        f8_at(h.wait_ends, place).v = f8_at(h.wait_ends, above).v
        place = above
    f8_at(h.wait_ends, place).v = time


@part
def _pop_wait(p: int) -> None:
    h = header_at(p, 0)
    h.wait_count -= 1
    h.waiting -= 1
    count, last, place = h.wait_count, f8_at(h.wait_ends, h.wait_count).v, 0
    while 2 * place + 1 < count:
        below = 2 * place + 1
        if below + 1 < count and f8_at(h.wait_ends, below + 1).v < f8_at(h.wait_ends, below).v:
            below += 1
        if f8_at(h.wait_ends, below).v >= last:
            break
        f8_at(h.wait_ends, place).v = f8_at(h.wait_ends, below).v
        place = below
    f8_at(h.wait_ends, place).v = last


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
def _outcome(p: int, order: int, by_new: bool) -> int:
    """How work ends that was done in time."""
    service = service_at(header_at(p, 0).services, 0)
    if not by_new and service.old_is_wrong:
        return ERROR
    share = service.new_error if by_new else service.old_error
    if share > 0 and uniform(service.key, ERROR_DRAW, order) < share:
        return ERROR
    return OK


@part
def _slot(
    p: int, order: int, tries: int, kind: int, want: float, asked: float, row: int, flag: int
) -> int:
    """A slot for what has to be known later of an attempt."""
    h = header_at(p, 0)
    a = new_attempt(p)
    one = attempt_at(h.attempts, a)
    one.order, one.tries, one.kind = order, tries, kind
    one.asked, one.row, one.exposed = asked, row, flag
    call_at(h.calls, a).want = want
    call_at(h.calls, a).state = GONE
    return a


@part
def _is_exposed(p: int, a: int, asked: float, row: int) -> int:
    """A new version serves the request: counted once, however often it asks."""
    h = header_at(p, 0)
    if h.keeps_rows:
        row_at(h.rows, row).new_version = 1
    if a < 0 or not attempt_at(h.attempts, a).exposed:
        count_exposed(p, asked)
    if a >= 0:
        attempt_at(h.attempts, a).exposed = 1
    return 1


@part
def _told(
    p: int,
    a: int,
    order: int,
    tries: int,
    kind: int,
    want: float,
    asked: float,
    row: int,
    time: float,
    outcome: int,
    flag: int,
) -> None:
    """The attempt is over for its client, who may make another; its slot is free or kept for that."""
    h = header_at(p, 0)
    rule = class_at(h.classes, kind)
    if outcome != OK and tries < rule.attempts and (rule.cut or outcome != CUT):
        if a < 0:
            a = _slot(p, order, tries, kind, want, asked, row, flag)
        u = uniform(h.key, JITTER, order) if rule.jitter > 0 else 0.5
        again = time + wait_s(p, kind, tries, u)
        set_timer(p, again, ARRIVALS + order + 1, ASK_AGAIN, a, 0)
        return
    ended(p, asked, time, outcome, True)
    if h.keeps_rows:
        record = row_at(h.rows, row)
        record.finish = time
        record.outcome = outcome
    if a >= 0:
        _free(p, a)


@part
def _free(p: int, a: int) -> None:
    one = attempt_at(header_at(p, 0).attempts, a)
    one.outcome = OK
    free_attempt(p, a)


# What control may interfere with


@part
def _goes_slow(
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
    over: float,
    is_done: bool,
) -> None:
    """Timers for an attempt that may not be over when control is next."""
    h = header_at(p, 0)
    if a < 0:
        a = _slot(p, order, tries, kind, want, asked, row, 0)
    now = h.now
    class_at(h.classes, kind)
    attempt_at(h.attempts, a).outcome = IN_FLIGHT
    one = call_at(h.calls, a)
    one.generation += 1
    one.arrival, one.start, one.instance = now, now, g
    one.new_version = 0
    one.state = QUEUED
    instance = instance_at(h.instances, g)
    instance.at_work += 1
    instance.last = max(instance.last, over)
    patience = _patience(p, kind)
    if start > now:
        waiting(p, now, 1)
        _no_longer_wait(p, now)
        count_waiting(p, 0, 1)
        if start <= patience:
            set_timer(p, start, COMPLETIONS, BEGIN, a, one.generation)
    else:
        _begins(p, a)
    if is_done:
        set_timer(p, over, COMPLETIONS + order, COMPLETE, a, one.generation)
    if patience < math.inf:
        set_timer(p, patience, TIMEOUTS + order, GIVE_UP, a, one.generation)


@part
def _begins(p: int, a: int) -> None:
    """It is served from now on."""
    h = header_at(p, 0)
    one, attempt = call_at(h.calls, a), attempt_at(h.attempts, a)
    one.state = SERVING
    one.start = h.now
    if one.arrival >= 0:
        put_wait(p, h.now - one.arrival)
    busy(p, h.now, 1)
    if h.keeps_rows:
        row_at(h.rows, attempt.row).start = h.now
    if instance_at(h.instances, one.instance).new_version:
        one.new_version = _is_exposed(p, a, attempt.asked, attempt.row)


@part
def _leaves_queue(p: int, a: int) -> None:
    h = header_at(p, 0)
    count_waiting(p, 0, -1)
    waiting(p, h.now, -1)


@part
def _has_one_less(p: int, g: int) -> None:
    one = instance_at(header_at(p, 0).instances, g)
    one.at_work -= 1
    if service_at(header_at(p, 0).services, 0).counts:
        one.taken -= 1


@part
def _departs(p: int, a: int) -> None:
    """The instance has one less."""
    h = header_at(p, 0)
    one = call_at(h.calls, a)
    one.state = GONE
    one.generation += 1
    _has_one_less(p, one.instance)
    tell(p, one.instance)


@part
def _hears(p: int, a: int, outcome: int, is_kept: bool) -> None:
    """Its client is told, now; a slot whose work goes on is kept apart from the next attempt's."""
    h = header_at(p, 0)
    one, attempt = call_at(h.calls, a), attempt_at(h.attempts, a)
    if service_at(h.services, 0).keeps_log:
        is_served = one.state != QUEUED
        by_new = one.new_version == 1
        log_ended(p, 0, h.now, h.now - one.arrival, outcome, by_new, is_served, True)
    attempt.outcome = outcome
    own = a
    if is_kept:
        own = _slot(
            p,
            attempt.order,
            attempt.tries,
            attempt.kind,
            one.want,
            attempt.asked,
            attempt.row,
            attempt.exposed,
        )
    again = attempt_at(h.attempts, own)
    want = call_at(h.calls, own).want
    order, tries, kind = again.order, again.tries, again.kind
    _told(p, own, order, tries, kind, want, again.asked, again.row, h.now, outcome, 0)


@part
def timer(p: int) -> None:
    """The first timer that is due."""
    h = header_at(p, 0)
    due = timer_at(h.timers, pop_timer(p))
    what, a, generation = due.what, due.slot, due.generation
    if what == ASK_AGAIN:
        asks_again(p, a)
    elif call_at(h.calls, a).generation == generation:
        if what == BEGIN:
            _leaves_queue(p, a)
            _begins(p, a)
        elif what == COMPLETE:
            _completes(p, a)
        else:
            _gives_up(p, a)


@part
def _completes(p: int, a: int) -> None:
    h = header_at(p, 0)
    one = call_at(h.calls, a)
    is_left = one.state == HOLDING
    busy(p, h.now, -1)
    by_new = one.new_version == 1
    if is_left:
        _departs(p, a)
        _free(p, a)
        return
    _hears_then_departs(p, a, _outcome(p, attempt_at(h.attempts, a).order, by_new))


@part
def _hears_then_departs(p: int, a: int, outcome: int) -> None:
    """Over for its client and at its instance."""
    _hears(p, a, outcome, False)
    _departs(p, a)


@part
def _gives_up(p: int, a: int) -> None:
    """The client of the attempt leaves."""
    h = header_at(p, 0)
    one = call_at(h.calls, a)
    if one.state == QUEUED:
        _leaves_queue(p, a)
        if one.arrival >= 0:
            put_wait(p, h.now - one.arrival)
        _hears_then_departs(p, a, TIMED_OUT)
    elif one.state == SERVING:
        if class_at(h.classes, attempt_at(h.attempts, a).kind).cancels:
            busy(p, h.now, -1)
            _hears_then_departs(p, a, TIMED_OUT)
        else:
            _hears(p, a, TIMED_OUT, True)
            one = call_at(h.calls, a)
            one.state = HOLDING


@part
def cut(p: int, g: int) -> int:
    """Ends everything in service or queued at the instance; says how many clients lost."""
    h = header_at(p, 0)
    begun = _gather(p, g, 0, False)
    sort_calls(p, 0, begun)
    count = _gather(p, g, begun, True)
    sort_calls(p, begun, count - begun)
    instance = instance_at(h.instances, g)
    lost = 0
    for k in range(count):
        a = i4_at(h.scratch, k).v
        one = call_at(h.calls, a)
        if one.state == QUEUED:
            _leaves_queue(p, a)
            if one.arrival >= 0:
                put_wait(p, h.now - one.arrival)
        else:
            busy(p, h.now, -1)
        one.generation += 1
        _has_one_less(p, g)
        if one.state == HOLDING:
            one.state = GONE
            _free(p, a)
        else:
            lost += 1
            _hears(p, a, CUT, False)
            call_at(h.calls, a).state = GONE
    for place in range(g * h.slots_max, (g + 1) * h.slots_max):
        f8_at(h.free_at, place).v = -math.inf
    instance.last = -math.inf
    tell(p, g)
    return lost


@part
def _gather(p: int, g: int, count: int, queued: bool) -> int:
    """Puts what is at an instance behind what `scratch` has: what waits there, or what has begun."""
    h = header_at(p, 0)
    for a in range(h.attempt_used):
        one = call_at(h.calls, a)
        if one.instance == g and (
            one.state == QUEUED if queued else one.state == SERVING or one.state == HOLDING
        ):
            i4_at(h.scratch, count).v = a
            count += 1
    return count


@part
def advance_bound(p: int) -> int:
    """Takes what is due up to the header's target; says why it came back."""
    h = header_at(p, 0)
    h.limit = _limit(p)
    counts, is_plain = service_at(h.services, 0).counts != 0, _is_plain(p)
    while True:
        if h.tight:
            return FULL
        if h.chunk_place == h.chunk_count and not h.chunk_over:
            return NEXT_CHUNK
        time = math.inf
        if h.chunk_place < h.chunk_count:
            time = f8_at(h.times, h.chunk_place).v
        is_timer = False
        if h.timer_count > 0:
            bring_timers(p, min(time, h.target))
            if h.heap_count > 0:
                first = timer_at(h.timers, i4_at(h.heap, 0).v)
                key = ARRIVALS + attempt_order(h.chunk_first + h.chunk_place, 0)
                is_timer = first.time < time or (first.time == time and first.key < key)
                if is_timer:
                    time = first.time
                    if time == h.target and first.key > 0:
                        time = math.inf
        if not (time < h.target or (time == h.target and is_timer)):
            h.now = max(h.now, h.target)
            _no_longer_wait(p, h.now)
            if counts:
                depart_until(p, h.now, ARRIVALS)
            return DONE
        if time > h.limit:
            h.limit = _limit(p)
        if is_plain and not is_timer and 0 <= time < h.limit:
            until = h.limit
            if h.heap_count > 0:
                until = min(until, timer_at(h.timers, i4_at(h.heap, 0).v).time)
            elif h.timer_count > 0:
                until = min(until, next_timer(p, until))
            place = h.chunk_place
            _stretch(p, until)
            if h.chunk_place > place:
                continue
        h.now = time
        if counts:
            depart_until(
                p, time, timer_at(h.timers, i4_at(h.heap, 0).v).key if is_timer else ARRIVALS
            )
        if is_timer:
            timer(p)
        else:
            arrives(p)
