"""The policies of `simulation.requests.policies`, compiled.

Least connections keeps a ring of instances for each number of connections. The instance that changed
last is at the end of its ring, and one more leaf marks where the ring begins and ends. With weights,
least connections keeps a tournament tree: the instance with the smallest load is at its root, and
after a change only the matches above the changed leaf are replayed.
"""

from __future__ import annotations

import math

from simulation.engines.compiled.kernel.build import hot_part, part
from simulation.engines.compiled.kernel.draws import (
    AFFINITY,
    PICK,
    SECOND_PICK,
    uniform,
    uniform_of_two,
)
from simulation.engines.compiled.kernel.memory import (
    LEAST,
    RANDOM,
    ROUND_ROBIN,
    TWO,
    WEIGHTED_LEAST,
    WEIGHTED_ROUND_ROBIN,
    header_at,
    i4_at,
    instance_at,
    leaf_at,
    service_at,
    u1_at,
)
from simulation.engines.compiled.kernel.timers import note_if_tight


@part
def _is_ahead(leaves: int, a: int, b: int) -> bool:
    leaf, other = leaf_at(leaves, a), leaf_at(leaves, b)
    if leaf.load != other.load:
        return leaf.load < other.load
    if leaf.changed != other.changed:
        return leaf.changed < other.changed
    return a < b


@part
def _replay_matches(p: int, s: int, k: int) -> None:
    """Replay the matches above an instance whose load has changed."""
    service = service_at(header_at(p, 0).services, s)
    place = (service.leaf_count + k) >> 1
    while place >= 1:
        left = i4_at(service.tree, 2 * place).v
        right = i4_at(service.tree, 2 * place + 1).v
        winner = left if _is_ahead(service.leaves, left, right) else right
        node = i4_at(service.tree, place)
        if node.v == winner and winner != k:
            return
        node.v = winner
        place >>= 1


@part
def _load(p: int, s: int, k: int) -> float:
    """Return the load of an instance: its connections, or (connections + 1) / weight."""
    service = service_at(header_at(p, 0).services, s)
    instance = instance_at(header_at(p, 0).instances, service.first + k)
    if service.policy == WEIGHTED_LEAST:
        return (instance.connections + 1) / instance.weight
    return float(instance.connections)


@hot_part
def _unlist(leaves: int, k: int) -> None:
    leaf = leaf_at(leaves, k)
    leaf_at(leaves, leaf.before).after = leaf.after
    leaf_at(leaves, leaf.after).before = leaf.before


@hot_part
def _list_before(leaves: int, k: int, after: int) -> None:
    leaf, following = leaf_at(leaves, k), leaf_at(leaves, after)
    before = following.before
    leaf.before, leaf.after = before, after
    leaf_at(leaves, before).after = k
    following.before = k


@part
def _list(leaves: int, k: int, end: int) -> None:
    """Insert an instance into the ring behind those that changed earlier."""
    leaf, after = leaf_at(leaves, k), end
    while True:
        before = leaf_at(leaves, after).before
        other = leaf_at(leaves, before)
        if (
            before == end
            or other.changed < leaf.changed
            or (other.changed == leaf.changed and before < k)
        ):
            break
        after = before
    _list_before(leaves, k, after)


@hot_part
def set_connections(p: int, s: int, g: int, connections: int) -> None:
    """Set an instance's number of connections, where its place in the pool and room are unchanged."""
    h = header_at(p, 0)
    service = service_at(h.services, s)
    k = g - service.first
    leaves = service.leaves
    instance_at(h.instances, g).connections = connections
    leaf = leaf_at(leaves, k)
    leaf.changed = service.changes
    service.changes += 1
    if service.policy == LEAST and leaf.is_listed:
        _unlist(leaves, k)
        _list_before(leaves, k, service.leaf_count + connections)
        service.lowest = min(service.lowest, connections)
        note_if_tight(p, service.level_cap - connections)


