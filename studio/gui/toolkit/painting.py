"""Helpers of widgets that paint themselves: fonts, cached pictures, and keys that a widget handles itself."""

from __future__ import annotations

from collections.abc import Callable, Container
from functools import lru_cache

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QColor, QFont, QKeyEvent, QPainter, QPixmap
from PySide6.QtWidgets import QWidget

from studio.gui.toolkit.qt_theme import base_font


@lru_cache(maxsize=32)
def font_of(size_px: float, *, bold: bool = False) -> QFont:
    """Return the application's font in a size."""
    font = QFont(base_font())
    font.setPixelSize(round(size_px))
    if bold:
        font.setWeight(QFont.Weight.DemiBold)
    return font


def picture_of(
    widget: QWidget, cached: QPixmap | None, ground: str, paint: Callable[[QPainter], None]
) -> QPixmap:
    """Return the picture that a widget paints once and shows until its content changes.

    Args:
        widget: Gives the size and the pixel ratio.
        cached: The cached picture; None when it is out of date.
        ground: The background colour.
        paint: Paints the content.
    """
    ratio = widget.devicePixelRatioF()
    if cached is not None and cached.devicePixelRatio() == ratio:
        return cached
    picture = QPixmap(widget.size() * ratio)
    picture.setDevicePixelRatio(ratio)
    picture.fill(QColor(ground))
    painter = QPainter(picture)
    paint(painter)
    painter.end()
    return picture


def claim_keys(event: QEvent, keys: Container[Qt.Key]) -> bool:
    """Accept the event when Qt asks whether the widget handles one of these keys; return whether it did."""
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
