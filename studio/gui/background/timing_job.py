"""What the page *Timing* has worked out in the background: a map of cells, by closed forms and then by runs.

Enters: a grid, and whether something else goes first. Leaves: cells, as they are known.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from simulation.results.run_result import RunResult
from simulation.scenario.simulated_interval import SimulatedInterval
from simulation.study.cells import Cell, run_cells
from simulation.study.execution import Execution
from simulation.study.time_left import Throttle
from studio.gui.background.job import JobContext, Work
from studio.views.timing import (
    CellFigures,
    CellGrid,
    coarse_first,
    estimate_cell,
    frame_for,
    simulate_cells,
)

_LANDS_EVERY_S = 0.15
_LOOKS_S = 0.05


class Hold:
    """Whether the background shall wait: a study of the document goes first."""

    def __init__(self) -> None:
        self.is_on = False


def work_out(grid: CellGrid, hold: Hold, simulates: bool) -> Work:
    """What the background does: all cells by closed forms, then by runs; cells land as they are known."""

    def work(talk: JobContext) -> None:
        known: dict[int, CellFigures] = {}
        fresh: dict[int, CellFigures] = {}
        throttle = Throttle(_LANDS_EVERY_S)
        throttle.restart()  # the first result has several cells

        def land(number: int, found: CellFigures) -> None:
            known[number] = fresh[number] = found
            if throttle.is_due():
                talk.land(dict(fresh))
                fresh.clear()
                throttle.restart()

        frame = frame_for(grid)
        for number in coarse_first(grid, range(len(grid.cases))):
            talk.rest_while_paused()
            if talk.stopped():
                return
            land(number, estimate_cell(grid, number, frame))
        talk.land(dict(fresh))
        fresh.clear()
        if not simulates:
            return

        def simulate(
            cells: Sequence[Cell], frame: SimulatedInterval
        ) -> Iterator[tuple[Cell, RunResult]]:
            def waits() -> bool:
                return talk.paused() or hold.is_on

            execution = Execution(in_process=False, is_stopped=talk.stopped, is_paused=waits)
            while waits() and not talk.stopped():  # the processes are the study's
                time.sleep(_LOOKS_S)
            yield from run_cells(cells, frame, execution)

        for number, found, (done, total) in simulate_cells(grid, known, frame, simulate):
            talk.progress(done, total)
            land(number, found)
        if not talk.stopped():
            talk.land(dict(fresh))

    return work
