"""Ways to roll: what a study compares.

Enters: a scenario and what to vary (windows, drain timeouts, starts, advances, surges, pauses,
policies). Leaves: a `Candidate` for every combination, each of which can be put into the scenario.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from executor.base.errors import BadInput
from executor.base.yaml_positions import broken_text
from executor.dialects.kubernetes import resolve, window_count
from simulation.scenario.limit_rules import (
    broken_horizon,
    broken_run_limits,
    refuse_too_many_candidates,
)
from simulation.scenario.model import Scenario
from simulation.scenario.rates import clock_label
from simulation.scenario.rollout import ALL_AT_ONCE, REPLACING, Rollout
from simulation.scenario.rollout_rules import broken_rollout_rules
from simulation.scenario.simulated_interval import expected_run_s


@dataclass(frozen=True)
class Candidate:
    """One way to roll: what is varied in a comparison.

    Attributes:
        window: Instances under way at once, of the first service that is rolled.
        written: The window as it is applied to every service: a percentage where there are several.
        advance: ``sliding`` or ``batch``.
        drain_timeout_s: How long a drain may take.
        start: ``clock.start`` as a file says it.
        start_label: The start as a clock shows it.
        surge: Instances beyond the fleet, as it is applied: a percentage only where there are
            several services.
        pause_s: How long the rollout waits before the next one.
        policy: How the balancers of what is rolled choose an instance; None for as they say
            themselves. A queue that is pulled from stays one.
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

    def apply_to(self, scenario: Scenario) -> Scenario:
        """The scenario with this candidate in the place of what it says itself."""
        clock = scenario.clock.model_copy(update={"start": self.start})
        changed: dict[str, object] = {"clock": clock}
        if self.policy is not None:
            changed["services"] = _balanced_by(scenario, self.policy)
        if scenario.rollout is not None:
            drain = scenario.rollout.drain.model_copy(update={"timeout": self.drain_timeout_s})
            varied = {
                "window": self.written,
                "advance": self.advance,
                "surge": self.surge,
                "pause": self.pause_s,
                "drain": drain,
            }
            changed["rollout"] = scenario.rollout.model_copy(update=varied)
        return scenario.model_copy(update=changed)


def candidates_of(
    scenario: Scenario,
    windows: Sequence[int | str] = (),
    drain_timeouts_s: Sequence[float] = (),
    starts: Sequence[float | str] = (),
    advances: Sequence[str] = (),
    *,
    surges: Sequence[int | str] = (),
    pauses_s: Sequence[float] = (),
    policies: Sequence[str] = (),
) -> tuple[Candidate, ...]:
    """Every combination; what is left empty is as the scenario says.

    Raises:
        BadInput: A window or a surge does not fit the fleet, a start does not fit the traffic, a
            policy has nothing to balance, something of a rollout is to be varied in a scenario
            without one, or there are too many candidates, or too many requests in one's run.
    """
    rule = scenario.rollout
    if rule is None:
        if windows or drain_timeouts_s or advances or surges or pauses_s:
            raise BadInput(f"{scenario.name}: rollout: is missing, there is no window to compare")
        rule = Rollout()
    if surges and not _surging(scenario):
        raise BadInput(
            f"{scenario.name}: rollout.surge: has no meaning without strategy rolling or canary"
        )
    if policies and not _balanced(scenario):
        raise BadInput(f"{scenario.name}: nothing is balanced that is rolled: policy pull")
    refuse_too_many_candidates(
        scenario.name,
        {
            "starts": len(starts),
            "windows": len(windows),
            "surges": len(surges),
            "advances": len(advances),
            "pauses": len(pauses_s),
            "drain timeouts": len(drain_timeouts_s),
            "policies": len(policies),
        },
    )
    found: dict[Candidate, None] = {}
    for start, window, surge, advance, pause_s, timeout_s, policy in itertools.product(
        starts or (scenario.clock.start,),
        windows or (rule.window,),
        surges or (rule.surge,),
        advances or (rule.advance,),
        pauses_s or (rule.pause,),
        drain_timeouts_s or (rule.drain.timeout,),
        policies or (None,),
    ):
        one = Candidate(
            *_window_as_applied(scenario, window),
            advance,
            timeout_s,
            start,
            _start_label(scenario, start),
            _surge_as_applied(scenario, surge),
            pause_s,
            policy,
        )
        if one not in found:
            _must_hold(one.apply_to(scenario))
            found[one] = None
    slowest = max(found, key=lambda one: (_expected_s(scenario, one), one.drain_timeout_s))
    applied = slowest.apply_to(scenario)
    for key, value, said in (*broken_run_limits(applied), *broken_horizon(applied)):
        raise BadInput(f"{scenario.name}: {broken_text(key, value, said)}")
    return tuple(found)


