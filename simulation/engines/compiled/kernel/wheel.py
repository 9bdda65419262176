"""A wheel of moments, compiled: what is due comes out one by one and in order.

A bin is so narrow that it mostly holds one entry, which lies in the bin itself; further ones are
chained to it. A bit for each bin says whether there is any, so that empty bins cost nothing, and an
entry costs the same however many there are. Entries further ahead than a turn of the wheel share the
bins of nearer ones and wait for their turn.
"""

from __future__ import annotations

from simulation.engines.compiled.kernel.build import hot_part, part
from simulation.engines.compiled.kernel.memory import (
    ENTRY,
    entry_at,
    header_at,
    i8_at,
    lowest_bit,
    wheel_at,
)
from simulation.engines.compiled.kernel.timers import note_if_tight

_SIZE = ENTRY.itemsize
_WORD_BITS = 5
_WORD = 1 << _WORD_BITS
"""So many bins share a word of bits."""


@part
def _bin_of(p: int, w: int, time: float) -> int:
    h = header_at(p, 0)
    return int((time - h.t0) * wheel_at(h.wheels, w).bins_per_s)


@part
def put(p: int, w: int, time: float, key: int, what: int) -> None:
    """Something will be due, of one moment in the order of the keys."""
    h = header_at(p, 0)
    wheel = wheel_at(h.wheels, w)
    spot = _bin_of(p, w, time) & wheel.mask
    word, bit = i8_at(wheel.words, spot >> _WORD_BITS), 1 << (spot & (_WORD - 1))
    first = entry_at(wheel.bins, spot)
    wheel.count += 1
    if word.v & bit:
        one = wheel.free
        if one >= 0:
            wheel.free = entry_at(wheel.entries, one).next
        else:
            one = wheel.used
            wheel.used += 1
        note_if_tight(p, wheel.cap - wheel.count)
        further = entry_at(wheel.entries, one)
        further.time, further.key, further.what = time, key, what
        further.next = first.next
        first.next = one
        return
    word.v |= bit
    first.time, first.key, first.what, first.next = time, key, what, -1


@hot_part
def _next_place(p: int, w: int, place: int, last: int) -> int:
    """The first bin from a place on that has entries; beyond the last place when none has."""
    wheel = wheel_at(header_at(p, 0).wheels, w)
    while place <= last:
        spot = place & wheel.mask
        bits = i8_at(wheel.words, spot >> _WORD_BITS).v >> (spot & (_WORD - 1))
        if bits != 0:
            return place + lowest_bit(bits)
        place += _WORD - (spot & (_WORD - 1))
    return place


@hot_part
def pop_due(p: int, w: int, time: float, key: int) -> int:
    """Takes out the first entry before a time, or at that time before a key.

    Says where its record is, which stays readable until the next `put`; 0 when nothing is due.
    """
    h = header_at(p, 0)
    wheel = wheel_at(h.wheels, w)
    last = _bin_of(p, w, time)
    place = _next_place(p, w, wheel.place, last) if wheel.count > 0 else last + 1
    while place <= last:
        spot = place & wheel.mask
        found = wheel.bins + spot * _SIZE
        if entry_at(found, 0).next >= 0:
            found = _pop_due_in_chain(p, w, place, time, key)
        elif _is_due(p, w, found, place, time, key):  # as it mostly is
            i8_at(wheel.words, spot >> _WORD_BITS).v &= ~(1 << (spot & (_WORD - 1)))
            wheel.count -= 1
        else:
            found = 0
        if found != 0:
            wheel.place = place
            return found
        place = _next_place(p, w, place + 1, last)
    wheel.place = last
    return 0


@part
def _is_due(p: int, w: int, record: int, place: int, time: float, key: int) -> bool:
    entry = entry_at(record, 0)
    is_before = entry.time < time or (entry.time == time and entry.key < key)
    return is_before and _bin_of(p, w, entry.time) <= place


@part
def _pop_due_in_chain(p: int, w: int, place: int, time: float, key: int) -> int:
    """The same, of a bin that has several entries."""
    wheel = wheel_at(header_at(p, 0).wheels, w)
    head = wheel.bins + (place & wheel.mask) * _SIZE
    first = entry_at(head, 0)
    best, until, before_key = 0, time, key
    record = head
    while True:
        if _is_due(p, w, record, place, until, before_key):
            best = record
            until, before_key = entry_at(best, 0).time, entry_at(best, 0).key
        following = int(entry_at(record, 0).next)
        if following < 0:
            break
        record = wheel.entries + following * _SIZE
    if best == 0:
        return 0
    # What is first in the chain takes its place, and its own record is the one that is free.
    one = int(first.next)
    freed = entry_at(wheel.entries, one)
    first.next = freed.next
    taken = entry_at(best, 0)
    at, rank, which = taken.time, taken.key, taken.what
    taken.time, taken.key, taken.what = freed.time, freed.key, freed.what
    freed.time, freed.key, freed.what = at, rank, which
    freed.next = wheel.free
    wheel.free = one
    wheel.count -= 1
    return wheel.entries + one * _SIZE


@part
def first_time(p: int, w: int, until: float) -> float:
    """When the first entry is due, if that is before a time; else that time."""
    wheel = wheel_at(header_at(p, 0).wheels, w)
    if wheel.count == 0:
        return until
    last = _bin_of(p, w, until)
    place = _next_place(p, w, wheel.place, last)
    first = until
    while place <= last and first == until:
        record = wheel.bins + (place & wheel.mask) * _SIZE
        while True:
            entry = entry_at(record, 0)
            if _bin_of(p, w, entry.time) <= place:  # and not a turn of the wheel later
                first = min(first, entry.time)
            if entry.next < 0:
                break
            record = wheel.entries + entry.next * _SIZE
        place = _next_place(p, w, place + 1, last)
    return first
