"""Days of a trace for a start on a weekday: which are drawn, with which rates, and local times."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simulation.requests.uncertainty import draw_uncertain
from simulation.run import traffic_around
from simulation.scenario.inputs.days import (
    WeekdayStart,
    coming_moment,
    weekday_start,
    whole_days,
)
from simulation.scenario.inputs.uncertainty import NORMAL_95, at_quantile
from simulation.scenario.inputs.zones import exists_twice
from simulation.scenario.model import Scenario
from simulation.scenario.rates import DAY_S, RateTable
from simulation.scenario.rules import broken_rules
from simulation.scenario.simulated_interval import SimulatedInterval
from tests.helpers.scenarios import scenario

MONDAY = datetime(2024, 1, 1)
HOUR = timedelta(hours=1)


def rate_of(week: int, moment: datetime) -> int:
    """The known rate of an hour, another one in each hour of the trace."""
    return 1000 * (week + 1) + 100 * moment.weekday() + moment.hour


def hours(first: datetime, count: int) -> Iterator[tuple[datetime, int]]:
    for number in range(count):
        moment = first + number * HOUR
        yield moment, rate_of(number // 168, moment)


def write(path: Path, rows: Iterator[tuple[datetime, int]] | list[tuple[datetime, int]]) -> None:
    lines = "".join(f"{moment.isoformat()},{rate}\n" for moment, rate in rows)
    path.write_text(f"time,rps\n{lines}")


def on(
    folder: Path, rows: Iterator[tuple[datetime, int]] | list[tuple[datetime, int]], **changes: Any
) -> Scenario:
    """A scenario on a trace of these rows; it starts on Tuesday at 22:00 unless changed."""
    path = folder / "trace.csv"
    write(path, rows)
    clock = {"start": "tue 22:00", **changes.pop("clock", {})}
    return scenario(rate={"trace": str(path)}, clock=clock, rollout={"window": 1}, **changes)


def around(one: Scenario, before_s: float = 3600.0, after_s: float = 5 * 3600.0) -> RateTable:
    return traffic_around(one, SimulatedInterval(before_s, after_s, True, 60.0))


def drawn(one: Scenario, replications: int) -> Counter[int]:
    """How often each day is drawn, by its rate at the start."""
    found = (draw_uncertain(one, k) for k in range(replications))
    return Counter(int(each.rates().rate_at(each.start_s())) for each in found)


def test_each_replication_draws_one_of_the_five_tuesdays(tmp_path: Path) -> None:
    one = on(tmp_path, hours(MONDAY, 5 * 168))
    days = one.drawn_days()
    assert days is not None
    assert (len(days.days), days.known_count, days.spread) == (5, 5, 0.0)
    found = drawn(one, 500)
    assert sorted(found) == [1122, 2122, 3122, 4122, 5122]
    assert all(70 < count < 130 for count in found.values())  # 100 expected, deviation 9


def test_a_drawn_day_is_whole_and_goes_on_past_midnight(tmp_path: Path) -> None:
    one = on(tmp_path, hours(MONDAY, 5 * 168))
    for replication in range(8):
        table = around(draw_uncertain(one, replication))
        week = int(table.rate_at(0.0)) // 1000
        assert table.as_steps() == [
            (-3600.0, week * 1000.0 + 121),
            (0.0, week * 1000.0 + 122),
            (3600.0, week * 1000.0 + 123),
            *((7200.0 + 3600.0 * k, week * 1000.0 + 200 + k) for k in range(3)),
        ]


def test_growth_multiplies_every_rate(tmp_path: Path) -> None:
    one = on(tmp_path, hours(MONDAY, 5 * 168))
    grown = on(tmp_path, hours(MONDAY, 5 * 168), traffic={"growth": "20%"})
    before, after = around(draw_uncertain(one, 3)), around(draw_uncertain(grown, 3))
    assert np.array_equal(after.rates_rps, before.rates_rps * 1.2)
    dated = {"clock": {"start": "2024-01-09 22:00"}, "traffic": {"growth": "-10%"}}
    assert around(on(tmp_path, hours(MONDAY, 5 * 168), **dated)).rate_at(0.0) == 2122 * 0.9


def test_candidates_of_a_weekday_share_the_day(tmp_path: Path) -> None:
    one = on(tmp_path, hours(MONDAY, 5 * 168))
    early = one.model_copy(update={"clock": one.clock.model_copy(update={"start": "tue 03:00"})})
    for replication in range(20):
        late_day, early_day = (draw_uncertain(each, replication) for each in (one, early))
        assert late_day.traffic is early_day.traffic
        assert (late_day.start_s(), early_day.start_s()) == (DAY_S + 79200.0, DAY_S + 10800.0)


def test_the_draw_does_not_depend_on_the_engine_or_the_seed_of_other_inputs(tmp_path: Path) -> None:
    one = on(tmp_path, hours(MONDAY, 5 * 168))
    slow = on(tmp_path, hours(MONDAY, 5 * 168), service={"uncertain": "10%"})
    for replication in range(10):
        rates = [
            float(draw_uncertain(each, replication).rates().rate_at(DAY_S)) for each in (one, slow)
        ]
        assert rates[0] == rates[1]
    other = one.model_copy(update={"seed": 2})
    assert drawn(one, 20) != drawn(other, 20)


def test_a_historic_day_is_asked_for_by_its_date(tmp_path: Path) -> None:
    one = on(tmp_path, hours(MONDAY, 5 * 168), clock={"start": "2024-01-16T22:00"})
    assert one.drawn_days() is None
    assert one.start_label() == "2024-01-16 22:00:00"
    assert drawn(one, 5) == {3122: 5}


def test_a_day_with_a_gap_is_not_drawn(tmp_path: Path) -> None:
    rows = [row for row in hours(MONDAY, 5 * 168) if row[0] != datetime(2024, 1, 9, 4)]
    days = on(tmp_path, rows).drawn_days()
    assert days is not None
    assert days.known_count == 4
    assert sorted(drawn(on(tmp_path, rows), 200)) == [1122, 3122, 4122, 5122]


def test_beyond_a_day_the_nearest_known_rate_holds_from_a_gap_on(tmp_path: Path) -> None:
    out = {datetime(2024, 1, 10, 2), datetime(2024, 1, 8, 20)}
    one = on(tmp_path, [row for row in hours(MONDAY, 5 * 168) if row[0] not in out])
    second = next(
        each
        for k in range(50)
        if int((each := draw_uncertain(one, k)).rates().rate_at(each.start_s())) == 2122
    )
    late = around(second)
    assert late.rate_at(4.5 * 3600.0) == 2201  # from 02:00 on the rate of 01:00 holds
    clock = {"start": second.start_s() - 22 * 3600.0}
    early = second.model_copy(update={"clock": second.clock.model_copy(update=clock)})
    assert around(early, before_s=5 * 3600.0).rate_at(-4.5 * 3600.0) == 2021


def test_the_last_day_of_a_trace_is_drawn_too(tmp_path: Path) -> None:
    days = on(tmp_path, hours(MONDAY, 4 * 168), clock={"start": "sun 23:00"}).drawn_days()
    assert days is not None
    assert days.known_count == 4
    assert math.isinf(days.days[-1].data_ends_s())


def test_of_fewer_than_four_days_the_mean_is_taken_times_their_spread(tmp_path: Path) -> None:
    levels = [100, 121, 110]
    rows = [
        (MONDAY + number * HOUR, levels[number // 168] + (10 if number % 24 == 22 else 0))
        for number in range(3 * 168)
    ]
    one = on(tmp_path, rows)
    days = one.drawn_days()
    assert days is not None
    assert (len(days.days), days.known_count) == (1, 3)
    assert days.mean.rate_at(DAY_S + 79200.0) == pytest.approx(sum(levels) / 3 + 10)
    totals = np.log([24 * level + 10 for level in levels])
    assert days.spread == pytest.approx(np.std(totals, ddof=1))  # every weekday has the same three
    factors = [
        float(draw_uncertain(one, k).rates().rate_at(DAY_S)) * 3 / sum(levels) for k in range(2000)
    ]
    logs = np.log(factors)
    assert abs(logs.mean()) < 4 * days.spread / math.sqrt(2000)
    assert logs.std() == pytest.approx(days.spread, rel=0.07)
    high = at_quantile(one, NORMAL_95).rates().rate_at(DAY_S)
    assert high == pytest.approx(sum(levels) / 3 * math.exp(NORMAL_95 * days.spread))


def test_one_week_has_the_spread_of_all_its_days(tmp_path: Path) -> None:
    rows = [(MONDAY + number * HOUR, 100 + number // 24) for number in range(168)]
    days = on(tmp_path, rows).drawn_days()
    assert days is not None
    assert days.known_count == 1
    assert days.spread == pytest.approx(np.std(np.log([100 + k for k in range(7)]), ddof=1))


@pytest.mark.parametrize(
    ("changes", "key", "rule"),
    [
        pytest.param(
            {"clock": {"start": "22:00"}},
            ("clock", "start"),
            "a trace of a week or more needs a weekday, such as tue 22:00, or one of its dates",
            id="time alone",
        ),
        pytest.param(
            {"traffic": {"uncertain": "10%"}},
            ("traffic", "uncertain"),
            "must be 0 with a start on a weekday: the days that are drawn differ by themselves",
            id="uncertain beside the days",
        ),
    ],
)
def test_what_does_not_go_with_a_trace_of_weeks_is_refused(
    tmp_path: Path, changes: dict[str, Any], key: tuple[str, ...], rule: str
) -> None:
    [broken] = broken_rules(on(tmp_path, hours(MONDAY, 2 * 168), **changes))
    assert (broken[0], broken[2]) == (key, rule)


def test_a_weekday_that_the_trace_does_not_know_is_refused(tmp_path: Path) -> None:
    [broken] = broken_rules(on(tmp_path, hours(datetime(2024, 1, 3), 48)))
    assert broken[2] == "the trace has no whole Tue without a gap; it has 1 Wed, 1 Thu"
    [broken] = broken_rules(scenario(clock={"start": "tue 22:00"}, rollout={"window": 1}))
    assert broken[2] == "a weekday needs a trace with dates; give a time of day or an offset"


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("tue 22:00", WeekdayStart(1, 79200.0)),
        ("Sun/02:30:15", WeekdayStart(6, 9015.0)),
        ("tue 25:00", None),
        ("tues 22:00", None),
        ("22:00", None),
    ],
)
def test_a_weekday_and_a_time_are_read(text: str, start: WeekdayStart | None) -> None:
    assert weekday_start(text) == start


# Zones: the clocks of Europe/Paris go from 02:00 to 03:00 on 31 March 2024, and back on 27 October.


def utc_hours(first: datetime, count: int) -> list[tuple[datetime, int]]:
    return [(first.replace(tzinfo=UTC) + number * HOUR, number) for number in range(count)]


def test_days_begin_at_the_midnights_of_the_zone(tmp_path: Path) -> None:
    rows = utc_hours(datetime(2024, 3, 17), 22 * 24)
    one = on(tmp_path, rows, clock={"zone": "Europe/Paris", "start": "sun 22:00"})
    days = whole_days(one.calendar())
    begins = {day: int(begin_s / 3600) for day, begin_s in days}
    assert begins[date(2024, 3, 18)] == 23  # 23:00 in UTC the day before
    assert begins[date(2024, 4, 1)] == 15 * 24 - 2  # in summer 22:00
    assert date(2024, 3, 31) not in begins  # it has 23 hours
    assert date(2024, 3, 17) not in begins  # its first hour is missing
    found = one.drawn_days()
    assert found is not None
    assert found.known_count == 2  # 24 March and 7 April: 22:00 is 21:00 and 20:00 in UTC
    assert found.mean.rate_at(DAY_S + 22 * 3600.0) == ((7 * 24 + 21) + (21 * 24 + 20)) / 2


@pytest.mark.parametrize(
    ("start", "hour", "problem"),
    [
        ("2024-03-31 01:30", 24.5, None),
        ("2024-03-31 03:30", 25.5, None),
        ("2024-03-31 02:30", None, "2024-03-31 02:30 does not exist in Europe/Paris"),
        (
            "2024-10-27 02:30",
            None,
            "02:30 exists twice on that day in Europe/Paris: add its offset",
        ),
        ("2024-10-27 02:30+01:00", 210 * 24 + 25.5, None),
    ],
)
def test_a_date_is_a_local_time_of_the_zone(
    tmp_path: Path, start: str, hour: float | None, problem: str | None
) -> None:
    rows = utc_hours(datetime(2024, 3, 30), 220 * 24)
    one = on(tmp_path, rows, clock={"zone": "Europe/Paris", "start": start})
    if hour is not None:
        assert one.start_s() == hour * 3600.0
        return
    assert problem is not None
    with pytest.raises(ValueError, match=problem):
        one.start_s()


def test_the_coming_start_is_in_the_future_and_right_when_the_clocks_change() -> None:
    night, now = WeekdayStart(6, 2.5 * 3600.0), datetime(2024, 3, 18, 12, tzinfo=UTC)
    coming = coming_moment(night, "Europe/Paris", now)
    assert coming.isoformat() == "2024-03-24T02:30:00+01:00"
    with pytest.raises(ValueError, match="2024-03-31 02:30 does not exist in Europe/Paris"):
        coming_moment(night, "Europe/Paris", coming.astimezone(UTC))
    autumn = coming_moment(night, "Europe/Paris", datetime(2024, 10, 21, tzinfo=UTC))
    assert exists_twice(autumn)
    assert autumn.isoformat() == "2024-10-27T02:30:00+02:00"
    evening = coming_moment(
        WeekdayStart(6, 79200.0), "Europe/Paris", datetime(2024, 3, 26, tzinfo=UTC)
    )
    assert evening.isoformat() == "2024-03-31T22:00:00+02:00"
