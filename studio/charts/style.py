"""The look of every chart: axes, type and numbers, from the theme's tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache

import matplotlib as mpl
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.patheffects import AbstractPathEffect, withStroke
from matplotlib.text import Annotation
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import Bbox, BboxBase

from studio.views.figures_text import clock_text
from studio.views.theme import FONT_FAMILIES, SMALL_PX, Theme
from studio.views.ticks import time_ticks

DPI = 100
SMALL_PT = SMALL_PX * 72 / DPI
LABEL_PT = SMALL_PT + 0.6


@lru_cache(maxsize=1)
def font_families() -> list[str]:
    """Return the preferred font families that are installed."""
    installed = set(font_manager.get_font_names())
    return [name for name in FONT_FAMILIES if name in installed] or ["sans-serif"]


@contextmanager
def use_style() -> Iterator[None]:
    """Set the font for the block; matplotlib's settings outside the block stay as they are."""
    with mpl.rc_context({"font.family": font_families(), "font.size": SMALL_PT}):
        yield


def prepare(axes: Axes, theme: Theme, title: str, unit: str) -> None:
    """Clear the axes and set their look: no box, a soft grid, the title on the left, the unit on the right."""
    axes.clear()
    axes.set_facecolor(theme.card)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(theme.line)
    axes.grid(axis="y", color=theme.line, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, colors=theme.soft, labelsize=SMALL_PT, pad=5)
    for text, x, side, colour, size, weight in (
        (title, 0, "left", theme.text, LABEL_PT, "bold"),
        (unit, 1, "right", theme.soft, SMALL_PT, "normal"),
    ):
        axes.annotate(
            text,
            (x, 1),
            xycoords="axes fraction",
            xytext=(0, 8),
            textcoords="offset points",
            color=colour,
            fontsize=size,
            fontweight=weight,
            va="bottom",
            ha=side,
        )


def time_axis(axes: Axes, span_s: float, text: Callable[[float | None], str] = clock_text) -> None:
    """Set ticks at round times; ``text`` writes their labels."""
    axes.set_xticks(time_ticks(span_s))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: text(seconds)))


def without_times(axes: Axes) -> None:
    """Hide the labels of the time ticks, for axes that share those of the axes below."""
    axes.tick_params(labelbottom=False)


def few_ticks(axes: Axes, count: int = 4) -> None:
    """Set about `count` round ticks on the vertical axis."""
    axes.yaxis.set_major_locator(MaxNLocator(count))


def halo(theme: Theme) -> list[AbstractPathEffect]:
    """Return a rim in the card's colour, so that a label can be read over a line or a band."""
    return [withStroke(linewidth=2.5, foreground=theme.card)]


def limit_line(axes: Axes, theme: Theme, value: float, label: str) -> None:
    """Draw a dashed limit with its label on the line."""
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


_LINE_LABEL = "name of a line"
_NEAR = 4.0
"""Distance of a line's name from the line, in points of type."""


def line_label(
    axes: Axes, text: str, at: tuple[float, float], colour: str, theme: Theme, *, above: bool
) -> None:
    """Write a name directly on a line, in place of a legend; `spread_labels` keeps names apart."""
    axes.annotate(
        text,
        at,
        xytext=(_NEAR, _NEAR if above else -_NEAR),
        textcoords="offset points",
        color=colour,
        fontsize=SMALL_PT,
        va="bottom" if above else "top",
        path_effects=halo(theme),
        gid=_LINE_LABEL,
    )


_POINT_LABEL = "label of a point"
_PLACES: tuple[tuple[float, float, str, str], ...] = (
    (9, 6, "left", "bottom"),
    (0, 9, "center", "bottom"),
    (0, -9, "center", "top"),
    (9, -6, "left", "top"),
    (-9, 6, "right", "bottom"),
    (-9, -6, "right", "top"),
    (11, 0, "left", "center"),
    (-11, 0, "right", "center"),
    (9, 19, "left", "bottom"),
    (-9, 19, "right", "bottom"),
    (9, -19, "left", "top"),
    (-9, -19, "right", "top"),
)
"""The places for a point's label, best first: offset in points of type, alignment."""


def point_label(axes: Axes, theme: Theme, text: str, at: tuple[float, float], bold: bool) -> None:
    """Write a name beside a point; `spread_labels` then finds a place for it."""
    axes.annotate(
        text,
        at,
        xytext=_PLACES[0][:2],
        textcoords="offset points",
        path_effects=halo(theme),
        color=theme.text,
        fontsize=SMALL_PT,
        fontweight="bold" if bold else "normal",
        zorder=5,
        gid=_POINT_LABEL,
    )


