"""Cases that other simulators get wrong, exact to the microsecond (model.md §11, §13)."""

from __future__ import annotations

import math
from typing import Any

import pytest

from simulation.scenario.model import Scenario
from tests.helpers.engine import Bench
from tests.helpers.scenarios import of_services, scenario


def test_simultaneous_arrivals_on_free_slots_finish_together() -> None:
    bench = Bench([(1.0, 0.5)] * 4, slots=4)
    bench.run(10)
    assert bench.finishes() == [1.5] * 4


def test_least_connections_counts_queued_work() -> None:
    """Queued calls count as connections: four more calls are spread evenly, though no slot is free."""
    bench = Bench(
        [(0.0, 10.0)] * 2 + [(1.0, 1.0)] * 4,
        instances=2,
        policy="least_connections",
        queue="instance",
    )
    bench.run(2)
    assert bench.instances() == [0, 1, 0, 1, 0, 1]


def test_a_tie_goes_to_the_instance_unchanged_the_longest() -> None:
    """The second instance is free at 1 s, the first at 2 s: the next two requests go in that order."""
    bench = Bench(
        [(0.0, 2.0), (0.0, 1.0), (3.0, 1.0), (3.0, 1.0)], instances=2, policy="least_connections"
    )
    bench.run(5)
    assert bench.instances() == [0, 1, 1, 0]


def test_round_robin_is_a_pointer_over_numbers_whatever_the_pool_is() -> None:
    bench = Bench([(t, 0.01) for t in (0.0, 1.0, 2.0, 3.0, 4.0)], instances=3)
    bench.run(0.5)
    bench.station().set_pool(1, False)
    bench.run(2.5)
    bench.station().set_pool(1, True)
    bench.run(9)
    assert bench.instances() == [0, 2, 0, 1, 2]


@pytest.mark.parametrize("queue", ["balancer", "instance"])
def test_ties_in_time_completions_then_timeouts_then_arrivals(queue: str) -> None:
    """At 1 s a slot is freed, the second client times out and a third request arrives: the second is served."""
    bench = Bench([(0.0, 1.0), (0.5, 0.2), (1.0, 0.1)], queue=queue, client_timeout="500ms")
    bench.run(9)
    # The first leaves at 0.5 s, its work goes on; the second begins at 1 s, just in time to leave.
    assert bench.outcomes() == ["timed_out", "timed_out", "ok"]
    assert bench.finishes() == [0.5, 1.0, 1.3]


def test_a_client_that_left_is_skipped_in_the_queue() -> None:
    bench = Bench([(0.0, 1.0), (0.04, 5.0), (0.2, 0.1)], client_timeout="950ms")
    bench.run(9)
    assert bench.outcomes() == ["timed_out", "timed_out", "ok"]
    assert bench.finishes() == [0.95, 0.99, 1.1]


# An empty pool, a dead instance


def test_an_empty_pool_rejects_what_comes_and_keeps_what_waits() -> None:
    bench = Bench([(0.0, 2.0), (0.5, 1.0), (1.5, 1.0)])
    bench.run(1)
    bench.station().set_pool(0, False)
    bench.run(5)
    assert bench.outcomes() == ["ok", "in_flight", "rejected"]
    bench.station().set_pool(0, True)
    bench.run(9)
    assert bench.outcomes() == ["ok", "ok", "rejected"]
    assert bench.finishes()[1] == 6.0


def test_a_believed_but_dead_instance_burns_the_whole_queue() -> None:
    bench = Bench([(0.0, 9.0)] + [(0.1, 1.0)] * 50)
    bench.run(1)
    station = bench.station()
    station.stop(0)
    assert station.cut(0) == 1
    assert bench.outcomes() == ["cut"] + ["refused"] * 50


def dead(requests: list[tuple[float, float]], **parts: Any) -> Bench:
    """Return a bench whose first instance is dead but believed to be in the pool."""
    bench = Bench(requests, **parts)
    bench.run(0.001)
    bench.station().stop(0)
    return bench


def test_a_closed_port_refuses() -> None:
    bench = dead([(1.0, 1.0)])
    bench.run(2)
    assert bench.outcomes() == ["refused"]
    assert bench.finishes() == [1.0]


