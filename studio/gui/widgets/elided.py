"""A line of text that ends in … where it does not fit."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QLabel, QSizePolicy

SHORTEST_PX = 24


class ElidedLabel(QLabel):
    """A label that can be narrower than its text; the tooltip then has the whole text.

    A screen reader gets the whole text, after the label's name.
    """

    def __init__(self, text: str = "", name: str = "") -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)  # a scenario's name may contain <b>
        self._full_text, self._name = "", name
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        self.setText(text)

    def text(self) -> str:
        """Return the whole text, whether it fits or not."""
        return self._full_text

    def setText(self, text: str) -> None:
        self._full_text = text
        self.setAccessibleName(f"{self._name}: {text}" if self._name else text)
        self._fit()
        self.updateGeometry()

    def clear(self) -> None:
        self.setText("")

    def sizeHint(self) -> QSize:
        hint = super().sizeHint()
        return QSize(self.fontMetrics().horizontalAdvance(self._full_text) + 2, hint.height())

    def minimumSizeHint(self) -> QSize:
        return QSize(min(SHORTEST_PX, self.sizeHint().width()), super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._fit()
            self.updateGeometry()

    def _fit(self) -> None:
        shown = self.fontMetrics().elidedText(
            self._full_text, Qt.TextElideMode.ElideRight, max(SHORTEST_PX, self.width())
        )
        super().setText(shown)
        self.setToolTip("" if shown == self._full_text else self._full_text)
