"""Counts that go on, over a balancer's restarts and an executor's."""

from __future__ import annotations

from typing import Any

import pytest

from executor.counter import MAX_HISTORY_LENGTH, RequestCounter
from executor.fleet.balancers.base import Admin, BalancerState, Server
from executor.guards import RequestCounts


def state(process: str, requests: int, failed: int, queued: int = 0, **new: Any) -> BalancerState:
    """A balancer of two servers, of which ``b`` has the new version."""
    old = Server(Admin.READY, is_up=True, requests_count=1000)
    servers = {"a": old, "b": Server(Admin.READY, is_up=True, **new)}
    return BalancerState(process, servers, requests, failed, queued)


LOOKS = [
    # what the balancer says, since when a bake is open, what is counted, the exposure
    pytest.param(
        [(state("1", 500, 5), None)],
        RequestCounts(0.0, 0, 0, 0),
        0,
        id="what was before does not count",
    ),
    pytest.param(
        [(state("1", 500, 5), None), (state("1", 520, 6, 3), None)],
        RequestCounts(1.0, 20, 1, 3),
        0,
        id="what has come since",
    ),
    pytest.param(
        [(state("1", 500, 5), None), (state("1", 520, 6), None), (state("2", 4, 1), None)],
        RequestCounts(2.0, 20, 1, 0),
        0,
        id="a restart: its count begins at nothing",
    ),
    pytest.param(
        [(state("1", 500, 5), None), (state("2", 4, 1), None), (state("2", 10, 3), None)],
        RequestCounts(2.0, 6, 2, 0),
        0,
        id="a restart: what has come since the first look at it",
    ),
    pytest.param(
        [(state("1", 500, 5), None), (state("1", 4, 5), None), (state("1", 10, 7), None)],
        RequestCounts(2.0, 6, 2, 0),
        0,
        id="the requests are set to nothing in the same process",
    ),
    pytest.param(
        [(state("1", 500, 5), None), (state("1", 520, 0), None), (state("1", 530, 3), None)],
        RequestCounts(2.0, 30, 3, 0),
        0,
        id="the failures are set to nothing in the same process",
    ),
    pytest.param(
        [
            (state("1", 0, 0, requests_count=70, failed_count=9), 0.0),
            (state("1", 0, 0, requests_count=4, failed_count=9), 0.0),
            (state("1", 0, 0, requests_count=10, failed_count=11), 0.0),
        ],
        RequestCounts(2.0, 0, 0, 0, 6, 2),
        6,
        id="a server's requests are set to nothing in the same process",
    ),
    pytest.param(
        [
            (state("1", 0, 0, requests_count=70, failed_count=9), 0.0),
            (state("1", 0, 0, requests_count=90, failed_count=1), 0.0),
            (state("1", 0, 0, requests_count=95, failed_count=4), 0.0),
        ],
        RequestCounts(2.0, 0, 0, 0, 25, 3),
        25,
        id="a server's failures are set to nothing in the same process",
    ),
    pytest.param(
        [
            (state("1", 500, 0, requests_count=7, failed_count=1), None),
            (state("1", 510, 2, requests_count=17, failed_count=3), 0.5),
            (state("1", 530, 3, requests_count=27, failed_count=4), 0.5),
        ],
        RequestCounts(2.0, 30, 3, 0, 20, 3),
        20,
        id="a bake: of the new version alone",
    ),
    pytest.param(
        [
            (state("1", 500, 0, requests_count=7), None),
            (state("1", 510, 0, requests_count=17), 0.5),
            (state("1", 530, 0, requests_count=20), 1.5),
        ],
        RequestCounts(2.0, 30, 0, 0, 3, 0),
        13,
        id="another bake begins at nothing",
    ),
]


@pytest.mark.parametrize(("looks", "counted", "exposure"), LOOKS)
def test_what_is_counted(
    looks: list[tuple[BalancerState, float | None]], counted: RequestCounts, exposure: int
) -> None:
    counter = RequestCounter([])
    for t_s, (seen, since_s) in enumerate(looks):
        now = counter.count(float(t_s), seen, {"b"}, since_s=since_s)
    assert now == counted
    assert counter.exposure_count == exposure
    assert counter.history == []


def test_it_goes_on_where_the_executor_before_it_ended() -> None:
    before = {"requests_count": 100, "failed_count": 2, "exposure_count": 30, "queued_count": 9}
    counter = RequestCounter([(50.0, before)])
    counter.count(51.0, state("1", 500, 5, requests_count=7), {"b"}, since_s=None)
    now = counter.count(52.0, state("1", 510, 6, requests_count=9), {"b"}, since_s=None)
    assert (now, counter.exposure_count) == (RequestCounts(52.0, 110, 3, 0, 2), 32)


def test_the_first_count_and_the_last_ones_are_kept() -> None:
    counter = RequestCounter([])
    for t_s in range(MAX_HISTORY_LENGTH + 10):
        counter.append(RequestCounts(float(t_s), 0, 0, 0))
    assert len(counter.history) == MAX_HISTORY_LENGTH
    assert counter.history[0].t_s == 0.0
    assert [one.t_s for one in counter.history[1:]] == [
        float(t_s) for t_s in range(11, MAX_HISTORY_LENGTH + 10)
    ]
