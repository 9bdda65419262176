"""Meaning and unit of a column's or field's name: a request's duration, a count, a rate, a time.

A name that leaves its meaning or its unit open has none here. Figures under such a name would be a
guess, so readers refuse or leave them out.
"""

from __future__ import annotations

import re

SECOND_UNITS = {
    **dict.fromkeys(("ns", "nanos", "nanosecond", "nanoseconds"), 1e-9),
    **dict.fromkeys(("us", "µs", "μs", "micros", "microsecond", "microseconds"), 1e-6),
    **dict.fromkeys(("ms", "millis", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
}
"""Seconds in one of each unit that a name may end in."""
_PER_S = {"s": 1.0, "sec": 1.0, "second": 1.0, "min": 60.0, "minute": 60.0}
_DURATIONS = {"duration", "durations", "latency", "latencies", "elapsed", "took", "responsetime"}
_DURATIONS_JOINED = {"request", "response", "service", "req", "resp"}
_DURATION_WORDS = _DURATIONS | _DURATIONS_JOINED | {"http", "server", "time", "times"}
_COUNTED = {"request", "requests", "req", "reqs", "hit", "hits", "call", "calls"}
_TIMES = {"time", "timestamp", "date", "datetime", "ts", "start", "end", "arrival", "at", "second"}
_TIME_WORDS = _TIMES | {
    *("seconds", "begin", "started", "ended", "stamp", "utc", "local", "request"),
    *("minute", "hour", "day", "period", "interval"),
}
_DATADOG = re.compile(r"\b(?:hits|requests?)\b[^()]*\.as_(rate|count)\(\)$")


def words_of(name: str) -> list[str]:
    """Words of a name in lower case: of ``responseTimeMs`` and ``Response time (ms)`` alike."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return [word.lower() for word in re.findall(r"[^\W_]+", apart)]


def is_duration(name: str) -> bool:
    """Whether a name tells how long one request took, in whatever unit.

    ``p99_latency_ms`` and ``connect_time`` do not: the one is no single request, the other only a
    part of it.
    """
    words = words_of(name)
    if words and words[-1] in SECOND_UNITS:
        words = words[:-1]
    is_whole = any(word in _DURATIONS for word in words) or (
        len(words) > 1 and words[-1] in ("time", "times") and words[-2] in _DURATIONS_JOINED
    )
    return is_whole and all(word in _DURATION_WORDS for word in words)


def duration_unit_s(name: str) -> float | None:
    """Seconds in the unit that the name of a request's duration ends in; None without one."""
    return unit_s(name) if is_duration(name) else None


def unit_s(name: str) -> float | None:
    """Seconds in the unit that a name ends in; None where it ends in none."""
    words = words_of(name)
    return SECOND_UNITS.get(words[-1]) if words else None


def is_count(name: str) -> bool:
    """Whether a name tells how many requests came in the step of its row.

    ``total_requests`` does not: a total may have counted since the start of the process.
    """
    datadog = _DATADOG.search(name)
    words = [word for word in words_of(name) if word not in ("http", "num", "number", "of")]
    counted = words[:-1] if words[-1:] == ["count"] else words
    return (datadog is not None and datadog[1] == "count") or (
        words == ["count"] or (len(counted) == 1 and counted[0] in _COUNTED and counted != ["req"])
    )


def rate_period_s(name: str) -> float | None:
    """Seconds over which a name's rate of requests counts (1 of ``rps``); None where it is none.

    ``error_rate`` is none, and a bare ``rate`` says neither of what nor over which time.
    """
    datadog = _DATADOG.search(name)
    if datadog is not None and datadog[1] == "rate":
        return 1.0
    words = [word for word in words_of(name) if word != "http"]
    if words in (["rps"], ["qps"], ["rate", "rps"], ["requests", "rps"]):
        return 1.0
    if words == ["rpm"]:
        return 60.0
    if len(words) == 3 and words[1] == "per":
        words = [words[0], words[2]]
    elif "/" not in name:
        return None
    if len(words) == 2 and words[0] in _COUNTED:
        return _PER_S.get(words[1])
    return None


def is_time(name: str) -> bool:
    """Whether a name tells when something was, and not how long it took."""
    words = words_of(name)
    if words and words[-1] in SECOND_UNITS and len(words) > 1:
        words = words[:-1]
    named = any(word in _TIMES or word == "seconds" for word in words)
    return named and all(word in _TIME_WORDS for word in words) and not is_duration(name)
