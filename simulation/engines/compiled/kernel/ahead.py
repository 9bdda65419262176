"""What is known ahead on the fast path, compiled: when calls wait no longer, and when they depart.

Of what is over before control can interfere there are no events. Two things are still asked of it in
the order of time: how many connections an instance has, by least connections, and how many calls wait
at most.
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
    """An instance will have one connection less."""
    put(p, DEPARTURES, time, key, g)


@hot_part
def depart_until(p: int, time: float, key: int) -> None:
    """All that depart before this time, and at this time before this key."""
    h = header_at(p, 0)
    while True:
        found = pop_due(p, DEPARTURES, time, key)
        if found == 0:
            return
        g = int(entry_at(found, 0).what)
        instance = instance_at(h.instances, g)
        instance.taken -= 1
        set_connections(p, 0, g, instance.taken)


@part
def end_waits_until(p: int, time: float) -> None:
    """Those of the waiting that are served by then count no more."""
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
    """From now on whoever waits is on the wheel, so that each end of a wait is seen in its turn."""
    h = header_at(p, 0)
    end_waits_until(p, h.now)
    for k in range(h.recent_count):
        put(p, WAITS, f8_at(h.recent, k).v, _FIRST_KEY, 0)
    h.recent_count = 0
    check_backlog(p)


@hot_part
def signal_backlog_before(p: int, time: float, key: int) -> bool:
    """Whether so few wait before a time, and at that time before a key, that control is told."""
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
    """One more waits from now on, be it for no time, and until then.

    Who has been served meanwhile matters only when there may be more than ever before. Most are
    served before they would go on the wheel.
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
