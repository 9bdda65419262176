"""The headline above every page: the verdict as a sentence, and four figures under it.

While the edited scenario is not simulated yet, both show the estimate by closed forms, which takes
no time; simulated results replace it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from simulation.scenario.model import Scenario
from studio.gui.background.jobs import Jobs
from studio.gui.document.document import Document
from studio.gui.widgets.cards import FigureCard, VerdictBanner
from studio.views.facts import is_within
from studio.views.figures_text import (
    ANSWER_GLYPHS,
    NOTHING,
    clock_text,
    duration_text,
    latency_text,
    limit_text,
    percent_text,
    result_sentence,
)
from studio.views.headline import FOUR, four_figures, limit_words, pool_figure
from studio.views.sentences import (
    estimate_sentence,
    no_estimate_text,
    note_lines,
    qualifying_lines,
    source_text,
)
from studio.views.theme import GAP_PX, Theme
from studio.views.why.diagnosis_text import why_text

if TYPE_CHECKING:
    from simulation.estimates.estimate import Estimate, Range
    from simulation.study.candidate_result import CandidateResult

TWO_ROWS_BELOW_PX = 600

_LOOKS = {True: "good", False: "bad", None: "soft"}

LONGEST_NAME = 40
"""Maximum length of a run's name in the sentence; the list of runs has the whole name."""


