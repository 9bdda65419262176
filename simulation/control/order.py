"""The order in which a strategy rolls its instances, and the waves that they form."""

from __future__ import annotations

from collections.abc import Sequence

from executor.plan.model import Gate, Wave
from executor.plan.waves import canary_waves, waves_for
from simulation.requests.draws import Draws
from simulation.scenario.model import Scenario
from simulation.scenario.rollout import Rollout


def rolling_order(scenario: Scenario, service: str) -> list[int]:
    """Return the instances in the order in which they are rolled, the same in every replication."""
    part, rule = scenario.services[service], scenario.rule(service)
    numbers = list(range(part.instance_count))
    if rule is not None and rule.instance_order == "random":
        draws, first = Draws(scenario.seed, 0), scenario.first_number(service)
        numbers.sort(key=lambda instance: draws.uniform("order", first + instance))
    if rule is not None and rule.instance_order == "reverse":
        numbers.reverse()
    if rule is not None and rule.instance_order == "by_zone":
        zones = part.zone_of()
        numbers.sort(key=lambda instance: zones.index(zones[instance]))
    return numbers


def waves_of(rule: Rollout, window: int, names: Sequence[str]) -> tuple[Wave, ...]:
    """Return the waves of a rolling or canary rollout; simulation and plan use the same ones."""
    if rule.strategy != "canary":
        return waves_for(names, window, rule.advance, rule.pause)
    steps = [
        (
            step.share,
            Gate(
                kind="bake",
                pause_s=step.bake,
                error_fraction=step.error_fraction,
                latency_p99_s=step.latency_p99,
            ),
        )
        for step in rule.canary
    ]
    return canary_waves(names, steps, window=window, advance=rule.advance, pause_s=rule.pause)
