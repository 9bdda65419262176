"""The page *Timing*: when to roll and how wide, over a day of the traffic.

Enters: the scenario as it stands. Leaves: another start and window, as one edit. Cells are known at
once by closed forms, and then by simulated runs, in the background; a study of the document goes
first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from executor.base.errors import BadInput
from simulation.scenario.model import Scenario
from simulation.study.candidates import default_windows
from studio.charts.of_comparison import figure_of
from studio.charts.timing import draw_timing, draw_traffic
from studio.gui.background.job import Job, JobState
from studio.gui.background.jobs import Jobs
from studio.gui.background.timing_job import Hold, timing_work
from studio.gui.document.commands import edit_values
from studio.gui.document.document import Document, DocumentState
from studio.gui.pages.base import Page
from studio.gui.painted.timing_map import TimingMap
from studio.gui.widgets.elided import ElidedLabel
from studio.gui.widgets.segmented import Segmented
from studio.views.theme import LIGHT, Theme
from studio.views.timing import (
    CellFigures,
    CellGrid,
    base_of,
    estimate_cell,
    grid_of,
    sentence_of,
    why_no_grid,
)
from studio.views.timing_shades import FIGURES, shades_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from studio.gui.toolkit.actions import PageAction

SETTLES_MS = 120
"""So long after the last change the cells are worked out anew."""
_EXPORT_PX = 460.0


class TimingPage(Page):
    """A map of starts and windows.

    Attributes:
        grid: The cells; None where there is nothing to choose.
        found: What is known of them, by the number of their candidate.
        job: What works them out, None before and after.
        simulates: Whether runs follow the estimates.
    """

    def __init__(self, document: Document, jobs: Jobs, theme: Theme) -> None:
        super().__init__(document, jobs, theme)
        self.simulates = True
        self.figure = Segmented(
            "Coloured by", [(key, words, tip) for key, (words, tip) in FIGURES.items()]
        )
        self.figure.select("verdict")
        self.map = TimingMap(theme)
        self.readout = ElidedLabel(name="Cell")
        self.sentence = ElidedLabel()
        self.empty = QLabel()
        self.elsewhere = QPushButton("Show Trade-off")
        self.pause_button = QPushButton("Pause")
        self.progress = QLabel()
        self.grid: CellGrid | None = None
        self._state: DocumentState | None = None
        self._base: dict[str, object] | None = None
        self.found: dict[int, CellFigures] = {}
        self.job: Job | None = None
        self._hold = Hold()
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(SETTLES_MS)
        self._soon.timeout.connect(self._start)
        self._lay_out()
        self.setFocusProxy(self.map)  # so that its keys hold once the page is turned to
        self.figure.picked.connect(self._paint)
        self.map.pointed.connect(self._say_cell)
        self.map.chosen.connect(self._take)
        self.pause_button.clicked.connect(self.pause)
        jobs.started.connect(self._on_study)
        jobs.ended.connect(self._on_study)

    def _lay_out(self) -> None:
        card = QFrame()
        card.setObjectName("card")
        inside = QVBoxLayout(card)
        inside.setContentsMargins(12, 8, 12, 10)
        inside.setSpacing(4)
        heading = QHBoxLayout()
        heading.setSpacing(8)
        title = ElidedLabel("When to start, and how wide")
        title.setStyleSheet("font-weight: 600;")
        self.progress.setObjectName("soft")
        heading.addWidget(title, 1)
        heading.addWidget(self.progress)
        heading.addWidget(self.pause_button)
        heading.addWidget(self.figure)
        inside.addLayout(heading)
        self._stack = QStackedWidget()
        self._stack.addWidget(self.map)
        self._stack.addWidget(self._nothing())
        inside.addWidget(self._stack, 1)
        self.sentence.setObjectName("soft")
        inside.addWidget(self.readout)
        inside.addWidget(self.sentence)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(card)

    def _nothing(self) -> QWidget:
        """What stands here where there is nothing to choose, and where to go instead."""
        holder = QWidget()
        inside = QVBoxLayout(holder)
        inside.setContentsMargins(40, 0, 40, 0)
        self.empty.setObjectName("soft")
        self.empty.setWordWrap(True)
        self.empty.setTextFormat(Qt.TextFormat.PlainText)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.elsewhere.clicked.connect(lambda: self.page_requested.emit("trade_off"))
        inside.addStretch(1)
        inside.addWidget(self.empty)
        inside.addWidget(self.elsewhere, 0, Qt.AlignmentFlag.AlignHCenter)
        inside.addStretch(1)
        return holder

    # What is shown

    def follow(self) -> None:
        is_seen, is_at_it = self.isVisible(), self.job is not None
        if not is_seen and is_at_it and base_of(self.document.scenario) != self._base:
            self._end_job()  # nobody waits for what was
            self._base = None
        super().follow()

    def show_document(self) -> None:
        scenario = self.document.scenario
        if self.document.state is self._state and self.grid is not None:
            self._paint()  # other results, another run: the cells are as they were
            return
        self._state = self.document.state
        why = why_no_grid(scenario)
        if why is None:
            try:
                changed = self._take_grid(scenario)
            except BadInput as error:
                why = str(error)
        self._stack.setCurrentIndex(0 if why is None else 1)
        for widget in (self.figure, self.readout, self.sentence):
            widget.setVisible(why is None)
        if why is not None:
            self._end_job()
            self.grid, self._base, self.found = None, None, {}
            self.empty.setText(why)
            self._show_progress()
            return
        if changed:
            self._estimate_own()
            self._soon.start()
        self._paint()
        self._show_progress()

    def _take_grid(self, scenario: Scenario) -> bool:
        """The grid of the scenario; says whether its cells must be worked out anew."""
        base, before = base_of(scenario), self.grid
        windows = {*self.document.windows(), *default_windows(scenario), scenario.window_count()}
        same = base == self._base and before is not None
        if same and before is not None:
            windows |= set(before.windows)
        grid = grid_of(scenario, tuple(windows))
        if same and before is not None and grid.candidates == before.candidates:
            self.grid = grid
            return False
        known = (
            {before.candidates[k]: one for k, one in self.found.items()} if same and before else {}
        )
        self.grid, self._base = grid, base
        self.found = {
            number: known[one] for number, one in enumerate(grid.candidates) if one in known
        }
        self._end_job()
        return True

    def _estimate_own(self) -> None:
        """The scenario's own cell is known at once."""
        assert self.grid is not None
        own = self.grid.own()
        if own is not None and self.grid.number(*own) not in self.found:
            number = self.grid.number(*own)
            self.found[number] = estimate_cell(self.grid, number)

    def _paint(self) -> None:
        grid = self.grid
        if grid is None:
            return
        key = self.figure.selected_key or "verdict"
        self.map.show_map(grid, shades_of(grid, self.found, key, self.theme), key, self.theme)
        own = grid.own()
        row = own[1] if own is not None else len(grid.windows) - 1
        self.sentence.setText(sentence_of(grid, self.found, row))
        if self.map.cell is not None:
            self._say_cell(*self.map.cell)

    def cell_text(self, column: int, row: int) -> str:
        """What is known of a cell, in words."""
        grid = self.grid
        if grid is None:
            return ""
        found = self.found.get(grid.number(column, row))
        at = grid.clock(grid.begin_s + column * grid.step_s)
        return f"{at}, window {grid.windows[row]} – {found.words() if found else 'not yet known'}"

    def _say_cell(self, column: int, row: int) -> None:
        words = self.cell_text(column, row)
        self.readout.setText(words)
        self.map.setAccessibleDescription(words)

    # What a person does

    def _take(self, column: int, row: int) -> None:
        """The start and the window of a cell become the scenario's: one edit."""
        grid = self.grid
        if grid is None:
            return
        found = self.found.get(grid.number(column, row))
        if found is not None and found.answer == "out":
            self.reported.emit(self.cell_text(column, row))
            return
        window, start = grid.windows[row], grid.starts[column]
        at = grid.clock(grid.begin_s + column * grid.step_s)
        written = f"{start:g}s" if isinstance(start, float) else start
        if written == f"{at}:00":
            written = at  # as a person writes it
        values: dict[str, object] = {"clock.start": written, "rollout.window": window}
        edit_values(self.document, f"start {at}, window {window}", values)

    def pause(self) -> None:
        """Lets the simulation of cells rest, or go on; one that was ended before its end begins anew."""
        if self.job is not None and self.job.is_open:
            self.job.pause(self.job.state is JobState.RUNNING)
        elif self._was_cut_off:
            self._start()

    @property
    def _was_cut_off(self) -> bool:
        """Whether a person has cancelled the cells in the list of jobs, or they have failed."""
        return self.job is not None and self.job.state in (JobState.CANCELLED, JobState.FAILED)

    def colour_by(self, key: str) -> None:
        """Shows another figure."""
        self.figure.select(key)
        self._paint()

    def page_actions(self) -> list[PageAction]:
        by = [
            (f"timing.{key}", f"Colour by {words}", "", partial(self.colour_by, key))
            for key, (words, _tip) in FIGURES.items()
        ]
        return [*by, ("timing.pause", "Pause the cells, or go on", "", self.pause)]

    # What goes on in the background

    def _start(self) -> None:
        if self.grid is None:
            return
        self._end_job()
        self._hold.is_on = self.jobs.is_running
        job = self.jobs.run(
            f"Timing of {self.document.scenario.name}",
            timing_work(self.grid, self._hold, self.simulates),
        )
        job.published.connect(partial(self._on_landed, job))
        job.changed.connect(self._show_progress)
        job.ended.connect(self._show_progress)
        self.job = job
        self._show_progress()

    def _end_job(self) -> None:
        self._soon.stop()
        job, self.job = self.job, None
        if job is not None:
            job.cancel()

    def _on_landed(self, job: Job, found: object) -> None:
        if job is self.job and isinstance(found, Mapping):
            for number, one in found.items():
                before = self.found.get(number)
                if before is None or one.runs >= before.runs:
                    self.found[number] = one
            if self.isVisible():
                self._paint()
            else:
                self._is_behind = True

    def _on_study(self) -> None:
        self._hold.is_on = self.jobs.is_running
        self._show_progress()

    def _show_progress(self) -> None:
        job = self.job
        is_open = job is not None and job.is_open
        self.pause_button.setVisible(is_open or self._was_cut_off)
        self.progress.setVisible(is_open)
        if job is None or not is_open:
            self.pause_button.setText("Work out the rest")
            self.pause_button.setAccessibleName("Work out the rest of the map")
            return
        rests = job.state is JobState.PAUSED
        self.pause_button.setText("Go on" if rests else "Pause")
        self.pause_button.setAccessibleName(f"{self.pause_button.text()}: cells of the map")
        if job.total:
            words = f"{job.done:,} of {job.total:,} runs"
            waits = self._hold.is_on and not rests
            self.progress.setText(f"{words} · waits" if waits else words)
        else:
            self.progress.setText("estimates")

    def figures(self) -> dict[str, Figure]:
        grid = self.grid
        if grid is None or not self.found:
            return {}
        chosen = self.figure.selected_key or "verdict"

        def draw(key: str) -> Callable[[Sequence[Axes]], None]:
            def both(axes: Sequence[Axes]) -> None:
                draw_traffic(axes[0], grid, LIGHT)
                draw_timing(axes[1], grid, self.found, key, LIGHT)

            return both

        return {
            f"timing {key}": figure_of(draw(key), _EXPORT_PX, LIGHT, rows=2)
            for key in sorted(FIGURES, key=lambda one: one != chosen)
        }

    def has_pending_work(self) -> bool:
        return self._soon.isActive()

    def leave(self) -> None:
        self._end_job()
