"""Intervals, bounds and counts of runs, against published values and scipy's own tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from simulation.study.statistics.means import Difference, interval, paired_difference, t_interval
from simulation.study.statistics.new_study import PROPOSAL_NUMBER, propose_new_study
from simulation.study.statistics.number_of_runs import misses_of
from simulation.study.statistics.proportions import (
    answer_of,
    answer_so_far,
    clopper_pearson,
    confirmation_confidence,
    confirmation_runs,
    fewest_runs,
    fresh_seed,
    next_look,
)

SHARES = st.floats(0.05, 0.99)
CONFIDENCES = st.floats(0.5, 0.999)


def test_a_t_interval_is_students() -> None:
    """Mean 5, s = √(10/4), t(4; 0.975) = 2.7764."""
    values = np.array([3.0, 4.0, 5.0, 6.0, 7.0])
    half = 2.7764451 * np.sqrt(2.5 / 5)
    assert t_interval(values) == pytest.approx((5.0, 5.0 - half, 5.0 + half))
    assert t_interval(np.array([4.0])) == (4.0, None, None)


def test_an_interval_leaves_out_runs_without_the_figure() -> None:
    found = interval([1.0, None, 3.0])
    assert (found.mean, found.run_low, found.run_high) == (2.0, 1.0, 3.0)
    assert interval([None]).mean is None


def test_differences_are_taken_run_by_run() -> None:
    ones, others = [10.0, 21.0, None, 32.0], [9.0, 20.0, 1.0, 31.0]
    assert paired_difference(ones, others) == Difference(1.0, 1.0, 1.0)
    assert paired_difference([None], [1.0]) == Difference(None, None, None)


@given(st.integers(1, 400), st.data(), CONFIDENCES)
def test_bounds_are_those_of_scipys_binomial_test(
    trials: int, data: st.DataObject, confidence: float
) -> None:
    good = data.draw(st.integers(0, trials))
    lower, upper = clopper_pearson(good, trials, confidence)
    expected = [
        stats.binomtest(good, trials, alternative="greater").proportion_ci(confidence, "exact").low,
        stats.binomtest(good, trials, alternative="less").proportion_ci(confidence, "exact").high,
    ]
    assert (lower, upper) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("share", "confidence", "failures", "runs"),
    [
        (0.95, 0.95, 0, 59),
        (0.95, 0.95, 1, 93),
        (0.95, 0.95, 2, 124),
        (0.90, 0.95, 0, 29),
        (0.99, 0.95, 0, 299),
        (0.95, 0.99, 0, 90),
        (0.40, 0.95, 0, 4),
    ],
)
def test_the_fewest_runs_are_those_of_the_tables(
    share: float, confidence: float, failures: int, runs: int
) -> None:
    """Wilks' numbers (1941): one-sided tolerance limits without, with one and with two exceedances."""
    assert fewest_runs(share, confidence, failures) == runs
    assert answer_of(runs - failures, runs, share, confidence) == "meets"
    assert answer_of(runs - 1 - failures, runs - 1, share, confidence) == "undecided"


@pytest.mark.parametrize(
    ("good", "runs", "answer"),
    [(60, 60, "meets"), (59, 60, "undecided"), (10, 10, "undecided"), (8, 10, "undecided"),
     (7, 10, "fails"), (0, 2, "fails"), (0, 1, "undecided")],
)  # fmt: skip
def test_an_answer_needs_its_bound(good: int, runs: int, answer: str) -> None:
    assert answer_of(good, runs, 0.95, 0.95) == answer


@pytest.mark.parametrize(
    ("good", "runs", "proposed"),
    [(58, 59, (994, 31)), (176, 181, (1669, 59)), (57, 60, None), (180, 190, None)],
)
def test_after_an_undecided_answer_a_stricter_study_on_a_fresh_seed_is_proposed(
    good: int, runs: int, proposed: tuple[int, int] | None
) -> None:
    study = propose_new_study(good, runs, 0.95, 0.95, 1)
    assert (None if study is None else (study.runs, study.misses)) == proposed
    if study is not None:
        assert study.confidence == 0.9975
        assert study.seed not in {1, *(fresh_seed(1, number) for number in range(1, 6))}
        assert misses_of(study.runs, 0.95, study.confidence) == study.misses


