"""The page *Compare*: the answer, four figures, what happens over time, the trade-off, the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout

from studio.charts import style
from studio.charts.over_time import draw_capacity, draw_latency
from studio.charts.trade_off import Point, draw_trade_off
from studio.gui.document import Document
from studio.gui.pages.base import Page
from studio.gui.tasks import Jobs
from studio.gui.widgets.candidate_table import ROW_PX, CandidateTable
from studio.gui.widgets.chart import ChartCard
from studio.theme import GAP_PX, Theme

if TYPE_CHECKING:
    from matplotlib.backend_bases import MouseEvent

NARROW_PX = 800
"""Below this the figures stand in two rows."""

CLICK_PX = 18
"""How near a click must be to a point."""


class ComparePage(Page):
    """Shows a document's results; picks candidates; changes nothing else."""

    def __init__(self, document: Document, jobs: Jobs, theme: Theme) -> None:
        super().__init__(document, jobs, theme)
        self._document, self._theme = document, theme
        self.over_time = ChartCard(2, "Capacity and traffic, and latency, over time")
        self.trade_off = ChartCard(1, "Duration against p99 of all candidates", left_px=58)
        self.table = CandidateTable()
        self._points: list[Point] = []
        self._lay_out()
        self.table.picked.connect(document.select)
        self.trade_off.canvas.mpl_connect("button_press_event", self._on_click)
        self.show_results()

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(GAP_PX)
        charts = QHBoxLayout()
        charts.setSpacing(GAP_PX)
        charts.addWidget(self.over_time, 5)
        charts.addWidget(self.trade_off, 4)
        layout.addLayout(charts, 1)
        holder = QFrame()
        holder.setObjectName("card")
        inside = QVBoxLayout(holder)
        inside.setContentsMargins(6, 4, 6, 6)
        inside.addWidget(self.table)
        layout.addWidget(holder)
        self._fit_table()

    def set_theme(self, theme: Theme) -> None:
        """Draws everything again in another theme."""
        self._theme = theme
        super().set_theme(theme)

    def show_document(self) -> None:
        self.show_results()

    def show_results(self) -> None:
        """Shows the document's results from the start."""
        document = self._document
        self.table.show_comparison(document.comparison, document.selection, self._theme)
        self._fit_table()
        self._show_selected()

    def _fit_table(self) -> None:
        rows = len(self._document.comparison.candidates) if self._document.comparison else 4
        self.table.setFixedHeight(min(6, max(2, rows)) * ROW_PX + 30)

    def _show_selected(self) -> None:
        document = self._document
        self.table.show_selected(document.selection)
        result = document.selected_result
        with style.drawn_in_style():
            if result is not None and document.comparison is not None:
                limit_s = document.comparison.scenario.objectives.latency_p99
                draw_capacity(self.over_time.axes[0], result, self._theme)
                draw_latency(self.over_time.axes[1], result, self._theme, limit_s)
                self._points = draw_trade_off(
                    self.trade_off.axes[0], document.comparison, document.selection, self._theme
                )
            else:
                self._show_nothing()
        self.over_time.redraw(self._theme)
        self.trade_off.redraw(self._theme)

    def _show_nothing(self) -> None:
        """Before the first results: titles stand, nothing else is claimed."""
        titles = (
            (self.over_time.axes[0], "Capacity and traffic", "requests/s"),
            (self.over_time.axes[1], "Latency", ""),
            (self.trade_off.axes[0], "Duration against p99", ""),
        )
        for axes, title, unit in titles:
            style.prepare(axes, self._theme, title, unit)
            axes.set_xticks([])
            axes.set_yticks([])
        self._points = []

    def _on_click(self, event: MouseEvent) -> None:
        """Picks the nearest point."""
        axes = self.trade_off.axes[0]
        distances = []
        for point in self._points:
            x, y = axes.transData.transform((point.duration_s, point.risk))
            distances.append((((x - event.x) ** 2 + (y - event.y) ** 2) ** 0.5, point.index))
        if distances and min(distances)[0] <= CLICK_PX:
            self._document.select(min(distances)[1])
