"""From what happened to what is observed (model.md §8).

Enters: the tallies of a run's requests, the pool's log and the fleet's states. Leaves: a `RunResult`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from simulation.results.failures import Failure
from simulation.results.pool_log import PoolChange, lowest, pool_means
from simulation.results.run_result import (
    IN_FLIGHT,
    METRICS,
    OUTCOMES,
    Ending,
    EngineName,
    RequestTable,
    RunResult,
    Waits,
)
from simulation.results.states import State, StateInterval
from simulation.results.tally import (
    TICKS_PER_S,
    Tally,
    bin_quantiles_s,
    counts_over_time,
    mean_s,
    quantiles_s,
)
from simulation.scenario.units import Floats

_LISTENING = {State.SERVING, State.DRAINING, State.RETURNING, State.FAILED}


@dataclass(frozen=True)
class RunRecord:
    """What is known when a run is over.

    Attributes:
        tally: What has happened to the requests until ``end_s``.
        settled_tally: The same until ``settled_s``.
        exposed_count: Requests that a new version had a part in before the rollout ended.
        states: The fleet's states, up to ``end_s``.
        pool_log: The pool's changes, from the beginning of the warm-up; of all services together.
        rolled: Whether there was a rollout.
        ended: How the rollout ended.
        rollout_ended_s: When it ended, None when it did not.
        settled_s: End of the rollout and its settling.
        end_s: End of the common interval.
        alone_end_s: Where it would end if no other candidate were simulated beside.
        has_connections: Whether a class is long-lived connections.
        waits: Where the rollout's time went, None when it did not end.
        critical_path: The services that determined its end.
        failures: What failed or tripped.
        stopped_by: Which of it stopped the release, None when nothing did.
        slots: Slots of each instance, those of all services one after the other.
        fleets: How many instances each service has, and how many there are of it with second ones.
        slow_over_s: The objective for p99, None without.
        bin_s: Width of the bins.
        engine: What simulated it.
    """

    tally: Tally
    settled_tally: Tally
    exposed_count: int
    states: tuple[StateInterval, ...]
    pool_log: Sequence[PoolChange]
    rolled: bool
    ended: Ending
    rollout_ended_s: float | None
    settled_s: float
    end_s: float
    alone_end_s: float
    has_connections: bool
    waits: Waits | None
    critical_path: tuple[str, ...]
    failures: tuple[Failure, ...]
    stopped_by: Failure | None
    slots: Sequence[int]
    fleets: Sequence[tuple[int, int]]
    slow_over_s: float | None
    bin_s: float
    engine: EngineName


def run_result(seen: RunRecord, table: RequestTable | None) -> RunResult:
    """The observed run as frozen plain data, with its requests where they were kept."""
    rollout: dict[str, float | None] = {}
    if seen.rolled:
        part = _figures(seen, seen.settled_tally, seen.settled_s)
        rollout = {f"rollout_{name}": value for name, value in part.items()}
        rollout |= _rollout_figures(seen)

    def metrics(tally: Tally, until_s: float) -> dict[str, float | None]:
        own = _figures(seen, tally, until_s) | _counts(seen, tally)
        return {**dict.fromkeys(METRICS), **own, **rollout}

    whole = metrics(seen.tally, seen.end_s)
    is_alone = seen.alone_end_s == seen.end_s
    return RunResult(
        ended=seen.ended,
        settled_s=seen.settled_s,
        end_s=seen.end_s,
        requests=_outcomes(seen.tally),
        metrics=whole,
        alone=whole if is_alone else metrics(seen.settled_tally, seen.alone_end_s),
        bin_s=seen.bin_s,
        series=_series(seen),
        states=seen.states,
        waits=seen.waits,
        critical_path=seen.critical_path,
        failures=seen.failures,
        stopped_by=seen.stopped_by,
        table=None if table is None else _own_requests(table),
        engine=seen.engine,
    )


def _rollout_figures(seen: RunRecord) -> dict[str, float | None]:
    fewest, capacity_fraction = lowest(seen.pool_log, seen.settled_s)
    whole = np.array([0.0, seen.settled_s])
    mixed = pool_means(seen.pool_log, whole).mixed_fraction[0] * seen.settled_s
    return {
        "rollout_duration_s": seen.rollout_ended_s,
        "lowest_in_pool_count": float(fewest),
        "lowest_capacity_fraction": capacity_fraction,
        "mixed_version_s": float(mixed),
        "exposure_requests": float(seen.exposed_count),
        "surge_instance_s": _surge_instance_s(seen),
    }


def _surge_instance_s(seen: RunRecord) -> float:
    """Instance-seconds beyond the fleets until all had settled, of whatever is not absent."""
    total_s, first = 0.0, 0
    for count, with_second in seen.fleets:
        if with_second == count:
            first += count
            continue
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


def _figures(seen: RunRecord, tally: Tally, until_s: float) -> dict[str, float | None]:
    """The metrics that exist both for the common interval and for the rollout."""
    ended = sum(tally[f"outcome_{code}"] for code in range(IN_FLIGHT))
    admitted = tally["called"] - tally["turned_away"]
    has_left = int(np.sum(tally.wait["count"]))
    p50, p95, p99 = quantiles_s(tally.latency, (0.5, 0.95, 0.99))
    edges = np.array([0.0, until_s])
    up_slot_s = _up_slot_s(seen, edges)[0]
    busy_slot_s = (tally["busy"] * round(until_s * TICKS_PER_S) - tally["busy_ticks"]) / TICKS_PER_S
    return {
        "latency_mean_s": mean_s(tally.latency),
        "latency_p50_s": p50,
        "latency_p95_s": p95,
        "latency_p99_s": p99,
        "wait_mean_s": mean_s(tally.wait),
        "wait_p99_s": quantiles_s(tally.wait, (0.99,))[0],
        # What waits still has waited too.
        "wait_fraction": (tally["waited"] + admitted - has_left) / admitted if admitted else None,
        "error_fraction": (ended - tally["outcome_0"]) / ended if ended else None,
        "utilisation_fraction": float(busy_slot_s / up_slot_s) if up_slot_s > 0 else None,
        "queue_max": float(tally["queue_max"]),
    }


def _counts(seen: RunRecord, tally: Tally) -> dict[str, float | None]:
    """The metrics that count requests by when they ended.

    Unlike the outcomes, which follow what arrived in the interval, they take in what was in
    flight when the rollout began: the first drain cuts those too.
    """
    return {
        "failed_requests": float(tally["failed"]),
        "slow_requests": None if seen.slow_over_s is None else float(tally["slow"]),
        "cut_requests": float(tally["cut"]),
        **(_connections(tally) if seen.rolled and seen.has_connections else {}),
    }


def _connections(tally: Tally) -> dict[str, float | None]:
    """The figures of long-lived connections: each time that one is cut, whatever comes of its client."""
    open_count = tally["open_at_start"]
    return {
        "cut_connections": float(tally["cut_connections"]),
        "cut_connections_fraction": tally["cut_of_open"] / open_count if open_count else None,
    }


def _outcomes(tally: Tally) -> dict[str, int]:
    """How many arrived, and what became of them."""
    counts = [tally[f"outcome_{code}"] for code in range(IN_FLIGHT)]
    return {
        "arrived": tally["arrived"],
        **dict(zip(OUTCOMES, counts, strict=True)),
        "in_flight": tally["arrived"] - sum(counts),
    }


def _own_requests(table: RequestTable) -> RequestTable:
    """Those that arrived from 0 on."""
    own = table.arrival_s >= 0
    return RequestTable(*(getattr(table, field.name)[own] for field in fields(table)))


def _series(seen: RunRecord) -> dict[str, Floats]:
    """Everything told bin by bin, in the whole bins of the common interval."""
    count = max(1, int(seen.end_s / seen.bin_s))
    edges = np.arange(count + 1, dtype=np.float64) * seen.bin_s
    pool = pool_means(seen.pool_log, edges)
    up = _up_slot_s(seen, edges) / seen.bin_s
    bins = seen.tally.bins[:count]
    busy = counts_over_time(bins, "busy", seen.bin_s)
    p50, p99 = bin_quantiles_s(seen.tally, count, (0.5, 0.99))
    return {
        "offered_rps": bins["offered"] / seen.bin_s,
        "served_rps": bins["served"] / seen.bin_s,
        "capacity_rps": pool.capacity_rps,
        "in_pool_count": pool.count,
        "in_flight_count": counts_over_time(bins, "flying", seen.bin_s),
        "queue_count": counts_over_time(bins, "waiting", seen.bin_s),
        "utilisation_fraction": np.divide(busy, up, out=np.zeros_like(up), where=up > 0),
        "failed_rps": bins["failed"] / seen.bin_s,
        "mixed_version_fraction": pool.new_fraction,
        "latency_p50_s": p50,
        "latency_p99_s": p99,
    }


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


def _up_slot_s(seen: RunRecord, edges_s: Floats) -> Floats:
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
