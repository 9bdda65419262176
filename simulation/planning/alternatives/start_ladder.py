"""The ladder of starts: ever farther from the given one, each with less traffic than all nearer ones."""

from __future__ import annotations

import math
from collections.abc import Iterator

from executor.base.errors import BadInput
from simulation.planning.alternatives.model import Change, ChangeKind
from simulation.planning.starts import parse_starts
from simulation.run import traffic_around
from simulation.scenario.freeze import find_freeze
from simulation.scenario.model import Scenario
from simulation.scenario.rates import DAY_S, clock_label
from simulation.scenario.simulated_interval import frame_of
from simulation.scenario.traffic import DailyRate

STEP = "30m"
"""The step between starts that are tried."""


def start_changes(
    kind: ChangeKind, scenario: Scenario, lasts_s: float
) -> Iterator[tuple[Change, Scenario]]:
    """Yield starts before or after the scenario's own, at most a day away, the nearest first.

    A start is yielded only where the highest rate during the rollout is below that of all nearer starts.
    So what a start costs in distance, it gains in traffic, and the nearest start that suffices is among
    them as far as the highest rate decides. Starts in a freeze, and those from which a run may reach a
    gap or the end of a trace, are left out. Constant traffic has no other start.

    Args:
        kind: Earlier or later starts.
        scenario: The scenario, with the start that is changed.
        lasts_s: Duration of the rollout, in seconds.
    """
    own_s = scenario.start_s()
    lowest_rps = _highest_rps(scenario, own_s, lasts_s)
    if find_freeze(scenario, lasts_s) is not None:
        lowest_rps = math.inf  # any start outside the freeze is better
    first_row = scenario.rates().first_row
    before = clock_label(own_s, first_row)
    for away_s, changed in _other_starts(kind, scenario, own_s):
        if find_freeze(changed, lasts_s) is not None or not _has_traffic(changed):
            continue
        start_s = changed.start_s()
        rate_rps = _highest_rps(changed, start_s, lasts_s)
        if rate_rps < lowest_rps:
            lowest_rps = rate_rps
            yield Change(kind, "clock.start", changed.clock.start, before, away_s), changed


def _other_starts(
    kind: ChangeKind, scenario: Scenario, own_s: float
) -> list[tuple[float, Scenario]]:
    """Return the starts in one direction with their distance in seconds, the nearest first."""
    try:
        starts = parse_starts(f"every:{STEP}", scenario)
    except ValueError:  # a trace of more starts than a word may mean
        return []
    is_daily = isinstance(scenario.traffic.rate, DailyRate)
    others = []
    for start in starts:
        clock = scenario.clock.model_copy(update={"start": start})
        changed = scenario.model_copy(update={"clock": clock})
        later_s = changed.start_s() - own_s
        away_s = later_s if kind is ChangeKind.LATER_START else -later_s
        if is_daily:
            away_s %= DAY_S
        if 0 < away_s <= DAY_S:
            others.append((away_s, changed))
    return sorted(others, key=lambda other: other[0])


def _highest_rps(scenario: Scenario, start_s: float, lasts_s: float) -> float:
    """Return the highest rate during a rollout; infinite outside the traffic."""
    try:
        return scenario.rates().window(start_s, 0.0, max(lasts_s, 1.0)).highest_rps()
    except BadInput:
        return math.inf


def _has_traffic(scenario: Scenario) -> bool:
    """Return whether the data of the traffic suffices for the longest run from this start."""
    frame = frame_of([scenario])
    try:
        return traffic_around(scenario, frame).data_ends_s() >= frame.horizon_s
    except BadInput:  # the start lies outside the trace
        return False
