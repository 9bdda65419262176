"""Lines and surfaces painted natively: what must be quicker than matplotlib.

Enters: values over time. Leaves: what Qt has painted of them in an area.
"""

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
        area: Where it is, in pixels.
        span_s: The time at its right edge; 0 is at its left.
        top: The value at its upper edge.
    """

    area: QRectF
    span_s: float
    top: float

    def x_of(self, time_s: float) -> float:
        """Where a time is."""
        return self.area.left() + time_s / self.span_s * self.area.width()

    def y_of(self, value: float) -> float:
        """Where a value is."""
        return self.area.bottom() - value / self.top * self.area.height()

    def draw_level(self, painter: QPainter, value: float, pen: QPen) -> None:
        """A line across at a value."""
        painter.setPen(pen)
        y = self.y_of(value)
        painter.drawLine(QPointF(self.area.left(), y), QPointF(self.area.right(), y))

    def draw_line(self, painter: QPainter, time_s: Floats, values: Floats, pen: QPen) -> None:
        """A line, wherever there are values."""
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
        """The surface between two lines, wherever both have values."""
        low, high = between
        for first, last in finite_runs(low + high):
            there = self._points(time_s[first:last], high[first:last])
            back = self._points(time_s[first:last], low[first:last])
            path = QPainterPath()
            path.addPolygon(QPolygonF([*there, *reversed(back)]))
            painter.fillPath(path, colour)

    def _points(self, time_s: Floats, values: Floats) -> list[QPointF]:
        x = self.area.left() + time_s / self.span_s * self.area.width()
        y = self.area.bottom() - values / self.top * self.area.height()
        return [QPointF(a, b) for a, b in zip(x.tolist(), y.tolist(), strict=True)]


def finite_runs(values: Floats) -> Sequence[tuple[int, int]]:
    """From where to where there are values."""
    told = np.concatenate([[False], np.isfinite(values), [False]])
    edges = np.flatnonzero(np.diff(told.astype(np.int8)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def round_values(top: float, count: int = 4) -> list[float]:
    """A handful of round values up to a height."""
    return [float(one) for one in MaxNLocator(count).tick_values(0, top) if 0 <= one <= top]


def with_opacity(colour: str, opacity: float) -> QColor:
    """A colour of the theme, as a soft surface."""
    soft = QColor(colour)
    soft.setAlphaF(opacity)
    return soft
