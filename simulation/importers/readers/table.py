"""Plain CSV files: counts or rates over time, one request per row, or durations.

A column is used when its header names its meaning and unit (`simulation.importers.names`). A table
without such a column is refused, and the message shows its columns with their first values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NoReturn

import numpy as np
import pandas as pd

from executor.base.errors import BadInput
from simulation.importers import names
from simulation.importers.findings import (
    UNNAMED,
    Arrivals,
    Durations,
    Finding,
    Findings,
    ServiceFindings,
)
from simulation.importers.frame import columns_text, is_number_or_date, parse_date, read_frame
from simulation.importers.requests import FEWEST_DURATIONS, LATEST_S, RequestLog, Wording
from simulation.importers.series import on_grid
from simulation.importers.source import LineTally, Source
from simulation.scenario.timestamps import EPOCH_FROM_S
from simulation.scenario.units import Floats, parse_duration_s

KIND = "CSV"
_OWN_TRACE = (["time", "rate"], ["time", "requests"], ["time", "rps"], ["time", "rate_rps"])
"""Headers of a scenario's trace (docs/scenario.md): times are seconds, a rate is per second."""
_EVEN_ROWS = 4
_YEARS = range(1900, 2200)
_LONGEST_S = 300 * 366 * 86400.0
_HELP = (
    "name what each column is and drop the rest: time (dates, or time_s), and requests (a count in "
    "each step), rps or duration_ms (_us, _s)"
)


@dataclass(frozen=True, eq=False)
class _Column:
    """A column as numbers.

    Attributes:
        name: The name in the header, or a number.
        values: One value per row, NaN where a cell has none; times and durations in seconds.
        first: Date and time of second 0; None where the file has no dates.
    """

    name: str
    values: Floats
    first: datetime | None = None


def looks_like(head: Sequence[str]) -> bool:
    """Return whether lines are a table: every row has equally many cells and a number or time."""
    rows = [line.split(",") for line in head[1:6]] or [head[0].split(",")]
    width = len(rows[0])
    even = all(len(row) == width for row in rows)
    is_json = head[0].lstrip().startswith(("{", "["))
    return (
        even and not is_json and all(any(is_number_or_time(cell) for cell in row) for row in rows)
    )


def is_number_or_time(cell: str) -> bool:
    """Return whether a cell is a number, a date, or a duration with its unit."""
    return is_number_or_date(cell) or _is_duration(cell.strip())


def read(sources: Sequence[Source]) -> Findings:
    """Return the findings from a table.

    Raises:
        BadInput: No column is known by its name and unit, or too many rows are damaged.
    """
    (source,) = sources
    name = source.path.name
    if any(is_number_or_time(cell) for cell in source.head[0].split(",")):
        width = source.head[0].count(",") + 1
        frame = read_frame(source, [f"column {k}" for k in range(1, width + 1)])
        _refuse(source, frame, "has no header")
    frame = read_frame(source)
    if len(set(frame.columns)) < len(frame.columns):
        _refuse(source, frame, "has two columns of one name")
    findings = Findings(KIND, name)
    amount_name = _amount_name(source, frame)
    duration_name = None if amount_name else _duration_name(source, frame)
    time_name = _time_name(source, frame)
    if amount_name is None and duration_name is None and frame.shape[1] > 1:
        _refuse(source, frame, "no column is known by its name and unit to count requests")
    took = None if duration_name is None else _durations(frame[duration_name], duration_name)
    when = None if time_name is None else _times(source, frame, time_name)
    amount = None if amount_name is None else _Column(amount_name, _numbers(frame[amount_name]))
    good = np.ones(len(frame), dtype=bool)
    for column in (took, when, amount):
        if column is not None:
            good &= np.isfinite(column.values)
    lines = frame.index.to_numpy()
    tally = LineTally(source, "row of a table of times, counts or durations")
    tally.good_count = int(good.sum())
    for row in np.flatnonzero(~good).tolist():
        tally.bad(int(lines[row]), ",".join(map(str, frame.iloc[row].tolist())))
    findings.notes += filter(None, [tally.note()])
    taken = {time_name, duration_name, amount_name}
    others = [str(column) for column in frame.columns if column not in taken]
    if others:
        findings.notes.append(f"{name}: not taken: {', '.join(others)}")
    if amount is not None:
        if when is None:
            _refuse(source, frame, f"{amount_name} has no column of times beside it")
        findings.services[UNNAMED] = _series(source, when, amount, good)
        return findings
    if when is None:
        if took is None:
            _refuse(source, frame, "no column is known by its name and unit")
        _only_durations(name, took.values[good], findings)
        return findings
    if took is not None and _is_even(when.values[good]):
        _refuse(source, frame, "its rows are evenly spaced: means of many requests, not requests")
    return _requests(name, when, took, good, findings)


