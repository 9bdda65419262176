"""Series of requests: their step, gaps, the busiest interval for a rollout, and the trace file."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulation.importers.series import Series, count_series, whole_step_s
from simulation.scenario.rates import read_trace


@pytest.mark.parametrize(
    ("rate_rps", "step_s"), [(200.0, 1), (60.0, 2), (20.0, 5), (1.0, 120), (0.04, 3600)]
)
def test_the_step_holds_a_hundred_requests(rate_rps: float, step_s: int) -> None:
    assert whole_step_s(np.arange(0, 40_000, 1 / rate_rps)) == step_s


def test_silence_is_a_gap_where_it_cannot_be_chance() -> None:
    times = np.concatenate([np.arange(0, 600, 0.5), np.arange(1200, 1800, 0.5)])
    (series,) = count_series([times], None)
    assert series.step_s == 60
    assert np.isnan(series.counts).sum() == 10
    assert series.gap_count == 1
    assert series.mean_rps == 2.0


def test_idle_nights_are_zeros() -> None:
    """With one request per hour, an hour without a request is not a gap."""
    (series,) = count_series([np.array([0.0, 4000.0, 8000.0, 20_000.0, 30_000.0])], None)
    assert series.gap_count == 0
    assert 0 in series.counts


def test_the_busiest_moment_with_room() -> None:
    counts = np.array([1.0, 9, 1, np.nan, 1, 1, 5, 6, 1, 1, 8])
    series = Series(60.0, counts)
    assert series.busiest_start_s(0, 60) == 60.0
    assert series.busiest_start_s(120, 120) == 6 * 60.0  # after a gap it needs a warm-up
    assert series.busiest_start_s(0, 3600) is None


@given(
    st.lists(st.one_of(st.integers(0, 10_000), st.none()), min_size=3, max_size=60),
    st.booleans(),
)
@settings(deadline=None, max_examples=50)
def test_a_trace_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, told: list[int | None], dated: bool
) -> None:
    counts = np.array([0.0, 0.0, *(np.nan if one is None else float(one) for one in told), 7.0])
    series = Series(60.0, counts, datetime(2024, 5, 1) if dated else None)
    if not series.is_a_trace():
        return
    path: Path = tmp_path_factory.mktemp("trace") / "rate.csv"
    path.write_text(series.trace_text())
    read = read_trace(path)
    assert read.interval_s == 60.0
    assert read.first_row == series.first
    assert np.array_equal(read.values, counts, equal_nan=True)
