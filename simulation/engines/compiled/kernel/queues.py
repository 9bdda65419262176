"""Queues of calls, compiled, and the work that an event leaves for after its end.

A queue is a chain of nodes; each node holds the index of a call and the call's generation. A call that
ends stays in its queue and is skipped when its turn comes, because its generation has changed.
"""

from __future__ import annotations

from simulation.engines.compiled.kernel.build import hot_part, part
from simulation.engines.compiled.kernel.memory import (
    BACKLOG_DOWN,
    call_at,
    header_at,
    i4_at,
    instance_at,
    node_at,
    service_at,
    signal_at,
)
from simulation.engines.compiled.kernel.timers import note_if_tight


@part
def signal(p: int, kind: int, which: int) -> None:
    """Signal something to control: the kernel returns once the events of this time are processed."""
    h = header_at(p, 0)
    record = signal_at(h.signals, h.signal_count)
    record.kind, record.which = kind, which
    h.signal_count += 1
    h.target = min(h.target, h.now)
    note_if_tight(p, h.signal_cap - h.signal_count)


@part
def new_node(p: int, slot: int, generation: int) -> int:
    """Return a free node, filled with a call's index and generation."""
    h = header_at(p, 0)
    node = h.node_free
    if node >= 0:
        h.node_free = node_at(h.nodes, node).next
    else:
        node = h.node_used
        h.node_used += 1
    h.node_count += 1
    note_if_tight(p, h.node_cap - h.node_count)
    record = node_at(h.nodes, node)
    record.slot, record.generation, record.next = slot, generation, -1
    return node


@part
def free_node(p: int, node: int) -> None:
    """Free a node that has left its queue."""
    h = header_at(p, 0)
    node_at(h.nodes, node).next = h.node_free
    h.node_free = node
    h.node_count -= 1


@part
def append_own(p: int, g: int, slot: int, generation: int) -> None:
    """Append a call to an instance's queue; with the slot −1, a health check and its number."""
    h = header_at(p, 0)
    instance = instance_at(h.instances, g)
    node = new_node(p, slot, generation)
    if instance.head < 0:
        instance.head = node
    else:
        node_at(h.nodes, instance.tail).next = node
    instance.tail = node


@part
def append(p: int, s: int, c: int, at_head: bool) -> None:
    """Put a call into the balancer's queue of a service, at its end or at its head."""
    h = header_at(p, 0)
    service = service_at(h.services, s)
    node = new_node(p, c, call_at(h.calls, c).generation)
    if service.head < 0:
        service.head = service.tail = node
    elif at_head:
        node_at(h.nodes, node).next = service.head
        service.head = node
    else:
        node_at(h.nodes, service.tail).next = node
        service.tail = node


@hot_part
def count_waiting(p: int, s: int, change: int) -> None:
    """Change the number of calls that wait; signal `BACKLOG_DOWN` if control waits for this."""
    h = header_at(p, 0)
    service_at(h.services, s).waiting += change
    h.waiting += change
    h.highest = max(h.highest, h.waiting)
    check_backlog(p)


@hot_part
def check_backlog(p: int) -> None:
    """Signal `BACKLOG_DOWN` when no more calls wait than control's level."""
    h = header_at(p, 0)
    if h.backlog_level >= 0 and h.waiting <= h.backlog_level:
        h.backlog_level = -1
        signal(p, BACKLOG_DOWN, 0)


@hot_part
def on_freed(p: int, g: int) -> None:
    """Note that a slot of the instance may be free; it is filled when the current event is over."""
    h = header_at(p, 0)
    i4_at(h.freed, h.freed_first + h.freed_count).v = g
    h.freed_count += 1
    note_if_tight(p, h.freed_cap - h.freed_first - h.freed_count)