def test_connect_retries_hold_the_slot_and_go_to_the_same_instance() -> None:
    """Up again after 2.5 s: the third try, at 3 s, is served. The one behind waits for the slot."""
    bench = dead(
        [(1.0, 0.5), (1.2, 0.5)], balancer={"connect_retries": {"attempts": 3, "delay": "1s"}}
    )
    bench.run(2.5)
    assert bench.outcomes() == ["in_flight", "in_flight"]
    bench.station().start(0, new_version=False)
    bench.run(9)
    assert bench.finishes() == [3.5, 4.0]


def test_connect_retries_run_out() -> None:
    bench = dead([(1.0, 0.5)], balancer={"connect_retries": {"attempts": 3, "delay": "1s"}})
    bench.run(9)
    assert bench.outcomes() == ["refused"]
    assert bench.finishes() == [4.0]


def test_a_client_that_leaves_frees_the_slot_that_connecting_holds() -> None:
    bench = dead(
        [(1.0, 0.5), (1.2, 0.5)],
        client_timeout="700ms",
        balancer={"connect_retries": {"attempts": 3, "delay": "1s"}},
    )
    bench.run(1.5)
    bench.station().start(0, new_version=False)
    bench.run(9)
    assert bench.outcomes() == ["timed_out", "timed_out"]
    assert bench.calls()[1].start_s == pytest.approx(1.7)


def test_a_connecting_call_is_not_cut_with_the_instance() -> None:
    bench = dead([(1.0, 0.5)], balancer={"connect_retries": {"attempts": 3, "delay": "1s"}})
    bench.run(1.5)
    assert bench.station().cut(0) == 0
    assert bench.station().count(0) == 0
    assert bench.outcomes() == ["in_flight"]


@pytest.mark.parametrize("policy", ["round_robin", "least_connections"])
def test_redispatch_frees_the_slot_waits_and_picks_again(policy: str) -> None:
    """The round-robin pointer is at the other instance; of two idle instances, the dead one changed last."""
    rule = {"connect_retries": {"attempts": 1, "delay": "1s", "redispatch": True}}
    bench = dead([(1.0, 0.5)], instances=2, policy=policy, balancer=rule)
    bench.run(1.5)
    assert bench.station().count(0) == 0
    bench.run(9)
    assert bench.outcomes() == ["ok"]
    assert bench.finishes() == [2.5]


def test_the_black_hole_swallows_redispatched_connections() -> None:
    """The live one has work, the dead one has none: least connections picks the dead one again."""
    rule = {"connect_retries": {"attempts": 3, "delay": "100ms", "redispatch": True}}
    bench = Bench(
        [(0.0, 9.0), (0.0, 9.0), (1.0, 0.1)],
        instances=2,
        slots=9,
        policy="least_connections",
        balancer=rule,
    )
    bench.run(0.5)
    bench.station().crash(0)
    bench.run(20)
    assert bench.outcomes() == ["error", "ok", "refused"]
    assert bench.finishes() == [0.5, 9.0, 1.3]


# Sessions that stick


def test_sticky_sessions_ignore_a_drain_and_leave_when_the_instance_is_removed() -> None:
    """Session 7 goes on to instance 0 while it drains; session 8, new, goes elsewhere."""
    bench = Bench(
        [(0.0, 0.1, 0, 7), (2.0, 0.1, 0, 7), (3.0, 0.1, 0, 8), (5.0, 0.1, 0, 7), (9.0, 0.1, 0, 7)],
        instances=2,
        policy="least_connections",
        balancer={"sticky": True},
    )
    station = bench.station()
    bench.run(1)
    station.set_pool(0, False)
    bench.run(4)
    station.remove(0)
    station.stop(0)
    bench.run(7)
    station.start(0, new_version=True)
    station.set_pool(0, True)
    bench.run(20)
    assert bench.instances() == [0, 0, 1, 1, 1]
    assert set(bench.outcomes()) == {"ok"}


