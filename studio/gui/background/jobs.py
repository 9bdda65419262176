"""What goes on in the background: the only file with threads.

A `Job` is one thing in a thread of its own, a study or anything else; it hears of pause and cancel
and its signals arrive in the thread of the window. What a cancelled job still says is dropped.
`Jobs` keeps those that run and the latest that have ended, and knows the one that compares the
document's candidates.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, cast

from PySide6.QtCore import QObject, QProcess, QThread, QTimer, Signal

from executor.base.errors import RollcastError
from simulation.engines.compiled.code_cache import is_ready
from studio.gui.background.comparison_job import comparing
from studio.gui.background.job import Job, JobContext, JobState, Work, _Thread
from studio.gui.document.document import Document, DocumentState

if TYPE_CHECKING:
    from simulation.study.compare import Comparison

_KEPT_COUNT = 30
_DRAWN_WITH = (
    "matplotlib.backends.backend_qtagg",
    "networkx",
    "pandas",
    "simulation.estimates.estimate",
)
LOOK_AFTER_MS = 120
"""So long a first look waits for the first results of all candidates, which say more."""
AFTER_EDIT_MS = 250
"""So long after the last change the study of what stands there begins."""


class Jobs(QObject):
    """Everything that goes on in the background for a document; one comparison at a time."""

    started = Signal()
    """A comparison has begun."""
    progressed = Signal(int, int)
    """It has got further."""
    ended = Signal()
    """It has ended."""
    failed = Signal(str)
    """It, or another job, could not; in words."""
    listed = Signal()
    """Another job is in the list, or one has changed."""

    def __init__(self, document: Document) -> None:
        super().__init__(document)
        self._document = document
        self._study: Job | None = None
        self._studied: DocumentState | None = None
        self._followed = document.state
        self._jobs: list[Job] = []
        self._threads: set[_Thread] = set()
        self._has_landed = False
        self._compiling = QProcess(self)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(AFTER_EDIT_MS)
        self._soon.timeout.connect(self.start)

    @property
    def jobs(self) -> tuple[Job, ...]:
        """Those that run and the latest that have ended, the youngest first."""
        return tuple(reversed(self._jobs))

    def threads(self) -> tuple[QThread, ...]:
        """Those that are still there, of jobs that were cancelled too."""
        return tuple(self._threads)

    @property
    def study(self) -> Job | None:
        """The comparison that is under way."""
        return self._study

    @property
    def is_running(self) -> bool:
        """Whether a comparison is under way."""
        return self._study is not None

    def run(
        self,
        title: str,
        work: Work,
        landed: Callable[[object], None] | None = None,
        *,
        at_once: bool = False,
    ) -> Job:
        """Does something in the background.

        Args:
            title: What it is called in the list.
            work: What is done, in a thread; it asks `JobContext` whether it shall rest or end.
            landed: Called in the window's thread with what the work hands over.
            at_once: Whether it begins while cancelled jobs are still leaving, see `Talk.alone`.
        """
        leaving = {thread for thread in self._threads if thread.stopping}
        thread = _Thread(title, work, leaving, at_once=at_once)
        job = Job(title, thread, self)
        if landed is not None:
            job.published.connect(landed)
        # A thread whose last reference goes while it runs takes the program with it.
        self._threads.add(thread)
        thread.finished.connect(lambda: self._threads.discard(thread))
        self._jobs.append(job)
        for old in [one for one in self._jobs if not one.is_open][:-_KEPT_COUNT]:
            self._jobs.remove(old)
            old.deleteLater()
        job.changed.connect(self.listed)
        job.ended.connect(lambda: self._on_end(job))
        self.listed.emit()
        thread.start()
        return job

    def warm_up(self, then: Callable[[], object]) -> None:
        """Imports in the background what pages draw with, so that no page waits for it."""

        def work(_talk: JobContext) -> None:
            for module in _DRAWN_WITH:
                import_module(module)

        thread = _Thread("Warm up", work, set())
        self._threads.add(thread)
        thread.finished.connect(lambda: self._threads.discard(thread))
        thread.finished.connect(then)
        thread.start(QThread.Priority.LowPriority)

    def start(self) -> None:
        """Compares the document's candidates; a comparison that is under way is cancelled first."""
        self.cancel()
        document = self._document
        try:
            candidates = document.candidates()
        except RollcastError as error:
            self.failed.emit(str(error))
            return
        self._get_engine_ready()
        state = document.state
        # What is only tried out is not kept beside the file: it would grow with every slider.
        stored_at = None if document.is_changed else state.file.path
        work = comparing(state.file.scenario, candidates, stored_at)
        study = self.run(f"Compare {document.scenario.name}", work, at_once=True)
        study.published.connect(lambda found: self._on_found(study, found, state, len(candidates)))
        study.changed.connect(lambda: self._on_study(study))
        self._study, self._studied = study, state
        self.started.emit()

    def start_soon(self) -> None:
        """Compares once nothing more has been changed for a moment."""
        self._soon.start()

    def follow_edit(self, *, simulates: bool) -> None:
        """Ends a comparison that nobody waits for any more, and begins the one that is missing.

        Args:
            simulates: Whether a comparison begins by itself.
        """
        state = self._document.state
        if state == self._followed:
            return  # it was saved
        self._followed = state
        if self._document.is_simulated:
            self.cancel()  # what it still finds would be of another scenario than stands there
        elif self._study is not None and self._studied == state:
            self._soon.stop()
        elif simulates:
            self.start_soon()

    def cancel(self) -> None:
        """Ends the comparison at once; what has landed is kept."""
        self._soon.stop()
        if self._study is not None:
            self._study.cancel()

    def close(self) -> None:
        """Cancels everything and waits until no thread and no process is left: before the end."""
        self._soon.stop()
        for job in self._jobs:
            job.cancel()
        self._compiling.kill()
        self._compiling.waitForFinished()
        for thread in list(self._threads):
            thread.wait()
        self._threads.clear()
        if self._jobs:
            from simulation.study.running.workers import stop_workers  # noqa: PLC0415 - only what simulated has any

            stop_workers()  # they wait for a next study, which will not come

    def _get_engine_ready(self) -> None:
        """Has the fast engine compiled; studies go on with the reference until it is there."""
        if self._compiling.state() == QProcess.ProcessState.NotRunning and not is_ready():
            self._compiling.start(sys.executable, ["-m", "simulation.engines.compiled.prepare"])

    def _on_found(
        self, study: Job, found: object, state: DocumentState, candidate_count: int
    ) -> None:
        """Takes in results; those of a first look unless there are better ones, or come at once."""
        comparison = cast("Comparison", found)  # what a study hands over
        is_look = len(comparison.candidates) < candidate_count

        def land() -> None:
            is_known = self._document.has_results_of(state)
            if not is_look or not (self._has_landed or is_known):
                self._document.add_results(comparison, state)
                self._has_landed = not is_look

        if is_look:
            self._has_landed = False
            QTimer.singleShot(LOOK_AFTER_MS, study, lambda: land() if study.is_open else None)
        else:
            land()

    def _on_study(self, study: Job) -> None:
        if study is self._study and study.is_open:
            self.progressed.emit(study.done, study.total)

    def _on_end(self, job: Job) -> None:
        if job.state is JobState.FAILED:
            self.failed.emit(job.failure_text)
        if job is self._study:
            self._study = None
            self.ended.emit()
