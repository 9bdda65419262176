"""Whether two results are the same, to the last bit."""

from __future__ import annotations

import numpy as np

from simulation.results.run_result import RunResult


def assert_same(one: RunResult, other: RunResult) -> None:
    """Asserts it of everything but the requests."""
    for name in vars(one):
        mine, theirs = getattr(one, name), getattr(other, name)
        if name == "series":
            assert mine.keys() == theirs.keys()
            for column in mine:
                assert np.array_equal(mine[column], theirs[column], equal_nan=True), column
        else:
            assert mine == theirs, name
