"""Who was in the pool, over time: one service's log, or those of several as one.

Enters: the pool's changes. Leaves: the fewest that were in it, and means between moments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulation.scenario.units import Floats


@dataclass(frozen=True)
class PoolChange:
    """What is up and in the pool from a moment on.

    Attributes:
        time_s: Since when.
        old_count: Instances with the old version.
        new_count: Instances with the new one.
        capacity_rps: What they can serve, requests a second.
        capacity_fraction: The same as a share of what the fleet can serve.
        is_mixed: Whether both versions are there.
    """

    time_s: float
    old_count: int
    new_count: int
    capacity_rps: float
    capacity_fraction: float
    is_mixed: bool

    @property
    def count(self) -> int:
        """All instances in the pool."""
        return self.old_count + self.new_count


PoolLog = list[tuple[str, PoolChange]]
"""Changes in the order in which they happened, each with the service whose pool it is."""


def merge(log: PoolLog) -> list[PoolChange]:
    """All services as one, change by change: counts in all, capacity where it is lowest."""
    now: dict[str, PoolChange] = {}
    found = []
    services = {name for name, _ in log}
    for name, change in log:
        now[name] = change
        if len(now) == len(services):
            found.append(_together(list(now.values()), change.time_s))
    return found


def _together(now: Sequence[PoolChange], time_s: float) -> PoolChange:
    return PoolChange(
        time_s=time_s,
        old_count=sum(one.old_count for one in now),
        new_count=sum(one.new_count for one in now),
        capacity_rps=min(one.capacity_rps for one in now),
        capacity_fraction=min(one.capacity_fraction for one in now),
        is_mixed=any(one.is_mixed for one in now),
    )


def lowest(log: Sequence[PoolChange], until_s: float) -> tuple[int, float]:
    """The fewest in the pool from 0 to a moment, and the lowest share of the fleet's capacity."""
    begin = max(0, sum(one.time_s < 0 for one in log) - 1)  # what was so when the rollout started
    seen = [one for one in log[begin:] if one.time_s <= until_s]
    return min(one.count for one in seen), min(one.capacity_fraction for one in seen)


@dataclass(frozen=True)
class PoolMeans:
    """Means between moments, shape (bins,) each; shares are of the instances in the pool."""

    count: Floats
    new_fraction: Floats
    mixed_fraction: Floats
    capacity_rps: Floats


def pool_means(log: Sequence[PoolChange], edges_s: Floats) -> PoolMeans:
    """Means between the edges.

    Args:
        log: The pool's changes.
        edges_s: Ascending times, shape (bins + 1,).
    """
    times = np.array([one.time_s for one in log])
    count = np.array([one.count for one in log], dtype=float)
    new = np.array([one.new_count for one in log], dtype=float)
    share = np.divide(new, count, out=np.zeros_like(new), where=count > 0)
    mixed = np.array([one.is_mixed for one in log], dtype=float)
    capacity = np.array([one.capacity_rps for one in log], dtype=float)
    return PoolMeans(
        *(_means(times, values, edges_s) for values in (count, share, mixed, capacity))
    )


def _means(times: Floats, values: Floats, edges_s: Floats) -> Floats:
    """Means between edges of a step function that begins at or before the first edge."""
    areas = np.concatenate([[0.0], np.cumsum(values[:-1] * np.diff(times))])
    index = np.searchsorted(times, edges_s, side="right") - 1
    integral = areas[index] + values[index] * (edges_s - times[index])
    return np.diff(integral) / np.diff(edges_s)
