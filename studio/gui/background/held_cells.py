"""Cells that are simulated only while no comparison runs: the worker processes belong to the comparison."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from simulation.results.run_result import RunResult
from simulation.scenario.simulated_interval import SimulatedInterval
from simulation.study.cells import Cell, run_cells
from simulation.study.execution import Execution
from studio.gui.background.job import JobContext

_HOLD_POLL_S = 0.05
"""Interval at which held work asks whether it may go on, in seconds."""


class Hold:
    """A switch that makes the work wait while a study of the document runs, which goes first."""

    def __init__(self) -> None:
        self.is_on = False


class HeldCells:
    """Simulates cells in other processes, and waits while the job is paused or held."""

    def __init__(self, context: JobContext, hold: Hold) -> None:
        self._context, self._hold = context, hold
        self.execution = Execution(
            in_process=False, is_stopped=context.should_stop, is_paused=self._must_wait
        )

    def _must_wait(self) -> bool:
        return self._context.should_pause() or self._hold.is_on

    def simulate(
        self, cells: Sequence[Cell], frame: SimulatedInterval
    ) -> Iterator[tuple[Cell, RunResult]]:
        """Yield the cells with their results, as `run_cells` does."""
        while self._must_wait() and not self._context.should_stop():
            time.sleep(_HOLD_POLL_S)
        yield from run_cells(cells, frame, self.execution)
