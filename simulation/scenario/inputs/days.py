"""Starts on a weekday, and the days of a trace that are drawn for them.

A start such as ``tue 22:00`` lies in the coming week. Each replication has the traffic of one of the
trace's days of that weekday.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from functools import cached_property, lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from simulation.scenario.inputs.zones import as_utc, local_moment
from simulation.scenario.rates import DAY_S, RateTable, clock_time_s
from simulation.scenario.units import Floats

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

FEWEST_DRAWN = 4
"""Minimum number of whole days of a weekday that are drawn; of fewer days the mean is taken."""

WEEK_S = 7 * DAY_S
"""Minimum length of a trace, in seconds, on which a time of day alone is no start: it has a weekday."""

_WEEKDAY = re.compile(
    r"^(mon|tue|wed|thu|fri|sat|sun)[ /](\d{1,2}:\d{2}(?::\d{2})?)$", re.IGNORECASE
)


@dataclass(frozen=True)
class WeekdayStart:
    """A weekday and a local time of the coming week.

    Attributes:
        weekday: The number of the weekday; 0 is Monday.
        time_s: The time of day, in seconds after midnight.
    """

    weekday: int
    time_s: float

    @property
    def start_s(self) -> float:
        """The start on the clock of a drawn day, see `day_of`."""
        return DAY_S + self.time_s

    def file_text(self) -> str:
        """Return the start as a file writes it, such as ``tue 22:00``."""
        return f"{WEEKDAYS[self.weekday]} {_clock_text(self.time_s)}"

    def label(self) -> str:
        """Return the start as screens show it, such as ``Tue 22:00``."""
        return self.file_text().capitalize()


def weekday_starts(
    weekdays: Sequence[int], first_s: float, last_s: float, step_s: float
) -> list[WeekdayStart]:
    """Return the starts of each weekday from one time of day to another, in even steps.

    Args:
        weekdays: The numbers of the weekdays; 0 is Monday.
        first_s: The first time of day, in seconds after midnight.
        last_s: The last one; after midnight where it is less than the first.
        step_s: Time from one start to the next.
    """
    count = math.floor(((last_s - first_s) % DAY_S) / step_s + 1e-9) + 1
    return [
        WeekdayStart((weekday + int(time_s // DAY_S)) % 7, time_s % DAY_S)
        for weekday in weekdays
        for time_s in (first_s + step_s * number for number in range(count))
    ]


def weekday_start(start: float | str) -> WeekdayStart | None:
    """Return the weekday and the time of a start such as ``tue 22:00``; None for any other start."""
    match = _WEEKDAY.match(start.strip()) if isinstance(start, str) else None
    time_s = None if match is None else clock_time_s(match[2])
    if match is None or time_s is None:
        return None
    return WeekdayStart(WEEKDAYS.index(match[1].lower()), time_s)


def _clock_text(time_s: float) -> str:
    minutes, seconds = divmod(round(time_s), 60)
    text = f"{minutes // 60:02d}:{minutes % 60:02d}"
    return f"{text}:{seconds:02d}" if seconds else text


@dataclass(frozen=True, eq=False)
class DrawnDays:
    """The traffic of one weekday: whole days, or their mean where fewer than `FEWEST_DRAWN` are known.

    Attributes:
        days: The rates that one is drawn of, each as `day_of` returns it.
        weekday: The number of the weekday; 0 is Monday.
        spread: The standard deviation of the logarithm of the factor by which a day is multiplied;
            0 where whole days are drawn.
        known_count: Number of whole days of this weekday in the trace.
    """

    days: tuple[RateTable, ...]
    weekday: int
    spread: float
    known_count: int

    @cached_property
    def mean(self) -> RateTable:
        """The mean of the days, at each time of day."""
        return _combined(self.days, lambda rates: np.mean(rates, axis=0))

    def quantile(self, share: float) -> RateTable:
        """Return the rate that a share of the days does not exceed, at each time of day."""
        return _quantile(self, share)

    def index_of(self, uniform: float) -> int:
        """Return the index of the day that a uniform number from [0, 1) draws."""
        return int(uniform * len(self.days))


@lru_cache(maxsize=64)
def _quantile(days: DrawnDays, share: float) -> RateTable:
    return _combined(days.days, lambda rates: np.quantile(rates, share, axis=0))


def has_weekdays(table: RateTable) -> bool:
    """Return whether a trace has dates and is at least a week long."""
    lasts_s = float(table.edges_s[-1] - table.edges_s[0])
    return table.ends and table.first_row is not None and lasts_s >= WEEK_S


def refuse_time_alone(start: float | str, table: RateTable) -> None:
    """Refuse a time of day on a trace with weekdays: it is no start without its weekday.

    Raises:
        ValueError: The start is a time of day.
    """
    if isinstance(start, str) and clock_time_s(start) is not None and has_weekdays(table):
        raise ValueError(
            f"a trace of a week or more needs a weekday, such as tue {start}, or one of its dates"
        )


@dataclass(frozen=True)
class _Source:
    """A trace's rates, made when they are needed, and the key of all that decides them."""

    key: tuple[Hashable, ...]
    make_table: Callable[[], RateTable] = field(compare=False)


