"""Rates over time: constant, in steps, a daily curve, or read from a trace.

Each becomes a `RateTable`, which is piecewise constant. `RateTable.window` moves it to the rollout's
clock, on which the rollout starts at 0. `simulation.requests.arrivals` draws requests at such a rate.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
import re
import zlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path

import numpy as np

from executor.base.errors import BadInput
from executor.base.text_limits import read_unpacked
from simulation.scenario.inputs.zones import as_utc, exists_twice, local_moment
from simulation.scenario.units import Floats, why

DAY_S = 86400.0


@dataclass(frozen=True)
class RateTable:
    """A piecewise constant rate, in requests per second.

    Attributes:
        edges_s: Times at which the rate changes, ascending, shape (n + 1,).
        rates_rps: The rate between edge k and k + 1, shape (n,); NaN where a trace has a gap.
        first_row: Date and time of the traffic's second 0, where the trace has dates.
        ends: Whether there is no data after the last edge (a trace); otherwise the last rate holds
            for ever.
        name: The name of the traffic in error messages.
    """

    edges_s: Floats
    rates_rps: Floats
    first_row: datetime | None = None
    ends: bool = False
    name: str = "traffic.rate"

    def window(self, start_s: float, before_s: float, after_s: float) -> RateTable:
        """Return the rates from ``start_s − before_s`` to ``start_s + after_s``, with 0 at ``start_s``.

        Before the first edge the first rate holds: a warm-up may begin before a trace does.

        Raises:
            BadInput: The interval lies outside the traffic.
        """
        edges = self.edges_s - start_s
        rates = self.rates_rps
        inside = (edges[1:] > -before_s) & (edges[:-1] < after_s)
        if not inside.any():
            where = "end" if edges[-1] <= -before_s else "beginning"
            raise BadInput(f"{self.name}: clock.start lies outside the traffic, past its {where}")
        first, last = int(np.argmax(inside)), len(inside) - int(np.argmax(inside[::-1]))
        edges, rates = edges[first : last + 1].copy(), rates[first:last]
        edges[0] = -before_s
        if not self.ends and last == len(inside):
            edges[-1] = max(edges[-1], after_s)
        label = moment_at(start_s, self.first_row) if self.first_row else None
        return RateTable(edges, rates, label, self.ends, self.name)

    def rate_at(self, time_s: Floats | float) -> Floats:
        """Return the rate at each of ``time_s``, in requests per second; NaN in a gap."""
        index = np.searchsorted(self.edges_s, time_s, side="right") - 1
        return self.rates_rps[np.clip(index, 0, len(self.rates_rps) - 1)]

    def data_ends_s(self) -> float:
        """Return the time at which the data stops, at a gap or a trace's end; infinite for neither."""
        gaps = np.flatnonzero(np.isnan(self.rates_rps))
        if len(gaps):
            return float(self.edges_s[gaps[0]])
        return float(self.edges_s[-1]) if self.ends else math.inf

    def why_it_ends(self, time_s: float) -> str:
        """Return the message for a simulation that needs traffic at ``time_s``, where the data stops."""
        what = "a gap in" if time_s < self.edges_s[-1] else "the end of"
        moment = f", at {clock_label(time_s, self.first_row)}" if self.first_row else ""
        return (
            f"{self.name}: the simulated interval meets {what} the trace "
            f"{time_s:g} s after the start{moment}"
        )

    def highest_rps(self) -> float:
        """Return the highest rate, in requests per second."""
        return float(np.nanmax(self.rates_rps)) if len(self.rates_rps) else 0.0

    def steps_within(self, begin_s: float, end_s: float) -> list[tuple[float, float]]:
        """Return ``(time_s, rate_rps)`` of every rate that holds at some time between two moments."""
        steps = self.as_steps()
        ends_s = [*(time_s for time_s, _ in steps[1:]), math.inf]
        return [
            step
            for step, step_ends_s in zip(steps, ends_s, strict=True)
            if step_ends_s > begin_s and step[0] < end_s
        ]

    def multiply(self, factor: float) -> RateTable:
        """Return the same table with every rate multiplied by a factor."""
        return self if factor == 1.0 else replace(self, rates_rps=self.rates_rps * factor)

    def as_steps(self) -> list[tuple[float, float]]:
        """Return ``(time_s, rate_rps)`` for every change of the rate, up to where the data stops."""
        known = self.rates_rps[: int(np.searchsorted(self.edges_s, self.data_ends_s()))]
        changes = [0, *(np.flatnonzero(np.diff(known)) + 1).tolist()]
        return [(float(self.edges_s[k]), float(known[k])) for k in changes]


