"""How a command explains what fails: with stored results, and progress on standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from studio.cli import options as o

if TYPE_CHECKING:
    from simulation.study.compare import Comparison
    from simulation.study.execution import Execution


@contextmanager
def explaining(
    execution: Execution, path: Path, *, quiet: bool
) -> Iterator[tuple[Execution, Callable[[int, int], None]]]:
    """Yield how to simulate with the store of a scenario's file, and a function that shows progress.

    Raises:
        BadInput: The store cannot be used.
    """
    from simulation.study.store import Store

    with Store.beside(path) as store, o.report_search(quiet) as report_progress:
        yield (
            replace(execution, store=store),
            lambda done, total: report_progress("candidates explained", done, total),
        )


def explain_comparison(
    comparison: Comparison,
    execution: Execution,
    path: Path,
    *,
    quiet: bool,
    with_undecided: bool = False,
) -> Comparison:
    """Return the comparison with a diagnosis at each candidate that fails.

    Args:
        comparison: The comparison of all rows.
        execution: Where and how to simulate.
        path: The scenario's file, beside which results are stored.
        quiet: Whether no progress is shown.
        with_undecided: Whether undecided candidates get one, too.

    Raises:
        BadInput: The cluster or the store cannot be used.
    """
    from simulation.study.why.explain import explain_failures

    with explaining(execution, path, quiet=quiet) as (with_store, report_progress):
        return explain_failures(
            comparison, with_store, with_undecided=with_undecided, on_progress=report_progress
        )
