"""Rules of the objectives on requests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from simulation.scenario.traffic_rules import Broken
from simulation.scenario.units import format_duration

if TYPE_CHECKING:
    from simulation.scenario.model import Scenario

_SHORTEST_STRETCH_S = 1.0
"""Minimum length of the stretches of `objectives.over`, in seconds."""


def broken_objective_rules(scenario: Scenario) -> Iterator[Broken]:
    """Yield the rules that the objectives on requests break."""
    objectives, classes = scenario.objectives, scenario.traffic.classes
    if objectives.over is not None and objectives.over < _SHORTEST_STRETCH_S:
        rule = f"must be at least {format_duration(_SHORTEST_STRETCH_S)}"
        yield ("objectives", "over"), format_duration(objectives.over), rule
    for name, limits in objectives.classes.items():
        key = ("objectives", "classes", name)
        if name not in classes:
            yield key, name, f"is no class of the traffic; they are {', '.join(classes)}"
        elif limits.latency_p99 is not None and not classes[name].holds_slot:
            rule = f"{name} has no latency: it has long-lived connections (holds_slot is false)"
            yield (*key, "latency_p99"), format_duration(limits.latency_p99), rule
