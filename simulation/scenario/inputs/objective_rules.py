"""Rules of the objectives on requests."""

from __future__ import annotations

from collections.abc import Iterator

from executor.base.yaml_positions import nearest_hint
from simulation.scenario.inputs.objectives import DEFAULT_MARGIN
from simulation.scenario.model import Scenario
from simulation.scenario.traffic_rules import Broken
from simulation.scenario.units import format_duration

_SHORTEST_STRETCH_S = 1.0
"""Minimum length of the stretches of `objectives.over`, in seconds."""


def broken_objective_rules(scenario: Scenario) -> Iterator[Broken]:
    """Yield the rules that the objectives on requests break."""
    objectives, classes = scenario.objectives, scenario.traffic.classes
    if objectives.over is not None and objectives.over < _SHORTEST_STRETCH_S:
        rule = f"must be at least {format_duration(_SHORTEST_STRETCH_S)}"
        yield ("objectives", "over"), format_duration(objectives.over), rule
    if objectives.judge == "absolute" and objectives.margin != DEFAULT_MARGIN:
        rule = "must not be given with judge: absolute, which compares with nothing"
        yield ("objectives", "margin"), f"{100 * objectives.margin:g}%", rule
    for name, limits in objectives.classes.items():
        key = ("objectives", "classes", name)
        if name not in classes:
            hint = nearest_hint(name, classes)
            yield key, name, f"is no class of the traffic; they are {', '.join(classes)}{hint}"
        elif limits.latency_p99 is not None and not classes[name].holds_slot:
            rule = f"{name} has no latency: it has long-lived connections (holds_slot is false)"
            yield (*key, "latency_p99"), format_duration(limits.latency_p99), rule
