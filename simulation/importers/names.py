"""The meaning and unit of the name of a column or field: duration, count, rate or time.

A name whose meaning or unit is open has none here. A reader refuses such a column or leaves it out,
because its figures would be a guess.
"""

from __future__ import annotations

import re

SECOND_UNITS = {
    **dict.fromkeys(("ns", "nanos", "nanosecond", "nanoseconds"), 1e-9),
    **dict.fromkeys(("us", "µs", "μs", "micros", "microsecond", "microseconds"), 1e-6),
    **dict.fromkeys(("ms", "millis", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
}
"""The units that a name may end in, in seconds."""
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
    """Return the words of a name in lower case, the same for ``responseTimeMs`` and ``Response time (ms)``."""
    separated = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return [word.lower() for word in re.findall(r"[^\W_]+", separated)]


def is_duration(name: str) -> bool:
    """Return whether a name means the duration of one request, in any unit.

    ``p99_latency_ms`` does not, because it is not of a single request; nor does ``connect_time``,
    because it is only a part of the duration.
    """
    words = words_of(name)
    if words and words[-1] in SECOND_UNITS:
        words = words[:-1]
    is_whole = any(word in _DURATIONS for word in words) or (
        len(words) > 1 and words[-1] in ("time", "times") and words[-2] in _DURATIONS_JOINED
    )
    return is_whole and all(word in _DURATION_WORDS for word in words)


def duration_unit_s(name: str) -> float | None:
    """Return the unit, in seconds, of a name that means a request's duration; None without a unit."""
    return unit_s(name) if is_duration(name) else None


def unit_s(name: str) -> float | None:
    """Return the unit that a name ends in, in seconds; None without a unit."""
    words = words_of(name)
    return SECOND_UNITS.get(words[-1]) if words else None


def is_count(name: str) -> bool:
    """Return whether a name means the number of requests in the step of its row.

    ``total_requests`` does not, because a total may count since the start of the process.
    """
    datadog = _DATADOG.search(name)
    words = [word for word in words_of(name) if word not in ("http", "num", "number", "of")]
    counted = words[:-1] if words[-1:] == ["count"] else words
    return (datadog is not None and datadog[1] == "count") or (
        words == ["count"] or (len(counted) == 1 and counted[0] in _COUNTED and counted != ["req"])
    )


def rate_period_s(name: str) -> float | None:
    """Return the period of a name that means a rate of requests, in seconds (``rps``: 1), else None.

    ``error_rate`` is not such a name. Neither is ``rate`` alone, which has neither object nor period.
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
    """Return whether a name means a point in time, not a duration."""
    words = words_of(name)
    if words and words[-1] in SECOND_UNITS and len(words) > 1:
        words = words[:-1]
    named = any(word in _TIMES or word == "seconds" for word in words)
    return named and all(word in _TIME_WORDS for word in words) and not is_duration(name)
