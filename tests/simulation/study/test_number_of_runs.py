"""The number of runs of a study: fixed before it starts, by what is asked and what it costs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from executor.base.errors import BadInput
from simulation.scenario.file import ScenarioFile
from simulation.scenario.model import Scenario
from simulation.study.candidates import default_windows
from simulation.study.case import cases_of
from simulation.study.statistics.number_of_runs import BUDGET_S, RunsReason, misses_of, planned_runs
from simulation.study.statistics.proportions import clopper_pearson
from studio.resources import scenarios_dir
from tests.helpers.scenarios import small_shop


def shop(rate: str = "20/s", **objectives: object) -> Scenario:
    return small_shop(rate=rate, objectives=objectives).model_copy(update={"replications": None})


@pytest.mark.parametrize(
    ("rate", "planned", "reason"),
    [
        ("20/s", (181, 4), RunsReason.MOST),
        ("40000/s", (124, 2), RunsReason.COST),
        ("100000/s", (59, 0), RunsReason.COST),
    ],
)
def test_a_study_has_as_many_runs_as_it_may_cost(
    rate: str, planned: tuple[int, int], reason: RunsReason
) -> None:
    one = shop(rate)
    found = planned_runs(one, cases_of(one, (1, 2)))
    assert (found.count, found.misses) == planned
    assert found.reason == reason


def test_more_candidates_cost_more() -> None:
    one = shop()
    few, many = (planned_runs(one, cases_of(one, windows)) for windows in ((1,), (1, 2, 3)))
    assert few.forecast_s < many.forecast_s


def test_the_number_that_is_asked_for_wins() -> None:
    one = shop("100000/s").model_copy(update={"replications": 500})
    found = planned_runs(one, cases_of(one))
    assert (found.count, found.misses, found.reason) == (500, 16, RunsReason.ASKED)
    few = one.model_copy(update={"replications": 20})
    assert planned_runs(few, cases_of(few)).misses is None


@pytest.mark.parametrize(
    ("in_runs", "confidence", "count"),
    [("99%", "95%", 913), ("90%", "90%", 78), ("40%", "95%", 20)],
)
def test_other_objectives_follow_the_same_rule(in_runs: str, confidence: str, count: int) -> None:
    one = shop(in_runs=in_runs, confidence=confidence)
    assert planned_runs(one, cases_of(one)).count == count


def test_objectives_that_no_study_can_show_are_refused() -> None:
    one = shop(in_runs="99.9999%")
    with pytest.raises(BadInput, match=r"objectives\.in_runs: 99\.999900% .* cannot be shown"):
        planned_runs(one, cases_of(one))


@given(st.integers(1, 600), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_one_more_miss_is_one_too_many(runs: int, share: float) -> None:
    misses = misses_of(runs, share, 0.95)
    least = 0 if misses is None else misses + 1
    assert clopper_pearson(runs - least, runs, 0.95)[0] < share
    assert misses is None or clopper_pearson(runs - misses, runs, 0.95)[0] >= share


def test_one_look_errs_in_at_most_5_percent_and_shows_a_good_window() -> None:
    """Exact probabilities: 181 runs, at most 4 misses."""
    assert stats.binom.cdf(4, 181, 0.05) == pytest.approx(0.0492, abs=1e-4)
    assert stats.binom.cdf(4, 181, 0.01) == pytest.approx(0.964, abs=1e-3)


def test_the_shipped_example_has_the_most_runs_and_answers_within_the_budget() -> None:
    one = ScenarioFile.load(scenarios_dir() / "checkout-evening.yaml").scenario
    found = planned_runs(one, cases_of(one, default_windows(one).windows))
    assert (found.count, found.reason) == (181, RunsReason.MOST)
    assert found.forecast_s <= BUDGET_S
