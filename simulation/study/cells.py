"""Cells: single cases in single replications, each observed until it alone has settled.

Where all cases of a replication are needed side by side, use rows (`simulation.study.rows`).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass

from simulation.results.run_result import RunResult
from simulation.scenario.simulated_interval import SimulatedInterval
from simulation.study.case import Case
from simulation.study.execution import DEFAULT_EXECUTION, Execution
from simulation.study.rows import run_parts
from simulation.study.running.shared_runs import share_runs
from simulation.study.running.work import Part, Work
from simulation.study.store import Archive


@dataclass(frozen=True)
class Cell:
    """One case in one replication."""

    case: Case
    replication: int


def run_cells(
    cells: Iterable[Cell], frame: SimulatedInterval, execution: Execution = DEFAULT_EXECUTION
) -> Generator[tuple[Cell, RunResult], None, None]:
    """Simulate cells and yield them as they are ready, in any order; stored cells are not simulated.

    Cells of cases that are equal in effect share a run. A result is that of the case alone: its
    ``metrics`` equal its ``alone``.

    Args:
        cells: All of one study.
        frame: The simulated time around the rollout, the same for all cells.
        execution: Where and how to simulate.

    Raises:
        BadInput: The simulated interval meets a gap or the end of a trace, or the cluster or the
            store cannot be used.
    """
    cells = tuple(cells)
    cases = tuple(dict.fromkeys(cell.case for cell in cells))
    shared = share_runs(cases)
    numbers = dict(zip(cases, shared.places, strict=True))
    work = Work(shared.cases, frame, execution.engine)
    archive = Archive(work, execution.store)
    left: dict[Part, list[Cell]] = {}
    for cell in cells:
        part = archive.part(cell.replication, (numbers[cell.case],))
        left.setdefault(part, []).append(cell)
    for part, results, _was_stored in run_parts(work, left, archive, execution):
        for cell in left[part]:
            for result in results.values():
                yield cell, result