class Headline(QWidget):
    """The verdict and the figures of a document; the headline changes nothing."""

    def __init__(self, document: Document, jobs: Jobs, theme: Theme) -> None:
        super().__init__()
        self._document, self._jobs, self._theme = document, jobs, theme
        self.banner = VerdictBanner()
        keys = ("duration", "pool", "p99", "lost")
        self.cards = {
            key: FigureCard(name, tip) for key, (name, tip) in zip(keys, FOUR, strict=True)
        }
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(GAP_PX)
        layout.addWidget(self.banner)
        self._grid = QGridLayout()
        self._grid.setSpacing(GAP_PX)
        layout.addLayout(self._grid)
        self._columns = 0
        self._place_cards(4)
        for signal in (document.opened, document.edited, document.compared, document.selected):
            signal.connect(self.show_document)
        document.listed.connect(self.show_document)
        document.answered.connect(self.show_document)
        for signal in (jobs.started, jobs.ended):
            signal.connect(self.show_document)
        self.show_document()

    def set_theme(self, theme: Theme) -> None:
        """Show the same content in another theme."""
        self._theme = theme
        self.show_document()

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._place_cards(4 if event.size().width() >= TWO_ROWS_BELOW_PX else 2)
        super().resizeEvent(event)

    def _place_cards(self, columns: int) -> None:
        if self._columns == columns:
            return
        self._columns = columns
        for place, card in enumerate(self.cards.values()):
            self._grid.addWidget(card, place // columns, place % columns)
        for column in range(4):
            self._grid.setColumnStretch(column, 1 if column < columns else 0)

    def show_document(self) -> None:
        """Show the present state of the document."""
        document = self._document
        if document.awaits_answer:
            return
        run, estimate = document.current_run, None
        if run is None or document.is_stale:
            estimate = document.estimate
        if estimate is not None:
            self._show_estimate(estimate)
        elif run is None or document.is_stale:
            message = (
                "Simulating the first runs…" if self._jobs.is_running else "Nothing is simulated"
            )
            self.banner.show_verdict("", message, "", self._theme)
            for card in self.cards.values():
                card.show_figure("–", " ", "soft")
        else:
            self._show_verdict(run.name, run.result)
            self._show_figures(run.result, run.scenario)

    def _show_verdict(self, name: str, result: CandidateResult) -> None:
        verdict, comparison = result.verdict, self._document.comparison
        note = ""
        chosen = None if comparison is None else comparison.chosen
        if self._jobs.is_running:
            note = "more runs are coming"
        elif self._document.scenario.rollout is None:
            pass
        elif chosen is not None and chosen == self._document.selection:
            note = "fastest that meets the objectives"
        elif verdict.answer == "undecided":
            note = "these runs neither show nor refute that it meets"
        elif result.diagnosis is not None:
            note = why_text(result.scenario, result.diagnosis)
        elif verdict.reasons:
            note = verdict.reasons[0]
        meets = verdict.answer == "meets" and not self._jobs.is_running
        lines = (note_lines if meets else qualifying_lines)(self._document.scenario)
        if lines:
            reason = [] if meets or not note else [note]
            note = " · ".join([*reason, *(f"! {line}" for line in lines)])
        words = result_sentence(shorten_name(name), result)
        if self._document.shows_other_candidate:
            words = f"Looked at: {words}"
        sentence = f"{ANSWER_GLYPHS[verdict.answer]}  {words}"
        self.banner.show_verdict(verdict.answer, sentence, note, self._theme)

    def _show_figures(self, result: CandidateResult, scenario: Scenario) -> None:
        instance_count = sum(figure.instance_count for figure in scenario.services.values())
        figures = four_figures(result, scenario.objectives, instance_count)
        has_control = any(figure.control for figure in figures)
        for card, figure in zip(self.cards.values(), figures, strict=True):
            card.show_figure(figure.figure, figure.under, figure.look)
            card.show_control(figure.control, is_shown=has_control)
            card.setToolTip(figure.tip)

    def _show_pool(self, lowest: float | None, capacity_fraction: float | None) -> None:
        scenario = self._document.scenario
        instance_count = sum(service.instance_count for service in scenario.services.values())
        least = scenario.objectives.lowest_in_pool
        is_within_limit = is_within("lowest_in_pool_count", lowest, least)
        figure = pool_figure(
            lowest,
            capacity_fraction,
            least,
            instance_count,
            is_within_limit,
            service_count=len(scenario.services),
        )
        self.cards["pool"].show_figure(figure.figure, figure.under, figure.look)

    def _show_estimate(self, estimate: Estimate) -> None:
        """Show the estimate of the edited scenario, the immediate answer to a moved slider."""
        scenario = self._document.scenario
        objectives = scenario.objectives
        answer, sentence = estimate_sentence(estimate, scenario)
        note = f"by {source_text(estimate)} · " + (
            "simulating…" if self._jobs.is_running else "F5 simulates"
        )
        if estimate.is_overloaded:
            note = "nothing is simulated"
        self.banner.show_verdict(answer, f"≈  {sentence}", note, self._theme)
        for card, metric, text, limit, limit_text_of_card in (
            ("duration", "rollout_duration_s", duration_text, objectives.duration,
             limit_words(clock_text, objectives.duration)),
            ("p99", "rollout_latency_p99_s", latency_text, objectives.latency_p99,
             limit_words(limit_text, objectives.latency_p99)),
            ("lost", "rollout_error_fraction", percent_text, objectives.error_fraction,
             limit_words(percent_text, objectives.error_fraction)),
        ):  # fmt: skip
            figure: Range | None = getattr(estimate, metric)
            if figure is None:
                reason = estimate.why_none(metric)
                reason_text = "no estimate" if reason is None else no_estimate_text(reason)
                if estimate.runs:
                    reason_text = f"none by {source_text(estimate)}"
                self.cards[card].show_figure(NOTHING, reason_text, "soft")
            else:
                look = _LOOKS[is_within(metric, figure.value, limit)]
                source = source_text(estimate) if estimate.runs else "estimate"
                under = f"{source} · limit {limit_text_of_card}" if limit is not None else source
                about = f"≈ {text(figure.value).removeprefix('≈ ')}"
                self.cards[card].show_figure(about, under, look)
        lowest, share = estimate.lowest_in_pool_count, estimate.lowest_capacity_fraction
        self._show_pool(lowest.value if lowest else None, share.value if share else None)


def shorten_name(name: str) -> str:
    """Return a name, shortened to `LONGEST_NAME` characters."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1].rstrip()}…"
