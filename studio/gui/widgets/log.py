"""Plain text that grows while it can be read and copied."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtGui import QFont, QFontDatabase
from PySide6.QtWidgets import QFrame, QPlainTextEdit

from studio.views.theme import SMALL_PX, Theme


def mono_font() -> QFont:
    """Return the system's monospaced font, in a small size."""
    font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
    font.setPixelSize(round(SMALL_PX))
    return font


class PlainText(QPlainTextEdit):
    """Read-only text."""

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
        """Use the colours of a theme."""
        sheet = f"background: {theme.field}; color: {theme.text}; border-radius: 6px;"
        if self.styleSheet() != sheet:
            self.setStyleSheet(sheet)

    def wrap(self, wraps: bool) -> None:
        """Set whether long lines wrap."""
        mode = QPlainTextEdit.LineWrapMode
        self.setLineWrapMode(mode.WidgetWidth if wraps else mode.NoWrap)

    def show_text(self, text: str) -> None:
        """Show another text, scrolled to the same position."""
        if self.toPlainText() != text:
            scroll_value = self.verticalScrollBar().value()
            self.setPlainText(text)
            self.verticalScrollBar().setValue(scroll_value)

    def show_lines(self, lines: Sequence[str], *, follows: bool = False) -> None:
        """Show lines; new ones are appended to those already shown.

        Args:
            lines: All lines.
            follows: Whether to scroll to the last line, unless the user has scrolled up.
        """
        bar = self.verticalScrollBar()
        was_at_end = bar.value() >= bar.maximum() - 1
        known_count = len(self._lines)
        if list(lines[:known_count]) != self._lines:
            known_count = 0
        new_lines = list(lines[known_count:])
        self._lines = list(lines)
        if known_count == 0:
            self.setPlainText("\n".join(new_lines))
        elif new_lines:
            scroll_value = bar.value()
            self.appendPlainText("\n".join(new_lines))
            bar.setValue(scroll_value)
        if follows and was_at_end:
            bar.setValue(bar.maximum())
