"""Candidates: ways to roll that a study compares.

`simulation.study.case` puts each candidate into the scenario.
"""

from __future__ import annotations

from dataclasses import dataclass

from simulation.scenario.model import Scenario
from simulation.scenario.rollout import ALL_AT_ONCE, REPLACING


@dataclass(frozen=True)
class Candidate:
    """One way to roll: the values that a comparison varies.

    Attributes:
        window: Maximum number of instances under way at once, of the first service that is rolled.
        written: The window as it is applied to every service: a percentage where there are several.
        advance: ``sliding`` or ``batch``.
        drain_timeout_s: How long a drain may take.
        start: ``clock.start`` as a file says it.
        start_label: The start as a clock shows it.
        surge: Instances beyond the fleet, as it is applied: a percentage only where there are
            several services.
        pause_s: How long the rollout waits before the next instance.
        policy: How the balancers of the services that are rolled choose an instance; None for each
            balancer's own policy. A queue that is pulled from keeps ``pull``.
    """

    window: int
    written: int | str
    advance: str
    drain_timeout_s: float
    start: float | str
    start_label: str
    surge: int | str = 0
    pause_s: float = 0.0
    policy: str | None = None


def surging_services(scenario: Scenario) -> tuple[str, ...]:
    """Return the services that the common key ``rollout.surge`` lets grow beyond their fleet."""
    return tuple(
        name
        for name in scenario.rolled_services()
        if not scenario.has_own(name, "surge") and _strategy(scenario, name) in REPLACING
    )


def default_windows(scenario: Scenario) -> tuple[int, ...]:
    """Return the windows worth comparing: powers of two up to half the smallest fleet, and its own.

    Where the strategy has no window, or every service has its own, only the scenario's own window
    is returned.
    """
    varied = [
        name
        for name in scenario.rolled_services()
        if not scenario.has_own(name, "window") and _strategy(scenario, name) not in ALL_AT_ONCE
    ]
    if not varied or not any(_may_vary(scenario, name) for name in varied):
        return (scenario.window_count(),)
    smallest = min(scenario.services[name].instance_count for name in varied)
    powers = {1 << k for k in range(smallest.bit_length()) if 1 << k <= max(1, smallest // 2)}
    return tuple(sorted(powers | {min(scenario.window_count(name) for name in varied)}))


def _may_vary(scenario: Scenario, service: str) -> bool:
    """Return whether another window would change how a service is rolled.

    Another window changes nothing where the minimum in the pool leaves no instance to be missing,
    because then only the surge moves the rollout on, nor for a StatefulSet, which replaces one pod
    at a time whatever its window is.
    """
    rule, part = scenario.rule(service), scenario.services[service]
    if part.workload is not None and part.workload.kind == "StatefulSet":
        return False
    return rule is None or scenario.min_healthy_count(service) < part.instance_count


def _strategy(scenario: Scenario, service: str) -> str | None:
    rule = scenario.rule(service)
    return None if rule is None else rule.strategy
