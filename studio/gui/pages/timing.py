"""The page *Timing*: when to start a rollout, and with which window, over a day of the traffic.

Each cell of the map is a start and a window. Closed forms fill the cells at once; simulated runs
follow in the background, after a study of the document. A click on a cell makes its start and
window those of the scenario.
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
from studio.gui.background.held_cells import Hold
from studio.gui.background.job import Job, JobState
from studio.gui.background.jobs import Jobs
from studio.gui.background.timing_job import timing_work
from studio.gui.document.commands import edit_values
from studio.gui.document.document import Document, DocumentState
from studio.gui.pages.base import Page
from studio.gui.painted.timing_map import TimingMap
from studio.gui.widgets.elided import ElidedLabel
from studio.gui.widgets.segmented import Segmented
from studio.views.candidate.best_cell import CellConfirmation, best_mark, confirmation_text
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
"""The cells are computed this long after the last change, in milliseconds."""
_EXPORT_PX = 460.0


class TimingPage(Page):
    """A map of starts and windows.

    Attributes:
        grid: The cells; None where the scenario offers no choice.
        figures_by_cell: The figures of the cells that are known, by the number of their candidate.
        confirmation: What fresh runs of the best cell show; None before they are simulated.
        job: The job that computes the cells; None before and after.
        simulates: Whether simulated runs follow the estimates.
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
        self.figures_by_cell: dict[int, CellFigures] = {}
        self.confirmation: CellConfirmation | None = None
        self.job: Job | None = None
        self._hold = Hold()
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(SETTLES_MS)
        self._soon.timeout.connect(self._start)
        self._lay_out()
        self.setFocusProxy(self.map)  # so that the map's keys work as soon as the page is shown
        self.figure.picked.connect(self._paint)
        self.map.pointed.connect(self._show_cell)
        self.map.chosen.connect(self._on_cell_chosen)
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
        title = ElidedLabel("Start time and window")
        title.setStyleSheet("font-weight: 600;")
        self.progress.setObjectName("soft")
        heading.addWidget(title, 1)
        heading.addWidget(self.progress)
        heading.addWidget(self.pause_button)
        heading.addWidget(self.figure)
        inside.addLayout(heading)
        self._stack = QStackedWidget()
        self._stack.addWidget(self.map)
        self._stack.addWidget(self._make_empty_view())
        inside.addWidget(self._stack, 1)
        self.sentence.setObjectName("soft")
        inside.addWidget(self.readout)
        inside.addWidget(self.sentence)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(card)

    def _make_empty_view(self) -> QWidget:
        """Return the view for a scenario without a choice, with a button to another page."""
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

    # Display

    def follow(self) -> None:
        is_visible, has_job = self.isVisible(), self.job is not None
        if not is_visible and has_job and base_of(self.document.scenario) != self._base:
            self._end_job()  # its results belong to a scenario that is no longer shown
            self._base = None
        super().follow()

    def show_document(self) -> None:
        scenario = self.document.scenario
        if self.document.state is self._state and self.grid is not None:
            self._paint()  # other results, another run: the cells are as they were
            return
        self._state = self.document.state
        reason = why_no_grid(scenario)
        if reason is None:
            try:
                changed = self._set_grid(scenario)
            except BadInput as error:
                reason = str(error)
        self._stack.setCurrentIndex(0 if reason is None else 1)
        for widget in (self.figure, self.readout, self.sentence):
            widget.setVisible(reason is None)
        if reason is not None:
            self._end_job()
            self.grid, self._base, self.figures_by_cell = None, None, {}
            self.confirmation = None
            self.empty.setText(reason)
            self._show_progress()
            return
        if changed:
            self._estimate_own_cell()
            self._soon.start()
        self._paint()
        self._show_progress()

    def _set_grid(self, scenario: Scenario) -> bool:
        """Set the grid of the scenario; return whether its cells must be computed again."""
        base, before = base_of(scenario), self.grid
        windows = {
            *self.document.windows(),
            *default_windows(scenario).windows,
            scenario.window_count(),
        }
        has_same_base = base == self._base and before is not None
        if has_same_base and before is not None:
            windows |= set(before.windows)
        grid = grid_of(scenario, tuple(windows))
        if has_same_base and before is not None and grid.cases == before.cases:
            self.grid = grid
            return False
        known_figures = (
            {before.cases[k]: figures for k, figures in self.figures_by_cell.items()}
            if has_same_base and before
            else {}
        )
        self.grid, self._base, self.confirmation = grid, base, None
        self.figures_by_cell = {
            number: known_figures[case]
            for number, case in enumerate(grid.cases)
            if case in known_figures
        }
        self._end_job()
        return True

    def _estimate_own_cell(self) -> None:
        """Estimate the scenario's own cell at once, before the job begins."""
        assert self.grid is not None
        own = self.grid.own()
        if own is not None and self.grid.number(*own) not in self.figures_by_cell:
            number = self.grid.number(*own)
            self.figures_by_cell[number] = estimate_cell(self.grid, number)

    def _paint(self) -> None:
        grid = self.grid
        if grid is None:
            return
        key = self.figure.selected_key or "verdict"
        best = best_mark(grid, self.figures_by_cell, self.confirmation)
        shades = shades_of(grid, self.figures_by_cell, key, self.theme)
        self.map.show_map(grid, shades, key, self.theme, best)
        own = grid.own()
        row = own[1] if own is not None else len(grid.windows) - 1
        self.sentence.setText(sentence_of(grid, self.figures_by_cell, row))
        if self.map.cell is not None:
            self._show_cell(*self.map.cell)

    def cell_text(self, column: int, row: int) -> str:
        """Return what is known of a cell, as a sentence."""
        grid = self.grid
        if grid is None:
            return ""
        number = grid.number(column, row)
        figures = self.figures_by_cell.get(number)
        at = grid.clock(grid.begin_s + column * grid.step_s)
        words = figures.words() if figures else "not yet known"
        if self.confirmation is not None and self.confirmation.number == number:
            words += f" · {confirmation_text(self.confirmation)}"
        return f"{at}, window {grid.windows[row]} – {words}"

    def _show_cell(self, column: int, row: int) -> None:
        words = self.cell_text(column, row)
        self.readout.setText(words)
        self.map.setAccessibleDescription(words)

    # Actions of the user

    def _on_cell_chosen(self, column: int, row: int) -> None:
        """Make the start and the window of a cell those of the scenario, as one edit."""
        grid = self.grid
        if grid is None:
            return
        figures = self.figures_by_cell.get(grid.number(column, row))
        if figures is not None and figures.answer == "out":
            self.reported.emit(self.cell_text(column, row))
            return
        window, start = grid.windows[row], grid.starts[column]
        at = grid.clock(grid.begin_s + column * grid.step_s)
        start_value = f"{start:g}s" if isinstance(start, float) else start
        if start_value == f"{at}:00":
            start_value = at  # a time of day without seconds, as a user would type it
        values: dict[str, object] = {"clock.start": start_value, "rollout.window": window}
        edit_values(self.document, f"start {at}, window {window}", values)

    def pause(self) -> None:
        """Pause or resume the simulation of cells; start again when it was cancelled or failed."""
        if self.job is not None and self.job.is_open:
            self.job.pause(self.job.state is JobState.RUNNING)
        elif self._is_job_ended_early:
            self._start()

    @property
    def _is_job_ended_early(self) -> bool:
        """Return whether the user has cancelled the job, or it has failed."""
        return self.job is not None and self.job.state in (JobState.CANCELLED, JobState.FAILED)

    def colour_by(self, key: str) -> None:
        """Colour the cells by another figure."""
        self.figure.select(key)
        self._paint()

    def page_actions(self) -> list[PageAction]:
        colour_actions = [
            (f"timing.{key}", f"Colour by {words}", "", partial(self.colour_by, key))
            for key, (words, _tip) in FIGURES.items()
        ]
        return [*colour_actions, ("timing.pause", "Pause or resume the cells", "", self.pause)]

    # Background work

    def _start(self) -> None:
        if self.grid is None:
            return
        self._end_job()
        self._hold.is_on = self.jobs.is_running
        job = self.jobs.run(
            f"Timing of {self.document.scenario.name}",
            timing_work(self.grid, self._hold, self.simulates),
        )
        job.published.connect(partial(self._on_published, job))
        job.changed.connect(self._show_progress)
        job.ended.connect(self._show_progress)
        self.job = job
        self._show_progress()

    def _end_job(self) -> None:
        self._soon.stop()
        job, self.job = self.job, None
        if job is not None:
            job.cancel()

    def _on_published(self, job: Job, published: object) -> None:
        if job is not self.job:
            return
        if isinstance(published, CellConfirmation):
            self.confirmation = published
            self._paint()
        elif isinstance(published, Mapping):
            for number, figures in published.items():
                before = self.figures_by_cell.get(number)
                if before is None or figures.runs >= before.runs:
                    self.figures_by_cell[number] = figures
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
        self.pause_button.setVisible(is_open or self._is_job_ended_early)
        self.progress.setVisible(is_open)
        if job is None or not is_open:
            self.pause_button.setText("Compute the rest")
            self.pause_button.setAccessibleName("Compute the rest of the map")
            return
        is_paused = job.state is JobState.PAUSED
        self.pause_button.setText("Resume" if is_paused else "Pause")
        self.pause_button.setAccessibleName(f"{self.pause_button.text()}: cells of the map")
        if job.total:
            words = f"{job.done:,} of {job.total:,} runs"
            is_waiting = self._hold.is_on and not is_paused
            self.progress.setText(f"{words} · waits" if is_waiting else words)
        else:
            self.progress.setText("estimates")

    def figures(self) -> dict[str, Figure]:
        grid = self.grid
        if grid is None or not self.figures_by_cell:
            return {}
        chosen_key = self.figure.selected_key or "verdict"
        best = best_mark(grid, self.figures_by_cell, self.confirmation)

        def draw(key: str) -> Callable[[Sequence[Axes]], None]:
            def draw_both(axes: Sequence[Axes]) -> None:
                draw_traffic(axes[0], grid, LIGHT)
                draw_timing(axes[1], grid, self.figures_by_cell, key, LIGHT, best=best)

            return draw_both

        return {
            f"timing {key}": figure_of(draw(key), _EXPORT_PX, LIGHT, rows=2)
            for key in sorted(FIGURES, key=lambda key: key != chosen_key)
        }

    def has_pending_work(self) -> bool:
        return self._soon.isActive()

    def leave(self) -> None:
        self._end_job()
