"""The background work of the page *Timing*: the cells of a map, by closed forms first and then by simulated runs.

The work publishes the figures of cells as they become known.
"""

from __future__ import annotations

from simulation.study.time_left import Throttle
from studio.gui.background.held_cells import HeldCells, Hold
from studio.gui.background.job import JobContext, Work
from studio.views.timing import (
    CellFigures,
    CellGrid,
    coarse_first,
    estimate_cell,
    frame_for,
    simulate_cells,
)

_PUBLISH_EVERY_S = 0.15
"""Minimum time between two published results, in seconds."""


def timing_work(grid: CellGrid, hold: Hold, simulates: bool) -> Work:
    """Return work that fills all cells by closed forms, then by simulated runs."""

    def work(context: JobContext) -> None:
        known: dict[int, CellFigures] = {}
        fresh: dict[int, CellFigures] = {}
        throttle = Throttle(_PUBLISH_EVERY_S)
        throttle.restart()  # the first result has several cells

        def add_figures(number: int, figures: CellFigures) -> None:
            known[number] = fresh[number] = figures
            if throttle.is_due():
                context.publish(dict(fresh))
                fresh.clear()
                throttle.restart()

        frame = frame_for(grid)
        for number in coarse_first(grid, range(len(grid.cases))):
            context.rest_while_paused()
            if context.should_stop():
                return
            add_figures(number, estimate_cell(grid, number, frame))
        context.publish(dict(fresh))
        fresh.clear()
        if not simulates:
            return

        held = HeldCells(context, hold)
        for number, figures, (done, total) in simulate_cells(grid, known, frame, held.simulate):
            context.report_progress(done, total)
            add_figures(number, figures)
        if not context.should_stop():
            context.publish(dict(fresh))

    return work
