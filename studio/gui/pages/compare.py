"""The page *Compare*: two to four runs side by side, on one scale, with one cursor through all.

Enters: the runs that a person has put here, or those around the one looked at. Leaves: which run is
looked at, and which the others are measured by.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QSplitter, QVBoxLayout, QWidget

from simulation.study.compare import CandidateResult
from studio.charts.side_by_side import side_by_side_figure
from studio.gui.document.commands import set_baseline
from studio.gui.document.document import Document
from studio.gui.document.runs import KeptRun, baseline_of
from studio.gui.pages.base import Page
from studio.gui.pages.run_header import RunHeader
from studio.gui.painted.side_by_side_chart import LEFT_PX, Columns, SideBySideChart
from studio.gui.widgets.elided import ElidedLabel
from studio.gui.widgets.figure_table import FigureTable
from studio.views.figures_text import metric_text
from studio.views.side_by_side import StripLines, lines_of, note_of, rows_of
from studio.views.theme import Theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from studio.gui.background.jobs import Jobs
    from studio.gui.toolkit.actions import PageAction


class ComparePage(Page):
    """A column a run: its name and verdict, its lines over time, its figures."""

    def __init__(self, document: Document, jobs: Jobs, theme: Theme) -> None:
        super().__init__(document, jobs, theme)
        self.headers: list[RunHeader] = []
        self.chart = SideBySideChart(theme)
        self.table = FigureTable(theme, LEFT_PX)
        self.note = ElidedLabel()
        self.empty = QLabel()
        self._lines: dict[str, tuple[CandidateResult, StripLines]] = {}
        self._lay_out()
        self.setFocusProxy(self.chart)  # so that its keys hold once the page is turned to
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
        if not runs:
            self._lines = {}
            running = self.jobs.is_running
            self.empty.setText(
                "Simulating the first runs…" if running else "Nothing is simulated yet"
            )
            return
        names, results = [run.name for run in runs], [run.result for run in runs]
        base = baseline_of(runs)
        self.chart.show_columns(
            Columns(self._lines_of(runs), tuple(names), runs[base].scenario.objectives.latency_p99),
            self.theme,
        )
        alone = self._are_alone(runs)
        estimates = self._show_estimate(runs)
        rows = rows_of(results, names, base, alone=alone)
        self.table.show_rows(rows, names, self.theme, estimates)
        paired = len({run.scenario.seed for run in runs}) == 1
        self.note.setText(note_of(results, names[base], alone=alone, paired=paired))

    def _are_alone(self, runs: Sequence[KeptRun]) -> bool:
        """Whether the runs were not simulated in one comparison."""
        together = {run.key for run in self.document.runs_of_comparison() if run is not None}
        return any(run.key not in together for run in runs)

    def _lines_of(self, runs: Sequence[KeptRun]) -> tuple[StripLines, ...]:
        """Their lines over time, worked out once for each result."""
        known = self._lines
        self._lines = {}
        for run in runs:
            before = known.get(run.key)
            same = before is not None and before[0] is run.result
            self._lines[run.key] = before if before and same else (run.result, lines_of(run.result))
        return tuple(self._lines[run.key][1] for run in runs)

    def _show_headers(self, runs: Sequence[KeptRun]) -> None:
        while len(self.headers) > len(runs):
            gone = self.headers.pop()
            self._heads.removeWidget(gone)
            gone.deleteLater()
        while len(self.headers) < len(runs):
            made = RunHeader()
            made.selected.connect(self.document.look_at)
            made.baseline_chosen.connect(self._measure_by)
            self.headers.append(made)
            self._heads.addWidget(made, 1)
        before: QWidget | None = None
        for place, (header, run) in enumerate(zip(self.headers, runs, strict=True)):
            header.show_run(
                run,
                self.theme,
                is_looked_at=run == self.document.current_run,
                is_baseline=place == baseline_of(runs),
            )
            if before is not None:
                self.setTabOrder(before, header.name)
            self.setTabOrder(header.name, header.baseline)
            before = header.baseline
        if before is not None:
            self.setTabOrder(before, self.chart)
            self.setTabOrder(self.chart, self.table)

    def _show_estimate(self, runs: Sequence[KeptRun]) -> dict[tuple[str, int], str]:
        """What stands in the fields now, in the column of the run that is looked at."""
        document = self.document
        looked_at = document.current_run
        found = document.estimate if document.is_stale else None
        column = next((place for place, run in enumerate(runs) if run == looked_at), 0)
        self.chart.show_estimate(column, found)
        if found is None:
            return {}
        told = {}
        for name, value in vars(found).items():
            if hasattr(value, "value"):
                told[name, column] = metric_text(name, value.value)
        return told

    def _measure_by(self, key: str) -> None:
        for run in self.document.side_by_side:
            if run.key == key:
                set_baseline(self.document, run)

    def page_actions(self) -> list[PageAction]:
        return [
            (
                "compare.measure_by",
                "Measure the others by the run looked at",
                "",
                self._by_looked_at,
            )
        ]

    def _by_looked_at(self) -> None:
        if self.document.current_run is not None:
            self._measure_by(self.document.current_run.key)

    def figures(self) -> dict[str, Figure]:
        runs = self.document.side_by_side
        if not runs:
            return {}
        limit_s = runs[baseline_of(runs)].scenario.objectives.latency_p99
        results, names = [run.result for run in runs], [run.name for run in runs]
        return {"side by side": side_by_side_figure(results, names, limit_s)}
