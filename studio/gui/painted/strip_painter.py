"""How one strip of lines is painted: grid, band, room, limit and names, natively and in pixels.

Enters: a strip, where it stands, a scale of time and a theme. Leaves: paint.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPen, QPolygonF

from simulation.scenario.units import Floats
from studio.gui.toolkit.painting import font_of
from studio.views.states import ink_of
from studio.views.strips import Line, Strip
from studio.views.theme import SMALL_PX, Theme

TICK_PX = 10.0
_HEADROOM = 1.18
NAME_PX = 70
"""So wide are the names where lines begin."""
_DASHES = [5.0, 3.0]
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter


@dataclass(frozen=True)
class PixelScale:
    """Seconds to pixels: 0 is at ``left_px``, ``end_s`` at ``width_px`` beyond it."""

    left_px: float
    width_px: float
    end_s: float

    def x(self, time_s: float) -> float:
        """Where a moment is."""
        return self.left_px + self.width_px * time_s / self.end_s

    def time_s(self, x: float) -> float:
        """Which moment is there, within the scale."""
        return min(max(0.0, (x - self.left_px) / self.width_px), 1.0) * self.end_s


def paint_strip(
    painter: QPainter, strip: Strip, box: QRect, scale: PixelScale, theme: Theme, *, faded: bool
) -> None:
    """Paints a strip into its box; names and numbers of the axis stand left of it."""
    if strip.is_quiet:
        _paint_quiet(painter, strip, box, theme)
        return
    top = strip.top * _HEADROOM
    place = _ValueScale(box, top, scale)
    _paint_grid(painter, place, theme)
    painter.setOpacity(0.45 if faded else 1.0)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setClipRect(box.adjusted(0, -1, 1, 1))
    if strip.band is not None:
        token, time_s, low, high = strip.band
        _fill(painter, place, (time_s, low, high), _faint(theme, token, 46))
    if strip.is_room:
        capacity = strip.lines[0]
        floor = np.zeros(len(capacity.values))
        _fill(
            painter,
            place,
            (capacity.time_s, floor, capacity.values),
            _faint(theme, capacity.token, 30),
        )
    for line in reversed(strip.lines):
        _paint_line(painter, place, line, QColor(getattr(theme, line.token)))
    if strip.is_room:
        _paint_shortfalls(painter, place, strip, theme)
    if strip.limit is not None:
        _paint_limit(painter, place, strip.limit, theme)
    _paint_names(painter, place, strip, theme)
    painter.setClipping(False)
    painter.setOpacity(1.0)


@dataclass(frozen=True)
class _ValueScale:
    """Values to pixels: 0 at the bottom of a box, ``top`` at its upper edge."""

    box: QRect
    top: float
    scale: PixelScale

    def y(self, value: float) -> float:
        return self.box.bottom() - self.box.height() * value / self.top

    def points(self, time_s: Floats, values: Floats) -> Iterator[list[QPointF]]:
        """The line's unbroken stretches."""
        x = self.scale.left_px + self.scale.width_px * time_s / self.scale.end_s
        y = self.box.bottom() - self.box.height() * values / self.top
        known = np.isfinite(y)
        edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]])))
        for begin, end in edges.reshape(-1, 2):
            pairs = zip(x[begin:end].tolist(), y[begin:end].tolist(), strict=True)
            yield [QPointF(a, b) for a, b in pairs]


def _faint(theme: Theme, token: str, alpha: int) -> QColor:
    colour = QColor(getattr(theme, token))
    colour.setAlpha(alpha)
    return colour


def _paint_quiet(painter: QPainter, strip: Strip, box: QRect, theme: Theme) -> None:
    painter.setPen(QColor(theme.line))
    painter.drawLine(box.left(), box.bottom(), box.right(), box.bottom())
    painter.setFont(font_of(TICK_PX))
    painter.setPen(QColor(theme.soft))
    painter.drawText(box.adjusted(4, 0, 0, 0), _LEFT, strip.nothing)


def _paint_grid(painter: QPainter, place: _ValueScale, theme: Theme) -> None:
    painter.setFont(font_of(TICK_PX))
    box = place.box
    for value in round_values(place.top / _HEADROOM, box.height()):
        y = round(place.y(value))
        painter.setPen(QColor(theme.line))
        painter.drawLine(box.left(), y, box.right(), y)
        painter.setPen(QColor(theme.soft))
        painter.drawText(QRect(box.left() - 45, y - 7, 40, 14), _RIGHT, f"{value:,.10g}")


