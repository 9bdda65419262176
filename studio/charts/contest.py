"""Measured and predicted figures of a contest: for each arm the predicted range and the measured runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from studio.charts import style
from studio.views.figures_text import metric_text
from studio.views.theme import Theme


@dataclass(frozen=True)
class Column:
    """The figures of one arm for one metric.

    Attributes:
        name: The arm's name.
        mean: The predicted mean, None where it is not defined.
        low: Lower end of the range that counts.
        high: Upper end of the range that counts.
        measured: The measured figures, without runs that have none.
        counts: True when the arm is judged by its range.
    """

    name: str
    mean: float | None
    low: float
    high: float
    measured: tuple[float, ...]
    counts: bool = True


def draw_contest(
    axes: Axes, metric: str, title: str, columns: Sequence[Column], theme: Theme
) -> None:
    """Draw a band for each range, a line for the mean, and a mark for each run: ● inside, ✗ outside."""
    style.prepare(axes, theme, title, "band: forecast, 5–95 % of single runs")
    for place, column in enumerate(columns):
        axes.fill_between(
            [place - 0.32, place + 0.32],
            column.low,
            column.high,
            color=theme.accent if column.counts else theme.soft,
            alpha=0.22,
            linewidth=0,
        )
        if column.mean is not None:
            axes.plot([place - 0.32, place + 0.32], [column.mean] * 2, color=theme.accent, lw=1.4)
        count = len(column.measured)
        for number, value in enumerate(column.measured):
            holds = column.low <= value <= column.high
            axes.plot(
                [place + (number - (count - 1) / 2) * 0.5 / max(1, count)],
                [value],
                marker="o" if holds else "X",
                markersize=6.5,
                color=theme.new_version if holds else theme.failed,
                markeredgecolor=theme.card,
                linestyle="none",
                zorder=4,
            )
    axes.set_xticks(range(len(columns)), [column.name for column in columns])
    axes.set_xlim(-0.6, len(columns) - 0.4)
    top = max((max((column.high, *column.measured)) for column in columns), default=0.0)
    axes.set_ylim(0, top * 1.2 if top > 0 else 1.0)
    style.few_ticks(axes)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: metric_text(metric, value)))
