"""The page *Replay*: one run of the candidate that is looked at, moment by moment.

Tiles show the fleet, strips what came and what could be served, rows the steps; one cursor goes
through all of them. While the fields say something that is not simulated yet, the strips show the
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
    """Shows one run over time; changes nothing."""

    def __init__(self, document: Document, jobs: Jobs, theme: Theme) -> None:
        super().__init__(document, jobs, theme)
        self.fleet, self.strips, self.table = FleetCard(), StripsView(), StateTable()
        self.pinned, self.transport = PinnedStory(), Transport()
        self.story: Story | None = None
        self._strips_of_run: list[Strip] = []
        self._run: RunResult | None = None
        self._shown: tuple[Story | None, str, str] | None = None
        self._told: tuple[KeptRun | None, Story | None] = (None, None)
        self._chosen: object = TYPICAL
        self._time_s = 0.0
        self._is_touched = False
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
        within = QVBoxLayout(table)
        within.setContentsMargins(6, 4, 6, 6)
        within.addWidget(self.table)
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
        self.document.opened.connect(self._forget)
        self._timer.timeout.connect(self._tick)
        self.transport.play_asked.connect(self.play_or_pause)
        self.transport.stepped.connect(self.step)
        self.transport.scrubbed.connect(self.go_to)
        self.transport.run_chosen.connect(self._choose)
        self.transport.table_asked.connect(self.flip_table)
        self.strips.moved.connect(self.go_to)
        self.pinned.moved.connect(self.go_to)
        self.pinned.closed.connect(self.unpin)
        for widget in (self.fleet.tiles, self.strips, self.table):
            widget.picked.connect(self.pin)

    def page_actions(self) -> list[PageAction]:
        """What the keys do here."""
        return [
            ("replay.play", "Play or pause", "Space", self.play_or_pause),
            ("replay.back", "A step back", "Left", lambda: self.step(-1)),
            ("replay.forward", "A step forward", "Right", lambda: self.step(1)),
            ("replay.event_before", "The event before", "Shift+Left", lambda: self.next_event(-1)),
            ("replay.event_after", "The next event", "Shift+Right", lambda: self.next_event(1)),
            ("replay.worst", "The worst moment", "W", self.go_to_worst),
            ("replay.table", "The fleet as a table", "T", self.flip_table),
        ]

    # What it shows

    @property
    def time_s(self) -> float:
        """Where the cursor stands."""
        return self._time_s

    @property
    def is_playing(self) -> bool:
        """Whether the cursor moves by itself."""
        return self._timer.isActive()

    @property
    def end_s(self) -> float:
        """How far the cursor can go."""
        return self.story.until_s if self.story else 0.0

    def show_document(self) -> None:
        """Another run, other results of it, or an estimate in their place."""
        document = self.document
        run = document.current_run
        self._take_run(run)
        is_estimate = document.is_stale or run is None
        found = document.estimate if is_estimate else None
        lines = strips_of_estimate(found, document.scenario.objectives) if found else []
        strips = lines or self._strips_of_run
        end_s = self._end_of(lines) if lines else self.end_s
        note = "before your changes" if document.is_stale and run is not None else ""
        if run is None:
            note = "Nothing is simulated yet"
        shown = (self.story, note, self.theme.name)
        if self._shown is None or shown[0] is not self._shown[0] or shown[1:] != self._shown[1:]:
            self._shown = shown  # a slider on its way changes only the lines
            self.fleet.show_story(self.story, self.theme, note)
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

    def _take_run(self, kept: KeptRun | None) -> None:
        """Decides which run is replayed; one that a person is in stays as more of them land."""
        if kept is None:
            self.story, self._run, self._strips_of_run, self._told = None, None, [], (None, None)
            self.pause()
            self.transport.show_runs(0, 0, TYPICAL, 0, 0)
            return
        runs, of_kind = (
            kept.result.runs,
            {TYPICAL: typical(kept.result), WORST: worst_run(kept.result)},
        )
        places = [place for place, one in enumerate(runs) if one is self._run]
        if self._is_touched and places:
            place = places[0]
        elif isinstance(self._chosen, int):
            place = min(self._chosen, len(runs) - 1)
        else:
            place = of_kind[str(self._chosen)]
        if runs[place] is not self._run:
            self._run = runs[place]
            self.story = story_of(runs[place], kept.scenario)
            if not self._is_touched:
                self._time_s = self.story.worst.time_s
            self._time_s = min(self._time_s, self.end_s)
        assert self.story is not None
        chosen = self._chosen if of_kind.get(str(self._chosen)) == place else place
        self.transport.show_runs(len(runs), place, chosen, *of_kind.values())
        if self._told[0] is not kept or self._told[1] is not self.story:
            self._told = (kept, self.story)  # a slider on its way changes nothing of them
            self._strips_of_run = strips_of(self.story, kept.result, kept.scenario.objectives)

    def _forget(self) -> None:
        """Another file: nothing a person did in the last one counts."""
        self._is_touched, self._chosen, self._time_s = False, TYPICAL, 0.0
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

    # Where the cursor goes

    def go_to(self, time_s: float) -> None:
        """Moves the cursor to a moment."""
        self._is_touched = True
        self._time_s = min(max(0.0, time_s), self.end_s)
        self._show_time()

    def step(self, way: int) -> None:
        """To the next change of any instance's state, or the one before."""
        if self.story is not None:
            self._next([float(one) for one in self.story.changes_s], way)

    def next_event(self, way: int) -> None:
        """To the next event, or the one before."""
        if self.story is not None:
            self._next([0.0, *(one.time_s for one in self.story.events), self.end_s], way)

    def go_to_worst(self) -> None:
        """To the moment to look at first."""
        if self.story is not None:
            self.go_to(self.story.worst.time_s)

    def _next(self, moments: list[float], way: int) -> None:
        beyond = [one for one in moments if (one - self._time_s) * way > _ROUNDING_S]
        if beyond:
            self.pause()
            self.go_to(min(beyond) if way > 0 else max(beyond))
            self.strips.setAccessibleDescription(self.strips.readout_text(self._time_s))

    def play_or_pause(self) -> None:
        """Lets the cursor go by itself, from the beginning when it is at the end; or stops it."""
        if self.is_playing:
            self.pause()
        elif self.story is not None:
            if self._time_s >= self.end_s - _ROUNDING_S:
                self._time_s = 0.0
            self._is_touched = True
            self._clock.start()
            self._timer.start()
            self.transport.show_playing(True)

    def pause(self) -> None:
        """Stops the cursor where it is."""
        self._timer.stop()
        self.transport.show_playing(False)

    def _tick(self) -> None:
        passed_s = self._clock.restart() / 1000
        self.go_to(self._time_s + passed_s * self.transport.seconds_a_second)
        if self._time_s >= self.end_s:
            self.pause()

    def _choose(self, chosen: object) -> None:
        """Another run of the same candidate."""
        self._chosen, self._is_touched = chosen, False
        self.show_document()

    # The table, and one instance's story

    def flip_table(self) -> None:
        """The fleet as a table in place of the picture, or the picture again."""
        is_table = self._stack.currentIndex() == 0
        self._stack.setCurrentIndex(1 if is_table else 0)
        self.transport.table.setChecked(is_table)
        self._show_time()
        (self.table if is_table else self.fleet.tiles).setFocus()

    def pin(self, instance: int) -> None:
        """Tells what an instance did; what is pinned already is put away."""
        self._instance = None if instance == self._instance else instance
        self._show_pinned()

    def unpin(self) -> None:
        """Puts the story of an instance away."""
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
        """Nothing moves any more."""
        self.pause()

    def figures(self) -> dict[str, Figure]:
        """Capacity and latency over time, and the steps of the run that is replayed."""
        run = self.document.current_run
        if run is None or self.story is None:
            return {}
        from studio.charts.of_comparison import over_time_figure, steps_figure  # noqa: PLC0415 - slow

        place = next(k for k, one in enumerate(run.result.runs) if one is self._run)
        return {
            "over time": over_time_figure(run.result, run.scenario, LIGHT),
            "steps": steps_figure(run.result, run.scenario, LIGHT, place),
        }
