"""The colours and words of the map of starts and windows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from studio.views.cividis import CIVIDIS
from studio.views.figures_text import ANSWER_GLYPHS, MISSES_ANYWAY, duration_text, latency_text
from studio.views.theme import Theme
from studio.views.ticks import time_ticks
from studio.views.timing import CellFigures, CellGrid

FIGURES = {
    "verdict": ("verdict", "Whether the objectives hold"),
    "p99": ("p99", "99 of 100 requests are answered faster"),
    "duration": ("duration", "From the first take-out to the last return"),
}
"""The figures that the colours can show: name and explanation by key."""


GLYPHS = {**ANSWER_GLYPHS, "": "·", "out": "–"}
"""The glyph of each answer, beside its colour; a cell that no run has confirmed has neither ✓ nor ✗."""


_LEVELS = len(CIVIDIS)


_NOTHING, _VERDICTS, _VALUES = 0, 8, 40


_PALE = 0.42
"""Share of its colour that an estimated cell has."""


@dataclass(frozen=True)
class Shades:
    """The cells of the map as colours.

    Attributes:
        index: Index of each cell's colour, shape (windows, starts); the narrowest window is row 0.
        colours: 256 colours, as ``#rrggbb``.
        glyphs: The glyph of each cell, rows as in ``index``.
        fills: Share of each cell that is filled from below, 0 to 1; NaN for a cell without a fill.
            Shape as ``index``.
        low: The value of the darkest colour, None for verdicts.
        high: The value of the lightest colour, None for verdicts.
    """

    index: NDArray[np.uint8]
    colours: tuple[str, ...]
    glyphs: tuple[tuple[str, ...], ...]
    fills: NDArray[np.float64]
    low: float | None = None
    high: float | None = None


def value_of(figures: CellFigures, key: str) -> float | None:
    """Return the figure that the colours show, in seconds."""
    return figures.p99_s if key == "p99" else figures.duration_s


def value_text(key: str, value: float | None) -> str:
    """Return a figure of `value_of` as text."""
    return latency_text(value) if key == "p99" else duration_text(value)


def shades_of(grid: CellGrid, found: Mapping[int, CellFigures], key: str, theme: Theme) -> Shades:
    """Return the colours of all cells.

    Args:
        grid: The cells.
        found: The figures of the cells, by number.
        key: The figure to show, one of `FIGURES`.
        theme: The colours.
    """
    shape = (len(grid.windows), len(grid.starts))
    index = np.full(shape, _NOTHING, dtype=np.uint8)
    fills = np.full(shape, np.nan)
    glyphs = [["" for _ in range(shape[1])] for _ in range(shape[0])]
    values = [value for figures in found.values() if (value := value_of(figures, key)) is not None]
    low, high = (min(values), max(values)) if values else (0.0, 0.0)
    answers = list(GLYPHS)
    for number, figures in found.items():
        column, row = grid.place(number)
        value = value_of(figures, key)
        if key == "verdict" or figures.answer == "out":
            if not (
                figures.is_open or (figures.is_estimate and figures.answer in ("meets", "fails"))
            ):
                glyphs[row][column] = GLYPHS[figures.answer]
            if figures.fill_fraction is not None:  # the ground of what is filled from below
                fills[row, column] = figures.fill_fraction
                continue
            index[row, column] = _VERDICTS + answers.index(figures.answer) * 2 + figures.is_estimate
        elif value is not None:
            index[row, column] = _VALUES + _level(value, low, high) + _LEVELS * figures.is_estimate
    ends = (None, None) if key == "verdict" or not values else (low, high)
    return Shades(index, _colours(theme), tuple(map(tuple, glyphs)), fills, *ends)


def _level(value: float, low: float, high: float) -> int:
    """Return the level of a value between two; on a logarithmic scale where they are a decade apart."""
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
        MISSES_ANYWAY: theme.missed,
        "": theme.old_version,
        "out": theme.out,
    }
    colours = [theme.field] * 256
    for number, answer in enumerate(GLYPHS):
        for shade, share in enumerate((0.85, _PALE)):
            colours[_VERDICTS + number * 2 + shade] = mix(marks[answer], theme.card, share)
    for level, colour in enumerate(CIVIDIS):
        colours[_VALUES + level] = colour
        colours[_VALUES + _LEVELS + level] = mix(colour, theme.card, 0.6)
    return tuple(colours)


def mix(colour: str, ground: str, share: float) -> str:
    """Return ``share`` of a colour over a ground, both as ``#rrggbb``."""
    parts = zip(bytes.fromhex(colour[1:]), bytes.fromhex(ground[1:]), strict=True)
    return "#" + "".join(f"{round(share * one + (1 - share) * other):02x}" for one, other in parts)


def clock_ticks(grid: CellGrid, most: int) -> list[float]:
    """Return round times of the traffic's clock within the day, about `most` of them."""
    span_s = grid.end_s - grid.begin_s
    ticks = time_ticks(span_s, most)
    return [grid.begin_s + tick for tick in ticks if tick < span_s]


def verdict_colour(shades: Shades, answer: str) -> str:
    """Return the colour of a cell with a verdict, for a legend."""
    return shades.colours[_VERDICTS + 2 * list(GLYPHS).index(answer)]
