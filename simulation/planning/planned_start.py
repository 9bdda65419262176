"""The start that a plan is made for, and the traffic that it holds for."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from executor.base.errors import Refused
from executor.plan.model import PlannedStart, TrafficRange
from simulation.requests.uncertainty import draw_uncertain
from simulation.scenario.inputs.days import WEEKDAYS, WeekdayStart, coming_moment
from simulation.scenario.inputs.zones import exists_twice
from simulation.scenario.model import Scenario
from simulation.scenario.rates import DAY_S, RateTable
from simulation.scenario.units import Floats

_MINUTE_S = 60.0


def planned_start(scenario: Scenario, now: datetime) -> PlannedStart | None:
    """Return the start of a scenario in the coming week; None where its start is on no weekday.

    Raises:
        Refused: The clocks skip this local time in the coming week.
    """
    days, zone = scenario.drawn_days(), scenario.clock.zone
    if days is None:
        return None
    start = WeekdayStart(days.weekday, scenario.start_s() % DAY_S)
    try:
        at = None if zone is None else coming_moment(start, zone, now)
    except ValueError as error:
        raise Refused(
            f"{scenario.name} is no plan: clock.start: {start.label()}: {error}"
        ) from None
    return PlannedStart(
        weekday=WEEKDAYS[days.weekday],
        local_time=start.file_text().split()[1],
        zone=zone,
        # With its offset in place of its zone: Python calls no two moments of different zones equal
        # where the clocks show a time twice.
        at=None if at is None else datetime.fromisoformat(at.isoformat()),
        is_twice=at is not None and exists_twice(at),
    )


def planned_traffic(
    scenario: Scenario, service: str, replications: int, lasts_s: float
) -> TrafficRange | None:
    """Return the range of the traffic in all replications; None where none draws a day.

    The values are the mean rates of single minutes, from a minute before the start to the end of the
    rollout: the executor counts the requests of one minute.

    Args:
        scenario: The simulated scenario, with the seed of its runs.
        service: The service of the plan; its share of the requests counts.
        replications: Number of runs.
        lasts_s: Duration of the rollout, in seconds.
    """
    days = scenario.drawn_days()
    if days is None:
        return None
    start_s = scenario.start_s()
    edges_s = np.arange(start_s - _MINUTE_S, start_s + lasts_s + _MINUTE_S, _MINUTE_S)
    rates = np.concatenate(
        [
            _means(draw_uncertain(scenario, replication).rates(), edges_s)
            for replication in range(replications)
        ]
    )
    low_rps, high_rps, highest_rps = np.percentile(rates, [5, 95, 100]) * scenario.share_of(service)
    return TrafficRange(
        low_rps=float(low_rps),
        high_rps=float(high_rps),
        highest_rps=float(highest_rps),
        days_count=days.known_count,
    )


def _means(table: RateTable, edges_s: Floats) -> Floats:
    """Return the mean rate between each edge and the next."""
    inner = table.edges_s[(table.edges_s > edges_s[0]) & (table.edges_s < edges_s[-1])]
    times_s = np.unique(np.concatenate([edges_s, inner]))
    sums = np.concatenate([[0.0], np.cumsum(table.rate_at(times_s[:-1]) * np.diff(times_s))])
    return np.diff(sums[np.searchsorted(times_s, edges_s)]) / np.diff(edges_s)
