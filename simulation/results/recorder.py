"""The metrics and series of a run, computed from its tallies, pool log and states (model.md §8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulation.results.failures import Failure
from simulation.results.loss_attribution import attribute_losses
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
from simulation.results.states import State, StateInterval, StateIntervals
from simulation.results.tally import (
    TICKS_PER_S,
    Tally,
    bin_quantiles_s,
    counts_over_time,
    mean_s,
    quantiles_s,
)
from simulation.scenario.units import Floats

_CAN_SERVE = {State.SERVING, State.DRAINING, State.RETURNING, State.FAILED}


@dataclass(frozen=True)
class RunRecord:
    """Everything that is known when a run is over.

    Attributes:
        tally: The counts of the requests until ``end_s``.
        losses: The requests lost from time 0 on, records of `simulation.results.tally.LOSS`.
        settled_tally: The same counts until ``settled_s``.
        alone_tally: The same counts until ``alone_end_s``, unless that is ``end_s``.
        exposed_count: Number of requests that reached a new version before the rollout ended.
        states: The states of all instances, up to ``end_s``.
        pool_log: The changes of the pools of all services merged, from the start of the warm-up.
        rolled: Whether there was a rollout.
        ended: How the rollout ended.
        rollout_ended_s: When the rollout ended, None when it did not.
        over_s: When the rollout was over, however it ended; None when it never was.
        settled_s: End of the rollout and its settling.
        end_s: End of the common interval.
        alone_end_s: End of the interval if no other candidate were simulated.
        has_connections: Whether a class is long-lived connections.
        has_reconnects: Whether a class opens connections again that were cut.
        waits: The rollout's duration by what it was spent on, None when the rollout did not end.
        critical_path: The services whose rollouts determined the end.
        failures: All failures, service by service.
        stopped_by: The failure that stopped the release, None when none did.
        slots: The slots of each instance, service by service.
        fleets: For each service, the number of instances without and with second instances.
        slow_over_s: The objective for the p99 latency, None without one.
        bin_s: Width of the bins of time.
        engine: The name of the engine that simulated the run.
    """

    tally: Tally
    losses: NDArray[Any]
    settled_tally: Tally
    alone_tally: Tally
    exposed_count: int
    states: Sequence[StateInterval]
    pool_log: Sequence[PoolChange]
    rolled: bool
    ended: Ending
    rollout_ended_s: float | None
    over_s: float | None
    settled_s: float
    end_s: float
    alone_end_s: float
    has_connections: bool
    has_reconnects: bool
    waits: Waits | None
    critical_path: tuple[str, ...]
    failures: tuple[Failure, ...]
    stopped_by: Failure | None
    slots: Sequence[int]
    fleets: Sequence[tuple[int, int]]
    slow_over_s: float | None
    bin_s: float
    engine: EngineName


def run_result(record: RunRecord, table: RequestTable | None) -> RunResult:
    """Return the result of a run.

    Args:
        record: Everything that is known of the run.
        table: The run's requests, None where they were not kept.
    """
    up_slots = _UpSlots(record.states, record.slots)
    whole_figures = _figures(record.tally, up_slots, record.end_s)
    rollout: dict[str, float | None] = {}
    if record.rolled:
        figures = whole_figures
        if record.settled_s < record.end_s:
            figures = _figures(record.settled_tally, up_slots, record.settled_s)
        rollout = {f"rollout_{name}": value for name, value in figures.items()}
        rollout |= _rollout_figures(record)

    def metrics(tally: Tally, figures: dict[str, float | None]) -> dict[str, float | None]:
        return {**dict.fromkeys(METRICS), **figures, **_counts(record, tally), **rollout}

    whole = metrics(record.tally, whole_figures)
    is_alone = record.alone_end_s == record.end_s
    return RunResult(
        ended=record.ended,
        settled_s=record.settled_s,
        end_s=record.end_s,
        requests=_outcomes(record.tally),
        metrics=whole,
        alone=whole
        if is_alone
        else metrics(
            record.alone_tally, _figures(record.alone_tally, up_slots, record.alone_end_s)
        ),
        bin_s=record.bin_s,
        series=_series(record, up_slots),
        losses=attribute_losses(record.losses, record.states, record.over_s),
        states=StateIntervals.of(record.states),
        waits=record.waits,
        critical_path=record.critical_path,
        failures=record.failures,
        stopped_by=record.stopped_by,
        table=None if table is None else _own_requests(table),
        engine=record.engine,
    )


def metrics_without_rollout(
    tally: Tally,
    states: Sequence[StateInterval],
    slots: Sequence[int],
    *,
    until_s: float,
    slow_over_s: float | None,
) -> dict[str, float | None]:
    """Return the metrics of a run without a rollout until a time; None for those that need a rollout.

    Args:
        tally: The counts of the requests until then.
        states: The states of all instances until then.
        slots: The slots of each instance.
        until_s: The time, in seconds.
        slow_over_s: The objective for the p99 latency in seconds, None without one.
    """
    figures = _figures(tally, _UpSlots(states, slots), until_s)
    return {**dict.fromkeys(METRICS), **figures, **_request_counts(tally, slow_over_s)}


def _rollout_figures(record: RunRecord) -> dict[str, float | None]:
    fewest, capacity_fraction = lowest(record.pool_log, record.settled_s)
    whole = np.array([0.0, record.settled_s])
    mixed = pool_means(record.pool_log, whole).mixed_fraction[0] * record.settled_s
    return {
        "rollout_duration_s": record.rollout_ended_s,
        "lowest_in_pool_count": float(fewest),
        "lowest_capacity_fraction": capacity_fraction,
        "mixed_version_s": float(mixed),
        "exposure_requests": float(record.exposed_count),
        "surge_instance_s": _surge_instance_s(record),
        "most_instances_count": float(_most_instances(record)),
        "failed_instances_count": float(len(_failed_instances(record))),
    }


def _most_instances(record: RunRecord) -> int:
    """Return the maximum number of instances that existed at once until ``settled_s``, in whatever state.

    An instance that begins at the moment at which another one ends does not exist beside it.
    """
    if all(count == with_second for count, with_second in record.fleets):
        return sum(count for count, _ in record.fleets)
    changes = [
        change
        for interval in record.states
        if interval.state is not State.ABSENT
        and interval.end_s >= 0
        and interval.begin_s < interval.end_s
        and interval.begin_s <= record.settled_s
        for change in ((interval.begin_s, 1), (interval.end_s, -1))
    ]
    present = most = 0
    for _time_s, change in sorted(changes):
        present += change
        most = max(most, present)
    return most


def _failed_instances(record: RunRecord) -> set[tuple[str, int]]:
    """Return the instances whose update failed, also those that a rollback restored."""
    return {
        (failure.service, failure.instance)
        for failure in record.failures
        if failure.instance is not None
    }


def _surge_instance_s(record: RunRecord) -> float:
    """Return the instance-seconds beyond the fleets until ``settled_s``; absent instances count 0."""
    total_s, first = 0.0, 0
    for count, with_second in record.fleets:
        if with_second == count:
            first += count
            continue
        changes = []
        for interval in record.states:
            is_own = first <= interval.instance < first + with_second
            if is_own and interval.state is not State.ABSENT:
                begin_s, end_s = (
                    min(max(t, 0.0), record.settled_s) for t in (interval.begin_s, interval.end_s)
                )
                changes += [(begin_s, 1), (end_s, -1)]
        present, since_s = 0, 0.0
        for time_s, change in sorted(changes):
            total_s += max(0, present - count) * (time_s - since_s)
            present, since_s = present + change, time_s
        first += with_second
    return total_s


def _figures(tally: Tally, up_slots: _UpSlots, until_s: float) -> dict[str, float | None]:
    """Return the metrics that exist both for the common interval and for the rollout."""
    ended = sum(tally[f"outcome_{code}"] for code in range(IN_FLIGHT))
    admitted = tally["called"] - tally["turned_away"]
    has_left = int(np.sum(tally.wait["count"]))
    p50, p95, p99 = quantiles_s(tally.latency, (0.5, 0.95, 0.99))
    up_slot_s = up_slots.slot_s(np.array([0.0, until_s]))[0]
    busy_slot_s = (tally["busy"] * round(until_s * TICKS_PER_S) - tally["busy_ticks"]) / TICKS_PER_S
    return {
        "latency_mean_s": mean_s(tally.latency),
        "latency_p50_s": p50,
        "latency_p95_s": p95,
        "latency_p99_s": p99,
        "wait_mean_s": mean_s(tally.wait),
        "wait_p99_s": quantiles_s(tally.wait, (0.99,))[0],
        # Calls that still wait at the end count as having waited.
        "wait_fraction": (tally["waited"] + admitted - has_left) / admitted if admitted else None,
        "error_fraction": (ended - tally["outcome_0"]) / ended if ended else None,
        "utilisation_fraction": float(busy_slot_s / up_slot_s) if up_slot_s > 0 else None,
        "queue_max": float(tally["queue_max"]),
    }


def _counts(record: RunRecord, tally: Tally) -> dict[str, float | None]:
    """Return the metrics that count requests by the time of their end.

    The outcomes count requests by their arrival within the interval. These metrics also include the
    requests that were in flight when the rollout began, because the first drain may cut these.
    """
    return {
        **_request_counts(tally, record.slow_over_s),
        **(_connections(tally) if record.rolled and record.has_connections else {}),
        **(
            {"reconnects": float(tally["reconnects"])}
            if record.rolled and record.has_reconnects
            else {}
        ),
    }


def _request_counts(tally: Tally, slow_over_s: float | None) -> dict[str, float | None]:
    """Return the metrics that count requests and that exist without a rollout, too."""
    return {
        "failed_requests": float(tally["failed"]),
        "slow_requests": None if slow_over_s is None else float(tally["slow"]),
        "cut_requests": float(tally["cut"]),
        "retries": float(tally["retried"]),
    }


def _connections(tally: Tally) -> dict[str, float | None]:
    """Return the metrics of long-lived connections; a connection counts each time it is cut."""
    open_count = tally["open_at_start"]
    return {
        "connections_at_start": float(open_count),
        "cut_connections": float(tally["cut_connections"]),
        "cut_connections_fraction": tally["cut_of_open"] / open_count if open_count else None,
    }


def _outcomes(tally: Tally) -> dict[str, int]:
    """Return the number of requests that arrived, of each outcome, and in flight."""
    counts = [tally[f"outcome_{code}"] for code in range(IN_FLIGHT)]
    return {
        "arrived": tally["arrived"],
        **dict(zip(OUTCOMES, counts, strict=True)),
        "in_flight": tally["arrived"] - sum(counts),
    }


def _own_requests(table: RequestTable) -> RequestTable:
    """Return the requests that arrived from time 0 on."""
    own = table.arrival_s >= 0
    return RequestTable(*(getattr(table, field.name)[own] for field in fields(table)))


def _series(record: RunRecord, up_slots: _UpSlots) -> dict[str, Floats]:
    """Return all series, one value for each whole bin of the common interval."""
    count = max(1, int(record.end_s / record.bin_s))
    edges = np.arange(count + 1, dtype=np.float64) * record.bin_s
    pool = pool_means(record.pool_log, edges)
    up = up_slots.slot_s(edges) / record.bin_s
    bins = record.tally.bins[:count]
    busy = counts_over_time(bins, "busy", record.bin_s)
    p50, p99 = bin_quantiles_s(record.tally, count, (0.5, 0.99))
    return {
        "offered_rps": bins["offered"] / record.bin_s,
        "served_rps": bins["served"] / record.bin_s,
        "capacity_rps": pool.capacity_rps,
        "in_pool_count": pool.count,
        "in_flight_count": counts_over_time(bins, "flying", record.bin_s),
        "queue_count": counts_over_time(bins, "waiting", record.bin_s),
        "utilisation_fraction": np.divide(busy, up, out=np.zeros_like(up), where=up > 0),
        "failed_rps": bins["failed"] / record.bin_s,
        "retried_rps": bins["retried"] / record.bin_s,
        "mixed_version_fraction": pool.new_fraction,
        "latency_p50_s": p50,
        "latency_p99_s": p99,
    }


class _UpSlots:
    """The slots of the instances in states that can serve, over time."""

    def __init__(self, states: Sequence[StateInterval], slots: Sequence[int]) -> None:
        times: dict[int, tuple[list[float], list[float]]] = {}
        for interval in states:
            if interval.state in _CAN_SERVE:
                begins, ends = times.setdefault(slots[interval.instance], ([], []))
                begins.append(interval.begin_s)
                ends.append(interval.end_s)
        self._times = [
            (slots, _with_sums(begins), _with_sums(ends))
            for slots, (begins, ends) in sorted(times.items())
        ]

    def slot_s(self, edges_s: Floats) -> Floats:
        """Return the slot-seconds between the edges, shape (bins,)."""
        total: Floats = np.zeros(len(edges_s) - 1)
        for slots, begins, ends in self._times:
            total += slots * np.diff(_elapsed_s(*begins, edges_s) - _elapsed_s(*ends, edges_s))
        return total


def _with_sums(times_s: list[float]) -> tuple[Floats, Floats]:
    """Return the times in order, and the sums of the first 0, 1, 2, … of them."""
    times = np.sort(times_s)
    return times, np.concatenate([[0.0], np.cumsum(times)])


def _elapsed_s(times_s: Floats, sums_s: Floats, edges_s: Floats) -> Floats:
    """Return, for each edge e, the sum of e − t over the times t before e.

    ∫ count dt up to an edge, of spans with a begin and an end, is this sum over the begins minus the
    sum over the ends.
    """
    before = np.searchsorted(times_s, edges_s)
    elapsed_s: Floats = before * edges_s - sums_s[before]
    return elapsed_s
