"""Rules across several keys of a scenario."""

from __future__ import annotations

from collections.abc import Iterator

from executor.base.yaml_positions import nearest_hint
from simulation.scenario.limit_rules import broken_limits, broken_run_limits
from simulation.scenario.model import DEFAULT_MARGIN, Scenario
from simulation.scenario.rollout_rules import broken_rollout_rules
from simulation.scenario.traffic_rules import Broken, broken_traffic_rules


def broken_rules(scenario: Scenario) -> list[Broken]:
    """Return the limits and rules that the scenario breaks: the key, its value, and the rule."""
    broken = broken_limits(scenario) or broken_traffic_rules(scenario)
    if broken:
        return broken
    try:
        scenario.start_s()
    except ValueError as error:
        broken.append((("clock", "start"), scenario.clock.start, str(error)))
    for service_name, service in scenario.services.items():
        names = service.instance_names(service_name)
        for name, weight in service.balancer.weights.items():
            if name not in names:
                key = ("services", service_name, "balancer", "weights", name)
                broken.append((key, weight, f"is no instance; they are {names[0]} … {names[-1]}"))
    broken += _broken_objective_rules(scenario)
    broken += broken_rollout_rules(scenario)
    return broken or list(broken_run_limits(scenario))


def _broken_objective_rules(scenario: Scenario) -> Iterator[Broken]:
    """Yield the rules that the objectives break."""
    objectives, classes = scenario.objectives, list(scenario.traffic.classes)
    if objectives.judge == "absolute" and objectives.margin != DEFAULT_MARGIN:
        rule = "must not be given with judge: absolute, which compares with nothing"
        yield ("objectives", "margin"), f"{100 * objectives.margin:g}%", rule
    for name, limits in objectives.classes.items():
        if name not in classes:
            hint = nearest_hint(name, classes)
            rule = f"is no class of traffic.classes, which has {', '.join(classes)}{hint}"
            given = limits.model_dump(mode="json", exclude_none=True)
            yield ("objectives", "classes", name), given, rule
