"""The map of the page *Timing*: a cell per start and window, with the traffic above.

The mouse or the keys move a cursor from cell to cell, and choose one.
"""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import (
    QBrush,
    QColor,
    QFocusEvent,
    QImage,
    QKeyEvent,
    QLinearGradient,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QResizeEvent,
)
from PySide6.QtWidgets import QWidget

from studio.gui.painted.plotted import PlotArea, round_values, with_opacity
from studio.gui.toolkit.painting import font_of, picture_of
from studio.views.candidate.best_cell import BestMark
from studio.views.figures_text import MISSES_ANYWAY
from studio.views.theme import SMALL_PX, Theme
from studio.views.timing import CellGrid
from studio.views.timing_shades import GLYPHS, Shades, clock_ticks, value_text, verdict_colour

_LEFT_PX, _RIGHT_PX, _TRAFFIC_PX = 66, 14, 58
_TOP_PX, _BETWEEN_PX, _TIMES_PX, _LEGEND_PX = 8, 24, 20, 20
_GLYPH_PX = 9
"""Minimum width of a cell that shows its glyph, in pixels."""

_LEGEND = (
    ("meets", "meets"), ("fails", "fails"), (MISSES_ANYWAY, "misses anyway"), (None, "so far"),
    ("undecided", "undecided"),
    ("out", "left out"),
)  # fmt: skip
"""The answers with their words; None for a cell whose runs are incomplete, filled from below."""


