"""Rates over time, and traces in their various formats."""

from __future__ import annotations

import gzip
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from executor.base.errors import BadInput
from simulation.results.run_result import Ending
from simulation.scenario.rates import clock_label, read_trace, start_second
from tests.helpers.scenarios import run_once, scenario


@pytest.mark.parametrize(
    ("text", "rates", "first"),
    [
        pytest.param(
            "timestamp,requests\n2024-01-01 10:00:00,60\n2024-01-01 10:01:00,120\n",
            [1.0, 2.0],
            "2024-01-01 10:00:00",
            id="counts a minute",
        ),
        pytest.param("second,requests\n0,3\n1,5\n2,4\n", [3.0, 5.0, 4.0], None, id="seconds"),
        pytest.param("time,rate\n0,3\n60,5\n", [3.0, 5.0], None, id="rates"),
        pytest.param(
            "t,n\n0,60\n60,60\n120,60\n240,120\n", [1, 1, 1, math.nan, 2], None, id="a gap"
        ),
        pytest.param(
            "t,n\n2024-01-01T10:00:00Z,1\n2024-01-01T10:00:01Z,2\n",
            [1.0, 2.0],
            "2024-01-01 10:00:00+00:00",
            id="ISO with a zone",
        ),
    ],
)
def test_traces_are_read_as_they_are_found(
    tmp_path: Path, text: str, rates: list[float], first: str | None
) -> None:
    plain, packed = tmp_path / "trace.csv", tmp_path / "trace.csv.gz"
    plain.write_text(text)
    packed.write_bytes(gzip.compress(text.encode()))
    for path in (plain, packed):
        trace = read_trace(path)
        np.testing.assert_allclose(trace.rates(1.0, "trace").rates_rps, rates)
        assert (str(trace.first_row) if trace.first_row else None) == first
    np.testing.assert_allclose(read_trace(plain).rates(0.5, "x").rates_rps, np.array(rates) / 2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", "is empty", id="empty"),
        pytest.param("time,rate\n", "is empty", id="header only"),
        pytest.param("time,rate\n0,1\n", "two rows", id="one row"),
        pytest.param("time,rate\n0,1\n1,x\n", "row 3: must be time,count, got 1,x", id="word"),
        pytest.param("time,rate\n0,1\n1,-2\n", "row 3: a count must not be negative", id="minus"),
        pytest.param("time,rate\n5,1\n1,2\n", "row 3: times must not go back", id="backwards"),
        pytest.param("time\n5\n6\n", "is empty", id="one column"),
        pytest.param("time,rate\n\n\n0,1\n\n1,x\n", "row 6: must be time", id="empty rows"),
        pytest.param("time,rate\nnan,1\n1,2\n", "row 2: must be finite, got nan", id="no time"),
        pytest.param("time,rate\n0,1\n1,inf\n", "row 3: must be finite, got 1,inf", id="no end"),
        pytest.param("time,rate\n0,1\n0,1\n", "two different times", id="one time"),
        pytest.param("time,rate\n0,1\n1,1\n1e15,1\n", "too long for rows 1 s", id="far away"),
        pytest.param(f"time,rate\n0,{'1' * 200_000}\n", "larger than field limit", id="no table"),
    ],
)
def test_a_file_that_is_no_trace_is_refused_with_a_reason(
    tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        read_trace(path)


def test_a_damaged_trace_is_refused_with_a_reason(tmp_path: Path) -> None:
    packed = gzip.compress(b"time,rate\n" + b"".join(b"%d,4\n" % k for k in range(300)))
    damaged = packed[:20] + bytes(byte ^ 255 for byte in packed[20:40]) + packed[40:]
    for content in (damaged, packed[:-20], b"time,rate\n0,1\n"):
        path = tmp_path / "trace.csv.gz"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"cannot read the trace .*trace\.csv\.gz: "):
            read_trace(path)


@pytest.mark.parametrize(
    ("start", "expected_s"),
    [
        (90.0, 90.0),
        ("18:00", 8 * 3600.0),
        ("09:00", 23 * 3600.0),
        ("2024-01-02 10:00", 86_400.0),
    ],
)
def test_a_start_is_found_on_the_traces_clock(start: float | str, expected_s: float) -> None:
    from datetime import datetime

    first_row = datetime(2024, 1, 1, 10, 0)
    assert start_second(start, first_row) == expected_s
    label = clock_label(expected_s, first_row)
    assert label.startswith("2024-01-0")


def gap_scenario(tmp_path: Path, start: str) -> Any:
    rows = [f"2024-01-01 10:{minute:02d}:00,600" for minute in range(20) if minute != 10]
    (tmp_path / "trace.csv").write_text("time,count\n" + "\n".join(rows) + "\n")
    return scenario(
        rate={"trace": str(tmp_path / "trace.csv")},
        steps={"deploy": "20s"},
        rollout={"window": 2, "drain": {"timeout": "1s"}},
        clock={"start": start},
    )


def test_a_gap_is_refused_only_when_the_simulated_interval_meets_it(tmp_path: Path) -> None:
    run = run_once(gap_scenario(tmp_path, "10:03"))
    assert run.ended == Ending.DONE
    with pytest.raises(BadInput, match=r"meets a gap in the trace 30 s after.*10:10:00"):
        run_once(gap_scenario(tmp_path, "10:09:30"))
    with pytest.raises(BadInput, match="meets the end of the trace 30 s after"):
        run_once(gap_scenario(tmp_path, "10:19:30"))
    with pytest.raises(BadInput, match="outside the traffic"):
        run_once(gap_scenario(tmp_path, "30m"))
