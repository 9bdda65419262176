"""Round values: those that a person would write as a limit or a timeout."""

from __future__ import annotations

import itertools
import math

_MINUTE_S, _HOUR_S = 60.0, 3600.0

MANTISSAS = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0, 9.0)
"""The round values between 1 and 10."""


def round_values(above: float, most: float) -> list[float]:
    """Return the round values above a value up to another, ascending.

    From a minute on, round values are half minutes, and from an hour on half hours, of a number that is
    round itself: 4 s, 4.5 s, …, 50 s, 1 min, 1.5 min, … The same numbers do for fractions.

    Args:
        above: Lower end, above 0, itself left out.
        most: Upper end, included.
    """
    values: set[float] = set()
    for unit, least, below in (
        (1.0, 0.0, _MINUTE_S),
        (_MINUTE_S, _MINUTE_S, _HOUR_S),
        (_HOUR_S, _HOUR_S, math.inf),
    ):
        first = math.floor(math.log10(above / unit))
        last = math.ceil(math.log10(most / unit))
        for power, mantissa in itertools.product(range(first, last + 1), MANTISSAS):
            number = float(f"{mantissa:g}e{power}")
            is_whole = unit == 1.0 or (2 * number).is_integer()
            if is_whole and least <= unit * number < below:
                values.add(unit * number)
    return sorted(value for value in values if above < value <= most)
