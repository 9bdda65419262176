"""The bar at the bottom: seed and runs, what was said or the verdict, and what goes on."""

from __future__ import annotations

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QProgressBar, QPushButton, QToolButton

from studio.gui.background.job import JobState
from studio.gui.background.jobs import Jobs
from studio.gui.docks.jobs_dock import progress_text
from studio.gui.document.document import Document
from studio.gui.toolkit.actions import Actions
from studio.gui.widgets.elided import ElidedLabel
from studio.gui.widgets.looks import look_as
from studio.views.figures_text import sentence_of

SAID_FOR_MS = 15_000


class BottomBar(QFrame):
    """Follows a document and its jobs; says what there is to say."""

    def __init__(self, document: Document, jobs: Jobs, actions: Actions) -> None:
        super().__init__()
        self.setObjectName("bottomBar")
        self.setFixedHeight(36)
        self._document, self._jobs = document, jobs
        self._was_said = ""
        self._quiet = QTimer(self)
        self._quiet.setSingleShot(True)
        self._quiet.setInterval(SAID_FOR_MS)
        self._quiet.timeout.connect(self.clear)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(14, 4, 14, 4)
        layout.setSpacing(10)
        self._runs, self._message = QLabel(), ElidedLabel(name="Message")
        self._runs.setObjectName("soft")
        self._message.setObjectName("soft")
        self._progress = QProgressBar()
        self._progress.setTextVisible(False)
        self._progress.setFixedWidth(120)
        self._progress.setAccessibleName("Progress of the comparison")
        self._how_far = QLabel()
        self._how_far.setObjectName("soft")
        self.pause_button = QPushButton("Pause")
        self.pause_button.setToolTip(actions["run.pause"].toolTip())
        self.pause_button.clicked.connect(actions["run.pause"].trigger)
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip(actions["run.cancel"].toolTip())
        self.cancel_button.clicked.connect(actions["run.cancel"].trigger)
        self._hint = QToolButton()
        self._hint.setObjectName("hint")
        self._hint.setText("Ctrl+K  every action")
        self._hint.setAccessibleName("Every action")
        self._hint.setToolTip(actions["help.palette"].toolTip())
        self._hint.clicked.connect(actions["help.palette"].trigger)
        layout.addWidget(self._runs)
        layout.addWidget(self._message)
        layout.addStretch(1)
        self._of_study = (self._progress, self._how_far, self.pause_button, self.cancel_button)
        for widget in (*self._of_study, self._hint):
            layout.addWidget(widget)
        for signal in (document.opened, document.compared, document.selected, document.listed):
            signal.connect(self._show_document)
        document.edited.connect(self.clear)  # what was said is of what was
        for signal in (jobs.started, jobs.ended, jobs.listed):
            signal.connect(self._show_study)
        self._show_study()

    @property
    def status_text(self) -> str:
        """What was said and still stands."""
        return self._was_said

    def show_message(self, words: str) -> None:
        """Says something for a while."""
        self._show(words, "soft")
        self._quiet.start()

    def show_error(self, words: str) -> None:
        """Says what is wrong; it stays until something else is done."""
        self._show(f"✗ {words}", "bad")
        self._quiet.stop()

    def clear(self) -> None:
        """Says the verdict again."""
        self._show("", "soft")

    def _show(self, words: str, look: str) -> None:
        self._was_said = words
        look_as(self._message, look)
        self._show_document()

    def _show_document(self) -> None:
        scenario, run = self._document.scenario, self._document.current_run
        self._runs.setText(f"seed {scenario.seed} · {scenario.replications} runs each")
        verdict = "" if run is None else sentence_of(run.name, run.result.verdict)
        stale = self._document.is_stale
        self._message.setText(self._was_said or ("" if stale else verdict))

    def _show_study(self) -> None:
        study = self._jobs.study
        for widget in self._of_study:
            widget.setVisible(study is not None)
        if study is not None:
            self._progress.setRange(0, max(1, study.total))
            self._progress.setValue(study.done)
            self._how_far.setText(progress_text(study))
            self.pause_button.setText("Resume" if study.state is JobState.PAUSED else "Pause")
        self._show_document()
