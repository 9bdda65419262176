"""Times of day at which no rollout may run.

Enters: a scenario and when its rollout ran. Leaves: the freeze that it met, in words.
"""

from __future__ import annotations

from simulation.scenario.model import Scenario
from simulation.scenario.rates import DAY_S, clock_time_s


def find_freeze(scenario: Scenario, duration_s: float) -> str | None:
    """The first freeze in which a rollout of this length runs, such as ``08:00–10:00``.

    A freeze may reach over midnight, and a rollout over several days.
    """
    if scenario.rollout is None or not scenario.rollout.freeze:
        return None
    begin_s = second_of_day(scenario)
    for begins, ends in scenario.rollout.freeze:
        first_s, last_s = clock_time_s(begins), clock_time_s(ends)
        assert first_s is not None
        assert last_s is not None
        lasts_s = (last_s - first_s) % DAY_S
        since_s = (begin_s - first_s) % DAY_S  # how long ago the freeze last began
        if since_s < lasts_s or since_s + duration_s > DAY_S:
            return f"{begins}–{ends}"
    return None


def second_of_day(scenario: Scenario) -> float:
    """When the rollout starts, in seconds after midnight; traffic without dates begins at 0."""
    first_row = scenario.rates().first_row
    start_s = scenario.start_s()
    if first_row is None:
        return start_s % DAY_S
    midnight = first_row.replace(hour=0, minute=0, second=0, microsecond=0)
    return (start_s + (first_row - midnight).total_seconds()) % DAY_S
