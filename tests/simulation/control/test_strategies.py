"""Strategies: their durations and counts, known by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from executor.plan.model import Step
from executor.plan.waves import canary_counts
from simulation.results.failures import Cause, GuardFigure
from simulation.results.pool_log import PoolChange, lowest
from simulation.results.run_result import ERROR, Ending, RunResult
from simulation.results.states import State
from simulation.scenario.model import Scenario
from simulation.study.verdict import verdict
from tests.helpers.scenarios import prepared, run_once, scenario

STEPS = {"stop": "1s", "deploy": "5s", "verify": "2s", "start": "3s"}
"""Eleven seconds in all, ten of them after the stop."""


def rolled(keep: bool = True, versions: dict[str, Any] | None = None, **rollout: Any) -> RunResult:
    """Return a scenario of four instances under little load, with this rollout."""
    return run_once(
        scenario(
            rate="40/s",
            instances=4,
            slots=20,
            steps=STEPS,
            versions=versions,
            rollout=rollout,
            clock={"warm_up": "2s"},
        ),
        keep_requests=keep,
    )


def in_pool(run: RunResult, instance: int) -> list[tuple[float, float]]:
    """Return the intervals in which an instance served."""
    return [
        (max(0.0, part.begin_s), part.end_s)
        for part in run.states
        if part.instance == instance and part.state is State.SERVING
    ]


def fewest(run: RunResult) -> float:
    value = run.metrics["lowest_in_pool_count"]
    assert value is not None
    return value


def duration_s(run: RunResult) -> float:
    value = run.metrics["rollout_duration_s"]
    assert value is not None
    return value


# Recreate


def test_recreate_stops_all_before_it_starts_any() -> None:
    run = rolled(strategy="recreate")
    assert run.ended == Ending.DONE
    assert fewest(run) == 0
    assert duration_s(run) == pytest.approx(11.0, abs=0.2)
    stopped = max(p.end_s for p in run.states if p.state is State.STOPPING)
    deployed = min(p.begin_s for p in run.states if p.state is State.DEPLOYING)
    assert deployed == pytest.approx(stopped)
    assert run.metrics["mixed_version_s"] == 0


def test_recreate_rejects_what_comes_meanwhile() -> None:
    run = rolled(strategy="recreate")
    assert run.requests["rejected"] == pytest.approx(40 * 11, abs=4 * 440**0.5)


# Blue/green


def test_blue_green_is_never_below_full_capacity() -> None:
    run = rolled(strategy="blue_green", pause="30s", min_ready="4s")
    assert run.ended == Ending.DONE
    assert fewest(run) == 4
    assert run.requests["ok"] == run.requests["arrived"] - run.requests["in_flight"]
    switch_s = 10.0 + 4.0  # deploy, verify, start; min_ready; a return takes no time
    for instance in range(4):
        [(begin_s, end_s)] = in_pool(run, instance)
        assert (begin_s, end_s) == pytest.approx((0.0, switch_s))
        [(begin_s, end_s)] = in_pool(run, instance + 4)
        assert (begin_s, end_s) == pytest.approx((switch_s, run.end_s))
    # The old ones stay up until one may fall back no more, then stop for a second.
    assert duration_s(run) == pytest.approx(switch_s + 30.0 + 1.0)
    assert run.metrics["surge_instance_s"] == pytest.approx(4 * (switch_s + 31.0))
    assert run.metrics["mixed_version_s"] == 0


def test_blue_green_falls_back_by_switching_again() -> None:
    """Half of the new version's answers are wrong: the guard trips soon after the switch."""
    run = rolled(
        strategy="blue_green",
        pause="60s",
        on_failure="rollback",
        guards={"error_fraction": "10%", "over": "5s"},
        versions={"new": {"error_fraction": 0.5}},
    )
    assert run.ended == Ending.ROLLED_BACK
    assert fewest(run) == 4
    for instance in range(4):
        assert len(in_pool(run, instance)) == 2
        (begin_s, end_s) = in_pool(run, instance + 4)[0]
        assert begin_s == pytest.approx(10.0)
        assert 0 < end_s - begin_s < 5.0
    assert {p.state for p in run.states if p.end_s == run.end_s and p.instance >= 4} == {
        State.ABSENT
    }