def _refuse(source: Source, frame: pd.DataFrame, reason: str) -> NoReturn:
    raise BadInput(f"{source.path}: {reason}; found: {columns_text(frame)}: {_HELP}")


def _is_own_trace(frame: pd.DataFrame) -> bool:
    return [str(name).lower() for name in frame.columns] in _OWN_TRACE


def _amount_name(source: Source, frame: pd.DataFrame) -> str | None:
    """The column that counts requests, or their rate; None without one."""
    if _is_own_trace(frame):
        return str(frame.columns[1])
    known = [
        str(name)
        for name in frame.columns
        if names.is_count(str(name)) or names.rate_period_s(str(name)) is not None
    ]
    if len(known) > 1:
        _refuse(source, frame, f"{' and '.join(known)} may each be the requests")
    return known[0] if known else None


def _duration_name(source: Source, frame: pd.DataFrame) -> str | None:
    known = [str(name) for name in frame.columns if names.is_duration(str(name))]
    with_unit = [
        name for name in known if names.duration_unit_s(name) is not None or _has_units(frame[name])
    ]
    if len(with_unit) > 1:
        _refuse(source, frame, f"{' and '.join(with_unit)} may each be the duration")
    if known and not with_unit:
        _refuse(source, frame, f"{known[0]}: the name does not say in which unit")
    return with_unit[0] if with_unit else None


def _has_units(cells: pd.Series) -> bool:
    """Return whether every duration has its own unit, such as ``120ms``."""
    return all(_is_duration(cell) and not is_number_or_date(cell) for cell in cells.head(100))


def _time_name(source: Source, frame: pd.DataFrame) -> str | None:
    named = [str(name) for name in frame.columns if names.is_time(str(name))]
    begun = [name for name in named if {"start", "begin", "arrival"} & set(names.words_of(name))]
    if begun or named:
        return (begun or named)[0]
    dated = [
        str(name)
        for name in frame.columns
        if all(parse_date(cell) is not None for cell in frame[name].head(5))
        and not all(cell.strip().isdecimal() for cell in frame[name].head(5))
    ]
    if len(dated) > 1:
        _refuse(source, frame, f"{' and '.join(dated)} may each be the time")
    return dated[0] if dated else None


def _numbers(cells: pd.Series) -> Floats:
    values = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64)
    return np.where(np.isfinite(values), values, np.nan)


def _durations(cells: pd.Series, name: str) -> _Column:
    unit_s = names.duration_unit_s(name)
    seconds = np.full(len(cells), np.nan) if unit_s is None else _numbers(cells) * unit_s
    for row in np.flatnonzero(np.isnan(seconds)).tolist():
        if not is_number_or_date(cells.iloc[row]) and _is_duration(cells.iloc[row]):
            seconds[row] = parse_duration_s(cells.iloc[row])
    return _Column(name, np.where(seconds >= 0, seconds, np.nan))


