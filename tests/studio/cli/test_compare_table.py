"""The table of a comparison on terminals of any size: whole figures, and no more lines than there is room for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Console

from studio.cli.answers.compare_answer import print_answer, table_so_far
from studio.views.candidate.control import CONTROL_NAME
from tests.helpers.comparisons import Stated, as_controls, stated_comparison

MANY = stated_comparison(
    [
        Stated("fails", 61.0 + number, meeting=0) if number % 3 else Stated(duration_s=20 + number)
        for number in range(144)
    ],
    windows=(1, 2, 3),
    starts=[1800.0 * number for number in range(48)],
)
"""144 candidates, each with results of its own."""


@pytest.mark.parametrize(
    ("width", "height", "rows"), [(80, 24, 12), (100, 40, 12), (80, 12, 7), (120, 6, 1)]
)
def test_the_table_so_far_leaves_room_for_the_progress(width: int, height: int, rows: int) -> None:
    console = Console(width=width, height=height, record=True, quiet=False, file=None)
    with console.capture() as capture:
        console.print(table_so_far(MANY, width, height - 1))
    lines = capture.get().splitlines()
    assert len(lines) < height  # the progress stands above
    assert len(lines) == 1 + rows + 1
    assert lines[-1] == f"and {144 - rows} more rows"
    assert not any("…" in line for line in lines)
    assert all(" in 10 of 10" in line for line in lines[1:-1])


@pytest.mark.parametrize(("all_rows", "shown"), [(False, 12), (True, 144)])
def test_the_answer_has_twelve_rows_unless_all_are_asked_for(all_rows: bool, shown: int) -> None:
    console = Console(width=100, height=40)
    with console.capture() as capture:
        print_answer(console, MANY, all_rows=all_rows)
    out = capture.get()
    assert sum(line.endswith(" of 10") for line in out.splitlines()) == shown
    assert ("more candidates: " in out) is not all_rows
    assert "Window 1, start 00:00:00 meets every objective in 10 of 10 runs, and is the" in out


def test_the_row_without_a_rollout_stands_below_the_candidates() -> None:
    comparison = stated_comparison([Stated(), Stated(duration_s=30.0)])
    comparison = replace(comparison, controls=as_controls(comparison.candidates[:1]))
    console = Console(width=100, height=40)
    with console.capture() as capture:
        print_answer(console, comparison)
    lines = [line.rstrip() for line in capture.get().splitlines()]
    row = next(number for number, line in enumerate(lines) if line.endswith(CONTROL_NAME))
    assert lines[row - 1].endswith("✓ meets in 10 of 10")
    assert lines[row].split()[:3] == ["–", "–", "–"]
