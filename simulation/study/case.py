"""The cases of a study: every combination of what is varied, each with the scenario that is simulated.

A combination that breaks a rule of the scenario is refused here, before anything is simulated.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from executor.base.errors import BadInput
from executor.base.yaml_positions import broken_text
from executor.dialects.kubernetes import resolve, window_count
from simulation.scenario.limit_rules import (
    broken_horizon,
    broken_run_limits,
    refuse_too_many_candidates,
)
from simulation.scenario.model import Scenario
from simulation.scenario.rollout import Rollout
from simulation.scenario.rollout_rules import broken_rollout_rules
from simulation.scenario.simulated_interval import SimulatedInterval, expected_run_s, frame_of
from simulation.study.candidates import Candidate, surging_services


@dataclass(frozen=True)
class Case:
    """A candidate and its scenario: the unit that a study simulates and judges.

    Two cases are equal when their candidates are, so cases are compared within one study only.

    Attributes:
        candidate: What is varied, with its values.
        scenario: The study's scenario with these values in it.
    """

    candidate: Candidate
    scenario: Scenario = field(compare=False, repr=False)


def cases_of(
    scenario: Scenario,
    windows: Sequence[int | str] = (),
    drain_timeouts_s: Sequence[float] = (),
    starts: Sequence[float | str] = (),
    advances: Sequence[str] = (),
    *,
    surges: Sequence[int | str] = (),
    pauses_s: Sequence[float] = (),
    policies: Sequence[str] = (),
) -> tuple[Case, ...]:
    """Return a case for every combination of the values; an empty list means the scenario's own value.

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
    if surges and not surging_services(scenario):
        raise BadInput(
            f"{scenario.name}: rollout.surge: has no meaning without strategy rolling or canary"
        )
    if policies and not _balanced_services(scenario):
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
    services = {policy: _services_with_policy(scenario, policy) for policy in policies}
    cases: dict[Candidate, Case] = {}
    for start, window, surge, advance, pause_s, timeout_s, policy in itertools.product(
        starts or (scenario.clock.start,),
        windows or (rule.window,),
        surges or (rule.surge,),
        advances or (rule.advance,),
        pauses_s or (rule.pause,),
        drain_timeouts_s or (rule.drain.timeout,),
        policies or (None,),
    ):
        candidate = Candidate(
            *_window_as_applied(scenario, window),
            advance,
            timeout_s,
            start,
            _start_label(scenario, start),
            _surge_as_applied(scenario, surge),
            pause_s,
            policy,
        )
        if candidate not in cases:
            case = Case(candidate, _apply(candidate, scenario, services))
            _refuse_broken_rules(case.scenario)
            cases[candidate] = case
    slowest = max(
        cases.values(),
        key=lambda case: (expected_run_s(case.scenario)[1], case.candidate.drain_timeout_s),
    ).scenario
    for key, value, broken in (*broken_run_limits(slowest), *broken_horizon(slowest)):
        raise BadInput(f"{scenario.name}: {broken_text(key, value, broken)}")
    return tuple(cases.values())


def frame_of_cases(cases: Sequence[Case]) -> SimulatedInterval:
    """Return the simulated time that suits all cases of a study."""
    return frame_of([case.scenario for case in cases])


def _apply(
    candidate: Candidate, scenario: Scenario, services: Mapping[str, dict[str, object]]
) -> Scenario:
    """Return the scenario with the candidate's values in place of its own.

    Args:
        candidate: The values.
        scenario: The scenario.
        services: The services with each policy that is compared; candidates with one policy share them.
    """
    clock = scenario.clock.model_copy(update={"start": candidate.start})
    changed: dict[str, object] = {"clock": clock}
    if candidate.policy is not None:
        changed["services"] = services[candidate.policy]
    if scenario.rollout is not None:
        drain = scenario.rollout.drain.model_copy(update={"timeout": candidate.drain_timeout_s})
        varied = {
            "window": candidate.written,
            "advance": candidate.advance,
            "surge": candidate.surge,
            "pause": candidate.pause_s,
            "drain": drain,
        }
        changed["rollout"] = scenario.rollout.model_copy(update=varied)
    return scenario.model_copy(update=changed)


def _balanced_services(scenario: Scenario) -> tuple[str, ...]:
    """Return the services whose policy may be varied: those that are rolled and not pulled from."""
    names = scenario.rolled_services() or tuple(scenario.services)
    return tuple(name for name in names if scenario.services[name].balancer.policy != "pull")


def _services_with_policy(scenario: Scenario, policy: str) -> dict[str, object]:
    services: dict[str, object] = dict(scenario.services)
    for name in _balanced_services(scenario):
        service = scenario.services[name]
        balancer = service.balancer.model_copy(update={"policy": policy})
        services[name] = service.model_copy(update={"balancer": balancer})
    return services


def _window_as_applied(scenario: Scenario, window: int | str) -> tuple[int, int | str]:
    """Return the window's count at the first service, and the form that is applied to all services.

    The window must fit every service that has none of its own.
    """
    if scenario.rollout is None:
        count = window_count(window, scenario.service.instance_count)
        return count, count
    rule = scenario.rollout.model_copy(update={"window": window})
    varied = scenario.model_copy(update={"rollout": rule})
    counts = {name: varied.window_count(name) for name in varied.rolled_services()}
    count = counts[scenario.service_name]
    return count, window if len(counts) > 1 else count


def _surge_as_applied(scenario: Scenario, surge: int | str) -> int | str:
    if len(scenario.rolled_services()) > 1:
        return surge
    return resolve(surge, 1, scenario.service.instance_count)[0]


def _refuse_broken_rules(scenario: Scenario) -> None:
    """Refuse a combination that breaks a rule, such as a fleet that must stay whole."""
    for key, value, broken in broken_rollout_rules(scenario) if scenario.rollout else ():
        raise BadInput(f"{scenario.name}: {broken_text(key, value, broken)}")


def _start_label(scenario: Scenario, start: float | str) -> str:
    moved = scenario.model_copy(
        update={"clock": scenario.clock.model_copy(update={"start": start})}
    )
    try:
        return moved.start_label()
    except ValueError as error:
        raise BadInput(f"{scenario.name}: clock.start: {start}: {error}") from None
