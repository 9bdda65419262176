"""A job in the background: its state, its thread, and the context of its work."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum

from PySide6.QtCore import QObject, QThread, Signal

from executor.base.errors import RollcastError
from simulation.study.time_left import Throttle

_PROGRESS_EVERY_S = 0.05
"""Minimum time between two reports of progress, in seconds."""

_PAUSE_POLL_S = 0.05
"""Interval at which paused work asks whether it may go on, in seconds."""


class JobState(StrEnum):
    """The state of a job."""

    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


class JobContext:
    """The context of a job's work; every method may be called in the job's thread."""

    def __init__(self, thread: _Thread) -> None:
        self._thread = thread
        self._throttle = Throttle(_PROGRESS_EVERY_S)

    def should_stop(self) -> bool:
        """Return whether the work must end now."""
        return self._thread.stopping

    def should_pause(self) -> bool:
        """Return whether the work must pause."""
        return self._thread.pausing

    def wait_for_cancelled_jobs(self) -> None:
        """Wait until every cancelled job has ended.

        The last act of a cancelled job ends the worker processes; they must not be those of this
        job.
        """
        self._thread.wait_for_earlier()

    def resume_count(self) -> int:
        """Return how often the job was resumed; a pause may be too short to be noticed by polling."""
        return self._thread.resume_count

    def rest_while_paused(self) -> None:
        """Wait while the job is paused; return when the work may go on or must end."""
        while self.should_pause() and not self.should_stop():
            time.sleep(_PAUSE_POLL_S)

    def report_progress(self, done: int, total: int) -> None:
        """Report progress, 20 times a second at most; the final report is never left out."""
        if done >= total or self._throttle.is_due():
            self._throttle.restart()
            self._thread.progressed.emit(done, total)

    def warn(self, message: str) -> None:
        """Report a problem in spite of which the work goes on."""
        self._thread.warned.emit(message)

    def publish(self, result: object) -> None:
        """Pass a result to the window's thread."""
        self._thread.published.emit(result)


Work = Callable[[JobContext], None]
"""The work of a job, run in its own thread. It raises `RollcastError` with a message for people."""


class _Thread(QThread):
    progressed = Signal(int, int)
    published = Signal(object)
    warned = Signal(str)
    failed = Signal(str)

    def __init__(
        self, title: str, work: Work, before: set[_Thread], *, at_once: bool = True
    ) -> None:
        super().__init__()
        self._title = title
        self._work: Work | None = work
        self._before, self._at_once = before, at_once
        self.stopping = self.pausing = False
        self.resume_count = 0

    def wait_for_earlier(self) -> None:
        """Wait for the threads of jobs that were cancelled before this thread was made."""
        for earlier in self._before:
            earlier.wait()
        self._before.clear()

    def run(self) -> None:
        if not self._at_once:
            self.wait_for_earlier()
        work, self._work = self._work, None
        assert work is not None
        try:
            work(JobContext(self))
        except RollcastError as error:
            self.failed.emit(str(error))
        except Exception as error:  # a defect is reported, not swallowed
            message = next(iter(str(error).splitlines()), "")
            self.failed.emit(f"{self._title} broke off: {type(error).__name__}: {message}")


class Job(QObject):
    """A task in the background, as the dock *Jobs* lists it.

    Attributes:
        title: The name in the list.
        state: The state.
        done: Number of units of work that are done.
        total: Number of units of work; 0 while it is not known.
        failure_text: Why the job failed; empty otherwise.
        warning_text: A problem in spite of which the job went on; empty without one.
    """

    changed = Signal()
    """The state or the progress has changed."""
    published = Signal(object)
    """The work has published a result."""
    warned = Signal(str)
    """The work has met a problem in spite of which it goes on; the argument is the problem."""
    ended = Signal()
    """The job has ended or was cancelled; it publishes nothing more."""

    def __init__(self, title: str, thread: _Thread, parent: QObject) -> None:
        super().__init__(parent)
        self.title = title
        self.state = JobState.RUNNING
        self.done, self.total = 0, 0
        self.failure_text = ""
        self.warning_text = ""
        self._thread: _Thread | None = thread
        self._worked_s, self._since = 0.0, time.monotonic()
        thread.progressed.connect(self._on_progress)
        thread.published.connect(self._on_published)
        thread.warned.connect(self._on_warned)
        thread.failed.connect(self._on_failed)
        thread.finished.connect(self._on_finished)

    @property
    def is_open(self) -> bool:
        """Return whether the job has not ended."""
        return self.state in (JobState.RUNNING, JobState.PAUSED)

    @property
    def remaining_s(self) -> float | None:
        """The estimated time left at the present rate, in seconds; None when it cannot be estimated."""
        if self.state is not JobState.RUNNING or not 0 < self.done < self.total:
            return None
        worked_s = self._worked_s + time.monotonic() - self._since
        return worked_s / self.done * (self.total - self.done)

    def pause(self, is_paused: bool) -> None:
        """Pause the job, or resume it."""
        if not self.is_open or self._thread is None or self._thread.pausing == is_paused:
            return
        self._thread.pausing = is_paused
        self._thread.resume_count += not is_paused
        now = time.monotonic()
        if is_paused:
            self._worked_s += now - self._since
        self._since = now
        self.state = JobState.PAUSED if is_paused else JobState.RUNNING
        self.changed.emit()

    def cancel(self) -> None:
        """End the job at once for its listeners; results published so far are kept."""
        if self._thread is not None and self.is_open:
            self._thread.stopping = True
            self._end(JobState.CANCELLED)

    def _end(self, state: JobState) -> None:
        self.state = state
        self._thread = None
        self.changed.emit()
        self.ended.emit()

    def _on_progress(self, done: int, total: int) -> None:
        if self._thread is not None:
            self.done, self.total = done, total
            self.changed.emit()

    def _on_published(self, result: object) -> None:
        if self._thread is not None:
            self.published.emit(result)

    def _on_warned(self, message: str) -> None:
        if self._thread is not None:
            self.warning_text = message
            self.changed.emit()
            self.warned.emit(message)

    def _on_failed(self, message: str) -> None:
        if self._thread is not None:
            self.failure_text = message
            self._end(JobState.FAILED)

    def _on_finished(self) -> None:
        if self._thread is not None:
            self._end(JobState.DONE)