def test_blue_green_falls_back_at_once_while_the_old_ones_drain() -> None:
    """Requests of 200 s keep the drain going until its timeout; the fallback does not wait for it."""
    run = run_once(
        scenario(
            rate="40/s",
            instances=4,
            slots=200,
            steps=STEPS,
            versions={"new": {"error_fraction": 0.5}},
            classes={"page": {"share": "95%"}, "long": {"service_time": {"app": "200s"}}},
            rollout={
                "strategy": "blue_green",
                "pause": "60s",
                "on_failure": "rollback",
                "drain": {"timeout": "40s"},
                "guards": {"error_fraction": "10%", "over": "5s"},
            },
            clock={"warm_up": "2s"},
        )
    )
    assert run.ended == Ending.ROLLED_BACK
    for instance in range(4):
        (_, switched_s), (back_s, _) = in_pool(run, instance)
        assert switched_s == pytest.approx(10.0)
        assert back_s - switched_s < 5.0


@pytest.mark.parametrize(("fails", "left"), [(1.0, 4), (0.5, 1)])
def test_an_instance_whose_second_one_failed_stays(fails: float, left: int) -> None:
    """The pool is as large after the switch as before, however many failures are allowed."""
    run = rolled(
        strategy="blue_green",
        min_healthy=4,
        on_failure="continue",
        max_failures=9,
        versions={"new": {"verify_fails": fails}},
    )
    assert run.ended == Ending.DONE
    assert fewest(run) == 4
    last = {p.instance: p.state for p in run.states}
    stayed = [k for k in range(4) if last[k] is State.SERVING]
    assert stayed == [k for k in range(4) if last[k + 4] is State.FAILED]
    assert len(stayed) == left


def test_blue_green_that_fails_before_the_switch_changes_nothing() -> None:
    run = rolled(
        strategy="blue_green", on_failure="rollback", versions={"new": {"start_fails": 1.0}}
    )
    assert run.ended == Ending.ROLLED_BACK
    assert run.metrics["exposure_requests"] == 0
    assert all(len(in_pool(run, instance)) == 1 for instance in range(4))


# Surge


@pytest.mark.parametrize(
    ("surge", "window", "min_healthy", "lowest", "lasts_s"),
    [
        # One more, none less: 4 times a replacement, each then lets one go, which lasts no time.
        pytest.param(1, 1, 4, 4, 4 * 10.0 + 1.0, id="one more, none less"),
        # All replacements at once, then all old ones go.
        pytest.param(4, 1, 4, 4, 10.0 + 1.0, id="all at once"),
        pytest.param("50%", 1, 4, 4, 2 * 10.0 + 1.0, id="two more, none less"),
        # One more and one less: the first old one goes at once, two are made together.
        pytest.param(1, 1, 0, 3, 2 * 10.0 + 1.0, id="one more, one less"),
    ],
)
def test_surge_makes_and_removes_as_kubernetes_does(
    surge: int | str, window: int, min_healthy: int, lowest: int, lasts_s: float
) -> None:
    run = rolled(surge=surge, window=window, min_healthy=min_healthy)
    assert run.ended == Ending.DONE
    assert fewest(run) == lowest
    assert duration_s(run) == pytest.approx(lasts_s, abs=0.3)
    there = [p.instance for p in run.states if p.end_s == run.end_s and p.state is State.SERVING]
    assert there == [4, 5, 6, 7]
    assert run.metrics["failed_requests"] == 0


def test_surge_counts_what_is_there_beyond_the_fleet() -> None:
    """Replacements come one after the other, ten seconds each; an old one terminates for 1 s more."""
    run = rolled(surge=1, min_healthy=4)
    assert run.metrics["surge_instance_s"] == pytest.approx(4 * 10.0 + 4 * 1.0, abs=0.4)


