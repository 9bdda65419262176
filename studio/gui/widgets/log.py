"""What is said, line after line, as plain text that can be read on and copied while more comes."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtGui import QFont, QFontDatabase
from PySide6.QtWidgets import QFrame, QPlainTextEdit

from studio.views.theme import SMALL_PX, Theme


def mono_font() -> QFont:
    """The system's font of one width, in a small size."""
    font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
    font.setPixelSize(round(SMALL_PX))
    return font


class PlainText(QPlainTextEdit):
    """Text that is only read."""

    def __init__(self, name: str, *, wraps: bool) -> None:
        super().__init__()
        self.setReadOnly(True)
        self.setAccessibleName(name)
        self.setFont(mono_font())
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setTabChangesFocus(True)
        self.setUndoRedoEnabled(False)
        self.wrap(wraps)
        self._lines: list[str] = []

    def show_theme(self, theme: Theme) -> None:
        """Takes the colours of a theme."""
        sheet = f"background: {theme.field}; color: {theme.text}; border-radius: 6px;"
        if self.styleSheet() != sheet:
            self.setStyleSheet(sheet)

    def wrap(self, wraps: bool) -> None:
        """Whether a long line goes on below, or out of sight."""
        mode = QPlainTextEdit.LineWrapMode
        self.setLineWrapMode(mode.WidgetWidth if wraps else mode.NoWrap)

    def show_text(self, text: str) -> None:
        """Shows another text from where one was reading."""
        if self.toPlainText() != text:
            place = self.verticalScrollBar().value()
            self.setPlainText(text)
            self.verticalScrollBar().setValue(place)

    def show_lines(self, lines: Sequence[str], *, follows: bool = False) -> None:
        """Shows lines; those that are new are added to those that stand there.

        Args:
            lines: All of them.
            follows: Whether the last is to be seen, unless one reads further up.
        """
        bar = self.verticalScrollBar()
        was_at_end = bar.value() >= bar.maximum() - 1
        known = len(self._lines)
        if list(lines[:known]) != self._lines:
            known = 0
        new = list(lines[known:])
        self._lines = list(lines)
        if known == 0:
            self.setPlainText("\n".join(new))
        elif new:
            place = bar.value()
            self.appendPlainText("\n".join(new))
            bar.setValue(place)
        if follows and was_at_end:
            bar.setValue(bar.maximum())
