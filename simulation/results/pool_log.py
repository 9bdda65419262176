"""The log of a pool's changes over time, of one service or of several services merged.

From it follow the lowest number of instances in the pool and means between given times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from simulation.scenario.units import Floats


class PoolChange(NamedTuple):
    """The state of a pool from a time on: instances that are up and in the pool.

    A tuple, because a run makes two for each instance and a frozen dataclass takes three times as long.

    Attributes:
        time_s: The time from which this state holds.
        old_count: Number of instances with the old version.
        new_count: Number of instances with the new version.
        capacity_rps: The capacity of these instances, in requests per second.
        capacity_fraction: The same capacity as a fraction of the whole fleet's.
        is_mixed: Whether both versions are in the pool.
    """

    time_s: float
    old_count: int
    new_count: int
    capacity_rps: float
    capacity_fraction: float
    is_mixed: bool

    @property
    def in_pool_count(self) -> int:
        """Number of all instances in the pool."""
        return self.old_count + self.new_count


PoolLog = list[tuple[str, PoolChange]]
"""Changes in the order in which they happened, each with the name of its service."""


def merge(log: PoolLog) -> list[PoolChange]:
    """Return the pools of all services as one: counts are summed, capacity is that of the lowest."""
    services = {name for name, _ in log}
    if len(services) == 1:
        return [change for _, change in log]
    latest: dict[str, PoolChange] = {}
    merged = []
    for name, change in log:
        latest[name] = change
        if len(latest) == len(services):
            merged.append(_merge_pools(list(latest.values()), change.time_s))
    return merged


def _merge_pools(pools: Sequence[PoolChange], time_s: float) -> PoolChange:
    return PoolChange(
        time_s=time_s,
        old_count=sum(pool.old_count for pool in pools),
        new_count=sum(pool.new_count for pool in pools),
        capacity_rps=min(pool.capacity_rps for pool in pools),
        capacity_fraction=min(pool.capacity_fraction for pool in pools),
        is_mixed=any(pool.is_mixed for pool in pools),
    )


def lowest(log: Sequence[PoolChange], until_s: float) -> tuple[int, float]:
    """Return the fewest instances in the pool and the lowest capacity fraction, from 0 to a time."""
    begin = max(0, sum(change.time_s < 0 for change in log) - 1)  # the state that holds at time 0
    changes = [change for change in log[begin:] if change.time_s <= until_s]
    return min(change.in_pool_count for change in changes), min(
        change.capacity_fraction for change in changes
    )


@dataclass(frozen=True)
class PoolMeans:
    """Means of a pool between given times, shape (bins,) each.

    Fractions are of the instances in the pool.
    """

    count: Floats
    new_fraction: Floats
    mixed_fraction: Floats
    capacity_rps: Floats


def pool_means(log: Sequence[PoolChange], edges_s: Floats) -> PoolMeans:
    """Return the means of the pool between successive edges.

    Args:
        log: The pool's changes.
        edges_s: Ascending times in seconds, shape (bins + 1,).
    """
    times, old, new, capacity, _fraction, mixed = np.array(log, dtype=float).T
    count = old + new
    share = np.divide(new, count, out=np.zeros_like(new), where=count > 0)
    return PoolMeans(*_means(times, np.array([count, share, mixed, capacity]), edges_s))


def _means(times: Floats, values: Floats, edges_s: Floats) -> Floats:
    """Return the means between edges of step functions that begin at or before the first edge.

    Args:
        times: The times from which the values hold, shape (steps,).
        values: The values of each function, shape (functions, steps).
        edges_s: Ascending times, shape (bins + 1,).

    Returns:
        The means, shape (functions, bins).
    """
    areas = np.zeros_like(values)
    np.cumsum(values[:, :-1] * np.diff(times), axis=1, out=areas[:, 1:])
    index = np.searchsorted(times, edges_s, side="right") - 1
    integral = areas[:, index] + values[:, index] * (edges_s - times[index])
    means: Floats = np.diff(integral) / np.diff(edges_s)
    return means