@hot_part
def update(p: int, s: int, k: int, connections: int, in_pool: bool, has_room: bool) -> None:
    """Record that an instance's connections, place in the pool or room changed."""
    h = header_at(p, 0)
    service = service_at(h.services, s)
    may, believed = u1_at(service.may, k), u1_at(service.believed, k)
    ok = 1 if in_pool and has_room else 0
    service.eligible += ok - may.v
    service.in_count += (1 if in_pool else 0) - believed.v
    may.v = ok
    believed.v = 1 if in_pool else 0
    if service.counts:
        leaf = leaf_at(service.leaves, k)
        if connections != instance_at(h.instances, service.first + k).connections:
            set_connections(p, s, service.first + k, connections)
        if service.policy == LEAST:
            if leaf.is_listed and not ok:
                _unlist(service.leaves, k)
                leaf.is_listed = 0
            elif ok and not leaf.is_listed:
                _list(service.leaves, k, service.leaf_count + connections)
                leaf.is_listed = 1
                service.lowest = min(service.lowest, connections)
        elif service.policy == WEIGHTED_LEAST:
            leaf.load = _load(p, s, k) if ok else math.inf
            _replay_matches(p, s, k)


@part
def _may_pick(p: int, s: int, k: int, needs_room: bool) -> bool:
    service = service_at(header_at(p, 0).services, s)
    return u1_at(service.may if needs_room else service.believed, k).v == 1


@hot_part
def _next_in_turn(p: int, s: int, needs_room: bool) -> int:
    """Return the instance whose turn it is; the pool must not be empty."""
    service = service_at(header_at(p, 0).services, s)
    k = service.next
    while True:
        if k >= service.count:
            k = 0
        if _may_pick(p, s, k, needs_room):
            return k
        k += 1


@part
def _round_robin(p: int, s: int, needs_room: bool) -> int:
    service = service_at(header_at(p, 0).services, s)
    if (service.eligible if needs_room else service.in_count) == 0:
        return -1
    k = _next_in_turn(p, s, needs_room)
    service.next = k + 1
    return k


@part
def _weighted_round_robin(p: int, s: int, needs_room: bool) -> int:
    h = header_at(p, 0)
    service = service_at(h.services, s)
    chosen = -1
    total = 0.0
    for k in range(service.count):
        if _may_pick(p, s, k, needs_room):
            instance = instance_at(h.instances, service.first + k)
            instance.credit += instance.weight
            total += instance.weight
            if (
                chosen < 0
                or instance.credit > instance_at(h.instances, service.first + chosen).credit
            ):
                chosen = k
    if chosen >= 0:
        instance_at(h.instances, service.first + chosen).credit -= total
    return chosen


@hot_part
def _least_connections(p: int, s: int, needs_room: bool) -> int:
    h = header_at(p, 0)
    service = service_at(h.services, s)
    if service.policy == LEAST and (needs_room or not service.at_balancer):
        if service.eligible == 0:
            return -1
        leaves, lowest = service.leaves, service.leaf_count + service.lowest
        while leaf_at(leaves, lowest).after == lowest:
            lowest += 1
        service.lowest = lowest - service.leaf_count
        return leaf_at(leaves, lowest).after
    if needs_room or not service.at_balancer:
        winner = i4_at(service.tree, 1).v
        return winner if leaf_at(service.leaves, winner).load < math.inf else -1
    chosen, least, changed = -1, 0.0, 0
    for k in range(service.count):
        if u1_at(service.believed, k).v:
            load, since = _load(p, s, k), leaf_at(service.leaves, k).changed
            if chosen < 0 or load < least or (load == least and since < changed):
                chosen, least, changed = k, load, since
    return chosen


@part
def _pick_by_weight(p: int, s: int, u: float, needs_room: bool, without: int) -> int:
    """Return the instance in whose part of the summed weights the fraction ``u`` lies, −1 for none."""
    h = header_at(p, 0)
    service = service_at(h.services, s)
    if service.is_even and without < 0:
        count = service.eligible if needs_room else service.in_count
        if count == service.count:
            return min(int(u * count), count - 1)
    total = 0.0
    for k in range(service.count):
        if k != without and _may_pick(p, s, k, needs_room):
            total += instance_at(h.instances, service.first + k).weight
    left = u * total
    last = -1
    for k in range(service.count):
        if k != without and _may_pick(p, s, k, needs_room):
            left -= instance_at(h.instances, service.first + k).weight
            last = k
            if left < 0:
                return k
    return last


