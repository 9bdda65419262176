"""The look of a widget, by its name in the style sheet."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget


def look_as(widget: QWidget, name: str) -> None:
    """Give a widget another look, such as ``soft``, ``bad`` or ``primary``; an empty name gives none."""
    if widget.objectName() != name:
        widget.setObjectName(name)
        widget.style().unpolish(widget)
        widget.style().polish(widget)