def test_a_sticky_request_waits_for_its_own_instance() -> None:
    bench = Bench(
        [(0.0, 2.0, 0, 7), (1.0, 0.5, 0, 7), (1.1, 0.1, 0, 8)],
        instances=2,
        balancer={"sticky": True},
    )
    bench.run(9)
    assert bench.instances() == [0, 0, 1]
    assert bench.finishes() == [2.0, 2.5, 1.2]


# Slow start


def test_slow_start_gives_a_hundredth_at_first_and_all_in_the_end() -> None:
    """10 slots, ramp of 5 s in steps of one second: 1, 3, 5, 7, 9, then 10 at once."""
    bench = Bench(
        [(0.0, 0.1)] + [(10.0 + k * 0.9 + 0.05, 100.0) for k in range(7) for _ in range(10)],
        slots=10,
        balancer={"slow_start": "5s"},
    )
    station = bench.station()
    bench.run(5)
    station.set_pool(0, False)
    bench.run(10)
    station.set_pool(0, True)
    seen = []
    for k in range(6):
        bench.run(10.5 + k)
        seen.append(station.count(0))
    assert seen == [1, 3, 5, 7, 9, 10]


# Pull


def test_idle_workers_take_the_next_task_and_none_is_rejected() -> None:
    bench = Bench([(0.0, 1.0), (0.1, 1.0), (0.2, 1.0)], instances=2, policy="pull")
    station = bench.station()
    bench.run(0.05)
    station.set_pool(1, False)  # drain: it takes no more
    bench.run(0.5)
    station.set_pool(0, False)
    bench.run(3)
    assert bench.finishes()[0] == 1.0
    assert bench.outcomes() == ["ok", "in_flight", "in_flight"]
    station.set_pool(1, True)
    bench.run(9)
    assert bench.finishes()[1:] == [4.0, 5.0]


@pytest.mark.parametrize(("requeue", "outcome"), [(True, "ok"), (False, "cut")])
def test_a_task_that_is_cut_goes_back_once_or_is_lost(requeue: bool, outcome: str) -> None:
    bench = Bench(
        [(0.0, 2.0), (0.5, 1.0)], instances=2, policy="pull", balancer={"requeue": requeue}
    )
    station = bench.station()
    bench.run(1)
    station.set_pool(0, False)
    assert station.cut(0) == (0 if requeue else 1)
    bench.run(9)
    assert bench.outcomes() == [outcome, "ok"]
    if requeue:
        assert bench.instances() == [1, 1]
        assert bench.finishes() == [3.5, 1.5]  # served anew, behind what the other worker had


def test_a_task_that_is_cut_twice_is_lost() -> None:
    bench = Bench([(0.0, 2.0)], instances=2, policy="pull", balancer={"requeue": True})
    bench.run(1)
    for instance in (0, 1):
        bench.station().set_pool(instance, False)
        bench.station().cut(instance)
    bench.run(9)
    assert bench.outcomes() == ["cut"]


def test_a_dead_worker_takes_nothing() -> None:
    bench = Bench([(0.0, 1.0), (0.1, 1.0)], instances=2, policy="pull")
    bench.run(0.05)
    bench.station().crash(0)
    bench.run(9)
    assert bench.outcomes() == ["error", "ok"]


# Long-lived connections


def long_lived(**connections: Any) -> dict[str, Any]:
    return {
        "page": {"share": "50%"},
        "socket": {"share": "50%", "holds_slot": False, **connections},
    }


def test_a_connection_takes_no_slot_and_lands_on_a_full_instance() -> None:
    bench = Bench([(0.0, 5.0), (1.0, 60.0, 1), (2.0, 1.0)], classes=long_lived())
    bench.run(3)
    assert bench.station().count(0) == 2  # the third waits at the balancer
    bench.run(100)
    assert bench.finishes() == [5.0, 61.0, 6.0]


def test_connections_count_for_least_connections() -> None:
    bench = Bench(
        [(0.0, 60.0, 1), (0.5, 60.0, 1), (0.6, 60.0, 1), (1.0, 1.0), (1.1, 1.0)],
        instances=2,
        slots=9,
        policy="least_connections",
        classes=long_lived(),
    )
    bench.run(2)
    assert bench.instances() == [0, 1, 0, 1, 0]


