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
from simulation.engines.compiled.kernel.queues import append_own, freed, signal
from simulation.requests.belief import LEAST_SHARE


@part
def connections(p: int, g: int) -> int:
    """What a balancer counts of an instance: taken slots, its own queue, open connections."""
    one = instance_at(header_at(p, 0).instances, g)
    return one.taken + one.queued + one.open


@part
def tell(p: int, g: int) -> None:
    """Tells the policy, and whoever waits for the instance to be idle."""
    h = header_at(p, 0)
    one = instance_at(h.instances, g)
    s = one.service
    service = service_at(h.services, s)
    has_room = one.taken < one.limit if service.at_balancer else True
    update(p, s, g - service.first, connections(p, g), one.is_believed == 1, has_room)
    if one.watch_idle and one.at_work + one.queued + one.open == 0:
        one.watch_idle = 0
        h.watch_count -= 1
        signal(p, IDLE, g)


@part
def believes(p: int, g: int, share: float) -> None:
    """The balancer's belief has changed, or how much of its traffic it gives the instance."""
    h = header_at(p, 0)
    one = instance_at(h.instances, g)
    service = service_at(h.services, one.service)
    if share != 1.0 or service.slow_start > 0:
        one.weight = one.base_weight * share
        if service.at_balancer:
            one.limit = max(1, math.ceil(one.slots * share))
    freed(p, g)
    tell(p, g)


@part
def update_belief(p: int, g: int) -> None:
    """It sends to an instance that it was told to send to, and that is up as far as it knows."""
    h = header_at(p, 0)
    one = instance_at(h.instances, g)
    service = service_at(h.services, one.service)
    believed = 1 if one.told and one.is_up else 0
    if believed == one.is_believed:
        return
    one.is_believed = believed
    service.believed_count += 1 if believed else -1
    one.ramp += 1
    if believed and service.slow_start > 0:
        signal(p, RAMP, g)
        believes(p, g, LEAST_SHARE)
    else:
        believes(p, g, 1.0)


@part
def is_open(p: int, g: int, number: int) -> bool:
    """Whether a check of an instance has neither been answered nor run out of time."""
    one = instance_at(header_at(p, 0).instances, g)
    return (one.check_odd if number & 1 else one.check_even) == number


@part
def answer(p: int, g: int, number: int, passed: bool) -> None:
    """A check has been answered, or will not be."""
    h = header_at(p, 0)
    one = instance_at(h.instances, g)
    service = service_at(h.services, one.service)
    if number & 1:
        one.check_odd = -1
    else:
        one.check_even = -1
    one.passed = one.passed + 1 if passed else 0
    if passed == (one.is_up == 1):
        one.contrary = 0
    else:
        one.contrary += 1
        if one.contrary >= (service.rise if passed else service.fall):
            one.contrary = 0
            one.is_up = 1 if passed else 0
            update_belief(p, g)
    if one.watch_healthy and one.is_up and one.passed >= service.rise:
        one.watch_healthy = 0
        header_at(p, 0).watch_count -= 1
        signal(p, HEALTHY, g)


@part
def check_begins(p: int, g: int, number: int) -> None:
    """A health check comes: it takes its turn, without a slot."""
    h = header_at(p, 0)
    one = instance_at(h.instances, g)
    if number & 1:
        one.check_odd = number
    else:
        one.check_even = number
    if not one.listening:
        answer(p, g, number, False)
    elif one.head >= 0 or one.taken >= one.slots:
        append_own(p, g, -1, number)
    else:
        answer(p, g, number, True)
