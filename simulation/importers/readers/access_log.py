"""Access logs of web servers: combined, nginx with its times, ingress-nginx, Traefik, JSON.

nginx dates a line by the end of the answer (``$time_local``), Apache and Traefik by the arrival of the
request (``%t``).
"""

from __future__ import annotations

import math
import re
from calendar import month_abbr
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache

from executor.base.errors import BadInput
from simulation.importers.findings import Findings
from simulation.importers.readers import json_log
from simulation.importers.readers.line_times import (
    NO_TIMES,
    LineFormat,
    LineTimes,
    UnknownFields,
    format_of,
    suspicious_fields,
)
from simulation.importers.requests import NO_TIME, REQUEST_TIME, UPSTREAM_TIME, RequestLog, Wording
from simulation.importers.source import LineTally, Source, shorten_line

KIND = "access log"
_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_DATE = r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}"
_ISO_DATE = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)"
_COMBINED = re.compile(
    rf"^[^\[\]]{{1,2048}}? \[({_DATE}|{_ISO_DATE})\] "
    rf"{_QUOTED} (\d{{3}}) (\d+|-)(?: {_QUOTED} {_QUOTED})?(.*)$"
)
_SIZE, _REST = 4, 7
_MONTHS = {name: number for number, name in enumerate(month_abbr) if name}
_SAMPLE = 400

APACHE_TIME = Wording(
    "Apache's %D",
    has_queueing=True,
    caveat="assumed: how long clients take to read an answer, which %D contains, is service too",
)


def looks_like(head: Sequence[str]) -> bool:
    """Return whether lines are of an access log."""
    return json_log.looks_like(head) or any(_COMBINED.match(line) for line in head[:20])


def read(sources: Sequence[Source]) -> Findings:
    """Return the findings from one or several access logs.

    Raises:
        BadInput: Too many lines are damaged, or the meaning of their times is not known.
    """
    log = RequestLog()
    notes: list[str] = []
    offset_s: float | None = None
    names = ", ".join(source.path.name for source in sources)
    wordings: dict[Wording, Source] = {}
    for source in sources:
        reader = json_log.read if json_log.looks_like(source.head) else _read_combined
        offset, wording = reader(source, log, notes)
        offset_s = offset if offset_s is None else offset_s
        wordings.setdefault(wording, source)
    timed = [wording for wording in wordings if wording is not NO_TIME]
    if len(timed) > 1:
        first, second = (
            f"{wordings[timed_by].path} tells {timed_by.duration}" for timed_by in timed[:2]
        )
        raise BadInput(f"{first} and {second}: durations of two meanings; import one of the two")
    findings = log.findings(KIND, names, timed[0] if timed else NO_TIME, utc_offset_s=offset_s)
    findings.notes += notes
    if not timed:
        findings.notes.append(
            f"{names} does not say how long requests took; nginx does with $request_time and "
            "$upstream_response_time in its log_format, Apache with %D"
        )
    return findings


def _read_combined(
    source: Source, log: RequestLog, notes: list[str]
) -> tuple[float | None, Wording]:
    form = _format_of(source)
    tally = LineTally(source, f"line of an {KIND}")
    offset_s: float | None = None
    for number, line in source.lines():
        match = _COMBINED.match(line)
        moment = None if match is None else _moment(match[1])
        if match is None or moment is None:
            tally.bad(number, line)
            continue
        offset_s = moment[1] if offset_s is None else offset_s
        times = (form and form.parse(match[_REST])) or NO_TIMES
        _add(log, moment[0], int(match[3]), times, form)
        tally.good_count += 1
    notes += filter(None, [tally.note()])
    if form is not None and form.assumption:
        notes.append(
            f"{source.path.name}: {form.assumption}; docs/importing.md says how to name them"
        )
    return offset_s, _wording(form)


def _add(
    log: RequestLog, moment_s: float, status: int, times: LineTimes, form: LineFormat | None
) -> None:
    has_upstream = form is not None and form.has_upstream
    duration_s = times.upstream_s if has_upstream else times.request_s
    whole_s = times.request_s if math.isfinite(times.request_s) else times.upstream_s
    if form is not None and form.is_dated_by_end and math.isfinite(whole_s):
        moment_s -= whole_s
    log.add(moment_s, duration_s, failed=status >= 499, service=times.service, server=times.server)


def _wording(form: LineFormat | None) -> Wording:
    if form is None:
        return NO_TIME
    if form.is_apache:
        return APACHE_TIME
    return UPSTREAM_TIME if form.has_upstream else REQUEST_TIME


def _format_of(source: Source) -> LineFormat | None:
    """Return the format of the lines' ends, judged by the first lines; None without times.

    Raises:
        BadInput: The lines end in fields that may be times, but their meaning or unit is not known.
    """
    matches = [match for match in map(_COMBINED.match, source.head[:_SAMPLE]) if match]
    moments = [moment[0] for moment in (_moment(match[1]) for match in matches) if moment]
    sizes = [int(match[_SIZE]) if match[_SIZE] != "-" else 0 for match in matches]
    form = format_of([match[_REST] for match in matches], moments, sizes)
    if not isinstance(form, UnknownFields):
        return form
    shown = ", ".join(f"{k} = {shorten_line(part)}" for k, part in enumerate(form.fields[:20], 1))
    suspect = shorten_line(suspicious_fields(" " + " ".join(form.fields))[-1].strip('"'))
    unit, short = ("seconds", "s") if "." in suspect else ("milliseconds", "ms")
    raise BadInput(
        f"{source.path}: each line ends in fields without a name that may be times: {shown}: name "
        "the duration with its unit in the log's format (nginx: rt=$request_time "
        "urt=$upstream_response_time; Apache: duration_us=%D), or in this file, here for "
        f"{unit} in the field {suspect}: sed -E 's/{_sed(suspect, form.fields)}/"
        f"duration_{short}=&/' {source.shell_word} > named.log"
    )


def _sed(field: str, fields: Sequence[str]) -> str:
    """Return a pattern that matches a field by its place from the end of the line."""
    bare = [part.strip('"') for part in fields]
    after = len(fields) - 1 - (bare.index(field) if field in bare else len(fields) - 1)
    return f"[^ ]+( [^ ]+){{{after}}}$" if after else "[^ ]+$"


@lru_cache(maxsize=4096)
def _moment(text: str) -> tuple[float, float] | None:
    """Return seconds since 1970 and the UTC offset of ``17/May/2015:10:05:03 +0000`` or an ISO date."""
    if text[4] == "-":
        try:
            when = datetime.fromisoformat(text)
            offset = when.utcoffset()
        except ValueError:
            return None
        return when.timestamp(), 0.0 if offset is None else offset.total_seconds()
    month = _MONTHS.get(text[3:6])
    if month is None:
        return None
    try:
        local = datetime(
            int(text[7:11]), month, int(text[:2]), int(text[12:14]), int(text[15:17]),
            min(59, int(text[18:20])), tzinfo=UTC,
        )  # fmt: skip
    except ValueError:
        return None
    sign = -1 if text[21] == "-" else 1
    offset_s = sign * (int(text[22:24]) * 3600 + int(text[24:26]) * 60)
    return local.timestamp() - offset_s, float(offset_s)