def constant_rate(rate_rps: float) -> RateTable:
    """Return a table with the same rate for ever."""
    return RateTable(np.array([0.0, math.inf]), np.array([rate_rps]))


def steps_rate(steps: list[tuple[float, float]]) -> RateTable:
    """Return a table of rates that hold from their time until the next; the first also before its own."""
    return RateTable(
        np.array([time for time, _ in steps] + [math.inf]), np.array([rate for _, rate in steps])
    )


@lru_cache(maxsize=16)  # every start of a grid asks for the same curve
def daily_rate(low_rps: float, high_rps: float, peak_s: float) -> RateTable:
    """Return low + (high − low)·(1 + cos(2π(t − peak)/24h))/2, constant within each minute.

    Each minute has the mean of the curve over this minute (from its integral), so the expected number
    of requests is exact. The table covers ten days around midnight, second 0.
    """
    edges = np.arange(-DAY_S, 9 * DAY_S + 60, 60.0)
    angle = 2 * math.pi / DAY_S
    integral = np.sin(angle * (edges - peak_s)) / angle
    mean_cosine = np.diff(integral) / 60.0
    rates = low_rps + (high_rps - low_rps) * (1 + mean_cosine) / 2
    for shared in (edges, rates):
        shared.setflags(write=False)
    return RateTable(edges, rates)


@dataclass(frozen=True, eq=False)
class Trace:
    """A trace of traffic in evenly spaced rows.

    Attributes:
        interval_s: Time from one row to the next.
        values: One value per row from the first to the last, NaN where rows are missing.
        counts: Whether the values are counts in the interval; otherwise requests per second.
        first_row: Date and time of the first row, None where the file has seconds.
    """

    interval_s: float
    values: Floats
    counts: bool
    first_row: datetime | None

    def rates(self, scale: float, name: str) -> RateTable:
        """Return the trace as rates, each value multiplied by ``scale``."""
        edges = self.interval_s * np.arange(len(self.values) + 1, dtype=np.float64)
        per_second = self.values * scale / (self.interval_s if self.counts else 1.0)
        return RateTable(edges, per_second, self.first_row, ends=True, name=name)


_RATE_NAMES = {"rate", "rate_rps", "rps", "requests_per_second", "req_per_s"}
MOST_ROWS = 20_000_000
"""Maximum number of rows of a trace, gaps included: 38 years of minutes, 231 days of seconds."""


def read_trace(path: Path) -> Trace:
    """Read a trace: a CSV with a header, the time in the first column, a count or rate in the second.

    The time column has dates and times (any ISO form) or seconds. The second column counts the
    requests of each interval, unless its header is ``rate``, ``rps`` or ``rate_rps``. A name that ends
    in ``.gz`` is unpacked. The interval is the most frequent distance between two rows, and missing
    rows are gaps.

    Raises:
        ValueError: The file cannot be read, is empty, or is not such a table; the message names the
            row.
    """
    return _read_trace(path, file_version(path, "trace"))


