"""The factors of uncertain inputs, drawn once per replication."""

from __future__ import annotations

from simulation.requests.arrivals import purpose_stream
from simulation.scenario.inputs.uncertainty import multiply_uncertain
from simulation.scenario.model import Scenario


def draw_uncertain(scenario: Scenario, replication: int) -> Scenario:
    """Return the scenario as it is in one replication, each uncertain input multiplied by its factor.

    Each input has a stream of its own, so every candidate gets the same factors, and an input that
    becomes certain changes no other factor.
    """
    return multiply_uncertain(
        scenario,
        lambda number: float(
            purpose_stream(scenario.seed, replication, "uncertainty", number).standard_normal()
        ),
    )
