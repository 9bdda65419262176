"""Access logs in JSON with one object per line: nginx, Caddy, Traefik, Envoy, or fields with a unit.

A line is a request when it has a time, and a status or a method with a path, under known names. An
application's message may have a time and a status too, so a line with a message is a request only when
it has both status and method with path. Caddy logs a failed request twice, by ``http.log.error`` and by
``http.log.access``: only the second counts.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from executor.base.errors import BadInput
from simulation.importers.frame import parse_date
from simulation.importers.names import duration_unit_s, is_duration
from simulation.importers.readers.line_times import last_time
from simulation.importers.requests import NO_TIME, REQUEST_TIME, UPSTREAM_TIME, RequestLog, Wording
from simulation.importers.source import LineTally, Source, shorten_line

_SAMPLE = 400
_TIME_KEYS = (
    "msec", "time_iso8601", "@timestamp", "timestamp", "StartUTC", "time", "ts", "start_time",
    "time_local",
)  # fmt: skip
_DATED_BY_BEGIN = {"StartUTC", "start_time"}
_STATUS_KEYS = (
    "status", "response_code", "DownstreamStatus", "OriginStatus", "statusCode", "status_code",
    "http_status",
)  # fmt: skip
_METHOD_KEYS = ("method", "request_method", "RequestMethod", "http_method", ":method")
_PATH_KEYS = (
    *("path", "uri", "request_uri", "RequestPath", "url", "http_path", ":path"),
    *("x-envoy-origin-path", "x_envoy_origin_path", "request_path"),
)
_MESSAGE_KEYS = ("msg", "message", "event")
_LOGGED_BY_CADDY = "http.log."
_REQUEST_LINE = re.compile(r"^[A-Z]{3,10} \S+")
_NGINX_TIME = re.compile(r"^\d+\.\d{3}$|^-$")
_SHOWN_FIELDS = 20

Line = dict[str, Any]


@dataclass(frozen=True)
class _Field:
    """A field that contains a duration.

    Attributes:
        key: The name of the field.
        unit_s: The unit of the field, in seconds.
        is_nginx: Whether nginx writes the field: a text with three decimals, or a list of such.
        is_fractional: Whether only numbers with a fraction are known to be seconds.
    """

    key: str
    unit_s: float
    is_nginx: bool = False
    is_fractional: bool = False

    def seconds(self, line: Line) -> float:
        """Return the duration in a line, in seconds; NaN where it is absent or of another type."""
        value = line.get(self.key)
        if isinstance(value, bool):
            return math.nan
        if isinstance(value, str) and not self.is_nginx:
            value = int(value) if re.fullmatch(r"[0-9]{1,18}", value) else None
        if isinstance(value, str):
            parts = re.split(r", | : ", value)
            return last_time(value) if all(map(_NGINX_TIME.match, parts)) else math.nan
        if self.is_fractional and isinstance(value, int) and value != 0:
            return math.nan  # a whole number may be milliseconds or anything else
        return float(value) * self.unit_s if isinstance(value, int | float) else math.nan


@dataclass(frozen=True)
class _Fields:
    """The fields of one format that contain durations."""

    request: tuple[_Field, ...] = ()
    upstream: tuple[_Field, ...] = ()


_NGINX = _Fields(
    (_Field("request_time", 1.0, is_nginx=True, is_fractional=True),),
    (_Field("upstream_response_time", 1.0, is_nginx=True, is_fractional=True),),
)
_CADDY = _Fields((_Field("duration", 1.0, is_fractional=True),))
_TRAEFIK = _Fields((_Field("Duration", 1e-9),), (_Field("OriginDuration", 1e-9),))
_ENVOY = _Fields(
    (_Field("duration", 1e-3),),
    tuple(
        _Field(key, 1e-3)
        for key in (
            "upstream_service_time",
            "x_envoy_upstream_service_time",
            "x-envoy-upstream-service-time",
        )
    ),
)


def parse_object(line: str) -> Line | None:
    """Return the JSON object of a line; None for any other line."""
    if not line.lstrip("\ufeff ").startswith("{"):
        return None
    try:
        data = json.loads(line.lstrip("\ufeff"))
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def looks_like(head: Sequence[str]) -> bool:
    """Return whether some lines are requests as JSON objects."""
    return any(line is not None and is_request(line) for line in map(parse_object, head[:_SAMPLE]))


def is_request(line: Line) -> bool:
    """Return whether an object is a request of an access log."""
    if _time_of(line) is None:
        return False
    logger = line.get("logger")
    if isinstance(logger, str) and logger.startswith(_LOGGED_BY_CADDY):
        return logger.startswith("http.log.access")
    has_status = _status_of(line) is not None
    has_target = _has_target(line)
    if any(line.get(key) for key in _MESSAGE_KEYS):
        return has_status and has_target
    return has_status or has_target


def _status_of(line: Line) -> int | None:
    for key in _STATUS_KEYS:
        value = line.get(key)
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,3}", value):
            value = int(value)
        if type(value) is int and (value == 0 or 100 <= value <= 599):
            return value
    return None


def _has_target(line: Line) -> bool:
    request = line.get("request")
    if isinstance(request, str):
        return _REQUEST_LINE.match(request) is not None
    places = [line, request] if isinstance(request, dict) else [line]
    return any(
        any(isinstance(place.get(key), str) for key in _METHOD_KEYS)
        and any(isinstance(place.get(key), str) for key in _PATH_KEYS)
        for place in places
    )


def _time_of(line: Line) -> tuple[str, float, float] | None:
    """Return the key of a line's time, the time in seconds since 1970, and the UTC offset."""
    for key in _TIME_KEYS:
        value = line.get(key)
        if isinstance(value, str) and re.fullmatch(r"\d{9,10}\.\d+", value):
            value = float(value)
        if isinstance(value, bool) or value is None:
            continue
        if isinstance(value, int | float):
            if 1e8 < value < 1e11:
                return key, float(value), 0.0
            if 1e11 < value < 1e14:
                return key, float(value) / 1e3, 0.0
            continue
        moment = _parse_moment(str(value))
        if moment is not None:
            return key, *moment
    return None


