"""The page *Replay*: one run of the selected candidate, moment by moment.

Tiles show the fleet, strips show traffic, capacity and latency, rows show the steps; one cursor
moves through all of them. While the edited scenario is not simulated yet, the strips show its
estimate by closed forms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QElapsedTimer, QEvent, Qt, QTimer
from PySide6.QtGui import QHideEvent, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from simulation.results.run_result import RunResult
from studio.gui.document.document import Document
from studio.gui.document.runs import KeptRun
from studio.gui.pages.base import Page
from studio.gui.pages.fleet_card import FleetCard
from studio.gui.painted.strips_view import StripsView
from studio.gui.toolkit.painting import claim_keys
from studio.gui.widgets.pinned import PinnedStory
from studio.gui.widgets.state_table import StateTable
from studio.gui.widgets.transport import TYPICAL, WORST, Transport
from studio.views.replay import Story, story_of, typical, worst_run
from studio.views.strips import Strip, strips_of, strips_of_estimate
from studio.views.theme import GAP_PX, LIGHT, Theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from studio.gui.background.jobs import Jobs
    from studio.gui.toolkit.actions import PageAction

_FRAME_MS = 16
_TILES_SHARE, _TILES_LEAST_PX = 0.30, 92
_ROUNDING_S = 1e-9


class ReplayPage(Page):
    """A page that shows one run over time; it changes nothing in the document."""

    def __init__(self, document: Document, jobs: Jobs, theme: Theme) -> None:
        super().__init__(document, jobs, theme)
        self.fleet, self.strips, self.table = FleetCard(), StripsView(), StateTable()
        self.pinned, self.transport = PinnedStory(), Transport()
        self.story: Story | None = None
        self._strips_of_run: list[Strip] = []
        self._run: RunResult | None = None
        self._shown_source: tuple[Story | None, str, str] | None = None
        self._strips_source: tuple[KeptRun | None, Story | None] = (None, None)
        self._run_choice: object = TYPICAL
        self._time_s = 0.0
        self._is_moved_by_user = False
        self._instance: int | None = None
        self._clock = QElapsedTimer()
        self._timer = QTimer(self)
        self._timer.setInterval(_FRAME_MS)
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        strips = QFrame()
        strips.setObjectName("card")
        inside = QVBoxLayout(strips)
        inside.setContentsMargins(1, 4, 1, 4)
        inside.addWidget(self.strips)
        picture = QWidget()
        above = QVBoxLayout(picture)
        above.setContentsMargins(0, 0, 0, 0)
        above.setSpacing(GAP_PX)
        above.addWidget(self.fleet)
        above.addWidget(strips, 1)
        table = QFrame()
        table.setObjectName("card")
        table_layout = QVBoxLayout(table)
        table_layout.setContentsMargins(6, 4, 6, 6)
        table_layout.addWidget(self.table)
        self._stack = QStackedWidget()
        self._stack.addWidget(picture)
        self._stack.addWidget(table)
        across = QHBoxLayout()
        across.setSpacing(GAP_PX)
        across.addWidget(self._stack, 1)
        across.addWidget(self.pinned)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addLayout(across, 1)
        layout.addWidget(self.transport)

    def _connect(self) -> None:
        self.document.opened.connect(self._reset)
        self._timer.timeout.connect(self._tick)
        self.transport.play_asked.connect(self.play_or_pause)
        self.transport.stepped.connect(self.step)
        self.transport.scrubbed.connect(self.go_to)
        self.transport.run_chosen.connect(self._on_run_chosen)
        self.transport.table_asked.connect(self.toggle_table)
        self.strips.moved.connect(self.go_to)
        self.pinned.moved.connect(self.go_to)
        self.pinned.closed.connect(self.unpin)
        for widget in (self.fleet.tiles, self.strips, self.table):
            widget.picked.connect(self.pin)

    def page_actions(self) -> list[PageAction]:
        """Return the page's actions: play, steps, events, the worst moment, the table."""
        return [
            ("replay.play", "Play or pause", "Space", self.play_or_pause),
            ("replay.back", "A step back", "Left", lambda: self.step(-1)),
            ("replay.forward", "A step forward", "Right", lambda: self.step(1)),
            ("replay.event_before", "The event before", "Shift+Left", lambda: self.next_event(-1)),
            ("replay.event_after", "The next event", "Shift+Right", lambda: self.next_event(1)),
            ("replay.worst", "The worst moment", "W", self.go_to_worst),
            ("replay.table", "The fleet as a table", "T", self.toggle_table),
        ]

    # Display

    @property
    def time_s(self) -> float:
        """The position of the cursor, in seconds."""
        return self._time_s

    @property
    def is_playing(self) -> bool:
        """Return whether the cursor moves by itself."""
        return self._timer.isActive()

    @property
    def end_s(self) -> float:
        """The end of the cursor's range, in seconds."""
        return self.story.until_s if self.story else 0.0

    def show_document(self) -> None:
        """Show the selected run, or the estimate in its place while the scenario is edited."""
        document = self.document
        run = document.current_run
        self._choose_run(run)
        is_estimate = document.is_stale or run is None
        estimate = document.estimate if is_estimate else None
        lines = strips_of_estimate(estimate, document.scenario.objectives) if estimate else []
        strips = lines or self._strips_of_run
        end_s = self._end_of(lines) if lines else self.end_s
        note = "before your changes" if document.is_stale and run is not None else ""
        if run is None:
            note = "Nothing is simulated yet"
        name = "" if run is None else run.name if run.is_named else run.name.lower()
        source = (self.story, f"{name}, {note}", self.theme.name)
        if (
            self._shown_source is None
            or source[0] is not self._shown_source[0]
            or source[1:] != self._shown_source[1:]
        ):
            self._shown_source = source  # while a slider moves, only the lines change
            self.fleet.show_story(self.story, self.theme, note, name)
            self.table.show_story(self.story)
            self.transport.show_end(self.end_s)
            self.transport.set_usable(self.story is not None)
            self._show_pinned()
        faded = (is_estimate and not lines, is_estimate)
        self.strips.show_strips(strips, self.story, self.theme, end_s=end_s, faded=faded)
        self._show_time()

    @staticmethod
    def _end_of(strips: list[Strip]) -> float:
        time_s = strips[0].lines[0].time_s
        step_s = float(np.median(np.diff(time_s))) if len(time_s) > 1 else 0.0
        return float(time_s[-1]) + step_s / 2

    def _choose_run(self, kept_run: KeptRun | None) -> None:
        """Choose which run is replayed. A run that the user has moved through stays while more results arrive."""
        if kept_run is None:
            self.story, self._run, self._strips_of_run, self._strips_source = (
                None,
                None,
                [],
                (None, None),
            )
            self.pause()
            self.transport.show_runs(0, 0, TYPICAL, 0, 0)
            return
        runs, index_by_choice = (
            kept_run.result.runs,
            {TYPICAL: typical(kept_run.result), WORST: worst_run(kept_run.result)},
        )
        indices = [index for index, run in enumerate(runs) if run is self._run]
        if self._is_moved_by_user and indices:
            index = indices[0]
        elif isinstance(self._run_choice, int):
            index = min(self._run_choice, len(runs) - 1)
        else:
            index = index_by_choice[str(self._run_choice)]
        if runs[index] is not self._run:
            self._run = runs[index]
            self.story = story_of(runs[index], kept_run.scenario)
            if not self._is_moved_by_user:
                self._time_s = self.story.worst.time_s
            self._time_s = min(self._time_s, self.end_s)
        assert self.story is not None
        choice = self._run_choice if index_by_choice.get(str(self._run_choice)) == index else index
        self.transport.show_runs(len(runs), index, choice, *index_by_choice.values())
        if self._strips_source[0] is not kept_run or self._strips_source[1] is not self.story:
            # while a slider moves, the lines of the run stay
            self._strips_source = (kept_run, self.story)
            self._strips_of_run = strips_of(
                self.story, kept_run.result, kept_run.scenario.objectives, kept_run.control
            )

    def _reset(self) -> None:
        """Reset the cursor and the choice of a run for another file."""
        self._is_moved_by_user, self._run_choice, self._time_s = False, TYPICAL, 0.0
        self._instance = None

    def _show_time(self) -> None:
        if self.story is None:
            self.fleet.show_time(None)
            self.strips.show_time(None)
            self.transport.show_time(0.0)
            return
        self.fleet.show_time(self._time_s)
        self.strips.show_time(self._time_s)
        self.transport.show_time(self._time_s)
        if self._stack.currentIndex() == 1:
            self.table.show_time(self._time_s)
        if self.pinned.isVisible():
            self.pinned.show_time(self._time_s)

    def resizeEvent(self, event: QResizeEvent) -> None:
        budget = max(_TILES_LEAST_PX, round(event.size().height() * _TILES_SHARE))
        self.fleet.tiles.set_budget(budget)
        super().resizeEvent(event)

    # The cursor

    def go_to(self, time_s: float) -> None:
        """Move the cursor to a moment, in seconds."""
        self._is_moved_by_user = True
        self._time_s = min(max(0.0, time_s), self.end_s)
        self._show_time()

    def step(self, way: int) -> None:
        """Move the cursor to the next change of any instance's state (``way`` 1), or to the previous one (-1)."""
        if self.story is not None:
            self._go_to_next([float(change_s) for change_s in self.story.changes_s], way)

    def next_event(self, way: int) -> None:
        """Move the cursor to the next event (``way`` 1), or to the previous one (-1)."""
        if self.story is not None:
            self._go_to_next([0.0, *(event.time_s for event in self.story.events), self.end_s], way)

    def go_to_worst(self) -> None:
        """Move the cursor to the worst moment of the run."""
        if self.story is not None:
            self.go_to(self.story.worst.time_s)

    def _go_to_next(self, moments_s: list[float], way: int) -> None:
        candidates_s = [
            moment_s for moment_s in moments_s if (moment_s - self._time_s) * way > _ROUNDING_S
        ]
        if candidates_s:
            self.pause()
            self.go_to(min(candidates_s) if way > 0 else max(candidates_s))
            self.strips.setAccessibleDescription(self.strips.readout_text(self._time_s))

    def play_or_pause(self) -> None:
        """Start or pause the cursor; at the end, start again from the beginning."""
        if self.is_playing:
            self.pause()
        elif self.story is not None:
            if self._time_s >= self.end_s - _ROUNDING_S:
                self._time_s = 0.0
            self._is_moved_by_user = True
            self._clock.start()
            self._timer.start()
            self.transport.show_playing(True)

    def pause(self) -> None:
        """Stop the cursor where it is."""
        self._timer.stop()
        self.transport.show_playing(False)

    def _tick(self) -> None:
        passed_s = self._clock.restart() / 1000
        self.go_to(self._time_s + passed_s * self.transport.speed_factor)
        if self._time_s >= self.end_s:
            self.pause()

    def _on_run_chosen(self, choice: object) -> None:
        """Show another run of the same candidate."""
        self._run_choice, self._is_moved_by_user = choice, False
        self.show_document()

    # The table, and one instance's story

    def toggle_table(self) -> None:
        """Show the fleet as a table instead of the picture, or the picture again."""
        is_table = self._stack.currentIndex() == 0
        self._stack.setCurrentIndex(1 if is_table else 0)
        self.transport.table.setChecked(is_table)
        self._show_time()
        (self.table if is_table else self.fleet.tiles).setFocus()

    def pin(self, instance: int) -> None:
        """Show the story of an instance; hide the story when that instance is pinned already."""
        self._instance = None if instance == self._instance else instance
        self._show_pinned()

    def unpin(self) -> None:
        """Hide the story of the pinned instance."""
        had_focus = self.pinned.list.hasFocus()
        self._instance = None
        self._show_pinned()
        if had_focus:
            self.fleet.tiles.setFocus()

    def _show_pinned(self) -> None:
        story, instance = self.story, self._instance
        if story is None or instance is None or instance >= story.count:
            self._instance = None
            self.pinned.hide()
        else:
            self.pinned.show_story(story, instance)
            self.pinned.show_time(self._time_s)
        self.fleet.tiles.show_pinned(self._instance)

    def event(self, event: QEvent) -> bool:
        if self._instance is not None and claim_keys(event, {Qt.Key.Key_Escape}):
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self._instance is not None:
            self.unpin()
        else:
            super().keyPressEvent(event)

    def hideEvent(self, event: QHideEvent) -> None:
        self.pause()
        super().hideEvent(event)

    def leave(self) -> None:
        """Stop the cursor."""
        self.pause()

    def figures(self) -> dict[str, Figure]:
        """Return charts of capacity and latency over time, and of the steps of the replayed run."""
        run = self.document.current_run
        if run is None or self.story is None:
            return {}
        from studio.charts.of_comparison import over_time_figure, steps_figure  # noqa: PLC0415 - slow

        place = next(
            k for k, candidate_run in enumerate(run.result.runs) if candidate_run is self._run
        )
        return {
            "over time": over_time_figure(run.result, run.scenario, LIGHT, run.control),
            "steps": steps_figure(run.result, run.scenario, LIGHT, place),
        }
