"""A figure and its limit are of one quantity, wherever both are shown; a limit holds as the verdict says."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from simulation.results.run_result import RunResult
from simulation.scenario.file import ScenarioFile
from simulation.study.candidate_result import CandidateResult, candidate_result
from simulation.study.case import cases_of
from simulation.study.compare import Comparison, compare, front_of
from simulation.study.execution import Execution
from simulation.study.rows import Row, run_rows
from simulation.study.verdict import broken_objectives
from studio.views.facts import facts
from studio.views.figures_text import percent_text
from studio.views.headline import four_figures
from studio.views.trade_off import RISKS, holding_front, region_of
from tests.helpers.command_line import SHOP

STILL = (
    SHOP[: SHOP.index("rollout:")]
    + SHOP[SHOP.index("objectives:") :].replace("  duration: 30s\n", "")
).replace("traffic:", "clock: {horizon: 20s}\ntraffic:")


@cache
def compared(text: str, *windows: int) -> Comparison:
    scenario = ScenarioFile.parse(text).scenario
    cases = cases_of(scenario, windows)
    return compare(scenario, cases, list(run_rows(scenario, cases, Execution(jobs=1))))


def with_metrics(comparison: Comparison, index: int, **values: float) -> CandidateResult:
    """A candidate whose every run has other figures, judged anew."""
    result = comparison.candidates[index]
    runs = tuple(
        replace(run, metrics={**run.metrics, **values}, stretches=()) for run in result.runs
    )
    return candidate_result(result.case, runs)


def with_candidates(comparison: Comparison, *results: CandidateResult) -> Comparison:
    return replace(comparison, candidates=results)


def test_requests_lost_is_the_share_of_a_rollout_that_its_limit_is_about() -> None:
    comparison = compared(SHOP, 1, 2)
    result = with_metrics(comparison, 1, rollout_error_fraction=0.024)
    lost = four_figures(result, comparison.scenario.objectives, 6)[3]
    assert lost.name == "Lost per rollout"
    assert lost.figure == "2.4 %"
    assert lost.under == "2.4 % · limit 1 %"
    assert lost.is_within is False


def test_requests_lost_without_a_limit_is_the_same_quantity() -> None:
    comparison = compared(SHOP.replace("  error_fraction: 1%\n", ""), 1, 2)
    result = with_metrics(comparison, 1, rollout_error_fraction=0.024)
    lost = four_figures(result, comparison.scenario.objectives, 6)[3]
    assert (lost.figure, lost.under, lost.is_within) == ("2.4 %", "2.4 %", None)


@pytest.mark.parametrize("text", [SHOP, STILL], ids=["rolled", "nothing rolled"])
def test_every_figure_is_what_the_verdict_judges(text: str) -> None:
    """Each limit is put between two runs' figures: the facts and the verdict count the same runs."""
    comparison = compared(text)
    scenario, result = comparison.scenario, with_metrics(comparison, 0)
    told = facts(result, scenario.objectives)
    names = {"latency_p99": told.p99, "error_fraction": told.lost, "duration": told.duration}
    judged = 0
    for key, fact in names.items():
        values = sorted({run.metrics[fact.metric] or 0.0 for run in result.runs})
        if fact.figure.mean is None or not values[-1] > 0:
            continue
        limit = values[0] if len(values) == 1 else (values[0] + values[-1]) / 2
        only = {name: None for name in ("latency_p99", "error_fraction", "duration")}
        objectives = scenario.objectives.model_copy(update={**only, key: limit})
        asked = scenario.model_copy(update={"objectives": objectives})
        broken = [bool(broken_objectives(asked, run)) for run in result.runs]
        again_judged = candidate_result(replace(result.case, scenario=asked), result.runs)
        again = facts(again_judged, objectives).by_metric[fact.metric]
        verdict = again_judged.verdict
        assert (again.answer, sum(broken)) == (verdict.answer, verdict.runs - verdict.runs_meeting)
        judged += 1
    assert judged >= 1


def test_a_card_is_not_green_while_its_limit_breaks_in_too_many_runs() -> None:
    """The mean of a p99 may be within its limit while half of the runs are not."""
    comparison = compared(SHOP.replace("in_runs: 40%", "in_runs: 95%"), 2)
    runs = comparison.candidates[0].runs

    def with_p99(run: RunResult, p99_s: float) -> RunResult:
        metrics = {**run.metrics, "rollout_latency_p99_s": p99_s}
        return replace(run, metrics=metrics, stretches=())

    mixed = tuple(with_p99(run, 2.1 if k % 2 else 0.3) for k, run in enumerate(runs * 5))
    result = candidate_result(comparison.candidates[0].case, mixed)
    p99 = four_figures(result, comparison.scenario.objectives, 6)[2]
    assert p99.figure == "1.20 s"
    assert result.verdict.answer == "fails"
    assert p99.is_within is False


