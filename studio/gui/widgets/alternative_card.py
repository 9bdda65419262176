"""A card with one change that would meet the objectives: what it is, what it gives, what it costs."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QSizePolicy, QVBoxLayout

from studio.gui.widgets.elided import ElidedLabel


class AlternativeCard(QFrame):
    """Four lines of text, and a button that makes the change."""

    used = Signal()
    """The button was pressed."""

    def __init__(self, change: str, way: str, result: str, cost: str) -> None:
        super().__init__()
        self.setObjectName("card")
        self.setAccessibleName(change)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(9, 7, 8, 8)
        layout.setSpacing(1)
        top = QHBoxLayout()
        top.setSpacing(4)
        self.lines = tuple(ElidedLabel(text) for text in (change, way, result, cost))
        for label, look in zip(self.lines, ("strong", "soft", "good", ""), strict=True):
            label.setObjectName(look)
            label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        top.addWidget(self.lines[0], 1)
        self.button = QPushButton("Use this")
        self.button.setAccessibleName(f"Use this: {change}")
        self.button.setToolTip(f"Edit the scenario: {change}")
        self.button.clicked.connect(lambda _checked=False: self.used.emit())
        top.addWidget(self.button)
        layout.addLayout(top)
        for label in self.lines[1:]:
            layout.addWidget(label)
