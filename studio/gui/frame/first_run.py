"""The first start: the example with its stored results, and a bar that says what to try.

The bar asks the user to drag a slider, and disappears once the slider was dragged and its result
was shown.
"""

from __future__ import annotations

from PySide6.QtCore import QObject

from simulation.scenario.model import Scenario
from simulation.study.case import Case
from studio.gui.background.job import JobContext, Work
from studio.gui.background.jobs import Jobs
from studio.gui.document.document import Document, DocumentState
from studio.gui.widgets.notice import Notice

BANNER_TEXT = "Drag <b>Window size</b> and watch the red line."


class FirstRun(QObject):
    """The first start: the example's stored results and the bar.

    Attributes:
        bar: The bar; the window puts it above the page *Replay*.
    """

    def __init__(self, document: Document, jobs: Jobs) -> None:
        super().__init__(document)
        self._document, self._jobs = document, jobs
        self.bar = Notice("First steps")
        self._first_state: DocumentState | None = None

    def begin(self) -> None:
        """Show the bar, and the stored results once they are read; simulate the example when they do not fit."""
        document = self._document
        self._first_state = document.state
        self.bar.ask(BANNER_TEXT, [("Got it", "Close this", self._end)], rich=True)
        document.compared.connect(self._on_compared)
        document.opened.connect(self._end)
        work = _reading_work(document.scenario, document.cases())
        self._jobs.run("Read the example's results", work, self._on_results)

    @property
    def is_on(self) -> bool:
        """Return whether the bar is still needed."""
        return self._first_state is not None

    def _on_results(self, comparison: object) -> None:
        state = self._first_state
        if comparison is None or state is None:
            if self._document.comparison is None:
                self._jobs.start()
        elif self._document.comparison is None:
            self._document.add_results(comparison, state)  # type: ignore[arg-type] # what the work publishes

    def _was_slider_moved(self) -> bool:
        first_state, scenario = self._first_state, self._document.scenario
        return first_state is not None and scenario.rollout is not None and (
            scenario.window_count() != first_state.file.scenario.window_count()
        )  # fmt: skip

    def _on_compared(self) -> None:
        """Hide the bar once the slider was moved and its effect was simulated."""
        if self.is_on and self._was_slider_moved() and not self._document.is_stale:
            self._end()

    def _end(self) -> None:
        if self._first_state is None:
            return
        self._first_state = None
        self.bar.hide()
        self._document.compared.disconnect(self._on_compared)
        self._document.opened.disconnect(self._end)


def _reading_work(scenario: Scenario, cases: tuple[Case, ...]) -> Work:
    """Return work that reads the stored results and publishes them, or None when they are of another scenario."""

    def work(context: JobContext) -> None:
        from studio.lessons.first_run import results_path, unpack_comparison  # noqa: PLC0415 - in its thread

        try:
            result_bytes = results_path().read_bytes()
            context.publish(unpack_comparison(result_bytes, scenario, cases))
        except (OSError, ValueError):
            context.publish(None)  # the example is then simulated like any other

    return work
