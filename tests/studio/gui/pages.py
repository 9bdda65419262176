"""A page on its own, with a scenario of its own, for the tests of pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Generic, TypeVar

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from simulation.scenario.file import ScenarioFile
from simulation.study.case import cases_of
from simulation.study.compare import Comparison, compare
from simulation.study.execution import Execution
from simulation.study.rows import Row, run_rows
from studio.gui.background.jobs import Jobs
from studio.gui.document.commands import edit_windows
from studio.gui.document.document import Document
from studio.gui.pages.base import Page
from studio.gui.toolkit.qt_theme import apply_theme
from studio.views.theme import LIGHT, Theme

AnyPage = TypeVar("AnyPage", bound=Page)


@cache
def rows_of(text: str, windows: tuple[int, ...]) -> tuple[Row, ...]:
    """Return all runs of a scenario, simulated once for all tests of a file."""
    scenario = ScenarioFile.parse(text).scenario
    return tuple(run_rows(scenario, cases_of(scenario, windows), Execution(jobs=1)))


class Seat(Generic[AnyPage]):
    """A user at one page."""

    def __init__(
        self,
        qtbot: QtBot,
        kind: Callable[[Document, Jobs, Theme], AnyPage],
        text: str,
        windows: Sequence[int] = (),
        size: tuple[int, int] = (690, 420),
    ) -> None:
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        apply_theme(application, LIGHT)
        self.qtbot, self._text, self._windows = qtbot, text, tuple(windows)
        self.document = Document(ScenarioFile.parse(text))
        if windows:
            edit_windows(self.document, tuple(windows))
            self.document.undo.clear()
        self.jobs = Jobs(self.document)
        self.page = kind(self.document, self.jobs, LIGHT)
        self.host = QWidget()
        layout = QVBoxLayout(self.host)
        layout.addWidget(self.page)
        self.host.resize(*size)
        qtbot.addWidget(self.host, before_close_func=lambda _host: self._leave())
        with qtbot.waitExposed(self.host):
            self.host.show()
        self.host.activateWindow()
        qtbot.waitUntil(self.host.isActiveWindow)
        self.page.on_shown()

    def _leave(self) -> None:
        self.page.leave()
        self.jobs.close()

    @property
    def comparison(self) -> Comparison:
        """The latest results."""
        found = self.document.comparison
        assert found is not None
        return found

    def run(self, rows: int | None = None, windows: Sequence[int] = ()) -> None:
        """Add results to the document: the first ``rows`` replications, or all."""
        chosen_windows = tuple(windows) or self._windows or (self.document.scenario.window_count(),)
        scenario = ScenarioFile.parse(self._text).scenario
        cases = cases_of(scenario, chosen_windows)
        results = rows_of(self._text, chosen_windows)[:rows]
        self.document.add_results(compare(scenario, cases, results), self.document.state)
        QApplication.processEvents()  # new widgets are laid out only then

    def land_other(self, text: str, windows: tuple[int, ...]) -> None:
        """Add the results of another scenario, namely the edited one."""
        scenario = ScenarioFile.parse(text).scenario
        cases = cases_of(scenario, windows)
        results = compare(scenario, cases, rows_of(text, windows))
        self.document.add_results(results, self.document.state)

    def click(self, widget: QWidget) -> None:
        self.qtbot.mouseClick(widget, Qt.MouseButton.LeftButton)