def days_of(make_table: Callable[[], RateTable], weekday: int, *key: Hashable) -> DrawnDays:
    """Return the days of a trace that a start on a weekday draws.

    Args:
        make_table: Returns the trace's rates; their first row is in the zone whose midnights count.
        weekday: The number of the weekday; 0 is Monday.
        key: All that decides the rates, for the cache.

    Raises:
        ValueError: The trace has no dates, or no whole day of this weekday.
    """
    return _days_of(_Source(key, make_table), weekday)


@lru_cache(maxsize=64)
def _days_of(source: _Source, weekday: int) -> DrawnDays:
    table = source.make_table()
    if not table.ends or table.first_row is None:
        raise ValueError("a weekday needs a trace with dates; give a time of day or an offset")
    whole = whole_days(table)
    begins_s = [begin_s for day, begin_s in whole if day.weekday() == weekday]
    if not begins_s:
        name = WEEKDAYS[weekday].capitalize()
        raise ValueError(
            f"the trace has no whole {name} without a gap; it has {_counts_text(whole)}"
        )
    days = tuple(day_of(table, begin_s) for begin_s in begins_s)
    known_count = len(days)
    if known_count >= FEWEST_DRAWN:
        return DrawnDays(days, weekday, 0.0, known_count)
    mean = _combined(days, lambda rates: np.mean(rates, axis=0))
    return DrawnDays((mean,), weekday, _spread(table, whole), known_count)


def whole_days(table: RateTable) -> list[tuple[date, float]]:
    """Return the days of a trace without a gap: each with the second of its midnight on the trace's clock.

    A day on which the clocks change is left out: its hours are not those of other days.
    """
    first_row = table.first_row
    assert first_row is not None
    gaps_s = np.flatnonzero(np.isnan(table.rates_rps))
    gap_begins_s, gap_ends_s = table.edges_s[gaps_s], table.edges_s[gaps_s + 1]
    days, day = list[tuple[date, float]](), first_row.date()
    while (begin_s := _midnight_s(day, first_row)) < float(table.edges_s[-1]):
        end_s = _midnight_s(day + timedelta(days=1), first_row)
        is_inside = begin_s >= float(table.edges_s[0]) and end_s <= float(table.edges_s[-1])
        has_gap = bool(((gap_begins_s < end_s) & (gap_ends_s > begin_s)).any())
        if is_inside and end_s - begin_s == DAY_S and not has_gap:
            days.append((day, begin_s))
        day += timedelta(days=1)
    return days


