"""Generated requests, written in the log formats that contain durations."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np

from simulation.scenario.units import Floats

BEGIN = datetime(2024, 5, 14, 18, tzinfo=UTC)
READING_S = 0.005
"""Time in which a client reads an answer, in s: the request time exceeds the upstream time by it."""
CLF = '198.51.100.7 - - [{when}] "GET /item HTTP/1.1" 200 512 "-" "Mozilla/5.0 (X11)"'
JMETER = (
    "timeStamp,elapsed,label,responseCode,responseMessage,threadName,dataType,success,"
    "failureMessage,bytes,sentBytes,grpThreads,allThreads,URL,Latency,IdleTime,Connect"
)
HEY = "response-time,DNS+dialup,DNS,Request-write,Response-delay,Response-read,status-code,offset"
K6 = "metric_name,timestamp,metric_value,check,error,error_code,method,name,status,url"


def draw(rate_rps: float, mean_s: float, seconds: float, seed: int) -> tuple[Floats, Floats]:
    """Draw Poisson arrivals and lognormal upstream times of cv 1, in s, in the order of arrival."""
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(0, seconds, rng.poisson(rate_rps * seconds)))
    sigma = np.sqrt(np.log(2))
    return times, rng.lognormal(np.log(mean_s) - sigma**2 / 2, sigma, len(times))


def clf(offset_s: float) -> str:
    """Return a moment as nginx and Apache write it."""
    return f"{BEGIN + timedelta(seconds=offset_s):%d/%b/%Y:%H:%M:%S +0000}"


def _combined(offset_s: float, ending: str) -> str:
    return CLF.format(when=clf(offset_s)) + ending


def _iso(offset_s: float, ending: str) -> str:
    when = (BEGIN + timedelta(seconds=offset_s)).isoformat(timespec="seconds")
    return CLF.format(when=when) + ending


def _k6(t: float, up: float) -> str:
    second = int(BEGIN.timestamp() + t)
    return (
        f"http_reqs,{second},1.0,,,,GET,http://t/,200,http://t/\n"
        f"http_req_duration,{second},{1e3 * up:.6f},,,,GET,http://t/,200,http://t/\n"
        f"http_req_waiting,{second},{1e3 * up - 0.1:.6f},,,,GET,http://t/,200,http://t/"
    )


FORMATS: dict[str, tuple[str, Callable[[float, float], str]]] = {
    "nginx, two times": (
        "",
        lambda t, up: _combined(t + up + READING_S, f" {up + READING_S:.3f} {up:.3f}"),
    ),
    "nginx, four times": (
        "",
        lambda t, up: _combined(
            t + up + READING_S,
            f" {up + READING_S:.3f} 0.001 {max(0.001, up - 0.001):.3f} {up:.3f} .",
        ),
    ),
    "nginx, named": (
        "",
        lambda t, up: _combined(
            t + up + READING_S, f' rt={up + READING_S:.3f} uct="0.001" uht="0.002" urt="{up:.3f}"'
        ),
    ),
    "nginx, ISO date": (
        "",
        lambda t, up: _iso(t + up + READING_S, f" {up + READING_S:.3f} {up:.3f}"),
    ),
    "Traefik": (
        "",
        lambda t, up: _combined(t, f' 262 "web@docker" "http://10.0.0.1:80" {1e3 * up:.0f}ms'),
    ),
    "Apache, named": ("", lambda t, up: _combined(t, f" duration_us={1e6 * up:.0f}")),
    "JMeter": (
        JMETER,
        lambda t, up: (
            f"{1e3 * (BEGIN.timestamp() + t):.0f},{1e3 * up:.0f},GET /,200,OK,Thread 1-1,text,true,"
            f",512,120,10,10,https://www.example.com/,{1e3 * up:.0f},0,1"
        ),
    ),
    "hey": (
        HEY,
        lambda t, up: f"{up:.4f},0.0010,0.0000,0.0001,{up:.4f},0.0001,200,{t:.4f}",
    ),
    "k6": (K6, _k6),
    "vegeta": (
        "",
        lambda t, up: (
            f'{1e9 * BEGIN.timestamp() + 1e9 * t:.0f},200,{1e9 * up:.0f},0,512,"",,"",7,GET,http://t/,'
        ),
    ),
}
"""Formats by name: the header, and the line for an arrival and its upstream time, both in s."""


def write(name: str, times_s: Floats, upstream_s: Floats) -> str:
    """Return a whole file of one format, in the order of arrival."""
    header, line = FORMATS[name]
    lines = [line(t, up) for t, up in zip(times_s.tolist(), upstream_s.tolist(), strict=True)]
    return "\n".join([header] * bool(header) + lines) + "\n"
