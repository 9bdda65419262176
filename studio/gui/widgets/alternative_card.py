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
        self.lines = tuple(ElidedLabel(text) for text in (change, way, result, cost))
        for label, look in zip(self.lines, ("strong", "soft", "good", ""), strict=True):
            label.setObjectName(look)
            label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.button = QPushButton("Use this")
        self.button.setAccessibleName(f"Use this: {change}")
        self.button.setToolTip(f"Edit the scenario: {change}")
        self.button.clicked.connect(lambda _checked=False: self.used.emit())
        beside_button = QHBoxLayout()
        beside_button.setSpacing(4)
        beside_button.addWidget(self.lines[1], 1)
        beside_button.addWidget(self.button)
        layout.addWidget(self.lines[0])
        layout.addLayout(beside_button)
        layout.addWidget(self.lines[2])
        layout.addWidget(self.lines[3])
