"""Figures side by side: what differs, which way, and when it is said that nothing is shown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simulation.results.run_result import METRICS
from simulation.scenario.file import ScenarioFile
from simulation.study.candidate_result import CandidateResult
from simulation.study.case import cases_of
from simulation.study.compare import Comparison, compare
from simulation.study.execution import Execution
from simulation.study.rows import run_rows
from simulation.study.statistics.means import Difference
from studio.charts.side_by_side import side_by_side_figure
from studio.views.figures_text import metric_text, range_text
from studio.views.side_by_side import FIGURES, lines_of, note_of, rows_of, standing_of
from tests.helpers.command_line import SHOP


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    scenario = ScenarioFile.parse(SHOP).scenario
    cases = cases_of(scenario, (1, 2, 3))
    return compare(scenario, cases, list(run_rows(scenario, cases, Execution(jobs=1))))


def with_values(
    result: CandidateResult, metric: str, values: list[float | None]
) -> CandidateResult:
    """The result as if its runs had shown these figures."""
    runs = tuple(
        replace(run, metrics={**run.metrics, metric: value}, alone={**run.alone, metric: value})
        for run, value in zip(result.runs, values, strict=False)
    )
    return replace(result, runs=runs)


@pytest.mark.parametrize(
    ("metric", "difference", "standing"),
    [
        ("rollout_duration_s", Difference(-3.0, -4.0, -2.0), "better"),
        ("rollout_duration_s", Difference(3.0, 2.0, 4.0), "worse"),
        ("rollout_duration_s", Difference(3.0, -1.0, 7.0), "open"),
        ("rollout_duration_s", Difference(3.0, 0.0, 6.0), "open"),
        ("rollout_duration_s", Difference(0.0, 0.0, 0.0), "same"),
        ("rollout_duration_s", Difference(3.0, None, None), "open"),
        ("rollout_duration_s", Difference(None, None, None), ""),
        ("lowest_in_pool_count", Difference(-1.0, -1.0, -1.0), "worse"),
        ("lowest_in_pool_count", Difference(2.0, 2.0, 2.0), "better"),
        ("lowest_capacity_fraction", Difference(0.1, 0.05, 0.15), "better"),
    ],
)
def test_a_difference_is_good_or_bad_only_where_it_is_shown(
    metric: str, difference: Difference, standing: str
) -> None:
    assert standing_of(metric, difference) == standing


def test_figures_are_means_and_differences_those_of_the_comparison(comparison: Comparison) -> None:
    results, names = comparison.candidates, ["one", "two", "three"]
    rows = rows_of(results, names, 0, alone=False)
    assert [row.metric for row in rows] == [metric for metric, _, _ in FIGURES]
    for row in rows:
        for cell, result, difference in zip(
            row.cells, results, comparison.differences, strict=True
        ):
            assert cell.figure == metric_text(row.metric, result.metrics[row.metric].mean)
            if result is not results[0]:
                assert cell.standing == standing_of(row.metric, difference[row.metric])
    duration = rows[0].cells
    assert duration[0].standing == ""
    assert duration[0].under == range_text(
        "rollout_duration_s", results[0].metrics["rollout_duration_s"]
    )
    assert [cell.standing for cell in duration[1:]] == ["better", "better"]
    assert duration[1].under.startswith("−")
    assert " ± " in duration[1].under
    assert duration[1].words.startswith("better than one: −")


def test_another_baseline_turns_the_signs(comparison: Comparison) -> None:
    names = ["one", "two", "three"]
    first = rows_of(comparison.candidates, names, 0, alone=False)[0].cells
    last = rows_of(comparison.candidates, names, 2, alone=False)[0].cells
    assert last[0].standing == "worse"
    assert last[0].under == first[2].under.replace("−", "+")
    assert last[2].standing == ""


@pytest.mark.parametrize(
    ("ones", "others", "standing", "under"),
    [
        ([10.0, 11.0, 10.0, 11.0], [10.0, 11.0, 10.0, 11.0], "same", "the same"),
        ([10.0, 12.0, 10.0, 12.0], [11.0, 11.0, 11.0, 11.0], "open", "no difference shown"),
        ([10.0, 11.0, 12.0, 13.0], [8.0, 9.0, 10.0, 11.0], "worse", "+2.0 s"),
        ([10.0, 11.0, 12.0, 13.0], [None, None, None, None], "", ""),
        ([10.0], [8.0], "open", "no difference shown"),
    ],
)
def test_a_difference_in_words(
    comparison: Comparison,
    ones: list[float | None],
    others: list[float | None],
    standing: str,
    under: str,
) -> None:
    metric = "rollout_duration_s"
    base = with_values(comparison.candidates[0], metric, others)
    other = with_values(comparison.candidates[1], metric, ones)
    cell = rows_of([base, other], ["base", "other"], 0, alone=False)[0].cells[1]
    assert (cell.standing, cell.under) == (standing, under)


def test_runs_of_different_comparisons_are_told_as_if_each_were_alone(
    comparison: Comparison,
) -> None:
    results = comparison.candidates
    rows = rows_of(results, ["one", "two", "three"], 0, alone=True)
    failed = next(row for row in rows if row.metric == "failed_requests")
    assert [cell.figure for cell in failed.cells] == [
        metric_text("failed_requests", one.alone["failed_requests"].mean) for one in results
    ]
    # One has fewer runs: the pairs are as many as both have.
    shorter = replace(results[1], runs=results[1].runs[:3])
    assert rows_of([results[0], shorter], ["one", "two"], 0, alone=True)[0].cells[1].under


def test_a_figure_that_no_run_has_is_not_told(comparison: Comparison) -> None:
    gone = [with_values(one, "rollout_duration_s", [None] * 4) for one in comparison.candidates]
    metrics = [row.metric for row in rows_of(gone, ["a", "b", "c"], 0, alone=False)]
    assert "rollout_duration_s" not in metrics
    assert set(metrics) <= set(METRICS)


def test_the_note_says_what_the_differences_are(comparison: Comparison) -> None:
    results = comparison.candidates
    assert "Tick more runs" in note_of(results[:1], "one", alone=False, paired=True)
    assert (
        note_of(results, "one", alone=False, paired=True)
        == "Differences to one are paired by the same traffic, over 4 runs, ± 95 %."
    )
    other = note_of(results, "one", alone=True, paired=False)
    assert "not of the same seeds, so not paired" in other
    assert other.endswith("each figure is of its run alone.")
    single = [replace(one, runs=one.runs[:1]) for one in results]
    assert "in a single run: no interval yet" in note_of(single, "one", alone=False, paired=True)


def test_lines_are_the_bands_of_the_result(comparison: Comparison) -> None:
    result = comparison.candidates[1]
    lines = lines_of(result)
    for band, series in (
        (lines.capacity, "capacity_rps"),
        (lines.traffic, "offered_rps"),
        (lines.p99, "latency_p99_s"),
        (lines.p50, "latency_p50_s"),
    ):
        wanted = result.band(series)
        assert np.array_equal(band.median, wanted.median, equal_nan=True)
        assert np.array_equal(band.high, wanted.high, equal_nan=True)
    assert lines.end_s == len(lines.capacity.time_s) * result.runs[0].bin_s


def test_the_exported_columns_share_their_scales(comparison: Comparison) -> None:
    figure = side_by_side_figure(comparison.candidates, ["one", "N" * 80, "three"], 2.0)
    assert len(figure.axes) == 6
    for row in (figure.axes[0::2], figure.axes[1::2]):
        assert len({axes.get_ylim() for axes in row}) == 1
        assert len({axes.get_xlim() for axes in row}) == 1
    told = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert {"one", "three"} <= told
    assert "N" * 80 not in told


def test_failed_requests_are_split_by_cause_with_their_phases_in_the_words() -> None:
    text = SHOP.replace("slots: 2", "slots: 1").replace(
        "  rate: 40/s\n", "  rate: 60/s\n  classes: {page: {client_timeout: 300ms}}\n"
    )
    scenario = ScenarioFile.parse(text).scenario
    cases = cases_of(scenario, (1, 3))
    lossy = compare(scenario, cases, list(run_rows(scenario, cases, Execution(jobs=1))))
    rows = rows_of(lossy.candidates, ["Window 1", "Window 3"], 0, alone=False)
    metrics = [row.metric for row in rows]
    place = metrics.index("failed_requests")
    causes = [row for row in rows if row.metric.startswith("losses.")]
    assert rows[place + 1 : place + 1 + len(causes)] == causes
    assert [row.name for row in causes] == ["· timeout, queue", "· timeout, service"]
    for column, result in enumerate(lossy.candidates):
        for row, cause in zip(causes, list(result.losses().by_cause())[3:5], strict=True):
            mean = result.losses().by_cause()[cause] / len(result.runs)
            assert row.cells[column].figure == metric_text("failed_requests", mean)
            assert ("most " in row.cells[column].words) == (mean > 0)
    apart = rows_of(lossy.candidates, ["Window 1", "Window 3"], 0, alone=True)
    assert not any(row.metric.startswith("losses.") for row in apart)