@pytest.mark.parametrize("on_failure", ["halt", "continue", "rollback"])
def test_a_replacement_that_fails_takes_nobodys_place(on_failure: str) -> None:
    run = rolled(
        surge=1,
        window=1,
        on_failure=on_failure,
        max_failures=9 if on_failure == "continue" else 0,
        versions={"new": {"start_fails": 1.0}},
    )
    assert (
        run.ended == {"halt": "halted", "continue": "done", "rollback": "rolled_back"}[on_failure]
    )
    assert fewest(run) >= 3
    serving = [p.instance for p in run.states if p.end_s == run.end_s and p.state is State.SERVING]
    if on_failure == "rollback":
        assert serving == [0, 1, 2, 3]
    assert run.metrics["exposure_requests"] == 0


# Canary


@pytest.mark.parametrize(
    ("shares", "count", "counts"),
    [
        ([0.05, 0.25], 24, [1, 6]),
        ([0.05], 10, [1]),  # half an instance: the tie goes up
        ([0.04], 10, [1]),  # at least one
        ([0.99], 4, [3]),  # at least one keeps the old version
        ([0.25, 0.5], 10, [3, 5]),
        ([0.29], 100, [29]),
    ],
)
def test_canary_counts_are_those_of_argo(
    shares: list[float], count: int, counts: list[int]
) -> None:
    assert canary_counts(shares, count) == counts


def test_a_canary_bakes_between_its_waves() -> None:
    """One of four, a bake of 20 s; two of four, a bake of 30 s; the other two, one by one."""
    run = rolled(
        strategy="canary",
        canary=[{"share": "25%", "bake": "20s"}, {"share": "50%", "bake": "30s"}],
    )
    assert run.ended == Ending.DONE
    assert duration_s(run) == pytest.approx(4 * 11.0 + 50.0, abs=0.3)
    assert run.waits is not None
    assert run.waits.gate_s == pytest.approx(50.0)
    assert run.waits.step_s == pytest.approx(44.0)


@pytest.mark.parametrize(
    ("limit", "ended", "exposed"), [("1%", "rolled_back", True), ("40%", "done", True)]
)
def test_a_canary_stops_a_bad_release(limit: str, ended: str, exposed: bool) -> None:
    run = rolled(
        strategy="canary",
        canary=[{"share": "25%", "bake": "60s", "error_fraction": limit}],
        on_failure="rollback",
        versions={"new": {"error_fraction": 0.2}},
    )
    assert run.ended == ended
    assert bool(run.metrics["exposure_requests"]) is exposed
    if ended == "rolled_back":
        changed = {p.instance for p in run.states if p.state is State.DEPLOYING}
        assert changed == {0}
        # A hundred answers at 10/s to the canary are enough to tell.
        assert run.metrics["exposure_requests"] == pytest.approx(100, abs=40)
        assert run.stopped_by is not None
        assert (run.stopped_by.cause, run.stopped_by.figure) == (
            Cause.CANARY,
            GuardFigure.ERROR_FRACTION,
        )


def test_a_canary_judges_the_slow_too() -> None:
    run = rolled(
        strategy="canary",
        canary=[{"share": "25%", "bake": "60s", "latency_p99": "80ms"}],
        versions={"new": {"service_factor": 2.0}},
    )
    assert run.ended == Ending.HALTED
    by = run.stopped_by
    assert by is not None
    assert (by.cause, by.figure, by.limit) == (Cause.CANARY, GuardFigure.LATENCY_P99_S, 0.08)
    assert by.observed == pytest.approx(0.1)


# Beside, without a surge and in a canary

SHARES = [{"share": "25%", "bake": "20s"}, {"share": "50%", "bake": "30s"}]


def test_a_new_one_starts_as_soon_as_an_old_one_is_marked() -> None:
    """An old instance takes 20 s to end; rolled in place, the fourth would be up after four times 30 s."""
    slow = {**STEPS, "stop": "20s"}
    one = scenario(
        rate="40/s",
        instances=4,
        slots=20,
        steps=slow,
        rollout={"replacement": "beside", "window": 1},
        clock={"warm_up": "2s"},
    )
    run = run_once(one)
    assert run.ended == Ending.DONE
    assert fewest(run) == 3
    begun_s = {
        (part.instance, part.state): part.begin_s for part in run.states if part.begin_s >= 0
    }
    for old in range(4):  # the first is marked at once, each other when a new one is there
        assert begun_s[old, State.DRAINING] == pytest.approx(10.0 * old)
        assert begun_s[old + 4, State.DEPLOYING] == pytest.approx(10.0 * old)
    assert duration_s(run) == pytest.approx(3 * 10.0 + 20.0, abs=0.3)
    # Each old one is there for 20 s more, beside the one that takes its place.
    assert run.metrics["surge_instance_s"] == pytest.approx(4 * 20.0, abs=0.4)


