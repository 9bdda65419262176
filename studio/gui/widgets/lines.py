"""A list of sentences under headings."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtGui import QBrush, QColor, QFont, QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QFrame, QListView, QListWidget, QListWidgetItem

from studio.views.figures_text import Line
from studio.views.theme import Theme


class LineList(QListWidget):
    """A list of sentences that wrap; arrow keys move through them."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWordWrap(True)
        self.setUniformItemSizes(False)
        self.setTextElideMode(Qt.TextElideMode.ElideNone)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        # The scroll bar is always there: lines that wrap again when it appears would be cut
        # meanwhile.
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setStyleSheet("QListWidget::item { padding: 1px 2px; }")
        self._shown_lines: tuple[tuple[Line, ...], Theme] | None = None

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.doItemsLayout()  # at once: a line laid out for the old width would be cut

    def show_lines(self, lines: Sequence[Line], theme: Theme) -> None:
        """Show other lines; equal lines leave the list as it is."""
        if self._shown_lines == (tuple(lines), theme):
            return
        self._shown_lines = tuple(lines), theme
        colours = {"good": theme.meets_text, "bad": theme.fails_text, "soft": theme.soft}
        scroll_value = self.verticalScrollBar().value()
        self.clear()
        for look, words in lines:
            item = QListWidgetItem(words)
            if look == "heading":
                font = QFont(self.font())
                font.setWeight(QFont.Weight.DemiBold)
                item.setFont(font)
            elif look in colours:
                item.setForeground(QBrush(QColor(colours[look])))
            self.addItem(item)
        self.verticalScrollBar().setValue(scroll_value)

    def texts(self) -> list[str]:
        """Return the shown lines."""
        return [self.item(row).text() for row in range(self.count())]
