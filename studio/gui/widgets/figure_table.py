"""The figures of runs side by side, with their differences to the baseline.

The rows come from `studio.views.side_by_side`; arrow keys move from cell to cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableWidget,
    QTableWidgetItem,
)

from studio.views.side_by_side import TableCell, TableRow
from studio.views.theme import SMALL_PX, Theme

ROW_PX = 34
_CELL = Qt.ItemDataRole.UserRole
_GLYPHS = {"better": "✓", "worse": "✗", "open": "≈", "same": "="}
_WORDS = {"better": " better", "worse": " worse", "open": "", "same": ""}
_Index = QModelIndex | QPersistentModelIndex


@dataclass(frozen=True)
class _CellContent:
    """A cell, and the estimate of the edited scenario for it; empty where there is none."""

    cell: TableCell
    estimate: str = ""


class _TwoLines(QStyledItemDelegate):
    """A painter of the figure, and below it the difference in the colour of its standing."""

    def __init__(self, table: FigureTable) -> None:
        super().__init__(table)
        self._table = table

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        theme = self._table.theme
        painter.save()
        rect: QRect = option.rect.adjusted(8, 2, -8, -2)
        state: QStyle.StateFlag = option.state
        if state & QStyle.StateFlag.State_Selected:
            painter.fillRect(option.rect, QColor(theme.field))
        content: _CellContent | None = index.data(_CELL)
        if content is not None:
            self._paint_lines(painter, rect, content, theme)
        painter.setPen(QColor(theme.line))
        edge: QRect = option.rect
        painter.drawLine(edge.bottomLeft(), edge.bottomRight())
        painter.restore()

    def _paint_lines(
        self, painter: QPainter, rect: QRect, content: _CellContent, theme: Theme
    ) -> None:
        cell = content.cell
        half = rect.height() // 2
        above = QRect(rect.left(), rect.top(), rect.width(), half)
        beneath = QRect(rect.left(), rect.top() + half, rect.width(), half)
        font = QFont(self._table.font())
        painter.setFont(font)
        painter.setPen(QColor(theme.soft if content.estimate else theme.text))
        painter.drawText(above, Qt.AlignmentFlag.AlignVCenter, cell.figure)
        font.setPixelSize(round(SMALL_PX))
        painter.setFont(font)
        colour = {"better": theme.meets_text, "worse": theme.fails_text}.get(
            cell.standing, theme.soft
        )
        text = second_line(cell, beneath.width(), painter.fontMetrics())
        if content.estimate:
            colour, text = theme.accent, f"now ≈ {content.estimate}"
        painter.setPen(QColor(colour))
        elided = painter.fontMetrics().elidedText(
            text, Qt.TextElideMode.ElideRight, beneath.width()
        )
        painter.drawText(beneath, Qt.AlignmentFlag.AlignVCenter, elided)

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:
        return QSize(80, ROW_PX)


def second_line(cell: TableCell, width: int, metrics: QFontMetrics) -> str:
    """Return the line under a figure: as much as fits, but always the glyph."""
    if not cell.standing:
        return cell.under
    glyph, word = _GLYPHS[cell.standing], _WORDS[cell.standing]
    shortest = {"open": "none shown", "same": cell.under}.get(cell.standing, cell.difference)
    candidates = (f"{glyph}{word} {cell.under}", f"{glyph} {cell.under}", f"{glyph} {shortest}")
    return next(
        (text for text in candidates if metrics.horizontalAdvance(text) <= width), candidates[-1]
    )


class FigureTable(QTableWidget):
    """One column per run, one row per figure."""

    def __init__(self, theme: Theme, left_px: int) -> None:
        super().__init__()
        self.theme = theme
        self.setAccessibleName("Figures side by side")
        self.setItemDelegate(_TwoLines(self))
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setTabKeyNavigation(False)  # Tab leaves the table; arrows move inside
        self.setShowGrid(False)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.horizontalHeader().hide()
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        names = self.verticalHeader()
        names.setFixedWidth(left_px)
        names.setDefaultSectionSize(ROW_PX)
        names.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        names.setHighlightSections(False)
        names.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)

    def show_rows(
        self,
        rows: Sequence[TableRow],
        names: Sequence[str],
        theme: Theme,
        estimates: dict[tuple[str, int], str],
    ) -> None:
        """Show figures.

        Args:
            rows: The figures.
            names: The names of the runs.
            theme: The colours.
            estimates: The estimates of the edited scenario, by metric and column.
        """
        self.theme = theme
        self.setRowCount(len(rows))
        self.setColumnCount(len(names))
        for number, row in enumerate(rows):
            heading = QTableWidgetItem(row.name)
            heading.setToolTip(row.tip)
            self.setVerticalHeaderItem(number, heading)
            for column, cell in enumerate(row.cells):
                item = QTableWidgetItem(cell.figure)
                estimate = estimates.get((row.metric, column), "")
                item.setData(_CELL, _CellContent(cell, estimate))
                sentence = (
                    f"{row.name}, {names[column]}: {cell.figure}"
                    + (f"; {cell.words}" if cell.words else "")
                    + (f"; now about {estimate}" if estimate else "")
                )
                item.setToolTip(sentence)
                item.setData(Qt.ItemDataRole.AccessibleTextRole, sentence)
                self.setItem(number, column, item)
        self.viewport().update()

    def cell(self, metric_row: int, column: int) -> TableCell:
        """Return the cell in a row and a column."""
        item = self.item(metric_row, column)
        assert item is not None
        content: _CellContent = item.data(_CELL)
        return content.cell
