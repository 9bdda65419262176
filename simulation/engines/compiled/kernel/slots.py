"""Free slots and the calls that fill them, and the end of all calls at an instance, compiled."""

from __future__ import annotations

from simulation.engines.compiled.kernel.belief import (
    is_check_open,
    record_check,
    update_belief,
    update_policy,
)
from simulation.engines.compiled.kernel.build import hot_part, part
from simulation.engines.compiled.kernel.calls import (
    begin_service,
    end_call,
    on_failed,
    release,
    send,
    start_waiting,
)
from simulation.engines.compiled.kernel.memory import (
    attempt_at,
    call_at,
    header_at,
    i4_at,
    instance_at,
    node_at,
    service_at,
)
from simulation.engines.compiled.kernel.policies import pick
from simulation.engines.compiled.kernel.queues import append, count_waiting, free_node, on_freed
from simulation.engines.compiled.kernel.requests import new_call
from simulation.engines.compiled.kernel.shared_connections import close_all
from simulation.requests.call_states import HOLDING, OPEN, PAUSED, QUEUED, SERVING, WAITING
from simulation.results.run_result import CUT, IN_FLIGHT


@hot_part
def refill_freed(p: int) -> None:
    """Fill the slots that were freed, in the order in which they were freed."""
    h = header_at(p, 0)
    while h.freed_count > 0:
        g = i4_at(h.freed, h.freed_first).v
        h.freed_first += 1
        h.freed_count -= 1
        _refill(p, g)
    h.freed_first = 0


@hot_part
def _refill(p: int, g: int) -> None:
    h = header_at(p, 0)
    instance = instance_at(h.instances, g)
    s = instance.service
    while instance.taken < instance.limit:
        own = _pop_queued(p, g)
        if own >= 0:
            instance.queued -= 1
            count_waiting(p, s, -1)
            begin_service(p, own)
            continue
        c = _pop_waiting(p, g)
        if c < 0:
            break
        count_waiting(p, s, -1)
        call_at(h.calls, c).state = PAUSED
        send(p, c, g)
    update_policy(p, g)


@hot_part
def _pop_queued(p: int, g: int) -> int:
    h = header_at(p, 0)
    instance = instance_at(h.instances, g)
    while instance.head >= 0:
        node = instance.head
        record = node_at(h.nodes, node)
        slot, generation = record.slot, record.generation
        instance.head = record.next
        free_node(p, node)
        if slot < 0:
            if is_check_open(p, g, generation) and instance.listening:
                record_check(p, g, generation, True)
        else:
            waits = call_at(h.calls, slot)
            if waits.generation == generation and waits.state == QUEUED:
                return slot
    return -1


@hot_part
def _pop_waiting(p: int, g: int) -> int:
    h = header_at(p, 0)
    instance = instance_at(h.instances, g)
    service = service_at(h.services, instance.service)
    while service.head >= 0 and instance.is_believed:
        node = service.head
        record = node_at(h.nodes, node)
        slot, generation = record.slot, record.generation
        service.head = record.next
        free_node(p, node)
        waits = call_at(h.calls, slot)
        if waits.generation == generation and waits.state == WAITING:
            return slot
    return -1


@part
def set_listening(p: int, g: int, listening: bool) -> None:
    """Make an instance listen, or stop listening."""
    h = header_at(p, 0)
    instance = instance_at(h.instances, g)
    instance.listening = 1 if listening else 0
    if service_at(h.services, instance.service).pulls:
        instance.is_up = instance.listening
        update_belief(p, g)
    on_freed(p, g)
    refill_freed(p)


@part
def sort_calls(p: int, first: int, count: int) -> None:
    """Sort calls in ``scratch`` by the start of their service (Shell's sort)."""
    h = header_at(p, 0)
    gap = count // 2
    while gap > 0:
        for k in range(first + gap, first + count):
            c = i4_at(h.scratch, k).v
            start, order = call_at(h.calls, c).start, attempt_at(h.attempts, c // h.route_max).order
            place = k
            while place >= first + gap:
                other = i4_at(h.scratch, place - gap).v
                began = call_at(h.calls, other).start
                if began < start or (
                    began == start and attempt_at(h.attempts, other // h.route_max).order < order
                ):
                    break
                i4_at(h.scratch, place).v = other
                place -= gap
            i4_at(h.scratch, place).v = c
        gap //= 2


@part
def end_all(p: int, g: int, outcome: int) -> int:
    """End all calls at the instance; return how many of them a client still waited for."""
    h = header_at(p, 0)
    instance = instance_at(h.instances, g)
    count = 0
    for a in range(h.attempt_used):
        if attempt_at(h.attempts, a).is_free:
            continue
        for c in range(a * h.route_max, (a + 1) * h.route_max):
            call = call_at(h.calls, c)
            if call.instance == g and (
                call.state == SERVING or call.state == HOLDING or call.state == OPEN
            ):
                i4_at(h.scratch, count).v = c
                count += 1
    sort_calls(p, 0, count)
    while instance.head >= 0:
        node = instance.head
        waits = node_at(h.nodes, node)
        slot, generation = waits.slot, waits.generation
        instance.head = waits.next
        free_node(p, node)
        if slot >= 0:
            call = call_at(h.calls, slot)
            if call.generation == generation and call.state == QUEUED:
                i4_at(h.scratch, count).v = slot
                count += 1
    service = service_at(h.services, instance.service)
    lost = 0
    for k in range(count):
        c = i4_at(h.scratch, k).v
        call = call_at(h.calls, c)
        in_flight = attempt_at(h.attempts, c // h.route_max).outcome == IN_FLIGHT
        is_task = not call.requeued and not call.is_handshake and call.state == SERVING
        if in_flight and service.requeue and is_task:
            _requeue(p, c)
        else:
            lost += in_flight
            on_failed(p, c, outcome)
    close_all(p, g)
    update_policy(p, g)
    refill_freed(p)
    return lost


@part
def _requeue(p: int, c: int) -> None:
    h = header_at(p, 0)
    a = c // h.route_max
    if call_at(h.calls, c).outcome == IN_FLIGHT:
        end_call(p, c, CUT)
    release(p, c)
    new_call(p, a, c % h.route_max)
    call_at(h.calls, c).requeued = 1
    attempt = attempt_at(h.attempts, a)
    s = call_at(h.calls, c).service
    idle = pick(p, s, attempt.order, attempt.session, True)
    if idle >= 0:
        send(p, c, idle)
        return
    append(p, s, c, True)
    start_waiting(p, c, WAITING)