def round_values(top: float, height_px: int) -> list[float]:
    """Zero and as many round values up to a highest one as there is room for, one at least."""
    most = max(1, height_px // 28)
    size = 10.0 ** math.floor(math.log10(top))
    steps = [size / 10 * part for part in (1, 2, 5, 10, 20, 50)]
    step = next((one for one in steps if int(top / one + 1e-9) <= most), None)
    if step is None:
        step = max(one for one in steps if one <= top)
        return [0.0, step]
    return [k * step for k in range(int(top / step + 1e-9) + 1)]


def _fill(
    painter: QPainter, place: _ValueScale, between: tuple[Floats, Floats, Floats], colour: QColor
) -> None:
    """Fills between two lines."""
    time_s, low, high = between
    known = np.isfinite(low) & np.isfinite(high)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    upper = place.points(time_s, np.where(known, high, np.nan))
    lower = place.points(time_s, np.where(known, low, np.nan))
    for above, below in zip(upper, lower, strict=True):
        painter.drawPolygon(QPolygonF([*above, *reversed(below)]))


def _paint_line(painter: QPainter, place: _ValueScale, line: Line, colour: QColor) -> None:
    pen = QPen(colour, 1.2 if line.token == "soft" else 1.8)
    if line.is_dashed:
        pen.setDashPattern(_DASHES)
    painter.setPen(pen)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for points in place.points(line.time_s, line.values):
        painter.drawPolyline(QPolygonF(points))


def _paint_shortfalls(painter: QPainter, place: _ValueScale, strip: Strip, theme: Theme) -> None:
    """Where more is asked than there is: the room is missing, and the capacity's line is red."""
    spans = strip.shortfalls()
    if not spans:
        return
    capacity, asked = strip.lines[:2]
    over = strip.is_over & (asked.values > capacity.values)
    low, high = (np.where(over, one.values, np.nan) for one in (capacity, asked))
    _fill(painter, place, (capacity.time_s, low, high), _faint(theme, "failed", 110))
    x, bottom = place.scale.x, place.box.bottom()
    for begin_s, end_s in spans:
        inside = (capacity.time_s >= begin_s) & (capacity.time_s <= end_s)
        time_s = np.concatenate([[begin_s], capacity.time_s[inside], [end_s]])
        values = capacity.values[inside]
        values = np.concatenate([values[:1], values, values[-1:]])
        painter.setPen(QPen(QColor(theme.failed), 2.4))
        for points in place.points(time_s, values):
            painter.drawPolyline(QPolygonF(points))
        width = max(2.0, x(end_s) - x(begin_s))
        painter.fillRect(QRectF(x(begin_s), bottom - 3, width, 3), QColor(theme.failed))
    begin_s, end_s = max(spans, key=lambda one: one[1] - one[0])
    words = "traffic above capacity"
    metrics = QFontMetrics(font_of(SMALL_PX, bold=True))
    width = metrics.horizontalAdvance(words) + 8
    left = x(begin_s) - width  # beside the stretch, where the cursor's own words are not
    if left < place.box.left() + NAME_PX:
        left = min(x(end_s) + 6, place.box.right() - width)
    label(painter, QPointF(left, bottom - 8), words, theme.fails_text, theme, bold=True)


def _paint_limit(
    painter: QPainter, place: _ValueScale, limit: tuple[float, str], theme: Theme
) -> None:
    value, words = limit
    y = place.y(value)
    pen = QPen(QColor(theme.failed), 1.2)
    pen.setDashPattern(_DASHES)
    painter.setPen(pen)
    painter.drawLine(QPointF(place.box.left(), y), QPointF(place.box.right(), y))
    width = QFontMetrics(font_of(SMALL_PX)).horizontalAdvance(words)
    above = y - 4 if y - 14 > place.box.top() else y + 12
    label(painter, QPointF(place.box.right() - width - 4, above), words, theme.fails_text, theme)


def _paint_names(painter: QPainter, place: _ValueScale, strip: Strip, theme: Theme) -> None:
    """The names of the lines where they begin, so far apart that each can be read."""
    taken: list[float] = []
    metrics = QFontMetrics(font_of(SMALL_PX))
    height = metrics.height() - 2
    for order, line in enumerate(strip.lines):
        known = np.flatnonzero(np.isfinite(line.values))
        if not len(known) or not line.name:
            continue
        stretch = line.values[known[: max(1, len(known) // 5)]]
        is_above = order == 0 or not strip.is_room
        value = float(stretch.max() if is_above else stretch.min())
        y = place.y(value) + (-4 if is_above else height)
        lowest, highest = place.box.bottom() - 3.0, place.box.top() + height - 1.0
        y = min(max(y, highest), lowest)
        for other in sorted(taken):
            if abs(other - y) < height:
                y = other - height if other - height >= highest else other + height
        taken.append(y)
        words = f"{line.name} · estimate" if line.is_dashed else line.name
        label(painter, QPointF(place.box.left() + 5, y), words, ink_of(line.token, theme), theme)


def label(
    painter: QPainter,
    at: QPointF,
    words: str,
    colour: str,
    theme: Theme,
    *,
    bold: bool = False,
    alpha: int = 200,
) -> None:
    """Words on a soft ground, so that they are read over lines; ``at`` is where they begin."""
    font = font_of(SMALL_PX, bold=bold)
    metrics = QFontMetrics(font)
    ground = QColor(theme.card)
    ground.setAlpha(alpha)
    room = QRectF(
        at.x() - 2,
        at.y() - metrics.ascent(),
        metrics.horizontalAdvance(words) + 4,
        metrics.height() - 1,
    )
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(ground)
    painter.drawRoundedRect(room, 3, 3)
    painter.setFont(font)
    painter.setPen(QColor(colour))
    painter.drawText(at, words)
