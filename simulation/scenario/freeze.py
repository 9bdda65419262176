"""Times of day at which no rollout may run (`rollout.freeze`)."""

from __future__ import annotations

from datetime import timedelta

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
