"""Access logs of web servers: combined, nginx with its times, ingress-nginx, JSON.

Enters: lines. Leaves: requests by second, how long each took where the format says, and the
services and servers that an ingress names.

nginx writes a line when the answer has gone out (``$time_local`` is the end), Apache dates it by
the arrival (``%t``).
"""

from __future__ import annotations

import json
import math
import re
from calendar import month_abbr
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from simulation.importers.findings import Findings
from simulation.importers.requests import RequestLog, Wording
from simulation.importers.source import Source, Tally

KIND = "access log"
_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_COMBINED = re.compile(
    r"^[^\[\]]{1,2048}? \[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] "
    rf"{_QUOTED} (\d{{3}}) (?:\d+|-)(?: {_QUOTED} {_QUOTED})?(.*)$"
)
# $request_length $request_time [$proxy_upstream_name] [$proxy_alternative_upstream_name]
# $upstream_addr $upstream_response_length $upstream_response_time $upstream_status $req_id
_INGRESS = re.compile(
    r"^ \d+ (\d+\.\d+) \[([^\]]*)\] \[[^\]]*\] (\S+(?:, \S+)*) [\d-]+(?:, [\d-]+)* "
    r"([\d.-]+(?:, [\d.-]+)*) [\d-]+(?:, [\d-]+)*(?: \S+)?\s*$"
)
_REQUEST_NAMES = r"(?:rt|request_time|req_time)"
_UPSTREAM_NAMES = r"(?:urt|upstream_response_time|upstream_time|resp_time)"
_NAMED_REQUEST = re.compile(rf"\b{_REQUEST_NAMES}[=:]\s*\"?([\d.]+)")
_NAMED_UPSTREAM = re.compile(rf"\b{_UPSTREAM_NAMES}[=:]\s*\"?([\d., :-]+)")
_DECIMAL_GROUP = re.compile(
    r"(?:^|[\s\"])((?:\d+\.\d{3}|-)(?:(?:, | : )(?:\d+\.\d{3}|-))*)(?=[\s\"]|$)"
)
_LAST_WHOLE = re.compile(r"^(?:.*\s)?(\d+)\s*$")
_MONTHS = {name: number for number, name in enumerate(month_abbr) if name}
_SAMPLE = 400

REQUEST_TIME = Wording(
    "$request_time",
    has_queueing=True,
    caveat="assumed: how long clients take to read an answer, which $request_time contains, is "
    "service too; log $upstream_response_time to leave it out",
)
UPSTREAM_TIME = Wording("$upstream_response_time", has_queueing=True)
APACHE_TIME = Wording(
    "the last field, taken as Apache's %D in microseconds",
    has_queueing=True,
    caveat="assumed: the whole number that ends each line is %D; it contains how long clients take "
    "to read an answer",
)
NO_TIME = Wording("nothing", has_queueing=False)


@dataclass(frozen=True)
class _Times:
    """What the end of a line says: seconds, NaN where it does not."""

    request_s: float = math.nan
    upstream_s: float = math.nan
    service: str = ""
    server: str = ""


def _last_number(text: str) -> float:
    """The last time of a list such as ``0.002, 0.010``: of the server that answered."""
    found = re.findall(r"\d+(?:\.\d+)?", text)
    return float(found[-1]) if found else math.nan


def _ingress(rest: str) -> _Times | None:
    match = _INGRESS.match(rest)
    if match is None:
        return None
    request, service, address, upstream = match.groups()
    server = re.split(r", | : ", address)[-1]
    return _Times(float(request), _last_number(upstream), service, "" if server == "-" else server)


def _named(rest: str) -> _Times | None:
    request, upstream = _NAMED_REQUEST.search(rest), _NAMED_UPSTREAM.search(rest)
    if request is None and upstream is None:
        return None
    return _Times(
        _last_number(request[1]) if request else math.nan,
        _last_number(upstream[1]) if upstream else math.nan,
    )