def day_of(table: RateTable, begin_s: float) -> RateTable:
    """Return one day of a trace, and what comes before and after it.

    Second 0 is the midnight before the day, so that no time is negative; the day begins at `DAY_S`.
    Before and after the day the trace goes on, at most for a day, up to its next gap; from there on
    the nearest known rate holds.
    """
    edges, rates = table.edges_s - begin_s + DAY_S, table.rates_rps
    inside = (edges[1:] > 0) & (edges[:-1] < 3 * DAY_S)
    gaps = np.isnan(rates)
    before = np.flatnonzero(~inside & (edges[1:] <= DAY_S) | gaps & (edges[1:] <= DAY_S))
    after = np.flatnonzero(~inside & (edges[:-1] > DAY_S) | gaps & (edges[:-1] > DAY_S))
    first = int(before[-1]) + 1 if len(before) else 0
    last = int(after[0]) if len(after) else len(rates)
    return _merged(np.maximum(edges[first:last], 0.0), rates[first:last])


def _merged(begins_s: Floats, rates: Floats) -> RateTable:
    """Return rates by the time at which each begins; equal neighbours are one, as in the steps of a file."""
    changes = np.concatenate([[0], np.flatnonzero(np.diff(rates)) + 1])
    return RateTable(np.append(begins_s[changes], math.inf), rates[changes])


def _combined(days: tuple[RateTable, ...], combine: Callable[[Floats], Floats]) -> RateTable:
    begins_s = np.unique(np.concatenate([day.edges_s[:-1] for day in days]))
    return _merged(begins_s, combine(np.array([day.rate_at(begins_s) for day in days])))


def _spread(table: RateTable, whole: list[tuple[date, float]]) -> float:
    """Return the standard deviation of the logarithm of a day's requests around its weekday's mean.

    The days of all weekdays count: √(Σ(x − x̄ of its weekday)²/Σ(days of a weekday − 1)). Where no
    weekday is known twice, the days count as of one weekday.
    """
    steps_s, logs = np.diff(table.edges_s), list[tuple[int, float]]()
    for day, begin_s in whole:
        inside = (table.edges_s[:-1] >= begin_s) & (table.edges_s[:-1] < begin_s + DAY_S)
        total = float(np.sum(table.rates_rps[inside] * steps_s[inside]))
        if total > 0:
            logs.append((day.weekday(), math.log(total)))
    if max(Counter(weekday for weekday, _ in logs).values(), default=0) < 2:
        logs = [(0, log) for _, log in logs]
    squares, freedom = 0.0, 0
    for weekday in {weekday for weekday, _ in logs}:
        group = np.array([log for each, log in logs if each == weekday])
        squares += float(np.sum((group - group.mean()) ** 2))
        freedom += len(group) - 1
    return math.sqrt(squares / freedom) if freedom else 0.0


def _counts_text(whole: list[tuple[date, float]]) -> str:
    counts = Counter(day.weekday() for day, _ in whole)
    known = [f"{counts[k]} {WEEKDAYS[k].capitalize()}" for k in range(7) if counts[k]]
    return ", ".join(known) or "no whole day"


def _midnight_s(day: date, first_row: datetime) -> float:
    midnight = datetime.combine(day, time(), first_row.tzinfo)
    return (as_utc(midnight) - as_utc(first_row)).total_seconds()


def in_zone(table: RateTable, zone: str | None) -> RateTable:
    """Return a trace whose first row is in a zone; dates without a zone are local times there."""
    first_row = table.first_row
    if zone is None or first_row is None or first_row.tzinfo is None:
        return table
    return replace(table, first_row=first_row.astimezone(ZoneInfo(zone)))


def coming_moment(start: WeekdayStart, zone: str, now: datetime) -> datetime:
    """Return the next moment of a weekday and a local time.

    Raises:
        ValueError: The clocks skip this time on that day.
    """
    tz = ZoneInfo(zone)
    today = now.astimezone(tz).date()
    ahead = (start.weekday - today.weekday()) % 7
    moment = local_moment(today + timedelta(days=ahead), start.time_s, tz)
    if as_utc(moment) <= as_utc(now):
        moment = local_moment(today + timedelta(days=ahead + 7), start.time_s, tz)
    return moment
