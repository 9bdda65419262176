"""Timestamps of single requests, from a file or a list.

They can be replayed exactly (`simulation.requests.arrivals`), or counted per second into a `RateTable`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import numpy as np

from simulation.scenario.rates import MOST_ROWS, RateTable, csv_rows, file_version, is_float
from simulation.scenario.units import Floats

EPOCH_FROM_S = 1e9
"""A first row of at least this many seconds means seconds since 1970 (after 2001), not an offset."""


@dataclass(frozen=True, eq=False)
class Timestamps:
    """The times of requests on the traffic's clock.

    Attributes:
        times_s: Times in seconds, ascending; the last one is after 0.
        first_row: Date and time of the clock's second 0, None where the times are plain seconds.
    """

    times_s: Floats
    first_row: datetime | None = None

    def __eq__(self, other: object) -> bool:
        """Return whether the other has the same times and the same beginning."""
        return (
            isinstance(other, Timestamps)
            and self.first_row == other.first_row
            and np.array_equal(self.times_s, other.times_s)
        )

    def __hash__(self) -> int:
        """Return a hash of the beginning and the number of times, which equal objects share."""
        return hash((self.first_row, len(self.times_s)))

    def rate_table(self, name: str) -> RateTable:
        """Return the number of requests in each second as a rate; the data ends with the last request.

        An incomplete second at the end is joined to the second before it.
        """
        begin = math.floor(min(0.0, self.times_s[0]))
        whole = max(begin + 1, math.floor(self.times_s[-1]))
        edges = np.arange(begin, whole + 1, dtype=np.float64)
        edges[-1] = self.times_s[-1]
        counts = np.histogram(self.times_s, edges)[0]
        return RateTable(edges, counts / np.diff(edges), self.first_row, ends=True, name=name)

    def from_start(self, start_s: float, before_s: float) -> Floats:
        """Return the times from ``start_s − before_s`` on, with 0 at ``start_s``."""
        times = self.times_s - start_s
        return times[np.searchsorted(times, -before_s) :]


def timestamps_of(times_s: Floats, first_row: datetime | None = None) -> Timestamps:
    """Return checked timestamps.

    Raises:
        ValueError: The times go back, are not finite, do not end after 0, or span too long.
    """
    if not np.isfinite(times_s).all():
        raise ValueError("the times must be finite")
    if (np.diff(times_s) < 0).any():
        back = int(np.argmax(np.diff(times_s) < 0)) + 1
        raise ValueError(f"the times must not go back, as {times_s[back]:g} does")
    if times_s[-1] <= 0:
        raise ValueError("the last time must be after 0, where the traffic's clock begins")
    if times_s[-1] - min(0.0, times_s[0]) >= MOST_ROWS:
        raise ValueError(f"the times must not span more than {MOST_ROWS:,} seconds from 0 on")
    return Timestamps(times_s, first_row)


def read_timestamps(path: Path) -> Timestamps:
    """Read the times of requests: a CSV with the time in the first column, with or without a header.

    Times are dates and times (any ISO form), seconds on the traffic's clock, or seconds since 1970
    where the first is 10⁹ or more. With dates, the clock begins at the first row. A name that ends in
    ``.gz`` is unpacked.

    Raises:
        ValueError: The file cannot be read, is empty, or is not such a list; the message names the
            row.
    """
    return _read_timestamps(path, file_version(path, "timestamps"))


@lru_cache(maxsize=8)
def _read_timestamps(path: Path, _version: tuple[int, int]) -> Timestamps:
    rows = csv_rows(path, "timestamps")
    if rows and _time(rows[0][1][0]) is None:
        del rows[0]
    if not rows:
        raise ValueError(f"the list {path} is empty: it needs a time on each row")
    first = _time(rows[0][1][0])
    times = np.empty(len(rows))
    for number, (line, row) in enumerate(rows):
        moment = _time(row[0])
        if isinstance(moment, float) and isinstance(first, float):
            times[number] = moment
        elif isinstance(moment, datetime) and isinstance(first, datetime):
            try:
                times[number] = (moment - first).total_seconds()
            except TypeError:
                rule = "must have a time zone as the first row has, or none as it"
                raise ValueError(f"{path}, row {line}: {rule}, got {row[0][:60]}") from None
        else:
            kind = "seconds" if isinstance(first, float) else "a date and time"
            raise ValueError(f"{path}, row {line}: must be {kind}, got {row[0][:60]}")
        if not math.isfinite(times[number]):
            raise ValueError(f"{path}, row {line}: must be finite, got {row[0]}")
        if number and times[number] < times[number - 1]:
            raise ValueError(f"{path}, row {line}: times must not go back, got {row[0]}")
    first_row = first if isinstance(first, datetime) else None
    if isinstance(first, float) and first >= EPOCH_FROM_S:
        try:
            first_row = datetime.fromtimestamp(first, UTC)
        except (OverflowError, OSError, ValueError):
            raise ValueError(f"{path}: its first time must be a date, got {first:g}") from None
        times -= first
    try:
        return timestamps_of(times, first_row)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _time(text: str) -> float | datetime | None:
    """Return seconds, or a date and time; None for any other text."""
    if is_float(text):
        return float(text)
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        return None