def file_version(path: Path, what: str) -> tuple[int, int]:
    """Return the modification time and size of a file, which change when it is written again.

    Raises:
        ValueError: The file does not exist; ``what`` names it in the message, such as ``trace``.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise ValueError(f"cannot read the {what} {path}: {why(error)}") from None
    return stat.st_mtime_ns, stat.st_size


def content_digest(values: Floats) -> str:
    """Return the SHA-256 of numbers, as little-endian 64-bit floats."""
    return hashlib.sha256(np.ascontiguousarray(values, "<f8").tobytes()).hexdigest()


def csv_rows(path: Path, what: str) -> list[tuple[int, list[str]]]:
    """Return the rows of a CSV that are not empty, each with its line number; ``.gz`` is unpacked.

    Raises:
        ValueError: The file cannot be read; ``what`` names it in the message, such as ``trace``.
    """
    try:
        text = read_unpacked(path).decode("utf-8-sig")
        reader = csv.reader(io.StringIO(text))
        return [(reader.line_num, row) for row in reader if row]
    except BadInput as error:
        raise ValueError(f"cannot read the {what} {error}") from None
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error) as error:
        raise ValueError(f"cannot read the {what} {path}: {why(error)}") from None


@lru_cache(maxsize=8)
def _read_trace(path: Path, _version: tuple[int, int]) -> Trace:
    rows = csv_rows(path, "trace")
    if len(rows) < 2 or len(rows[0][1]) < 2:
        raise ValueError(f"the trace {path} is empty: it needs a header and rows of time,count")
    header = rows[0][1][1].strip().lower()
    dated = not is_float(rows[1][1][0])
    times = np.empty(len(rows) - 1)
    values = np.empty(len(rows) - 1)
    first_row: datetime | None = None
    for number, (line, row) in enumerate(rows[1:]):
        try:
            values[number] = float(row[1])
            if dated:
                moment = datetime.fromisoformat(row[0].strip())
                first_row = first_row or moment
                times[number] = (moment - first_row).total_seconds()
            else:
                times[number] = float(row[0])
        except (ValueError, IndexError, TypeError):
            row_text = ",".join(row)[:60]
            raise ValueError(f"{path}, row {line}: must be time,count, got {row_text}") from None
        if not math.isfinite(times[number]) or not math.isfinite(values[number]):
            raise ValueError(f"{path}, row {line}: must be finite, got {row[0]},{row[1]}")
        if values[number] < 0:
            raise ValueError(f"{path}, row {line}: a count must not be negative, got {row[1]}")
        if number and times[number] < times[number - 1]:
            raise ValueError(f"{path}, row {line}: times must not go back, got {row[0]}")
    return _on_a_grid(path, times, values, header not in _RATE_NAMES, first_row)


def _on_a_grid(
    path: Path, times: Floats, values: Floats, counts: bool, first_row: datetime | None
) -> Trace:
    """Put rows on an even grid; a missing row is NaN, and the later of two rows at one place counts."""
    steps = np.diff(times)
    if len(steps) == 0:
        raise ValueError(f"the trace {path} needs at least two rows")
    sizes, size_counts = np.unique(steps[steps > 0], return_counts=True)
    if len(sizes) == 0:
        raise ValueError(f"the trace {path} needs at least two different times")
    interval = float(sizes[np.argmax(size_counts)])
    if float(times[-1] - times[0]) >= interval * MOST_ROWS:
        raise ValueError(
            f"the trace {path} is too long for rows {interval:g} s apart: "
            f"it must not exceed {MOST_ROWS:,} rows, gaps counted"
        )
    place = np.rint((times - times[0]) / interval).astype(np.int64)
    grid = np.full(int(place[-1]) + 1, np.nan)
    grid[place] = values
    return Trace(interval, grid, counts, first_row)


def is_float(text: str) -> bool:
    """Return whether the text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


_CLOCK = re.compile(r"^(\d{1,2}):(\d{2})(?::(\d{2}))?$")


def clock_time_s(text: str) -> float | None:
    """Return the seconds after midnight of ``18:00`` or ``18:00:30``, None for any other text."""
    match = _CLOCK.match(text.strip())
    if match is None:
        return None
    hours, minutes, seconds = int(match[1]), int(match[2]), int(match[3] or 0)
    if hours > 23 or minutes > 59 or seconds > 59:
        return None
    return hours * 3600.0 + minutes * 60.0 + seconds


def start_second(start: float | str, first_row: datetime | None) -> float:
    """Return ``clock.start`` on the traffic's clock, in seconds.

    An offset (a float) counts from the trace's first row. A time of day is its first match at or
    after that row. A date and time is taken as it is. Traffic without dates begins at midnight.

    Raises:
        ValueError: The start is a date, and the traffic has no dates; or the clocks of the first
            row's zone show this local time never or twice.
    """
    if isinstance(start, float):
        return start
    of_day = clock_time_s(start)
    if of_day is not None:
        if first_row is None:
            return of_day
        midnight = first_row.replace(hour=0, minute=0, second=0, microsecond=0)
        return (of_day - (first_row - midnight).total_seconds()) % DAY_S
    if first_row is None:
        raise ValueError("a date needs a trace with dates; give a time of day or an offset")
    moment = datetime.fromisoformat(start)
    if first_row.tzinfo is not None and moment.tzinfo is None:
        midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        after_s = (moment - midnight).total_seconds()
        moment = local_moment(moment.date(), after_s, first_row.tzinfo)
        if exists_twice(moment):
            raise ValueError(
                f"{moment:%H:%M} exists twice on that day in {moment.tzinfo}: add its offset, such "
                f"as {moment}"
            )
    elif first_row.tzinfo is None and moment.tzinfo is not None:
        raise ValueError("the trace has no time zone, so its dates take none")
    return (as_utc(moment) - as_utc(first_row)).total_seconds()


def moment_at(time_s: float, first_row: datetime) -> datetime:
    """Return the date and time of a second of the traffic's clock, in the first row's zone."""
    moment = as_utc(first_row) + timedelta(seconds=time_s)
    return moment if moment.tzinfo is None else moment.astimezone(first_row.tzinfo)


def clock_label(start_s: float, first_row: datetime | None) -> str:
    """Return a start as ``18:00:00``, or as date and time where the trace has dates."""
    if first_row is not None:
        return str(moment_at(start_s, first_row).replace(tzinfo=None))[:19]
    return str(timedelta(seconds=round(start_s) % DAY_S)).rjust(8, "0")
