"""Cells: single candidates in single replications, each observed until it alone has settled.

Enters: cells. Leaves: a result for each, as they land. What needs all
candidates of a replication side by side is a row (`simulation.study.rows`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass

from simulation.results.run_result import EngineName, RunResult
from simulation.scenario.simulated_interval import SimulatedInterval
from simulation.study.case import Case
from simulation.study.rows import run_parts
from simulation.study.running.places import Place, StudyControl
from simulation.study.running.work import Part, Work
from simulation.study.store import Archive, Store


@dataclass(frozen=True)
class Cell:
    """One case in one replication."""

    case: Case
    replication: int


def run_cells(
    cells: Iterable[Cell],
    frame: SimulatedInterval,
    *,
    jobs: int | None = None,
    cluster: str | None = None,
    engine: EngineName = EngineName.AUTO,
    store: Store | None = None,
    apart: bool = False,
    stopped: Callable[[], bool] = lambda: False,
    paused: Callable[[], bool] = lambda: False,
) -> Generator[tuple[Cell, RunResult], None, None]:
    """The cells as they land, in any order; those that are stored are not simulated.

    A result is that of the candidate alone: its ``metrics`` are its ``alone``.

    Args:
        cells: All of one study.
        frame: The simulated time around the rollout, the same for all of them.
        jobs: How many processes, see `simulation.study.running.places.Place`.
        cluster: The address of a scheduler whose workers simulate, likewise.
        engine: Which engine simulates.
        store: Where results are kept and looked for.
        apart: Whether even one process is not this one.
        stopped: Asked ten times a second; ends the study.
        paused: Asked likewise; holds it up.

    Raises:
        BadInput: The simulated interval meets a gap or the end of a trace, the cluster cannot be used,
            or the store.
    """
    numbers: dict[Case, int] = {}
    numbered = [(numbers.setdefault(cell.case, len(numbers)), cell) for cell in cells]
    work = Work(tuple(numbers), frame, engine)
    archive = Archive(work, store)
    left: dict[Part, list[Cell]] = {}
    for number, cell in numbered:
        left.setdefault(archive.part(cell.replication, (number,)), []).append(cell)
    place, wishes = Place(jobs, cluster, apart), StudyControl(stopped, paused)
    for part, results, _was_stored in run_parts(work, left, archive, place, wishes):
        for cell in left[part]:
            for result in results.values():
                yield cell, result
