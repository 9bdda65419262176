"""How a widget looks, by the name that the style sheet knows."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget


def look_as(widget: QWidget, name: str) -> None:
    """Gives a widget another look, such as ``soft``, ``bad`` or ``primary``; none by an empty name."""
    if widget.objectName() != name:
        widget.setObjectName(name)
        widget.style().unpolish(widget)
        widget.style().polish(widget)
