"""Intervals of figures over runs: of the mean, of a difference, and of a single run.

A run is one replication. Requests of one run are correlated, so no interval is ever taken from pooled
requests.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from executor.plan.model import Interval
from simulation.results.run_result import LOSS_COUNTS, RARE_FRACTIONS
from simulation.scenario.units import Floats

OVERDISPERSED = 1.5
"""Maximum ratio of a count's variance over runs to its mean at which the count passes for Poisson."""

SINGLE_RUNS = 0.9
"""Probability that one more run lies between `run_low` and `run_high`."""

RESAMPLES = 2000
"""Number of resamples of a bootstrap."""

MOST_RESAMPLED = 5000
"""Maximum number of runs that are resampled. A mean over more runs is close enough to normal."""


@dataclass(frozen=True)
class Difference:
    """The difference between two candidates, paired by replication: mean and 95 % interval."""

    mean: float | None
    low: float | None
    high: float | None


def t_interval(
    values: Floats, confidence: float = 0.95
) -> tuple[float, float | None, float | None]:
    """Return the mean and its two-sided interval, which does not exist for a single value.

    Student's t over independent replications: mean ± t(n − 1)·s/√n (Law, *Simulation Modeling and
    Analysis*, 5th ed., 9.4.1, terminating simulations).

    Args:
        values: One figure per run, shape (n,), n ≥ 1.
        confidence: Probability that such an interval covers the true mean.
    """
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, None, None
    quantile = special.stdtrit(len(values) - 1, (1 + confidence) / 2)
    half = float(quantile * np.std(values, ddof=1) / np.sqrt(len(values)))
    return mean, mean - half, mean + half


def poisson_interval(
    total: ArrayLike, runs: int, confidence: float = 0.95
) -> tuple[Floats, Floats]:
    """Return the exact two-sided interval of the mean count per run, if the counts are Poisson.

    Garwood (*Biometrika* 28, 1936), by quantiles of the gamma distribution.

    Args:
        total: Sum of the counts over the runs.
        runs: Number of runs.
        confidence: Minimum probability that such an interval covers the true mean.
    """
    total = np.asarray(total, dtype=float)
    beside = (1 - confidence) / 2
    low = np.where(total > 0, special.gammaincinv(np.maximum(total, 1e-9), beside), 0.0)
    high = special.gammaincinv(total + 1, 1 - beside)
    return low / runs, high / runs


def bootstrap_interval(values: Floats, confidence: float = 0.95) -> tuple[Floats, Floats]:
    """Return the bootstrapped two-sided interval of the mean, bias-corrected and accelerated (BCa).

    Runs are resampled, never requests (Efron, *JASA* 82, 1987). Both ends are means of values that
    occurred, so that a fraction stays between 0 and 1. The resamples have a fixed seed: the same
    values always give the same interval.

    Args:
        values: One figure per run, shape (n,) or (n, studies), 2 ≤ n ≤ `MOST_RESAMPLED`.
        confidence: Nominal probability that such an interval covers the true mean.
    """
    columns = values[:, None] if values.ndim == 1 else values
    means = np.sort(_resamples(len(columns)) @ columns, axis=0)
    mean = columns.mean(axis=0)
    # Resampled means of equal runs differ from their mean by rounding only.
    near = 1e-9 * np.abs(mean)
    below = (means < mean - near).sum(axis=0) + (means <= mean + near).sum(axis=0)
    bias = special.ndtri(np.clip(below / 2, 0.5, RESAMPLES - 0.5) / RESAMPLES)
    deviations = columns - mean
    squares = (deviations**2).sum(axis=0)
    acceleration = (deviations**3).sum(axis=0) / np.maximum(6 * squares**1.5, 1e-300)
    ends = []
    for beside in ((1 - confidence) / 2, (1 + confidence) / 2):
        z = bias + special.ndtri(beside)
        level = special.ndtr(bias + z / (1 - acceleration * z))
        place = np.clip(level * (RESAMPLES + 1) - 1, 0, RESAMPLES - 1)
        ends.append(np.take_along_axis(means, np.rint(place).astype(int)[None], axis=0)[0])
    low, high = ends[0].reshape(values.shape[1:]), ends[1].reshape(values.shape[1:])
    return low, high


