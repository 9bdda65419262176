"""The page *Compare*: the answer, four figures, what happens over time, the trade-off, the table."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QVBoxLayout, QWidget

from executor.errors import BadInput
from executor.plan import Interval
from simulation.compare import CandidateResult
from simulation.scenario import Scenario
from studio.charts import style
from studio.charts.over_time import draw_capacity, draw_latency
from studio.charts.trade_off import Point, draw_trade_off
from studio.format import (
    between_text,
    clock_text,
    count_text,
    duration_text,
    latency_text,
    limit_text,
    percent_text,
    verdict_sentence,
)
from studio.gui.document import Document
from studio.gui.widgets.candidate_table import ROW_PX, CandidateTable
from studio.gui.widgets.cards import FigureCard, VerdictBanner
from studio.gui.widgets.chart import ChartCard
from studio.theme import GAP_PX, Theme

if TYPE_CHECKING:
    from matplotlib.backend_bases import MouseEvent

NARROW_PX = 800
"""Below this the figures stand in two rows."""

CLICK_PX = 18
"""How near a click must be to a point."""


def _estimated(scenario: Scenario) -> str:
    """What the scenario would do, at once and by closed forms: what a moved slider is answered with."""
    from simulation.estimate import estimate  # noqa: PLC0415 - the first window does not need it

    try:
        found = estimate(scenario)
    except BadInput:  # what stands in the fields cannot be rolled
        return "F5 simulates it"
    told = []
    if found.rollout_duration_s is not None:
        told.append(f"takes {duration_text(found.rollout_duration_s.value)}")
    if found.rollout_latency_p99_s is not None:
        told.append(f"p99 {latency_text(found.rollout_latency_p99_s.value)}")
    if found.hopeless:
        told = ["cannot meet the objectives"]
    return f"now by estimate: {', '.join(told)}" if told else "F5 simulates it"


class ComparePage(QWidget):
    """Shows a document's results; picks candidates; changes nothing else."""

    def __init__(self, document: Document, theme: Theme) -> None:
        super().__init__()
        self.setObjectName("page")
        self._document, self._theme = document, theme
        self._running = False
        self.banner = VerdictBanner()
        self.cards = {
            "duration": FigureCard("Rollout takes", "From the first take-out to the last return"),
            "pool": FigureCard("Fewest in the pool", "The fewest instances that serve at once"),
            "p99": FigureCard("p99 during rollout", "99 of 100 requests are answered faster"),
            "lost": FigureCard("Requests lost", "Rejected, timed out, refused, cut or in error"),
        }
        self.over_time = ChartCard(2, "Capacity and traffic, and latency, over time")
        self.trade_off = ChartCard(1, "Duration against p99 of all candidates", left_px=58)
        self.table = CandidateTable()
        self._points: list[Point] = []
        self._lay_out()
        self.table.picked.connect(document.select)
        self.trade_off.canvas.mpl_connect("button_press_event", self._on_click)
        document.compared.connect(self.show_results)
        document.selected.connect(self._show_selected)
        document.edited.connect(self._show_banner)
        self.show_results()

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(GAP_PX)
        layout.addWidget(self.banner)
        self._grid = QGridLayout()
        self._grid.setSpacing(GAP_PX)
        layout.addLayout(self._grid)
        self._place_cards(4)
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

    def _place_cards(self, columns: int) -> None:
        if self._grid.property("columns") == columns:
            return
        self._grid.setProperty("columns", columns)
        for place, card in enumerate(self.cards.values()):
            self._grid.addWidget(card, place // columns, place % columns)
        for column in range(4):
            self._grid.setColumnStretch(column, 1 if column < columns else 0)

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._place_cards(4 if event.size().width() >= NARROW_PX - 120 else 2)
        super().resizeEvent(event)

    def set_theme(self, theme: Theme) -> None:
        """Draws everything again in another theme."""
        self._theme = theme
        self.show_results()

    def set_running(self, running: bool) -> None:
        """Says in the banner whether results are still coming."""
        self._running = running
        self._show_banner()

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
        self._show_banner()
        result = document.selected_result
        with style.drawn_in_style():
            if result is not None and document.comparison is not None:
                self._show_figures(result)
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
        for card in self.cards.values():
            card.show_figure("–", " ", None)
        self._points = []

    def _show_banner(self) -> None:
        document = self._document
        comparison, selection = document.comparison, document.selection
        if comparison is None or selection is None:
            words = "Simulating the first runs…" if self._running else "Nothing is simulated yet"
            self.banner.say("", words, "", self._theme)
            return
        sentence = verdict_sentence(comparison, selection)
        if document.is_stale:
            self.banner.say(
                "", f"Before your changes: {sentence[0].lower()}{sentence[1:]}",
                _estimated(document.scenario), self._theme,
            )  # fmt: skip
            return
        result = comparison.candidates[selection]
        note = ""
        if self._running:
            note = "more runs are coming"
        elif selection == comparison.chosen:
            note = "fastest that does"
        elif result.verdict.answer == "undecided":
            note = "too few runs to tell"
        elif result.verdict.reasons:
            note = result.verdict.reasons[0]
        answer = result.verdict.answer
        glyph = {"meets": "✓", "fails": "✗"}.get(answer, "?")
        self.banner.say(answer, f"{glyph}  {sentence}", note, self._theme)

    def _show_figures(self, result: CandidateResult) -> None:
        metrics, objectives = result.metrics, self._document.comparison_objectives()
        duration, p99 = metrics["rollout_duration_s"], metrics["rollout_latency_p99_s"]
        self.cards["duration"].show_figure(
            duration_text(duration.mean),
            _under(duration, clock_text, _said(clock_text, objectives.duration)),
            _within(duration.mean, objectives.duration),
        )
        lowest = metrics["lowest_in_pool_count"]
        instances = self._document.compared_instances()
        share = metrics["lowest_capacity_fraction"].mean
        at_least = objectives.lowest_in_pool
        self.cards["pool"].show_figure(
            f"{count_text(lowest.mean)} of {instances}",
            f"{percent_text(share)} of capacity"
            + (f" · at least {at_least}" if at_least is not None else ""),
            None if at_least is None or lowest.mean is None else lowest.mean >= at_least,
        )
        self.cards["p99"].show_figure(
            latency_text(p99.mean),
            _under(p99, latency_text, _said(limit_text, objectives.latency_p99)),
            _within(p99.mean, objectives.latency_p99),
        )
        errors = metrics["rollout_error_fraction"]
        lost = sum(
            result.requests[name] for name in ("rejected", "timed_out", "refused", "cut", "error")
        )
        self.cards["lost"].show_figure(
            count_text(lost),
            f"of {count_text(result.requests['arrived'])}"
            + (
                f" · limit {percent_text(objectives.error_fraction)}"
                if objectives.error_fraction is not None
                else f" in {len(result.runs)} runs"
            ),
            _within(errors.mean, objectives.error_fraction),
        )

    def _on_click(self, event: MouseEvent) -> None:
        """Picks the nearest point."""
        axes = self.trade_off.axes[0]
        distances = []
        for point in self._points:
            x, y = axes.transData.transform((point.duration_s, point.risk))
            distances.append((((x - event.x) ** 2 + (y - event.y) ** 2) ** 0.5, point.index))
        if distances and min(distances)[0] <= CLICK_PX:
            self._document.select(min(distances)[1])


def _within(value: float | None, limit: float | None) -> bool | None:
    return None if value is None or limit is None else value <= limit


def _said(text: Callable[[float], str], limit: float | None) -> str | None:
    return None if limit is None else text(limit)


def _under(figure: Interval, text: Callable[[float | None], str], limit_words: str | None) -> str:
    """What single runs may do (5–95 %), and the limit."""
    said = between_text(text(figure.run_low), text(figure.run_high))
    return said if limit_words is None else f"{said} · limit {limit_words}"
