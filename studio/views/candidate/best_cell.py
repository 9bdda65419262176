"""The best start and window of a map, and its confirmation by fresh runs.

The best of many cells looks better than it is, because chance helped to choose it. It is called the best only
after runs on a fresh seed, which chose nothing, have shown that it meets the objectives, as `rollcast plan` does.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace

from simulation.scenario.simulated_interval import SimulatedInterval
from simulation.study.cells import Cell, run_cells
from simulation.study.statistics.number_of_runs import planned_runs
from simulation.study.statistics.proportions import Answer, answer_of, fresh_seed
from simulation.study.summary.speed import AS_FAST
from simulation.study.verdict import broken_objectives
from studio.views.timing import CellFigures, CellGrid, Simulate


@dataclass(frozen=True)
class CellConfirmation:
    """The runs of one cell on a fresh seed.

    Attributes:
        number: The cell's number.
        meeting: Number of these runs that meet every objective.
        runs: Number of these runs.
        answer: Whether they show that the cell meets the objectives.
    """

    number: int
    meeting: int
    runs: int
    answer: Answer


def best_cell(figures_by_cell: Mapping[int, CellFigures]) -> int | None:
    """Return the number of the fastest cell that meets the objectives; None where none does.

    Of cells that are as fast, within `simulation.study.summary.speed.AS_FAST`, the one with the lowest p99 counts.
    """
    meeting = {
        number: figures
        for number, figures in figures_by_cell.items()
        if figures.is_confirmed and figures.answer == "meets" and figures.duration_s is not None
    }
    if not meeting:
        return None
    fastest_s = min(figures.duration_s or 0.0 for figures in meeting.values())
    return min(
        (figures.p99_s or 0.0, figures.duration_s, number)
        for number, figures in meeting.items()
        if (figures.duration_s or 0.0) <= (1 + AS_FAST) * fastest_s
    )[2]


@dataclass(frozen=True)
class BestMark:
    """The ring around the best cell, and its label.

    Attributes:
        cell: The cell, as the index of its start and of its window.
        words: The label.
        is_confirmed: Whether fresh runs confirm the cell; else the ring is dashed.
    """

    cell: tuple[int, int]
    words: str
    is_confirmed: bool


def best_mark(
    grid: CellGrid,
    figures_by_cell: Mapping[int, CellFigures],
    confirmation: CellConfirmation | None,
) -> BestMark | None:
    """Return the mark of the best cell; None where no cell meets the objectives.

    Args:
        grid: The cells.
        figures_by_cell: The figures of the cells, by number.
        confirmation: The confirmation of a cell; None before there is one.
    """
    number = best_cell(figures_by_cell)
    if number is None:
        return None
    cell = grid.place(number)
    at = grid.clock(grid.begin_s + cell[0] * grid.step_s)
    is_tried = confirmation is not None and confirmation.number == number
    is_confirmed = is_tried and confirmation is not None and confirmation.answer == "meets"
    rank = "best" if is_confirmed else "best, not confirmed" if is_tried else "best so far"
    return BestMark(cell, f"{rank}: {at}, window {grid.windows[cell[1]]}", is_confirmed)


def confirmation_text(confirmation: CellConfirmation) -> str:
    """Return what the fresh runs of the best cell show, as a sentence."""
    runs = f"{confirmation.meeting} of {confirmation.runs} runs on a fresh seed"
    if confirmation.answer == "meets":
        return f"Confirmed: it meets every objective in {runs}."
    return f"Not confirmed: it meets every objective in {runs} only."


def confirm_cell(
    grid: CellGrid,
    number: int,
    frame: SimulatedInterval,
    simulate: Simulate = run_cells,
) -> Generator[tuple[int, int], None, CellConfirmation]:
    """Simulate a cell on a fresh seed; yield the progress, and return what the runs show.

    Args:
        grid: The cells.
        number: The cell's number.
        frame: The simulated time, see `studio.views.timing.frame_for`.
        simulate: Runs cells.

    Raises:
        BadInput: The cell cannot be simulated.
    """
    scenario, case = grid.scenario, grid.cases[number]
    seed = fresh_seed(scenario.seed, 1)
    fresh = replace(case, scenario=case.scenario.model_copy(update={"seed": seed}))
    planned, meeting = planned_runs(scenario, grid.cases).count, 0
    cells = [Cell(fresh, replication) for replication in range(planned)]
    for done, (cell, run) in enumerate(simulate(cells, frame), 1):
        meeting += not broken_objectives(cell.case.scenario, run)
        yield done, planned
    objectives = scenario.objectives
    answer = answer_of(meeting, planned, objectives.in_runs, objectives.confidence)
    return CellConfirmation(number, meeting, planned, answer)