class TimingMap(QWidget):
    """Cells that the user points at and chooses."""

    pointed = Signal(int, int)
    """The cursor is at another cell: the index of its start, and of its window."""
    chosen = Signal(int, int)
    """The user chooses a cell."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._grid: CellGrid | None = None
        self._shades: Shades | None = None
        self._key = "verdict"
        self._best: BestMark | None = None
        self._cell: tuple[int, int] | None = None
        self._picture: QPixmap | None = None
        self.setAccessibleName("Starts and windows")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setMinimumSize(260, 190)

    def show_map(
        self,
        grid: CellGrid,
        shades: Shades,
        key: str,
        theme: Theme,
        best: BestMark | None = None,
    ) -> None:
        """Show cells.

        Args:
            grid: The cells.
            shades: Their colours.
            key: The figure that the colours show, a key of `studio.views.timing_shades.FIGURES`.
            theme: The colours of the rest.
            best: The mark of the best cell; None where no cell meets the objectives.
        """
        self._best = best
        self._grid, self._shades, self._key, self._theme = grid, shades, key, theme
        is_inside = self._cell is not None and (
            self._cell[0] < len(grid.starts) and self._cell[1] < len(grid.windows)
        )
        if not is_inside:
            self._cell = grid.own()
        self._picture = None
        self.update()

    @property
    def cell(self) -> tuple[int, int] | None:
        """The cell of the cursor, as the index of its start and of its window; None for none."""
        return self._cell

    def point_at(self, column: int, row: int) -> None:
        """Move the cursor to a cell; nothing else is painted again."""
        if self._grid is None:
            return
        column = min(max(0, column), len(self._grid.starts) - 1)
        row = min(max(0, row), len(self._grid.windows) - 1)
        if (column, row) != self._cell:
            self._cell = column, row
            self.pointed.emit(column, row)
            self.update()

    # Geometry

    def area(self) -> QRectF:
        """Return the area of the cells."""
        top = _TOP_PX + _TRAFFIC_PX + _BETWEEN_PX
        bottom = self.height() - _TIMES_PX - _LEGEND_PX
        return QRectF(_LEFT_PX, top, self.width() - _LEFT_PX - _RIGHT_PX, max(1, bottom - top))

    def cell_rect(self, column: int, row: int) -> QRectF:
        """Return the rectangle of a cell."""
        assert self._grid is not None
        area = self.area()
        cell_width = area.width() / len(self._grid.starts)
        cell_height = area.height() / len(self._grid.windows)
        return QRectF(
            area.left() + column * cell_width,
            area.bottom() - (row + 1) * cell_height,
            cell_width,
            cell_height,
        )

    def _cell_at(self, at: QPointF) -> tuple[int, int] | None:
        area = self.area()
        if self._grid is None or not area.contains(at):
            return None
        column = int((at.x() - area.left()) / area.width() * len(self._grid.starts))
        row = int((area.bottom() - at.y()) / area.height() * len(self._grid.windows))
        return min(column, len(self._grid.starts) - 1), min(row, len(self._grid.windows) - 1)

    # Actions of the user

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        cell = self._cell_at(event.position())
        self.setCursor(
            Qt.CursorShape.ArrowCursor if cell is None else Qt.CursorShape.PointingHandCursor
        )
        if cell is not None:
            self.point_at(*cell)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        cell = self._cell_at(event.position())
        if cell is not None and event.button() == Qt.MouseButton.LeftButton:
            self.point_at(*cell)
            self.chosen.emit(*cell)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Move the cursor by arrow keys, Home and End; Enter chooses the cell."""
        if self._grid is None or self._cell is None:
            event.ignore()
            return
        column, row = self._cell
        target = {
            Qt.Key.Key_Left: (column - 1, row),
            Qt.Key.Key_Right: (column + 1, row),
            Qt.Key.Key_Up: (column, row + 1),
            Qt.Key.Key_Down: (column, row - 1),
            Qt.Key.Key_Home: (0, row),
            Qt.Key.Key_End: (len(self._grid.starts) - 1, row),
        }.get(Qt.Key(event.key()))
        if target is not None:
            self.point_at(*target)
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.chosen.emit(column, row)
        else:
            event.ignore()

    def focusInEvent(self, event: QFocusEvent) -> None:
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self.update()

    # Painting

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._picture = None

    def paintEvent(self, event: QPaintEvent) -> None:
        paint, ground = self._paint_picture, self._theme.card
        self._picture = picture_of(self, self._picture, ground, paint)
        painter = QPainter(self)
        painter.drawPixmap(0, 0, self._picture)
        self._paint_marks(painter)
        painter.end()

    def _paint_picture(self, painter: QPainter) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(font_of(SMALL_PX))
        if self._grid is not None and self._shades is not None:
            self._paint_traffic(painter, self._grid)
            self._paint_cells(painter, self._grid, self._shades)
            self._paint_freezes(painter, self._grid)
            self._paint_axes(painter, self._grid)
            self._paint_legend(painter, self._shades)

    def _paint_traffic(self, painter: QPainter, grid: CellGrid) -> None:
        time_s, rates = grid.traffic()
        top = float(np.nanmax(rates)) * 1.15 if np.isfinite(rates).any() else 1.0
        area = self.area()
        strip = QRectF(area.left(), _TOP_PX, area.width(), _TRAFFIC_PX)
        plot = PlotArea(strip, grid.end_s - grid.begin_s, top or 1.0)
        for tick in round_values(plot.top, 2):
            plot.draw_level(painter, tick, QPen(QColor(self._theme.line), 1))
            painter.setPen(QColor(self._theme.soft))
            place = QRectF(0, plot.y_of(tick) - 8, _LEFT_PX - 8, 16)
            side = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(place, side, f"{tick:g}")
        offset_s = time_s - grid.begin_s
        zeros = np.zeros(len(offset_s))
        plot.fill_between(painter, offset_s, (zeros, rates), with_opacity(self._theme.accent, 0.14))
        plot.draw_line(painter, offset_s, rates, QPen(QColor(self._theme.accent), 1.4))
        words = "traffic, requests/s"
        wide = painter.fontMetrics().horizontalAdvance(words) + 8
        first_rates = rates[: len(rates) // 4]
        is_low = np.isfinite(first_rates).any() and float(np.nanmax(first_rates)) < 0.6 * plot.top
        y = strip.top() if is_low else strip.bottom() - 18  # away from the traffic line
        label = QRectF(strip.left() + 4, y, wide, 16)
        painter.fillRect(label, with_opacity(self._theme.card, 0.75))
        painter.setPen(QColor(self._theme.accent))
        painter.drawText(label, Qt.AlignmentFlag.AlignCenter, words)

    def _paint_cells(self, painter: QPainter, grid: CellGrid, shades: Shades) -> None:
        # the image does not copy the data, so keep it until the image is drawn
        index = np.ascontiguousarray(shades.index[::-1])
        rows, columns = index.shape
        image = QImage(index.data, columns, rows, columns, QImage.Format.Format_Indexed8)
        image.setColorTable([QColor(colour).rgba() for colour in shades.colours])
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, on=False)
        area = self.area()
        painter.drawImage(area, image)
        for row, column in zip(*np.nonzero(shades.fills > 0), strict=True):
            self._fill(painter, self.cell_rect(column, row), shades.fills[row, column])
        cell = self.cell_rect(0, 0)
        if cell.width() >= 5:  # a thin line of background between cells
            painter.setPen(QPen(QColor(self._theme.card), 1))
            for column in range(1, columns):
                x = area.left() + column * cell.width()
                painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))
            for row in range(1, rows):
                y = area.bottom() - row * cell.height()
                painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
        if cell.width() >= _GLYPH_PX and cell.height() >= _GLYPH_PX + 3:
            painter.setFont(font_of(min(SMALL_PX, cell.width() - 1)))
            painter.setPen(QColor(self._theme.text))
            for row, glyphs in enumerate(shades.glyphs):
                for column, glyph in enumerate(glyphs):
                    if glyph:
                        place = self.cell_rect(column, row)
                        painter.drawText(place, Qt.AlignmentFlag.AlignCenter, glyph)
            painter.setFont(font_of(SMALL_PX))

    def _fill(self, painter: QPainter, place: QRectF, fraction: float) -> None:
        """Fill a rectangle from below, to a fraction of its height."""
        filled_px = place.height() * fraction
        level = QRectF(place.left(), place.bottom() - filled_px, place.width(), filled_px)
        painter.fillRect(level, QColor(self._theme.so_far))

    def _paint_freezes(self, painter: QPainter, grid: CellGrid) -> None:
        area = self.area()
        pattern = QBrush(QColor(self._theme.soft), Qt.BrushStyle.BDiagPattern)
        span_s = grid.end_s - grid.begin_s
        for begin_s, end_s in grid.freezes():
            left, right = (
                area.left() + (at - grid.begin_s) / span_s * area.width() for at in (begin_s, end_s)
            )
            whole = QRectF(left, _TOP_PX, right - left, area.bottom() - _TOP_PX)
            painter.fillRect(whole, pattern)
            words = "freeze"
            wide = painter.fontMetrics().horizontalAdvance(words) + 8
            if wide < whole.width():
                label = QRectF(whole.center().x() - wide / 2, _TOP_PX + 2, wide, 16)
                painter.fillRect(label, QColor(self._theme.card))
                painter.setPen(QColor(self._theme.soft))
                painter.drawText(label, Qt.AlignmentFlag.AlignCenter, words)

    def _paint_axes(self, painter: QPainter, grid: CellGrid) -> None:
        area, metrics = self.area(), painter.fontMetrics()
        painter.setPen(QColor(self._theme.soft))
        side = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        last_y = float("inf")
        for row, window in enumerate(grid.windows):
            place = self.cell_rect(0, row)
            if last_y - place.center().y() >= metrics.height() - 2:
                last_y = place.center().y()
                words = f"window {window}" if row == len(grid.windows) - 1 else f"{window}"
                painter.drawText(QRectF(0, last_y - 8, _LEFT_PX - 8, 16), side, words)
        span_s = grid.end_s - grid.begin_s
        ticks = clock_ticks(grid, max(2, int(area.width() / 58)))
        for tick in ticks:
            x = area.left() + (tick - grid.begin_s) / span_s * area.width()
            place = QRectF(x - 30, area.bottom() + 3, 60, 16)
            painter.drawText(place, Qt.AlignmentFlag.AlignHCenter, grid.clock(tick))

    def _paint_legend(self, painter: QPainter, shades: Shades) -> None:
        """Paint the meaning of the colours in the line below the map."""
        metrics, area = painter.fontMetrics(), self.area()
        x, y = area.left(), float(self.height() - _LEGEND_PX + 2)
        if shades.low is not None:
            low, high = value_text(self._key, shades.low), value_text(self._key, shades.high)
            painter.setPen(QColor(self._theme.soft))
            painter.drawText(QPointF(x, y + 12), low)
            x += metrics.horizontalAdvance(low) + 6
            scale = QLinearGradient(x, 0, x + 120, 0)
            values = shades.colours[40:140]
            for number in range(0, 100, 9):
                scale.setColorAt(number / 99, QColor(values[number]))
            painter.fillRect(QRectF(x, y + 3, 120, 10), QBrush(scale))
            x += 126
            painter.drawText(QPointF(x, y + 12), high)
            x += metrics.horizontalAdvance(high) + 18
        else:
            shown = {glyph for row in shades.glyphs for glyph in row}
            for answer, words in _LEGEND:
                if answer == MISSES_ANYWAY and GLYPHS[MISSES_ANYWAY] not in shown:
                    continue  # most days have no such cell, and the line is short
                box = QRectF(x, y + 1, 14, 14)
                if answer in (None, "undecided"):
                    painter.fillRect(box, QColor(self._theme.field))
                    self._fill(painter, box, 0.5)
                else:
                    painter.fillRect(box, QColor(verdict_colour(shades, answer)))
                painter.setPen(QColor(self._theme.text))
                glyph = GLYPHS[answer] if answer is not None else ""
                painter.drawText(box, Qt.AlignmentFlag.AlignCenter, glyph)
                painter.setPen(QColor(self._theme.soft))
                painter.drawText(QPointF(x + 19, y + 12), words)
                x += 19 + metrics.horizontalAdvance(words) + 14
        painter.setPen(QColor(self._theme.soft))
        words = "pale: estimate"
        if x + metrics.horizontalAdvance(words) < self.width():
            painter.drawText(QPointF(x, y + 12), words)

    def _paint_marks(self, painter: QPainter) -> None:
        """Mark the scenario's own cell, and the cell of the cursor."""
        if self._grid is None:
            return
        painter.setBrush(Qt.BrushStyle.NoBrush)
        own = self._grid.own()
        for cell, colour, width in (
            (self._cell, self._theme.accent if self.hasFocus() else self._theme.text, 1.5),
            (own, self._theme.accent, 2.5),
        ):
            if cell is not None:
                painter.setPen(QPen(QColor(colour), width))
                painter.drawRect(self.cell_rect(*cell).adjusted(0.5, 0.5, -0.5, -0.5))
        if self._best is not None:
            self._paint_best(painter, self._best)
        if own is not None:  # a tick in the traffic shows the start of that cell
            place = self.cell_rect(*own)
            painter.setPen(QPen(QColor(self._theme.accent), 1.5))
            x = place.left()
            painter.drawLine(QPointF(x, _TOP_PX), QPointF(x, _TOP_PX + _TRAFFIC_PX))

    @property
    def best(self) -> BestMark | None:
        """The mark of the best cell."""
        return self._best

    def _paint_best(self, painter: QPainter, best: BestMark) -> None:
        """Paint a ring around the best cell, and its label above the cells, joined by a line."""
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        place, colour = self.cell_rect(*best.cell), QColor(self._theme.text)
        style = Qt.PenStyle.SolidLine if best.is_confirmed else Qt.PenStyle.DashLine
        painter.setPen(QPen(colour, 2, style))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(place.adjusted(-1, -1, 1, 1), 4, 4)
        painter.setFont(font_of(SMALL_PX, bold=True))
        area = self.area()
        width = painter.fontMetrics().horizontalAdvance(best.words) + 12
        left = min(max(area.left(), place.center().x() - width / 2), area.right() - width)
        label = QRectF(left, area.top() - _BETWEEN_PX + 3, width, 17)
        painter.setPen(QPen(colour, 1))
        x = place.center().x()
        painter.drawLine(QPointF(x, label.bottom()), QPointF(x, place.top() - 1))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour)
        painter.drawRoundedRect(label, 5, 5)
        painter.setPen(QColor(self._theme.card))
        painter.drawText(label, Qt.AlignmentFlag.AlignCenter, best.words)
