"""The page *Trade-off*: the duration of each candidate against its risk.

The page shows the document's latest comparison, and the estimate of the edited scenario. The user
selects a candidate, or goes to its plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout

from simulation.study.candidate_result import CandidateResult
from simulation.study.compare import Comparison
from studio.charts import style
from studio.charts.of_comparison import figure_of
from studio.charts.trade_off import draw_trade_off
from studio.gui.document.document import Document
from studio.gui.pages.base import Page
from studio.gui.painted.trade_off_chart import ChartContent, EstimatedPoint, TradeOffChart
from studio.gui.widgets.elided import ElidedLabel
from studio.gui.widgets.segmented import Segmented
from studio.views.candidate.endings import stops_text
from studio.views.figures_text import (
    between_text,
    candidate_name,
    duration_text,
    verdict_text,
)
from studio.views.sentences import no_estimate_text, source_text
from studio.views.theme import LIGHT, Theme
from studio.views.trade_off import RISKS, Risk

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from studio.gui.background.jobs import Jobs
    from studio.gui.toolkit.actions import PageAction

EXPORT_PX = 420.0
"""Height of an exported chart, in pixels."""

_TIPS = {
    "p99": "99 of 100 requests are answered faster while the rollout goes on",
    "pool": "The lowest number of instances in the pool",
    "lost": "The share of requests that fail: rejected, timed out, refused, cut, or answered with an error",
    "exposure": "Requests that the new version answered before every instance had it",
}


def undecided_text(comparison: Comparison, names: Sequence[str]) -> str:
    """Return the sentence that names the undecided candidates; empty while runs are missing, or for none."""
    undecided_names = [
        style.shorten_name(name, 40)
        for name, result in zip(names, comparison.candidates, strict=True)
        if result.verdict.answer == "undecided" and not result.is_open
    ]
    if not undecided_names:
        return ""
    subject = (
        undecided_names[0]
        if len(undecided_names) == 1
        else f"{', '.join(undecided_names[:-1])} and {undecided_names[-1]}"
    )
    if len(undecided_names) > 3:
        subject = f"{len(undecided_names)} of {len(comparison.candidates)}"
    are = "is" if len(undecided_names) == 1 else "are"
    return f"{subject} {are} undecided."


def sentence_of(comparison: Comparison, undecided: str, risk: Risk) -> str:
    """Return a sentence about the points, the missing ones, and the undecided candidates."""
    runs = len(comparison.candidates[0].runs)
    total = comparison.planned.count
    count = f"{runs:,} of {total:,} runs so far" if runs < total else f"{runs:,} runs"
    sentences = [
        f"Every point is the mean of {count}, all on the same traffic; bars are 95 % intervals."
    ]
    if runs == 1:
        sentences = ["Every point is one run so far; an interval needs at least two."]
    missing = {
        candidate_name(comparison, index): result
        for index, result in enumerate(comparison.candidates)
        if result.metrics["rollout_duration_s"].mean is None
    }
    if 0 < len(missing) < len(comparison.candidates):
        subject, verb = f"{len(missing)} candidates", "have"
        if len(missing) == 1:
            subject, verb = next(iter(missing)), "has"
        stops = stops_text(missing.values())
        sentences.append(f"{subject} {verb} no point: the rollout {stops}.")
    if not risk.limit(comparison.scenario.objectives) and risk.metric != "exposure_requests":
        sentences.append(f"No objective limits the {risk.words}.")
    return " ".join([*sentences, undecided]).strip()


def point_text(name: str, result: CandidateResult, risk: Risk) -> str:
    """Return the sentence about one point."""
    duration, value = result.metrics["rollout_duration_s"], result.metrics[risk.metric]
    interval_text = ""
    if value.low is not None and value.high is not None:
        interval_text = f" ({between_text(risk.text(max(0.0, value.low)), risk.text(value.high))})"
    return (
        f"{name}: takes {duration_text(duration.mean)}, {risk.words} {risk.text(value.mean)}{interval_text}, "
        f"{verdict_text(result)}"
    )


class TradeOffPage(Page):
    """Duration against a risk; the user selects a candidate by its point."""

    def __init__(self, document: Document, jobs: Jobs, theme: Theme) -> None:
        super().__init__(document, jobs, theme)
        self.risk = Segmented(
            "Weighed against", [(key, risk.words, _TIPS[key]) for key, risk in RISKS.items()]
        )
        self.risk.select("p99")
        self.chart = TradeOffChart()
        self.sentence = QLabel()
        self._drawn_source: tuple[object, ...] = ()
        self._lay_out()
        self.setFocusProxy(self.chart)  # so that the chart's keys work as soon as the page is shown
        self.risk.picked.connect(self.show_document)
        self.chart.picked.connect(document.select)
        self.chart.plan_requested.connect(lambda: self.page_requested.emit("plan"))
        jobs.started.connect(self.follow)
        jobs.ended.connect(self.follow)

    def _lay_out(self) -> None:
        card = QFrame()
        card.setObjectName("card")
        inside = QVBoxLayout(card)
        inside.setContentsMargins(12, 8, 12, 10)
        inside.setSpacing(4)
        heading = QHBoxLayout()
        title = ElidedLabel("Duration against")
        title.setStyleSheet("font-weight: 600;")
        heading.addWidget(title, 1)
        heading.addWidget(self.risk)
        inside.addLayout(heading)
        inside.addWidget(self.chart, 1)
        beneath = QHBoxLayout()
        beneath.setSpacing(10)
        self.sentence.setObjectName("soft")
        self.sentence.setWordWrap(True)
        self.sentence.setTextFormat(Qt.TextFormat.PlainText)
        self.sentence.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self.sentence.setMinimumHeight(2 * self.sentence.fontMetrics().height() + 4)
        beneath.addWidget(self.sentence, 1)
        inside.addLayout(beneath)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(card)

    @property
    def chosen_risk(self) -> Risk:
        """The risk that the duration is weighed against."""
        return RISKS[self.risk.selected_key or "p99"]

    def show_document(self) -> None:
        document, risk = self.document, self.chosen_risk
        comparison = document.comparison
        if comparison is None:
            self._drawn_source = ()
            first = "Simulating the first runs…"
            self.chart.show_nothing(
                first if self.jobs.is_running else "Nothing is simulated yet", self.theme
            )
            self.sentence.setText("")
            return
        runs = document.runs_of_comparison()
        names = [
            candidate_name(comparison, index) if run is None else run.name
            for index, run in enumerate(runs)
        ]
        point_names = tuple(
            None if run is None else (name if run.is_named else name.lower())
            for run, name in zip(runs, names, strict=True)
        )
        drawn = (id(comparison), document.selection, risk.metric, point_names, self.theme.name)
        if drawn != self._drawn_source:  # an edit repaints only the overlay
            words = {
                index: point_text(name, result, risk)
                for index, (name, result) in enumerate(
                    zip(names, comparison.candidates, strict=True)
                )
            }
            content = ChartContent(comparison, document.selection, risk, point_names, words)
            self.chart.show_points(content, self.theme)
            self._drawn_source = drawn
        self.chart.show_estimate(self._estimated(risk), document.is_stale)
        self._show_sentence(comparison, names, risk)

    @property
    def _source(self) -> str:
        estimate = self.document.estimate
        return "closed forms" if estimate is None else source_text(estimate)

    def _no_estimate_reason(self, risk: Risk) -> str:
        """Return why no point is drawn for the edited scenario."""
        estimate = self.document.estimate
        for figure in () if estimate is None else ("rollout_duration_s", risk.metric):
            reason = estimate.why_none(figure) if estimate is not None else None
            if reason is not None:
                return no_estimate_text(reason)
        return f"{self._source} give no estimate of the edited scenario"

    def _estimated(self, risk: Risk) -> EstimatedPoint | None:
        """Return the estimated point of the edited scenario; None where there is none."""
        if not self.document.is_stale:
            return None
        estimate = self.document.estimate
        duration = None if estimate is None else estimate.rollout_duration_s
        value = getattr(estimate, risk.metric, None)
        if duration is None or value is None:
            return None
        return EstimatedPoint(f"window {self.document.scenario.window_count()}", duration, value)

    def _show_sentence(self, comparison: Comparison, names: Sequence[str], risk: Risk) -> None:
        if self.document.is_stale:
            text = "The pale points are from before your changes"
            text += (
                f"; the hollow one is the edited scenario by {self._source}."
                if self.chart.estimated is not None
                else f"; {self._no_estimate_reason(risk)}."
            )
            self.sentence.setText(text)
        else:
            self.sentence.setText(sentence_of(comparison, undecided_text(comparison, names), risk))

    def page_actions(self) -> list[PageAction]:
        return [
            (
                f"trade_off.{key}",
                f"Weigh against {risk.words}",
                "",
                partial(self.weigh_against, key),
            )
            for key, risk in RISKS.items()
        ]

    def weigh_against(self, key: str) -> None:
        """Show another risk."""
        self.risk.select(key)
        self.follow()

    def figures(self) -> dict[str, Figure]:
        """Return the trade-off chart of every risk, the chosen one first."""
        comparison = self.document.comparison
        if comparison is None:
            return {}
        chosen, index = self.chosen_risk, self.document.selection
        return {
            f"trade-off {risk.words}": figure_of(
                partial(_draw_first, comparison, index, risk), EXPORT_PX, LIGHT
            )
            for risk in sorted(RISKS.values(), key=lambda other: other is not chosen)
        }


def _draw_first(
    comparison: Comparison, index: int | None, risk: Risk, axes: Sequence[Axes]
) -> None:
    draw_trade_off(axes[0], comparison, index, LIGHT, risk)