def _expected_s(scenario: Scenario, candidate: Candidate) -> float:
    """How long a run of the candidate is expected to last from its start on."""
    return expected_run_s(candidate.apply_to(scenario))[1]


def _balanced(scenario: Scenario) -> tuple[str, ...]:
    """The services whose policy may be another: of those that are rolled, where somebody sends."""
    names = scenario.rolled_services() or tuple(scenario.services)
    return tuple(name for name in names if scenario.services[name].balancer.policy != "pull")


def _balanced_by(scenario: Scenario, policy: str) -> dict[str, object]:
    services: dict[str, object] = dict(scenario.services)
    for name in _balanced(scenario):
        service = scenario.services[name]
        balancer = service.balancer.model_copy(update={"policy": policy})
        services[name] = service.model_copy(update={"balancer": balancer})
    return services


def _window_as_applied(scenario: Scenario, window: int | str) -> tuple[int, int | str]:
    """The window's count at the first service, and how it is said to all of them.

    It must fit every service that has none of its own.
    """
    if scenario.rollout is None:
        count = window_count(window, scenario.service.instance_count)
        return count, count
    rule = scenario.rollout.model_copy(update={"window": window})
    asked = scenario.model_copy(update={"rollout": rule})
    counts = {name: asked.window_count(name) for name in asked.rolled_services()}
    count = counts[scenario.service_name]
    return count, window if len(counts) > 1 else count


def _surge_as_applied(scenario: Scenario, surge: int | str) -> int | str:
    if len(scenario.rolled_services()) > 1:
        return surge
    return resolve(surge, 1, scenario.service.instance_count)[0]


def _surging(scenario: Scenario) -> tuple[str, ...]:
    """The services of which there may be more than the fleet, by the common key."""
    return tuple(
        name
        for name in scenario.rolled_services()
        if not scenario.has_own(name, "surge") and _strategy(scenario, name) in REPLACING
    )


def _must_hold(candidate: Scenario) -> None:
    """Refuses a combination that breaks a rule, such as a fleet that must stay whole."""
    for key, value, said in broken_rollout_rules(candidate) if candidate.rollout else ():
        raise BadInput(f"{candidate.name}: {broken_text(key, value, said)}")


def default_windows(scenario: Scenario) -> tuple[int, ...]:
    """Windows worth comparing: powers of two up to half the smallest fleet, and the scenario's own.

    Where the strategy has no window, or every service has its own, there is nothing to vary.
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
    """Whether another window would change how a service is rolled.

    It would not where the minimum leaves no instance to be missing, and only the surge moves; a
    StatefulSet replaces one pod at a time whatever is asked.
    """
    rule, part = scenario.rule(service), scenario.services[service]
    if part.workload is not None and part.workload.kind == "StatefulSet":
        return False
    return rule is None or rule.min_healthy < part.instance_count


def _strategy(scenario: Scenario, service: str) -> str | None:
    rule = scenario.rule(service)
    return None if rule is None else rule.strategy


def _start_label(scenario: Scenario, start: float | str) -> str:
    moved = scenario.model_copy(
        update={"clock": scenario.clock.model_copy(update={"start": start})}
    )
    try:
        return clock_label(moved.start_s(), scenario.rates().first_row)
    except ValueError as error:
        raise BadInput(f"{scenario.name}: clock.start: {start}: {error}") from None
