"""The rows of a comparison's table as text: one for candidates with equal results, one without a rollout."""

from __future__ import annotations

from collections.abc import Sequence

from simulation.study.candidate_result import CandidateResult
from simulation.study.compare import Comparison
from simulation.study.summary.groups import CandidateGroup
from studio.views.candidate.control import control_figure, control_row
from studio.views.figures_text import (
    NOTHING,
    TABLE_HEADINGS,
    signed_text,
    table_row,
    values_text,
)

MOST_ROWS = 12
"""Maximum number of rows that a table shows unless all are asked for."""

DIFFERENCES = {
    "p99": "rollout_latency_p99_s",
    "errors": "rollout_error_fraction",
    "failed": "failed_requests",
}
"""The columns that may be shown as differences to the same time without a rollout, with their metrics."""

_FIRST_FIGURE = TABLE_HEADINGS.index("takes")


def group_row(
    comparison: Comparison, group: CandidateGroup, *, as_difference: bool = False
) -> tuple[str, ...]:
    """Return the cells of candidates with equal results, in the order of `TABLE_HEADINGS`.

    Args:
        comparison: The comparison.
        group: The candidates.
        as_difference: Whether `DIFFERENCES` are shown as differences to the time without a rollout.
    """
    rows = [table_row(comparison.candidates[index]) for index in group.indices]
    settings = zip(*(row[:_FIRST_FIGURE] for row in rows), strict=True)
    cells = [*(values_text(values) for values in settings), *rows[0][_FIRST_FIGURE:]]
    if as_difference:
        for heading, metric in DIFFERENCES.items():
            text = difference_to_control_text(comparison.candidates[group.first], metric)
            cells[TABLE_HEADINGS.index(heading)] = text
    return tuple(cells)


def has_control(comparison: Comparison) -> bool:
    """Return whether runs were also simulated without a rollout."""
    return any(
        run.control_metrics is not None for result in comparison.candidates for run in result.runs
    )


def difference_to_control_text(result: CandidateResult, metric: str) -> str:
    """Return the mean paired difference of a metric to the same time without a rollout: ``+0.30 s``."""
    figure = control_figure(result, metric)
    if figure is None:
        return NOTHING
    text = signed_text(metric, figure.difference.mean)
    return text.replace(" %", " points") if metric.endswith("_fraction") else text


def control_rows(comparison: Comparison, groups: Sequence[CandidateGroup]) -> list[tuple[str, ...]]:
    """Return the cells of the rows without a rollout, one for each start of these groups."""
    starts = {
        comparison.candidates[index].candidate.start_label
        for group in groups
        for index in group.indices
    }
    return [
        control_row(control)
        for control in comparison.controls
        if control.candidate.start_label in starts
    ]
