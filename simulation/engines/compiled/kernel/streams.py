"""Draws of `simulation.requests.arrivals`, compiled: faster than numpy, the same to the last bit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulation.engines.compiled.kernel.build import entry


@entry
def sum_up(values: NDArray[np.float64]) -> None:
    """Replace each number by the sum of all numbers up to it, added from first to last."""
    total = 0.0
    for k in range(len(values)):
        total += values[k]
        values[k] = total


@entry
def draw_normals(rng: np.random.Generator, values: NDArray[np.float64]) -> None:
    """Fill an array with standard normal numbers."""
    for k in range(len(values)):
        values[k] = rng.standard_normal()
