"""The bottom bar: seed and runs, a message or the verdict, and the progress of the comparison."""

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
from studio.views.answers.runs_text import planned_text
from studio.views.figures_text import result_sentence

MESSAGE_MS = 15_000
"""A message stays this long, in milliseconds."""


class BottomBar(QFrame):
    """The bar with the state of a document and its jobs, and with messages."""

    def __init__(self, document: Document, jobs: Jobs, actions: Actions) -> None:
        super().__init__()
        self.setObjectName("bottomBar")
        self.setFixedHeight(36)
        self._document, self._jobs = document, jobs
        self._status_text = ""
        self._message_timer = QTimer(self)
        self._message_timer.setSingleShot(True)
        self._message_timer.setInterval(MESSAGE_MS)
        self._message_timer.timeout.connect(self.clear)
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
        self._progress_text = QLabel()
        self._progress_text.setObjectName("soft")
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
        self._study_widgets = (
            self._progress,
            self._progress_text,
            self.pause_button,
            self.cancel_button,
        )
        for widget in (*self._study_widgets, self._hint):
            layout.addWidget(widget)
        for signal in (document.opened, document.compared, document.selected, document.listed):
            signal.connect(self._show_document)
        document.edited.connect(self.clear)  # the message was about the state before the edit
        for signal in (jobs.started, jobs.ended, jobs.listed):
            signal.connect(self._show_study)
        self._show_study()

    @property
    def status_text(self) -> str:
        """The message that is shown; empty while the verdict is shown."""
        return self._status_text

    def show_message(self, text: str) -> None:
        """Show a message for `MESSAGE_MS`."""
        self._show(text, "soft")
        self._message_timer.start()

    def show_error(self, text: str) -> None:
        """Show what is wrong, until the user does something else."""
        self._show(f"✗ {text}", "bad")
        self._message_timer.stop()

    def clear(self) -> None:
        """Show the verdict again."""
        self._show("", "soft")

    def _show(self, text: str, look: str) -> None:
        self._status_text = text
        look_as(self._message, look)
        self._show_document()

    def _show_document(self) -> None:
        scenario, run = self._document.scenario, self._document.current_run
        comparison = self._document.comparison
        count = scenario.replications
        if count is None and comparison is not None:
            count = comparison.planned.count
        runs = "" if count is None else f" · {count:,} runs each"
        self._runs.setText(f"seed {scenario.seed}{runs}")
        self._runs.setToolTip("" if comparison is None else planned_text(comparison.planned))
        verdict = "" if run is None else result_sentence(run.name, run.result)
        stale = self._document.is_stale
        self._message.setText(self._status_text or ("" if stale else verdict))

    def _show_study(self) -> None:
        study = self._jobs.study
        for widget in self._study_widgets:
            widget.setVisible(study is not None)
        if study is not None:
            self._progress.setRange(0, max(1, study.total))
            self._progress.setValue(study.done)
            self._progress_text.setText(progress_text(study))
            self.pause_button.setText("Resume" if study.state is JobState.PAUSED else "Pause")
        self._show_document()