@part
def _power_of_two(p: int, s: int, picked_by: int, needs_room: bool) -> int:
    h = header_at(p, 0)
    service = service_at(h.services, s)
    if service.in_count == 0:
        return -1
    first = _pick_by_weight(p, s, uniform(service.key, PICK, picked_by), False, -1)
    if service.in_count == 1:
        return first if _may_pick(p, s, first, needs_room) else -1
    second = _pick_by_weight(p, s, uniform(service.key, SECOND_PICK, picked_by), False, first)
    first_may, second_may = _may_pick(p, s, first, needs_room), _may_pick(p, s, second, needs_room)
    if first_may and second_may:
        instance = instance_at(h.instances, service.first + first)
        other = instance_at(h.instances, service.first + second)
        return first if instance.connections <= other.connections else second
    if first_may:
        return first
    if second_may:
        return second
    for step in range(1, service.count):
        k = (first + step) % service.count
        if _may_pick(p, s, k, needs_room):
            return k
    return -1


@part
def _favourite(p: int, s: int, session: int, among_all: bool, needs_room: bool) -> int:
    """Return the instance with the highest score for the session; of equals the first."""
    h = header_at(p, 0)
    service = service_at(h.services, s)
    chosen, best = -1, 0.0
    for k in range(service.count):
        if among_all or _may_pick(p, s, k, needs_room):
            u = uniform_of_two(service.key, AFFINITY, session, k)
            score = -instance_at(h.instances, service.first + k).weight / math.log(u)
            if chosen < 0 or score > best:
                chosen, best = k, score
    return chosen


@part
def _source_hash(p: int, s: int, session: int, needs_room: bool) -> int:
    service = service_at(header_at(p, 0).services, s)
    if service.slow_start > 0:  # weights change
        return _favourite(p, s, session, False, needs_room)
    kept = i4_at(service.favourite, session)
    if kept.v == 0:
        kept.v = _favourite(p, s, session, True, needs_room) + 1
    if _may_pick(p, s, kept.v - 1, needs_room):
        return kept.v - 1
    return _favourite(p, s, session, False, needs_room)


@part
def next_instance(p: int, s: int) -> int:
    """Return the instance that round robin or least connections would pick, without picking it.

    The pool must not be empty.
    """
    service = service_at(header_at(p, 0).services, s)
    if service.policy == ROUND_ROBIN:
        return service.first + _next_in_turn(p, s, True)
    return service.first + _least_connections(p, s, True)


@part
def move_pointer(p: int, s: int, g: int) -> None:
    """Move the round-robin pointer behind the instance that `next_instance` returned."""
    service = service_at(header_at(p, 0).services, s)
    service.next = g - service.first + 1


@hot_part
def pick(p: int, s: int, picked_by: int, session: int, needs_room: bool) -> int:
    """Return the instance that gets the request, numbered over all services; −1 for none."""
    service = service_at(header_at(p, 0).services, s)
    policy = service.policy
    if policy == ROUND_ROBIN:
        k = _round_robin(p, s, needs_room)
    elif policy == LEAST or policy == WEIGHTED_LEAST:
        k = _least_connections(p, s, needs_room)
    elif policy == WEIGHTED_ROUND_ROBIN:
        k = _weighted_round_robin(p, s, needs_room)
    elif policy == RANDOM:
        k = _pick_by_weight(p, s, uniform(service.key, PICK, picked_by), needs_room, -1)
    elif policy == TWO:
        k = _power_of_two(p, s, picked_by, needs_room)
    else:
        k = _source_hash(p, s, session, needs_room)
    return -1 if k < 0 else service.first + k
