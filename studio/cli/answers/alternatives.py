"""The changes that would meet, on the command line: their search, and the answer below a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from studio.cli import options as o

if TYPE_CHECKING:
    from rich.console import Console

    from simulation.planning.alternatives.find import Tried
    from simulation.planning.alternatives.model import Alternatives
    from simulation.scenario.model import Scenario
    from simulation.study.execution import Execution

SearchChanges = Annotated[
    bool,
    typer.Option(
        "--changes/--no-changes",
        help="Where no candidate meets the objectives, search for the smallest changes that would.",
    ),
]


def find_changes(
    scenario: Scenario,
    tried: Sequence[Tried],
    execution: Execution,
    *,
    path: Path,
    quiet: bool,
) -> Alternatives:
    """Search for changes that would meet, with progress on standard error when that is a terminal.

    Args:
        scenario: The study's scenario.
        tried: The candidates, none of which meets the objectives.
        execution: Where and how to simulate.
        path: The scenario's file, beside which results are stored.
        quiet: Whether no progress is shown.
    """
    from simulation.planning.alternatives.find import find_alternatives
    from simulation.study.store import Store

    with Store.beside(path) as store, o.report_search(quiet) as report_progress:
        alternatives = find_alternatives(
            scenario,
            tried,
            replace(execution, store=store),
            on_progress=lambda kind, done, total: report_progress(
                f"trying {kind.replace('_', ' ')}", done, total
            ),
        )
    assert alternatives is not None  # a command is stopped by an exception only
    return alternatives


def print_alternatives(console: Console, alternatives: Alternatives) -> None:
    """Print the changes as a sentence and a table."""
    from rich.table import Table

    from studio.views.advice.alternatives_text import (
        TABLE_HEADINGS,
        alternative_row,
        alternatives_sentence,
        budget_sentence,
        confirmation_sentence,
    )

    console.print()
    console.print(f"{alternatives_sentence(alternatives)}.", style="bold")
    if alternatives.offered:
        table = Table(box=None, pad_edge=False, header_style="dim")
        for heading in TABLE_HEADINGS:
            table.add_column(heading, justify="right" if heading in ("takes", "p99") else "left")
        for alternative in alternatives.offered:
            table.add_row(*alternative_row(alternative, alternatives.scenario))
        console.print(table)
        console.print(f"{confirmation_sentence(alternatives)}.", style="dim")
    if unreached := budget_sentence(alternatives):
        console.print(f"{unreached}.", style="dim")
    console.print()
