"""Times at the end of an access log's line: their meaning and unit.

A field is used when its name and unit are known: in the formats of ingress-nginx and Traefik, and where
the field has a name. nginx writes times in seconds with three decimals, so one or two times without a
name, and the four of nginx's documentation, are recognised by their place. This assumption is checked:
connect ≤ header ≤ response ≤ request time must hold.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from simulation.importers.names import duration_unit_s

# $request_length $request_time [$proxy_upstream_name] [$proxy_alternative_upstream_name]
# $upstream_addr $upstream_response_length $upstream_response_time $upstream_status $req_id
_INGRESS = re.compile(
    r"^ \d+ (\d+\.\d+) \[([^\]]*)\] \[[^\]]*\] (\S+(?:, \S+)*) [\d-]+(?:, [\d-]+)* "
    r"([\d.-]+(?:, [\d.-]+)*) [\d-]+(?:, [\d-]+)*(?: \S+)?\s*$"
)
# RequestCount "RouterName" "ServiceURL" Duration, as Traefik's default format ends
_TRAEFIK = re.compile(r'^ (?:\d+|-) "([^"]*)" "([^"]*)" (\d+)ms\s*$')
_DECIMAL = r"(?:\d+\.\d{3}|-)"
_TIME_LIST = rf"{_DECIMAL}(?:(?:, | : ){_DECIMAL})*"
_NGINX_NAMED = re.compile(
    r"(?<![\w$])(rt|request_time|req_time|urt|upstream_response_time)\s*[=:]\s*"
    rf"\"?({_TIME_LIST})(?![\d.])"
)
_NAMED = re.compile(r"(?<![\w$])\"?([A-Za-z]\w*)\"?\s*[=:]\s*\"?(\d+(?:\.\d+)?)(?![\w.])")
_FIELD = re.compile(rf'"(?:[^"\\]|\\.)*"|\[[^\]]*\]|(?<![^\s]){_TIME_LIST}(?!\S)|\S+')
_NGINX_TIMES = re.compile(rf"^{_TIME_LIST}$")
_NUMBER = re.compile(r"^-?\d+(?:\.\d+)?(?:ns|us|µs|ms|s)?$")
_TIME_NAME = re.compile(r"time|dur|elapsed|latency|took|rt|ttfb|_(?:ns|us|ms|s)$", re.I)
_ROUNDING_S = 0.0025
"""Maximum difference by which two times may be out of order: nginx rounds each to a millisecond."""
_LONGEST_S = 1e6
"""Maximum of a time in seconds; a larger number is a date since 1970 ($msec)."""
_LEAST_SHARE = 0.5
"""Minimum of the second time over the first; a smaller one may be the time to connect."""
_SHORTEST_APACHE = 10_000
"""Minimum median of whole numbers that are microseconds: as milliseconds they would mean 10 s."""
_HEADER_BYTES = 2048
_MOST_BACK_S = 2.0


@dataclass(frozen=True)
class LineTimes:
    """The times and names at the end of one line.

    Attributes:
        request_s: The time from the request's first byte to the answer's last; NaN if absent.
        upstream_s: The time of the upstream server; NaN if absent.
        service: The service of that server; empty if absent.
        server: The server that answered; empty if absent.
    """

    request_s: float = math.nan
    upstream_s: float = math.nan
    service: str = ""
    server: str = ""


NO_TIMES = LineTimes()
Ending = Callable[[str], LineTimes | None]


@dataclass(frozen=True)
class LineFormat:
    """The format of the ends of a log's lines.

    Attributes:
        parse: Returns the times at the end of a line; None where it has none.
        has_upstream: Whether the upstream's time is among them.
        is_dated_by_end: Whether the line's date is the end of the answer.
        assumption: The assumption about the fields, ``assumed: …``; empty where they have names.
        is_apache: Whether the time is Apache's ``%D``.
    """

    parse: Ending
    has_upstream: bool
    is_dated_by_end: bool = True
    assumption: str = ""
    is_apache: bool = False


@dataclass(frozen=True)
class UnknownFields:
    """Fields at the end of the lines that may be times, without a known name and unit.

    Attributes:
        fields: The fields of the first such line, in their order.
    """

    fields: tuple[str, ...]


def last_time(text: str) -> float:
    """Return the last time of a list such as ``0.002, 0.010``, that of the server that answered.

    NaN for a list without a time.
    """
    times = re.findall(r"\d+(?:\.\d+)?", text)
    return float(times[-1]) if times else math.nan


def _ingress(rest: str) -> LineTimes | None:
    match = _INGRESS.match(rest)
    if match is None:
        return None
    request, service, address, upstream = match.groups()
    server = re.split(r", | : ", address)[-1]
    service, server = service.removeprefix("-"), "" if server == "-" else server
    return LineTimes(float(request), last_time(upstream), service, server)


def _traefik(rest: str) -> LineTimes | None:
    match = _TRAEFIK.match(rest)
    if match is None:
        return None
    router, server, took_ms = match.groups()
    router, server = router.removeprefix("-"), server.removeprefix("-")
    return LineTimes(int(took_ms) / 1e3, math.nan, router, server if router else "")


def _named(rest: str) -> LineTimes | None:
    request_s = upstream_s = math.nan
    for name, text in _NGINX_NAMED.findall(rest):
        if name.startswith("u"):
            upstream_s = last_time(text)
        else:
            request_s = last_time(text)
    for name, number in _NAMED.findall(rest):
        unit = duration_unit_s(name.replace("upstream_", ""))
        if unit is not None and name.startswith("upstream_"):
            upstream_s = float(number) * unit
        elif unit is not None:
            request_s = float(number) * unit
    times = LineTimes(request_s, upstream_s)
    return None if math.isnan(request_s) and math.isnan(upstream_s) else times


def _unnamed(rest: str) -> list[str]:
    """Return the times of nginx without a name, in their order, from the first that has a value."""
    fields = [field.strip('"') for field in _FIELD.findall(rest)]
    times = [field for field in fields if _NGINX_TIMES.match(field)]
    while times and "." not in times[0]:
        del times[0]  # an empty field before the times, such as $http_x_forwarded_for
    return times


def _one_unnamed(rest: str) -> LineTimes | None:
    times = _unnamed(rest)
    return LineTimes(last_time(times[0])) if times else None


def _two_unnamed(rest: str) -> LineTimes | None:
    times = _unnamed(rest)
    return LineTimes(last_time(times[0]), last_time(times[1])) if len(times) > 1 else None


def _four_unnamed(rest: str) -> LineTimes | None:
    times = _unnamed(rest)
    return LineTimes(last_time(times[0]), last_time(times[3])) if len(times) > 3 else None


def _whole_numbers(rest: str) -> list[int]:
    """Return the whole numbers that are fields of their own, quoted or not."""
    fields = (field.strip('"') for field in _FIELD.findall(rest))
    return [int(field) for field in fields if field.isascii() and field.isdecimal()]


def _microseconds(rest: str) -> LineTimes | None:
    numbers = _whole_numbers(rest)
    return LineTimes(numbers[0] / 1e6) if numbers else None


def format_of(
    rests: Sequence[str], moments_s: Sequence[float], sizes: Sequence[int]
) -> LineFormat | UnknownFields | None:
    """Return the format of most lines' ends; None where nothing there may be a time.

    Args:
        rests: The text after the known part of each line.
        moments_s: The date of each line, in seconds since 1970.
        sizes: The size of each answer, in bytes.
    """
    for ending, is_dated_by_end in ((_ingress, True), (_traefik, False), (_named, True)):
        parsed = [times for times in map(ending, rests) if times is not None]
        if len(parsed) > len(rests) / 2:
            has_upstream = any(math.isfinite(times.upstream_s) for times in parsed)
            return LineFormat(ending, has_upstream, is_dated_by_end)
    suspects = [rest for rest in rests if suspicious_fields(rest)]
    if len(suspects) <= len(rests) / 2:
        return None
    known = _nginx_format(rests) or _apache_format(rests, moments_s, sizes)
    return known or UnknownFields(tuple(_FIELD.findall(suspects[0])))


def suspicious_fields(rest: str) -> list[str]:
    """Return the fields that may be a time: a number on its own, or one with a name of a time."""
    alone = [
        field
        for field in _FIELD.findall(rest)
        if _NUMBER.match(field.strip('"')) or ("." in field and _NGINX_TIMES.match(field))
    ]
    return alone + [name for name, _ in _NAMED.findall(rest) if _TIME_NAME.search(name)]


def _nginx_format(rests: Sequence[str]) -> LineFormat | None:
    """Return the format of one, two or four unnamed times of nginx, if their order allows it."""
    rows = [times for times in map(_unnamed, rests) if times]
    counts = {len(times) for times in rows}
    if len(rows) <= len(rests) / 2 or len(counts) != 1:
        return None
    columns = [[last_time(times[k]) for times in rows] for k in range(counts.pop())]
    if any(value > _LONGEST_S for column in columns for value in column):
        return None
    if len(columns) == 1:
        assumption = "assumed: the one number with three decimals is $request_time"
        return LineFormat(_one_unnamed, False, assumption=assumption)
    if len(columns) == 2 and _is_ordered(columns[1], columns[0]):
        if _median(columns[1]) < _LEAST_SHARE * _median(columns[0]):
            return None
        assumption = "assumed: the two numbers are $request_time $upstream_response_time"
        return LineFormat(_two_unnamed, True, assumption=assumption)
    request, *upstream = columns
    if len(columns) == 4 and all(map(_is_ordered, upstream, [*upstream[1:], request])):
        assumption = (
            "assumed: the four numbers are $request_time $upstream_connect_time "
            "$upstream_header_time $upstream_response_time, whose order they have"
        )
        return LineFormat(_four_unnamed, True, assumption=assumption)
    return None


def _is_ordered(shorter: Sequence[float], longer: Sequence[float]) -> bool:
    pairs = list(zip(shorter, longer, strict=True))
    return not any(one > other + _ROUNDING_S for one, other in pairs)  # NaN is in any order


def _median(values: Sequence[float]) -> float:
    known = sorted(value for value in values if math.isfinite(value))
    return known[len(known) // 2] if known else math.nan


def _apache_format(
    rests: Sequence[str], moments_s: Sequence[float], sizes: Sequence[int]
) -> LineFormat | None:
    """Return the format of Apache's ``%D``, if one whole number per line can be nothing else.

    As milliseconds the numbers would mean requests of more than ten seconds. Apache writes a line when
    a request ends and dates it by the request's begin, so the dates would then often go back in time.
    A number of bytes (``%O``) would be the answer's size plus its header's.
    """
    lines = list(zip(map(_whole_numbers, rests), sizes, strict=True))
    if any(len(numbers) > 1 for numbers, _ in lines):
        return None
    known = [(numbers[0], size) for numbers, size in lines if numbers]
    if len(known) <= len(rests) / 2 or _median([n for n, _ in known]) < _SHORTEST_APACHE:
        return None
    if sum(size <= n <= size + _HEADER_BYTES for n, size in known) > len(known) / 2:
        return None
    latest, back = -math.inf, 0
    for moment_s in moments_s:
        back += moment_s < latest - _MOST_BACK_S
        latest = max(latest, moment_s)
    if back > len(moments_s) / 20:
        return None
    assumption = "assumed: the one whole number is %D, in microseconds"
    return LineFormat(_microseconds, False, False, assumption, is_apache=True)
