"""The changes with which the rollout would meet its objectives, below the headline.

The panel is there only while no candidate of the shown comparison meets the objectives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QVBoxLayout

from studio.gui.background.alternatives_job import alternatives_work
from studio.gui.background.held_cells import Hold
from studio.gui.background.jobs import Jobs
from studio.gui.document.commands import edit_values
from studio.gui.document.document import Document
from studio.gui.widgets.alternative_card import AlternativeCard
from studio.gui.widgets.elided import ElidedLabel
from studio.views.theme import GAP_PX, RADIUS_PX, Theme

if TYPE_CHECKING:
    from simulation.planning.alternatives.model import Alternative, Alternatives
    from simulation.study.compare import Comparison
    from studio.gui.background.job import Job

MOST_CARDS = 4
"""Maximum number of changes that have a card; the heading names the others."""


class AlternativesPanel(QFrame):
    """A heading, a button that starts the search, and a card for each change that was confirmed."""

    def __init__(
        self, document: Document, jobs: Jobs, theme: Theme, searches_at_once: Callable[[], bool]
    ) -> None:
        """Make the panel.

        Args:
            document: The document.
            jobs: What runs the search.
            theme: The colours.
            searches_at_once: Returns whether a search begins without being asked for.
        """
        super().__init__()
        self._document, self._jobs = document, jobs
        self._searches_at_once = searches_at_once
        self._hold = Hold()
        self._job: Job | None = None
        self._searched: Comparison | None = None
        self._found: Alternatives | None = None
        self.cards: list[AlternativeCard] = []
        self.setObjectName("alternatives")
        self.setAccessibleName("What would meet the objectives")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 8, 12, 10)
        layout.setSpacing(6)
        top = QHBoxLayout()
        self.heading = ElidedLabel()
        self.button = QPushButton("Find changes")
        self.button.setAccessibleName("Find changes")
        self.button.setToolTip("Search for the smallest changes with which a candidate would meet")
        self.button.clicked.connect(lambda _checked=False: self.search())
        top.addWidget(self.heading, 1)
        top.addWidget(self.button)
        layout.addLayout(top)
        self._row = QHBoxLayout()
        self._row.setSpacing(GAP_PX)
        layout.addLayout(self._row)
        for signal in (document.opened, document.edited, document.compared, jobs.started):
            signal.connect(self.follow)
        jobs.ended.connect(self.follow)
        self.set_theme(theme)
        self.follow()

    @property
    def alternatives(self) -> Alternatives | None:
        """The changes that were found for the shown comparison; None before."""
        return self._found if self._was_searched(self._document.comparison) else None

    def set_theme(self, theme: Theme) -> None:
        """Show the same content in another theme."""
        ground, ink = theme.answer_colours("fails")
        self.setStyleSheet(
            f"QFrame#alternatives {{ background: {ground}; border-radius: {RADIUS_PX}px; }}"
        )
        self.heading.setStyleSheet(f"color: {ink}; font-weight: 600;")

    def follow(self) -> None:
        """Show what belongs to the document now; a search for another comparison is cancelled."""
        self._hold.is_on = self._jobs.is_running
        comparison = self._hopeless_comparison()
        was_searched = self._was_searched(comparison)
        if self._job is not None and not was_searched:
            job, self._job = self._job, None
            job.cancel()
        self.setVisible(comparison is not None)
        if comparison is None:
            return
        if not was_searched and self._searches_at_once():
            self.search()
        self._show()

    def _was_searched(self, comparison: Comparison | None) -> bool:
        """Return whether the last search was for these runs; causes may have been found since."""
        searched = self._searched
        return searched is not None and comparison is not None and comparison.has_runs_of(searched)

    def _hopeless_comparison(self) -> Comparison | None:
        """Return the shown comparison where it is complete and none of its candidates meets."""
        document = self._document
        comparison = document.comparison
        if comparison is None or self._jobs.is_running or not document.is_simulated:
            return None
        # The search is imported only where a comparison is there, which has imported the most of it.
        from simulation.planning.alternatives.find import has_alternatives  # noqa: PLC0415

        return comparison if has_alternatives(comparison) else None

    def search(self) -> None:
        """Search for changes in the background."""
        comparison = self._hopeless_comparison()
        if comparison is None or self._job is not None:
            return
        self._searched, self._found = comparison, None
        work = alternatives_work(comparison, self._hold)
        self._job = job = self._jobs.run("What would meet", work, self._on_found)
        job.changed.connect(self._show)
        job.ended.connect(lambda: self._on_ended(job))
        self._show()

    def _on_found(self, found: object) -> None:
        self._found = cast("Alternatives", found)  # the type that the work publishes

    def _on_ended(self, job: Job) -> None:
        if job is self._job:
            self._job = None
            self._show()

    def _show(self) -> None:
        from studio.views.advice.alternatives_text import alternatives_sentence, more_text  # noqa: PLC0415

        found = self.alternatives
        offered = () if found is None else found.offered
        self.button.setVisible(found is None and self._job is None)
        if self._job is not None:
            words = f"searching for what would, {self._job.done} runs"
        elif found is None:
            words = "what would?"
        elif not offered:
            words = alternatives_sentence(found)
        else:
            words = f"each of these alone would{more_text(offered[MOST_CARDS:])}"
        self.heading.setText(f"✗  No candidate meets the objectives: {words}")
        self._show_cards(offered[:MOST_CARDS])

    def _show_cards(self, offered: tuple[Alternative, ...]) -> None:
        from studio.views.advice.alternatives_text import card_lines  # noqa: PLC0415

        texts = [card_lines(alternative) for alternative in offered]
        if [tuple(line.text() for line in card.lines) for card in self.cards] == texts:
            return
        for card in self.cards:
            self._row.removeWidget(card)
            card.hide()
            card.deleteLater()
        self.cards = []
        for alternative, lines in zip(offered, texts, strict=True):
            card = AlternativeCard(*lines)
            card.used.connect(lambda alternative=alternative: self._use(alternative))
            self._row.addWidget(card, 1)
            self.cards.append(card)

    def _use(self, alternative: Alternative) -> None:
        """Edit the scenario: the change, and the window that meets with it. One undo takes both back."""
        from studio.views.advice.alternatives_text import change_text, values_of  # noqa: PLC0415

        edit_values(self._document, change_text(alternative), values_of(alternative))
