"""Runs side by side as one figure, a column for each run, on shared axes: for files and reports."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from matplotlib.figure import Figure

from simulation.study.candidate_result import CandidateResult, ControlResult
from studio.charts import style
from studio.charts.over_time import draw_capacity, draw_latency
from studio.views.theme import LIGHT, Theme

COLUMN_PX, HEIGHT_PX = 340.0, 520.0


def side_by_side_figure(
    results: Sequence[CandidateResult | ControlResult],
    names: Sequence[str],
    limit_s: float | None,
    theme: Theme = LIGHT,
) -> Figure:
    """Return a figure with capacity and traffic above latency, a column for each run.

    Args:
        results: The runs.
        names: The runs' names.
        limit_s: The objective for p99, in seconds; None without one.
        theme: The colours.
    """
    width_px = COLUMN_PX * len(results)
    with style.use_style():
        figure = Figure((width_px / style.DPI, HEIGHT_PX / style.DPI), dpi=style.DPI)
        figure.set_facecolor(theme.card)
        grid = figure.add_gridspec(
            2,
            len(results),
            left=0.16 / len(results),
            right=0.985,
            top=0.86,
            bottom=0.07,
            hspace=0.42,
        )
        columns = [
            (figure.add_subplot(grid[0, column]), figure.add_subplot(grid[1, column]))
            for column in range(len(results))
        ]
        for (capacity, latency), result, name in zip(columns, results, names, strict=True):
            draw_capacity(capacity, result, theme)
            draw_latency(latency, result, theme, limit_s)
            capacity.annotate(
                style.shorten_name(name, 40),
                (0, 1),
                xycoords="axes fraction",
                xytext=(0, 30),
                textcoords="offset points",
                color=theme.text,
                fontsize=style.LABEL_PT + 1,
                fontweight="bold",
            )
        for row in zip(*columns, strict=True):  # one scale for all columns
            highest = max(axes.get_ylim()[1] for axes in row)
            furthest = max(axes.get_xlim()[1] for axes in row)
            for axes in row:
                axes.set_ylim(0, highest)
                axes.set_xlim(0, furthest)
        for axes in itertools.chain.from_iterable(columns):
            style.spread_labels(axes)
    return figure
