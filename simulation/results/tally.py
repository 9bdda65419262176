"""Counts of the requests up to a time (model.md §8).

All counts are integers, times in nanoseconds. The order of counting therefore does not change the
result, and two engines that simulate the same give the same figures to the last digit. Sums of times
may overflow 64 bits; only differences of such sums are used, and these do not overflow.

Latencies and waits lie in buckets, 128 for every doubling from a microsecond to 36 hours. A bucket
knows the mean of its values, so the error of a quantile is less than the width of a bucket: 0.8 %.
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
"""Number of low bits of a float that a bucket ignores: of 52 after the point it keeps the first 7."""

_LEAST_S = 2.0**-20
FIRST_BUCKET = (int(np.float64(_LEAST_S).view(np.int64)) >> SHIFT) - 1
BUCKETS = 37 * 128 + 2
"""Number of buckets. The first is for values below the smallest, the last for values above the largest."""

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
    "retried",
    "reconnects",
    "failed_with_latency",
)
"""The totals of a run.

- Arrived from time 0 on: requests (``arrived``), their outcomes (``outcome_0`` …), calls (``called``),
  calls that were rejected or refused (``turned_away``), calls that had waited (``waited``), requests
  that failed and whose class has a latency (``failed_with_latency``).
- Ended from time 0 on: requests that failed, were slow, or were cut (``failed``, ``slow``, ``cut``).
- Calls in a slot at the end (``busy``), and the sum of the times at which service began minus the
  times at which slots were free again (``busy_ticks``).
- The most calls that waited at once (``queue_max``); requests that reached a new version (``exposed``).
- Connections open at time 0 (``open_at_start``), connections that were cut (``cut_connections``), and
  connections that were both (``cut_of_open``); attempts to open a connection again (``reconnects``).
- Attempts sent from time 0 on after the first one of their request (``retried``).
"""

_PLACES = {name: place for place, name in enumerate(TOTALS)}

COUNTED_IN_BINS = {
    "arrived": "offered",
    "failed": "failed",
    "busy": "busy",
    "busy_ticks": "busy_ticks",
    "retried": "retried",
}
"""Totals that equal a sum over bins, with the name of that field of the bins."""

BUCKET = np.dtype([("count", "i8"), ("ticks", "i8")])
BIN = np.dtype(
    [
        (name, "i8")
        for name in [
            "offered",
            "served",
            "failed",
            "retried",
            "flying",
            "flying_ticks",
            "waiting",
            "waiting_ticks",
            "busy",
            "busy_ticks",
        ]
    ]
)
"""The counts in each bin of time.

