"""Rules across several keys of the traffic: arrivals, and the route of each class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from executor.base.yaml_positions import NOT_GIVEN
from simulation.scenario.inputs.days import weekday_start
from simulation.scenario.inputs.retries import Reconnects
from simulation.scenario.traffic import DaysRate, RequestClass, TimestampsRate

if TYPE_CHECKING:
    from simulation.scenario.model import Scenario

Broken = tuple[tuple[str, ...], object, str]
"""A broken rule: the key, its value, and the rule."""


def broken_traffic_rules(scenario: Scenario) -> list[Broken]:
    """Return every rule of the traffic that the scenario breaks."""
    broken = list(_arrivals(scenario))
    for name, kind in scenario.traffic.classes.items():
        broken += _class(scenario, name, kind)
    return broken


def _arrivals(scenario: Scenario) -> Iterator[Broken]:
    """Yield the keys that the kind of arrivals requires and that are missing.

    Keys that only other kinds of arrivals require are ignored.
    """
    traffic = scenario.traffic
    closed = traffic.arrivals == "closed"
    if not closed and traffic.rate is None:
        yield ("traffic", "rate"), NOT_GIVEN, "is missing; only closed arrivals do without"
    if closed and traffic.clients is None:
        rule = "is missing; closed arrivals need {count, think_time}"
        yield ("traffic", "clients"), NOT_GIVEN, rule
    if traffic.arrivals == "replay" and not isinstance(traffic.rate, TimestampsRate):
        yield ("traffic", "arrivals"), traffic.arrivals, "needs timestamps as its rate"
    if traffic.arrivals == "replay" and traffic.uncertain > 0:
        rule = "must be 0 with arrivals: replay, which has no rate to multiply"
        yield ("traffic", "uncertain"), f"{100 * traffic.uncertain:g}%", rule
    if traffic.growth is not None and traffic.arrivals in ("replay", "closed"):
        rule = f"must be left out with arrivals: {traffic.arrivals}, which has no rate to multiply"
        yield ("traffic", "growth"), traffic.growth, rule
    is_drawn = weekday_start(scenario.clock.start) is not None or isinstance(traffic.rate, DaysRate)
    if is_drawn and traffic.arrivals == "replay":
        rule = "must be a date with arrivals: replay, which repeats the requests of one day"
        yield ("clock", "start"), scenario.clock.start, rule
    if is_drawn and traffic.arrivals != "closed" and traffic.uncertain > 0:
        rule = "must be 0 with a start on a weekday: the days that are drawn differ by themselves"
        yield ("traffic", "uncertain"), f"{100 * traffic.uncertain:g}%", rule


def _class(scenario: Scenario, name: str, kind: RequestClass) -> Iterator[Broken]:
    """Yield the rules that a class of requests breaks."""
    where = ("traffic", "classes", name)
    services = ", ".join(scenario.services)
    if not kind.route and len(scenario.services) > 1:
        rule = f"is missing; it names the services that are called, of {services}"
        yield (*where, "route"), NOT_GIVEN, rule
        return
    route = scenario.route_of(kind)
    for service in route:
        if service not in scenario.services:
            yield (*where, "route"), service, f"is no service; there is {services}"
            return
    if len(set(route)) < len(route):
        yield (*where, "route"), route, "must not name a service twice"
    for service in kind.service_time:
        if service not in scenario.services:
            yield (
                (*where, "service_time", service),
                NOT_GIVEN,
                f"is no service; there is {services}",
            )
        elif service not in route:
            rule = f"is not on the route of {name}: {', '.join(route)}"
            yield (*where, "service_time", service), NOT_GIVEN, rule
    if kind.reconnects is not None and kind.holds_slot:
        rule = "needs holds_slot: false, only a long-lived connection reconnects"
        is_short = kind.reconnects == Reconnects()
        yield (*where, "reconnects"), True if is_short else NOT_GIVEN, rule
    if not kind.holds_slot and len(route) > 1:
        yield (*where, "route"), route, "must be one service, to which the connection is open"
