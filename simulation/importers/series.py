"""Request counts over time on an even grid, with gaps: the content of a scenario's trace file.

A `Series` is made from the times of single requests, with a step that suits the data, or from rows
that are counts already.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from simulation.scenario.rates import MOST_ROWS
from simulation.scenario.units import Floats

STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
"""The possible steps, in seconds."""
COUNT_A_STEP = 100
"""Minimum mean number of requests in a step: a count of 100 is known to 10 %."""
GAP_EXPECTED = 30.0
"""Minimum number of requests missing, at the neighbours' rate, for a silence to be a gap.

By chance a silence of this length has the probability e⁻³⁰.
"""
_FEWEST_STEPS = 4


@dataclass(frozen=True, eq=False)
class Series:
    """The number of requests in each step.

    Attributes:
        step_s: Length of a step, in seconds.
        counts: Number of requests in each step, shape (n,); NaN where it is not known.
        first: Date and time of the beginning of the first step; None where the source has no dates.
        is_rate: Whether the source has requests per second, not counts.
    """

    step_s: float
    counts: Floats
    first: datetime | None = None
    is_rate: bool = False

    @property
    def mean_rps(self) -> float:
        """The mean rate without gaps, in requests per second."""
        return float(np.nanmean(self.counts)) / self.step_s

    @property
    def peak_rps(self) -> float:
        """The highest rate in requests per second, averaged over about `COUNT_A_STEP` requests.

        The highest value of fewer requests would be mostly chance.
        """
        width = min(len(self.counts), math.ceil(COUNT_A_STEP / (self.mean_rps * self.step_s)))
        means = [self._means(low, high, width) for low, high in self.stretches()]
        return max(float(mean.max()) for mean in means) / self.step_s

    def _means(self, low: int, high: int, width: int) -> Floats:
        """Return the moving mean of ``width`` counts of a stretch, or the mean of a shorter stretch."""
        total = np.concatenate([[0.0], np.cumsum(self.counts[low:high])])
        width = min(width, high - low)
        return np.asarray((total[width:] - total[:-width]) / width)

    @property
    def gap_count(self) -> int:
        """The number of gaps."""
        return sum(1 for _ in self.stretches()) - 1

    def span_text(self) -> str:
        """Return the time that the series covers, as text."""
        if self.first is None:
            return f"over {len(self.counts) * self.step_s:g} s"
        end = self.first + timedelta(seconds=len(self.counts) * self.step_s)
        return f"from {_moment(self.first)} to {_moment(end)}"

    def stretches(self) -> Iterator[tuple[int, int]]:
        """Yield the stretches without a gap: their first step, and the step after their last."""
        known = np.isfinite(self.counts)
        edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]])))
        yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)

    def busiest_start_s(self, before_s: float, after_s: float) -> float | None:
        """Return the beginning of the busiest interval of length ``after_s``, in seconds.

        The interval must have ``before_s`` of data before it and no gap, except at the beginning of
        the series, where a simulation continues the first rate backwards. None where no stretch is
        long enough.
        """
        best: tuple[float, float] | None = None
        before, after = math.ceil(before_s / self.step_s), math.ceil(after_s / self.step_s)
        for low, high in self.stretches():
            begin = low if low == 0 else low + before
            if begin + after <= high:
                means = self._means(begin, high, after)
                k = int(np.argmax(means))
                if best is None or float(means[k]) > best[0]:
                    best = float(means[k]), (begin + k) * self.step_s
        return None if best is None else best[1]

    def trace_text(self) -> str:
        """Return the text of a trace file: one row for each step, none in a gap."""
        whole = not self.is_rate and bool(
            np.all(self.counts[np.isfinite(self.counts)] % 1 == 0)  # NaN % 1 is NaN
        )
        rows = ["time,requests" if whole else "time,rate_rps"]
        for k, count in enumerate(self.counts.tolist()):
            if math.isfinite(count):
                value = f"{count:.0f}" if whole else f"{count / self.step_s:.6g}"
                rows.append(f"{self._label(k)},{value}")
        return "\n".join(rows) + "\n"

    def _label(self, k: int) -> str:
        offset = k * self.step_s
        if self.first is None:
            return f"{offset:.15g}"
        return (self.first + timedelta(seconds=offset)).isoformat()

    def is_a_trace(self) -> bool:
        """Return whether a trace file can hold the series: most rows must be one step apart."""
        runs = [high - low for low, high in self.stretches()]
        return sum(run - 1 for run in runs) > len(runs) - 1 and len(self.counts) > 1


def _moment(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M:%S}".removesuffix(":00")


def whole_step_s(times_s: Floats) -> int:
    """Return the shortest step with a mean of `COUNT_A_STEP` requests; empty steps do not count."""
    span = float(times_s[-1] - times_s[0])
    usable = [step for step in STEPS_S if span >= step * _FEWEST_STEPS] or [STEPS_S[0]]
    for step in usable:
        filled = len(np.unique(np.floor(times_s / step)))
        if len(times_s) / filled >= COUNT_A_STEP:
            return step
    return usable[-1]


def count_series(
    groups: Sequence[Floats], first: datetime | None, origin_s: float = 0.0
) -> list[Series]:
    """Count the times of requests into series on one grid, one series for each group.

    A silence is a gap where the neighbours' rate makes it practically impossible. The first and the
    last step are incomplete and are left out where enough other steps remain.

    Args:
        groups: The times of each group, ascending, in seconds from any beginning; not all empty.
        first: Date and time of second 0; None where the source has no dates.
        origin_s: The time of second 0 on the clock at whose full minutes the steps should begin.

    Raises:
        ValueError: The times span more steps than a trace may have, or all lie in the first and the
            last step, so that nothing is known of the time between.
    """
    together = np.sort(np.concatenate(list(groups))) + origin_s
    step = whole_step_s(together)
    low = math.floor(together[0] / step)
    size = math.floor(together[-1] / step) - low + 1
    if size > MOST_ROWS:
        raise ValueError(f"the times span {size:,} steps of {step} s, more than {MOST_ROWS:,}")
    edges = (low + np.arange(size + 1)) * float(step)
    total = np.histogram(together, edges)[0].astype(np.float64)
    gaps = _gaps(total)
    cut = slice(1, size - 1) if size - 2 >= _FEWEST_STEPS else slice(0, size)
    if not total[cut].any():
        raise ValueError(
            f"all {len(together):,} requests lie in the first and the last of {size:,} steps of "
            f"{step} s: nothing says how many come in between"
        )
    all_series = []
    for group in groups:
        counts = np.histogram(group + origin_s, edges)[0].astype(np.float64)
        counts[gaps] = np.nan
        begin = None
        if first is not None:
            begin = first + timedelta(seconds=float(edges[cut.start]) - origin_s)
        all_series.append(Series(float(step), counts[cut], begin))
    # A gap at the beginning or the end is of no use.
    known = np.flatnonzero(np.isfinite(all_series[0].counts))
    return [_cut(series, int(known[0]), int(known[-1]) + 1) for series in all_series]


def _cut(series: Series, low: int, high: int) -> Series:
    first = series.first and series.first + timedelta(seconds=low * series.step_s)
    return Series(series.step_s, series.counts[low:high], first, series.is_rate)


def _gaps(counts: Floats) -> Floats:
    """Return which steps are silent for longer than chance allows."""
    gaps = np.zeros(len(counts), dtype=bool)
    filled = np.flatnonzero(counts > 0)
    for low, high in zip(filled[:-1].tolist(), filled[1:].tolist(), strict=True):
        around = min(counts[max(0, low - 1) : low + 1].max(), counts[high : high + 2].max())
        if (high - low - 1) * around >= GAP_EXPECTED:
            gaps[low + 1 : high] = True
    return gaps


def on_grid(
    times_s: Floats, values: Floats, first: datetime | None, *, is_rate: bool
) -> Series | None:
    """Return evenly spaced rows as a series, missing rows as gaps; None where they are not even.

    Args:
        times_s: The beginning of each row, ascending, the first at 0.
        values: A count or a rate for each row, shape as ``times_s``; NaN where it is not known.
        first: Date and time of the first row; None where the source has no dates.
        is_rate: Whether the values are requests per second.
    """
    steps = np.diff(times_s)
    steps = steps[steps > 0]
    if len(steps) == 0:
        return None
    sizes, size_counts = np.unique(steps, return_counts=True)
    step = float(sizes[np.argmax(size_counts)])
    in_steps = steps / step
    even = np.abs(in_steps - np.rint(in_steps)) < 0.05
    if even.mean() < 0.8 or size_counts.max() < 0.5 * len(steps):
        return None
    if float(times_s[-1]) / step >= MOST_ROWS:
        return None
    places = np.rint(times_s / step).astype(np.int64)
    grid = np.full(int(places[-1]) + 1, np.nan)
    grid[places] = values * step if is_rate else values
    return Series(step, grid, first, is_rate)
