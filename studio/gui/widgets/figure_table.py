"""The figures of runs beside each other, with what sets each apart from the baseline.

Enters: rows of cells (`studio.views.side_by_side`). Leaves: what a person reads; keys go from cell
to cell.
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
_GLYPHS = {"better": "✓ better", "worse": "✗ worse", "open": "≈", "same": "="}
_Index = QModelIndex | QPersistentModelIndex


@dataclass(frozen=True)
class _CellContent:
    """A cell and what the fields would give in its place, if they give anything."""

    cell: TableCell
    estimate: str = ""


class _TwoLines(QStyledItemDelegate):
    """The figure, and beneath it the difference in the colour of its standing."""

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
        shown: _CellContent | None = index.data(_CELL)
        if shown is not None:
            self._paint_lines(painter, rect, shown, theme)
        painter.setPen(QColor(theme.line))
        edge: QRect = option.rect
        painter.drawLine(edge.bottomLeft(), edge.bottomRight())
        painter.restore()

    def _paint_lines(
        self, painter: QPainter, rect: QRect, shown: _CellContent, theme: Theme
    ) -> None:
        cell = shown.cell
        half = rect.height() // 2
        above = QRect(rect.left(), rect.top(), rect.width(), half)
        beneath = QRect(rect.left(), rect.top() + half, rect.width(), half)
        font = QFont(self._table.font())
        painter.setFont(font)
        painter.setPen(QColor(theme.soft if shown.estimate else theme.text))
        painter.drawText(above, Qt.AlignmentFlag.AlignVCenter, cell.figure)
        font.setPixelSize(round(SMALL_PX))
        painter.setFont(font)
        colour = {"better": theme.meets_text, "worse": theme.fails_text}.get(
            cell.standing, theme.soft
        )
        words = second_line(cell, beneath.width(), painter.fontMetrics())
        if shown.estimate:
            colour, words = theme.accent, f"now ≈ {shown.estimate}"
        painter.setPen(QColor(colour))
        told = painter.fontMetrics().elidedText(words, Qt.TextElideMode.ElideRight, beneath.width())
        painter.drawText(beneath, Qt.AlignmentFlag.AlignVCenter, told)

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:
        return QSize(80, ROW_PX)


def second_line(cell: TableCell, width: int, metrics: QFontMetrics) -> str:
    """What stands under a figure: as much as there is room for, the glyph always."""
    if not cell.standing:
        return cell.under
    glyph = _GLYPHS[cell.standing]
    short = glyph.partition(" ")[0]
    mean = cell.under.partition(" ± ")[0]
    if cell.standing == "open":
        mean = "none shown"
    wanted = (f"{glyph} {cell.under}", f"{short} {cell.under}", f"{short} {mean}")
    return next(
        (words for words in wanted if metrics.horizontalAdvance(words) <= width), wanted[-1]
    )


class FigureTable(QTableWidget):
    """One column a run, one row a figure."""

    def __init__(self, theme: Theme, left_px: int) -> None:
        super().__init__()
        self.theme = theme
        self.setAccessibleName("Figures side by side")
        self.setItemDelegate(_TwoLines(self))
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setTabKeyNavigation(False)  # the tab key leads on; arrows stay inside
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
        """Shows figures.

        Args:
            rows: The figures.
            names: What the runs are called.
            theme: The colours.
            estimates: By metric and column, what the fields would give now.
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
                now = estimates.get((row.metric, column), "")
                item.setData(_CELL, _CellContent(cell, now))
                words = (
                    f"{row.name}, {names[column]}: {cell.figure}"
                    + (f"; {cell.words}" if cell.words else "")
                    + (f"; now about {now} by estimate" if now else "")
                )
                item.setToolTip(words)
                item.setData(Qt.ItemDataRole.AccessibleTextRole, words)
                self.setItem(number, column, item)
        self.viewport().update()

    def cell(self, metric_row: int, column: int) -> TableCell:
        """What is shown at a place."""
        item = self.item(metric_row, column)
        assert item is not None
        shown: _CellContent = item.data(_CELL)
        return shown.cell
