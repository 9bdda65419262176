"""The ticks of an axis of time."""

from __future__ import annotations

_TIME_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200)


def time_ticks(span_s: float, most: int = 6) -> list[float]:
    """Return round times from 0 to a span, in seconds, about `most` of them."""
    step = next((size for size in _TIME_STEPS_S if span_s / size <= most), _TIME_STEPS_S[-1])
    return [float(k * step) for k in range(int(span_s / step) + 1)]
