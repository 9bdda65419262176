"""The background work of the page *Timing*: the cells of a map, by closed forms first and then by simulated runs.

The work publishes the figures of cells as they become known.
"""

from __future__ import annotations

from collections.abc import Generator

from simulation.study.time_left import Throttle
from studio.gui.background.held_cells import HeldCells, Hold
from studio.gui.background.job import JobContext, Work
from studio.views.candidate.best_cell import CellConfirmation, best_cell, confirm_cell
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
    """Return work that fills all cells by closed forms, then by simulated runs, and confirms the best cell."""

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
        if context.should_stop():
            return
        context.publish(dict(fresh))
        best = best_cell(known)
        if best is not None:
            confirmation = _report_and_return(
                confirm_cell(grid, best, frame, held.simulate), context
            )
            if not context.should_stop():
                context.publish(confirmation)

    return work


def _report_and_return(
    confirming: Generator[tuple[int, int], None, CellConfirmation], context: JobContext
) -> CellConfirmation:
    """Report the progress of a confirmation; return what it shows."""
    while True:
        try:
            context.report_progress(*next(confirming))
        except StopIteration as end:
            confirmation: CellConfirmation = end.value
            return confirmation
