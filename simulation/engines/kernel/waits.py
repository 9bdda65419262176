"""How many wait on the fast path, compiled: only their number is asked for, and how high it has been."""

from __future__ import annotations

from simulation.engines.kernel.build import part
from simulation.engines.kernel.memory import f8_at, header_at
from simulation.engines.kernel.timers import is_tight

_MANY = 64
"""So many that wait are worth a heap."""


@part
def no_longer_wait(p: int, time: float) -> None:
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
def waits_until(p: int, time: float) -> None:
    """One more waits from now on, until then.

    Who has been served meanwhile matters only when there may be more than ever before. Few are
    gone through then; of many a heap is made.
    """
    h = header_at(p, 0)
    if h.wait_count > _MANY and not h.wait_is_heap:
        no_longer_wait(p, h.now)
        if h.wait_count > _MANY:
            count = h.wait_count
            h.wait_is_heap, h.wait_count = 1, 0
            for k in range(count):
                _push_wait(p, f8_at(h.wait_ends, k).v)
    if h.wait_is_heap:
        no_longer_wait(p, h.now)
        _push_wait(p, time)
        h.wait_is_heap = h.wait_count > _MANY
    else:
        if h.waiting >= h.highest:
            no_longer_wait(p, h.now)
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
