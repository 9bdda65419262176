"""What widgets that paint themselves share: type, pictures, and keys that they keep for themselves."""

from __future__ import annotations

from collections.abc import Callable, Container
from functools import lru_cache

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QColor, QFont, QKeyEvent, QPainter, QPixmap
from PySide6.QtWidgets import QWidget

from studio.gui.toolkit.qt_theme import base_font


@lru_cache(maxsize=32)
def font_of(size_px: float, *, bold: bool = False) -> QFont:
    """The application's type in a size."""
    font = QFont(base_font())
    font.setPixelSize(round(size_px))
    if bold:
        font.setWeight(QFont.Weight.DemiBold)
    return font


def picture_of(
    widget: QWidget, before: QPixmap | None, ground: str, paint: Callable[[QPainter], None]
) -> QPixmap:
    """What a widget paints once and shows again until something of it has changed.

    Args:
        widget: As large as the picture is to be, on the screen that it is for.
        before: The picture that there is; None where it is out of date.
        ground: The colour beneath.
        paint: Paints the rest.
    """
    ratio = widget.devicePixelRatioF()
    if before is not None and before.devicePixelRatio() == ratio:
        return before
    picture = QPixmap(widget.size() * ratio)
    picture.setDevicePixelRatio(ratio)
    picture.fill(QColor(ground))
    painter = QPainter(picture)
    paint(painter)
    painter.end()
    return picture


def claim_keys(event: QEvent, keys: Container[Qt.Key]) -> bool:
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
