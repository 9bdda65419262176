"""The log of the pool: the fewest from the start on, several services as one, and means."""

from __future__ import annotations

import numpy as np
import pytest

from simulation.results.pool_log import PoolChange, lowest, merge, pool_means


def change(
    time_s: float, old: int, new: int = 0, capacity_rps: float = 10.0, fraction: float = 1.0
) -> PoolChange:
    return PoolChange(time_s, old, new, capacity_rps, fraction, is_mixed=old > 0 < new)


@pytest.mark.parametrize(
    ("log", "fewest"),
    [
        pytest.param([change(0, 4)], 4, id="one entry, at the start"),
        pytest.param([change(0, 2), change(1, 4)], 2, id="what the log begins with"),
        pytest.param([change(-9, 1), change(-5, 4), change(3, 3)], 3, id="before the start"),
        pytest.param([change(-9, 4), change(-5, 1), change(3, 3)], 1, id="so at the start"),
        pytest.param([change(-5, 1), change(0, 3)], 1, id="until a change exactly at the start"),
        pytest.param([change(-5, 4), change(10, 2)], 2, id="a change exactly at the end"),
        pytest.param([change(-5, 4), change(10.1, 2)], 4, id="after the end"),
    ],
)
def test_the_fewest_in_the_pool_from_0_to_10(log: list[PoolChange], fewest: int) -> None:
    assert lowest(log, 10.0)[0] == fewest


def test_the_lowest_capacity_need_not_be_that_of_the_fewest() -> None:
    log = [change(-5, 4), change(1, 2, fraction=0.6), change(2, 3, fraction=0.4)]
    assert lowest(log, 10.0) == (2, 0.4)


def test_services_are_one_log_from_when_all_are_there() -> None:
    log = [
        ("web", change(-5, 4, capacity_rps=40)),
        ("api", change(-5, 2, capacity_rps=30, fraction=0.9)),
        ("web", change(1, 3, 1, capacity_rps=20, fraction=0.5)),
    ]
    assert merge(log) == [
        PoolChange(-5, 6, 0, 30, 0.9, is_mixed=False),
        PoolChange(1, 5, 1, 20, 0.5, is_mixed=True),
    ]


def test_means_are_by_time_and_shares_of_what_is_in_the_pool() -> None:
    log = [
        change(-5, 4, 0, capacity_rps=40),
        change(1, 3, 1, capacity_rps=20),
        change(4, 0, 0, capacity_rps=0),
    ]
    means = pool_means(log, np.array([0.0, 1.0, 2.0, 6.0]))
    assert means.count.tolist() == [4, 4, 2]
    assert means.new_fraction.tolist() == [0, 0.25, 0.125]  # an empty pool has no share of new ones
    assert means.mixed_fraction.tolist() == [0, 1, 0.5]
    assert means.capacity_rps.tolist() == [40, 20, 10]
