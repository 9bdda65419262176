"""One job: its state, its thread, what it may say while it works."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QThread, Signal

from executor.base.errors import RollcastError

if TYPE_CHECKING:
    pass


_PROGRESS_EVERY_S = 0.05


_PAUSE_LOOKS_S = 0.05


class JobState(StrEnum):
    """How far a job is."""

    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


class JobContext:
    """What a job's work says and hears; every method may be called in the job's thread."""

    def __init__(self, thread: _Thread) -> None:
        self._thread = thread
        self._told_at = 0.0

    def should_stop(self) -> bool:
        """Whether the work shall end now."""
        return self._thread.stopping

    def should_pause(self) -> bool:
        """Whether the work shall rest."""
        return self._thread.pausing

    def wait_for_cancelled_jobs(self) -> None:
        """Returns when no cancelled job is left: its last act ends processes, not to be this one's."""
        self._thread.wait_for_earlier()

    def resume_count(self) -> int:
        """How often it was let go on after a rest; a rest may be too short to be seen."""
        return self._thread.resume_count

    def rest_while_paused(self) -> None:
        """Returns when the work may go on, or shall end."""
        while self.should_pause() and not self.should_stop():
            time.sleep(_PAUSE_LOOKS_S)

    def report_progress(self, done: int, total: int) -> None:
        """Says how far the work is, twenty times a second at most; the last is always said."""
        now = time.monotonic()
        if done >= total or now - self._told_at >= _PROGRESS_EVERY_S:
            self._told_at = now
            self._thread.progressed.emit(done, total)

    def publish(self, result: object) -> None:
        """Hands something over to the window."""
        self._thread.published.emit(result)


Work = Callable[[JobContext], None]
"""What a job does, in its own thread; it raises `RollcastError` with words for people."""


class _Thread(QThread):
    progressed = Signal(int, int)
    published = Signal(object)
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
        """Waits for the threads that were leaving when this one was made."""
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
        except Exception as error:  # a defect is told, not swallowed
            words = next(iter(str(error).splitlines()), "")
            self.failed.emit(f"{self._title} broke off: {type(error).__name__}: {words}")


class Job(QObject):
    """One thing in the background, as the dock *Jobs* lists it."""

    changed = Signal()
    """Its state, or how far it is."""
    published = Signal(object)
    """It has handed something over."""
    ended = Signal()
    """It has ended, of itself or by a person; nothing more will land."""

    def __init__(self, title: str, thread: _Thread, parent: QObject) -> None:
        super().__init__(parent)
        self.title = title
        self.state = JobState.RUNNING
        self.done, self.total = 0, 0
        self.failure_text = ""
        self._thread: _Thread | None = thread
        self._worked_s, self._since = 0.0, time.monotonic()
        thread.progressed.connect(self._on_progress)
        thread.published.connect(self._on_landed)
        thread.failed.connect(self._on_failed)
        thread.finished.connect(self._on_finished)

    @property
    def is_open(self) -> bool:
        """Whether it is still to end."""
        return self.state in (JobState.RUNNING, JobState.PAUSED)

    @property
    def remaining_s(self) -> float | None:
        """How long it will go on at its pace so far, None when nothing can be said."""
        if self.state is not JobState.RUNNING or not 0 < self.done < self.total:
            return None
        worked_s = self._worked_s + time.monotonic() - self._since
        return worked_s / self.done * (self.total - self.done)

    def pause(self, is_paused: bool) -> None:
        """Lets it rest, or go on."""
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
        """Ends it at once for whoever looks; what has landed is kept."""
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

    def _on_landed(self, result: object) -> None:
        if self._thread is not None:
            self.published.emit(result)

    def _on_failed(self, words: str) -> None:
        if self._thread is not None:
            self.failure_text = words
            self._end(JobState.FAILED)

    def _on_finished(self) -> None:
        if self._thread is not None:
            self._end(JobState.DONE)