@lru_cache(maxsize=4)
def _resamples(runs: int) -> Floats:
    """Return the share of each run in each resample, shape (`RESAMPLES`, runs)."""
    drawn = np.random.default_rng(runs).multinomial(runs, np.full(runs, 1 / runs), RESAMPLES)
    return drawn / runs


def single_run_range(values: Floats) -> tuple[float, float]:
    """Return the range that one more run lies in with the probability `SINGLE_RUNS`.

    Of n + 1 runs each is equally often the k-th smallest, so the next run lies below the k-th of n
    with the probability k/(n + 1): the ends are the values at the ranks 0.05·(n + 1) and
    0.95·(n + 1), interpolated (Hahn and Meeker, *Statistical Intervals*, 5.4). Fewer than 19 runs
    have no such ranks; their lowest and highest values hold (n − 1)/(n + 1).

    Args:
        values: One figure per run, shape (n,), n ≥ 1.
    """
    beside = (1 - SINGLE_RUNS) / 2
    low, high = np.quantile(values, [beside, 1 - beside], method="weibull")
    return float(low), float(high)


def interval(values: Sequence[float | None], name: str = "") -> Interval:
    """Return mean, 95 % interval of the mean and 90 % range of single runs, where the figure exists.

    - A count of losses has an exact Poisson interval where its variance over runs is at most
      `OVERDISPERSED` times its mean, because losses that come alone add up to a Poisson count. Else
      losses come in clusters, and runs are resampled.
    - Runs are resampled for a fraction too.
    - Losses that no run has seen have no upper end: runs without losses do not say how large a loss
      is. `Occurrence` says how rare it is.
    - All other figures have Student's t interval.

    Args:
        values: A figure, by replication.
        name: Name of the metric, which says whether it is a count of losses or a fraction.
    """
    known = np.array([value for value in values if value is not None], dtype=float)
    if not len(known):
        return Interval(mean=None, low=None, high=None, run_low=None, run_high=None)
    mean, low, high = _mean_interval(known, name)
    run_low, run_high = single_run_range(known)
    return Interval(mean=mean, low=low, high=high, run_low=run_low, run_high=run_high)


def _mean_interval(values: Floats, name: str) -> tuple[float, float | None, float | None]:
    runs, mean = len(values), math.fsum(values) / len(values)
    is_rare = name in LOSS_COUNTS or name in RARE_FRACTIONS
    if is_rare and runs > 1 and not values.any():
        return 0.0, 0.0, None
    if name in LOSS_COUNTS and runs > 1 and np.var(values, ddof=1) <= OVERDISPERSED * mean:
        low, high = poisson_interval(values.sum(), runs)
        return mean, float(low), float(high)
    is_fraction = name.endswith("_fraction")
    if (name in LOSS_COUNTS or is_fraction) and 1 < runs <= MOST_RESAMPLED:
        low, high = bootstrap_interval(values)
        return mean, min(mean, float(low)), max(mean, float(high))
    mean, t_low, t_high = t_interval(values)
    if t_low is not None and t_high is not None and is_fraction and values.max() <= 1:
        return mean, max(0.0, t_low), min(1.0, t_high)
    return mean, t_low, t_high


def paired_difference(ones: Sequence[float | None], others: Sequence[float | None]) -> Difference:
    """Return the t interval of the differences by run, over the runs in which both figures exist.

    Both candidates see the same requests in each run (common random numbers), so most of the
    variation between runs is in both figures and cancels: Var(X − Y) = Var X + Var Y − 2·Cov(X, Y) (Law, 11.2).

    Args:
        ones: A figure of one candidate, by replication.
        others: The same figure of the other candidate in the same replications.
    """
    pairs = zip(ones, others, strict=True)
    known = np.array([a - b for a, b in pairs if a is not None and b is not None])
    return Difference(*t_interval(known)) if len(known) else Difference(None, None, None)
