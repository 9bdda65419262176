"""The best cell of a map: the fastest that meets, named as the best only after runs on a fresh seed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from simulation.results.run_result import RunResult
from simulation.scenario.simulated_interval import SimulatedInterval
from simulation.study.cells import Cell, run_cells
from simulation.study.execution import Execution
from simulation.study.statistics.proportions import fresh_seed
from studio.views.candidate.best_cell import (
    CellConfirmation,
    best_cell,
    best_mark,
    confirm_cell,
    confirmation_text,
)
from studio.views.timing import CellFigures, frame_for
from tests.studio.views.test_timing import DAY, grid


def met(duration_s: float, p99_s: float, answer: str = "meets", runs: int = 60) -> CellFigures:
    return CellFigures(answer, "", duration_s, p99_s, runs, runs, 60)


@pytest.mark.parametrize(
    ("cells", "best"),
    [
        ({}, None),
        ({0: met(40, 1), 1: met(60, 0.5)}, 0),
        ({0: met(40, 1), 1: met(41, 0.5)}, 1),  # as fast, with the lower p99
        ({0: met(40, 1), 1: met(20, 0.1, "fails")}, 0),
        ({0: met(40, 1), 1: met(20, 0.1, "misses_anyway")}, 0),
        ({0: met(40, 1), 1: met(20, 0.1, runs=0)}, 0),  # an estimate confirms nothing
        ({0: met(40, 1, "undecided")}, None),
    ],
)
def test_the_fastest_that_meets_is_the_best(
    cells: dict[int, CellFigures], best: int | None
) -> None:
    assert best_cell(cells) == best


@pytest.mark.parametrize(
    ("confirmation", "words", "is_confirmed"),
    [
        (None, "best so far: 03:30, window 2", False),
        (
            CellConfirmation(3, 60, 60, "meets"),
            "best so far: 03:30, window 2",
            False,
        ),  # another cell's
        (CellConfirmation(22, 60, 60, "meets"), "best: 03:30, window 2", True),
        (CellConfirmation(22, 50, 60, "fails"), "best, not confirmed: 03:30, window 2", False),
    ],
)
def test_the_best_is_named_as_far_as_it_is_known(
    confirmation: CellConfirmation | None, words: str, is_confirmed: bool
) -> None:
    day = grid(DAY)
    assert day.number(7, 1) == 22
    mark = best_mark(day, {22: met(40, 1)}, confirmation)
    assert mark is not None
    assert (mark.cell, mark.words, mark.is_confirmed) == ((7, 1), words, is_confirmed)


def test_a_confirmation_simulates_the_cell_on_a_fresh_seed() -> None:
    day = grid(DAY)
    seeds: set[int] = set()
    runs: list[RunResult] = []

    def simulate(
        cells: Sequence[Cell], frame: SimulatedInterval
    ) -> Iterable[tuple[Cell, RunResult]]:
        seeds.update(cell.case.scenario.seed for cell in cells)
        for cell, run in run_cells(cells, frame, Execution(jobs=1)):
            runs.append(run)
            yield cell, run

    confirming, progress = confirm_cell(day, 22, frame_for(day), simulate), []
    try:
        while True:
            progress.append(next(confirming))
    except StopIteration as end:
        confirmation: CellConfirmation = end.value
    assert progress == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert seeds == {fresh_seed(day.scenario.seed, 1)}
    assert confirmation == CellConfirmation(22, 4, 4, "meets")
    screened = next(iter(run_cells([Cell(day.cases[22], 0)], frame_for(day), Execution(jobs=1))))[1]
    assert screened.metrics not in [run.metrics for run in runs]
    assert confirmation_text(confirmation) == (
        "Confirmed: it meets every objective in 4 of 4 runs on a fresh seed."
    )
