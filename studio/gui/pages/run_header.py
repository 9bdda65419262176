"""The header of a column in *Compare*: the run's name, its verdict, and the choice of the baseline."""

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
from studio.views.figures_text import ANSWER_GLYPHS, ANSWER_WORDS, verdict_text
from studio.views.theme import SMALL_PX, Theme

WORDS_PX = 200
"""In a column narrower than this, in pixels, the choice of the baseline has no word beside it."""


class RunHeader(QFrame):
    """A name to click, a verdict, and a button that makes the run the baseline."""

    selected = Signal(str)
    """The user selects this run; the argument is its key."""
    baseline_chosen = Signal(str)
    """The user makes this run the baseline; the argument is its key."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("runHeader")
        self._key = ""
        self._name_text = self._verdict = self._short_verdict = ""
        self.name = QPushButton()
        self.name.setCursor(Qt.CursorShape.PointingHandCursor)
        self.name.setObjectName("runName")
        self.name.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.baseline = QRadioButton()
        self.baseline.setAutoExclusive(False)  # exclusive within the page, not within this frame
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

    def show_run(self, run: KeptRun, theme: Theme, *, is_selected: bool, is_baseline: bool) -> None:
        """Show a run."""
        self._key, self._name_text = run.key, run.name
        answer = run.result.verdict.answer
        ink = theme.answer_colours(answer)[1]
        edge = theme.accent if is_selected else "transparent"
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
        self.name.setAccessibleName(f"Select {run.name}")
        self._verdict = verdict_text(run.result)
        self._short_verdict = f"{ANSWER_GLYPHS[answer]} {ANSWER_WORDS[answer]}"
        self.setToolTip(self._verdict)  # the label shows as much of the verdict as fits
        self.baseline.setChecked(is_baseline)
        self.baseline.setAccessibleName(f"Make {run.name} the baseline")
        self.baseline.setToolTip(
            "This run is the baseline of the differences"
            if is_baseline
            else "Make this run the baseline of the differences"
        )
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Shorten the name and the verdict to the width; the tooltip has the whole text."""
        room_px = self.name.width() - 4
        font = self.name.fontMetrics()
        self.baseline.setText("baseline" if self.width() >= WORDS_PX else "")
        taken_px = self.baseline.sizeHint().width() + 24
        fits = (
            self.verdict.fontMetrics().horizontalAdvance(self._verdict) <= self.width() - taken_px
        )
        self.verdict.setText(self._verdict if fits else self._short_verdict)
        self.verdict.setAccessibleName(self._verdict)
        shown = font.elidedText(self._name_text, Qt.TextElideMode.ElideRight, max(24, room_px))
        self.name.setText(shown)
        self.name.setToolTip(f"Select {self._name_text}")

    def _on_baseline(self) -> None:
        self.baseline.setChecked(True)  # the user unchecks it by choosing another run
        self.baseline_chosen.emit(self._key)
