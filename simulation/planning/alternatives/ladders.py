"""Ladders: the values that a change of one kind may take, the smallest change first.

A value that breaks a rule of scenarios has no rung.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from executor.base.errors import BadInput
from simulation.planning.alternatives.model import LIMITS, Change, ChangeKind
from simulation.planning.alternatives.start_ladder import start_changes
from simulation.scenario.model import Scenario
from simulation.scenario.rules import broken_rules
from simulation.study.candidates import may_surge
from simulation.study.case import Case, cases_of
from simulation.study.why.round_values import round_values

MOST_TIMES_INSTANCES = 3
"""Maximum fleet, as a multiple of the present one."""

FINEST_SHARE = 100
"""Fleets grow in steps of one instance, or of this fraction of the fleet where that is more."""

MOST_TIMES_LIMIT = 10
"""Maximum limit, as a multiple of the present one: a limit beyond that is another question."""

LONGEST_DRAIN_S, LONGEST_PRE_STOP_S = 600.0, 60.0
"""Maximum timeout of a drain and maximum `pre_stop`, in seconds, where the lag of the balancer is not longer."""

_SHORTEST_S = 0.5
"""Minimum `pre_stop` and drain timeout that is tried, in seconds."""


@dataclass(frozen=True)
class Rung:
    """A change, and the case that it makes of a candidate."""

    change: Change
    case: Case


def ladders_of(kind: ChangeKind, case: Case, lasts_s: float) -> list[list[Rung]]:
    """Return the ladders of one kind of change, each with the smallest change first.

    There are several where several services may grow, and none where the kind does not fit the case.

    Args:
        kind: The kind of change.
        case: The candidate that is changed, and its scenario.
        lasts_s: Duration of the candidate's rollout, in seconds, over which a start meets the traffic.
    """
    scenario = case.scenario
    assert scenario.rollout is not None
    match kind:
        case ChangeKind.MORE_INSTANCES:
            return [_rungs(scenario, _instances(scenario, name)) for name in scenario.services]
        case ChangeKind.NARROWER_WINDOW | ChangeKind.WIDER_WINDOW:
            changes = _windows(kind, case)
        case ChangeKind.SURGE:
            changes = _surges(scenario)
        case ChangeKind.SHORTER_PAUSE:
            changes = _pauses(scenario)
        case ChangeKind.LONGER_DRAIN:
            changes = _drains(scenario)
        case ChangeKind.LONGER_PRE_STOP:
            changes = _pre_stops(scenario)
        case ChangeKind.EARLIER_START | ChangeKind.LATER_START:
            changes = start_changes(kind, scenario, lasts_s)
        case _:
            changes = _limits(kind, scenario)
    return [_rungs(scenario, changes)]


_Change = tuple[Change, Scenario]
"""A change, and the scenario with the change in it."""


def _rungs(scenario: Scenario, changes: Iterator[_Change]) -> list[Rung]:
    rungs = []
    for change, changed in changes:
        try:
            [case] = cases_of(changed)
        except BadInput:
            continue
        if not broken_rules(changed):
            rungs.append(Rung(change, case))
    return rungs


def _instances(scenario: Scenario, name: str) -> Iterator[_Change]:
    """Yield larger fleets of one service; where instances have keys of their own, none can be added."""
    service = scenario.services[name]
    if isinstance(service.instances, dict) or not scenario.is_called(name):
        return
    count = service.instance_count
    step = math.ceil(count / FINEST_SHARE)
    for more in range(step, (MOST_TIMES_INSTANCES - 1) * count + 1, step):
        changed = service.model_copy(update={"instances": count + more})
        services = {**scenario.services, name: changed}
        change = Change(
            ChangeKind.MORE_INSTANCES, f"services.{name}.instances", count + more, count, more
        )
        yield change, scenario.model_copy(update={"services": services})


def _windows(kind: ChangeKind, case: Case) -> Iterator[_Change]:
    """Yield windows beside the candidate's own; one in percent is that of several services."""
    scenario, window = case.scenario, case.candidate.window
    if not isinstance(case.candidate.written, int):
        return
    is_wider = kind is ChangeKind.WIDER_WINDOW
    count = scenario.service.instance_count
    for value in range(window + 1, count + 1) if is_wider else range(window - 1, 0, -1):
        change = Change(kind, "rollout.window", value, window, abs(value - window))
        yield change, _with_rollout(scenario, window=value)


