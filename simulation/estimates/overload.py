"""Endless overload: more requests arrive than a whole fleet can serve, and that does not end.

The queue then grows for as long as the simulation lasts, so that each figure states the length of the
simulation. Such a scenario is named and not simulated, unless `clock.horizon` sets the length.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from simulation.scenario.model import Scenario, Service
from simulation.scenario.simulated_interval import SETTLING_S, expected_run_s


class OverloadedFleet(StrEnum):
    """The fleet that cannot carry the load."""

    ANY = "any"
    """The whole fleet, with the old version and with the new one."""
    NEW = "new"
    """The whole fleet on the new version; the old version can carry the load."""


@dataclass(frozen=True)
class EndlessOverload:
    """A load that a service can never carry.

    Attributes:
        fleet: The fleet that cannot carry the load.
        service: The service; of several, the one with the highest load.
        offered_rps: The lowest rate of requests that take a slot there; retries are not counted.
        capacity_rps: The highest rate at which the whole fleet serves them, in requests per second.
    """

    fleet: OverloadedFleet
    service: str
    offered_rps: float
    capacity_rps: float


def find_endless_overload(scenario: Scenario) -> EndlessOverload | None:
    """Return the load that a scenario's fleet can never carry, or None.

    A fleet is overloaded for ever when the lowest rate from the middle of the expected rollout until
    the end of the known traffic is above what all of its instances serve, warm and in the pool. A peak
    that passes is none, and a trace must be above from the start on, because it ends. Closed traffic
    cannot overload a fleet for ever: its clients wait for their answers.

    Where the queue cannot grow for ever, because clients leave or the queue has a limit, the fleet
    serves what it can: this counts only if so many requests are lost that the objectives cannot be met.
    A new version that is too slow counts unless guards or the checks of a canary may stop its rollout.
    A scenario with `clock.horizon` has an end, and is simulated as it is.
    """
    if scenario.traffic.arrivals == "closed" or scenario.clock.horizon is not None:
        return None
    lowest_rps = _lowest_lasting_rps(scenario)
    if lowest_rps <= 0:
        return None
    before = {
        name: service.versions.old.service_factor for name, service in scenario.services.items()
    }
    rolled = scenario.rolled_services()
    after = before | {name: scenario.services[name].versions.new.service_factor for name in rolled}
    loads = {
        name: lowest_rps * _share_of_slots_s(scenario, name, after) for name in scenario.services
    }
    service = max(loads, key=loads.__getitem__)
    load, load_before = loads[service], lowest_rps * _share_of_slots_s(scenario, service, before)
    if load <= 1:
        return None
    is_any = load_before > 1
    if is_any and _may_meet_objectives(scenario, service, 1 - 1 / min(load, load_before)):
        return None
    if not is_any and any(_may_be_stopped(scenario, name) for name in rolled):
        return None
    offered_rps = lowest_rps * _slot_share(scenario, service)
    return EndlessOverload(
        fleet=OverloadedFleet.ANY if is_any else OverloadedFleet.NEW,
        service=service,
        offered_rps=offered_rps,
        capacity_rps=offered_rps / (min(load, load_before) if is_any else load),
    )


def overload_text(overload: EndlessOverload) -> str:
    """Return the overload as a sentence without its full stop."""
    version = " on the new version" if overload.fleet is OverloadedFleet.NEW else ""
    return (
        f"endless overload: {overload.offered_rps:.4g} requests/s come to {overload.service} and "
        f"the whole fleet{version} serves at most {overload.capacity_rps:.4g}/s; the queue would grow "
        "for ever, so nothing is simulated (clock.horizon would set an end)"
    )


def _may_meet_objectives(scenario: Scenario, service: str, lost_fraction: float) -> bool:
    """Return whether a fleet that loses the rest of its load may still do what is asked of it."""
    rule = scenario.services[service].balancer
    has_limit = rule.queue_limit is not None or rule.queue_timeout is not None
    clients_leave = all(
        kind.client_timeout is not None
        for kind in scenario.traffic.classes.values()
        if kind.holds_slot and service in scenario.route_of(kind)
    )
    limit = scenario.objectives.error_fraction
    return (has_limit or clients_leave) and (limit is None or lost_fraction <= limit)


def _lowest_lasting_rps(scenario: Scenario) -> float:
    """Return the lowest rate from the middle of the rollout on; 0 where no rate lasts.

    Where each replication draws a day, this is the lowest rate of all days; 0 with a factor on their
    mean, which has no lower limit.
    """
    rates, start_s, days = scenario.rates(), scenario.start_s(), scenario.drawn_days()
    if days is not None:
        if days.spread > 0:
            return 0.0
        rates = days.quantile(0.0).multiply(scenario.traffic.growth_factor)
    from_s = start_s
    if scenario.rollout is not None and not rates.ends:
        _warm_up_s, end_s = expected_run_s(scenario)
        from_s += (end_s - SETTLING_S) / 2
    lasting = rates.rates_rps[rates.edges_s[1:] > from_s]
    known = lasting[: int(np.argmax(np.isnan(lasting)))] if np.isnan(lasting).any() else lasting
    return float(np.min(known)) if len(known) else 0.0


def _slot_share(scenario: Scenario, name: str) -> float:
    """Return the share of all requests that takes a slot at a service."""
    classes = zip(scenario.traffic.classes.values(), scenario.traffic.shares(), strict=True)
    return math.fsum(
        share for kind, share in classes if kind.holds_slot and name in scenario.route_of(kind)
    )


def _share_of_slots_s(scenario: Scenario, name: str, factors: Mapping[str, float]) -> float:
    """Return for how long a mean request takes the whole fleet of a service, in seconds.

    A slot is held while the services further down the route work, without their queues.

    Args:
        scenario: The scenario.
        name: The service.
        factors: The service factor of each service's version.
    """
    classes = zip(
        scenario.traffic.classes.values(),
        scenario.traffic.shares(),
        scenario.demands(),
        strict=True,
    )
    power, slots = (
        math.fsum(scenario.services[name].power()),
        sum(scenario.services[name].slots_of()),
    )
    total_s = 0.0
    for kind, share, demands in classes:
        route = scenario.route_of(kind)
        if not kind.holds_slot or name not in route:
            continue
        place = route.index(name)
        own_s, *further_s = [
            float(demand.mean_s()) * factors[called]
            for called, demand in zip(route[place:], demands[place:], strict=True)
        ]
        speeds = [_mean_speed(scenario.services[called]) for called in route[place + 1 :]]
        held_s = math.fsum(time_s / speed for time_s, speed in zip(further_s, speeds, strict=True))
        total_s += share * (own_s / power + held_s / slots)
    return total_s


def _mean_speed(service: Service) -> float:
    return math.fsum(service.power()) / sum(service.slots_of())


def _may_be_stopped(scenario: Scenario, name: str) -> bool:
    """Return whether guards, or the checks of a canary, may stop the rollout of a service."""
    rule = scenario.rule(name)
    return rule is not None and (
        rule.guards is not None
        or (
            rule.strategy == "canary"
            and any(
                step.error_fraction is not None or step.latency_p99 is not None
                for step in rule.canary
            )
        )
    )
