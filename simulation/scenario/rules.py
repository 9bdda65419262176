"""Rules across the keys of a scenario."""

from __future__ import annotations

from simulation.scenario.limit_rules import broken_limits, broken_run_limits
from simulation.scenario.model import Scenario
from simulation.scenario.rollout_rules import broken_rollout_rules
from simulation.scenario.traffic_rules import Broken, broken_traffic_rules


def broken_rules(scenario: Scenario) -> list[Broken]:
    """Limits, and rules across keys, that the scenario breaks: where, the value, and the rule."""
    broken = broken_limits(scenario) or broken_traffic_rules(scenario)
    if broken:
        return broken
    try:
        scenario.start_s()
    except ValueError as error:
        broken.append((("clock", "start"), scenario.clock.start, str(error)))
    for service, part in scenario.services.items():
        names = part.instance_names(service)
        for name, weight in part.balancer.weights.items():
            if name not in names:
                key = ("services", service, "balancer", "weights", name)
                broken.append((key, weight, f"is no instance; they are {names[0]} … {names[-1]}"))
    broken += broken_rollout_rules(scenario)
    return broken or list(broken_run_limits(scenario))
