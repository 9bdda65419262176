"""Rules across keys of the traffic: what arrives, and where each class of it goes.

Enters: a scenario that fits its schema. Leaves: where it breaks a rule, the value, and the rule.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from executor.base.yaml_positions import NOT_GIVEN
from simulation.scenario.traffic import RequestClass, TimestampsRate

if TYPE_CHECKING:
    from simulation.scenario.model import Scenario

Broken = tuple[tuple[str, ...], object, str]
"""Where a rule is broken, the value there, and the rule."""


def broken_traffic_rules(scenario: Scenario) -> list[Broken]:
    """Every rule of the traffic that the scenario breaks."""
    broken = list(_arrivals(scenario))
    for kind, one in scenario.traffic.classes.items():
        broken += _class(scenario, kind, one)
    return broken


def _arrivals(scenario: Scenario) -> Iterator[Broken]:
    """What each kind of arrivals needs; what another kind needs may stand there, and waits."""
    traffic = scenario.traffic
    closed = traffic.arrivals == "closed"
    if not closed and traffic.rate is None:
        yield ("traffic", "rate"), NOT_GIVEN, "is missing; only closed arrivals do without"
    if closed and traffic.clients is None:
        rule = "is missing; closed arrivals need {count, think_time}"
        yield ("traffic", "clients"), NOT_GIVEN, rule
    if traffic.arrivals == "replay" and not isinstance(traffic.rate, TimestampsRate):
        yield ("traffic", "arrivals"), traffic.arrivals, "needs timestamps as its rate"


def _class(scenario: Scenario, kind: str, one: RequestClass) -> Iterator[Broken]:
    """Where a class of requests goes."""
    where = ("traffic", "classes", kind)
    there = ", ".join(scenario.services)
    if not one.route and len(scenario.services) > 1:
        rule = f"is missing; it names the services that are called, of {there}"
        yield (*where, "route"), NOT_GIVEN, rule
        return
    route = scenario.route_of(one)
    for service in route:
        if service not in scenario.services:
            yield (*where, "route"), service, f"is no service; there is {there}"
            return
    if len(set(route)) < len(route):
        yield (*where, "route"), route, "must not name a service twice"
    for service in one.service_time:
        if service not in scenario.services:
            yield (*where, "service_time", service), NOT_GIVEN, f"is no service; there is {there}"
        elif service not in route:
            rule = f"is not on the route of {kind}: {', '.join(route)}"
            yield (*where, "service_time", service), NOT_GIVEN, rule
    if one.reconnects and one.holds_slot:
        rule = "needs holds_slot: false, only a long-lived connection reconnects"
        yield (*where, "reconnects"), True, rule
    if not one.holds_slot and len(route) > 1:
        yield (*where, "route"), route, "must be one service, to which the connection is open"
