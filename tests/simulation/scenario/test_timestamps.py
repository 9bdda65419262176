"""Timestamps: logs in various formats, counted into rates, replayed, and embedded in a plan."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from executor.base.errors import BadInput
from simulation.planning.make_plan import self_contained
from simulation.scenario.model import Scenario
from simulation.scenario.timestamps import read_timestamps, timestamps_of
from simulation.study.case import cases_of
from tests.helpers.scenarios import run_once, scenario

DAY = "2024-05-01"


@pytest.mark.parametrize(
    ("text", "times_s", "first"),
    [
        pytest.param("0.5\n1\n1\n2.25\n", [0.5, 1, 1, 2.25], None, id="seconds"),
        pytest.param("time\n0.5\n3\n", [0.5, 3], None, id="a header"),
        pytest.param("time,path\n0.5,/\n3,/cart\n", [0.5, 3], None, id="more columns"),
        pytest.param(
            f"{DAY}T18:00:00.250\n{DAY} 18:00:01\n", [0, 0.75], f"{DAY} 18:00:00.250000", id="ISO"
        ),
        pytest.param(
            f"at\n{DAY}T18:00:00Z\n{DAY}T20:00:01+02:00\n",
            [0, 1],
            f"{DAY} 18:00:00+00:00",
            id="zones",
        ),
        pytest.param(
            "1714586400.5\n1714586402\n", [0, 1.5], f"{DAY} 18:00:00.500000+00:00", id="epoch"
        ),
    ],
)
def test_logs_are_read_as_they_are_found(
    tmp_path: Path, text: str, times_s: list[float], first: str | None
) -> None:
    plain, packed = tmp_path / "log.csv", tmp_path / "log.csv.gz"
    plain.write_text(text)
    packed.write_bytes(gzip.compress(text.encode()))
    for path in (plain, packed):
        found = read_timestamps(path)
        np.testing.assert_allclose(found.times_s, times_s)
        assert (str(found.first_row) if found.first_row else None) == first


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", "is empty", id="empty"),
        pytest.param("time\n", "is empty", id="header only"),
        pytest.param("1\n2\nx\n", "row 3: must be seconds, got x", id="word"),
        pytest.param("1\n\n2024-05-01 18:00\n", "row 3: must be seconds, got 2024", id="mixed"),
        pytest.param(f"{DAY}\n5\n", "row 2: must be a date and time, got 5", id="mixed again"),
        pytest.param(f"{DAY} 18:00\n{DAY} 18:01Z\n", "row 2: must have a time zone", id="zones"),
        pytest.param("t\n5\n1\n", "row 3: times must not go back, got 1", id="backwards"),
        pytest.param("t\n5\nnan\n", "row 3: must be finite, got nan", id="no time"),
        pytest.param("0\n", "the last time must be after 0", id="nothing after 0"),
        pytest.param("1\n1e8\n", "must not span more than 20,000,000 s", id="far away"),
        pytest.param("1e300\n1e301\n", "first time must be a date, got 1e.300", id="no date"),
    ],
)
def test_a_file_without_timestamps_is_refused_with_a_reason(
    tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "log.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        read_timestamps(path)


def test_damaged_timestamps_are_refused_with_a_reason(tmp_path: Path) -> None:
    path = tmp_path / "log.csv.gz"
    with pytest.raises(ValueError, match=r"cannot read the timestamps .*log\.csv\.gz: No such"):
        read_timestamps(path)
    path.write_bytes(b"1\n2\n")
    with pytest.raises(ValueError, match=r"cannot read the timestamps .*log\.csv\.gz: "):
        read_timestamps(path)


def test_times_are_counted_by_the_second_up_to_the_last() -> None:
    """An incomplete second at the end is joined to the second before it."""
    rates = timestamps_of(np.array([0.1, 0.2, 2.5, 3.0, 3.4, 4.25])).rate_table("log")
    np.testing.assert_allclose(rates.edges_s, [0, 1, 2, 3, 4.25])
    np.testing.assert_allclose(rates.rates_rps, [2, 0, 1, 3 / 1.25])
    assert rates.data_ends_s() == 4.25
    assert "meets the end of the trace 4.25 s after" in rates.why_it_ends(4.25)


TIMES = [0.5 + 0.0625 * k for k in range(2000)]


def replayed(rate: Any, arrivals: str = "replay", **clock: str) -> Scenario:
    return scenario(
        rate=rate,
        steps={"deploy": "3s"},
        service_time={"mean": "50ms", "cv": 1},
        traffic={"arrivals": arrivals},
        rollout={"window": 2, "drain": {"timeout": "1s"}},
        clock={"start": "20.1s", "warm_up": "10.3s", **clock},
    )


def test_a_replay_is_exact() -> None:
    one = replayed({"timestamps": TIMES}, horizon="30s")
    run = run_once(one)
    assert run.table is not None
    expected = np.array(TIMES) - 20.1
    expected = expected[(expected >= -10.3) & (expected < 30.0)]
    np.testing.assert_array_equal(run.table.arrival_s, expected[expected >= 0])
    other = run_once(one, replication=1)
    assert other.table is not None
    np.testing.assert_array_equal(other.table.arrival_s, run.table.arrival_s)
    assert (other.table.finish_s != run.table.finish_s).any()


@pytest.mark.parametrize("arrivals", ["replay", "poisson", "bursty"])
def test_a_plan_embeds_the_stretch_that_it_needs(tmp_path: Path, arrivals: str) -> None:
    """The embedded times give the same result, up to the rounding of the moved times."""
    path = tmp_path / "log.csv"
    path.write_text("".join(f"{time!r}\n" for time in TIMES))
    one = replayed({"timestamps": str(path)}, arrivals, horizon="40s")
    embedded = self_contained(cases_of(one)[0].scenario)
    path.unlink()
    again = Scenario.model_validate(embedded.as_data())
    said = embedded.as_data()["traffic"]["rate"]
    if arrivals == "replay":
        assert len(said["timestamps"]) == pytest.approx(50.3 * 16, abs=3)
        assert said["timestamps"][-1] > 40.0
    else:
        assert "steps" in said
    runs = [run_once(each) for each in (one, again)]
    tables = [run.table for run in runs]
    assert tables[0] is not None
    assert tables[1] is not None
    if arrivals == "replay":
        np.testing.assert_array_equal(tables[0].arrival_s, tables[1].arrival_s)
    np.testing.assert_allclose(tables[0].finish_s, tables[1].finish_s, rtol=0, atol=1e-9)


def test_a_rate_of_timestamps_is_followed_by_poisson_arrivals() -> None:
    """16/s for 90 s are 1,440 requests; four standard deviations (√1,440) are allowed."""
    run = run_once(replayed({"timestamps": TIMES}, "poisson", horizon="90s"))
    assert run.requests["arrived"] == pytest.approx(1440, abs=4 * 38)


def test_a_run_that_needs_more_than_the_log_is_refused() -> None:
    with pytest.raises(BadInput, match=r"meets the end of the trace 105\.338 s after"):
        run_once(replayed({"timestamps": TIMES}, horizon="200s"))
    with pytest.raises(BadInput, match="outside the traffic, past its end"):
        run_once(replayed({"timestamps": TIMES}, start="300s"))