def test_an_open_connection_holds_up_a_drain_and_is_cut() -> None:
    bench = Bench([(0.0, 60.0, 1)], classes=long_lived())
    bench.run(1)
    idle = bench.station().when_idle(0)
    bench.run(9)
    assert not idle.triggered
    assert bench.station().cut(0) == 1
    assert idle.triggered
    assert bench.outcomes() == ["cut"]


def test_a_connection_that_reconnects_comes_back_with_a_fresh_life() -> None:
    bench = Bench(
        [(0.0, 60.0, 1)],
        instances=2,
        service_time={"exponential": "60s"},
        classes=long_lived(reconnects=True),
    )
    bench.run(1)
    bench.station().set_pool(0, False)
    assert bench.station().cut(0) == 1
    bench.run(2)
    assert bench.station().count(1) == 1
    second = bench.calls()[1]
    assert second.arrival_s == 1.0
    assert second.demand_s not in (60.0, 59.0)
    bench.run(3600)
    assert bench.outcomes() == ["ok"]
    assert bench.engine.table().attempts.tolist() == [2]


# Routes


def chain(first: dict[str, Any], second: dict[str, Any], **clients: Any) -> Scenario:
    return of_services({"web": first, "db": second}, {"page": {"route": ["web", "db"], **clients}})


def test_a_slot_is_held_while_the_next_service_works() -> None:
    """One slot in front: two requests of 0.1 s and 0.5 s downstream go one after the other."""
    bench = Bench([(0.0, [0.1, 0.5]), (0.0, [0.1, 0.5])], chain({"slots": 1}, {}))
    bench.run(9)
    assert bench.finishes() == [0.6, 1.2]
    assert [round(call.start_s, 9) for call in bench.calls()] == [0.0, 0.6, 0.1, 0.7]
    assert [round(call.released_s, 9) for call in bench.calls()] == [0.6, 1.2, 0.6, 1.2]


def test_a_refusal_downstream_is_the_attempts_and_frees_all_slots() -> None:
    bench = Bench([(0.0, [0.1, 0.5])], chain({"slots": 1}, {}))
    bench.run(0.05)
    bench.station("db").stop(0)
    bench.run(9)
    assert bench.outcomes() == ["refused"]
    assert bench.finishes() == [0.1]
    assert bench.station("web").count(0) == 0


def test_an_upstream_cut_lets_the_downstream_call_run_on() -> None:
    bench = Bench([(0.0, [0.1, 5.0])], chain({"slots": 1}, {}))
    bench.run(1)
    assert bench.station("web").cut(0) == 1
    assert bench.outcomes() == ["cut"]
    assert (bench.station("web").count(0), bench.station("db").count(0)) == (0, 1)
    bench.run(9)
    assert bench.station("db").count(0) == 0
    assert bench.outcomes() == ["cut"]
    assert bench.calls()[1].released_s == pytest.approx(5.1)


@pytest.mark.parametrize(("cancels", "ends_s"), [(False, 5.1), (True, 1.0)])
def test_client_gone_in_a_chain(cancels: bool, ends_s: float) -> None:
    one = chain({}, {}, client_timeout="1s", cancel_on_disconnect=cancels)
    bench = Bench([(0.0, [0.1, 5.0])], one)
    bench.run(9)
    assert bench.outcomes() == ["timed_out"]
    assert bench.finishes() == [1.0]
    assert [call.released_s for call in bench.calls()] == pytest.approx([ends_s, ends_s])


@pytest.mark.parametrize(("cancels", "served"), [(False, True), (True, False)])
def test_calls_that_wait_downstream_for_a_client_that_left(cancels: bool, served: bool) -> None:
    one = of_services(
        {"web": {}, "db": {"slots": 1}},
        {
            "page": {
                "route": ["web", "db"],
                "client_timeout": "1s",
                "cancel_on_disconnect": cancels,
            },
            "job": {"route": ["db"], "share": "50%"},
        },
    )
    bench = Bench([(0.0, 3.0, 1), (0.1, [0.1, 3.0])], one)
    bench.run(20)
    waits = bench.calls()[2]
    assert waits.station is bench.station("db")
    assert math.isnan(waits.start_s) is not served