def _decimals(rest: str) -> _Times | None:
    groups = _DECIMAL_GROUP.findall(rest)
    while groups and "." not in groups[0]:
        del groups[0]  # an empty field before the times, such as $http_x_forwarded_for
    if not groups:
        return None
    upstream = _last_number(groups[1]) if len(groups) > 1 else math.nan
    return _Times(_last_number(groups[0]), upstream)


def _microseconds(rest: str) -> _Times | None:
    match = _LAST_WHOLE.match(rest)
    return None if match is None else _Times(int(match[1]) / 1e6)


_ENDINGS: tuple[Callable[[str], _Times | None], ...] = (_ingress, _named, _decimals, _microseconds)


def looks_like(head: Sequence[str]) -> bool:
    """Whether lines are of an access log."""
    if _json_object(head[0]) is not None:
        return any(_json_time(json_line) is not None for json_line in map(_json_object, head[:20]))
    return any(_COMBINED.match(line) for line in head[:20])


def read(sources: Sequence[Source]) -> Findings:
    """What one or several access logs say together.

    Raises:
        BadInput: Too many lines are no such lines.
    """
    log = RequestLog()
    notes: list[str] = []
    offset_s: float | None = None
    names = ", ".join(source.path.name for source in sources)
    wordings = []
    for source in sources:
        is_json = _json_object(source.head[0]) is not None
        reader = _read_json if is_json else _read_combined
        offset, wording = reader(source, log, notes)
        offset_s = offset if offset_s is None else offset_s
        wordings.append(wording)
    findings = log.findings(KIND, names, wordings[0], utc_offset_s=offset_s)
    findings.notes += notes
    if wordings[0] is NO_TIME:
        findings.notes.append(
            f"{names} does not say how long requests took; nginx does with $request_time and "
            "$upstream_response_time in its log_format, Apache with %D"
        )
    return findings


def _read_combined(
    source: Source, log: RequestLog, notes: list[str]
) -> tuple[float | None, Wording]:
    ending, upstream = _ending_of(source.head)
    wording = NO_TIME
    if ending is not None:
        wording = UPSTREAM_TIME if upstream else REQUEST_TIME
        wording = APACHE_TIME if ending is _microseconds else wording
    ends_at_line = ending not in (None, _microseconds)
    tally = Tally(source, f"line of an {KIND}")
    offset_s: float | None = None
    seen: dict[str, tuple[float, float]] = {}
    for number, line in source.lines():
        match = _COMBINED.match(line)
        moment = None
        if match is not None:
            moment = seen.get(match[1]) or _moment(match[1])
        if match is None or moment is None:
            tally.bad(number, line)
            continue
        if len(seen) > 4096:
            seen.clear()
        seen[match[1]] = moment
        offset_s = moment[1] if offset_s is None else offset_s
        times = (ending(match[6]) if ending else None) or _Times()
        took = times.upstream_s if upstream else times.request_s
        whole = times.request_s if math.isfinite(times.request_s) else times.upstream_s
        begun = moment[0] - whole if ends_at_line and math.isfinite(whole) else moment[0]
        status = int(match[3])
        log.add(
            begun,
            took,
            failed=status >= 499,
            service="" if times.service == "-" else times.service,
            server=times.server,
        )
        tally.good_count += 1
    notes += filter(None, [tally.note()])
    return offset_s, wording


