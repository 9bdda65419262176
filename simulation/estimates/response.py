"""Response times: a wait, and then the service.

Enters: how long requests wait, as a weighted sample, and what they ask for. Leaves: shares that take
longer than a time, and quantiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simulation.scenario.units import Floats

_WAITS = 40
_GRID = 48
_FINE = 16


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

    def quantiles_s(self, shares: Sequence[float]) -> list[float]:
        """The responses that these shares do not exceed: a coarse grid, and a fine one in a cell."""
        longest_s = max(one.scale * float(one.demand.quantile_s(0.99999)) for one in self.served)
        longest_s += float(np.max(self.wait_s, initial=0.0))
        coarse = np.concatenate([[0.0], longest_s * np.geomspace(1e-4, 1.0, _GRID)])
        over = self.over(coarse)
        found = []
        for share in shares:
            place = int(np.searchsorted(-over, share - 1.0))
            cell = coarse[[max(place - 1, 0), min(place, _GRID)]]
            fine = np.linspace(cell[0], cell[1], _FINE)
            found.append(float(np.interp(share - 1.0, -self.over(fine), fine)))
        return found

    def scale(self, factor: float) -> Responses:
        """The same with every wait so many times as long."""
        return Responses(self.wait_s * factor, self.weight, self.served)


def responses(waits_s: Floats, weights: Floats, served: Sequence[Served]) -> Responses:
    """Puts many waits together as a few, each the mean of those about as long.

    Args:
        waits_s: In any order.
        weights: Of the same shape; what they lack to 1 does not wait.
        served: Shares are of 1.
    """
    waits, shares = waits_s.ravel(), weights.ravel()
    longest_s, total = float(np.max(waits, initial=0.0)), float(np.sum(shares))
    if longest_s <= 0 or total <= 0:
        return Responses(np.zeros(1), np.ones(1), served)
    place = np.minimum(_WAITS * np.sqrt(waits / longest_s), _WAITS - 1).astype(np.int64)
    weight = np.bincount(place, shares, _WAITS)
    means = np.bincount(place, shares * waits, _WAITS) / np.maximum(weight, 1e-300)
    free = max(0.0, 1.0 - total)
    return Responses(np.concatenate([[0.0], means]), np.concatenate([[free], weight]), served)
