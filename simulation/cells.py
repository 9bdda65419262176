"""Cells: single candidates in single replications, each observed until it alone has settled.

Enters: a scenario and which cells of it. Leaves: a result for each, as they land. What needs all
candidates of a replication side by side is a row (`simulation.study`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from simulation.candidates import Candidate
from simulation.frame import Frame
from simulation.packed import pack
from simulation.results import RunResult
from simulation.run import Run
from simulation.scenario import Scenario
from simulation.store import Store, Stored, cell_key


@dataclass(frozen=True)
class Cell:
    """One candidate in one replication."""

    candidate: Candidate
    replication: int


def run_cells(
    scenario: Scenario,
    cells: Iterable[Cell],
    frame: Frame,
    *,
    jobs: int | None = None,
    cluster: str | None = None,
    engine: str = "auto",
    store: Store | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[Cell, RunResult]]:
    """The cells as they land, in any order; those that are stored are not simulated.

    A result is that of the candidate alone: its ``metrics`` are its ``alone``.

    Args:
        scenario: What is simulated; its seed is that of the cells.
        cells: Which ones.
        frame: The simulated time around the rollout, the same for all of them.
        jobs: How many processes.
        cluster: The address of a scheduler whose workers simulate.
        engine: One of `simulation.engines.ready.ENGINES`.
        store: Where results are kept and looked for.
        stopped: Asked often; ends the study.

    Raises:
        BadInput: The simulated interval meets a gap or the end of a trace.
    """
    keys: dict[Candidate, str] = {}
    stored: dict[Candidate, dict[int, Stored]] = {}
    for cell in cells:
        if stopped():
            return
        applied = cell.candidate.applied_to(scenario)
        if store is not None:
            if cell.candidate not in keys:
                keys[cell.candidate] = cell_key(applied, frame)
                stored[cell.candidate] = store.known(keys[cell.candidate], frame, engine)
            key = keys[cell.candidate]
            known = stored[cell.candidate].get(cell.replication)
            if known is not None and known.alone_end_s in known.ends_s:
                yield cell, store.result(key, cell.replication, known.alone_end_s)
                continue
        run = Run(applied, frame, cell.replication, engine)
        result = run.finish(run.settle())
        run.close()
        if store is not None:
            store.put(cell.replication, frame, [(key, result, pack(result))])
        yield cell, result
