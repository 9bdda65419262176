"""Timers in a wheel and a heap, and lanes of timeouts, compiled.

The next event is the one with the smallest time. Events at one time are ordered by their key, the
priority of `simulation.requests.plane`, and events with one key by when they were set. Timers lie in
the bins of a wheel until time reaches their bin: so the heap stays small with any number of timers.
Timeouts of one kind all last equally long and are due in the order in which they were set: a lane is a
ring of such timeouts.
"""

from __future__ import annotations

import math

from simulation.engines.compiled.kernel.build import hot_part, part
from simulation.engines.compiled.kernel.memory import (
    header_at,
    i4_at,
    lane_at,
    timer_at,
)

MARGIN = 64
"""Number of entries that one event may need in any array, besides two for each call in progress."""


@hot_part
def note_if_tight(p: int, free: int) -> None:
    """Set ``tight`` when an array has fewer free entries than the next event may need."""
    h = header_at(p, 0)
    if free < h.needs:
        h.tight = 1


@hot_part
def count_alive(p: int, change: int) -> None:
    """Change the number of attempts in progress, and with it how many entries an event may need."""
    h = header_at(p, 0)
    h.alive += change
    h.needs = 2 * h.alive * h.route_max + MARGIN


@hot_part
def _is_before(p: int, a: int, b: int) -> bool:
    h = header_at(p, 0)
    timer, other = timer_at(h.timers, a), timer_at(h.timers, b)
    if timer.time != other.time:
        return timer.time < other.time
    if timer.key != other.key:
        return timer.key < other.key
    return timer.sequence < other.sequence


@hot_part
def _heap_push(p: int, timer: int) -> None:
    h = header_at(p, 0)
    place = h.heap_count
    h.heap_count += 1
    while place > 0:
        above = (place - 1) >> 1
        other = i4_at(h.heap, above).v
        if not _is_before(p, timer, other):
            break
        i4_at(h.heap, place).v = other
        place = above
    i4_at(h.heap, place).v = timer


@hot_part
def pop_timer(p: int) -> int:
    """Take the first timer off the heap and free it; its record stays readable until a timer is set."""
    h = header_at(p, 0)
    first = i4_at(h.heap, 0).v
    h.heap_count -= 1
    count = h.heap_count
    if count > 0:
        last = i4_at(h.heap, count).v
        place = 0
        while True:
            below = 2 * place + 1
            if below >= count:
                break
            if below + 1 < count and _is_before(
                p, i4_at(h.heap, below + 1).v, i4_at(h.heap, below).v
            ):
                below += 1
            other = i4_at(h.heap, below).v
            if not _is_before(p, other, last):
                break
            i4_at(h.heap, place).v = other
            place = below
        i4_at(h.heap, place).v = last
    timer_at(h.timers, first).next = h.timer_free
    h.timer_free = first
    h.timer_count -= 1
    return first


@hot_part
def _bin_of(p: int, time: float) -> int:
    h = header_at(p, 0)
    return int((time - h.t0) * h.per_width)


@hot_part
def set_timer(p: int, time: float, key: int, purpose: int, slot: int, generation: int) -> None:
    """Set a timer."""
    h = header_at(p, 0)
    timer = h.timer_free
    if timer >= 0:
        h.timer_free = timer_at(h.timers, timer).next
    else:
        timer = h.timer_used
        h.timer_used += 1
    h.timer_count += 1
    record = timer_at(h.timers, timer)
    record.time, record.key, record.sequence = time, key, h.sequence
    record.purpose, record.slot, record.generation = purpose, slot, generation
    h.sequence += 1
    note_if_tight(p, h.timer_cap - h.timer_count)
    place = _bin_of(p, time)
    if place <= h.bin:
        _heap_push(p, timer)
    else:
        head = i4_at(h.bins, place & h.bin_mask)
        record.next = head.v
        head.v = timer
        h.binned += 1


@hot_part
def bring_timers(p: int, until: float) -> None:
    """Move timers from the wheel to the heap until the first timer due by a time is on the heap."""
    h = header_at(p, 0)
    if h.heap_count > 0:
        return
    last = _bin_of(p, until) if until < 1e300 else 1 << 62
    while h.bin < last and h.heap_count == 0:
        if h.binned == 0:
            if until < 1e300:
                h.bin = last
            return
        h.bin += 1
        head = i4_at(h.bins, h.bin & h.bin_mask)
        timer = int(head.v)
        head.v = -1
        while timer >= 0:
            record = timer_at(h.timers, timer)
            following = int(record.next)
            if _bin_of(p, record.time) <= h.bin:
                h.binned -= 1
                _heap_push(p, timer)
            else:
                record.next = head.v
                head.v = timer
            timer = following


@part
def next_timer(p: int, until: float) -> float:
    """Return the time of the first timer, or ``until`` when no timer is due before it."""
    h = header_at(p, 0)
    if h.timer_count > 0:
        bring_timers(p, until)
        if h.heap_count > 0:
            return min(until, timer_at(h.timers, i4_at(h.heap, 0).v).time)
    return until


@part
def _find_first_lane(p: int) -> None:
    """Find the lane whose first timeout is due first."""
    h = header_at(p, 0)
    h.lane_best = -1
    h.lane_time = math.inf
    best_key, best_sequence = 0, 0
    for k in range(h.lane_count):
        lane = lane_at(h.lanes, k)
        if lane.first == lane.next:
            continue
        timer = timer_at(lane.entries, lane.first & lane.mask)
        if (
            h.lane_best < 0
            or timer.time < h.lane_time
            or (
                timer.time == h.lane_time
                and (
                    timer.key < best_key
                    or (timer.key == best_key and timer.sequence < best_sequence)
                )
            )
        ):
            h.lane_best = k
            h.lane_time = timer.time
            best_key, best_sequence = timer.key, timer.sequence


@part
def set_timeout(p: int, which: int, time: float, key: int, slot: int, generation: int) -> None:
    """Add a timeout to a lane.

    Its time must not be before those of the lane's other timeouts. Among timeouts at one time it is
    inserted by its key.
    """
    h = header_at(p, 0)
    lane = lane_at(h.lanes, which)
    place = lane.next
    lane.next += 1
    while place > lane.first:
        before = timer_at(lane.entries, (place - 1) & lane.mask)
        if not (before.time == time and before.key > key):
            break
        here = timer_at(lane.entries, place & lane.mask)
        here.time, here.key, here.sequence = before.time, before.key, before.sequence
        here.slot, here.generation = before.slot, before.generation
        place -= 1
    timer = timer_at(lane.entries, place & lane.mask)
    timer.time, timer.key, timer.sequence = time, key, h.sequence
    timer.slot, timer.generation = slot, generation
    h.sequence += 1
    note_if_tight(p, lane.mask + 1 - (lane.next - lane.first))
    if place == lane.first:
        _find_first_lane(p)


@part
def pop_timeout(p: int) -> int:
    """Take the first timeout off its lane; its record stays readable until a timeout is set."""
    h = header_at(p, 0)
    lane = lane_at(h.lanes, h.lane_best)
    place = lane.first & lane.mask
    lane.first += 1
    _find_first_lane(p)
    return place