def test_a_canary_beside_bakes_while_the_old_ones_end() -> None:
    run = rolled(strategy="canary", canary=SHARES, replacement="beside")
    assert run.ended == Ending.DONE
    assert fewest(run) == 3
    assert duration_s(run) == pytest.approx(4 * 10.0 + 50.0, abs=0.3)
    assert run.waits is not None
    assert run.waits.gate_s == pytest.approx(50.0)


def test_a_canary_with_a_surge_keeps_the_fleet_whole() -> None:
    """A surge means replacement beside in a canary too: one more instance, none less, in each wave."""
    run = rolled(strategy="canary", canary=SHARES, surge=1, min_healthy=4)
    assert run.ended == Ending.DONE
    assert fewest(run) == 4
    assert duration_s(run) == pytest.approx(4 * 10.0 + 50.0 + 1.0, abs=0.3)


def test_nothing_begins_after_a_canary_beside_is_halted() -> None:
    """Nothing begins then: the removal of a crashed instance does not begin either."""
    halted = 0
    for replication in range(12):
        run = run_once(
            scenario(
                rate="40/s",
                instances=6,
                slots=20,
                steps=STEPS,
                versions={"new": {"error_fraction": 0.9}},
                service={"crashes": {"mtbf": "60s", "repair": "1h"}},
                rollout={
                    "strategy": "canary",
                    "canary": [{"share": "20%", "bake": "20s", "error_fraction": "5%"}],
                    "replacement": "beside",
                },
                clock={"warm_up": "20s", "horizon": "300s"},
            ),
            replication,
        )
        if run.ended == Ending.HALTED:
            halted += 1
            stopped = {part.instance for part in run.states if part.state is State.STOPPING}
            assert stopped <= {0}
    assert halted > 3


def test_of_a_canary_beside_a_later_one_stays_for_a_failure() -> None:
    """No removal of the first wave waits when its replacement fails, so one of the next wave stays."""
    run = rolled(
        strategy="canary",
        canary=SHARES,
        replacement="beside",
        on_failure="continue",
        max_failures=9,
        versions={"new": {"start_fails": 0.5}},
    )
    assert run.ended == Ending.DONE
    assert {part.instance for part in run.states if part.state is State.FAILED} == {4}
    serving = [p.instance for p in run.states if p.end_s == run.end_s and p.state is State.SERVING]
    assert serving == [1, 5, 6, 7]


# Expand, migrate, contract


def migrated(**migration: Any) -> RunResult:
    return rolled(
        strategy="expand_migrate_contract",
        window=2,
        migration={"expand": "5s", "migrate": "20s", "contract": "10s", **migration},
    )


def test_a_migration_stands_around_the_rollout() -> None:
    run = migrated()
    assert run.ended == Ending.DONE
    assert duration_s(run) == pytest.approx(5 + 20 + 2 * 11 + 10, abs=0.2)
    assert run.metrics["failed_requests"] == 0
    assert run.waits is not None
    assert run.waits.step_s == pytest.approx(57.0)


def test_contracting_too_early_shows_errors_from_old_instances() -> None:
    run = migrated(contract_before_rollout=True)
    table = run.table
    assert table is not None
    wrong = table.outcome == ERROR
    assert wrong.any()
    assert not table.new_version[wrong].any()
    assert table.finish_s[wrong].min() >= 35.0
    assert table.finish_s[wrong].max() <= 35.0 + 2 * 11.0 + 0.2
    assert not np.any(
        (table.outcome != ERROR)
        & (table.instance == 3)
        & (table.start_s > 35.1)
        & (~table.new_version)
    )


# Guards


