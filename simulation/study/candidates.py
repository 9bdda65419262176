"""Candidates: ways to roll that a study compares.

`simulation.study.case` puts each candidate into the scenario.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from simulation.scenario.limit_rules import expected_requests
from simulation.scenario.model import Scenario
from simulation.scenario.rollout import ALL_AT_ONCE, REPLACING
from simulation.scenario.simulated_interval import SETTLING_S, expected_run_s


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


def may_surge(scenario: Scenario) -> bool:
    """Return whether the tool that rolls the scenario's fleet can add instances beyond it.

    It can where the rollout replaces instances beside the old ones already, and where the fleet is a
    Deployment or an Argo Rollout. Hosts that are updated in place have no other to start, and a
    StatefulSet has none either. Several services have no surge in common.
    """
    if len(scenario.rolled_services()) != 1 or not surging_services(scenario):
        return False
    name = scenario.service_name
    rule, workload = scenario.rule(name), scenario.services[name].workload
    assert rule is not None
    if workload is not None and workload.kind == "StatefulSet":
        return False
    return rule.replaces_beside or (workload is not None and rule.replacement is None)


class WhyLeftOut(StrEnum):
    """The reason why a window is not compared unless it is asked for."""

    DURATION = "duration"
    COST = "cost"


@dataclass(frozen=True)
class LeftOutWindow:
    """A window that would suit the fleet, and is not compared unless it is asked for.

    Attributes:
        window: The window.
        expected_s: How long its rollout takes if every step takes its mean, in seconds.
        reason: Why it is left out.
    """

    window: int
    expected_s: float
    reason: WhyLeftOut


@dataclass(frozen=True)
class DefaultWindows:
    """The windows that are worth comparing.

    Attributes:
        windows: The windows, ascending.
        left_out: The windows that were left out because of their durations, ascending.
    """

    windows: tuple[int, ...]
    left_out: tuple[LeftOutWindow, ...] = ()


_BEYOND_LIMIT = 2.0
"""A window cannot meet the objective of a duration if its expected rollout takes so many times the limit."""

CHEAP_REQUESTS_COUNT = 20_000_000
"""Expected number of requests in a run, about a second of the compiled engine, below which a run is never
left out because of its cost."""


def default_windows(scenario: Scenario) -> DefaultWindows:
    """Return the windows worth comparing: powers of two up to half the smallest fleet, and its own.

    A window is left out if it cannot meet the objective of a duration, or if it adds more to the
    study's cost than all others cost together: each candidate is observed as long as the slowest.
    The scenario's own window always stays. Where the strategy has no window, or every service has
    its own, only the scenario's own window is returned.
    """
    varied = [
        name
        for name in scenario.rolled_services()
        if not scenario.has_own(name, "window") and _strategy(scenario, name) not in ALL_AT_ONCE
    ]
    if not varied or not any(_may_vary(scenario, name) for name in varied):
        return DefaultWindows((scenario.window_count(),))
    smallest = min(scenario.services[name].instance_count for name in varied)
    powers = {1 << k for k in range(smallest.bit_length()) if 1 << k <= max(1, smallest // 2)}
    own_window = min(scenario.window_count(name) for name in varied)
    return _without_hopeless(scenario, sorted(powers | {own_window}), own_window)


def _without_hopeless(
    scenario: Scenario, windows: Sequence[int], own_window: int
) -> DefaultWindows:
    assert scenario.rollout is not None
    expected_s, costs = dict[int, float](), dict[int, float]()
    for window in windows:
        rule = scenario.rollout.model_copy(update={"window": window})
        candidate = scenario.model_copy(update={"rollout": rule})
        warm_up_s, run_s = expected_run_s(candidate)
        expected_s[window] = run_s - SETTLING_S
        costs[window] = expected_requests(candidate, warm_up_s, run_s)
    limit_s = scenario.objectives.duration
    kept, left_out = set(windows), dict[int, WhyLeftOut]()
    for window in sorted(kept - {own_window}, key=costs.__getitem__, reverse=True):
        next_cost = max((costs[other] for other in kept - {window}), default=math.inf)
        if limit_s is not None and expected_s[window] > _BEYOND_LIMIT * limit_s:
            left_out[window] = WhyLeftOut.DURATION
        elif costs[window] > CHEAP_REQUESTS_COUNT and (
            len(kept) * costs[window] > 2 * (len(kept) - 1) * next_cost
        ):
            left_out[window] = WhyLeftOut.COST
        kept -= left_out.keys()
    return DefaultWindows(
        tuple(sorted(kept)),
        tuple(
            LeftOutWindow(window, expected_s[window], reason)
            for window, reason in sorted(left_out.items())
        ),
    )


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
