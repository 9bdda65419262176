"""A balancer's belief about its instances, compiled: `pool` and `health` of the reference engine.

Each function does the same as the reference's function of that name, in the same order.
"""

from __future__ import annotations

import math

from simulation.engines.compiled.kernel.build import hot_part, part
from simulation.engines.compiled.kernel.memory import (
    HEALTHY,
    IDLE,
    RAMP,
    header_at,
    instance_at,
    service_at,
)
from simulation.engines.compiled.kernel.policies import update
from simulation.engines.compiled.kernel.queues import append_own, on_freed, signal
from simulation.requests.belief import LEAST_SHARE


@hot_part
def connections(p: int, g: int) -> int:
    """Return the connections of an instance: its taken slots, its queue and its open connections.

    Where connections are balanced, the balancer does not see the requests on them.
    """
    h = header_at(p, 0)
    instance = instance_at(h.instances, g)
    if service_at(h.services, instance.service).shared_count > 0:
        return instance.shared_open + (instance.taken - instance.at_work) + instance.open
    return instance.taken + instance.queued + instance.open


@hot_part
def update_policy(p: int, g: int) -> None:
    """Pass the state of an instance to the policy; signal `IDLE` if control waits for this."""
    h = header_at(p, 0)
    instance = instance_at(h.instances, g)
    s = instance.service
    service = service_at(h.services, s)
    has_room = instance.taken < instance.limit if service.at_balancer else True
    update(p, s, g - service.first, connections(p, g), instance.is_believed == 1, has_room)
    if instance.watch_idle and instance.at_work + instance.queued + instance.open == 0:
        instance.watch_idle = 0
        h.watch_count -= 1
        signal(p, IDLE, g)


@part
def apply_belief(p: int, g: int, share: float) -> None:
    """Apply a change of the believed pool, or of an instance's share during its slow start."""
    h = header_at(p, 0)
    instance = instance_at(h.instances, g)
    service = service_at(h.services, instance.service)
    if share != 1.0 or service.slow_start > 0:
        instance.weight = instance.base_weight * share
        if service.at_balancer:
            instance.limit = max(1, math.ceil(instance.slots * share))
    on_freed(p, g)
    update_policy(p, g)


@part
def update_belief(p: int, g: int) -> None:
    """Update whether the balancer sends to an instance: it must be announced and be up."""
    h = header_at(p, 0)
    instance = instance_at(h.instances, g)
    service = service_at(h.services, instance.service)
    believed = 1 if instance.announced and instance.is_up else 0
    if believed == instance.is_believed:
        return
    instance.is_believed = believed
    service.believed_count += 1 if believed else -1
    instance.ramp += 1
    if believed and service.slow_start > 0:
        signal(p, RAMP, g)
        apply_belief(p, g, LEAST_SHARE)
    else:
        apply_belief(p, g, 1.0)


@part
def is_check_open(p: int, g: int, number: int) -> bool:
    """Return whether a health check has neither an answer nor timed out.

    At most two checks of an instance are open, with consecutive numbers: one field holds the even
    number, the other the odd one.
    """
    instance = instance_at(header_at(p, 0).instances, g)
    return (instance.check_odd if number & 1 else instance.check_even) == number


@part
def record_check(p: int, g: int, number: int, passed: bool) -> None:
    """Record the result of a check: it passed, or it failed or timed out."""
    h = header_at(p, 0)
    instance = instance_at(h.instances, g)
    service = service_at(h.services, instance.service)
    if number & 1:
        instance.check_odd = -1
    else:
        instance.check_even = -1
    instance.passed = instance.passed + 1 if passed else 0
    if passed == (instance.is_up == 1):
        instance.contrary = 0
    else:
        instance.contrary += 1
        if instance.contrary >= (service.rise if passed else service.fall):
            instance.contrary = 0
            instance.is_up = 1 if passed else 0
            update_belief(p, g)
    if instance.watch_healthy and instance.is_up and instance.passed >= service.rise:
        instance.watch_healthy = 0
        header_at(p, 0).watch_count -= 1
        signal(p, HEALTHY, g)


@part
def receive_check(p: int, g: int, number: int) -> None:
    """Answer a health check now, or put it into the queue of a busy instance."""
    h = header_at(p, 0)
    instance = instance_at(h.instances, g)
    if number & 1:
        instance.check_odd = number
    else:
        instance.check_even = number
    if not instance.listening:
        record_check(p, g, number, False)
    elif instance.head >= 0 or instance.taken >= instance.slots:
        append_own(p, g, -1, number)
    else:
        record_check(p, g, number, True)
