"""How every chart looks: axes, type and numbers, from the theme's tokens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import matplotlib as mpl
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.patheffects import AbstractPathEffect, withStroke
from matplotlib.ticker import FuncFormatter, MaxNLocator

from studio.format import clock_text
from studio.theme import FONT_FAMILIES, SMALL_PX, Theme

DPI = 100
SMALL_PT = SMALL_PX * 72 / DPI
LABEL_PT = SMALL_PT + 0.6


@lru_cache(maxsize=1)
def font_families() -> list[str]:
    """The preferred families that are installed."""
    installed = set(font_manager.get_font_names())
    return [name for name in FONT_FAMILIES if name in installed] or ["sans-serif"]


@contextmanager
def drawn_in_style() -> Iterator[None]:
    """Settings under which text is laid out, without touching anybody else's."""
    with mpl.rc_context({"font.family": font_families(), "font.size": SMALL_PT}):
        yield


def prepare(axes: Axes, theme: Theme, title: str, unit: str) -> None:
    """Empties the axes and gives them the quiet look: no box, soft grid, title on the left."""
    axes.clear()
    axes.set_facecolor(theme.card)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(theme.line)
    axes.grid(axis="y", color=theme.line, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, colors=theme.soft, labelsize=SMALL_PT, pad=5)
    axes.annotate(
        title,
        (0, 1),
        xycoords="axes fraction",
        xytext=(0, 8),
        textcoords="offset points",
        color=theme.text,
        fontsize=LABEL_PT,
        fontweight="bold",
        va="bottom",
    )
    axes.annotate(
        unit,
        (1, 1),
        xycoords="axes fraction",
        xytext=(0, 8),
        textcoords="offset points",
        color=theme.soft,
        fontsize=SMALL_PT,
        va="bottom",
        ha="right",
    )


def time_axis(axes: Axes, span_s: float) -> None:
    """Ticks at round times, as many as fit."""
    widths = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200)
    width = next((one for one in widths if span_s / one <= 6), widths[-1])
    axes.set_xticks([k * width for k in range(int(span_s / width) + 1)])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: clock_text(seconds)))


def without_times(axes: Axes) -> None:
    """The ticks without their numbers, for axes that share those below."""
    axes.tick_params(labelbottom=False)


def few_ticks(axes: Axes, count: int = 4) -> None:
    """A handful of round values on the vertical axis."""
    axes.yaxis.set_major_locator(MaxNLocator(count))


def halo(theme: Theme) -> list[AbstractPathEffect]:
    """A rim in the card's colour, so that a label can be read over a line or a band."""
    return [withStroke(linewidth=2.5, foreground=theme.card)]


def limit_line(axes: Axes, theme: Theme, value: float, label: str) -> None:
    """A dashed limit with its label on the line."""
    axes.axhline(value, color=theme.failed, linewidth=1.1, linestyle=(0, (5, 3)))
    axes.annotate(
        label,
        (1, value),
        xycoords=("axes fraction", "data"),
        xytext=(-2, 3),
        textcoords="offset points",
        color=theme.failed,
        fontsize=SMALL_PT,
        ha="right",
        va="bottom",
        path_effects=halo(theme),
    )


def line_label(axes: Axes, text: str, at: tuple[float, float], colour: str, above: bool) -> None:
    """A name directly on a line, in place of a legend."""
    axes.annotate(
        text,
        at,
        xytext=(4, 4 if above else -4),
        textcoords="offset points",
        color=colour,
        fontsize=SMALL_PT,
        va="bottom" if above else "top",
    )
