"""The very first start: the example, simulated beforehand, and one sentence of what to do with it.

Enters: a document that shows the example. Leaves: its results within a moment, and a bar that asks
to drag a slider; it goes by itself once that was done and the answer was seen.
"""

from __future__ import annotations

from PySide6.QtCore import QObject

from simulation.scenario.model import Scenario
from simulation.study.candidates import Candidate
from studio.gui.background.job import JobContext, Work
from studio.gui.background.jobs import Jobs
from studio.gui.document.document import Document, DocumentState
from studio.gui.widgets.notice import Notice

WORDS = "Drag <b>Window size</b> and watch the red line."


class FirstRun(QObject):
    """Lands the example's results and shows the bar.

    Attributes:
        bar: What it says; to be put above the page *Replay*.
    """

    def __init__(self, document: Document, jobs: Jobs) -> None:
        super().__init__(document)
        self._document, self._jobs = document, jobs
        self.bar = Notice("First steps")
        self._first: DocumentState | None = None

    def begin(self) -> None:
        """Shows the bar, and the results as soon as they are read; else they are simulated."""
        document = self._document
        self._first = document.state
        self.bar.ask(WORDS, [("Got it", "Close this", self._end)], rich=True)
        document.compared.connect(self._on_compared)
        document.opened.connect(self._end)
        work = _reading(document.scenario, document.candidates())
        self._jobs.run("Read the example's results", work, self._landed)

    @property
    def is_on(self) -> bool:
        """Whether the bar still has something to say."""
        return self._first is not None

    def _landed(self, comparison: object) -> None:
        state = self._first
        if comparison is None or state is None:
            if self._document.comparison is None:
                self._jobs.start()
        elif self._document.comparison is None:
            self._document.add_results(comparison, state)  # type: ignore[arg-type] # what the work lands

    def _was_moved(self) -> bool:
        first, now = self._first, self._document.scenario
        return first is not None and now.rollout is not None and (
            now.window_count() != first.file.scenario.window_count()
        )  # fmt: skip

    def _on_compared(self) -> None:
        """The promise was seen: the slider was moved, and what it does was simulated."""
        if self.is_on and self._was_moved() and not self._document.is_stale:
            self._end()

    def _end(self) -> None:
        if self._first is None:
            return
        self._first = None
        self.bar.hide()
        self._document.compared.disconnect(self._on_compared)
        self._document.opened.disconnect(self._end)


def _reading(scenario: Scenario, candidates: tuple[Candidate, ...]) -> Work:
    """Reads the results that come along; lands None where they are of another scenario."""

    def work(talk: JobContext) -> None:
        from studio.lessons.first_run import results_path, unpack_comparison  # noqa: PLC0415 - in its thread

        try:
            packed = results_path().read_bytes()
            talk.publish(unpack_comparison(packed, scenario, candidates))
        except (OSError, ValueError):
            talk.publish(None)  # the example is simulated like any other

    return work