def _surges(scenario: Scenario) -> Iterator[_Change]:
    """Yield surges that keep the whole fleet in the pool, from the scenario's own on.

    Then no window has any effect, so all candidates have window 1 and the same runs.
    """
    name = scenario.service_name
    if not may_surge(scenario) or any(
        scenario.has_own(name, key) for key in ("min_healthy", "window")
    ):
        return
    count, own = scenario.service.instance_count, scenario.surge_count(name)
    is_whole = scenario.min_healthy_count(name) == count
    step = math.ceil(count / FINEST_SHARE)
    for value in range(own + 1 if is_whole else max(own, 1), count + 1, step):
        change = Change(ChangeKind.SURGE, "rollout.surge", value, own, value)
        yield change, _with_rollout(scenario, surge=value, min_healthy=count, window=1)


def _pauses(scenario: Scenario) -> Iterator[_Change]:
    assert scenario.rollout is not None
    pause_s = scenario.rollout.pause
    if pause_s == 0:
        return
    shorter = [value for value in round_values(pause_s / 100, pause_s) if value < pause_s]
    for value in (*reversed(shorter), 0.0):
        change = Change(ChangeKind.SHORTER_PAUSE, "rollout.pause", value, pause_s, pause_s - value)
        yield change, _with_rollout(scenario, pause=value)


def _drains(scenario: Scenario) -> Iterator[_Change]:
    assert scenario.rollout is not None
    drain = scenario.rollout.drain
    for value in round_values(max(drain.timeout, _SHORTEST_S), LONGEST_DRAIN_S):
        longer = drain.model_copy(update={"timeout": value})
        change = Change(
            ChangeKind.LONGER_DRAIN,
            "rollout.drain.timeout",
            value,
            drain.timeout,
            value - drain.timeout,
        )
        yield change, _with_rollout(scenario, drain=longer)


def _pre_stops(scenario: Scenario) -> Iterator[_Change]:
    """Yield longer `pre_stop`, beyond the lag of the slowest balancer: plans with a shorter one are refused."""
    assert scenario.rollout is not None
    pre_stop_s = scenario.rollout.pre_stop
    lag_s = max(service.balancer.propagation_delay for service in scenario.services.values())
    longest_s = max(LONGEST_PRE_STOP_S, 2 * lag_s)
    for value in round_values(max(pre_stop_s, lag_s, _SHORTEST_S), longest_s):
        change = Change(
            ChangeKind.LONGER_PRE_STOP, "rollout.pre_stop", value, pre_stop_s, value - pre_stop_s
        )
        yield change, _with_rollout(scenario, pre_stop=value)


def _limits(kind: ChangeKind, scenario: Scenario) -> Iterator[_Change]:
    objective = LIMITS[kind]
    limit: float | None = getattr(scenario.objectives, objective.value)
    if not limit:
        return
    for value in round_values(limit, MOST_TIMES_LIMIT * limit):
        if objective.value == "error_fraction" and value >= 1:
            return
        objectives = scenario.objectives.model_copy(update={objective.value: value})
        change = Change(kind, f"objectives.{objective.value}", value, limit, value - limit)
        yield change, scenario.model_copy(update={"objectives": objectives})


def _with_rollout(scenario: Scenario, **keys: object) -> Scenario:
    assert scenario.rollout is not None
    rule = scenario.rollout.model_copy(update=keys)
    return scenario.model_copy(update={"rollout": rule})


def find_smallest(
    count: int, suffices: Callable[[int], bool], *, asks_last_first: bool = True
) -> int | None:
    """Return the lowest index from 0 below ``count`` that suffices; None where none was found.

    Where an index suffices, every higher one is taken to suffice.

    Args:
        count: Number of indices.
        suffices: Whether an index suffices; it is asked at most 2·log2(count) + 2 times.
        asks_last_first: Whether the last index is asked first, so that what never suffices costs one
            question; else indices are asked from 0 on, in doubling steps.
    """
    if count == 0 or (asks_last_first and not suffices(count - 1)):
        return None
    low, high = 0, count - 1
    if not asks_last_first:
        high = 0
        while not suffices(high):
            if high == count - 1:
                return None
            low, high = high + 1, min(2 * high + 1, count - 1)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if suffices(middle) else (middle + 1, high)
    return high