def _parse_moment(text: str) -> tuple[float, float] | None:
    try:
        when = datetime.strptime(text, "%d/%b/%Y:%H:%M:%S %z") if "/" in text else parse_date(text)
    except ValueError:
        return None
    if when is None:
        return None
    zone = when.utcoffset()
    try:
        seconds = when.replace(tzinfo=when.tzinfo or UTC).timestamp()
    except (OverflowError, ValueError):
        return None
    return seconds, zone.total_seconds() if zone is not None else 0.0


def _fields_of(lines: Sequence[Line]) -> _Fields:
    """Return the fields with durations, by the marks of the program that wrote the lines."""
    signs: tuple[tuple[_Fields, Callable[[Line], bool]], ...] = (
        (_CADDY, lambda line: str(line.get("logger", "")).startswith(_LOGGED_BY_CADDY)),
        (_TRAEFIK, lambda line: "StartUTC" in line or "DownstreamStatus" in line),
        (_ENVOY, lambda line: "start_time" in line and "response_code" in line),
    )
    for fields, has_sign in signs:
        if sum(map(has_sign, lines)) > len(lines) / 2:
            return fields
    named: dict[str, _Field] = {}
    for key in dict.fromkeys(key for line in lines for key in line):
        unit_s = duration_unit_s(key)
        if unit_s is not None:
            named[key] = _Field(key, unit_s)
    return _Fields((*_NGINX.request, *named.values()), _NGINX.upstream)


def _first_known(fields: Sequence[_Field], lines: Sequence[Line]) -> _Field | None:
    """Return the field that has a duration in most lines, None without such a field."""
    counts = [sum(math.isfinite(field.seconds(line)) for line in lines) for field in fields]
    most = max(counts, default=0)
    return fields[counts.index(most)] if most > len(lines) / 2 else None


def read(source: Source, log: RequestLog, notes: list[str]) -> tuple[float | None, Wording]:
    """Add the requests of one file; return the UTC offset and the meaning of the durations.

    Raises:
        BadInput: A field may be a duration but its name has no unit, or too many lines are damaged.
    """
    objects = [line for line in map(parse_object, source.head[:_SAMPLE]) if line is not None]
    lines = [line for line in objects if is_request(line)]
    fields = _fields_of(lines)
    request, upstream = _first_known(fields.request, lines), _first_known(fields.upstream, lines)
    if request is None and upstream is None:
        _refuse_unknown_unit(source, lines)
    tally = LineTally(source, "line of an access log in JSON")
    offset_s: float | None = None
    for number, text in source.lines():
        line = parse_object(text)
        if line is None:
            tally.bad(number, text)
            continue
        if not is_request(line):
            tally.other(number, text)
            continue
        moment = _time_of(line)
        assert moment is not None
        key, moment_s, offset = moment
        offset_s = offset if offset_s is None else offset_s
        request_s = request.seconds(line) if request else math.nan
        upstream_s = upstream.seconds(line) if upstream else math.nan
        whole_s = request_s if math.isfinite(request_s) else upstream_s
        if key not in _DATED_BY_BEGIN and math.isfinite(whole_s):
            moment_s -= whole_s
        status = _status_of(line)
        log.add(
            moment_s,
            upstream_s if upstream else request_s,
            failed=status is not None and (status >= 499 or status == 0),
        )
        tally.good_count += 1
    notes += filter(None, [tally.note(), tally.other_note()])
    return offset_s, UPSTREAM_TIME if upstream else REQUEST_TIME if request else NO_TIME


def _refuse_unknown_unit(source: Source, lines: Sequence[Line]) -> None:
    for line in lines:
        for key, value in line.items():
            if is_duration(key) and isinstance(value, int | float | str) and value not in ("", "-"):
                raise BadInput(
                    f"{source.path}: {key} = {value}: the name does not say in which unit; found: "
                    f"{fields_text(line)}: name the field with its unit, here for milliseconds: "
                    f'sed \'s/"{key}"/"duration_ms"/\' {source.shell_word} > named.log'
                )


def fields_text(line: Line) -> str:
    """Return every field with its value, for a message."""
    shown = [f"{key} = {shorten_line(json.dumps(value))}" for key, value in line.items()]
    rest = len(shown) - _SHOWN_FIELDS
    return "; ".join(shown[:_SHOWN_FIELDS]) + (f"; and {rest} more" if rest > 0 else "")
