"""How often something occurs at all, in words of runs: in how many any loss occurred."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from simulation.study.statistics.proportions import clopper_pearson


@dataclass(frozen=True)
class Occurrence:
    """The number of runs in which a count is above zero, and the share of all such rollouts.

    Attributes:
        runs_with_any: Number of runs with any.
        runs: Number of runs in which the figure exists.
        low_fraction: Lower end of the exact two-sided 95 % interval of the share.
        high_fraction: Upper end of this interval.
        at_most_fraction: One-sided 95 % bound: the share is at most this.
    """

    runs_with_any: int
    runs: int
    low_fraction: float
    high_fraction: float
    at_most_fraction: float


def occurrence(values: Sequence[float | None], confidence: float = 0.95) -> Occurrence | None:
    """Return in how many runs a count is above zero; None where it exists in no run.

    Args:
        values: A count, by replication.
        confidence: Minimum probability that the interval, and that the bound, covers the true share.
    """
    known = [value for value in values if value is not None]
    if not known:
        return None
    some, runs = sum(value > 0 for value in known), len(known)
    low, high = clopper_pearson(some, runs, (1 + confidence) / 2)
    return Occurrence(some, runs, low, high, clopper_pearson(some, runs, confidence)[1])