def test_where_nothing_is_rolled_the_cards_show_what_the_verdict_judges() -> None:
    comparison = compared(STILL)
    result = comparison.candidates[0]
    _duration, _pool, p99, lost = four_figures(result, comparison.scenario.objectives, 6)
    assert p99.figure != "–"
    assert lost.figure == percent_text(result.metrics["error_fraction"].mean)
    assert p99.is_within is (True if result.verdict.answer == "meets" else None)


# The trade-off

SHORT = {"rollout_duration_s": 2.0, "rollout_latency_p99_s": 0.05, "rollout_error_fraction": 0.85}
"""Fast because it loses 85 % of its requests, and the rest is answered at once."""


def test_what_fails_is_not_on_the_front_of_the_comparison_and_beats_nothing() -> None:
    whole = compared(SHOP.replace("in_runs: 40%", "in_runs: 95%"), 1, 2, 3)
    bad = with_metrics(whole, 2, **SHORT)
    assert bad.verdict.answer == "fails"
    results = (*whole.candidates[:2], bad)
    front = front_of(results)
    assert front == front_of(results[:2]) != ()
    assert 2 not in compare_front(whole, results)


def compare_front(comparison: Comparison, results: tuple[CandidateResult, ...]) -> tuple[int, ...]:
    """The front of a comparison made anew from the candidates' runs."""
    rows = [
        Row(number, tuple(result.runs[number] for result in results))
        for number in range(len(results[0].runs))
    ]
    return compare(comparison.scenario, [result.case for result in results], rows).front


@pytest.mark.parametrize("key", RISKS)
def test_what_fails_is_neither_in_the_region_nor_on_the_front(key: str) -> None:
    whole = compared(SHOP, 1, 2, 3)
    bad = with_metrics(whole, 2, **SHORT)
    assert (
        bad.verdict.answer == "undecided"
    )  # four runs refute nothing at 40 %: it looks bad all the same
    comparison = with_candidates(whole, *whole.candidates[:2], bad)
    risk = RISKS[key]
    assert 2 not in holding_front(comparison, risk)
    region = region_of(comparison, risk, 40.0)
    assert region is not None
    durations = [one.metrics["rollout_duration_s"].mean or 0.0 for one in comparison.candidates]
    assert any(first < durations[1] < last for first, last in region.bands_s)
    if key == "lost":  # there it lies above the limit that it breaks
        assert region.high == 0.01
    else:
        assert not any(first <= 2.0 <= last for first, last in region.bands_s)
        assert region.bands_s[0][0] == pytest.approx((2.0 + durations[1]) / 2)
    assert region.bands_s[-1][1] == 30.0  # the limit of the duration


def test_a_failure_between_two_that_hold_parts_the_region() -> None:
    whole = compared(SHOP, 1, 2, 3)
    middle = with_metrics(whole, 1, rollout_error_fraction=0.85)
    comparison = with_candidates(whole, whole.candidates[0], middle, whole.candidates[2])
    region = region_of(comparison, RISKS["p99"], 40.0)
    assert region is not None
    assert len(region.bands_s) == 2
    at_s = middle.metrics["rollout_duration_s"].mean or 0.0
    assert region.bands_s[0][1] < at_s < region.bands_s[1][0]


def test_what_fails_by_the_axis_alone_takes_nothing_from_the_region() -> None:
    whole = compared(SHOP, 1, 2, 3)
    slow = with_metrics(whole, 2, rollout_latency_p99_s=9.0)
    comparison = with_candidates(whole, *whole.candidates[:2], slow)
    region = region_of(comparison, RISKS["p99"], 40.0)
    assert region is not None
    assert region.bands_s == ((0.0, 30.0),)
    assert region.high == 2.0
    beside = region_of(comparison, RISKS["lost"], 40.0)  # there p99 has no axis
    assert beside is not None
    assert beside.bands_s[0][0] > 0


def test_where_all_fail_nothing_is_shaded_and_nothing_is_joined() -> None:
    whole = compared(SHOP, 1, 2)
    bad = [with_metrics(whole, index, rollout_error_fraction=0.85) for index in (0, 1)]
    comparison = with_candidates(whole, *bad)
    assert region_of(comparison, RISKS["p99"], 40.0) is None
    assert holding_front(comparison, RISKS["p99"]) == ()
