"""Rules across several keys of a scenario."""

from __future__ import annotations

from simulation.scenario.inputs.objective_rules import broken_objective_rules
from simulation.scenario.limit_rules import broken_limits, broken_run_limits
from simulation.scenario.model import Scenario
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
    broken += broken_rollout_rules(scenario)
    broken += broken_objective_rules(scenario)
    return broken or list(broken_run_limits(scenario))
