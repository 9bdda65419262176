"""Response times: a wait, and then the service.

Enters: how long requests wait, as a weighted sample, and what they ask for. Leaves: shares that take
longer than a time, and quantiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simulation.units import Floats

_WAITS = 64
_GRID = 24


@dataclass(frozen=True)
class Served:
    """One kind of service: its share, its demand and what that is multiplied with."""

    share: float
    demand: Any
    scale: float


@dataclass(frozen=True)
class Responses:
    """Waits, each with its share, shape (waits,), and the services that follow them."""

    wait_s: Floats
    weight: Floats
    served: Sequence[Served]

    def mean_wait_s(self) -> float:
        """Of all requests."""
        return float(self.wait_s @ self.weight)

    def waits_over(self, time_s: float) -> float:
        """The share that waits longer."""
        return float(np.sum(self.weight[self.wait_s > time_s]))

    def over(self, times_s: Floats) -> Floats:
        """The share that takes longer than each of the times, from arrival to the end."""
        left = times_s[:, None] - self.wait_s
        longer = np.zeros_like(left)
        for one in self.served:
            longer += one.share * one.demand.survival(left / one.scale)
        found: Floats = longer @ self.weight
        return found

    def quantile_s(self, q: float) -> float:
        """The response that a share q does not exceed."""
        longest_s = max(one.scale * float(one.demand.quantile_s(0.99999)) for one in self.served)
        low, high = 0.0, longest_s + float(np.max(self.wait_s, initial=0.0))
        for _refined in range(3):
            times = np.linspace(low, high, _GRID)
            place = int(np.searchsorted(-self.over(times), -(1.0 - q)))
            high, low = times[min(place, _GRID - 1)], times[max(place - 1, 0)]
        return float(low + high) / 2

    def scaled(self, factor: float) -> Responses:
        """The same with every wait so many times as long."""
        return Responses(self.wait_s * factor, self.weight, self.served)


def responses(waits_s: Floats, weights: Floats, served: Sequence[Served]) -> Responses:
    """Puts many waits together as a few, equally heavy ones, each at its own mean.

    Args:
        waits_s: In any order.
        weights: Of the same shape; what they lack to 1 does not wait.
        served: Shares are of 1.
    """
    waits, shares = waits_s.ravel(), weights.ravel()
    order = np.argsort(waits)
    waits, shares = waits[order], shares[order]
    above = np.cumsum(shares[::-1])[::-1]  # how much waits as long: the tail is told apart finest
    total = float(above[0]) if len(above) else 0.0
    if total <= 0:
        return Responses(np.zeros(1), np.ones(1), served)
    place = np.clip(-np.log(np.maximum(above / total, 1e-9)) * 5.0, 0, _WAITS - 1).astype(np.int64)
    weight = np.bincount(place, shares, _WAITS)
    means = np.bincount(place, shares * waits, _WAITS) / np.maximum(weight, 1e-300)
    free = max(0.0, 1.0 - total)
    return Responses(np.concatenate([[0.0], means]), np.concatenate([[free], weight]), served)
