"""What a balancer believes of its instances, compiled: `pool` and `health`.

Each function does what the reference's of the same name does, in the same order.
"""

from __future__ import annotations

import math

from simulation.engines.compiled.kernel.build import part
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


@part
def connections(p: int, g: int) -> int:
    """What a balancer counts of an instance: taken slots, its own queue, open connections."""
    instance = instance_at(header_at(p, 0).instances, g)
    return instance.taken + instance.queued + instance.open


@part
def update_policy(p: int, g: int) -> None:
    """Tells the policy, and whoever waits for the instance to be idle."""
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
    """The balancer's belief has changed, or how much of its traffic it gives the instance."""
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
    """It sends to an instance that it was announced to send to, and that is up as far as it knows."""
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
    """Whether a check of an instance has neither been answered nor run out of time."""
    instance = instance_at(header_at(p, 0).instances, g)
    return (instance.check_odd if number & 1 else instance.check_even) == number


@part
def record_check(p: int, g: int, number: int, passed: bool) -> None:
    """A check has been answered, or will not be."""
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
    """A health check comes: it takes its turn, without a slot."""
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
