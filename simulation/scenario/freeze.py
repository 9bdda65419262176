"""The time of day: freezes, in which no rollout may run (`rollout.freeze`), and whether the start matters."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from simulation.scenario.model import Scenario
from simulation.scenario.rates import DAY_S, clock_time_s, moment_at


def find_freeze(scenario: Scenario, duration_s: float) -> str | None:
    """Return the first freeze that overlaps a rollout, such as ``08:00–10:00``, or None.

    A freeze may include midnight, and a rollout may take several days.

    Args:
        scenario: The scenario, with the start of its rollout.
        duration_s: The duration of the rollout, in seconds.
    """
    if scenario.rollout is None or not scenario.rollout.freeze:
        return None
    begin_s = second_of_day(scenario)
    for begins, ends in scenario.rollout.freeze:
        first_s, last_s = clock_time_s(begins), clock_time_s(ends)
        assert first_s is not None
        assert last_s is not None
        length_s = (last_s - first_s) % DAY_S
        since_s = (begin_s - first_s) % DAY_S  # time since the freeze last began
        if since_s < length_s or since_s + duration_s > DAY_S:
            return f"{begins}–{ends}"
    return None


def has_same_traffic_always(scenario: Scenario) -> bool:
    """Return whether a rollout meets the same traffic whenever it starts.

    Traffic from a file begins and ends, and so does a replay, so their starts differ even where the
    rate is constant.
    """
    table = scenario.rates()
    rates_rps = table.rates_rps
    is_constant = bool(np.all(rates_rps == rates_rps[:1]))  # a gap, NaN, equals nothing
    is_drawn = scenario.drawn_days() is not None
    return is_constant and not is_drawn and not table.ends and scenario.traffic.arrivals != "replay"


def may_start_matter(scenario: Scenario) -> bool:
    """Return whether it may matter when a rollout starts: because of the traffic, or of a freeze."""
    has_freeze = scenario.rollout is not None and bool(scenario.rollout.freeze)
    return has_freeze or not has_same_traffic_always(scenario)


def second_of_day(scenario: Scenario) -> float:
    """Return the start of the rollout in seconds after midnight; traffic without dates begins at 0."""
    first_row = scenario.rates().first_row
    start_s = scenario.start_s()
    if first_row is None:
        return start_s % DAY_S
    moment = moment_at(start_s, first_row)
    since_hour = timedelta(
        minutes=moment.minute, seconds=moment.second, microseconds=moment.microsecond
    )
    return moment.hour * 3600.0 + since_hour.total_seconds()
