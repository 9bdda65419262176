"""Events of the fast path that are known ahead, compiled: ends of waits, and departures.

A request that ends before control can interfere needs no events of its own. Two figures must still
follow it in the order of time: the number of connections of an instance, for least connections, and
the highest number of calls that wait.
"""

from __future__ import annotations

from simulation.engines.compiled.kernel.build import hot_part, part
from simulation.engines.compiled.kernel.memory import (
    DEPARTURES,
    RECENT,
    WAITS,
    entry_at,
    f8_at,
    header_at,
    instance_at,
    wheel_at,
)
from simulation.engines.compiled.kernel.policies import set_connections
from simulation.engines.compiled.kernel.queues import check_backlog
from simulation.engines.compiled.kernel.wheel import pop_due, put

_FIRST_KEY, _LAST_KEY = -1, 1 << 62


@part
def schedule_departure(p: int, time: float, key: int, g: int) -> None:
    """Schedule that an instance will have one connection less."""
    put(p, DEPARTURES, time, key, g)


@hot_part
def depart_until(p: int, time: float, key: int) -> None:
    """Process the departures before a time, and at that time those before a key."""
    h = header_at(p, 0)
    while True:
        departure = pop_due(p, DEPARTURES, time, key)
        if departure == 0:
            return
        g = int(entry_at(departure, 0).value)
        instance = instance_at(h.instances, g)
        instance.taken -= 1
        set_connections(p, 0, g, instance.taken)


@part
def end_waits_until(p: int, time: float) -> None:
    """Subtract the calls whose wait ends by a time from the number of waiting calls."""
    h = header_at(p, 0)
    before = wheel_at(h.wheels, WAITS).count
    while pop_due(p, WAITS, time, _LAST_KEY) != 0:
        pass
    h.waiting -= before - wheel_at(h.wheels, WAITS).count
    kept = 0
    for k in range(h.recent_count):
        end = f8_at(h.recent, k).v
        f8_at(h.recent, kept).v = end
        kept += 1 if end > time else 0
    h.waiting -= h.recent_count - kept
    h.recent_count = kept


@part
def move_waits_to_wheel(p: int) -> None:
    """Move all waits to the wheel, so that their ends are processed one by one in time order.

    This is needed while control waits for the backlog to shrink: `BACKLOG_DOWN` must be signalled at
    the exact time.
    """
    h = header_at(p, 0)
    end_waits_until(p, h.now)
    for k in range(h.recent_count):
        put(p, WAITS, f8_at(h.recent, k).v, _FIRST_KEY, 0)
    h.recent_count = 0
    check_backlog(p)


@hot_part
def signal_backlog_before(p: int, time: float, key: int) -> bool:
    """Process ends of waits before a time and key; return True when control is to be signalled.

    This is so when the number of waiting calls has fallen to the level that control waits for. The
    time is then that of the last end of a wait.
    """
    h = header_at(p, 0)
    while h.backlog_level >= 0:
        ends = pop_due(p, WAITS, time, key)
        if ends == 0:
            return False
        h.now = entry_at(ends, 0).time
        h.waiting -= 1
        check_backlog(p)
    return True


@hot_part
def add_wait_until(p: int, time: float) -> None:
    """Add a call that waits from now until a time.

    Ended waits are subtracted only when the number of waiting calls may reach a new maximum: this
    saves work for every other call. Up to `RECENT` waits are kept in a plain list, and most end before
    they would have to go onto the wheel.
    """
    h = header_at(p, 0)
    if h.backlog_level >= 0:
        put(p, WAITS, time, _FIRST_KEY, 0)
    else:
        if h.waiting >= h.highest:
            end_waits_until(p, h.now)
        if h.recent_count == RECENT:
            end_waits_until(p, h.now)
            if h.recent_count > RECENT // 2:
                move_waits_to_wheel(p)
        f8_at(h.recent, h.recent_count).v = time
        h.recent_count += 1
    h.waiting += 1
    h.highest = max(h.highest, h.waiting)
