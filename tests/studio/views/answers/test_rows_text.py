"""Rows of a table: equal candidates, differences to the time without a rollout, the row of that time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulation.study.compare import Comparison
from simulation.study.summary.recommendation import recommend
from studio.views.answers.rows_text import (
    control_rows,
    difference_to_control_text,
    group_row,
    has_control,
)
from studio.views.candidate.control import CONTROL_NAME
from studio.views.figures_text import NOTHING, TABLE_HEADINGS
from tests.helpers.comparisons import Stated, as_controls, stated_comparison


def cell(row: tuple[str, ...], heading: str) -> str:
    return row[TABLE_HEADINGS.index(heading)]


def with_control(comparison: Comparison, **figures: float | None) -> Comparison:
    """Return the comparison with these figures without a rollout, in every run."""
    results = tuple(
        replace(
            result,
            runs=tuple(
                replace(run, control_metrics={**run.metrics, **figures}) for run in result.runs
            ),
        )
        for result in comparison.candidates
    )
    return replace(comparison, candidates=results, controls=as_controls(results[:1]))


def test_a_row_of_equal_candidates_shows_all_their_settings() -> None:
    comparison = stated_comparison(
        [Stated()] * 2 + [Stated(duration_s=30.0)] * 2,
        windows=(1, 2),
        drain_timeouts_s=(30.0, 60.0),
    )
    first, second = (group_row(comparison, group) for group in recommend(comparison).rows)
    assert [cell(first, name) for name in ("window", "drain", "takes", "verdict")] == [
        *("1", "30 s, 60 s", "20.0 s", "✓ meets in 10 of 10")
    ]
    assert [cell(second, name) for name in ("window", "drain", "takes")] == [
        *("2", "30 s, 60 s", "30.0 s")
    ]


@pytest.mark.parametrize(
    ("metric", "control", "text"),
    [
        ("rollout_latency_p99_s", 0.1, "+200 ms"),
        ("rollout_latency_p99_s", 0.3, "0 ms"),
        ("rollout_latency_p99_s", 1.55, "−1.25 s"),
        ("rollout_latency_p99_s", None, NOTHING),
        ("rollout_error_fraction", -0.012, "+1.2 points"),
    ],
)
def test_a_figure_is_read_as_a_difference_to_no_rollout(
    metric: str, control: float | None, text: str
) -> None:
    comparison = with_control(
        stated_comparison([Stated()]),
        **dict.fromkeys([metric, metric.removeprefix("rollout_")], control),
    )
    assert difference_to_control_text(comparison.candidates[0], metric) == text


def test_differences_stand_in_the_columns_of_their_figures() -> None:
    plain = stated_comparison([Stated()])
    assert not has_control(plain)
    comparison = with_control(plain, rollout_latency_p99_s=0.1, failed_requests=-2.0)
    assert has_control(comparison)
    [group] = recommend(comparison).rows
    row = group_row(comparison, group, as_difference=True)
    assert [cell(row, name) for name in ("takes", "p99", "errors", "failed")] == [
        *("20.0 s", "+200 ms", "0 points", "+2")
    ]


def test_the_row_without_a_rollout_is_that_of_the_starts_that_are_shown() -> None:
    comparison = stated_comparison([Stated(), Stated(duration_s=30.0)], starts=(0.0, 600.0))
    assert control_rows(comparison, recommend(comparison).rows) == []
    comparison = replace(comparison, controls=as_controls(comparison.candidates))
    rows = recommend(comparison).rows
    [row] = control_rows(comparison, rows[1:])
    assert [cell(row, name) for name in ("window", "start", "takes", "verdict")] == [
        *(NOTHING, "00:10:00", NOTHING, CONTROL_NAME)
    ]
    assert cell(row, "p99") != NOTHING
    assert len(control_rows(comparison, rows)) == 2
