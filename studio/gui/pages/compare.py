"""The page *Compare*: two to four runs side by side, on one scale, with one cursor through all.

The page shows the runs that the user chose, or else the neighbours of the selected run. The user
selects a run here, and the baseline that the differences refer to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from simulation.study.candidate_result import CandidateResult, ControlResult
from studio.charts.side_by_side import side_by_side_figure
from studio.gui.document.commands import set_baseline
from studio.gui.document.document import Document
from studio.gui.document.runs import KeptRun, baseline_of
from studio.gui.pages.base import Page
from studio.gui.pages.run_header import RunHeader
from studio.gui.painted.side_by_side_chart import LEFT_PX, Columns, SideBySideChart
from studio.gui.widgets.elided import ElidedLabel
from studio.gui.widgets.figure_table import FigureTable
from studio.views.candidate.control import CONTROL_NAME
from studio.views.figures_text import metric_text
from studio.views.side_by_side import StripLines, lines_of, note_of, rows_of
from studio.views.theme import Theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from studio.gui.background.jobs import Jobs
    from studio.gui.toolkit.actions import PageAction


class ComparePage(Page):
    """One column per run: name and verdict, lines over time, figures."""

    def __init__(self, document: Document, jobs: Jobs, theme: Theme) -> None:
        super().__init__(document, jobs, theme)
        self.headers: list[RunHeader] = []
        self.chart = SideBySideChart(theme)
        self.table = FigureTable(theme, LEFT_PX)
        self.note = ElidedLabel()
        self.control_header = QLabel(CONTROL_NAME.capitalize())
        self.control_header.setWordWrap(True)
        self.empty = QLabel()
        self._lines: dict[str, tuple[CandidateResult | ControlResult, StripLines]] = {}
        self._lay_out()
        self.setFocusProxy(self.chart)  # so that the chart's keys work as soon as the page is shown
        jobs.started.connect(self.follow)
        jobs.ended.connect(self.follow)

    def _lay_out(self) -> None:
        card = QFrame()
        card.setObjectName("card")
        inside = QVBoxLayout(card)
        inside.setContentsMargins(4, 6, 4, 8)
        inside.setSpacing(2)
        self._heads = QHBoxLayout()
        self._heads.setContentsMargins(LEFT_PX, 0, 0, 0)
        self._heads.setSpacing(0)
        self.control_header.setObjectName("heading")
        self.control_header.setContentsMargins(8, 5, 8, 0)
        self.control_header.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        self.control_header.setToolTip("The same requests over the same time, with nothing rolled")
        self.control_header.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._heads.addWidget(self.control_header, 1)
        inside.addLayout(self._heads)
        self._split = QSplitter(Qt.Orientation.Vertical)
        self._split.setChildrenCollapsible(False)
        self._split.addWidget(self.chart)
        self._split.addWidget(self.table)
        for place in range(2):
            self._split.setStretchFactor(place, 1)
        self._split.setSizes([1000, 850])
        inside.addWidget(self._split, 1)
        beneath = QHBoxLayout()
        beneath.setContentsMargins(8, 2, 8, 0)
        self.note.setObjectName("soft")
        beneath.addWidget(self.note, 1)
        inside.addLayout(beneath)
        self.empty.setObjectName("soft")
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        inside.addWidget(self.empty, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(card)

    def show_document(self) -> None:
        document = self.document
        runs = document.side_by_side
        for widget in (self._split, self.note):
            widget.setVisible(bool(runs))
        self.empty.setVisible(not runs)
        self._show_headers(runs)
        control = self._control_of(runs) if runs else None
        self.control_header.setVisible(control is not None)
        if not runs:
            self._lines = {}
            is_running = self.jobs.is_running
            self.empty.setText(
                "Simulating the first runs…" if is_running else "Nothing is simulated yet"
            )
            return
        names, results = [run.name for run in runs], [run.result for run in runs]
        base = baseline_of(runs)
        control = self._control_of(runs)
        limit_s, columns = runs[base].scenario.objectives.latency_p99, list(names)
        lines = self._lines_of(runs, control)
        if control is not None:
            columns.append(CONTROL_NAME.capitalize())
        self.chart.show_columns(Columns(lines, tuple(columns), limit_s), self.theme)
        are_separate = self._are_separate(runs)
        estimates = self._show_estimate(runs)
        rows = rows_of(results, names, base, alone=are_separate, control=control)
        self.table.show_rows(rows, columns, self.theme, estimates)
        is_paired = len({run.scenario.seed for run in runs}) == 1
        self.note.setText(note_of(results, names[base], alone=are_separate, paired=is_paired))

    def _are_separate(self, runs: Sequence[KeptRun]) -> bool:
        """Return whether at least one run comes from another comparison than the latest."""
        together = {run.key for run in self.document.runs_of_comparison() if run is not None}
        return any(run.key not in together for run in runs)

    def _control_of(self, runs: Sequence[KeptRun]) -> ControlResult | None:
        """Return the control of the baseline; None where there is none, or the runs have no common interval."""
        return None if self._are_separate(runs) else runs[baseline_of(runs)].control

    def _lines_of(
        self, runs: Sequence[KeptRun], control: ControlResult | None
    ) -> tuple[StripLines, ...]:
        """Return the lines over time of each run and of the control; they are computed once per result."""
        previous_lines = self._lines
        self._lines = {}
        results: dict[str, CandidateResult | ControlResult] = {run.key: run.result for run in runs}
        if control is not None:
            results[CONTROL_NAME] = control
        for key, result in results.items():
            previous = previous_lines.get(key)
            is_unchanged = previous is not None and previous[0] is result
            self._lines[key] = previous if previous and is_unchanged else (result, lines_of(result))
        return tuple(self._lines[key][1] for key in results)

    def _show_headers(self, runs: Sequence[KeptRun]) -> None:
        while len(self.headers) > len(runs):
            surplus = self.headers.pop()
            self._heads.removeWidget(surplus)
            surplus.deleteLater()
        while len(self.headers) < len(runs):
            header = RunHeader()
            header.selected.connect(self.document.look_at)
            header.baseline_chosen.connect(self._measure_by)
            self.headers.append(header)
            self._heads.insertWidget(len(self.headers) - 1, header, 1)
        last_widget: QWidget | None = None
        for place, (header, run) in enumerate(zip(self.headers, runs, strict=True)):
            header.show_run(
                run,
                self.theme,
                is_selected=run == self.document.current_run,
                is_baseline=place == baseline_of(runs),
            )
            if last_widget is not None:
                self.setTabOrder(last_widget, header.name)
            self.setTabOrder(header.name, header.baseline)
            last_widget = header.baseline
        if last_widget is not None:
            self.setTabOrder(last_widget, self.chart)
            self.setTabOrder(self.chart, self.table)

    def _show_estimate(self, runs: Sequence[KeptRun]) -> dict[tuple[str, int], str]:
        """Draw the estimate of the edited scenario over the selected run's column.

        Return the estimate's numbers as text, by metric and column; empty without an estimate.
        """
        document = self.document
        selected = document.current_run
        estimate = document.estimate if document.is_stale else None
        column = next((place for place, run in enumerate(runs) if run == selected), 0)
        self.chart.show_estimate(column, estimate)
        if estimate is None:
            return {}
        texts = {}
        for name, value in vars(estimate).items():
            if hasattr(value, "value"):
                texts[name, column] = metric_text(name, value.value)
        return texts

    def _measure_by(self, key: str) -> None:
        for run in self.document.side_by_side:
            if run.key == key:
                set_baseline(self.document, run)

    def page_actions(self) -> list[PageAction]:
        return [
            (
                "compare.measure_by",
                "Make the selected run the baseline",
                "",
                self._set_selected_as_baseline,
            )
        ]

    def _set_selected_as_baseline(self) -> None:
        if self.document.current_run is not None:
            self._measure_by(self.document.current_run.key)

    def figures(self) -> dict[str, Figure]:
        runs = self.document.side_by_side
        if not runs:
            return {}
        limit_s = runs[baseline_of(runs)].scenario.objectives.latency_p99
        results: list[CandidateResult | ControlResult] = [run.result for run in runs]
        names = [run.name for run in runs]
        control = self._control_of(runs)
        if control is not None:
            results.append(control)
            names.append(CONTROL_NAME.capitalize())
        return {"side by side": side_by_side_figure(results, names, limit_s)}
