"""Lines and areas that Qt paints where matplotlib is too slow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import MaxNLocator
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen, QPolygonF

from simulation.scenario.units import Floats


@dataclass(frozen=True)
class PlotArea:
    """An area in which time runs to the right and values go up from 0.

    Attributes:
        area: The area, in pixels.
        span_s: The time at the right edge, in seconds; 0 is at the left edge.
        top: The value at the upper edge.
    """

    area: QRectF
    span_s: float
    top: float

    def x_of(self, time_s: float) -> float:
        """Return the x of a time, in pixels."""
        return self.area.left() + time_s / self.span_s * self.area.width()

    def y_of(self, value: float) -> float:
        """Return the y of a value, in pixels."""
        return self.area.bottom() - value / self.top * self.area.height()

    def draw_level(self, painter: QPainter, value: float, pen: QPen) -> None:
        """Draw a horizontal line at a value."""
        painter.setPen(pen)
        y = self.y_of(value)
        painter.drawLine(QPointF(self.area.left(), y), QPointF(self.area.right(), y))

    def draw_line(self, painter: QPainter, time_s: Floats, values: Floats, pen: QPen) -> None:
        """Draw a line through the finite values."""
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for first, last in finite_runs(values):
            points = self._points(time_s[first:last], values[first:last])
            painter.drawPolyline(QPolygonF(points)) if len(points) > 1 else painter.drawPoint(
                points[0]
            )

    def fill_between(
        self, painter: QPainter, time_s: Floats, between: tuple[Floats, Floats], colour: QColor
    ) -> None:
        """Fill the area between two lines where both are finite."""
        low, high = between
        for first, last in finite_runs(low + high):
            upper = self._points(time_s[first:last], high[first:last])
            lower = self._points(time_s[first:last], low[first:last])
            path = QPainterPath()
            path.addPolygon(QPolygonF([*upper, *reversed(lower)]))
            painter.fillPath(path, colour)

    def _points(self, time_s: Floats, values: Floats) -> list[QPointF]:
        x = self.area.left() + time_s / self.span_s * self.area.width()
        y = self.area.bottom() - values / self.top * self.area.height()
        return [QPointF(a, b) for a, b in zip(x.tolist(), y.tolist(), strict=True)]


def finite_runs(values: Floats) -> Sequence[tuple[int, int]]:
    """Return the index ranges in which the values are finite."""
    is_finite = np.concatenate([[False], np.isfinite(values), [False]])
    edges = np.flatnonzero(np.diff(is_finite.astype(np.int8)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def round_values(top: float, count: int = 4) -> list[float]:
    """Return a few round values from 0 to a top value."""
    return [float(value) for value in MaxNLocator(count).tick_values(0, top) if 0 <= value <= top]


def with_opacity(colour: str, opacity: float) -> QColor:
    """Return a colour with an opacity from 0 to 1."""
    result = QColor(colour)
    result.setAlphaF(opacity)
    return result
