"""What the page *Timing* has worked out in the background: a map of cells, by closed forms and then by runs.

Enters: a grid, and whether something else goes first. Leaves: cells, as they are known.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from simulation.results.run_result import RunResult
from simulation.scenario.model import Scenario
from simulation.scenario.simulated_interval import SimulatedInterval
from simulation.study.cells import Cell, run_cells
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


def timing_work(grid: CellGrid, hold: Hold, simulates: bool) -> Work:
    """What the background does: all cells by closed forms, then by runs; cells land as they are known."""

    def work(talk: JobContext) -> None:
        known: dict[int, CellFigures] = {}
        fresh: dict[int, CellFigures] = {}
        landed_at = time.monotonic()

        def land(number: int, found: CellFigures) -> None:
            nonlocal landed_at
            known[number] = fresh[number] = found
            if time.monotonic() - landed_at >= _LANDS_EVERY_S:
                talk.publish(dict(fresh))
                fresh.clear()
                landed_at = time.monotonic()

        frame = frame_for(grid)
        for number in coarse_first(grid, range(len(grid.candidates))):
            talk.rest_while_paused()
            if talk.should_stop():
                return
            land(number, estimate_cell(grid, number, frame))
        talk.publish(dict(fresh))
        fresh.clear()
        if not simulates:
            return

        def simulate(
            scenario: Scenario, cells: Sequence[Cell], frame: SimulatedInterval
        ) -> Iterator[tuple[Cell, RunResult]]:
            def waits() -> bool:
                return talk.should_pause() or hold.is_on

            while waits() and not talk.should_stop():  # the processes are the study's
                time.sleep(_LOOKS_S)
            yield from run_cells(
                scenario, cells, frame, apart=True, stopped=talk.should_stop, paused=waits
            )

        for number, found, (done, total) in simulate_cells(grid, known, frame, simulate):
            talk.report_progress(done, total)
            land(number, found)
        if not talk.should_stop():
            talk.publish(dict(fresh))

    return work
