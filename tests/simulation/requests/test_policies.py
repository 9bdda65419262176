"""The choices of each policy as tables, and the properties of random policies."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.requests.draws import Draws
from simulation.requests.policies import POLICIES, Policy, policy
from tests.helpers.results import figure
from tests.helpers.scenarios import run_once, steady

DRAWS = Draws(1, 0)


def made(name: str, *weights: float) -> Policy:
    return policy(name, weights or (1.0,) * 4, DRAWS, will_change=False)


def picks(chooser: Policy, count: int) -> list[int]:
    """Return the instances that requests 0, 1, … get while nothing else changes."""
    return [chooser.pick(request, request % 7) for request in range(count)]


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ((1, 1, 1), [0, 1, 2, 0, 1, 2, 0]),
        ((5, 1, 1), [0, 0, 1, 0, 2, 0, 0]),  # the example of nginx's own commit, upstream rr
        ((2, 1), [0, 1, 0, 0, 1, 0, 0]),
        ((1, 3), [1, 0, 1, 1, 1, 0, 1]),
    ],
)
def test_round_robin_is_smooth(weights: tuple[float, ...], expected: list[int]) -> None:
    assert picks(made("round_robin", *weights), 7) == expected


def test_round_robin_points_at_numbers_whatever_the_pool_is() -> None:
    chooser = made("round_robin")
    assert picks(chooser, 2) == [0, 1]
    chooser.update(2, 0, in_pool=False, has_room=True)
    assert chooser.pick(0, 0) == 3
    chooser.update(2, 0, in_pool=True, has_room=True)
    assert picks(chooser, 4) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("weights", "connections", "expected"),
    [
        ((1, 1, 1), (2, 1, 3), 1),
        ((1, 1, 1), (1, 1, 1), 0),  # the one that changed longest ago
        ((4, 1, 1), (3, 1, 1), 0),  # (3 + 1)/4 is below (1 + 1)/1
        ((4, 1, 1), (8, 1, 1), 1),
    ],
)
def test_least_connections_goes_by_weight(
    weights: tuple[float, ...], connections: tuple[int, ...], expected: int
) -> None:
    chooser = made("least_connections", *weights)
    for instance, count in enumerate(connections):
        chooser.update(instance, count, in_pool=True, has_room=True)
    assert chooser.pick(0, 0) == expected


def test_random_goes_by_weight() -> None:
    counts = Counter(picks(made("random", 1, 2, 5), 8000))
    for instance, share in ((0, 1 / 8), (1, 2 / 8), (2, 5 / 8)):
        error = (share * (1 - share) / 8000) ** 0.5
        assert counts[instance] / 8000 == pytest.approx(share, abs=4 * error)


@pytest.mark.parametrize(
    ("in_pool", "has_room", "allowed"),
    [
        ((1, 1, 0, 0), (1, 1, 1, 1), {0, 1}),
        ((1, 1, 0, 0), (0, 1, 1, 1), {1}),  # one full: the other
        ((1, 1, 1, 0), (0, 0, 1, 1), {2}),  # both may be full: the next free one
        ((1, 0, 0, 0), (1, 1, 1, 1), {0}),
        ((1, 0, 0, 0), (0, 1, 1, 1), {-1}),
        ((0, 0, 0, 0), (1, 1, 1, 1), {-1}),
    ],
)
def test_power_of_two_draws_both_from_the_pool(
    in_pool: tuple[int, ...], has_room: tuple[int, ...], allowed: set[int]
) -> None:
    chooser = made("power_of_two")
    for instance in range(4):
        chooser.update(instance, 0, bool(in_pool[instance]), bool(has_room[instance]))
    assert set(picks(chooser, 200)) == allowed


def test_power_of_two_takes_the_one_with_fewer_connections() -> None:
    chooser = made("power_of_two")
    for instance, connections in enumerate((9, 0, 5, 3)):
        chooser.update(instance, connections, in_pool=True, has_room=True)
    counts = Counter(picks(chooser, 6000))
    # The best of four is in half of all pairs, the second in a third, the third in a sixth.
    for instance, share in ((1, 1 / 2), (3, 1 / 3), (2, 1 / 6)):
        assert counts[instance] / 6000 == pytest.approx(share, abs=0.03)
    assert counts[0] == 0


@given(count=st.integers(2, 30), gone=st.integers(0, 29))
def test_a_session_moves_only_when_its_instance_goes(count: int, gone: int) -> None:
    gone %= count
    chooser = policy("source_hash", [1.0] * count, DRAWS, will_change=False)
    before = [chooser.pick(0, session) for session in range(400)]
    chooser.update(gone, 0, in_pool=False, has_room=True)
    after = [chooser.pick(0, session) for session in range(400)]
    assert [new for old, new in zip(before, after, strict=True) if old != gone] == [
        old for old in before if old != gone
    ]
    assert gone not in after
    chooser.update(gone, 0, in_pool=True, has_room=True)
    assert [chooser.pick(0, session) for session in range(400)] == before


def test_sessions_spread_evenly() -> None:
    counts = Counter(made("source_hash").pick(0, session) for session in range(8000))
    error = (0.25 * 0.75 / 8000) ** 0.5
    assert all(counts[k] / 8000 == pytest.approx(0.25, abs=4 * error) for k in range(4))


@pytest.mark.parametrize("name", POLICIES)
def test_no_instance_is_picked_from_an_empty_pool(name: str) -> None:
    for weights in ((1.0, 1.0), (2.0, 1.0)):
        chooser = made(name, *weights)
        for instance in range(2):
            chooser.update(instance, 0, in_pool=True, has_room=False)
        assert chooser.pick(3, 5) == -1
        chooser.update(1, 0, in_pool=True, has_room=True)
        assert chooser.pick(4, 5) == 1


def test_weights_are_shares_of_the_requests() -> None:
    weights = {"app-01": 3.0, "app-02": 1.0}
    one = steady("60s", instances=2, slots=100, rate="200/s", weights=weights)
    table = run_once(one).table
    assert table is not None
    share = (table.instance == 0).mean()
    assert share == pytest.approx(0.75, abs=0.001)


def test_a_session_stays_where_it_is() -> None:
    one = steady("30s", instances=5, slots=100, policy="source_hash")
    table = run_once(one).table
    assert table is not None
    assert len(set(table.instance.tolist())) == 5


@pytest.mark.parametrize("queue", ["balancer", "instance"])
def test_a_queue_gives_up(queue: str) -> None:
    """One slot, one second per request: a request that waits longer than 300 ms times out."""
    one = steady(
        "100s",
        instances=1,
        slots=1,
        rate="3/s",
        service_time="1s",
        queue=queue,
        queue_timeout="300ms",
    )
    run = run_once(one)
    table = run.table
    assert table is not None
    late = table.outcome == 2  # timed_out
    assert late.sum() > 100
    assert (table.finish_s - table.arrival_s)[late] == pytest.approx(0.3)
    served = table.outcome == 0
    assert ((table.start_s - table.arrival_s)[served] <= 0.3).all()
    assert figure(run, "utilisation_fraction") > 0.8