def test_both_versions_in_a_route_count_as_new() -> None:
    bench = Bench([(1.0, [0.1, 0.1])], chain({}, {}))
    bench.station("db").start(0, new_version=True)
    bench.run(9)
    assert bench.engine.table().new_version.tolist() == [True]


# Retries and versions


def test_a_retry_keeps_its_demand() -> None:
    bench = Bench(
        [(0.0, 0.4)],
        classes={"all": {"client_timeout": "300ms", "retries": {"attempts": 2, "jitter": 0}}},
        slots=9,
    )
    bench.run(9)
    assert {call.demand_s for call in bench.calls()} == {0.4}
    assert bench.outcomes() == ["timed_out"]


@pytest.mark.parametrize(("cut", "attempts"), [(True, 2), (False, 1)])
def test_a_cut_is_retried_unless_the_class_says_otherwise(cut: bool, attempts: int) -> None:
    rule = {"retries": {"attempts": 1, "cut": cut}}
    bench = Bench([(0.0, 5.0)], instances=2, classes={"all": rule})
    bench.run(1)
    bench.station().cut(0)
    bench.run(20)
    assert bench.engine.table().attempts.tolist() == [attempts]
    assert bench.outcomes() == ["ok" if cut else "cut"]


def test_a_contracted_database_makes_the_old_version_wrong() -> None:
    bench = Bench([(0.0, 1.0), (2.0, 1.0)], instances=1)
    bench.run(1.5)
    bench.station().break_old_version()
    bench.run(9)
    assert bench.outcomes() == ["ok", "error"]


def test_a_fast_instance_takes_less_time() -> None:
    one = scenario(instances={"a": {"speed": 2.0}, "b": {"slots": 3}}, slots=1)
    bench = Bench([(0.0, 1.0), (0.0, 1.0), (0.0, 1.0)], one)
    bench.run(9)
    assert bench.finishes() == [0.5, 1.0, 1.0]


def test_warm_up_is_the_stated_extra_work() -> None:
    """Demands of 5 ms, 100 a second: in all λ·d·(factor − 1)·decay = 100·5 ms·3·2 s = 3 s more."""
    versions = {"new": {"cold": {"factor": 4.0, "decay": "2s"}}}
    bench = Bench([(10.0 + 0.01 * k, 0.005) for k in range(4000)], slots=9, versions=versions)
    bench.run(9.995)
    bench.station().start(0, new_version=True)
    bench.run(60)
    extra_s = sum(call.released_s - call.start_s - 0.005 for call in bench.calls())
    assert extra_s == pytest.approx(3.0, rel=0.005)


def test_a_cold_instance_ages_from_its_start_not_from_its_return() -> None:
    versions = {"new": {"cold": {"factor": 3.0, "decay": "1s"}}}
    bench = Bench([(10.0, 1.0)], slots=9, versions=versions)
    bench.run(1)
    bench.station().set_pool(0, False)
    bench.station().start(0, new_version=True)
    bench.run(9)
    bench.station().set_pool(0, True)
    bench.run(60)
    assert bench.finishes() == [pytest.approx(10.0 + 1.0 + 2.0 * math.exp(-9.0))]


@pytest.mark.parametrize("queue", ["balancer", "instance"])
def test_a_queue_gives_up_after_its_timeout(queue: str) -> None:
    bench = Bench([(0.0, 2.0), (0.5, 1.0)], queue=queue, queue_timeout="1s")
    bench.run(9)
    assert bench.outcomes() == ["ok", "timed_out"]
    assert bench.finishes()[1] == 1.5


def test_each_wait_has_its_own_timeout() -> None:
    """Tried in vain at 1 s and again at 1.4 s, it waits for 0.9 s: longer than 1 s only in all."""
    rule = {"connect_retries": {"attempts": 1, "delay": "400ms", "redispatch": True}}
    bench = dead([(1.0, 0.5), (1.1, 1.2)], instances=2, queue_timeout="1s", balancer=rule)
    bench.run(1.05)
    bench.station().set_pool(0, False)
    bench.run(9)
    assert bench.outcomes() == ["ok", "ok"]
    assert bench.finishes() == [2.8, 2.3]
