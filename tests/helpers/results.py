"""Reading the results of runs, and comparing two of them to the last bit."""

from __future__ import annotations

import numpy as np

from simulation.results.run_result import RunResult


def figure(result: RunResult, name: str) -> float:
    """Return a metric of a run that must have one."""
    value = result.metrics[name]
    assert value is not None, f"the run has no {name}"
    return value


def assert_same(one: RunResult, other: RunResult) -> None:
    """Assert that two results are equal to the last bit, except for their requests."""
    for name in vars(one):
        mine, theirs = getattr(one, name), getattr(other, name)
        if name == "series":
            assert mine.keys() == theirs.keys()
            for column in mine:
                assert np.array_equal(mine[column], theirs[column], equal_nan=True), column
        else:
            assert mine == theirs, name