@pytest.mark.parametrize(
    ("on_failure", "ended"),
    [("halt", "halted"), ("rollback", "rolled_back"), ("continue", "halted")],
)
def test_a_guard_stops_a_rollout(on_failure: str, ended: str) -> None:
    run = rolled(
        window=1,
        on_failure=on_failure,
        guards={"error_fraction": "10%", "over": "4s"},
        versions={"new": {"error_fraction": 0.5}},
    )
    assert run.ended == ended
    changed = {p.instance for p in run.states if p.state is State.DEPLOYING}
    # One of four answers half wrong: an eighth of all, above the limit, soon after its return.
    assert changed <= {0, 1}
    by = run.stopped_by
    assert by is not None
    assert (by.cause, by.figure, by.over_s) == (Cause.GUARD, GuardFigure.ERROR_FRACTION, 4)


def test_a_guard_before_the_first_take_out_has_nothing_to_take_back() -> None:
    run = rolled(
        strategy="expand_migrate_contract",
        migration={"expand": "20s"},
        on_failure="rollback",
        guards={"error_fraction": "10%", "over": "5s"},
        versions={"old": {"error_fraction": 0.5}},
    )
    assert run.ended == Ending.ROLLED_BACK
    assert {p.state for p in run.states} == {State.SERVING}


def test_where_too_many_failed_for_another_to_be_taken_out_the_rollout_halts() -> None:
    """Two instances may be missing; once two have failed for good, no other may be taken out."""
    run = rolled(
        min_healthy=2,
        on_failure="continue",
        max_failures=9,
        versions={"new": {"verify_fails": 1.0}},
    )
    assert run.ended == Ending.HALTED
    assert len(run.failures) == 3
    by = run.failures[-1]
    assert run.stopped_by == by
    assert (by.cause, by.observed, by.limit) == (Cause.NO_MORE_MAY_FOLLOW, 2, 2)


def test_a_rollback_begins_with_what_failed() -> None:
    """Two of three must stay in the pool, and the last failed: another may leave only once it is back."""
    run = run_once(
        scenario(
            seed=1,
            instances=3,
            slots=20,
            steps=STEPS,
            versions={"new": {"verify_fails": 0.3}},
            rollout={"window": 2, "min_healthy": 2, "on_failure": "rollback"},
            clock={"warm_up": "2s"},
        )
    )
    failed = [p.instance for p in run.states if p.state is State.FAILED]
    assert failed == [2]
    assert run.ended == Ending.ROLLED_BACK
    assert fewest(run) == 2


def test_a_guard_of_latency() -> None:
    run = rolled(window=1, guards={"latency_p99": "60ms"}, versions={"new": {"service_factor": 3}})
    assert run.ended == Ending.HALTED
    by = run.stopped_by
    assert by is not None
    assert (by.cause, by.figure, by.limit) == (Cause.GUARD, GuardFigure.LATENCY_P99_S, 0.06)
    assert by.observed == pytest.approx(0.15)


def test_a_guard_that_nothing_crosses_changes_nothing() -> None:
    calm = rolled(window=1, guards={"error_fraction": "10%", "latency_p99": "1s"})
    assert calm.ended == Ending.DONE
    assert calm.metrics == rolled(window=1).metrics


# Zones


@pytest.mark.parametrize(
    ("order", "numbers"), [("listed", [0, 1, 2, 3]), ("by_zone", [0, 2, 1, 3])]
)
def test_zones_are_rolled_one_after_the_other(order: str, numbers: list[int]) -> None:
    one = scenario(
        instances=4, steps=STEPS, service={"zones": 2}, rollout={"instance_order": order}
    )
    run = run_once(one)
    begun = {p.instance: p.begin_s for p in run.states if p.state is State.DEPLOYING}
    assert sorted(begun, key=lambda instance: begun[instance]) == numbers


# Crashes


def crashing(**rollout: Any) -> Scenario:
    """Return a scenario whose instances crash about every minute for 10 s, with health checks."""
    return scenario(
        rate="40/s",
        instances=4,
        slots=20,
        steps=STEPS,
        service={"crashes": {"mtbf": "1m", "repair": "10s"}},
        balancer={"health_check": {"interval": "1s", "timeout": "500ms", "rise": 2, "fall": 2}},
        rollout=rollout or None,
        clock={"warm_up": "2s", **({} if rollout else {"horizon": "3000s"})},
    )


