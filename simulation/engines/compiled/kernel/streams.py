"""Faster ways to what numpy does for `simulation.requests.arrivals`, compiled: the same numbers to the last bit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulation.engines.compiled.kernel.build import entry


@entry
def sum_up(values: NDArray[np.float64]) -> None:
    """Each number becomes the sum of those before it and itself, added in that order."""
    total = 0.0
    for k in range(len(values)):
        total += values[k]
        values[k] = total


@entry
def draw_normals(rng: np.random.Generator, values: NDArray[np.float64]) -> None:
    """Fills an array with standard normal numbers."""
    for k in range(len(values)):
        values[k] = rng.standard_normal()
