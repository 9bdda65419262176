"""The dock *Jobs*: running and ended jobs, each with progress, Pause and Cancel."""

from __future__ import annotations

from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from studio.gui.background.job import Job, JobState
from studio.gui.background.jobs import Jobs
from studio.gui.widgets.elided import ElidedLabel
from studio.gui.widgets.looks import look_as
from studio.views.figures_text import time_left_text

_STATE_TEXTS = {
    JobState.RUNNING: "",
    JobState.PAUSED: "paused",
    JobState.DONE: "✓ done",
    JobState.CANCELLED: "cancelled",
}


def progress_text(job: Job) -> str:
    """Return the progress of a job, such as ``137/400 · about 2 s left``; for a failed one the reason."""
    if job.state is JobState.FAILED:
        return f"✗ {job.failure_text}"
    parts = [f"{job.done}/{job.total}"] if job.total else []
    if job.remaining_s is not None:
        parts.append(time_left_text(job.remaining_s))
    if _STATE_TEXTS[job.state]:
        parts.append(_STATE_TEXTS[job.state])
    if job.warning_text:
        parts.append(f"! {job.warning_text}")
    return " · ".join(parts)


class _JobRow(QWidget):
    """The row of one job."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self._job = job
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        self._title = ElidedLabel(job.title, "Job")
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setFixedWidth(140)
        self._bar.setAccessibleName(f"Progress of {job.title}")
        self._progress_text = ElidedLabel()
        self._progress_text.setMinimumWidth(150)
        self.pause_button = QPushButton("Pause")
        self.pause_button.setAccessibleName(f"Pause {job.title}")
        self.pause_button.clicked.connect(lambda: job.pause(job.state is JobState.RUNNING))
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setAccessibleName(f"Cancel {job.title}")
        self.cancel_button.clicked.connect(job.cancel)
        for widget, stretch in (
            (self._title, 2), (self._bar, 0), (self._progress_text, 3),
            (self.pause_button, 0), (self.cancel_button, 0),
        ):  # fmt: skip
            layout.addWidget(widget, stretch)
        job.changed.connect(self._show)
        self._show()

    def _show(self) -> None:
        job = self._job
        self._bar.setRange(0, job.total or (0 if job.state is JobState.RUNNING else 1))
        self._bar.setValue(job.done)
        self._bar.setVisible(job.is_open)
        self._progress_text.setText(progress_text(job))
        look_as(self._progress_text, "bad" if job.state is JobState.FAILED else "soft")
        self.pause_button.setText("Resume" if job.state is JobState.PAUSED else "Pause")
        self.pause_button.setVisible(job.is_open)
        self.cancel_button.setVisible(job.is_open)


class JobsPanel(QFrame):
    """The jobs, the newest on top."""

    def __init__(self, jobs: Jobs) -> None:
        super().__init__()
        self.setObjectName("panel")
        self._jobs = jobs
        self.rows: dict[Job, _JobRow] = {}
        outer = QVBoxLayout(self)
        outer.setContentsMargins(12, 8, 12, 8)
        heading = QLabel("Jobs")
        heading.setObjectName("heading")
        outer.addWidget(heading)
        self._empty = QLabel("No job has run in the background yet.")
        self._empty.setObjectName("soft")
        outer.addWidget(self._empty)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setAccessibleName("Jobs")
        inside = QWidget()
        inside.setObjectName("fields")
        self._layout = QVBoxLayout(inside)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(4)
        self._layout.addStretch(1)
        scroll.setWidget(inside)
        outer.addWidget(scroll, 1)
        jobs.listed.connect(self._show)
        self._show()

    def _show(self) -> None:
        """Add rows for new jobs, and remove the rows of forgotten ones."""
        listed = self._jobs.jobs
        for job in [job for job in self.rows if job not in listed]:
            row = self.rows.pop(job)
            self._layout.removeWidget(row)
            row.deleteLater()
        for job in reversed(listed):
            if job not in self.rows:
                self.rows[job] = _JobRow(job)
                self._layout.insertWidget(0, self.rows[job])
        self._empty.setVisible(not listed)
