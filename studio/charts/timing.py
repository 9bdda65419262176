"""When to roll and how wide, as a picture: the day's traffic, and beneath it a cell for each way.

Enters: a grid and what is known of its cells (`studio.timing`). Leaves: shades, which the window paints
natively, and drawn axes for files and reports.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_hex, to_rgb
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, FuncFormatter
from numpy.typing import NDArray

from studio.charts import style
from studio.format import duration_text, latency_text
from studio.theme import Theme
from studio.timing import Found, Grid

FIGURES = {
    "verdict": ("verdict", "Whether the objectives hold"),
    "p99": ("p99", "99 of 100 requests are answered faster"),
    "duration": ("duration", "From the first take-out to the last return"),
}
"""What the colours may tell: words and tip by key."""

GLYPHS = {"meets": "✓", "fails": "✗", "undecided": "?", "": "·", "out": "–"}
"""A verdict is told by a glyph as well as by its colour; what no run has confirmed has neither ✓ nor ✗."""

_LEVELS = 100
_NOTHING, _VERDICTS, _VALUES = 0, 8, 40
_PALE = 0.42
"""So much of its colour has a cell that is only estimated."""


@dataclass(frozen=True)
class Shades:
    """The cells as colours.

    Attributes:
        index: Which of the colours, shape (windows, starts); the narrowest window is the first row.
        colours: 256 of them, as ``#rrggbb``.
        glyphs: What stands in each cell, rows as in ``index``.
        fills: How far each cell is filled from below, 0 to 1; NaN where it is not. Shape as ``index``.
        low: The value of the darkest colour, None for verdicts.
        high: Of the lightest.
    """

    index: NDArray[np.uint8]
    colours: tuple[str, ...]
    glyphs: tuple[tuple[str, ...], ...]
    fills: NDArray[np.float64]
    low: float | None = None
    high: float | None = None


def value_of(found: Found, key: str) -> float | None:
    """The figure that the colours tell, in seconds."""
    return found.p99_s if key == "p99" else found.duration_s


def value_text(key: str, value: float | None) -> str:
    """The same as people read it."""
    return latency_text(value) if key == "p99" else duration_text(value)


def shades_of(grid: Grid, found: Mapping[int, Found], key: str, theme: Theme) -> Shades:
    """The colours of all cells.

    Args:
        grid: The cells.
        found: What is known of them.
        key: One of `FIGURES`.
        theme: The colours.
    """
    shape = (len(grid.windows), len(grid.starts))
    index = np.full(shape, _NOTHING, dtype=np.uint8)
    fills = np.full(shape, np.nan)
    glyphs = [["" for _ in range(shape[1])] for _ in range(shape[0])]
    values = [value for one in found.values() if (value := value_of(one, key)) is not None]
    low, high = (min(values), max(values)) if values else (0.0, 0.0)
    answers = list(GLYPHS)
    for number, one in found.items():
        column, row = grid.place(number)
        value = value_of(one, key)
        if key == "verdict" or one.answer == "out":
            if not (one.is_open or (one.is_estimate and one.answer in ("meets", "fails"))):
                glyphs[row][column] = GLYPHS[one.answer]
            if one.fill_fraction is not None:  # the ground of what is filled from below
                fills[row, column] = one.fill_fraction
                continue
            index[row, column] = _VERDICTS + answers.index(one.answer) * 2 + one.is_estimate
        elif value is not None:
            index[row, column] = _VALUES + _level(value, low, high) + _LEVELS * one.is_estimate
    told = (None, None) if key == "verdict" or not values else (low, high)
    return Shades(index, _colours(theme), tuple(map(tuple, glyphs)), fills, *told)


def verdict_colour(shades: Shades, answer: str) -> str:
    """The colour of a cell with a verdict, for a legend."""
    return shades.colours[_VERDICTS + 2 * list(GLYPHS).index(answer)]


def _level(value: float, low: float, high: float) -> int:
    """Where a value lies between two; by its logarithm where they are a decade apart."""
    if high <= low:
        return _LEVELS // 2
    if low > 0 and high / low > 10:
        value, low, high = math.log(value), math.log(low), math.log(high)
    return round((value - low) / (high - low) * (_LEVELS - 1))


def _colours(theme: Theme) -> tuple[str, ...]:
    marks = {
        "meets": theme.new_version,
        "fails": theme.failed,
        "undecided": theme.draining,
        "": theme.old_version,
        "out": theme.out,
    }
    colours = [theme.field] * 256
    for number, answer in enumerate(GLYPHS):
        for shade, share in enumerate((0.85, _PALE)):
            colours[_VERDICTS + number * 2 + shade] = mixed(marks[answer], theme.card, share)
    cividis = mpl.colormaps["cividis"]
    for level in range(_LEVELS):
        colour = to_hex(cividis(level / (_LEVELS - 1)))
        colours[_VALUES + level] = colour
        colours[_VALUES + _LEVELS + level] = mixed(colour, theme.card, 0.6)
    return tuple(colours)


def mixed(colour: str, ground: str, share: float) -> str:
    """So much of a colour over a ground."""
    red, green, blue = (
        share * one + (1 - share) * other
        for one, other in zip(to_rgb(colour), to_rgb(ground), strict=True)
    )
    return to_hex((red, green, blue))


def draw_traffic(axes: Axes, grid: Grid, theme: Theme) -> None:
    """The day's traffic, times at which nothing may run hatched."""
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


def draw_timing(axes: Axes, grid: Grid, found: Mapping[int, Found], key: str, theme: Theme) -> None:
    """A cell for each start and window.

    Args:
        axes: Where.
        grid: The cells.
        found: What is known of them.
        key: One of `FIGURES`.
        theme: The colours.
    """
    shades = shades_of(grid, found, key, theme)
    unit = "✓ meets, ✗ fails, grey so far or ? undecided, – left out; pale: estimate"
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
    axes.yaxis.set_major_locator(FixedLocator(range(rows)))
    axes.yaxis.set_major_formatter(
        FuncFormatter(lambda row, _: f"{grid.windows[round(row)]}" if 0 <= row < rows else "")
    )
    axes.set_ylim(-0.5, rows - 0.5)
    _frame(axes, grid)


def _hatch(axes: Axes, grid: Grid, theme: Theme) -> None:
    for begin_s, end_s in grid.freezes():
        axes.axvspan(
            begin_s, end_s, facecolor="none", edgecolor=theme.soft, hatch="////", linewidth=0
        )


def clock_ticks(grid: Grid, most: int) -> list[float]:
    """Round times of the traffic's clock within the day, at most about so many."""
    span_s = grid.end_s - grid.begin_s
    ticks = style.time_ticks(span_s, most)
    return [grid.begin_s + tick for tick in ticks if tick < span_s]


def _frame(axes: Axes, grid: Grid) -> None:
    axes.set_xlim(grid.begin_s, grid.end_s)
    axes.set_xticks(clock_ticks(grid, 12))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda time_s, _: grid.clock(time_s)))
