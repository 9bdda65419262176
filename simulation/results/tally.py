"""What has happened to the requests up to a moment, counted (model.md §8).

Everything is counted in whole numbers, times in nanoseconds, so that it does not matter in what order
things are counted: engines that do the same give the same figures, to the last digit. Sums of moments
may run over 64 bits; what is made of them is a difference that does not.

Latencies and waits lie in buckets, 128 for every doubling from a microsecond to 36 hours. A bucket
knows the mean of what it holds, so that a quantile is off by less than the bucket is wide: 0.8 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulation.results.run_result import CUT, IN_FLIGHT, OK, REFUSED, REJECTED, RequestTable
from simulation.scenario.units import Floats, Integers

TICKS_PER_S = 1e9

SHIFT = 45
"""Binary digits that a bucket does not tell apart: of 52 after the point it knows the first 7."""

_LEAST_S = 2.0**-20
FIRST_BUCKET = (int(np.float64(_LEAST_S).view(np.int64)) >> SHIFT) - 1
BUCKETS = 37 * 128 + 2
"""The first is for less than the smallest latency, the last for more than the largest."""

TOTALS = (
    "arrived",
    *(f"outcome_{code}" for code in range(IN_FLIGHT)),
    "failed",
    "slow",
    "cut",
    "called",
    "turned_away",
    "waited",
    "busy",
    "busy_ticks",
    "queue_max",
    "exposed",
    "open_at_start",
    "cut_connections",
    "cut_of_open",
)
"""What is counted once. Of what arrived from 0 on: requests, their outcomes, calls, those that were
turned away and those that had waited; of what ended from 0 on: failed, slow and cut requests. Calls
in a slot, and the sum of the moments at which they began less those at which they were over. Connections
that were open at 0, those that were cut, and those of the first that were."""

COUNTED_IN_BINS = {
    "arrived": "offered",
    "failed": "failed",
    "busy": "busy",
    "busy_ticks": "busy_ticks",
}
"""The totals that are also the sums over bins, and of what."""

BUCKET = np.dtype([("count", "i8"), ("ticks", "i8")])
BIN = np.dtype(
    [
        (name, "i8")
        for name in [
            "offered",
            "served",
            "failed",
            "flying",
            "flying_ticks",
            "waiting",
            "waiting_ticks",
            "busy",
            "busy_ticks",
        ]
    ]
)
"""What is counted in each bin of time. Of requests in flight, and of calls that wait or are in a slot,
there are how many more there are at its end than at its beginning, and the sum of the moments at
which they began less those at which they were over; what was before 0 counts as at 0."""


NO_BINS: NDArray[Any] = np.zeros(0, BIN)
NO_BIN_LATENCY: NDArray[np.uint32] = np.zeros((0, BUCKETS), np.uint32)


@dataclass(frozen=True)
class Tally:
    """What has happened up to a moment.

    Attributes:
        totals: Each of `TOTALS`, shape (len(TOTALS),).
        latency: A `BUCKET` for each class of latencies, from arrival to the end, of requests that
            arrived from 0 on and ended well; of connections it is none. Shape (BUCKETS,).
        wait: The same for the calls, and how long they waited before they were served.
        bins: A `BIN` for each bin of time from 0 on, or none.
        bin_latency: How many latencies there are in each bucket by the bin in which they arrived,
            shape (bins, BUCKETS).
    """

    totals: Integers
    latency: NDArray[Any]
    wait: NDArray[Any]
    bins: NDArray[Any]
    bin_latency: NDArray[np.uint32]

    def __getitem__(self, name: str) -> int:
        """One of the totals."""
        return int(self.totals[TOTALS.index(name)])


@dataclass(frozen=True)
class Calls:
    """What was sent to the services: a row each time an attempt reached one.

    Attributes:
        arrival_s: When it was sent.
        start_s: When its service began, NaN when it never did.
        finish_s: When its caller was done with it, NaN while in flight.
        released_s: When the slot that served it was free again, NaN where none was or it is not
            yet; later than the caller's finish when the caller left first.
        outcome: A code, see `simulation.results.run_result.OUTCOMES`.
        takes_slot: Whether it is served in a slot; long-lived connections are not.
    """

    arrival_s: Floats
    start_s: Floats
    finish_s: Floats
    released_s: Floats
    outcome: NDArray[np.int64]
    takes_slot: NDArray[np.bool_]


def count_requests(
    table: RequestTable,
    calls: Calls,
    *,
    has_latency: NDArray[np.bool_],
    slow_over_s: float,
    bin_s: float,
    until_s: float | None,
    queue_max: int,
    exposed: int,
) -> Tally:
    """The tally of what is recorded, all of it before or at a moment.

    Args:
        table: All requests, warm-up included.
        calls: All their calls.
        has_latency: By class, whether the time it takes is a latency.
        slow_over_s: From when on a latency is slow; infinite without an objective.
        bin_s: Width of the bins.
        until_s: The moment, up to which there are bins; None for none.
        queue_max: The most calls that waited at once since 0.
        exposed: Requests that a new version had a part in.
    """
    totals = dict.fromkeys(TOTALS, 0)
    own = table.arrival_s >= 0
    ended = np.isfinite(table.finish_s)
    good = (table.outcome == OK) & has_latency[table.request_class]
    latency_s = table.finish_s - table.arrival_s
    totals["arrived"] = int(np.count_nonzero(own))
    for code in range(IN_FLIGHT):
        totals[f"outcome_{code}"] = int(np.count_nonzero(own & (table.outcome == code)))
    late = ended & (table.finish_s >= 0)
    totals["failed"] = int(np.count_nonzero(late & (table.outcome != OK)))
    totals["slow"] = int(np.count_nonzero(late & good & (latency_s > slow_over_s)))
    totals["cut"] = int(np.count_nonzero(late & (table.outcome == CUT)))

    served = calls.takes_slot & np.isfinite(calls.start_s)
    released = served & np.isfinite(calls.released_s)
    left_s = np.where(np.isfinite(calls.start_s), calls.start_s, calls.finish_s)
    has_left = calls.takes_slot & np.isfinite(left_s)
    made = calls.takes_slot & (calls.arrival_s >= 0)
    turned = (calls.outcome == REJECTED) | (calls.outcome == REFUSED)
    turned &= ~np.isfinite(calls.start_s)  # and not by a service further down its route
    wait_s = (left_s - calls.arrival_s)[made & has_left & ~turned]
    totals["called"] = int(np.count_nonzero(made))
    totals["turned_away"] = int(np.count_nonzero(made & turned))
    totals["waited"] = int(np.count_nonzero(wait_s > 0))
    begun, over = calls.start_s[served], calls.released_s[released]
    totals["busy"] = len(begun) - len(over)
    totals["busy_ticks"] = int(np.sum(_ticks(begun)) - np.sum(_ticks(over)))
    totals["queue_max"], totals["exposed"] = queue_max, exposed
    connected = ~calls.takes_slot & np.isfinite(calls.start_s)
    was_there, was_cut = connected & (calls.start_s < 0), connected & (calls.outcome == CUT)
    has_gone = (calls.finish_s <= 0) & ~was_cut  # at 0 before control, which alone cuts
    totals["open_at_start"] = int(np.count_nonzero(was_there & ~has_gone))
    totals["cut_connections"] = int(np.count_nonzero(was_cut))
    totals["cut_of_open"] = int(np.count_nonzero(was_there & was_cut))

    if until_s is None:
        bins, by_bin = NO_BINS, NO_BIN_LATENCY
    else:
        mine = own & ended & good
        count = int(until_s / bin_s) + 1
        bins = _bins_of(table, calls, left_s, bin_s, count)
        by_bin = np.zeros((count, BUCKETS), np.uint32)
        np.add.at(by_bin, (_bins(table.arrival_s[mine], bin_s), _buckets(latency_s[mine])), 1)
    return Tally(
        np.array(list(totals.values()), np.int64),
        _histogram(latency_s[own & ended & good]),
        _histogram(wait_s),
        bins,
        by_bin,
    )


def _bins_of(
    table: RequestTable, calls: Calls, left_s: Floats, bin_s: float, count: int
) -> NDArray[Any]:
    bins = np.zeros(count, BIN)
    ended = np.isfinite(table.finish_s)
    has_left = calls.takes_slot & np.isfinite(left_s)
    served = calls.takes_slot & np.isfinite(calls.start_s)
    released = served & np.isfinite(calls.released_s)

    def put(name: str, times_s: Floats, change: int) -> None:
        place = _bins(times_s, bin_s)
        bins[name] += change * np.bincount(place, minlength=count)
        np.add.at(bins[f"{name}_ticks"], place, change * _ticks(times_s))

    def put_ends(name: str, times_s: Floats) -> None:
        bins[name] = np.bincount(_bins(times_s[times_s >= 0], bin_s), minlength=count)

    put_ends("offered", table.arrival_s)
    put_ends("served", table.finish_s[ended & (table.outcome == OK)])
    put_ends("failed", table.finish_s[ended & (table.outcome != OK)])
    put("flying", table.arrival_s, 1)
    put("flying", table.finish_s[ended], -1)
    put("waiting", calls.arrival_s[calls.takes_slot], 1)
    put("waiting", left_s[has_left], -1)
    put("busy", calls.start_s[served], 1)
    put("busy", calls.released_s[released], -1)
    return bins


def _ticks(times_s: Floats) -> Integers:
    return np.floor(np.maximum(times_s, 0.0) * TICKS_PER_S + 0.5).astype(np.int64)


def _bins(times_s: Floats, bin_s: float) -> Integers:
    return (np.maximum(times_s, 0.0) * (1.0 / bin_s)).astype(np.int64)


def _buckets(values_s: Floats) -> Integers:
    bits: Integers = np.ascontiguousarray(values_s).view(np.int64) >> SHIFT
    return np.clip(bits - FIRST_BUCKET, 0, BUCKETS - 1)


def _histogram(values_s: Floats) -> NDArray[Any]:
    buckets = _buckets(values_s)
    found = np.zeros(BUCKETS, BUCKET)
    found["count"] = np.bincount(buckets, minlength=BUCKETS)
    np.add.at(found["ticks"], buckets, _ticks(values_s))
    return found


def mean_s(histogram: NDArray[Any]) -> float | None:
    """The mean of what a histogram holds; None for nothing."""
    count = int(np.sum(histogram["count"]))
    return int(np.sum(histogram["ticks"])) / count / TICKS_PER_S if count else None


def quantiles_s(histogram: NDArray[Any], which: tuple[float, ...]) -> list[float | None]:
    """Quantiles of what a histogram holds, linear between neighbours; None for nothing."""
    full = np.flatnonzero(histogram["count"])
    if not len(full):
        return [None] * len(which)
    counts = histogram["count"][full]
    values = histogram["ticks"][full] / counts / TICKS_PER_S
    return [float(value) for value in _at_ranks(values, np.cumsum(counts), np.array(which))]


def bin_quantiles_s(tally: Tally, count: int, which: tuple[float, ...]) -> list[Floats]:
    """Quantiles for each of the first bins of time, from the middles of its buckets.

    NaN for a bin without a latency.
    """
    counts, used = tally.bin_latency[:count], np.flatnonzero(tally.latency["count"])
    if not len(used):
        return [np.full(count, np.nan) for _ in which]
    first, last = int(used[0]), int(used[-1]) + 1
    cumulative = np.cumsum(counts[:, first:last], axis=1, dtype=np.uint32)
    middles_s, total = _MIDDLES_S[first:last], cumulative[:, -1:].astype(np.float64)

    def at(place: Floats) -> Floats:
        found: Floats = middles_s[np.argmax(cumulative > place, axis=1)]
        return found

    found = []
    for q in which:
        place = q * (total - 1)
        below = np.floor(place)
        low = at(below)
        values = low + (at(np.ceil(place)) - low) * (place - below)[:, 0]
        found.append(np.where(total[:, 0] > 0, values, np.nan))
    return found


def _at_ranks(values: Floats, cumulative: Integers, which: Floats) -> Floats:
    place = which * (cumulative[-1] - 1)
    below = np.floor(place)
    low = values[np.searchsorted(cumulative, below, side="right")]
    high = values[np.searchsorted(cumulative, np.ceil(place), side="right")]
    found: Floats = low + (high - low) * (place - below)
    return found


def _middles_s() -> Floats:
    edges = (np.arange(1, BUCKETS + 1, dtype=np.int64) + FIRST_BUCKET) << SHIFT
    bounds = np.concatenate([[0.0], edges.view(np.float64)])
    middles: Floats = (bounds[1:] + bounds[:-1]) / 2
    middles[0] = 0.0
    return middles


_MIDDLES_S = _middles_s()


def counts_over_time(bins: NDArray[Any], name: str, bin_s: float) -> Floats:
    """How many there were on average in each bin: flying, waiting or busy."""
    edges = np.floor(bin_s * np.arange(1, len(bins) + 1) * TICKS_PER_S + 0.5).astype(np.int64)
    change, ticks = bins[name], bins[f"{name}_ticks"]
    before = np.cumsum(change) - change
    width = np.diff(edges, prepend=0)
    area = before * width + change * edges - ticks
    found: Floats = area / width
    return found
