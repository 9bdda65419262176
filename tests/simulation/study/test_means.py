"""Intervals of figures over runs: known values, what they never do, and how often they cover."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from simulation.results.run_result import LOSS_COUNTS, METRICS, RARE_FRACTIONS
from simulation.study.statistics.means import (
    MOST_RESAMPLED,
    bootstrap_interval,
    interval,
    poisson_interval,
    single_run_range,
    t_interval,
)
from simulation.study.statistics.occurrence import occurrence

COUNTS = st.lists(st.integers(0, 3000).map(float), min_size=2, max_size=40)
FRACTIONS = st.lists(st.floats(0, 1), min_size=2, max_size=40)


def test_every_metric_that_is_named_exists() -> None:
    assert set(METRICS) >= LOSS_COUNTS | RARE_FRACTIONS


@pytest.mark.parametrize(
    ("total", "low", "high"), [(0, 0.0, 3.689), (1, 0.0253, 5.572), (10, 4.795, 18.390)]
)
def test_a_poisson_mean_has_the_interval_of_the_tables(total: int, low: float, high: float) -> None:
    """Garwood's table of 1936, for one run."""
    assert np.array(poisson_interval(total, 1)) == pytest.approx([low, high], abs=1e-3)
    assert np.array(poisson_interval(total, 8)) == pytest.approx([low / 8, high / 8], abs=1e-3)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_bootstrapped_interval_is_scipys(seed: int) -> None:
    values = np.random.default_rng(seed).lognormal(size=60)
    ours = bootstrap_interval(values)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(seed)
    ).confidence_interval
    assert np.array(ours) == pytest.approx(np.array(theirs), rel=0.04)


def test_a_bootstrap_of_many_studies_is_that_of_each() -> None:
    values = np.random.default_rng(1).exponential(size=(30, 4))
    low, high = bootstrap_interval(values)
    for study in range(4):
        alone = [*map(float, bootstrap_interval(values[:, study]))]
        assert [low[study], high[study]] == pytest.approx(alone)


@pytest.mark.parametrize("name", ["failed_requests", "error_fraction"])
def test_where_nothing_was_seen_there_is_no_upper_end(name: str) -> None:
    figure = interval([0.0] * 60, name)
    assert (figure.mean, figure.low, figure.high) == (0.0, 0.0, None)


def test_losses_that_come_alone_are_poisson_and_clusters_are_resampled() -> None:
    alone = [0.0, 1.0, 0.0, 2.0, 1.0, 0.0, 1.0, 0.0]
    figure = interval(alone, "failed_requests")
    assert [figure.low, figure.high] == [*map(float, poisson_interval(5, 8))]
    clusters = [0.0, 0.0, 0.0, 8.0, 0.0, 16.0, 0.0, 0.0]
    figure = interval(clusters, "failed_requests")
    assert [figure.low, figure.high] == [*map(float, bootstrap_interval(np.array(clusters)))]
    assert figure.low is not None
    assert figure.low >= 0


def test_a_duration_has_students_interval() -> None:
    values = np.array([1.0, 2.0, 4.0])
    figure = interval(list(values), "rollout_duration_s")
    assert (figure.mean, figure.low, figure.high) == pytest.approx(t_interval(values))


@given(FRACTIONS, st.sampled_from(sorted(name for name in METRICS if name.endswith("_fraction"))))
def test_a_fraction_stays_a_fraction(values: list[float], name: str) -> None:
    figure = interval(values, name)
    assert figure.mean is not None
    assert figure.low is not None
    assert 0 <= figure.low <= figure.mean
    assert figure.high is None or figure.mean <= figure.high <= 1


@pytest.mark.parametrize("count", [MOST_RESAMPLED + 1])
def test_a_fraction_of_very_many_runs_stays_one_too(count: int) -> None:
    values = np.zeros(count)
    values[0] = 1.0
    figure = interval(list(values), "error_fraction")
    assert figure.low == 0.0
    assert figure.high is not None
    assert figure.high < 0.001


@given(COUNTS, st.sampled_from(sorted(LOSS_COUNTS)))
def test_a_count_is_never_below_zero_and_its_interval_holds_it(
    values: list[float], name: str
) -> None:
    figure = interval(values, name)
    assert figure.mean is not None
    assert figure.low is not None
    assert 0 <= figure.low <= figure.mean
    assert figure.high is None or figure.mean <= figure.high


def test_ranks_hold_single_runs() -> None:
    assert single_run_range(np.arange(1.0, 20.0)) == (1.0, 19.0)
    low, high = single_run_range(np.arange(1.0, 60.0))
    assert (low, high) == pytest.approx((3.0, 57.0))
    assert single_run_range(np.array([4.0])) == (4.0, 4.0)


@pytest.mark.parametrize("runs", [19, 59, 181])
def test_nine_of_ten_further_runs_lie_in_the_range(runs: int) -> None:
    values = np.random.default_rng(1).lognormal(size=(2000, runs + 1))
    ranges = [single_run_range(row[:-1]) for row in values]
    held = np.mean(
        [low <= row[-1] <= high for (low, high), row in zip(ranges, values, strict=True)]
    )
    assert 0.88 <= held <= 0.92


@pytest.mark.parametrize(("size", "least"), [(1, 0.94), (8, 0.92), (1000, 0.92)])
def test_the_mean_of_rare_losses_is_covered(size: int, least: float) -> None:
    """1,000 studies of 181 runs with 0.1 clusters a run; the exact figures are in docs/statistics.md."""
    clusters = np.random.default_rng(1).poisson(0.1, (1000, 181))
    covered = 0
    for row in clusters:
        figure = interval(list(size * row.astype(float)), "failed_requests")
        assert figure.low is not None
        covered += figure.low <= 0.1 * size <= (np.inf if figure.high is None else figure.high)
    assert covered / 1000 >= least


def test_in_how_many_runs_any_occurred_has_the_exact_interval() -> None:
    found = occurrence([0.0] * 60)
    assert found is not None
    assert (found.runs_with_any, found.runs) == (0, 60)
    assert found.at_most_fraction == pytest.approx(1 - 0.05 ** (1 / 60))
    assert found.high_fraction == pytest.approx(1 - 0.025 ** (1 / 60))
    some = occurrence([None, *[0.0] * 50, *[7.0] * 9])
    assert some is not None
    exact = stats.binomtest(9, 59).proportion_ci(0.95, "exact")
    assert (some.low_fraction, some.high_fraction) == pytest.approx((exact.low, exact.high))
    assert occurrence([None]) is None
