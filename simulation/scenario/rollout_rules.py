"""Rules across several keys of a rollout: fleet, strategy, and the other services."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from executor.base.errors import BadInput
from executor.base.yaml_positions import NOT_GIVEN
from simulation.scenario.rollout import REPLACING, has_surge
from simulation.scenario.traffic_rules import Broken

if TYPE_CHECKING:
    from simulation.scenario.model import Scenario
    from simulation.scenario.rollout import Rollout

_REQUIRED = {"canary": "canary", "migration": "expand_migrate_contract"}
"""Keys that a strategy requires, with the strategy. Other strategies ignore them."""


def broken_rollout_rules(scenario: Scenario) -> list[Broken]:
    """Return the rules of the rollout that the scenario breaks.

    The services' own rules are checked only when ``rollout.order`` is sound. Without a rollout, the
    rules of a scenario that has none are checked.
    """
    if scenario.rollout is None:
        return list(_steady(scenario))
    broken = list(_order(scenario))
    if not broken:
        for service in scenario.rolled_services():
            broken += _service(scenario, service)
    return broken


def _steady(scenario: Scenario) -> Iterator[Broken]:
    if scenario.clock.horizon is None:
        rule = "must be a duration where there is no rollout whose end could end the run"
        yield ("clock", "horizon"), "auto", rule
    for name, service in scenario.services.items():
        if service.rollout is not None:
            rule = "stands over the keys of rollout, which is left out"
            yield ("services", name, "rollout"), NOT_GIVEN, rule


def _order(scenario: Scenario) -> Iterator[Broken]:
    """Yield services in the order that do not exist, are named twice, or wait for each other."""
    assert scenario.rollout is not None
    order = scenario.rollout.order
    if order is None:
        return
    key = ("rollout", "order")
    named = [*order]
    if isinstance(order, dict):
        named += [name for before in order.values() for name in before]
    elif len(set(order)) < len(order):
        twice = next(name for name in order if order.count(name) > 1)
        yield key, list(order), f"{twice} must be named once"
    if not named:
        yield key, NOT_GIVEN, "names no service; leave it out to roll them all"
    for name in named:
        if name not in scenario.services:
            services = ", ".join(scenario.services)
            yield key, name, f"{name} is no service; there is {services}"
            return
    if isinstance(order, dict):
        # networkx is slow to import, and few scenarios have a graph
        from simulation.scenario.release_graph import cycle_of, release_graph  # noqa: PLC0415

        if cycle := cycle_of(release_graph(scenario.release_order())):
            yield key, NOT_GIVEN, f"must have no cycle: {' → '.join(cycle)}"


def _replacement(rule: Rollout) -> Iterator[tuple[str, object, str]]:
    """Yield the rules that `replacement` breaks with other keys: the key, its value, and the rule."""
    if rule.strategy not in REPLACING:
        if rule.replacement == "beside" and rule.strategy != "blue_green":
            yield "replacement", "beside", f"must be in_place where strategy is {rule.strategy}"
        return
    if rule.replacement == "in_place" and has_surge(rule.surge):
        yield "replacement", "in_place", f"must be beside where there is a surge ({rule.surge})"
    if not rule.replaces_beside:
        return
    reason = "replacement is beside" if rule.replacement else f"there is a surge ({rule.surge})"
    if rule.advance == "batch":
        yield "advance", "batch", f"must be sliding where {reason}"
    if rule.pause > 0:
        yield "pause", f"{rule.pause:g}s", f"must be 0s where {reason}"


def _deadlines(rule: Rollout) -> Iterator[tuple[str, str, str]]:
    for key in ("progress_deadline", "healthy_deadline"):
        deadline_s = getattr(rule, key)
        if deadline_s is not None and deadline_s <= rule.min_ready:
            text = f"must be longer than min_ready ({rule.min_ready:g}s), which it includes"
            yield key, f"{deadline_s:g}s", text


def _service(scenario: Scenario, service: str) -> Iterator[Broken]:
    """Yield the rules that one service's rollout breaks with its fleet and its strategy."""
    rule = scenario.rule(service)
    assert rule is not None
    count = scenario.services[service].instance_count

    def broken(key: str, value: object, text: str) -> Broken:
        is_own = scenario.has_own(service, key)
        where = ("services", service, "rollout", key) if is_own else ("rollout", key)
        suffix = "" if is_own or len(scenario.services) == 1 else f" ({service})"
        return where, value, text + suffix

    for key, count_of in (("window", scenario.window_count), ("surge", scenario.surge_count)):
        try:
            count_of(service)
        except BadInput as error:
            yield broken(key, getattr(rule, key), str(error))
            return
    workload = scenario.services[service].workload
    if (
        workload is not None
        and workload.kind == "StatefulSet"
        and scenario.window_count(service) > 1
    ):
        yield broken("window", rule.window, "must be 1: a StatefulSet replaces one pod at a time")
    for key, strategy in _REQUIRED.items():
        if rule.strategy == strategy and not getattr(rule, key):
            yield broken("strategy", strategy, f"needs rollout.{key}")
    for key, value, text in _replacement(rule):
        yield broken(key, value, text)
    if rule.drain.on_timeout == "wait" and scenario.services[service].balancer.drains_to_timeout:
        where, _, text = broken(
            "drain", "wait", "must be cut or abort with close_connections: never"
        )
        yield (*where, "on_timeout"), "wait", f"{text}, where no drain ends before its timeout"
    keeps_full_fleet = rule.strategy == "blue_green" or (
        rule.replaces_beside and has_surge(rule.surge)
    )
    most = count if keeps_full_fleet else count - 1
    least = scenario.min_healthy_count(service)
    if least > most:
        text = f"must be below the fleet ({count}), else no instance may ever be taken out"
        if most == count:
            text = f"must not exceed the fleet ({count})"
        yield broken("min_healthy", rule.min_healthy, text)
    if rule.strategy == "recreate" and least > 0:
        text = "must be 0 where strategy recreate takes all instances out at once"
        yield broken("min_healthy", rule.min_healthy, text)
    for key, value, text in _deadlines(rule):
        yield broken(key, value, text)
    if rule.strategy == "canary" and count == 1:
        yield broken("strategy", "canary", "needs a fleet of at least 2 instances")
