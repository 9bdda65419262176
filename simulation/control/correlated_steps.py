"""Durations of a step that are correlated between the instances of a service (model.md §14).

A Gaussian copula: with the correlation ρ, the normal deviate of an instance is √ρ·Z + √(1 − ρ)·e, where
one Z is drawn per replication and step, and one e per instance. Each duration is the quantile of its
distribution at that deviate's probability, so every duration alone keeps its distribution.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special

from simulation.scenario.distributions import Empirical, Shifted
from simulation.scenario.units import Floats

_HIGHEST = 1.0 - 2.0**-53
"""The largest probability below 1: at 1 most distributions have no quantile."""


def correlate_durations(
    duration: Any, correlation: float, common: float, own_rng: np.random.Generator, count: int
) -> Floats:
    """Draw the duration of a step on each instance, in seconds, shape (count,).

    Args:
        duration: The distribution of the duration.
        correlation: ρ, the correlation of the normal deviates of two instances.
        common: Z, the normal deviate that all instances have in common.
        own_rng: The random stream of the instances' own deviates.
        count: The number of instances.
    """
    own = own_rng.standard_normal(count)
    deviates = math.sqrt(correlation) * common + math.sqrt(1.0 - correlation) * own
    return _quantiles_s(duration, np.minimum(special.ndtr(deviates), _HIGHEST))


def _quantiles_s(duration: Any, probabilities: Floats) -> Floats:
    """Return the quantiles of a duration; those of measured values are measured values.

    `Empirical.quantile_s` interpolates between two measured values, which no draw does.
    """
    match duration:
        case Empirical(empirical=values):
            return np.sort(values)[(probabilities * len(values)).astype(np.int64)]
        case Shifted(shifted=shape):
            return shape.by + _quantiles_s(shape.of, probabilities)
    return np.array([float(duration.quantile_s(q)) for q in probabilities.tolist()])
