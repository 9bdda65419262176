"""The wait of M/G/c in its steady state by closed form, against which simulated queues are tested."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulation.estimates.queueing import erlang_b
from simulation.scenario.units import Floats


def erlang_c(slots: Floats, offered: Floats) -> Floats:
    """Return the share of requests that wait in M/M/c; 1 where the load is 1 or more."""
    load = np.minimum(np.asarray(offered, float) / np.asarray(slots, float), 1.0)
    blocked = erlang_b(slots, offered)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = blocked / (1.0 - load * (1.0 - blocked))
    return np.where(load >= 1.0, 1.0, share)


@dataclass(frozen=True)
class SteadyWait:
    """The wait in M/G/c: a share of the requests waits, exponentially long (Allen–Cunneen).

    Attributes:
        fraction: The share of requests that wait.
        rate: The rate of the exponential, in 1/s; 0 where the queue grows without end.
    """

    fraction: float
    rate: float

    def mean_s(self) -> float:
        """Return the mean wait over all requests, in s."""
        return self.fraction / self.rate if self.rate > 0 else np.inf

    def quantile_s(self, q: float) -> float:
        """Return a quantile of the wait over all requests, in s; 0 where enough of them do not wait."""
        if self.fraction <= 1.0 - q:
            return 0.0
        return float(np.log(self.fraction / (1.0 - q))) / self.rate if self.rate > 0 else np.inf


def steady_wait(
    rate_rps: float, mean_service_s: float, slots: float, variability: float = 1.0
) -> SteadyWait:
    """Return the wait in a steady M/G/c.

    Its mean is C(c, λE[S])·variability/(cμ − λ): exact for M/M/c, and for one slot that of
    Pollaczek and Khinchine.
    """
    spare_rps = slots / mean_service_s - rate_rps
    share = erlang_c(np.array(slots), np.array(rate_rps * mean_service_s))
    return SteadyWait(float(share), max(0.0, spare_rps) / variability)
