"""The map of starts and windows as a picture: the day's traffic, and below it a cell for each choice."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, FuncFormatter

from studio.charts import style
from studio.views.candidate.best_cell import BestMark
from studio.views.theme import Theme
from studio.views.timing import CellFigures, CellGrid
from studio.views.timing_shades import (
    FIGURES,
    clock_ticks,
    shades_of,
    value_text,
)


def draw_traffic(axes: Axes, grid: CellGrid, theme: Theme) -> None:
    """Draw the day's traffic, with the freezes hatched."""
    style.prepare(axes, theme, "Traffic of the day", "requests/s")
    time_s, rates = grid.traffic()
    axes.fill_between(time_s, 0, rates, color=theme.accent, alpha=0.14, linewidth=0)
    axes.plot(time_s, rates, color=theme.accent, linewidth=1.4)
    top = float(np.nanmax(rates)) if np.isfinite(rates).any() else 0.0
    axes.set_ylim(0, top * 1.15 or 1.0)
    style.few_ticks(axes, 3)
    _hatch(axes, grid, theme)
    _frame(axes, grid)
    style.without_times(axes)


def draw_timing(
    axes: Axes,
    grid: CellGrid,
    figures: Mapping[int, CellFigures],
    key: str,
    theme: Theme,
    *,
    best: BestMark | None = None,
) -> None:
    """Draw a cell for each start and window.

    Args:
        axes: The axes to draw on.
        grid: The cells.
        figures: The figures of the cells, by number.
        key: The figure to show, one of `FIGURES`.
        theme: The colours.
        best: The mark of the best cell; None where no cell meets the objectives.
    """
    shades = shades_of(grid, figures, key, theme)
    unit = (
        "✓ meets, ✗ fails, ◇ misses anyway, grey so far or ? undecided, – left out; pale: estimate"
    )
    if shades.low is not None:
        low, high = value_text(key, shades.low), value_text(key, shades.high)
        unit = f"dark: {low}, bright: {high}; pale: estimate"
    style.prepare(axes, theme, f"Window and start: {FIGURES[key][0]}", unit)
    axes.grid(visible=False)
    rows = len(grid.windows)
    edges = grid.begin_s + grid.step_s * np.arange(len(grid.starts) + 1)
    axes.pcolormesh(
        edges, np.arange(rows + 1) - 0.5, shades.index, cmap=ListedColormap(list(shades.colours)),
        vmin=-0.5, vmax=255.5, edgecolors=theme.card, linewidth=0.4,
    )  # fmt: skip
    for row, column in zip(*np.nonzero(shades.fills > 0), strict=True):
        axes.add_patch(
            Rectangle(
                (edges[column], row - 0.5), grid.step_s, shades.fills[row, column],
                facecolor=theme.so_far, linewidth=0,
            )
        )  # fmt: skip
    for row, glyphs in enumerate(shades.glyphs):
        for column, glyph in enumerate(glyphs):
            if glyph:
                middle = grid.begin_s + (column + 0.5) * grid.step_s
                axes.text(
                    middle, row, glyph, color=theme.text, fontsize=style.SMALL_PT - 1.5,
                    ha="center", va="center",
                )  # fmt: skip
    _hatch(axes, grid, theme)
    if best is not None:
        column, row = best.cell
        axes.add_patch(
            Rectangle(
                (edges[column], row - 0.5), grid.step_s, 1, facecolor="none", edgecolor=theme.text,
                linewidth=1.8, linestyle="-" if best.is_confirmed else "--", zorder=5, clip_on=False,
            )
        )  # fmt: skip
        axes.annotate(
            best.words, (1, 1), xycoords="axes fraction", xytext=(0, 8), textcoords="offset points",
            color=theme.text, fontsize=style.SMALL_PT, fontweight="bold", ha="right",
        )  # fmt: skip
    axes.yaxis.set_major_locator(FixedLocator(range(rows)))
    axes.yaxis.set_major_formatter(
        FuncFormatter(lambda row, _: f"{grid.windows[round(row)]}" if 0 <= row < rows else "")
    )
    axes.set_ylim(-0.5, rows - 0.5)
    _frame(axes, grid)


def _hatch(axes: Axes, grid: CellGrid, theme: Theme) -> None:
    for begin_s, end_s in grid.freezes():
        axes.axvspan(
            begin_s, end_s, facecolor="none", edgecolor=theme.soft, hatch="////", linewidth=0
        )


def _frame(axes: Axes, grid: CellGrid) -> None:
    axes.set_xlim(grid.begin_s, grid.end_s)
    axes.set_xticks(clock_ticks(grid, 12))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda time_s, _: grid.clock(time_s)))