def test_instances_crash_and_are_repaired_as_often_as_stated() -> None:
    run = run_once(crashing())
    down = [p for p in run.states if p.state is State.CRASHED and p.end_s < run.end_s]
    expected = 4 * 3000 / 70
    assert len(down) == pytest.approx(expected, abs=4 * expected**0.5)
    assert all(p.end_s - p.begin_s == pytest.approx(10.0) for p in down)
    # In flight 0.5 each; then 10/s refused until two checks have failed: 1 to 2.5 s.
    assert run.requests["error"] == pytest.approx(0.5 * expected, rel=0.5)
    assert run.requests["refused"] == pytest.approx(expected * 10 * 1.5, rel=0.3)


@pytest.mark.parametrize("replication", range(8))
def test_a_rollout_among_crashes_ends_well(replication: int) -> None:
    run = run_once(crashing(window=2, min_healthy=2), replication)
    assert run.ended == Ending.DONE
    serving = [p.instance for p in run.states if p.end_s == run.end_s]
    assert sorted(serving) == [0, 1, 2, 3]
    assert {p.instance for p in run.states if p.state is State.DEPLOYING} == {0, 1, 2, 3}


def test_surge_among_crashes_and_failures_ends() -> None:
    """A crashed instance is removed without waiting; only one whose removal waits may stay for a failure."""
    one = scenario(
        rate="5/s",
        instances=4,
        slots=20,
        steps=STEPS,
        service={"crashes": {"mtbf": "40s", "repair": "15s"}},
        versions={"new": {"verify_fails": 0.4}},
        rollout={"surge": 1, "min_healthy": 4, "on_failure": "continue", "max_failures": 9},
        clock={"warm_up": "60s", "horizon": "600s"},
    )
    runs = [run_once(one, replication, keep_requests=False) for replication in range(12)]
    assert {run.ended for run in runs} == {"done"}
    assert any(run.failures for run in runs)


def test_crashes_come_when_they_come_whatever_the_rollout_does() -> None:
    """All candidates see the same crashes, except of instances that are not serving at that moment."""

    def crashed(run: RunResult) -> set[tuple[int, float]]:
        return {(p.instance, p.begin_s) for p in run.states if p.state is State.CRASHED}

    def out(run: RunResult, instance: int, time_s: float) -> bool:
        return any(
            p.instance == instance
            and p.begin_s <= time_s < p.end_s
            and p.state is not State.SERVING
            for p in run.states
        )

    wide, narrow = (run_once(crashing(window=window)) for window in (4, 1))
    end_s = min(wide.end_s, narrow.end_s)
    assert crashed(wide) & crashed(narrow)
    for instance, time_s in crashed(narrow) - crashed(wide):
        assert time_s >= end_s or out(wide, instance, time_s)
    for instance, time_s in crashed(wide) - crashed(narrow):
        assert time_s >= end_s or out(narrow, instance, time_s)


def test_what_crashed_before_the_rollout_is_not_its_lowest() -> None:
    """The pool had one instance in the warm-up, and three when the rollout began."""

    def change(time_s: float, count: int) -> PoolChange:
        return PoolChange(time_s, count, 0, 10.0 * count, count / 4, False)

    log = [change(-60, 4), change(-50, 1), change(-40, 3), change(5, 2), change(90, 0)]
    assert lowest(log, 80.0) == (2, 0.5)
    assert lowest(log, 4.0) == (3, 0.75)
    assert lowest(log[:1], 80.0) == (4, 1.0)


def test_a_crashed_instance_is_taken_as_it_is() -> None:
    """An instance is down for an hour: the rollout takes it out without a drain and starts it again."""
    one = scenario(
        rate="40/s",
        instances=2,
        slots=20,
        steps=STEPS,
        service={"crashes": {"mtbf": "10s", "repair": "1h"}},
        rollout={"window": 1},
        clock={"start": "0s", "warm_up": "120s", "horizon": "60s"},
    )
    run = run_once(one)
    assert run.metrics["rollout_duration_s"] is not None
    assert {p.instance for p in run.states if p.state is State.CRASHED} == {0, 1}


# What all have in common