def _times(source: Source, frame: pd.DataFrame, name: str) -> _Column:
    """Return a column of times in seconds: dates, numbers since 1970, or in the unit of its name."""
    cells = frame[name]
    numbers = _numbers(cells)
    if np.isfinite(numbers).mean() > 0.5:
        begin = numbers[np.isfinite(numbers)][0]
        if begin >= EPOCH_FROM_S:
            # Seconds, milliseconds, microseconds or nanoseconds.
            scale = next((10.0**k for k in (9, 6, 3) if begin > 10.0 ** (8 + k)), 1.0)
            if begin / scale > LATEST_S:
                _refuse(source, frame, f"{name}: {cells.iloc[0]} is no time since 1970")
            first = datetime.fromtimestamp(begin / scale, UTC)
            return _Column(name, _within_reach((numbers - begin) / scale), first)
        unit_s = 1.0 if _is_own_trace(frame) else names.unit_s(name)
        if unit_s is None:
            _refuse(source, frame, f"{name}: neither dates nor a unit: seconds are named {name}_s")
        return _Column(name, _within_reach(numbers * unit_s))
    parsed = (parse_date(cell) for cell in cells)
    dates = [date if date and date.year in _YEARS else None for date in parsed]
    first_date = next((date for date in dates if date is not None), None)
    seconds = np.full(len(cells), np.nan)
    for row, date in enumerate(dates):
        if date is None or first_date is None:
            continue
        if (date.tzinfo is None) == (first_date.tzinfo is None):
            seconds[row] = (date - first_date).total_seconds()
    return _Column(name, seconds, first_date)


def _within_reach(seconds: Floats) -> Floats:
    """Return seconds, NaN for those centuries away: these are damage and exceed a datetime."""
    return np.where(np.abs(seconds) <= _LONGEST_S, seconds, np.nan)


def _is_even(times_s: Floats) -> bool:
    """Return whether rows are regular and at least a second apart: then each is a sum over time."""
    steps = np.diff(np.sort(times_s))
    return len(steps) >= _EVEN_ROWS and float(steps.min()) >= 1 and bool(np.ptp(steps) < 0.01)


def _is_duration(text: str) -> bool:
    try:
        parse_duration_s(text)
    except ValueError:
        return False
    return True


def _series(source: Source, when: _Column, amount: _Column, good: np.ndarray) -> ServiceFindings:
    times, values = when.values[good], amount.values[good]
    order = np.argsort(times, kind="stable")
    times, values = times[order], values[order]
    where = f"{source.path}: {amount.name}"
    if values.min() < 0:
        raise BadInput(f"{where}: must not be negative, as {values.min():g} is")
    if values.max() <= 0:
        raise BadInput(f"{where}: is 0 in every row")
    if (np.diff(times) == 0).any():
        raise BadInput(
            f"{where}: has several rows for one time: add them up, or take those of one service"
        )
    period_s = names.rate_period_s(amount.name)
    if amount.name.lower() == "rate":
        period_s = 1.0  # of a scenario's trace, see _OWN_TRACE
    first = when.first and when.first + timedelta(seconds=float(times[0]))
    values = values if period_s is None else values / period_s
    series = on_grid(times - times[0], values, first, is_rate=period_s is not None)
    if series is None:
        raise BadInput(f"{where}: its rows are not evenly spaced in time")
    meaning = "requests in each step" if period_s is None else "requests a second"
    gaps = f", {series.gap_count} gaps" if series.gap_count else ""
    basis = (
        f"measured: column {amount.name} of {source.path.name} ({meaning}), "
        f"{series.span_text()} in steps of {series.step_s:g} s{gaps}"
    )
    return ServiceFindings(arrivals=Arrivals(series, series.mean_rps, basis, source.path.name))


def _only_durations(name: str, seconds: Floats, findings: Findings) -> None:
    if len(seconds) < FEWEST_DURATIONS or seconds.max() <= 0:
        raise BadInput(f"{name}: needs at least {FEWEST_DURATIONS} durations, one of them above 0")
    basis = f"measured: {len(seconds):,} durations in {name}"
    caveat = "assumed: nothing waited: they are service times"
    finding = Finding(Durations(seconds, basis, caveat), basis, 3, name)
    findings.services[UNNAMED] = ServiceFindings(service_time=finding)


def _requests(
    name: str, when: _Column, took: _Column | None, good: np.ndarray, findings: Findings
) -> Findings:
    """Return the findings from a table in which each row is a request."""
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
    """Return seconds since 1970; a date without a zone is taken as UTC."""
    return (when if when.tzinfo is not None else when.replace(tzinfo=UTC)).timestamp()
