"""Departures of what is over before control can interfere, compiled: a wheel of bins.

Least connections has to see them one by one and in order; nothing else is done for them. A bin is
gone through when time reaches it, so that each costs the same however many there are.
"""

from __future__ import annotations

from simulation.engines.kernel.build import part
from simulation.engines.kernel.memory import departure_at, header_at, i4_at, instance_at
from simulation.engines.kernel.policies import has_changed
from simulation.engines.kernel.timers import is_tight


@part
def _bin_of(p: int, time: float) -> int:
    h = header_at(p, 0)
    return int((time - h.t0) * h.departures_per_s)


@part
def departs_at(p: int, time: float, key: int, g: int) -> None:
    """An instance will have one connection less."""
    h = header_at(p, 0)
    one = h.departure_free
    if one >= 0:
        h.departure_free = departure_at(h.departures, one).next
    else:
        one = h.departure_used
        h.departure_used += 1
    h.departure_count += 1
    is_tight(p, h.departure_cap - h.departure_count)
    head = i4_at(h.departure_bins, _bin_of(p, time) & h.departure_mask)
    record = departure_at(h.departures, one)
    record.time, record.key, record.instance, record.next = time, key, g, head.v
    head.v = one


@part
def depart_until(p: int, time: float, key: int) -> None:
    """All that is due before this time, and at this time before this key."""
    h = header_at(p, 0)
    last = _bin_of(p, time)
    if h.departure_count > 0:
        heads, mask = h.departure_bins, h.departure_mask
        for place in range(h.departure_bin, last + 1):
            if i4_at(heads, place & mask).v >= 0:
                _empty(p, place, time, key)
    h.departure_bin = last


@part
def _empty(p: int, place: int, time: float, key: int) -> None:
    """Takes what is due out of a bin, one after the other."""
    h = header_at(p, 0)
    entries = h.departures
    head = i4_at(h.departure_bins, place & h.departure_mask)
    one = int(head.v)
    if departure_at(entries, one).next < 0:  # as it mostly is
        if _is_due(p, one, place, time, key):
            head.v = -1
            _departs(p, one)
        return
    while one >= 0:
        best, best_before, before = -1, -1, -1
        first_time, first_key = time, key
        while one >= 0:
            record = departure_at(entries, one)
            if _is_due(p, one, place, first_time, first_key):
                best, best_before = one, before
                first_time, first_key = record.time, record.key
            before, one = one, int(record.next)
        if best < 0:
            return
        following = departure_at(entries, best).next
        if best_before < 0:
            head.v = following
        else:
            departure_at(entries, best_before).next = following
        _departs(p, best)
        one = int(head.v)


@part
def _is_due(p: int, one: int, place: int, time: float, key: int) -> bool:
    record = departure_at(header_at(p, 0).departures, one)
    is_before = record.time < time or (record.time == time and record.key < key)
    return is_before and _bin_of(p, record.time) <= place


@part
def _departs(p: int, one: int) -> None:
    h = header_at(p, 0)
    record = departure_at(h.departures, one)
    record.next = h.departure_free
    h.departure_free = one
    h.departure_count -= 1
    instance = instance_at(h.instances, record.instance)
    instance.taken -= 1
    has_changed(p, 0, record.instance, instance.taken)
