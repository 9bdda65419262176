"""The simulation in the background: the only file with threads.

A `Job` is one comparison in a thread of its own, which in turn waits for processes. Its signals
arrive in the thread of the window. Results of a job that was cancelled are dropped.
"""

from __future__ import annotations

import sys
import time

from PySide6.QtCore import QObject, QProcess, QThread, Signal

from executor.errors import RollcastError
from simulation.compare import compare
from simulation.engines.ready import is_ready
from simulation.study import Row, run_rows
from studio.gui.document import Document, State

_PROGRESS_EVERY_S = 0.05
_RESULTS_EVERY_S = 0.7


class _Study(QThread):
    """Simulates, and says how far it is."""

    progressed = Signal(int, int)
    landed = Signal(object)
    failed = Signal(str)

    def __init__(self, document: Document, leaving: set[_Study]) -> None:
        super().__init__()
        self.state: State = document.state
        self._before = set(leaving)
        self._candidates = document.candidates()
        self.cancelled = False

    def run(self) -> None:
        for earlier in self._before:
            earlier.wait()  # its last act ends the processes, which must not be this study's
        self._before.clear()
        scenario = self.state.file.scenario
        rows: list[Row] = []
        told_at = shown_at = time.monotonic()
        try:
            for row in run_rows(
                scenario, self._candidates, apart=True, stopped=lambda: self.cancelled
            ):
                rows.append(row)
                now = time.monotonic()
                if now - told_at > _PROGRESS_EVERY_S:
                    self.progressed.emit(len(rows), scenario.replications)
                    told_at = now
                if now - shown_at > _RESULTS_EVERY_S and len(rows) < scenario.replications:
                    self.landed.emit(compare(scenario, self._candidates, rows))
                    shown_at = time.monotonic()
            if not self.cancelled:
                self.progressed.emit(len(rows), scenario.replications)
                self.landed.emit(compare(scenario, self._candidates, rows))
        except RollcastError as error:
            self.failed.emit(str(error))
        except Exception as error:  # a defect is told, not swallowed
            words = next(iter(str(error).splitlines()), "")
            self.failed.emit(f"the simulation broke off: {type(error).__name__}: {words}")


class Jobs(QObject):
    """Runs one comparison at a time for a document."""

    started = Signal()
    progressed = Signal(int, int)
    ended = Signal()
    failed = Signal(str)

    def __init__(self, document: Document) -> None:
        super().__init__(document)
        self._document = document
        self._study: _Study | None = None
        self._leaving: set[_Study] = set()
        self._compiling = QProcess(self)

    @property
    def is_running(self) -> bool:
        """Whether a comparison is under way."""
        return self._study is not None

    def start(self) -> None:
        """Compares the document's candidates; one that is under way is cancelled first."""
        self.cancel()
        try:
            study = _Study(self._document, self._leaving)
        except RollcastError as error:
            self.failed.emit(str(error))
            return
        self._get_engine_ready()
        self._study = study
        study.progressed.connect(self._on_progress)
        study.landed.connect(self._on_results)
        study.failed.connect(self._on_failure)
        study.finished.connect(self._on_end)
        self.started.emit()
        study.start()

    def _get_engine_ready(self) -> None:
        """Has the fast engine compiled; studies go on with the reference until it is there."""
        if self._compiling.state() == QProcess.ProcessState.NotRunning and not is_ready():
            self._compiling.start(sys.executable, ["-m", "simulation.engines.ready"])

    def cancel(self) -> None:
        """Ends the comparison at once; what has landed is kept."""
        study = self._study
        if study is None:
            return
        study.cancelled = True
        self._study = None
        # A thread whose last reference goes while it runs takes the program with it.
        self._leaving.add(study)
        self.ended.emit()

    def close(self) -> None:
        """Cancels and waits until no thread and no process is left: before the program ends."""
        self.cancel()
        self._compiling.kill()
        self._compiling.waitForFinished()
        for study in list(self._leaving):
            study.wait()
        self._leaving.clear()

    def _on_progress(self, done: int, total: int) -> None:
        if self.sender() is self._study:
            self.progressed.emit(done, total)

    def _on_results(self, comparison: object) -> None:
        study = self.sender()
        if study is self._study and isinstance(study, _Study):
            self._document.land(comparison, study.state)  # type: ignore[arg-type]  # a Qt signal

    def _on_failure(self, words: str) -> None:
        if self.sender() is self._study:
            self.failed.emit(words)

    def _on_end(self) -> None:
        study = self.sender()
        if isinstance(study, _Study):
            self._leaving.discard(study)
        if study is self._study:
            self._study = None
            self.ended.emit()
