"""Paints one strip: grid, band, filled area, lines, limit and names.

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
"""Width that the names need where the lines begin, in pixels."""
_DASHES = [5.0, 3.0]
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter


@dataclass(frozen=True)
class PixelScale:
    """A conversion of seconds to pixels: 0 is at ``left_px``, ``end_s`` at ``width_px`` beyond it."""

    left_px: float
    width_px: float
    end_s: float

    def x(self, time_s: float) -> float:
        """Return the x of a moment, in pixels."""
        return self.left_px + self.width_px * time_s / self.end_s

    def time_s(self, x: float) -> float:
        """Return the moment at an x, limited to the scale."""
        return min(max(0.0, (x - self.left_px) / self.width_px), 1.0) * self.end_s


def paint_strip(
    painter: QPainter, strip: Strip, box: QRect, scale: PixelScale, theme: Theme, *, faded: bool
) -> None:
    """Paint a strip into its box; names and numbers of the axis stand left of the box."""
    if strip.is_quiet:
        _paint_empty(painter, strip, box, theme)
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
    """A conversion of values to pixels: 0 is at the bottom of a box, ``top`` at its upper edge."""

    box: QRect
    top: float
    scale: PixelScale

    def y(self, value: float) -> float:
        return self.box.bottom() - self.box.height() * value / self.top

    def points(self, time_s: Floats, values: Floats) -> Iterator[list[QPointF]]:
        """Yield the line's unbroken parts as points."""
        x = self.scale.left_px + self.scale.width_px * time_s / self.scale.end_s
        y = self.box.bottom() - self.box.height() * values / self.top
        is_finite = np.isfinite(y)
        edges = np.flatnonzero(np.diff(np.concatenate([[False], is_finite, [False]])))
        for begin, end in edges.reshape(-1, 2):
            pairs = zip(x[begin:end].tolist(), y[begin:end].tolist(), strict=True)
            yield [QPointF(a, b) for a, b in pairs]


def _faint(theme: Theme, token: str, alpha: int) -> QColor:
    colour = QColor(getattr(theme, token))
    colour.setAlpha(alpha)
    return colour


def _paint_empty(painter: QPainter, strip: Strip, box: QRect, theme: Theme) -> None:
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
    """Return zero and round values up to ``top``, as many as fit; one at least."""
    max_count = max(1, height_px // 28)
    size = 10.0 ** math.floor(math.log10(top))
    steps = [size / 10 * part for part in (1, 2, 5, 10, 20, 50)]
    step = next(
        (candidate for candidate in steps if int(top / candidate + 1e-9) <= max_count), None
    )
    if step is None:
        step = max(candidate for candidate in steps if candidate <= top)
        return [0.0, step]
    return [k * step for k in range(int(top / step + 1e-9) + 1)]


def _fill(
    painter: QPainter, place: _ValueScale, between: tuple[Floats, Floats, Floats], colour: QColor
) -> None:
    """Fill the area between two lines."""
    time_s, low, high = between
    is_finite = np.isfinite(low) & np.isfinite(high)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    upper = place.points(time_s, np.where(is_finite, high, np.nan))
    lower = place.points(time_s, np.where(is_finite, low, np.nan))
    for above, below in zip(upper, lower, strict=True):
        painter.drawPolygon(QPolygonF([*above, *reversed(below)]))


def _paint_line(painter: QPainter, place: _ValueScale, line: Line, colour: QColor) -> None:
    pen = QPen(colour, 1.2 if line.token == "soft" or line.is_control else 1.8)
    if line.is_dashed or line.is_control:
        pen.setDashPattern(_DASHES)
    painter.setPen(pen)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for points in place.points(line.time_s, line.values):
        painter.drawPolyline(QPolygonF(points))


def _paint_shortfalls(painter: QPainter, place: _ValueScale, strip: Strip, theme: Theme) -> None:
    """Fill the area where traffic exceeds capacity, and draw the capacity's line in red there."""
    spans = strip.shortfalls()
    if not spans:
        return
    capacity, traffic = strip.lines[:2]
    is_over_capacity = strip.is_over & (traffic.values > capacity.values)
    low, high = (np.where(is_over_capacity, line.values, np.nan) for line in (capacity, traffic))
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
    begin_s, end_s = max(spans, key=lambda span: span[1] - span[0])
    text = "traffic above capacity"
    metrics = QFontMetrics(font_of(SMALL_PX, bold=True))
    width = metrics.horizontalAdvance(text) + 8
    left = x(begin_s) - width  # beside the stretch, away from the cursor's text
    if left < place.box.left() + NAME_PX:
        left = min(x(end_s) + 6, place.box.right() - width)
    paint_label(painter, QPointF(left, bottom - 8), text, theme.fails_text, theme, bold=True)


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
    paint_label(
        painter, QPointF(place.box.right() - width - 4, above), words, theme.fails_text, theme
    )


def _paint_names(painter: QPainter, place: _ValueScale, strip: Strip, theme: Theme) -> None:
    """Paint the names of the lines where they begin, moved apart so that each can be read."""
    taken_y: list[float] = []
    metrics = QFontMetrics(font_of(SMALL_PX))
    height = metrics.height() - 2
    for order, line in enumerate(strip.lines):
        finite_indices = np.flatnonzero(np.isfinite(line.values))
        if not len(finite_indices) or not line.name:
            continue
        first_values = line.values[finite_indices[: max(1, len(finite_indices) // 5)]]
        is_above = order == 0 or not strip.is_room
        value = float(first_values.max() if is_above else first_values.min())
        y = place.y(value) + (-4 if is_above else height)
        lowest_y, highest_y = place.box.bottom() - 3.0, place.box.top() + height - 1.0
        y = min(max(y, highest_y), lowest_y)
        for other_y in sorted(taken_y):
            if abs(other_y - y) < height:
                y = other_y - height if other_y - height >= highest_y else other_y + height
        taken_y.append(y)
        text = f"{line.name} · estimate" if line.is_dashed else line.name
        paint_label(
            painter, QPointF(place.box.left() + 5, y), text, ink_of(line.token, theme), theme
        )


def paint_label(
    painter: QPainter,
    at: QPointF,
    text: str,
    colour: str,
    theme: Theme,
    *,
    bold: bool = False,
    alpha: int = 200,
) -> None:
    """Paint text on a soft background, so that it can be read over lines; ``at`` is its beginning."""
    font = font_of(SMALL_PX, bold=bold)
    metrics = QFontMetrics(font)
    ground = QColor(theme.card)
    ground.setAlpha(alpha)
    background_rect = QRectF(
        at.x() - 2,
        at.y() - metrics.ascent(),
        metrics.horizontalAdvance(text) + 4,
        metrics.height() - 1,
    )
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(ground)
    painter.drawRoundedRect(background_rect, 3, 3)
    painter.setFont(font)
    painter.setPen(QColor(colour))
    painter.drawText(at, text)