@pytest.mark.parametrize(
    ("good", "runs", "proposed"),
    [(1, 1, (181, 4)), (4, 4, (181, 4)), (58, 58, (181, 4)), (57, 58, (506, 17)), (3, 4, None)],
)
def test_after_too_few_runs_to_show_anything_the_confidence_stays(
    good: int, runs: int, proposed: tuple[int, int] | None
) -> None:
    study = propose_new_study(good, runs, 0.95, 0.95, 1)
    assert (None if study is None else (study.runs, study.misses)) == proposed
    if study is not None:
        assert study.confidence == 0.95
        assert study.seed == fresh_seed(1, PROPOSAL_NUMBER)


@pytest.mark.parametrize(
    ("share", "confidence", "proposed"),
    [
        (0.95, 0.9975, (267, 4)),  # the second study was asked for with too few runs
        (0.5, 0.9, (20, 6)),
        (0.999, 0.95, (2995, 0)),
        (0.9995, 0.95, None),
    ],
)
def test_where_all_of_too_few_runs_meet_a_planned_number_is_proposed(
    share: float, confidence: float, proposed: tuple[int, int] | None
) -> None:
    study = propose_new_study(2, 2, share, confidence, 1)
    assert (None if study is None else (study.runs, study.misses)) == proposed


def test_whoever_follows_every_proposal_errs_in_at_most_5_3_percent() -> None:
    confidence, errors = 0.95, 0.0
    for _ in range(20):
        errors += 1 - confidence
        study = propose_new_study(999, 1000, 0.95, confidence, 1)
        if study is None:
            break
        confidence = study.confidence
    assert errors <= 0.053


@given(st.integers(10, 500), st.data(), SHARES, CONFIDENCES)
def test_looks_grow_and_end(
    runs: int, data: st.DataObject, share: float, confidence: float
) -> None:
    failures = data.draw(st.integers(0, min(5, runs)))
    most = data.draw(st.integers(runs, 2000))
    following = next_look(runs - failures, runs, share, confidence, most)
    assert runs <= following <= most
    assert following > runs or runs == most
    assert following <= max(runs + 1, 2 * runs)


@given(st.integers(0, 3), st.integers(10, 300), SHARES, CONFIDENCES)
def test_a_confirmation_probably_succeeds_or_is_as_long_as_may_be(
    failures: int, trials: int, share: float, confidence: float
) -> None:
    good = trials - min(failures, trials)
    most = 400
    runs = confirmation_runs(good, trials, share, confidence, most=most)
    fails = 1 - (good + 0.5) / (trials + 1)
    allowed = max(k for k in range(runs) if fewest_runs(share, confidence, k) <= runs)
    power = stats.binom.cdf(allowed, runs, fails)
    assert power >= 0.9 or fewest_runs(share, confidence, allowed + 1) > most
    assert answer_of(runs, runs, share, confidence) == "meets"


@pytest.mark.parametrize(("number", "error"), [(1, 0.045), (2, 0.0045), (3, 0.00045)])
def test_confirmations_share_the_error_probability(number: int, error: float) -> None:
    assert confirmation_confidence(0.95, number) == pytest.approx(1 - error, abs=1e-12)
    spent = sum(1 - confirmation_confidence(0.95, k) for k in range(1, 30))
    assert spent <= 0.05 + 1e-12


def test_fresh_seeds_are_nobodys_neighbours() -> None:
    seeds = {fresh_seed(seed, number) for seed in range(1, 200) for number in range(1, 6)}
    assert len(seeds) == 199 * 5
    assert not seeds & set(range(1000))
    assert fresh_seed(1, 1) == fresh_seed(1, 1)


@given(st.integers(1, 40), st.data())
def test_an_answer_before_the_last_run_is_the_one_that_comes_out(planned: int, data: Any) -> None:
    """Every way in which the missing runs may go leads to it; where two lead apart nothing is said."""
    trials = data.draw(st.integers(0, planned))
    successes = data.draw(st.integers(0, trials))
    share = data.draw(st.sampled_from([0.4, 0.8, 0.95]))
    rest = planned - trials
    ends = {answer_of(successes + more, planned, share, 0.95) for more in range(rest + 1)}
    said = answer_so_far(successes, trials, planned, share, 0.95)
    assert said == (next(iter(ends)) if len(ends) == 1 else "undecided")


@pytest.mark.parametrize(
    ("successes", "trials", "said"),
    [(3, 3, "undecided"), (59, 59, "undecided"), (60, 60, "meets"), (59, 60, "undecided"),
     (0, 1, "undecided"), (0, 7, "fails"), (20, 30, "fails")],
)  # fmt: skip
def test_of_sixty_runs_at_95_percent(successes: int, trials: int, said: str) -> None:
    assert answer_so_far(successes, trials, 60, 0.95, 0.95) == said
