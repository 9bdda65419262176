"""From what happened to what is observed (model.md §8).

Enters: the requests of a run, the pool's log and the fleet's states. Leaves: a `RunResult`. Latency
quantiles are taken from every single request (linear interpolation), so they carry no error of a
histogram.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulation.engines.plane import Requests
from simulation.fleet import State, StateInterval
from simulation.pool import PoolChange, lowest, pool_means
from simulation.results import (
    CUT,
    IN_FLIGHT,
    METRICS,
    OK,
    OUTCOMES,
    REFUSED,
    REJECTED,
    RequestTable,
    RunResult,
    Waits,
)
from simulation.units import Floats

_LISTENING = {State.SERVING, State.DRAINING, State.RETURNING, State.FAILED}


@dataclass(frozen=True)
class Observed:
    """What is known when a run is over.

    Attributes:
        requests: Everything that arrived, warm-up included.
        states: The fleet's states, up to ``end_s``.
        pool_log: The pool's changes, from the beginning of the warm-up; of all services together.
        rolled: Whether there was a rollout.
        ended: How it ended, one of `simulation.results.ENDINGS`.
        rollout_ended_s: When it ended, None when it did not.
        settled_s: End of the rollout and its settling.
        end_s: End of the common interval.
        alone_end_s: Where it would end if no other candidate were simulated beside.
        waits: Where the rollout's time went, None when it did not end.
        critical_path: The services that determined its end.
        failures: What failed or tripped.
        slots: Slots of each instance, those of all services one after the other.
        fleets: How many instances each service has, and how many there are of it with second ones.
        slow_over_s: The objective for p99, None without.
        has_latency: By class, whether the time it takes is a latency, and not a connection's life.
        bin_s: Width of the bins.
        engine: What simulated it.
    """

    requests: Requests
    states: tuple[StateInterval, ...]
    pool_log: Sequence[PoolChange]
    rolled: bool
    ended: str
    rollout_ended_s: float | None
    settled_s: float
    end_s: float
    alone_end_s: float
    waits: Waits | None
    critical_path: tuple[str, ...]
    failures: tuple[str, ...]
    slots: Sequence[int]
    fleets: Sequence[tuple[int, int]]
    slow_over_s: float | None
    has_latency: Sequence[bool]
    bin_s: float
    engine: str


def run_result(seen: Observed, keep_requests: bool) -> RunResult:
    """The observed run as frozen plain data."""
    whole = _Interval(seen, seen.end_s)
    own = whole if seen.alone_end_s == seen.end_s else _Interval(seen, seen.alone_end_s)
    rollout: dict[str, float | None] = {}
    if seen.rolled:
        part = _Interval(seen, seen.settled_s)
        rollout = {f"rollout_{name}": value for name, value in part.figures().items()}
        rollout |= _rollout_figures(seen, part)
    metrics, alone = (
        {**dict.fromkeys(METRICS), **interval.figures(), **interval.counts(), **rollout}
        for interval in (whole, own)
    )
    return RunResult(
        ended=seen.ended,
        settled_s=seen.settled_s,
        end_s=seen.end_s,
        requests=whole.outcomes(),
        metrics=metrics,
        alone=alone,
        bin_s=seen.bin_s,
        series=_series(seen, whole),
        states=seen.states,
        waits=seen.waits,
        critical_path=seen.critical_path,
        failures=seen.failures,
        table=whole.table if keep_requests else None,
        engine=seen.engine,
    )


def _rollout_figures(seen: Observed, part: _Interval) -> dict[str, float | None]:
    fewest, capacity_fraction = lowest(seen.pool_log, seen.settled_s)
    whole = np.array([0.0, seen.settled_s])
    mixed = pool_means(seen.pool_log, whole).mixed_fraction[0] * seen.settled_s
    accepted_s = seen.settled_s if seen.rollout_ended_s is None else seen.rollout_ended_s
    exposed = part.table.new_version & (part.table.start_s < accepted_s)
    return {
        "rollout_duration_s": seen.rollout_ended_s,
        "lowest_in_pool_count": float(fewest),
        "lowest_capacity_fraction": capacity_fraction,
        "mixed_version_s": float(mixed),
        "exposure_requests": float(np.count_nonzero(exposed)),
        "surge_instance_s": _surge_instance_s(seen),
    }


def _surge_instance_s(seen: Observed) -> float:
    """Instance-seconds beyond the fleets until all had settled, of whatever is not absent."""
    total_s, first = 0.0, 0
    for count, with_second in seen.fleets:
        changes = []
        for one in seen.states:
            if first <= one.instance < first + with_second and one.state is not State.ABSENT:
                begin_s, end_s = (
                    min(max(t, 0.0), seen.settled_s) for t in (one.begin_s, one.end_s)
                )
                changes += [(begin_s, 1), (end_s, -1)]
        there, since_s = 0, 0.0
        for time_s, change in sorted(changes):
            total_s += max(0, there - count) * (time_s - since_s)
            there, since_s = there + change, time_s
        first += with_second
    return total_s


class _Interval:
    """The requests that arrived between the rollout's start and a moment, as seen at it.

    What had not ended by then is in flight, whatever became of it afterwards: the figures of an
    interval do not depend on how much longer the run went on.
    """

    def __init__(self, seen: Observed, until_s: float) -> None:
        everything, calls = seen.requests.table, seen.requests.calls
        self._seen = seen
        self._until_s = until_s
        ended = everything.finish_s <= until_s
        started = everything.start_s <= until_s
        inside = (everything.arrival_s >= 0) & (everything.arrival_s < until_s)
        self.table = RequestTable(
            arrival_s=everything.arrival_s[inside],
            start_s=np.where(started, everything.start_s, np.nan)[inside],
            finish_s=np.where(ended, everything.finish_s, np.nan)[inside],
            instance=everything.instance[inside],
            new_version=everything.new_version[inside],
            outcome=np.where(ended, everything.outcome, IN_FLIGHT)[inside],
            attempts=everything.attempts[inside],
            request_class=everything.request_class[inside],
        )
        # All calls, those of the warm-up too, for what is in service or waits in the interval.
        self._slots = calls.takes_slot
        self._arrival_s = calls.arrival_s[self._slots]
        start_s, finish_s = calls.start_s[self._slots], calls.finish_s[self._slots]
        outcome = calls.outcome[self._slots]
        gone_s = np.where(finish_s <= until_s, finish_s, np.inf)
        self._left_queue_s = np.where(start_s <= until_s, start_s, gone_s)
        made = (self._arrival_s >= 0) & (self._arrival_s < until_s)
        turned_away = (outcome == REJECTED) | (outcome == REFUSED)
        admitted = made & ~(turned_away & (finish_s <= until_s))
        self._wait_s = (self._left_queue_s - self._arrival_s)[admitted]

    def outcomes(self) -> dict[str, int]:
        """How many arrived, and what became of them."""
        counts = np.bincount(self.table.outcome, minlength=IN_FLIGHT + 1).tolist()
        return {
            "arrived": len(self.table.outcome),
            **dict(zip(OUTCOMES, counts, strict=False)),
            "in_flight": counts[IN_FLIGHT],
        }

    def latency_s(self) -> Floats:
        """From arrival to the end, of those that ended well; of connections it is none."""
        good = _answered(self.table, self._seen)
        latency: Floats = self.table.finish_s[good] - self.table.arrival_s[good]
        return latency

    def figures(self) -> dict[str, float | None]:
        """The metrics that exist both for the common interval and for the rollout."""
        outcome = self.table.outcome
        latency = self.latency_s()
        wait = self._wait_s[np.isfinite(self._wait_s)]
        ended = int(np.count_nonzero(outcome != IN_FLIGHT))
        failed = ended - int(np.count_nonzero(outcome == OK))
        p50, p95, p99 = _quantiles(latency, (0.5, 0.95, 0.99))
        return {
            "latency_mean_s": _mean(latency),
            "latency_p50_s": p50,
            "latency_p95_s": p95,
            "latency_p99_s": p99,
            "wait_mean_s": _mean(wait),
            "wait_p99_s": _quantiles(wait, (0.99,))[0],
            "wait_fraction": self._waited_fraction(),
            "error_fraction": failed / ended if ended else None,
            "utilisation_fraction": self._utilisation(),
            "queue_max": self._queue_max(),
        }

    def counts(self) -> dict[str, float | None]:
        """The metrics that count requests by when they ended.

        Unlike the outcomes, which follow what arrived in the interval, they take in what was in
        flight when the rollout began: the first drain cuts those too.
        """
        everything, slow_over_s = self._seen.requests.table, self._seen.slow_over_s
        inside = (everything.finish_s >= 0) & (everything.finish_s <= self._until_s)
        outcome = everything.outcome[inside]
        answered = inside & _answered(everything, self._seen)
        latency = (everything.finish_s - everything.arrival_s)[answered]
        slow = None if slow_over_s is None else float(np.count_nonzero(latency > slow_over_s))
        return {
            "failed_requests": float(np.count_nonzero(outcome != OK)),
            "slow_requests": slow,
            "cut_requests": float(np.count_nonzero(outcome == CUT)),
        }

    def _waited_fraction(self) -> float | None:
        """The share of what was admitted that waited at all, what still waits included."""
        wait = self._wait_s
        return float(np.count_nonzero(wait > 0) / len(wait)) if len(wait) else None

    def _utilisation(self) -> float | None:
        """Slot-seconds at work over the slot-seconds of all instances that were up."""
        edges = np.array([0.0, self._until_s])
        up = _up_slot_s(self._seen, edges)[0]
        return float(self.busy_slot_s(edges)[0] / up) if up > 0 else None

    def busy_slot_s(self, edges_s: Floats) -> Floats:
        """Slot-seconds at work between the edges; a client that left does not free its slot."""
        calls = self._seen.requests.calls
        begun = calls.start_s
        served = np.isfinite(begun) & calls.takes_slot
        released = calls.released_s[served]
        return _overlap(begun[served], np.where(np.isnan(released), np.inf, released), edges_s)

    def waiting_request_s(self, edges_s: Floats) -> Floats:
        """Request-seconds spent waiting between the edges."""
        return _overlap(self._arrival_s, self._left_queue_s, edges_s)

    def _queue_max(self) -> float:
        """The most requests that waited at once in the interval."""
        waited = self._left_queue_s > self._arrival_s
        begin, end = self._arrival_s[waited], self._left_queue_s[waited]
        inside = (end > 0) & (begin < self._until_s)
        begin, end = np.maximum(begin[inside], 0.0), end[inside]
        times = np.concatenate([end, begin])  # of equal times, those that leave count first
        change = np.concatenate([np.full(len(end), -1), np.full(len(begin), 1)])
        order = np.argsort(times, kind="stable")
        return float(max(0, int(np.max(np.cumsum(change[order]), initial=0))))


def _series(seen: Observed, whole: _Interval) -> dict[str, Floats]:
    """Everything told bin by bin, in the whole bins of the common interval."""
    whole_bins = max(1, int(seen.end_s / seen.bin_s))
    edges = np.arange(whole_bins + 1, dtype=np.float64) * seen.bin_s
    table = seen.requests.table
    finish_s = np.where(table.finish_s <= seen.end_s, table.finish_s, np.inf)
    good = table.outcome == OK
    bad = (table.outcome != IN_FLIGHT) & ~good
    pool = pool_means(seen.pool_log, edges)
    up = _up_slot_s(seen, edges)
    p50, p99 = _binned_quantiles(whole.table, _answered(whole.table, seen), edges)

    def rate(times: Floats) -> Floats:
        return np.histogram(times, edges)[0] / seen.bin_s

    return {
        "offered_rps": rate(table.arrival_s),
        "served_rps": rate(finish_s[good]),
        "capacity_rps": pool.capacity_rps,
        "in_pool_count": pool.count,
        "in_flight_count": _overlap(table.arrival_s, finish_s, edges) / seen.bin_s,
        "queue_count": whole.waiting_request_s(edges) / seen.bin_s,
        "utilisation_fraction": np.divide(
            whole.busy_slot_s(edges), up, out=np.zeros_like(up), where=up > 0
        ),
        "failed_rps": rate(finish_s[bad]),
        "mixed_version_fraction": pool.new_fraction,
        "latency_p50_s": p50,
        "latency_p99_s": p99,
    }


def _answered(table: RequestTable, seen: Observed) -> NDArray[np.bool_]:
    """Which requests ended well and took a latency to do so."""
    answered: NDArray[np.bool_] = (table.outcome == OK) & np.array(seen.has_latency)[
        table.request_class
    ]
    return answered


def _binned_quantiles(
    table: RequestTable, answered: NDArray[np.bool_], edges_s: Floats
) -> tuple[Floats, Floats]:
    """p50 and p99 of the latency of what arrived in each bin and was answered; NaN for none."""
    latency = table.finish_s[answered] - table.arrival_s[answered]
    bounds = np.searchsorted(table.arrival_s[answered], edges_s)
    pairs = [_quantiles(latency[a:b], (0.5, 0.99)) for a, b in itertools.pairwise(bounds)]
    values = np.array([[np.nan if q is None else q for q in pair] for pair in pairs])
    return values[:, 0], values[:, 1]


def _overlap(begin_s: Floats, end_s: Floats, edges_s: Floats) -> Floats:
    """How much of the spans from begin to end lies between the edges, in seconds, shape (bins,).

    ∫ count dt up to e is Σ(e − begin) over those begun before e, less Σ(e − end) over those ended.
    """

    def since(times: Floats) -> Floats:
        times = np.sort(times[np.isfinite(times)])
        sums = np.concatenate([[0.0], np.cumsum(times)])
        before = np.searchsorted(times, edges_s)
        area: Floats = before * edges_s - sums[before]
        return area

    return np.diff(since(begin_s) - since(end_s))


def _up_slot_s(seen: Observed, edges_s: Floats) -> Floats:
    """Slot-seconds between the edges of instances in states that can serve."""
    total: Floats = np.zeros(len(edges_s) - 1)
    for slots in sorted(set(seen.slots)):
        up = [
            (one.begin_s, one.end_s)
            for one in seen.states
            if one.state in _LISTENING and seen.slots[one.instance] == slots
        ]
        begin, end = np.array(up, dtype=float).reshape(-1, 2).T
        total += slots * _overlap(begin, end, edges_s)
    return total


def _mean(values: Floats) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _quantiles(values: Floats, which: tuple[float, ...]) -> list[float | None]:
    if not len(values):
        return [None] * len(which)
    return [float(value) for value in np.quantile(values, which)]