EVERY: dict[str, dict[str, Any]] = {
    "rolling": {"window": 2},
    "surge": {"surge": 2, "window": 1},
    "beside": {"window": 2, "replacement": "beside"},
    "canary beside": {
        "strategy": "canary",
        "canary": [{"share": "25%", "bake": "5s"}],
        "replacement": "beside",
    },
    "recreate": {"strategy": "recreate"},
    "blue_green": {"strategy": "blue_green", "pause": "5s"},
    "canary": {"strategy": "canary", "canary": [{"share": "25%", "bake": "5s"}]},
    "migration": {
        "strategy": "expand_migrate_contract",
        "migration": {"expand": "1s", "migrate": "2s", "contract": "1s"},
    },
}


@pytest.mark.parametrize("rule", EVERY.values(), ids=EVERY)
@pytest.mark.parametrize("fails", ["start_fails", "verify_fails"])
def test_a_version_that_never_comes_up_ends_in_a_stated_failure(
    rule: dict[str, Any], fails: str
) -> None:
    run = rolled(**rule, versions={"new": {fails: 1.0}})
    assert run.ended == Ending.HALTED
    by = run.stopped_by
    assert by is not None
    step = Step.START if fails == "start_fails" else Step.VERIFY
    assert (by.cause, by.step, by.observed) == (Cause.STEP_FAILED, step, 1)


@pytest.mark.parametrize("rule", EVERY.values(), ids=EVERY)
@pytest.mark.parametrize("share", [0.3, 1.0])
@pytest.mark.parametrize("replication", range(3))
def test_a_rollback_restores_exactly_the_fleet_that_was(
    rule: dict[str, Any], share: float, replication: int
) -> None:
    one = scenario(
        rate="20/s",
        instances=4,
        slots=20,
        steps=STEPS,
        versions={"new": {"start_fails": share}},
        rollout={**rule, "on_failure": "rollback"},
        clock={"warm_up": "2s"},
    )
    run = run_once(one, replication)
    if run.ended == Ending.DONE:
        assert share < 1
        return
    assert run.ended == Ending.ROLLED_BACK
    at_end = {p.instance: p.state for p in run.states if p.end_s == run.end_s}
    assert [at_end[k] for k in range(4)] == [State.SERVING] * 4
    assert all(state is State.ABSENT for k, state in at_end.items() if k >= 4)


@pytest.mark.parametrize("rule", EVERY.values(), ids=EVERY)
def test_time_is_spent_on_something(rule: dict[str, Any]) -> None:
    run = rolled(**rule)
    assert run.waits is not None
    parts = (run.waits.drain_s, run.waits.step_s, run.waits.gate_s, run.waits.pause_s)
    assert min(parts) >= -1e-9
    assert sum(parts) == pytest.approx(duration_s(run))


def test_a_run_can_be_looked_into_while_it_goes_on() -> None:
    run = prepared(scenario(steps=STEPS, rollout={"window": 2}))
    run.settle()
    assert run.finish(run.alone_end_s()).ended == Ending.DONE


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (
            {"guards": {"error_fraction": "10%", "over": "4s"}},
            "the rollout did not end well (halted by a guard) in 1 of 1 runs",
        ),
        (
            {"strategy": "canary", "canary": [{"share": 0.25, "bake": "9s", "error_fraction": 0}]},
            "the rollout did not end well (halted by a canary) in 1 of 1 runs",
        ),
        (
            {"drain": {"timeout": "0s", "on_timeout": "abort"}, "on_failure": "rollback"},
            "the rollout did not end well (rolled_back, take out failed) in 1 of 1 runs",
        ),
        (
            {
                "guards": {"error_fraction": "99%"},
                "min_healthy": 3,
                "on_failure": "continue",
                "max_failures": 9,
                "window": 1,
            },
            "the rollout did not end well (halted, too few instances are left to take another out) "
            "in 1 of 1 runs",
        ),
    ],
)
def test_a_verdict_says_what_stopped_the_rollout(rule: dict[str, Any], said: str) -> None:
    one = scenario(
        rate="40/s",
        instances=4,
        slots=20,
        service_time="2s" if "drain" in rule else "50ms",
        steps=STEPS,
        versions={"new": {"error_fraction": 0.5, "verify_fails": float("min_healthy" in rule)}},
        rollout=rule,
        clock={"warm_up": "4s"},
    )
    assert verdict(one, [run_once(one)]).reasons[0] == said
