"""Response times: a wait, then the service. Shares that take longer than a time, and quantiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simulation.scenario.units import Floats

_WAITS = 40
"""Number of waits that a sample is reduced to."""

_GRID = 48
_FINE = 16
"""Number of points of the grids on which a quantile is found."""


@dataclass(frozen=True)
class Served:
    """One kind of service: its share of requests, its demand, and a factor of that demand."""

    share: float
    demand: Any
    scale: float


@dataclass(frozen=True)
class Responses:
    """Waits with their shares, shape (waits,), and the services that follow them."""

    wait_s: Floats
    weight: Floats
    served: Sequence[Served]

    def mean_wait_s(self) -> float:
        """Return the mean wait of all requests."""
        return float(self.wait_s @ self.weight)

    def waits_over(self, time_s: float) -> float:
        """Return the share of requests that waits longer."""
        return float(np.sum(self.weight[self.wait_s > time_s]))

    def over(self, times_s: Floats) -> Floats:
        """Return the share of requests that takes longer than each time, from arrival to end."""
        left = times_s[:, None] - self.wait_s
        longer = np.zeros_like(left)
        for kind in self.served:
            longer += kind.share * kind.demand.survival(left / kind.scale)
        shares: Floats = longer @ self.weight
        return shares

    def quantiles_s(self, shares: Sequence[float]) -> list[float]:
        """Return quantiles of the response time: found on a coarse grid, then on a fine one in a cell."""
        longest_s = max(kind.scale * float(kind.demand.quantile_s(0.99999)) for kind in self.served)
        longest_s += float(np.max(self.wait_s, initial=0.0))
        coarse = np.concatenate([[0.0], longest_s * np.geomspace(1e-4, 1.0, _GRID)])
        over = self.over(coarse)
        quantiles = []
        for share in shares:
            place = int(np.searchsorted(-over, share - 1.0))
            cell = coarse[[max(place - 1, 0), min(place, _GRID)]]
            fine = np.linspace(cell[0], cell[1], _FINE)
            quantiles.append(float(np.interp(share - 1.0, -self.over(fine), fine)))
        return quantiles

    def scale(self, factor: float) -> Responses:
        """Return the responses with every wait multiplied by ``factor``."""
        return Responses(self.wait_s * factor, self.weight, self.served)


def responses(waits_s: Floats, weights: Floats, served: Sequence[Served]) -> Responses:
    """Reduce many waits to a few, each the mean of waits of about the same length.

    Args:
        waits_s: Waits in any order.
        weights: Their shares, of the same shape; the rest to 1 does not wait.
        served: Kinds of service, whose shares add up to 1.
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
