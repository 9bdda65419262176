"""Answers of Prometheus to a range query: counters of requests, histograms and summaries.

Only the metric's name says what an answer means; by Prometheus's convention the name ends in the unit
(https://prometheus.io/docs/practices/naming/). Answers of ``rate()``, ``increase()`` and
``histogram_quantile()`` have no name and cannot be told apart, so they are refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from executor.base.errors import BadInput
from simulation.importers.findings import (
    UNNAMED,
    Arrivals,
    Durations,
    Finding,
    Findings,
    ServiceFindings,
)
from simulation.importers.fitting import seconds_text
from simulation.importers.names import SECOND_UNITS
from simulation.importers.series import Series, on_grid
from simulation.importers.source import Source
from simulation.scenario.units import Floats

KIND = "Prometheus range query"
_DRAWN_COUNT = 2000
"""Number of durations that represent a histogram."""
_ABOUT_REQUESTS = re.compile(r"request|response|http|(?:^|_)rq(?:_|$)|rpc|latency|server|handling")
_COUNTER = re.compile(
    r"(?:requests?|rq)(?:_total)?$"
    r"|(?:requests?|response|rq|handling|handled)_?\w*_(?:seconds|milliseconds|ms)_count$"
    r"|(?:handled|started)_total$"
)
_NO_REQUESTS = re.compile(
    r"error|fail|bytes|size|flight|active|pending|queue|retr|timeout|drop|reject|resource|limit"
    r"|waiting|concurren"
)
# A recording rule is named level:metric:operations, https://prometheus.io/docs/practices/rules/
_RECORDED_RATE = re.compile(r"^\w*:\w*requests?\w*:(?:\w+_)?rate\d+[smh]$")
_RATE_NAME = re.compile(r"requests?_per_second$|(?:^|[_:])(?:rps|qps)$")
_UNIT = re.compile(r"_(seconds|milliseconds|ms|microseconds|us|nanoseconds|ns)(?:_bucket)?$")
_MOST_FALLS = 0.1
"""Maximum fraction of steps in which a counter may fall: restarts are rarer than this."""
_ASK = (
    "query a counter by its name, such as http_requests_total or "
    "http_request_duration_seconds_bucket, without rate(), increase(), sum() or "
    "histogram_quantile(), which drop the name"
)


def looks_like(head: Sequence[str]) -> bool:
    """Return whether the beginning is that of an answer of Prometheus."""
    begin = "".join(head[:50])[:4000]
    return begin.lstrip().startswith("{") and '"resultType"' in begin


def read(sources: Sequence[Source]) -> Findings:
    """Return the findings from one answer.

    Raises:
        BadInput: The answer is not a matrix, or its values are neither rates, counts nor durations.
    """
    (source,) = sources
    matrix = _matrix(source)
    name = source.path.name
    labels = [series["metric"] for series in matrix]
    findings = Findings(KIND, name)
    service = ServiceFindings()
    if all("le" in metric for metric in labels):
        _histogram(source, matrix, service)
    elif all("quantile" in metric for metric in labels):
        _quantiles(source, matrix, service)
    else:
        _rates(source, matrix, service, findings.notes)
    findings.services[UNNAMED] = service
    return findings


def _matrix(source: Source) -> list[dict[str, Any]]:
    answer = source.json()
    status = answer.get("status") if isinstance(answer, dict) else None
    if status != "success":
        reason = answer.get("error", status) if isinstance(answer, dict) else "no object"
        raise BadInput(f"{source.path}: is no successful answer of Prometheus: {reason}")
    data = answer.get("data")
    kind = data.get("resultType") if isinstance(data, dict) else None
    if kind != "matrix":
        raise BadInput(
            f"{source.path}: data.resultType: {kind}: must be matrix, as /api/v1/query_range answers"
        )
    matrix = data.get("result")
    if not isinstance(matrix, list) or not matrix:
        raise BadInput(f"{source.path}: data.result: is empty: the query found nothing")
    for k, series in enumerate(matrix):
        if not isinstance(series, dict) or not isinstance(series.get("metric"), dict):
            raise BadInput(f"{source.path}: data.result[{k}]: must have metric and values")
        try:
            series["values"] = [
                (float(when), float(value)) for when, value in series.get("values", [])
            ]
        except (TypeError, ValueError):
            raise BadInput(
                f"{source.path}: data.result[{k}].values: must be pairs of a time and a number"
            ) from None
    return matrix


def _grid(matrix: Sequence[dict[str, Any]]) -> tuple[Floats, Floats]:
    """Return all times, shape (n,), and the values of each series, shape (series, n), or NaN."""
    times = np.unique([when for series in matrix for when, _ in series["values"]])
    values = np.full((len(matrix), len(times)), np.nan)
    for k, series in enumerate(matrix):
        at = [when for when, _ in series["values"]]
        values[k, np.searchsorted(times, at)] = [value for _, value in series["values"]]
    return times, values


def _sum_known(values: Floats) -> Floats:
    """Return the sum over the series; NaN where no series has a value (labels come and go)."""
    known = np.isfinite(values)
    return np.where(known.any(axis=0), np.where(known, values, 0.0).sum(axis=0), np.nan)


def _grown(values: Floats) -> Floats:
    """Return the growth of counters between two times; after a restart, the new count."""
    change = np.diff(values, axis=1)
    return np.where(change < 0, values[:, 1:], change)


def _name_of(source: Source, matrix: Sequence[dict[str, Any]]) -> str:
    """Return the name of the metric.

    Raises:
        BadInput: The series have no name, or several names.
    """
    names = sorted({str(series["metric"].get("__name__", "")) for series in matrix})
    if names == [""]:
        labels = ", ".join(f"{k}={v}" for k, v in list(matrix[0]["metric"].items())[:10])
        values = ", ".join(f"{value:g}" for _, value in matrix[0]["values"][:2])
        raise BadInput(
            f"{source.path}: the metric's name is not in the answer, so neither what is counted "
            f"nor its unit is known; found: {{{labels}}} = {values}: {_ASK}"
        )
    if len(names) > 1:
        raise BadInput(f"{source.path}: holds several metrics, {', '.join(names[:10])}: query one")
    return names[0]


def _unit_s(source: Source, name: str) -> float:
    """Return the unit that a metric's name ends in, in seconds.

    Raises:
        BadInput: The name has no unit, or is not about requests.
    """
    match = _UNIT.search(name)
    if match is None or not _ABOUT_REQUESTS.search(name) or _NO_REQUESTS.search(name):
        raise BadInput(
            f"{source.path}: {name}: the name does not say that it is how long requests took, and "
            f"in which unit, as in http_request_duration_seconds_bucket: {_ASK}"
        )
    return SECOND_UNITS[match[1]]


def _rates(
    source: Source, matrix: Sequence[dict[str, Any]], findings: ServiceFindings, notes: list[str]
) -> None:
    name = _name_of(source, matrix)
    times, values = _grid(matrix)
    is_counter = bool(_COUNTER.search(name)) and not _NO_REQUESTS.search(name)
    is_rate = bool(_RECORDED_RATE.search(name) or _RATE_NAME.search(name))
    if not is_counter and (not is_rate or _NO_REQUESTS.search(name)):
        raise BadInput(
            f"{source.path}: {name}: the name does not say that it counts requests: {_ASK}"
        )
    if len(times) < 2:
        raise BadInput(f"{source.path}: holds one moment; a rate needs at least two")
    if is_counter:
        _must_grow(source, name, values)
        # The growth between two times belongs to the interval that begins at the first.
        per_s = _sum_known(_grown(values)) / np.diff(times)
        begin = times[:-1]
    else:
        per_s, begin = _sum_known(values), times
    if not np.isfinite(per_s).any() or np.nanmin(per_s) < 0 or np.nanmax(per_s) <= 0:
        raise BadInput(f"{source.path}: holds no rate above 0")
    series = _even(source, begin, per_s)
    meaning = "its growth" if is_counter else "requests a second by its name"
    basis = (
        f"measured: {name} in {source.path.name}, {meaning}, sum of {len(matrix)} series, "
        f"{series.span_text()} in steps of {series.step_s:g} s"
    )
    findings.arrivals = Arrivals(series, series.mean_rps, basis, source.path.name)
    wrong = [
        k
        for k, metric in enumerate(matrix)
        if re.match(
            r"5\d\d|5xx", str(metric["metric"].get("code") or metric["metric"].get("status"))
        )
    ]
    if wrong and len(wrong) < len(matrix):
        part = np.nansum(_grown(values[wrong]) if is_counter else values[wrong])
        whole = np.nansum(_grown(values) if is_counter else values)
        notes.append(f"{part / whole:.2%} of the requests in {source.path.name} were answered 5xx")


def _must_grow(source: Source, name: str, values: Floats) -> None:
    """Refuse a gauge with a counter's name, which falls as often as it grows.

    Raises:
        BadInput: The values fall in too many steps.
    """
    change = np.diff(values, axis=1)
    falls, steps = int((change < 0).sum()), int(np.isfinite(change).sum())
    if falls > max(1, _MOST_FALLS * steps):
        raise BadInput(
            f"{source.path}: {name}: falls in {falls:,} of {steps:,} steps, which no counter does"
        )


def _even(source: Source, times: Floats, per_s: Floats) -> Series:
    first = datetime.fromtimestamp(float(times[0]), UTC)
    series = on_grid(times - times[0], per_s, first, is_rate=True)
    if series is None:
        raise BadInput(f"{source.path}: its times are not evenly spaced")
    return series


def _histogram(source: Source, matrix: Sequence[dict[str, Any]], findings: ServiceFindings) -> None:
    """Find durations from a histogram; within a bucket they are assumed to be evenly spread."""
    name = _name_of(source, matrix)
    unit_s = _unit_s(source, name)
    times, values = _grid(matrix)
    if len(times) < 2:
        raise BadInput(f"{source.path}: holds one moment; a histogram's growth needs two")
    _must_grow(source, name, values)
    try:
        bounds = unit_s * np.array([float(metric["metric"]["le"]) for metric in matrix])
    except ValueError:
        raise BadInput(f"{source.path}: le: must be a number or +Inf") from None
    each = _grown(values)
    edges = np.unique(bounds)
    at_most = np.array([np.nansum(each[bounds == edge]) for edge in edges])
    at_most = np.maximum.accumulate(at_most)
    if len(edges) < 2 or at_most[-1] <= 0:
        raise BadInput(f"{source.path}: its buckets hold nothing")
    total, name = float(at_most[-1]), source.path.name
    beyond = 0.0
    if math.isinf(edges[-1]):
        beyond = 1 - float(at_most[-2]) / total
        edges, at_most = edges[:-1], at_most[:-1]
    if at_most[-1] <= 0:
        raise BadInput(f"{source.path}: all lie beyond its largest bucket, {edges[-1]:g} s")
    q = (np.arange(_DRAWN_COUNT) + 0.5) / _DRAWN_COUNT * total
    known_edges = np.concatenate([[0.0], edges])
    known = np.concatenate([[0.0], at_most])
    rising = np.concatenate([np.diff(known) > 0, [True]]) | (known == at_most[-1])
    keep = np.flatnonzero(rising)
    keep = keep[: np.searchsorted(known[keep], at_most[-1]) + 1]
    samples = np.interp(q, known[keep], known_edges[keep])
    basis = f"measured: {total:,.0f} requests in {len(edges)} buckets of {name}"
    caveat = (
        "assumed: evenly spread within each bucket, and a response time is taken as the service "
        "time: nothing waited"
    )
    if beyond > 0:
        caveat += f"; {beyond:.2%} lie beyond {edges[-1]:g} s and are taken as that".replace(
            "%", " %"
        )
    findings.service_time = Finding(Durations(samples, basis, caveat), basis, 2, name)
    infinite = [k for k, bound in enumerate(bounds.tolist()) if math.isinf(bound)]
    if infinite and len(times) > 2:
        per_s = _sum_known(each[infinite]) / np.diff(times)
        if np.nanmax(per_s) > 0:
            series = _even(source, times[:-1], per_s)
            basis = (
                f"measured: {name}, its bucket +Inf, {series.span_text()} in steps of "
                f"{series.step_s:g} s"
            )
            findings.arrivals = Arrivals(series, series.mean_rps, basis, name)


def _quantiles(source: Source, matrix: Sequence[dict[str, Any]], findings: ServiceFindings) -> None:
    """Find the lognormal that is nearest to the quantiles, by least squares of the logarithms."""
    from scipy import special  # noqa: PLC0415 - only here

    unit_s = _unit_s(source, _name_of(source, matrix))
    times, values = _grid(matrix)
    try:
        quantiles = np.array([float(metric["metric"]["quantile"]) for metric in matrix])
    except ValueError:
        raise BadInput(f"{source.path}: quantile: must be a number between 0 and 1") from None
    levels = np.unique(quantiles[(quantiles > 0) & (quantiles < 1)])
    if len(levels) < 2:
        raise BadInput(f"{source.path}: needs two quantiles between 0 and 1, such as 0.5 and 0.99")
    known = [values[quantiles == level] for level in levels]
    if not all(np.isfinite(rows).any() for rows in known):
        raise BadInput(f"{source.path}: holds no value for one of its quantiles")
    seconds = unit_s * np.array([np.nanmedian(rows) for rows in known])
    if not np.isfinite(seconds).all() or seconds.min() <= 0:
        raise BadInput(f"{source.path}: its quantiles must be seconds above 0")
    sigma, mu = np.polyfit(special.ndtri(levels), np.log(seconds), 1)
    if sigma < 0:
        raise BadInput(f"{source.path}: a higher quantile must not be shorter")
    mean_s, cv = math.exp(mu + sigma**2 / 2), math.sqrt(math.expm1(sigma**2))
    medians = ", ".join(f"p{100 * q:g} {s:.4g} s" for q, s in zip(levels, seconds, strict=True))
    basis = (
        f"measured: {medians}, medians over {len(times)} moments of {source.path.name}; assumed: "
        "lognormal through them, and nothing waited"
    )
    value = {"mean": seconds_text(mean_s), "cv": float(f"{cv:.4g}")}
    findings.service_time = Finding(value, basis, 2, source.path.name)
