"""The limits of the lab: scenarios that it cannot put up are refused with the key.

A fleet that silently did something else than the scenario says would be worse than none.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from executor.base.errors import Refused
from simulation.planning.make_plan import not_carried_out
from simulation.scenario.balancer import BalancerModel
from simulation.scenario.model import Scenario, Service
from simulation.scenario.rollout import has_surge
from studio.lab.haproxy import BALANCE

HIGHEST_RPS = 400.0
"""Highest rate of requests per second: above it a small machine's own load shows in the latencies."""

MOST_INSTANCES = 32


def refuse_unable(scenario: Scenario) -> None:
    """Refuse a scenario that the lab cannot put up as it is written.

    Raises:
        Refused: The lab cannot; the message names the keys.
    """
    broken = list(_unable(scenario))
    if broken:
        raise Refused(f"the lab cannot put up {scenario.name}: {'; '.join(broken)}")


def _unable(scenario: Scenario) -> Iterator[str]:
    if len(scenario.services) > 1:
        yield f"services ({len(scenario.services)}) must be one"
        return
    traffic = scenario.traffic
    if traffic.arrivals == "closed":
        yield "traffic.arrivals (closed) must be an open loop"
        return
    highest = float(np.nanmax(scenario.rates().rates_rps))
    if highest > HIGHEST_RPS:
        yield f"traffic.rate ({highest:g}/s) must not exceed {HIGHEST_RPS:g}/s"
    if traffic.uncertain > 0:
        yield f"traffic.uncertain ({traffic.uncertain:.0%}) must be 0"
    for name, traffic_class in traffic.classes.items():
        where = f"traffic.classes.{name}"
        if not traffic_class.holds_slot:
            yield f"{where}.holds_slot (false) must be true"
        if traffic_class.retries.attempts > 0:
            yield f"{where}.retries.attempts ({traffic_class.retries.attempts}) must be 0"
    yield from _unable_service(scenario.service)
    rule = scenario.rule(scenario.service_name)
    if rule is not None:
        if rule.strategy not in {"rolling", "canary"}:
            yield f"rollout.strategy ({rule.strategy}) must be rolling or canary"
        if has_surge(rule.surge):
            yield f"rollout.surge ({rule.surge}) must be 0"
        elif rule.replaces_beside:
            yield "rollout.replacement (beside) must be in_place"
        yield from not_carried_out(rule)


def _unable_service(service: Service) -> Iterator[str]:
    count = service.instance_count
    if count > MOST_INSTANCES:
        yield f"instances ({count}) must not exceed {MOST_INSTANCES}"
    if service.uncertain > 0:
        yield f"uncertain ({service.uncertain:.0%}) must be 0"
    if service.steps.uncertain > 0:
        yield f"steps.uncertain ({service.steps.uncertain:.0%}) must be 0"
    for step, work_s in service.steps.shared.in_order():
        if work_s > 0:
            yield f"steps.shared.{step} ({work_s:g} s) must be 0"
    if service.crashes is not None:
        yield "crashes must be none"
    cold = service.versions.new.cold
    if cold.requests is not None:
        yield f"versions.new.cold.requests ({cold.requests:g}) must be left out for decay"
    yield from _unable_balancer(service.balancer)


def _unable_balancer(rule: BalancerModel) -> Iterator[str]:
    if rule.policy not in BALANCE:
        yield f"balancer.policy ({rule.policy}) must be one of {', '.join(BALANCE)}"
    if rule.queue == "balancer" and rule.queue_limit is not None:
        yield f"balancer.queue_limit ({rule.queue_limit}) must be none with queue: balancer"
    if rule.propagation_delay > 0:
        yield f"balancer.propagation_delay ({rule.propagation_delay:g} s) must be 0"
    if rule.return_delay > 0:
        yield f"balancer.return_delay ({rule.return_delay:g} s) must be 0"
    if rule.sticky:
        yield "balancer.sticky (true) must be false"
    if rule.balances_connections:
        yield "balancer.balance (connection) must be request"
    retries = rule.connect_retries
    if retries.attempts > 0 and not retries.redispatch and retries.delay != 1.0:
        yield f"balancer.connect_retries.delay ({retries.delay:g} s) must be 1 s, HAProxy's own"
