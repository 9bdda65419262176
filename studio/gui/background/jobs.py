"""The background work of a window; the only file that starts threads.

A `Job` is one task in a thread of its own: a study, an import, a rollout. It can be paused and
cancelled, and its signals arrive in the window's thread. Results that a cancelled job still
publishes are dropped. `Jobs` keeps the running jobs and the latest ended ones, and knows the one
that compares the document's candidates.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, cast

from PySide6.QtCore import QObject, QProcess, QThread, QTimer, Signal

from executor.base.errors import RollcastError
from simulation.engines.compiled.code_cache import is_ready
from simulation.estimates.overload import find_endless_overload, overload_text
from studio.gui.background.comparison_job import comparing
from studio.gui.background.explaining_job import explaining, needs_explaining
from studio.gui.background.job import Job, JobContext, JobState, Work, _Thread
from studio.gui.document.document import Document, DocumentState

if TYPE_CHECKING:
    from simulation.estimates.estimate import Estimate
    from simulation.study.compare import Comparison

_KEPT_COUNT = 30
"""Maximum number of ended jobs that stay in the list."""
_IMPORTED_EARLY = (
    "matplotlib.backends.backend_qtagg",
    "networkx",
    "pandas",
    "simulation.estimates.estimate",
)
LOOK_AFTER_MS = 120
"""The first look waits this long for the results of all candidates, which replace it, in milliseconds."""
ANSWER_BUDGET_S = 0.08
"""Time for the runs that answer an edit, in seconds."""
ANSWER_WITHIN_MS = 100
"""Closed forms answer an edit when its runs have not answered after this time, in milliseconds."""
AFTER_EDIT_MS = 250
"""A comparison begins this long after the last edit, in milliseconds."""


class Jobs(QObject):
    """All background work for a document; one comparison at a time.

    Attributes:
        answers_edits: Returns whether runs answer an edit at once, without being asked for.
    """

    started = Signal()
    """A comparison has begun."""
    progressed = Signal(int, int)
    """The comparison has made progress: runs done, runs in total."""
    ended = Signal()
    """The comparison has ended."""
    failed = Signal(str)
    """The comparison or another job has failed; the argument is the reason."""
    warned = Signal(str)
    """A job goes on in spite of a problem; the argument is the problem."""
    listed = Signal()
    """The list has another job, or a job has changed."""

    def __init__(self, document: Document) -> None:
        super().__init__(document)
        self._document = document
        self._study: Job | None = None
        self._study_state: DocumentState | None = None
        self._last_state = document.state
        self._jobs: list[Job] = []
        self._threads: set[_Thread] = set()
        self._explaining: Job | None = None
        self._has_full_results = False
        self._compiling = QProcess(self)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(AFTER_EDIT_MS)
        self._soon.timeout.connect(self.start)
        self.answers_edits: Callable[[], bool] = lambda: False
        self._answering: _Thread | None = None
        self._answered_state = document.state
        self._patience = QTimer(self)
        self._patience.setSingleShot(True)
        self._patience.setInterval(ANSWER_WITHIN_MS)
        self._patience.timeout.connect(self._stop_waiting)
        # Connected before any widget is: widgets ask whether an answer is awaited.
        document.edited.connect(self._answer_edit)

    @property
    def jobs(self) -> tuple[Job, ...]:
        """The running jobs and the latest ended ones, the newest first."""
        return tuple(reversed(self._jobs))

    def threads(self) -> tuple[QThread, ...]:
        """Return the threads that still run, those of cancelled jobs included."""
        return tuple(self._threads)

    @property
    def study(self) -> Job | None:
        """The comparison that runs now."""
        return self._study

    @property
    def is_running(self) -> bool:
        """Return whether a comparison runs."""
        return self._study is not None

    def run(
        self,
        title: str,
        work: Work,
        on_result: Callable[[object], None] | None = None,
        *,
        at_once: bool = False,
    ) -> Job:
        """Run work in the background.

        Args:
            title: The name in the list.
            work: The work, run in a thread; it asks its `JobContext` whether to pause or end.
            on_result: Called in the window's thread with each published result.
            at_once: Whether the work begins while cancelled jobs still end, see
                `JobContext.wait_for_cancelled_jobs`.
        """
        leaving = {thread for thread in self._threads if thread.stopping}
        thread = _Thread(title, work, leaving, at_once=at_once)
        job = Job(title, thread, self)
        if on_result is not None:
            job.published.connect(on_result)
        # Qt aborts the program when a running thread loses its last reference.
        self._threads.add(thread)
        thread.finished.connect(lambda: self._threads.discard(thread))
        self._jobs.append(job)
        for old in [listed for listed in self._jobs if not listed.is_open][:-_KEPT_COUNT]:
            self._jobs.remove(old)
            old.deleteLater()
        job.changed.connect(self.listed)
        job.warned.connect(self.warned)
        job.ended.connect(lambda: self._on_job_ended(job))
        self.listed.emit()
        thread.start()
        return job

    def warm_up(self, then: Callable[[], object]) -> None:
        """Import the libraries that pages draw with in the background, then call ``then``: no page waits for them."""

        def work(_context: JobContext) -> None:
            for module in _IMPORTED_EARLY:
                import_module(module)

        thread = _Thread("Warm up", work, set())
        self._threads.add(thread)
        thread.finished.connect(lambda: self._threads.discard(thread))
        thread.finished.connect(then)
        thread.start(QThread.Priority.LowPriority)

    def start(self) -> None:
        """Compare the document's candidates; cancel the running comparison first."""
        self.cancel()
        document = self._document
        try:
            cases = document.cases()
        except RollcastError as error:
            self.failed.emit(str(error))
            return
        overloads = [find_endless_overload(case.scenario) for case in cases]
        if overloads[0] is not None and None not in overloads:
            self.failed.emit(overload_text(overloads[0]))
            return
        self._prepare_engine()
        state = document.state
        # Results of unsaved edits are not stored beside the file: every slider would add to them.
        stored_at = None if document.is_changed else state.file.path
        work = comparing(state.file.scenario, cases, stored_at)
        study = self.run(f"Compare {document.scenario.name}", work, at_once=True)
        study.published.connect(lambda result: self._on_results(study, result, state, len(cases)))
        study.changed.connect(lambda: self._on_study_changed(study))
        self._study, self._study_state = study, state
        self.started.emit()

    def start_soon(self) -> None:
        """Compare the candidates once nothing was edited for `AFTER_EDIT_MS`."""
        self._soon.start()

    def follow_edit(self, *, simulates: bool) -> None:
        """Cancel a comparison that is out of date, and begin the one that is missing.

        Args:
            simulates: Whether a comparison begins without being asked for.
        """
        state = self._document.state
        if state == self._last_state:
            return  # the document was only saved
        self._last_state = state
        if self._document.is_simulated:
            self.cancel()  # its results would be of another scenario than the shown one
        elif self._study is not None and self._study_state == state:
            self._soon.stop()
        elif simulates:
            self.start_soon()

    def _answer_edit(self) -> None:
        """Begin the runs that answer an edit, in a thread of their own; one such thread at a time.

        During a drag the thread ends after its present run, and the newest state is simulated next.
        """
        document = self._document
        needs_answer = document.is_stale or document.current_run is None
        if not needs_answer or document.scenario.rollout is None:
            return
        if not (self.answers_edits() and is_ready()):
            return
        document.await_answer()
        if not self._patience.isActive():
            self._patience.start()
        if self._answering is None:
            self._start_answer()
        else:
            self._answering.stopping = True

    def _start_answer(self) -> None:
        scenario = self._document.scenario
        self._answered_state = self._document.state

        def work(context: JobContext) -> None:
            from simulation.study.quick_answer import answer_by_runs  # noqa: PLC0415 - the first window does not need it

            context.publish(answer_by_runs(scenario, ANSWER_BUDGET_S, context.should_stop))

        self._answering = thread = _Thread("Answer an edit", work, set())
        self._threads.add(thread)
        thread.published.connect(self._on_answer)
        thread.finished.connect(self._on_answer_ended)
        thread.start()

    def _on_answer(self, answer: object) -> None:
        self._document.answer(self._answered_state, cast("Estimate | None", answer))

    def _on_answer_ended(self) -> None:
        if self._answering is not None:
            self._threads.discard(self._answering)
            self._answering = None
        if not self._document.awaits_answer:
            return
        if self._document.state is self._answered_state:
            self._stop_waiting()  # the runs were refused, such as by the end of a trace
        elif self.answers_edits():
            self._start_answer()

    def _stop_waiting(self) -> None:
        """Let closed forms answer; runs that end later still replace them."""
        if self._document.awaits_answer:
            self._document.answer(self._document.state, None)

    def cancel(self) -> None:
        """Cancel the comparison at once, and its explanation; published results are kept."""
        self._soon.stop()
        for job in (self._study, self._explaining):
            if job is not None:
                job.cancel()

    def close(self) -> None:
        """Cancel everything and wait until no thread and no process is left; called before the window closes."""
        self._soon.stop()
        self._patience.stop()
        self.answers_edits = lambda: False
        if self._answering is not None:
            self._answering.stopping = True
        for job in self._jobs:
            job.cancel()
        self._compiling.kill()
        self._compiling.waitForFinished()
        for thread in list(self._threads):
            thread.wait()
        self._threads.clear()
        if self._jobs:
            from simulation.study.running.workers import stop_workers  # noqa: PLC0415 - only what simulated has any

            stop_workers()  # workers wait for a next study, which will not come

    def _prepare_engine(self) -> None:
        """Start the compilation of the fast engine; studies use the reference engine until it is done."""
        if self._compiling.state() == QProcess.ProcessState.NotRunning and not is_ready():
            self._compiling.start(sys.executable, ["-m", "simulation.engines.compiled.prepare"])

    def _on_results(
        self, study: Job, result: object, state: DocumentState, candidate_count: int
    ) -> None:
        """Add results to the document. A first look is added later, and only without better results."""
        comparison = cast("Comparison", result)  # the type that a study publishes
        is_first_look = len(comparison.candidates) < candidate_count

        def add_results() -> None:
            has_results = self._document.has_results_of(state)
            if not is_first_look or not (self._has_full_results or has_results):
                self._document.add_results(comparison, state)
                self._has_full_results = not is_first_look

        if is_first_look:
            self._has_full_results = False
            QTimer.singleShot(
                LOOK_AFTER_MS, study, lambda: add_results() if study.is_open else None
            )
        else:
            add_results()

    def _on_study_changed(self, study: Job) -> None:
        if study is self._study and study.is_open:
            self.progressed.emit(study.done, study.total)

    def _on_job_ended(self, job: Job) -> None:
        if job.state is JobState.FAILED:
            self.failed.emit(job.failure_text)
        if job is self._explaining:
            self._explaining = None
        if job is self._study:
            self._study = None
            self.ended.emit()
            if job.state is JobState.DONE:
                self._explain_failures()

    def _explain_failures(self) -> None:
        """Begin to find out why candidates of the complete comparison fail; plans can be made meanwhile."""
        document, comparison = self._document, self._document.comparison
        state = self._study_state
        if state is None or comparison is None or not document.has_results_of(state):
            return
        if not (is_ready() and needs_explaining(comparison)):
            return

        def add_results(explained: object) -> None:
            if self._document.comparison is comparison:
                document.add_results(cast("Comparison", explained), state)

        title = f"Explain {document.scenario.name}"
        self._explaining = self.run(title, explaining(comparison), add_results)
