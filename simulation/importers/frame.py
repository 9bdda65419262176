"""A CSV file as a table of texts, and its columns as text for messages."""

from __future__ import annotations

import io
import warnings
from datetime import datetime

import pandas as pd

from executor.base.errors import BadInput
from simulation.importers.source import Source, shorten_line
from simulation.scenario.rates import is_float

_SHOWN_COLUMNS = 30
_SHOWN_VALUES = 2


def read_frame(source: Source, names: list[str] | None = None) -> pd.DataFrame:
    """Read a table as texts, indexed by the line number of each row.

    Args:
        source: The file.
        names: The names of the columns, where the format has no header; None where the first line
            is the header.

    Raises:
        BadInput: The file is not a table, or has no rows.
    """
    try:
        with warnings.catch_warnings():
            # With rows longer than the header, pandas shifts or loses cells and only warns.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(
                io.StringIO(source.text()),
                header=0 if names is None else None,
                names=names,
                dtype=str,
                skip_blank_lines=False,
                skipinitialspace=True,
                keep_default_na=False,
                index_col=False,
            )
    except pd.errors.ParserWarning:
        raise BadInput(
            f"{source.path}: is no table: rows have more cells than the header"
        ) from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        reason = str(error).removeprefix("Error tokenizing data. C error: ").strip()
        raise BadInput(f"{source.path}: is no table: {reason}") from None
    frame = frame.fillna("")
    frame.columns = pd.Index([str(name).strip() for name in frame.columns])
    first_line = 2 if names is None else 1
    frame.index = pd.RangeIndex(first_line, len(frame) + first_line)
    frame = frame[(frame != "").any(axis=1)]
    if frame.empty:
        raise BadInput(f"{source.path}: has a header and no rows")
    return frame


def columns_text(frame: pd.DataFrame) -> str:
    """Return every column with its first values, for a message: ``time = 0, 60; users = 5, 5``."""
    shown = []
    for place in range(min(frame.shape[1], _SHOWN_COLUMNS)):
        values = ", ".join(shorten_line(str(cell)) for cell in frame.iloc[:_SHOWN_VALUES, place])
        shown.append(f"{shorten_line(str(frame.columns[place]))} = {values}")
    if frame.shape[1] > _SHOWN_COLUMNS:
        shown.append(f"and {frame.shape[1] - _SHOWN_COLUMNS} more")
    return "; ".join(shown)


def parse_date(text: object) -> datetime | None:
    """Return a date and time of any ISO form, with any number of digits of a second; else None."""
    cell = str(text).strip()
    try:
        return datetime.fromisoformat(cell)
    except ValueError:
        pass
    head, dot, tail = cell.partition(".")
    digits = len(tail) - len(tail.lstrip("0123456789"))
    if not dot or digits <= 6:
        return None
    try:  # Python takes at most six digits of a second
        return datetime.fromisoformat(f"{head}.{tail[:6]}{tail[digits:]}")
    except ValueError:
        return None


def is_number_or_date(cell: str) -> bool:
    """Return whether a cell is a number or a date, not the name of a column."""
    text = cell.strip().strip('"')
    return is_float(text) or parse_date(text) is not None