For requests in flight (``flying``), calls that wait (``waiting``) and calls in a slot (``busy``) a bin
holds the change of their number within the bin, and under ``…_ticks`` the sum of the times at which
they began minus the times at which they ended. A time before 0 counts as 0.
"""

LOSS = np.dtype(
    [
        ("finish", "f8"),
        ("instance", "i4"),
        ("outcome", "u1"),
        ("served", "u1"),
        ("new_version", "u1"),
        ("listening", "u1"),
    ]
)
"""One lost request: its end from time 0 on, in seconds; the instance that it was last sent to, −1 for
none; its last outcome; whether its service had begun, and by a new version; whether the instance
still listened.
"""


NO_BINS: NDArray[Any] = np.zeros(0, BIN)
NO_BIN_LATENCY: NDArray[np.uint32] = np.zeros((0, BUCKETS), np.uint32)


@dataclass(frozen=True)
class Tally:
    """The counts of all requests up to a time.

    Attributes:
        totals: Each of `TOTALS`, shape (len(TOTALS),).
        latency: A histogram of `BUCKET` records, shape (BUCKETS,): the latencies, from arrival to
            end, of requests that arrived from time 0 on and ended with `ok`, without connections.
        wait: A histogram of the same shape: how long calls waited before they were served.
        bins: A `BIN` for each bin of time from 0 on, or none.
        bin_latency: The number of latencies in each bucket, by the bin of time of their arrival,
            shape (bins, BUCKETS).
    """

    totals: Integers
    latency: NDArray[Any]
    wait: NDArray[Any]
    bins: NDArray[Any]
    bin_latency: NDArray[np.uint32]

    def __getitem__(self, name: str) -> int:
        """Return one of the totals."""
        return int(self.totals[_PLACES[name]])


@dataclass(frozen=True)
class Calls:
    """The calls to the services: one row each time an attempt reached a service.

    Attributes:
        arrival_s: When the call was sent.
        start_s: When its service began, NaN when it never did.
        finish_s: When the call ended for its caller, NaN while in flight.
        released_s: When its slot was free again, NaN before that or where there was no slot; later
            than ``finish_s`` when the caller left first.
        outcome: A code of `simulation.results.run_result.OUTCOMES`.
        takes_slot: Whether the call is served in a slot; long-lived connections are not.
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
    retried_s: Floats,
    reconnects: int = 0,
) -> Tally:
    """Return the counts of recorded requests and calls.

    Args:
        table: All requests, warm-up included.
        calls: All calls of these requests.
        has_latency: For each class, whether its duration is a latency (False for connections).
        slow_over_s: The latency in seconds above which a request is slow; infinite without an
            objective.
        bin_s: Width of the bins of time, in seconds.
        until_s: The time up to which there are bins; None for no bins.
        queue_max: The most calls that waited at once from time 0 on.
        exposed: Number of requests that reached a new version.
        retried_s: When each attempt after the first one of its request was sent, shape (attempts,).
        reconnects: Number of attempts to open a connection again.
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
    turned &= ~np.isfinite(calls.start_s)  # else a later service of its route rejected
    wait_s = (left_s - calls.arrival_s)[made & has_left & ~turned]
    totals["called"] = int(np.count_nonzero(made))
    totals["turned_away"] = int(np.count_nonzero(made & turned))
    totals["waited"] = int(np.count_nonzero(wait_s > 0))
    begun, over = calls.start_s[served], calls.released_s[released]
    totals["busy"] = len(begun) - len(over)
    totals["busy_ticks"] = int(np.sum(ticks_of(begun)) - np.sum(ticks_of(over)))
    totals["queue_max"], totals["exposed"] = queue_max, exposed
    totals["reconnects"] = reconnects
    lost = own & ended & (table.outcome != OK) & has_latency[table.request_class]
    totals["failed_with_latency"] = int(np.count_nonzero(lost))
    connected = ~calls.takes_slot & np.isfinite(calls.start_s)
    was_there, was_cut = connected & (calls.start_s < 0), connected & (calls.outcome == CUT)
    has_gone = (calls.finish_s <= 0) & ~was_cut  # at time 0, ends come before control's cuts
    totals["open_at_start"] = int(np.count_nonzero(was_there & ~has_gone))
    totals["cut_connections"] = int(np.count_nonzero(was_cut))
    totals["cut_of_open"] = int(np.count_nonzero(was_there & was_cut))
    totals["retried"] = int(np.count_nonzero(retried_s >= 0))

    if until_s is None:
        bins, by_bin = NO_BINS, NO_BIN_LATENCY
    else:
        has_bin_latency = own & ended & good
        count = int(until_s / bin_s) + 1
        bins = _bins_of(table, calls, left_s, bin_s, count)
        bins["retried"] = np.bincount(_bins(retried_s[retried_s >= 0], bin_s), minlength=count)
        by_bin = np.zeros((count, BUCKETS), np.uint32)
        bins_of_arrival = _bins(table.arrival_s[has_bin_latency], bin_s)
        np.add.at(by_bin, (bins_of_arrival, buckets_of(latency_s[has_bin_latency])), 1)
    return Tally(
        np.array(list(totals.values()), np.int64),
        histogram_of(latency_s[own & ended & good]),
        histogram_of(wait_s),
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
        np.add.at(bins[f"{name}_ticks"], place, change * ticks_of(times_s))

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


def ticks_of(times_s: Floats) -> Integers:
    """Return times in nanoseconds; a time before 0 counts as 0."""
    return np.floor(np.maximum(times_s, 0.0) * TICKS_PER_S + 0.5).astype(np.int64)


def _bins(times_s: Floats, bin_s: float) -> Integers:
    return (np.maximum(times_s, 0.0) * (1.0 / bin_s)).astype(np.int64)


def buckets_of(values_s: Floats) -> Integers:
    """Return the index of the bucket of each value."""
    bits: Integers = np.ascontiguousarray(values_s).view(np.int64) >> SHIFT
    return np.clip(bits - FIRST_BUCKET, 0, BUCKETS - 1)


def histogram_of(values_s: Floats) -> NDArray[Any]:
    """Return a histogram of values in seconds, `BUCKET` records, shape (BUCKETS,)."""
    buckets = buckets_of(values_s)
    histogram = np.zeros(BUCKETS, BUCKET)
    histogram["count"] = np.bincount(buckets, minlength=BUCKETS)
    np.add.at(histogram["ticks"], buckets, ticks_of(values_s))
    return histogram


def mean_s(histogram: NDArray[Any]) -> float | None:
    """Return the mean of a histogram in seconds, None for an empty one."""
    count = int(np.sum(histogram["count"]))
    return int(np.sum(histogram["ticks"])) / count / TICKS_PER_S if count else None


def quantiles_s(
    histogram: NDArray[Any], levels: tuple[float, ...], infinite_count: int = 0
) -> list[float | None]:
    """Return quantiles of a histogram in seconds, linear between neighbours; None for an empty one.

    Args:
        histogram: `BUCKET` records, shape (BUCKETS,).
        levels: The levels of the quantiles, between 0 and 1.
        infinite_count: Number of further values, which are infinite.
    """
    full = np.flatnonzero(histogram["count"])
    counts = histogram["count"][full]
    values = histogram["ticks"][full] / counts / TICKS_PER_S
    if infinite_count:
        counts, values = np.append(counts, infinite_count), np.append(values, np.inf)
    if not len(counts):
        return [None] * len(levels)
    return [float(value) for value in _at_ranks(values, np.cumsum(counts), np.array(levels))]


def bin_quantiles_s(tally: Tally, count: int, levels: tuple[float, ...]) -> list[Floats]:
    """Return quantiles of the latency for each of the first ``count`` bins of time.

    Values are the middles of the buckets, in seconds; NaN for a bin without a latency.
    """
    used = np.flatnonzero(tally.latency["count"])
    first, last = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 0)
    counts = tally.bin_latency[:count, first:last]
    full = np.flatnonzero(counts > 0)  # few of the buckets: the rest must cost nothing
    if not len(full):
        return [np.full(count, np.nan) for _ in levels]
    # The bins follow one another in one list of buckets, so a rank within a bin is a rank in the list.
    bins, buckets = np.divmod(full, last - first)
    cumulative = np.cumsum(counts[bins, buckets], dtype=np.int64)
    ends = np.searchsorted(bins, np.arange(count + 1))
    begins = np.concatenate([[0], cumulative])[ends]
    total, before = np.diff(begins), begins[:-1]
    middles_s = _MIDDLES_S[first + buckets]

    def value_at(rank: Floats) -> Floats:
        place = np.searchsorted(cumulative, before + rank, side="right")
        values_s: Floats = middles_s[np.minimum(place, len(full) - 1)]
        return values_s

    quantiles = []
    for level in levels:
        rank = level * (total - 1.0)
        below = np.floor(rank)
        low = value_at(below)
        values = low + (value_at(np.ceil(rank)) - low) * (rank - below)
        quantiles.append(np.where(total > 0, values, np.nan))
    return quantiles


def _at_ranks(values: Floats, cumulative: Integers, levels: Floats) -> Floats:
    rank = levels * (cumulative[-1] - 1)
    below = np.floor(rank)
    low = values[np.searchsorted(cumulative, below, side="right")]
    high = values[np.searchsorted(cumulative, np.ceil(rank), side="right")]
    between = low != high  # infinite neighbours have no difference
    quantiles: Floats = low.copy()
    quantiles[between] += (high[between] - low[between]) * (rank - below)[between]
    return quantiles


def _middles_s() -> Floats:
    edges = (np.arange(1, BUCKETS + 1, dtype=np.int64) + FIRST_BUCKET) << SHIFT
    bounds = np.concatenate([[0.0], edges.view(np.float64)])
    middles: Floats = (bounds[1:] + bounds[:-1]) / 2
    middles[0] = 0.0
    return middles


_MIDDLES_S = _middles_s()


def counts_over_time(bins: NDArray[Any], name: str, bin_s: float) -> Floats:
    """Return the mean number in each bin of time: requests ``flying``, calls ``waiting`` or ``busy``."""
    edges = np.floor(bin_s * np.arange(1, len(bins) + 1) * TICKS_PER_S + 0.5).astype(np.int64)
    change, ticks = bins[name], bins[f"{name}_ticks"]
    before = np.cumsum(change) - change
    width = np.diff(edges, prepend=0)
    area = before * width + change * edges - ticks
    means: Floats = area / width
    return means
