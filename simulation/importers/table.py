"""Plain CSV: counts or rates over time, times of requests, durations.

Enters: a table with a header or none. Leaves: a series where rows are evenly spaced and have a
number, else requests, one a row; durations where a column is called so. What a column means is told
by its name and its values, and what was taken is said.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from executor.errors import BadInput
from simulation.importers.findings import (
    UNNAMED,
    Arrivals,
    Durations,
    Findings,
    ServiceFindings,
    Told,
)
from simulation.importers.requests import FEWEST_DURATIONS, RequestLog, Wording
from simulation.importers.series import on_grid
from simulation.importers.source import Source, Tally
from simulation.timestamps import EPOCH_FROM_S
from simulation.traffic import is_float
from simulation.units import Floats, parse_duration_s

KIND = "CSV"
_TIME = re.compile(
    r"(?:^|_|\b)(?:time|timestamp|date|datetime|seconds?|start|end|ts|at)(?:$|_|\b)", re.I
)
_RATE = re.compile(r"^(?:.*_)?(?:rates?|rps|qps|per_s(?:ec(?:ond)?)?)(?:_rps)?$", re.I)
_COUNT = re.compile(r"^(?:.*_)?(?:requests?|counts?|hits|calls|value|total|n)(?:_count)?$", re.I)
_DURATION = re.compile(
    r"^(?:.*_)?(?:duration|latency|elapsed|took|(?:service|response|request)_?time)s?"
    r"(?:_(us|ms|s|sec|seconds))?$",
    re.I,
)
_UNIT_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0, "seconds": 1.0}


@dataclass(frozen=True, eq=False)
class _Column:
    """A column as numbers.

    Attributes:
        name: In the header, or its number.
        values: One a row, NaN where a cell is none; seconds of times and durations.
        first: Date and time that seconds count from; None where the file has no dates.
    """

    name: str
    values: Floats
    first: datetime | None = None


def looks_like(head: Sequence[str]) -> bool:
    """Whether lines are a table of times or numbers: any other text has none in its columns."""
    rows = [line.split(",") for line in head[1:6]] or [head[0].split(",")]
    width = len(rows[0])
    even = all(len(row) == width for row in rows)
    return even and all(any(_is_number_or_time(cell) for cell in row) for row in rows)


def read(sources: Sequence[Source]) -> Findings:
    """What a table says.

    Raises:
        BadInput: Nothing in it can be used, or too many rows are damaged.
    """
    (source,) = sources
    name = source.path.name
    frame = _frame(source)
    findings = Findings(KIND, name)
    duration = next((c for c in frame.columns if _DURATION.match(c)), None)
    time = _time_column(frame, duration)
    tally = Tally(source, "row of a table of times, counts or durations")
    took = None if duration is None else _durations(frame[duration], duration)
    when = None if time is None else _times(frame[time], time)
    amount = _amount_column(frame, {time, duration})
    good = np.ones(len(frame), dtype=bool)
    for column in (took, when, amount):
        if column is not None:
            good &= np.isfinite(column.values)
    lines = frame.index.to_numpy()
    tally.good_count = int(good.sum())
    for row in np.flatnonzero(~good).tolist():
        tally.bad(int(lines[row]), ",".join(map(str, frame.iloc[row].fillna("").tolist())))
    findings.notes += filter(None, [tally.note()])
    if when is not None and took is None and amount is not None:
        series = _series(source, when, amount, good)
        if series is not None:
            findings.services[UNNAMED] = series
            return findings
    if when is None and took is None:
        raise BadInput(f"{source.path}: has no column of times and none of durations")
    if when is None:
        assert took is not None
        _only_durations(name, took.values[good], findings)
        return findings
    return _requests(name, when, took, good, findings)


def _frame(source: Source) -> pd.DataFrame:
    """The table as texts, by the line that each row stands on."""
    first = [cell.strip() for cell in source.head[0].split(",")]
    has_header = not any(_is_number_or_time(cell) for cell in first)
    try:
        frame = pd.read_csv(
            io.StringIO(source.text()),
            header=0 if has_header else None,
            dtype=str,
            skip_blank_lines=False,
            skipinitialspace=True,
            keep_default_na=False,
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        said = str(error).removeprefix("Error tokenizing data. C error: ")
        raise BadInput(f"{source.path}: is no table: {said}") from None
    frame.columns = pd.Index([str(one).strip() for one in frame.columns])
    frame.index = pd.RangeIndex(2 if has_header else 1, len(frame) + (2 if has_header else 1))
    frame = frame[(frame != "").any(axis=1)]
    if frame.empty:
        raise BadInput(f"{source.path}: has a header and no rows")
    return frame


def _time_column(frame: pd.DataFrame, duration: str | None) -> str | None:
    named = [name for name in frame.columns if name != duration and _TIME.search(name)]
    if named:
        return str(named[0])
    for name in frame.columns:
        cells = frame[name].head(5)
        dated = all(_date(cell) is not None for cell in cells)
        numbers = [float(cell) for cell in cells if is_float(cell)]
        rising = len(numbers) == len(cells) > 1 and all(np.diff(numbers) >= 0)
        if name != duration and (dated or (rising and name == frame.columns[0])):
            return str(name)
    return None


def _amount_column(frame: pd.DataFrame, taken: set[str | None]) -> _Column | None:
    rest = [name for name in frame.columns if name not in taken]
    named = [name for name in rest if _RATE.match(name) or _COUNT.match(name)]
    for name in named or rest[:1]:
        values = pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=np.float64)
        if np.isfinite(values).mean() > 0.5:
            return _Column(str(name), np.where(np.isfinite(values), values, np.nan))
    return None


def _durations(cells: pd.Series, name: str) -> _Column:
    match = _DURATION.match(name)
    unit = _UNIT_S[((match and match[1]) or "s").lower()]
    numbers = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64) * unit
    for row in np.flatnonzero(np.isnan(numbers)).tolist():
        try:
            numbers[row] = parse_duration_s(cells.iloc[row])
        except ValueError:
            continue
    return _Column(name, np.where(numbers >= 0, numbers, np.nan))


def _times(cells: pd.Series, name: str) -> _Column:
    """Seconds from the first row; dates of any ISO form, seconds, or seconds since 1970."""
    numbers = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64)
    if np.isfinite(numbers).mean() > 0.5:
        begin = numbers[np.isfinite(numbers)][0]
        if begin < EPOCH_FROM_S:
            return _Column(name, numbers)
        # Seconds, milliseconds, microseconds or nanoseconds.
        scale = next((10.0**digits for digits in (9, 6, 3) if begin > 10.0 ** (8 + digits)), 1.0)
        first = datetime.fromtimestamp(begin / scale, UTC)
        return _Column(name, (numbers - begin) / scale, first)
    dated = next((found for found in map(_date, cells) if found is not None), None)
    if dated is None:
        return _Column(name, np.full(len(cells), np.nan))
    seconds = np.full(len(cells), np.nan)
    for row, cell in enumerate(cells):
        when = _date(cell)
        if when is not None and (when.tzinfo is None) == (dated.tzinfo is None):
            seconds[row] = (when - dated).total_seconds()
    return _Column(name, seconds, dated)


def _date(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text).strip())
    except ValueError:
        # More than six digits of a second are more than Python takes.
        match = re.match(r"^(.*\.\d{6})\d+(.*)$", str(text).strip())
        if match is None:
            return None
        try:
            return datetime.fromisoformat(match[1] + match[2])
        except ValueError:
            return None


def _is_number_or_time(cell: str) -> bool:
    text = cell.strip()
    return is_float(text) or _date(text) is not None or _is_duration(text)


def _is_duration(text: str) -> bool:
    try:
        parse_duration_s(text)
    except ValueError:
        return False
    return True


def _series(
    source: Source, when: _Column, amount: _Column, good: np.ndarray
) -> ServiceFindings | None:
    times, values = when.values[good], amount.values[good]
    if len(times) < 2 or (np.diff(times) < 0).any():
        order = np.argsort(times, kind="stable")
        times, values = times[order], values[order]
    if len(times) < 2:
        return None
    first = when.first and when.first + pd.Timedelta(seconds=float(times[0])).to_pytimedelta()
    is_rate = bool(_RATE.match(amount.name))
    series = on_grid(times - times[0], values, first, is_rate=is_rate)
    if series is None:
        return None
    if values.min() < 0:
        raise BadInput(
            f"{source.path}: {amount.name}: must not be negative, as {values.min():g} is"
        )
    if values.max() <= 0:
        raise BadInput(f"{source.path}: {amount.name}: is 0 in every row")
    what = "requests a second" if is_rate else "requests in each step"
    guess = "" if is_rate or _COUNT.match(amount.name) else ", taken as"
    gaps = f", {series.gap_count} gaps" if series.gap_count else ""
    basis = (
        f"measured: column {amount.name} of {source.path.name}{guess} ({what}), "
        f"{series.span_text()} in steps of {series.step_s:g} s{gaps}"
    )
    return ServiceFindings(arrivals=Arrivals(series, series.mean_rps, basis, source.path.name))


def _only_durations(name: str, seconds: Floats, findings: Findings) -> None:
    if len(seconds) < FEWEST_DURATIONS or seconds.max() <= 0:
        raise BadInput(f"{name}: needs at least {FEWEST_DURATIONS} durations, one of them above 0")
    basis = f"measured: {len(seconds):,} durations in {name}"
    caveat = "assumed: nothing waited: they are service times"
    told = Told(Durations(seconds, basis, caveat), basis, 3, name)
    findings.services[UNNAMED] = ServiceFindings(service_time=told)


def _requests(
    name: str, when: _Column, took: _Column | None, good: np.ndarray, findings: Findings
) -> Findings:
    """Each row is a request."""
    log = RequestLog()
    base_s = 0.0 if when.first is None else _epoch_s(when.first)
    ends = took is not None and "end" in when.name.lower()
    seconds = when.values[good] + base_s
    durations = took.values[good] if took is not None else np.full(len(seconds), math.nan)
    for moment, duration in zip(seconds.tolist(), durations.tolist(), strict=True):
        log.add(moment - duration if ends else moment, duration)
    zone = when.first.utcoffset() if when.first is not None else None
    wording = Wording(f"column {took.name}" if took else "nothing", has_queueing=took is not None)
    read = log.findings(
        KIND,
        name,
        wording,
        utc_offset_s=None if zone is None else zone.total_seconds(),
        dated=when.first is not None,
    )
    read.notes = findings.notes + read.notes
    read.notes.append(f"{name}: each row is taken as a request, its time from column {when.name}")
    return read


def _epoch_s(when: datetime) -> float:
    """Seconds since 1970; a date without a zone is taken as it stands, whatever zone this is."""
    return (when if when.tzinfo is not None else when.replace(tzinfo=UTC)).timestamp()
