"""Two to four runs over time, side by side: one scale, one axis of time, one cursor.

Qt paints the picture once, and the cursor over it whenever the cursor moves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QResizeEvent,
)
from PySide6.QtWidgets import QWidget

from simulation.estimates import estimate
from simulation.scenario.units import Floats
from simulation.study.candidate_result import Band
from studio.gui.painted.plotted import PlotArea, round_values, with_opacity
from studio.gui.toolkit.painting import font_of, picture_of
from studio.views.figures_text import clock_text, count_text, latency_text, limit_text
from studio.views.side_by_side import StripLines
from studio.views.theme import SMALL_PX, Theme
from studio.views.ticks import time_ticks

LEFT_PX = 122
"""Width of the margin left of the columns, for names and numbers, in pixels."""
INSIDE_PX = 8
"""Margin on both sides of a column, in pixels."""
_TOP_PX, _BOTTOM_PX, _BETWEEN_PX = 18, 22, 20
_ROOM = 1.12


@dataclass(frozen=True)
class Quantity:
    """One row of panels.

    Attributes:
        name: The name of the quantity.
        lines: For each line the attribute of `StripLines`, its name, and its colour's token.
        is_time: Whether the values are seconds.
    """

    name: str
    lines: tuple[tuple[str, str, str], ...]
    is_time: bool


QUANTITIES = (
    Quantity(
        "Capacity",
        (("capacity", "in the pool", "new_version"), ("traffic", "traffic", "accent")),
        is_time=False,
    ),
    Quantity("Latency", (("p99", "p99", "accent"), ("p50", "p50", "soft")), is_time=True),
)


@dataclass(frozen=True)
class Columns:
    """The content of the chart.

    Attributes:
        lines: The lines of each run.
        names: The names of the runs.
        limit_s: The objective of p99, in seconds; None without one.
    """

    lines: tuple[StripLines, ...] = ()
    names: tuple[str, ...] = ()
    limit_s: float | None = None


class SideBySideChart(QWidget):
    """A chart with one column for each run; mouse and ← → move a time cursor through all columns."""

    moved = Signal(float)
    """The cursor has moved; the argument is its time in seconds."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._columns = Columns()
        self._estimate: tuple[int, estimate.Estimate] | None = None
        self._cursor_s: float | None = None
        self._picture: QPixmap | None = None
        self.setAccessibleName("Runs over time")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setMinimumHeight(170)

    # Display

    def show_columns(self, columns: Columns, theme: Theme) -> None:
        """Show other runs, or more results of the same runs."""
        self._columns, self._theme = columns, theme
        if self._cursor_s is None or self._cursor_s > self.span_s:
            self._cursor_s = self._worst_s()
        self._repaint()

    def show_estimate(self, column: int | None, new_estimate: estimate.Estimate | None) -> None:
        """Draw an estimate into a column, over its simulated lines; None removes the estimate."""
        column_estimate = None if column is None or new_estimate is None else (column, new_estimate)
        if column_estimate != self._estimate:
            self._estimate = column_estimate
            self._repaint()

    @property
    def is_estimated(self) -> bool:
        """Return whether an estimate is drawn."""
        return self._estimate is not None

    @property
    def span_s(self) -> float:
        """The end of the axis of time, in seconds."""
        ends = [lines.end_s for lines in self._columns.lines]
        if self._estimate is not None and self._estimate[1].lines is not None:
            ends.append(float(self._estimate[1].lines.time_s[-1]))
        return max(ends, default=1.0)

    @property
    def cursor_s(self) -> float | None:
        """The time of the cursor, in seconds."""
        return self._cursor_s

    def move_cursor(self, time_s: float) -> None:
        """Move the cursor; only the cursor is painted again."""
        new_s = min(max(0.0, time_s), self.span_s)
        if new_s != self._cursor_s and self._columns.lines:
            self._cursor_s = new_s
            self.setAccessibleDescription(self.readout())
            self.moved.emit(new_s)
            self.update()

    def readout(self) -> str:
        """Return the values of every run at the cursor, as a sentence."""
        if self._cursor_s is None or not self._columns.lines:
            return ""
        parts = [f"At {clock_text(self._cursor_s)}"]
        for name, lines in zip(self._columns.names, self._columns.lines, strict=True):
            values = ", ".join(
                f"{words} {self._value_text(getattr(lines, key), quantity)}"
                for quantity in QUANTITIES
                for key, words, _token in quantity.lines
            )
            parts.append(f"{name}: {values}")
        return "; ".join(parts)

    def _worst_s(self) -> float | None:
        """Return the time of the highest p99, where the cursor starts."""
        best = (0.0, 0.0)
        for lines in self._columns.lines:
            values = np.nan_to_num(lines.p99.median)
            if len(values):
                index = int(np.argmax(values))
                best = max(best, (float(values[index]), float(lines.p99.time_s[index])))
        return best[1] if self._columns.lines else None

    def _value_text(self, band: Band, quantity: Quantity) -> str:
        value = value_at(band, self._cursor_s or 0.0)
        return latency_text(value) if quantity.is_time else count_text(value)

    # Geometry

    def column_width(self) -> float:
        """Return the width of a column in pixels, its margins included."""
        return (self.width() - LEFT_PX) / max(1, len(self._columns.lines))

    def panel(self, row: int, column: int) -> QRectF:
        """Return the panel of a quantity (row) and a run (column)."""
        panel_height = (self.height() - _TOP_PX - _BOTTOM_PX - _BETWEEN_PX) / len(QUANTITIES)
        column_width = self.column_width()
        return QRectF(
            LEFT_PX + column * column_width + INSIDE_PX,
            _TOP_PX + row * (panel_height + _BETWEEN_PX),
            column_width - 2 * INSIDE_PX,
            panel_height,
        )

    def _top(self, quantity: Quantity) -> float:
        """Return the top of the scale that all columns of a quantity share."""
        values = [0.0]
        for lines in self._columns.lines:
            for key, _words, _token in quantity.lines:
                band: Band = getattr(lines, key)
                finite_values = np.concatenate([band.high, band.median])
                finite_values = finite_values[np.isfinite(finite_values)]
                values += [float(finite_values.max())] if len(finite_values) else []
        if quantity.is_time and self._columns.limit_s is not None:
            values.append(self._columns.limit_s)
        if self._estimate is not None:
            values += [float(np.nanmax(line)) for _t, line, _c in self._estimated(quantity)]
        return max(values) * _ROOM or 1.0

    def _estimated(self, quantity: Quantity) -> list[tuple[Floats, Floats, str]]:
        """Return the lines of the estimate: times, values, colour token."""
        if self._estimate is None or self._estimate[1].lines is None:
            return []
        shown_estimate, lines = self._estimate[1], self._estimate[1].lines
        if not quantity.is_time:
            return [
                (lines.time_s, lines.capacity_rps, "new_version"),
                (lines.time_s, lines.offered_rps, "accent"),
            ]
        if shown_estimate.rollout_latency_p99_s is None:
            return []
        flat = np.full(len(lines.time_s), shown_estimate.rollout_latency_p99_s.value)
        return [(lines.time_s, flat, "accent")]

    # Actions of the user

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._move_cursor_to(event.position())

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._move_cursor_to(event.position())

    def _move_cursor_to(self, at: QPointF) -> None:
        for column in range(len(self._columns.lines)):
            panel = self.panel(0, column)
            if panel.left() - INSIDE_PX <= at.x() <= panel.right() + INSIDE_PX:
                self.move_cursor((at.x() - panel.left()) / panel.width() * self.span_s)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Move the cursor by ← and → by a hundredth, with Shift by a tenth; Home and End go to the ends."""
        is_far = event.modifiers() & Qt.KeyboardModifier.ShiftModifier
        step_s = self.span_s / (10 if is_far else 100)
        now_s = self._cursor_s or 0.0
        target_s = {
            Qt.Key.Key_Left: now_s - step_s,
            Qt.Key.Key_Right: now_s + step_s,
            Qt.Key.Key_Home: 0.0,
            Qt.Key.Key_End: self.span_s,
        }.get(Qt.Key(event.key()))
        if target_s is None:
            event.ignore()
        else:
            self.move_cursor(target_s)

    # Painting

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._repaint()

    def _repaint(self) -> None:
        self._picture = None
        self.setAccessibleDescription(self.readout())
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        paint, ground = self._paint_picture, self._theme.card
        self._picture = picture_of(self, self._picture, ground, paint)
        painter = QPainter(self)
        painter.drawPixmap(0, 0, self._picture)
        self._paint_cursor(painter)
        painter.end()

    def _paint_picture(self, painter: QPainter) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for row, quantity in enumerate(QUANTITIES):
            if not self._columns.lines:
                break
            top = self._top(quantity)
            self._paint_margin(painter, row, quantity, top)
            for column in range(len(self._columns.lines)):
                self._paint_panel(painter, (row, column), quantity, top)

    def _paint_margin(self, painter: QPainter, row: int, quantity: Quantity, top: float) -> None:
        """Paint the name of a quantity, the names of its lines, and the numbers of the scale."""
        area = self.panel(row, 0)
        painter.setFont(font_of(SMALL_PX, bold=True))
        painter.setPen(QColor(self._theme.text))
        line = painter.fontMetrics().height() + 1
        y = area.top() + painter.fontMetrics().ascent() - 4
        painter.drawText(QPointF(12, y), quantity.name)
        painter.setFont(font_of(SMALL_PX))
        for number, (_key, words, token) in enumerate(quantity.lines, 1):
            painter.setPen(QColor(getattr(self._theme, token)))
            painter.drawText(QPointF(12, y + number * line), words)
        scale, unit = (1.0, "requests/s") if not quantity.is_time else _unit(top)
        painter.setPen(QColor(self._theme.soft))
        painter.drawText(QPointF(12, y + (len(quantity.lines) + 1) * line), unit)
        for tick in round_values(top * scale):
            at = area.bottom() - tick / (top * scale) * area.height()
            place = QRectF(LEFT_PX - 50, at - 8, 50, 16)
            painter.drawText(
                place, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, f"{tick:g}"
            )

    def _paint_panel(
        self, painter: QPainter, place: tuple[int, int], quantity: Quantity, top: float
    ) -> None:
        row, column = place
        area, lines, theme = self.panel(row, column), self._columns.lines[column], self._theme
        plot = PlotArea(area, self.span_s, top)
        scale = _unit(top)[0] if quantity.is_time else 1.0
        for tick in round_values(top * scale):
            plot.draw_level(painter, tick / scale, QPen(QColor(theme.line), 1))
        has_estimate = self._estimate is not None and self._estimate[0] == column
        painter.save()
        painter.setClipRect(area.adjusted(-1, -1, 1, 1))
        painter.setOpacity(0.35 if has_estimate else 1.0)
        for number, (key, _words, token) in enumerate(quantity.lines):
            band: Band = getattr(lines, key)
            colour = getattr(theme, token)
            if key == "capacity":
                room = (np.zeros(len(band.time_s)), band.median)
                plot.fill_between(painter, band.time_s, room, with_opacity(colour, 0.12))
            elif key in ("traffic", "p99"):
                plot.fill_between(
                    painter, band.time_s, (band.low, band.high), with_opacity(colour, 0.2)
                )
            pen = QPen(QColor(colour), 1.3 if number else 1.6)
            plot.draw_line(painter, band.time_s, band.median, pen)
        painter.setOpacity(1.0)
        if has_estimate:
            for time_s, values, token in self._estimated(quantity):
                pen = QPen(QColor(getattr(theme, token)), 1.6, Qt.PenStyle.DashLine)
                plot.draw_line(painter, time_s, values, pen)
        painter.restore()
        if has_estimate and row == 0:  # the dashed lines are named, too
            painter.setPen(QColor(theme.accent))
            painter.drawText(QPointF(area.left(), area.top() - 5), "estimate")
        if quantity.is_time and self._columns.limit_s is not None:
            self._paint_limit(painter, plot, self._columns.limit_s, column)

    def _paint_limit(self, painter: QPainter, plot: PlotArea, limit_s: float, column: int) -> None:
        plot.draw_level(
            painter, limit_s, QPen(QColor(self._theme.failed), 1.1, Qt.PenStyle.DashLine)
        )
        if column == len(self._columns.lines) - 1:
            words = f"limit {limit_text(limit_s)}"
            wide = painter.fontMetrics().horizontalAdvance(words) + 6
            place = QRectF(plot.area.right() - wide, plot.y_of(limit_s) - 16, wide, 15)
            painter.fillRect(place, with_opacity(self._theme.card, 0.8))
            painter.drawText(place, Qt.AlignmentFlag.AlignCenter, words)

    def _paint_cursor(self, painter: QPainter) -> None:
        """Paint one line through all panels, and the values of each run at the cursor."""
        if self._cursor_s is None or not self._columns.lines:
            return
        painter.setFont(font_of(SMALL_PX))
        colour = QColor(self._theme.accent if self.hasFocus() else self._theme.text)
        for column, lines in enumerate(self._columns.lines):
            top, bottom = self.panel(0, column), self.panel(len(QUANTITIES) - 1, column)
            x = top.left() + self._cursor_s / self.span_s * top.width()
            painter.setPen(QPen(colour, 1.3))
            painter.drawLine(QPointF(x, top.top()), QPointF(x, bottom.bottom() + 2))
            self._paint_times(painter, x, bottom)
            for row, quantity in enumerate(QUANTITIES):
                self._paint_values(painter, self.panel(row, column), lines, quantity)

    def _paint_times(self, painter: QPainter, x: float, area: QRectF) -> None:
        """Paint the axis of time, and the time of the cursor on it."""
        words, metrics = clock_text(self._cursor_s), painter.fontMetrics()
        wide = metrics.horizontalAdvance(words) + 8
        left = min(max(area.left() - INSIDE_PX, x - wide / 2), area.right() + INSIDE_PX - wide)
        chip = QRectF(left, area.bottom() + 3, wide, 16)
        painter.setPen(QColor(self._theme.soft))
        plot = PlotArea(area, self.span_s, 1.0)
        for tick in time_ticks(self.span_s, max(2, int(area.width() / 44))):
            half = metrics.horizontalAdvance(clock_text(tick)) / 2 + 3
            place = QRectF(plot.x_of(tick) - half, chip.top(), 2 * half, chip.height())
            if place.center().x() <= area.right() - 8 and not place.intersects(chip):
                painter.drawText(place, Qt.AlignmentFlag.AlignCenter, clock_text(tick))
        painter.fillRect(chip, QColor(self._theme.text))
        painter.setPen(QColor(self._theme.card))
        painter.drawText(chip, Qt.AlignmentFlag.AlignCenter, words)

    def _paint_values(
        self, painter: QPainter, area: QRectF, lines: StripLines, quantity: Quantity
    ) -> None:
        """Paint the values at the cursor above the panel, in the colours of their lines."""
        parts = [
            (self._value_text(getattr(lines, key), quantity), QColor(getattr(self._theme, token)))
            for key, _words, token in quantity.lines
        ]
        x, metrics = area.right(), painter.fontMetrics()
        width = metrics.horizontalAdvance(" / ".join(words for words, _colour in parts)) + 4
        ground = QRectF(x - width + 2, area.top() - 16, width, 14)  # the cursor passes behind
        painter.fillRect(ground, with_opacity(self._theme.card, 0.85))
        for number, (words, colour) in enumerate(reversed(parts)):
            if number:
                x -= metrics.horizontalAdvance(" / ")
                painter.setPen(QColor(self._theme.soft))
                painter.drawText(QPointF(x, area.top() - 5), " / ")
            x -= metrics.horizontalAdvance(words)
            painter.setPen(colour)
            painter.drawText(QPointF(x, area.top() - 5), words)


def value_at(band: Band, time_s: float) -> float | None:
    """Return the median in the bin of a time; None beyond the end and where there is no value."""
    if not len(band.time_s) or time_s > band.time_s[-1] + band.time_s[0]:
        return None
    value = float(band.median[int(np.argmin(np.abs(band.time_s - time_s)))])
    return value if math.isfinite(value) else None


def _unit(top_s: float) -> tuple[float, str]:
    return (1.0, "s") if top_s >= 2.0 else (1000.0, "ms")
