"""Results of load tests with one request per row: JMeter, hey, vegeta, k6.

Each tool is recognised by its header or its documented columns, which also determine the units. The
durations are measured. The rate is the one that the tool sent, not that of a service's users.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from executor.base.errors import BadInput
from simulation.importers.findings import Findings
from simulation.importers.frame import columns_text, read_frame
from simulation.importers.requests import RequestLog, Wording
from simulation.importers.source import LineTally, Source

KIND = "load test"


@dataclass(frozen=True)
class _Format:
    """The format in which a tool writes a request.

    Attributes:
        tool: The name of the tool.
        time: The column of the beginning of a request.
        time_unit_s: The unit of that column, in seconds.
        duration: The column of the duration of a request.
        duration_unit_s: The unit of that column, in seconds.
        status: The column of the status of the answer.
        is_dated: Whether times are since 1970.
        rows: A column and the value that marks the rows of requests; None where all rows are.
        names: The names of the columns, where there is no header.
    """

    tool: str
    time: str
    time_unit_s: float
    duration: str
    duration_unit_s: float
    status: str
    is_dated: bool = True
    rows: tuple[str, str] | None = None
    names: tuple[str, ...] = ()


# https://jmeter.apache.org/usermanual/glossary.html: elapsed is in milliseconds
_JMETER = _Format("JMeter", "timeStamp", 1e-3, "elapsed", 1e-3, "responseCode")
# https://github.com/rakyll/hey, requester/print.go: both in seconds
_HEY = _Format("hey", "offset", 1.0, "response-time", 1.0, "status-code", is_dated=False)
# https://grafana.com/docs/k6/latest/using-k6/metrics/reference/: http_req_duration in milliseconds
_K6 = _Format(
    *("k6", "timestamp", 1.0, "metric_value", 1e-3, "status"),
    rows=("metric_name", "http_req_duration"),
)
# https://github.com/tsenart/vegeta, "encode": "CSV ... are written in this order"
_VEGETA = _Format(
    *("vegeta", "timestamp", 1e-9, "latency", 1e-9, "code"),
    names=(
        *("timestamp", "code", "latency", "bytes_out", "bytes_in", "error", "body", "attack"),
        *("seq", "method", "url", "headers"),
    ),
)
_VEGETA_LINE = re.compile(r'^\d{19},\d{1,3},\d+,\d+,\d+,.*,\d+,"?[A-Z]+"?,[^,]*,[^,]*$')
_JMETER_SUM = "Number of samples in transaction"


def _format_of(head: Sequence[str]) -> _Format | None:
    header = [cell.strip().strip('"') for cell in head[0].split(",")]
    for form in (_JMETER, _HEY, _K6):
        needed = {form.time, form.duration, form.status} | ({form.rows[0]} if form.rows else set())
        if needed <= set(header):
            return form
    return _VEGETA if _VEGETA_LINE.match(head[0]) else None


def looks_like(head: Sequence[str]) -> bool:
    """Return whether the first line is that of a known tool."""
    return _format_of(head) is not None


def read(sources: Sequence[Source]) -> Findings:
    """Return the findings from the result of a load test.

    Raises:
        BadInput: Times are not in the tool's default unit, there are too few requests, or too many
            rows are damaged.
    """
    (source,) = sources
    form = _format_of([line for line in source.head if line.strip()])
    assert form is not None
    frame = read_frame(source, list(form.names) or None)
    if form.rows is not None:
        frame = frame[frame[form.rows[0]] == form.rows[1]]
        if frame.empty:
            raise BadInput(f"{source.path}: holds no row of {form.rows[1]}")
    notes = []
    if form is _JMETER and "responseMessage" in frame.columns:
        sums = frame["responseMessage"].str.startswith(_JMETER_SUM)
        frame = frame[~sums]
        if sums.any():
            notes.append(f"{sums.sum():,} rows sum up a transaction and are no requests, left out")
    times = pd.to_numeric(frame[form.time], errors="coerce").to_numpy(dtype=np.float64)
    durations = pd.to_numeric(frame[form.duration], errors="coerce").to_numpy(dtype=np.float64)
    times, durations = times * form.time_unit_s, durations * form.duration_unit_s
    known = times[np.isfinite(times)]
    if form.is_dated and (len(known) == 0 or not 1e8 < np.median(known) < 1e11):
        raise BadInput(
            f"{source.path}: {form.time}: {form.tool} writes times since 1970 in its default unit; "
            f"found: {columns_text(frame)}"
        )
    good = np.isfinite(times) & np.isfinite(durations) & (durations >= 0)
    good &= (times > 1e8) & (times < 1e11) if form.is_dated else times >= 0
    tally = LineTally(source, f"row of a result of {form.tool}")
    tally.good_count = int(good.sum())
    for row in np.flatnonzero(~good).tolist():
        tally.bad(int(frame.index[row]), ",".join(map(str, frame.iloc[row].tolist())))
    notes += filter(None, [tally.note()])
    log = RequestLog()
    failed = _failed(frame)
    if failed is None:
        failed = _failed_status(frame[form.status])
    for row in np.flatnonzero(good).tolist():
        log.add(float(times[row]), float(durations[row]), failed=bool(failed[row]))
    wording = Wording(f"{form.duration} of {form.tool}", has_queueing=True)
    offset_s = 0.0 if form.is_dated else None
    name = source.path.name
    findings = log.findings(KIND, name, wording, utc_offset_s=offset_s, dated=form.is_dated)
    findings.notes += notes
    findings.notes.append(
        f"{name}: the traffic is what {form.tool} sent, no users' traffic: put in yours"
    )
    return findings


def _failed(frame: pd.DataFrame) -> np.ndarray | None:
    """Return which requests failed according to JMeter; None where it does not say."""
    if "success" not in frame.columns:
        return None
    return np.asarray(frame["success"].str.lower() == "false")


def _failed_status(cells: pd.Series) -> np.ndarray:
    status = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64)
    return np.asarray(~((status >= 100) & (status < 499)))
