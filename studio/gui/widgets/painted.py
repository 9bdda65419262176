"""What widgets that paint themselves share: type, and keys that they keep for themselves."""

from __future__ import annotations

from collections.abc import Container
from functools import lru_cache

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QFont, QKeyEvent

from studio.gui.palette import base_font


@lru_cache(maxsize=32)
def font_of(size_px: float, *, bold: bool = False) -> QFont:
    """The application's type in a size."""
    font = QFont(base_font())
    font.setPixelSize(round(size_px))
    if bold:
        font.setWeight(QFont.Weight.DemiBold)
    return font


def keeps_keys(event: QEvent, keys: Container[Qt.Key]) -> bool:
    """Whether Qt asks if a widget wants one of these keys for itself, and not as a shortcut."""
    if event.type() != QEvent.Type.ShortcutOverride or not isinstance(event, QKeyEvent):
        return False
    if event.modifiers() not in (
        Qt.KeyboardModifier.NoModifier,
        Qt.KeyboardModifier.KeypadModifier,
    ):
        return False
    if Qt.Key(event.key()) not in keys:
        return False
    event.accept()
    return True
