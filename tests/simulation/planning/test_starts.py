"""The starts that a search tries."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from executor.base.errors import BadInput
from simulation.planning.starts import busiest_of, parse_starts, siblings_of, starts_of
from simulation.scenario.inputs.days import WEEKDAYS
from simulation.study.case import cases_of
from tests.helpers.scenarios import scenario

DAILY = {"daily": {"low": "10/s", "high": "60/s", "peak": "12:00"}}


@pytest.mark.parametrize(
    ("text", "starts"),
    [
        ("18:00", ["18:00"]),
        ("90m", [5400.0]),
        ("every:8h", ["00:00:00", "08:00:00", "16:00:00"]),
        ("02:00..03:00/30m", ["02:00:00", "02:30:00", "03:00:00"]),
        ("02:00..02:50/30m", ["02:00:00", "02:30:00"]),
        ("23:30..00:30/30m", ["23:30:00", 86400.0, 88200.0]),
        ("0s..1s/500ms", ["00:00:00", 0.5, "00:00:01"]),
    ],
)
def test_a_word_says_one_start_or_many(text: str, starts: list[float | str]) -> None:
    assert parse_starts(text, scenario(rate=DAILY)) == starts


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("every:0s", "the step between starts must be above 0"),
        ("every:7", "a duration needs a unit, such as 7s"),
        ("every:1s", "must be at most 10,000 starts, not 86,400"),
        ("02:00..06:00", "a range of starts needs its step, such as 02:00..06:00/10m"),
        ("3d..1d/1h", "a range of starts must not end before it begins"),
        ("late", "must be an offset such as 90m"),
        ("", "must be an offset such as 90m"),
    ],
)
def test_what_is_no_start_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_starts(text, scenario(rate=DAILY))


def weeks(folder: Path, days: int) -> dict[str, str]:
    path = folder / "weeks.csv"
    rows = "".join(f"2024-01-{1 + k // 24:02d}T{k % 24:02d}:00:00,{k}\n" for k in range(24 * days))
    path.write_text(f"time,requests\n{rows}")
    return {"trace": str(path)}


@pytest.mark.parametrize(
    ("text", "starts"),
    [
        ("tue 22:00", ["tue 22:00"]),
        ("Tue/22:00", ["tue 22:00"]),
        ("fri..mon/03:00", ["fri 03:00", "sat 03:00", "sun 03:00", "mon 03:00"]),
        ("tue/22:00..01:00/1h", ["tue 22:00", "tue 23:00", "wed 00:00", "wed 01:00"]),
        (
            "sat..sun 23:30..00:15/30m",
            ["sat 23:30", "sun 00:00", "sun 23:30", "mon 00:00"],
        ),
        ("every:12h", [f"{day} {at}" for day in WEEKDAYS for at in ("00:00", "12:00")]),
        ("2024-01-09T22:00", ["2024-01-09 22:00:00"]),
    ],
)
def test_starts_on_a_trace_of_weeks_are_those_of_the_coming_week(
    tmp_path: Path, text: str, starts: list[str]
) -> None:
    assert parse_starts(text, scenario(rate=weeks(tmp_path, 14))) == starts


def test_a_weekday_without_a_whole_day_is_left_out_of_every(tmp_path: Path) -> None:
    one = scenario(rate=weeks(tmp_path, 8))
    path = tmp_path / "weeks.csv"
    path.write_text(path.read_text().replace("2024-01-03T05:00:00,53\n", ""))
    again = scenario(rate={"trace": str(path)})
    assert "wed 00:00" in parse_starts("every:24h", one)
    assert "wed 00:00" not in parse_starts("every:24h", again)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("02:00..06:00/1h", "a trace of a week or more needs a weekday, such as tue 02:00"),
        ("tue/22:00..05:00", "a range of starts needs its step, such as tue/22:00..05:00/30m"),
        ("tue/late", "must be a weekday and time such as tue 22:00 or tue..thu/22:00"),
        ("mon..sun/00:00..23:59/1s", "must be at most 10,000 starts, not 604,387"),
        ("tue/22:00..05:00/0s", "the step between starts must be above 0"),
    ],
)
def test_what_is_no_start_of_the_coming_week_is_refused(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        parse_starts(text, scenario(rate=weeks(tmp_path, 14)))


def traced(folder: Path, minutes: int) -> dict[str, str]:
    path = folder / "trace.csv"
    rows = "".join(f"2024-05-01T{22 + m // 60:02d}:{m % 60:02d}:00,{m}\n" for m in range(minutes))
    path.write_text(f"time,requests\n{rows}")
    return {"trace": str(path)}


def test_every_goes_through_the_whole_trace_and_not_beyond(tmp_path: Path) -> None:
    one = scenario(rate=traced(tmp_path, 90))
    assert parse_starts("every:45m", one) == ["2024-05-01 22:00:00", "2024-05-01 22:45:00"]
    assert parse_starts("2024-05-01 22:10..2024-05-01 22:30/20m", one) == [
        "2024-05-01 22:10:00",
        "2024-05-01 22:30:00",
    ]


def test_an_option_says_each_start_once() -> None:
    one = scenario(rate=DAILY)
    assert starts_of("00:00:00,every:12h", "--starts", one) == ["00:00:00", "12:00:00"]
    assert starts_of(None, "--starts", one) == []
    with pytest.raises(BadInput, match="--starts 02:00,: nothing: must be an offset"):
        starts_of("02:00,", "--starts", one)


CLOSED = {"arrivals": "closed", "rate": None, "clients": {"count": 50, "think_time": "1s"}}
FREEZE = {"window": 1, "freeze": [["08:00", "10:00"]]}


@pytest.mark.parametrize(
    ("parts", "rate"),
    [
        pytest.param({"rate": "24/s"}, "24", id="a number"),
        pytest.param({"rate": {"steps": [["0h", "24/s"], ["9h", "24/s"]]}}, "24", id="steps"),
        pytest.param(
            {"rate": {"daily": {"low": "8/s", "high": "8/s", "peak": "12:00"}}}, "8", id="day"
        ),
        pytest.param({"traffic": CLOSED}, "47.619", id="clients that wait for their answers"),
        pytest.param({"rate": "0.5/s", "rollout": {"window": 1}}, "0.5", id="a rollout"),
    ],
)
def test_several_starts_are_refused_where_none_differs(parts: dict[str, Any], rate: str) -> None:
    one = scenario(**parts)
    refusal = (
        f"--starts every:8h: must be one start: traffic is the same at every time ({rate} requests/s), "
        "so every start gives the same result"
    )
    with pytest.raises(BadInput, match=re.escape(refusal)):
        starts_of("every:8h", "--starts", one)
    assert starts_of("09:00", "--starts", one) == ["09:00"]


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param({"rate": "24/s", "rollout": FREEZE}, id="a freeze"),
        pytest.param({"rate": {"steps": [["0h", "24/s"], ["9h", "25/s"]]}}, id="steps"),
        pytest.param({"rate": DAILY}, id="day"),
        pytest.param({"rate": {"timestamps": [0.0, 1.0, 2.0]}}, id="timestamps end"),
    ],
)
def test_starts_are_compared_where_one_may_differ(parts: dict[str, Any]) -> None:
    assert len(starts_of("0s,1s", "--starts", scenario(**parts))) == 2


def test_starts_on_a_constant_trace_differ_because_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "flat.csv"
    path.write_text("time,rate\n0,5\n60,5\n120,5\n")
    assert len(starts_of("0s,1m", "--starts", scenario(rate={"trace": str(path)}))) == 2


def test_siblings_differ_in_their_start_alone() -> None:
    one = scenario(rate=DAILY, rollout={"window": 1})
    cases = cases_of(one, [1, 2], starts=["01:00", "02:00", "03:00"])
    candidates = [case.candidate for case in cases]
    assert [candidates[n].window for n in siblings_of(candidates, 1)] == [2, 2, 2]
    assert siblings_of(candidates, 0) == [0, 2, 4]


@pytest.mark.parametrize(
    ("lasts_s", "busiest"),
    [(60.0, 2), (3 * 3600.0, 1)],
)
def test_the_busiest_start_is_that_of_the_highest_rate_meanwhile(
    lasts_s: float, busiest: int
) -> None:
    rates = {"steps": [["0h", "10/s"], ["6h", "20/s"], ["8h", "90/s"], ["9h", "30/s"]]}
    starts = ["1h", "330m", "10h"]
    scenarios = [scenario(rate=rates, clock={"start": start}) for start in starts]
    assert busiest_of(scenarios, lasts_s) == busiest
