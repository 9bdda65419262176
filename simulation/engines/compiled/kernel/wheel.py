"""A timer wheel, compiled: entries come out one by one in the order of time and key.

A bin is so narrow that it usually holds one entry, which lies in the bin itself; further entries are
chained to it. One bit for each bin says whether the bin has an entry, so empty bins cost almost nothing
and the cost of an entry does not depend on the number of entries. Entries further ahead than one turn
of the wheel share the bins of nearer entries and stay there until their turn.
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
"""Number of bins that share one word of bits."""


@part
def _bin_of(p: int, w: int, time: float) -> int:
    h = header_at(p, 0)
    return int((time - h.t0) * wheel_at(h.wheels, w).bins_per_s)


@part
def put(p: int, w: int, time: float, key: int, value: int) -> None:
    """Add an entry; entries at one time come out in the order of their keys."""
    h = header_at(p, 0)
    wheel = wheel_at(h.wheels, w)
    spot = _bin_of(p, w, time) & wheel.mask
    word, bit = i8_at(wheel.words, spot >> _WORD_BITS), 1 << (spot & (_WORD - 1))
    first = entry_at(wheel.bins, spot)
    wheel.count += 1
    if word.v & bit:
        index = wheel.free
        if index >= 0:
            wheel.free = entry_at(wheel.entries, index).next
        else:
            index = wheel.used
            wheel.used += 1
        note_if_tight(p, wheel.cap - wheel.count)
        further = entry_at(wheel.entries, index)
        further.time, further.key, further.value = time, key, value
        further.next = first.next
        first.next = index
        return
    word.v |= bit
    first.time, first.key, first.value, first.next = time, key, value, -1


@hot_part
def _next_place(p: int, w: int, place: int, last: int) -> int:
    """Return the first bin from a place on that has entries, or one beyond ``last`` when none has."""
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
    """Take out the first entry before a time, or at that time before a key.

    Returns:
        The address of its record, which stays readable until the next `put`; 0 when nothing is due.
    """
    h = header_at(p, 0)
    wheel = wheel_at(h.wheels, w)
    last = _bin_of(p, w, time)
    place = _next_place(p, w, wheel.place, last) if wheel.count > 0 else last + 1
    while place <= last:
        spot = place & wheel.mask
        due_record = wheel.bins + spot * _SIZE
        if entry_at(due_record, 0).next >= 0:
            due_record = _pop_due_in_chain(p, w, place, time, key)
        elif _is_due(p, w, due_record, place, time, key):  # the usual case
            i8_at(wheel.words, spot >> _WORD_BITS).v &= ~(1 << (spot & (_WORD - 1)))
            wheel.count -= 1
        else:
            due_record = 0
        if due_record != 0:
            wheel.place = place
            return due_record
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
    """Do the same as `pop_due` for a bin that has several entries."""
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
    # The first chained entry takes the place of the entry taken out, which frees the former's record.
    index = int(first.next)
    freed = entry_at(wheel.entries, index)
    first.next = freed.next
    taken = entry_at(best, 0)
    at, rank, which = taken.time, taken.key, taken.value
    taken.time, taken.key, taken.value = freed.time, freed.key, freed.value
    freed.time, freed.key, freed.value = at, rank, which
    freed.next = wheel.free
    wheel.free = index
    wheel.count -= 1
    return wheel.entries + index * _SIZE


@part
def first_time(p: int, w: int, until: float) -> float:
    """Return the time of the first entry, or ``until`` when no entry is due before it."""
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
            if _bin_of(p, w, entry.time) <= place:  # not a turn of the wheel later
                first = min(first, entry.time)
            if entry.next < 0:
                break
            record = wheel.entries + entry.next * _SIZE
        place = _next_place(p, w, place + 1, last)
    return first