def shorten_name(text: str, longest: int) -> str:
    """Return a name of at most `longest` characters; an ellipsis stands for what is cut."""
    return text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…"


def spread_labels(axes: Axes) -> None:
    """Move the names of lines and points so that they do not cover each other.

    Call it again when the size of the axes has changed.
    """
    _lift_names_of_lines(axes, _labels(axes, _LINE_LABEL))
    _place_names_of_points(axes, _labels(axes, _POINT_LABEL))


def _labels(axes: Axes, kind: str) -> list[Annotation]:
    return [one for one in axes.texts if isinstance(one, Annotation) and one.get_gid() == kind]


def _lift_names_of_lines(axes: Axes, labels: list[Annotation]) -> None:
    """Lift the names above their lines until they cover no other; names below a line stay."""
    labels = sorted(labels, key=lambda label: (_is_above(label), label.xy[1]))
    taken: list[Bbox] = []
    for label in labels:
        label.set_position((_NEAR, _NEAR if _is_above(label) else -_NEAR))
        near = box = label.get_window_extent()
        if _is_above(label):
            for other in sorted(taken, key=lambda one: one.y0):
                if box.overlaps(other):
                    box = box.translated(0, other.y1 - box.y0 + 1)
            lifted_pt = (box.y0 - near.y0) * 72 / axes.figure.dpi
            label.set_position((_NEAR, _NEAR + lifted_pt))
        taken.append(box)


def _is_above(label: Annotation) -> bool:
    return label.get_verticalalignment() == "bottom"


def _place_names_of_points(axes: Axes, labels: list[Annotation]) -> None:
    """Move each name to the place where it covers least; hide a name that would cover words."""
    words = [_box(one.get_window_extent()) for one in axes.texts if one not in labels]
    marks = [_around(axes, label) for label in labels]
    whole = _box(axes.bbox)
    pixels = axes.figure.dpi / 72
    for label in sorted(labels, key=lambda one: one.get_fontweight() != "bold"):
        label.set_visible(True)  # one that is not has no size
        size = label.get_window_extent()
        at = axes.transData.transform(label.xy)
        least = None
        for place in _PLACES:
            box = _placed((float(at[0]), float(at[1])), (size.width, size.height), place, pixels)
            outside = _area(box) - _shared_area(box, whole)
            covered = sum(_shared_area(box, other) for other in words)
            hidden = covered, outside + sum(_shared_area(box, other) for other in marks)
            if least is None or hidden < least[0]:
                least = (hidden, place, box)
        assert least is not None
        hidden, (dx, dy, across, up), box = least
        label.set_position((dx, dy))
        label.set_horizontalalignment(across)  # type: ignore[arg-type]
        label.set_verticalalignment(up)  # type: ignore[arg-type]
        label.set_visible(hidden[0] == 0)
        if label.get_visible():
            words.append(box)


_Box = tuple[float, float, float, float]
"""Left, bottom, right and top in pixels: plain numbers, since many are compared."""


def _box(box: BboxBase) -> _Box:
    return float(box.x0), float(box.y0), float(box.x1), float(box.y1)


def _placed(
    at: tuple[float, float],
    size: tuple[float, float],
    place: tuple[float, float, str, str],
    pixels: float,
) -> _Box:
    """Return the box of a label at a place, in pixels.

    Args:
        at: The label's point, in pixels.
        size: The label's width and height, in pixels.
        place: One of `_PLACES`.
        pixels: Number of pixels in a point of type.
    """
    (x, y), (width, height), (dx, dy, across, up) = at, size, place
    left = x + dx * pixels - {"left": 0.0, "center": width / 2, "right": width}[across]
    bottom = y + dy * pixels - {"bottom": 0.0, "center": height / 2, "top": height}[up]
    return left, bottom, left + width, bottom + height


def _around(axes: Axes, label: Annotation) -> _Box:
    x, y = axes.transData.transform(label.xy)
    return x - 5, y - 5, x + 5, y + 5


def _area(box: _Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _shared_area(one: _Box, other: _Box) -> float:
    across = min(one[2], other[2]) - max(one[0], other[0])
    up = min(one[3], other[3]) - max(one[1], other[1])
    return across * up if across > 0 and up > 0 else 0.0
