"""The head of a column: what a run is called, what it is found to be, whether others are measured by it."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QPushButton,
    QRadioButton,
    QSizePolicy,
    QVBoxLayout,
)

from studio.gui.document.runs import KeptRun
from studio.gui.widgets.elided import ElidedLabel
from studio.views.figures_text import verdict_text
from studio.views.theme import SMALL_PX, Theme

WORDS_PX = 200
"""In a narrower column the choice of the baseline has no word beside it."""


class RunHeader(QFrame):
    """A name to click, a verdict, and the choice of the baseline."""

    selected = Signal(str)
    """The person looks at this run, by its key."""
    baseline_chosen = Signal(str)
    """The person has the others measured by this run."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("runHeader")
        self._key = ""
        self._whole = self._verdict = ""
        self.name = QPushButton()
        self.name.setCursor(Qt.CursorShape.PointingHandCursor)
        self.name.setObjectName("runName")
        self.name.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.baseline = QRadioButton()
        self.baseline.setAutoExclusive(False)  # one of the page, not of this frame
        self.verdict = ElidedLabel()
        self.verdict.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 4, 8, 4)
        layout.setSpacing(1)
        layout.addWidget(self.name)
        second = QHBoxLayout()
        second.setSpacing(4)
        second.addWidget(self.verdict, 1)
        second.addWidget(self.baseline)
        layout.addLayout(second)
        self.name.clicked.connect(lambda: self.selected.emit(self._key))
        self.baseline.clicked.connect(self._on_baseline)

    def show_run(
        self, run: KeptRun, theme: Theme, *, is_looked_at: bool, is_baseline: bool
    ) -> None:
        """Shows a run."""
        self._key, self._whole = run.key, run.name
        answer = run.result.verdict.answer
        ink = theme.answer_colours(answer)[1]
        edge = theme.accent if is_looked_at else "transparent"
        self.setStyleSheet(
            f"QFrame#runHeader {{ border: none; border-bottom: 2px solid {edge}; }}"
            f"QPushButton#runName {{ border: none; background: transparent; padding: 1px 0;"
            f" text-align: left; font-weight: 600; color: {theme.text}; }}"
            f"QPushButton#runName:hover, QPushButton#runName:focus {{ color: {theme.accent}; }}"
            f"QLabel {{ color: {ink}; font-size: {SMALL_PX:g}px; }}"
            f"QRadioButton {{ color: {theme.soft}; font-size: {SMALL_PX:g}px; spacing: 4px; }}"
            f"QRadioButton::indicator {{ width: 9px; height: 9px; border-radius: 6px;"
            f" border: 1.5px solid {theme.soft}; background: {theme.card}; }}"
            f"QRadioButton::indicator:checked {{ background: {theme.accent};"
            f" border-color: {theme.accent}; }}"
            f"QRadioButton::indicator:hover, QRadioButton::indicator:focus {{"
            f" border-color: {theme.accent}; }}"
        )
        self.name.setAccessibleName(f"Look at {run.name}")
        self._verdict = verdict_text(run.result)
        self.setToolTip(self._verdict)  # the label shows as much of it as fits
        self.baseline.setChecked(is_baseline)
        self.baseline.setAccessibleName(f"Measure the others by {run.name}")
        self.baseline.setToolTip(
            "The others are measured by this run"
            if is_baseline
            else "Measure the others by this run"
        )
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """The name as far as it fits; all of it is in the tip."""
        room = self.name.width() - 4
        font = self.name.fontMetrics()
        self.baseline.setText("baseline" if self.width() >= WORDS_PX else "")
        beside = self.baseline.sizeHint().width() + 24
        fits = self.verdict.fontMetrics().horizontalAdvance(self._verdict) <= self.width() - beside
        self.verdict.setText(self._verdict if fits else self._verdict.partition(" in ")[0])
        self.verdict.setAccessibleName(self._verdict)
        shown = font.elidedText(self._whole, Qt.TextElideMode.ElideRight, max(24, room))
        self.name.setText(shown)
        self.name.setToolTip(f"Look at {self._whole}")

    def _on_baseline(self) -> None:
        self.baseline.setChecked(True)  # it is taken away by choosing another
        self.baseline_chosen.emit(self._key)
