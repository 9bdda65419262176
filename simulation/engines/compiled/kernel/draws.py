"""The draws of `simulation.requests.draws`, compiled: the same numbers for the same purposes."""

from __future__ import annotations

import numpy as np

from simulation.engines.compiled.kernel.build import part
from simulation.requests.draws import PURPOSES

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_30, _27, _31, _11 = (np.uint64(bits) for bits in (30, 27, 31, 11))

PICK, SECOND_PICK, AFFINITY, ERROR_DRAW, JITTER, CONNECTION, CONNECTION_AGE = (
    np.uint64(PURPOSES.index(name))
    for name in (
        "pick",
        "second pick",
        "affinity",
        "error",
        "jitter",
        "connection",
        "connection age",
    )
)


@part
def _mix(value: np.uint64) -> np.uint64:
    value = value + _GOLDEN
    value = (value ^ (value >> _30)) * _FIRST
    value = (value ^ (value >> _27)) * _SECOND
    return value ^ (value >> _31)


@part
def uniform(key: np.uint64, purpose: np.uint64, number: int) -> float:
    """Return a number in (0, 1) that depends on the purpose and the number only."""
    value = _mix(_mix(key ^ purpose) ^ np.uint64(number))
    return (np.float64(value >> _11) + 0.5) / 9007199254740992.0


@part
def uniform_of_two(key: np.uint64, purpose: np.uint64, number: int, other: int) -> float:
    """Return a number in (0, 1) that depends on the purpose and both numbers only."""
    value = _mix(_mix(_mix(key ^ purpose) ^ np.uint64(number)) ^ np.uint64(other))
    return (np.float64(value >> _11) + 0.5) / 9007199254740992.0
