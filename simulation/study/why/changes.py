"""Changes of a scenario: other values at its keys, other objectives, or no rollout."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from executor.base.errors import BadInput
from executor.base.yaml_positions import broken_text
from simulation.scenario.inputs.objectives import Objectives
from simulation.scenario.model import Scenario
from simulation.scenario.rules import broken_rules
from simulation.study.why.diagnosis import Values

_HOW_JUDGED = frozenset({"in_runs", "confidence", "margin", "judge", "over"})
"""Keys of `objectives` that limit nothing: they say how the others are judged."""


def with_values(scenario: Scenario, values: Values) -> Scenario:
    """Return the scenario with other values at some keys, checked by every rule of a file.

    Raises:
        BadInput: The values break a rule.
    """
    data = scenario.as_data()
    for key, value in values.items():
        *parents, last = key.split(".")
        node: dict[str, Any] = data
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    try:
        changed = Scenario.model_validate(data)
    except ValidationError as error:
        raise BadInput(f"{scenario.name}: {error.errors()[0]['msg']}") from None
    for path, value, rule in broken_rules(changed):
        raise BadInput(f"{scenario.name}: {broken_text(path, value, rule)}")
    return changed


def without_rollout(scenario: Scenario, lasts_s: float) -> Scenario:
    """Return the scenario without its rollout, observed for a time from its start, on the same draws.

    Args:
        scenario: A scenario with a rollout.
        lasts_s: For how long, in seconds.
    """
    services = {
        name: service.model_copy(update={"rollout": None})
        for name, service in scenario.services.items()
    }
    clock = scenario.clock.model_copy(update={"horizon": lasts_s})
    return scenario.model_copy(update={"rollout": None, "services": services, "clock": clock})


def limited_objectives(scenario: Scenario) -> tuple[str, ...]:
    """Return the names of the objectives that have a limit."""
    objectives, unlimited = scenario.objectives, Objectives()
    return tuple(
        name
        for name in Objectives.model_fields
        if name not in _HOW_JUDGED and getattr(objectives, name) != getattr(unlimited, name)
    )


def with_objectives(scenario: Scenario, names: tuple[str, ...]) -> Scenario:
    """Return the scenario with some of its objectives only."""
    unlimited = Objectives()
    left_out = {
        name: getattr(unlimited, name) for name in limited_objectives(scenario) if name not in names
    }
    return scenario.model_copy(
        update={"objectives": scenario.objectives.model_copy(update=left_out)}
    )