def _ending_of(
    head: Sequence[str],
) -> tuple[Callable[[str], _Times | None] | None, bool]:
    """How the lines end, and whether they tell the upstream's time: by most of the first lines."""
    rests = [match[6] for match in map(_COMBINED.match, head[:_SAMPLE]) if match]
    for ending in _ENDINGS:
        found = [one for one in map(ending, rests) if one is not None]
        if len(found) <= len(rests) / 2:
            continue
        if (
            ending is _microseconds
            and sorted(one.request_s for one in found)[len(found) // 2] < 1e-4
        ):
            return None, False  # small whole numbers are no microseconds
        return ending, any(math.isfinite(one.upstream_s) for one in found)
    return None, False


def _moment(text: str) -> tuple[float, float] | None:
    """Seconds since 1970 and the zone's offset of ``17/May/2015:10:05:03 +0000``."""
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


# ------------------------------------------------------------------------ JSON

_TIME_KEYS = (
    "msec", "time_iso8601", "@timestamp", "timestamp", "time", "ts", "StartUTC", "start_time",
    "time_local",
)  # fmt: skip
_UPSTREAM_KEYS = {
    "upstream_response_time": 1.0,  # nginx, seconds
    "OriginDuration": 1e-9,  # Traefik, nanoseconds
    "upstream_service_time": 1e-3,  # Envoy, milliseconds
}
_REQUEST_KEYS = {
    "request_time": 1.0,
    "Duration": 1e-9,
    "duration_ms": 1e-3,
    "response_time_ms": 1e-3,
}
_CADDY_OR_ENVOY = {"ts": 1.0, "start_time": 1e-3}
"""The unit of ``duration`` by the key that tells the time: Caddy's seconds, Envoy's ms."""
_AT_THE_START = {"StartUTC", "start_time"}
_STATUS_KEYS = ("status", "response_code", "DownstreamStatus", "OriginStatus", "statusCode")


def _json_object(line: str) -> dict[str, Any] | None:
    if not line.lstrip().startswith("{"):
        return None
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _json_time(line: dict[str, Any] | None) -> tuple[str, float, float] | None:
    """The key that tells the time, seconds since 1970, the zone's offset."""
    for key in _TIME_KEYS:
        value = (line or {}).get(key)
        if isinstance(value, str) and re.fullmatch(r"\d{9,10}\.\d+", value):
            value = float(value)
        if isinstance(value, bool) or value is None:
            continue
        if isinstance(value, int | float):
            if 1e8 < value < 1e11:
                return key, float(value), 0.0
            continue
        moment = _moment(value) if re.fullmatch(r"\d\d/\w{3}/\d{4}:.{14}", str(value)) else None
        if moment is not None:
            return key, *moment
        try:
            when = datetime.fromisoformat(str(value))
        except ValueError:
            continue
        zone = when.utcoffset()
        offset_s = zone.total_seconds() if zone is not None else 0.0
        return key, when.replace(tzinfo=when.tzinfo or UTC).timestamp(), offset_s
    return None


def _json_seconds(line: dict[str, Any], units: dict[str, float]) -> float:
    for key, unit in units.items():
        value = line.get(key)
        if isinstance(value, str):
            return _last_number(value) * unit
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value * unit
    return math.nan


def _read_json(source: Source, log: RequestLog, notes: list[str]) -> tuple[float | None, Wording]:
    tally = Tally(source, f"line of an {KIND} in JSON")
    lines = [one for one in map(_json_object, source.head[:_SAMPLE]) if one is not None]
    time_key = next((found[0] for found in map(_json_time, lines) if found), "")
    request_keys = dict(_REQUEST_KEYS)
    if time_key in _CADDY_OR_ENVOY:
        request_keys["duration"] = _CADDY_OR_ENVOY[time_key]
    upstream = any(math.isfinite(_json_seconds(line, _UPSTREAM_KEYS)) for line in lines)
    timed = any(math.isfinite(_json_seconds(line, request_keys)) for line in lines)
    offset_s: float | None = None
    for number, text in source.lines():
        line = _json_object(text)
        found = _json_time(line)
        if line is None or found is None:
            tally.bad(number, text)
            continue
        key, moment_s, offset = found
        offset_s = offset if offset_s is None else offset_s
        try:
            request_s = _json_seconds(line, request_keys)
            took = _json_seconds(line, _UPSTREAM_KEYS) if upstream else request_s
        except TypeError:
            tally.bad(number, text)
            continue
        whole = request_s if math.isfinite(request_s) else took
        ended = key not in _AT_THE_START and math.isfinite(whole)
        status = next((line[one] for one in _STATUS_KEYS if one in line), 200)
        log.add(
            moment_s - whole if ended else moment_s,
            took,
            failed=str(status).isdecimal() and int(status) >= 499,
        )
        tally.good_count += 1
    notes += filter(None, [tally.note()])
    return offset_s, UPSTREAM_TIME if upstream else REQUEST_TIME if timed else NO_TIME
