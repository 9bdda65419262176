"""Tables: on the terminal by rich, in files by pandas."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from executor.base.errors import BadInput
from executor.base.extras import require_extra
from simulation.study.compare import Comparison
from simulation.study.rows import Row
from simulation.study.summary.groups import CandidateGroup
from studio.views.answers.rows_text import control_rows, group_row
from studio.views.figures_text import (
    MISSES_ANYWAY,
    TABLE_HEADINGS,
    between_text,
    candidate_name,
    metric_text,
    range_text,
    shown_columns,
)

if TYPE_CHECKING:
    import pandas as pd

_ANSWER_STYLES = {"meets": "green", "fails": "red", "undecided": "yellow", MISSES_ANYWAY: "magenta"}


_MAY_BE_LEFT_OUT = ("failed", "fewest", "errors")
"""The columns that a narrow terminal does not show, in this order."""

_GAP = 2
"""Width of the space between two columns."""


def answer_console() -> Console:
    """Return a console on standard output; wide where that is no terminal, so that a file holds whole figures.

    Texts of a scenario are printed unchanged: ``[b]`` and ``:x:`` are no markup here.
    """
    width = None if sys.stdout.isatty() else 160
    return Console(highlight=False, markup=False, emoji=False, width=width)


def comparison_table(
    comparison: Comparison,
    groups: Sequence[CandidateGroup],
    width: int,
    *,
    as_difference: bool = False,
    all_starts: bool = False,
) -> Table:
    """Return a table with a row for each group, the chosen one in bold; settings only where they differ.

    Args:
        comparison: The comparison.
        groups: The rows: candidates with equal results.
        width: Width of the terminal; where it is too narrow, the least important figures are left out.
        as_difference: Whether p99 and losses are shown as differences to the time without a rollout.
        all_starts: Whether a row without a rollout follows for each start; else for the first row's.
    """
    rows = [group_row(comparison, group, as_difference=as_difference) for group in groups]
    controls = control_rows(comparison, groups if all_starts else groups[:1])
    shown = _columns_that_fit(shown_columns(comparison.candidates), [*rows, *controls], width)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in shown:
        heading = TABLE_HEADINGS[column]
        is_text = heading in ("start", "verdict")
        table.add_column(heading, justify="left" if is_text else "right", no_wrap=True)
    for group, row in zip(groups, rows, strict=True):
        answer = comparison.candidates[group.first].verdict.answer
        verdict = Text(row[-1], style=_ANSWER_STYLES[answer])
        is_chosen = comparison.chosen in group.indices
        cells = [row[column] for column in shown[:-1]]
        table.add_row(*cells, verdict, style="bold" if is_chosen else "")
    for row in controls:
        table.add_row(*(row[column] for column in shown), style="dim")
    return table


def _columns_that_fit(
    columns: Sequence[int], rows: Sequence[Sequence[str]], width: int
) -> list[int]:
    """Return the columns without those of `_MAY_BE_LEFT_OUT` for which a terminal is too narrow.

    A column that is cut off would show another number.
    """
    shown = list(columns)
    for heading in _MAY_BE_LEFT_OUT:
        widths = [
            max(len(TABLE_HEADINGS[column]), *(len(row[column]) for row in rows))
            for column in shown
        ]
        if sum(widths) + _GAP * (len(shown) - 1) > width:
            shown.remove(TABLE_HEADINGS.index(heading))
    return shown


def metrics_table(comparison: Comparison, index: int) -> Table:
    """Return a table with a row for each metric of a candidate: mean, its interval, range of single runs."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("figure", "mean", "95 % interval of the mean", "5–95 % of single runs"):
        table.add_column(heading, justify="left" if heading == "figure" else "right")
    for name, figure in comparison.candidates[index].metrics.items():
        if figure.mean is None:
            continue
        between = "–"
        if figure.low is not None and figure.high is not None:
            low, high = metric_text(name, max(0.0, figure.low)), metric_text(name, figure.high)
            between = between_text(low, high)
        table.add_row(name, metric_text(name, figure.mean), between, range_text(name, figure))
    return table


def text_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Return a table of texts; the first column is words, the others are numbers."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if place else "left")
    for row in rows:
        table.add_row(*row)
    return table


def figures_frame(comparison: Comparison) -> pd.DataFrame:
    """Return a row for each candidate and metric, as ``--csv`` writes them."""
    import pandas as pd

    rows = []
    for index, result in enumerate(comparison.candidates):
        candidate = comparison.candidate_json(index)["candidate"]
        for name, figure in result.metrics_json().items():
            answer = {"verdict": result.verdict.answer, "metric": name}
            rows.append({**candidate, **answer, **figure})
    return pd.DataFrame(rows)


def requests_frame(comparison: Comparison, rows: Sequence[Row]) -> pd.DataFrame:
    """Return a row for each request of every candidate and replication, as ``--requests`` writes them."""
    import pandas as pd

    scenario = comparison.scenario
    names = scenario.all_instance_names()
    classes = list(scenario.traffic.classes)
    several = len(comparison.candidates) > 1
    frames = []
    for row in sorted(rows, key=lambda row: row.replication):
        for index, run in enumerate(row.runs):
            assert run.table is not None
            frame = run.table.frame(row.replication, classes, names)
            if several:
                frame.insert(0, "candidate", candidate_name(comparison, index))
            frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def must_name_a_table(path: Path | None) -> None:
    """Refuse a file for requests whose kind is unknown.

    Raises:
        BadInput: The name ends neither in .csv nor in .parquet, or Parquet's library is missing.
    """
    if path is not None and path.suffix not in (".csv", ".parquet"):
        raise BadInput(f"--requests {path}: must end in .csv or .parquet")
    if path is not None and path.suffix == ".parquet":
        require_extra("parquet", f"--requests {path}:")
