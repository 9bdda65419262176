"""What becomes of a rollout in which instances fail: budgets, batches, shares of the fleet, deadlines."""

from __future__ import annotations

from typing import Any

import pytest

from simulation.results.failures import Cause, FleetCounts
from simulation.results.run_result import Ending, RunResult
from simulation.results.states import State
from simulation.scenario.simulated_interval import SETTLING_S
from tests.helpers.scenarios import of_services, run_once, scenario

STEPS = {"stop": "1s", "deploy": "5s", "verify": "2s", "start": "3s"}
"""Eleven seconds in all, ten of them after the stop."""


def rolled(fails: float = 0.0, replication: int = 0, **rollout: Any) -> RunResult:
    """Return a run of four instances under little load; a share of starts fails."""
    return run_once(
        scenario(
            rate="10/s",
            instances=4,
            slots=20,
            steps=STEPS,
            versions={"new": {"start_fails": fails}},
            rollout=rollout,
            clock={"warm_up": "2s"},
        ),
        replication,
        keep_requests=False,
    )


def at_end(run: RunResult) -> list[State]:
    """Return the state of each instance at the end, by number."""
    return [
        part.state
        for part in sorted(run.states, key=lambda part: part.instance)
        if part.end_s == run.end_s
    ]


def begun(run: RunResult) -> list[int]:
    """Return the instances in the order in which they left the pool."""
    left = [(part.begin_s, part.instance) for part in run.states if part.state is State.DRAINING]
    return [instance for _, instance in sorted(left)]


CANARY: dict[str, Any] = {"strategy": "canary", "canary": [{"share": "25%", "bake": "5s"}]}
MIGRATION: dict[str, Any] = {
    "strategy": "expand_migrate_contract",
    "migration": {"expand": "1s", "migrate": "2s", "contract": "1s"},
}
# with every start failing: updated, available and failed at the deadline
BUDGETS: dict[str, tuple[dict[str, Any], tuple[int, int, int]]] = {
    "in place": ({"window": 2}, (2, 2, 2)),
    "in place, in batches": ({"window": 2, "advance": "batch"}, (2, 2, 2)),
    "in place, a minimum": ({"window": 2, "min_healthy": "75%"}, (1, 3, 1)),
    "beside": ({"window": 2, "replacement": "beside"}, (2, 2, 2)),
    "beside, a surge": ({"window": 1, "surge": 1}, (2, 3, 2)),
    "beside, none may be missing": ({"surge": 1, "min_healthy": 4}, (1, 4, 1)),
    "canary": ({**CANARY, "window": 2}, (1, 3, 1)),
    "canary beside": ({**CANARY, "surge": 1}, (1, 3, 1)),
    "blue_green": ({"strategy": "blue_green"}, (4, 4, 4)),
    "recreate": ({"strategy": "recreate"}, (4, 0, 4)),
    "migration": ({**MIGRATION, "window": 2}, (2, 2, 2)),
    "migration beside": ({**MIGRATION, "surge": 1, "min_healthy": 4}, (1, 4, 1)),
}


@pytest.mark.parametrize("case", BUDGETS)
def test_failed_instances_keep_their_places_until_none_is_left(case: str) -> None:
    rollout, counts = BUDGETS[case]
    run = rolled(1.0, on_failure="budget", progress_deadline="60s", **rollout)
    assert run.ended == Ending.HALTED
    assert run.stopped_by is not None
    assert run.stopped_by.cause == Cause.PROGRESS_DEADLINE
    assert run.stopped_by.counts == FleetCounts(*counts)
    assert at_end(run).count(State.FAILED) == counts[2]
    assert run.metrics["rollout_duration_s"] is None
    assert run.metrics["failed_instances_count"] == counts[2]


@pytest.mark.parametrize("case", BUDGETS)
def test_a_budget_that_nothing_uses_up_changes_nothing(case: str) -> None:
    rollout, _ = BUDGETS[case]
    plain = rolled(**rollout)
    assert plain.ended == Ending.DONE
    run = rolled(on_failure="budget", progress_deadline="30s", **rollout)
    assert (run.states, run.metrics) == (plain.states, plain.metrics)


def test_the_others_go_on_past_a_failed_instance_in_place() -> None:
    """Of a window of two one place is taken for good; the others follow through the other one."""
    run = rolled(0.4, 2, window=2, on_failure="budget")
    assert at_end(run).count(State.FAILED) == 1
    assert run.stopped_by is not None
    assert run.stopped_by.counts == FleetCounts(updated=4, available=3, failed=1)


def test_what_kept_its_place_is_rolled_back_with_the_other_services() -> None:
    """The rule of the service that stops the release decides; failed instances then keep no place."""
    service = {"instances": 3, "steps": STEPS}
    for surge in (0, 1):
        one = of_services(
            {
                "a": {
                    **service,
                    "versions": {"new": {"start_fails": 1}},
                    "rollout": {"on_failure": "budget", "surge": surge},
                },
                "b": {
                    **service,
                    "steps": {**STEPS, "deploy": "30s"},
                    "versions": {"new": {"start_fails": 1}},
                },
            },
            {"all": {"route": ["a", "b"]}},
            "5/s",
            rollout={"window": 1, "on_failure": "rollback"},
            clock={"warm_up": "1s"},
        )
        run = run_once(one, keep_requests=False)
        assert run.ended == Ending.ROLLED_BACK
        assert set(at_end(run)) <= {State.SERVING, State.ABSENT}


# Shares of the fleet


@pytest.mark.parametrize(("share", "failed_count"), [("49%", 2), ("50%", 3), ("74%", 3), (1, 2)])
def test_more_than_a_share_of_the_fleet_must_fail_to_stop(
    share: str | int, failed_count: int
) -> None:
    """Half of four are two: they are tolerated, and the third stops the rollout."""
    run = rolled(1.0, on_failure="continue", max_failures=share)
    assert run.ended == Ending.HALTED
    assert run.metrics["failed_instances_count"] == failed_count


@pytest.mark.parametrize(("share", "fewest"), [("75%", 3), ("51%", 3), ("50%", 2), ("1%", 1)])
def test_a_minimum_as_a_share_is_rounded_up(share: str, fewest: int) -> None:
    run = rolled(window=3, min_healthy=share)
    assert run.metrics["lowest_in_pool_count"] == fewest


# Batches


@pytest.mark.parametrize(
    ("rollout", "batch"),
    [
        ({"advance": "batch", "window": 2}, [0, 1]),
        ({**CANARY, "window": 2}, [0]),
        ({**CANARY, "surge": 1}, [0]),
    ],
)
def test_a_rollout_stops_after_a_batch_in_which_every_instance_failed(
    rollout: dict[str, Any], batch: list[int]
) -> None:
    goes_on = {"on_failure": "continue", "max_failures": "100%", **rollout}
    run = rolled(1.0, stop_when_batch_failed=True, **goes_on)
    assert run.ended == Ending.HALTED
    assert run.stopped_by is not None
    assert (run.stopped_by.cause, run.stopped_by.observed) == (Cause.BATCH_FAILED, len(batch))
    assert run.metrics["failed_instances_count"] == len(batch)
    assert rolled(1.0, **goes_on).metrics["failed_instances_count"] == 4


def test_a_batch_that_failed_in_part_does_not_stop_the_rollout() -> None:
    runs = [
        rolled(
            0.4,
            replication,
            advance="batch",
            window=2,
            on_failure="continue",
            max_failures=4,
            stop_when_batch_failed=True,
        )
        for replication in range(12)
    ]
    for run in runs:
        failed = {k for k, state in enumerate(at_end(run)) if state is State.FAILED}
        whole = {0, 1} <= failed or {2, 3} <= failed
        assert run.ended == (Ending.HALTED if whole else Ending.DONE)
    assert {run.ended for run in runs} == {Ending.HALTED, Ending.DONE}


# Order


def test_the_last_listed_is_first_in_reverse() -> None:
    assert begun(rolled(instance_order="reverse")) == [3, 2, 1, 0]
    assert begun(rolled(instance_order="listed")) == [0, 1, 2, 3]


# Deadlines


@pytest.mark.parametrize(("deadline", "ended"), [("10s", Ending.DONE), ("9999ms", Ending.HALTED)])
@pytest.mark.parametrize("case", BUDGETS)
def test_an_instance_that_is_not_healthy_in_time_has_failed(
    case: str, deadline: str, ended: Ending
) -> None:
    """Deploy, verify and start take ten seconds."""
    rollout, _ = BUDGETS[case]
    run = rolled(healthy_deadline=deadline, **rollout)
    assert run.ended == ended
    if ended == Ending.HALTED:
        assert run.stopped_by is not None
        assert run.stopped_by.cause == Cause.HEALTHY_DEADLINE
        deploys_s = [p.begin_s for p in run.states if p.state is State.DEPLOYING]
        failed_s = [p.begin_s for p in run.states if p.state is State.FAILED]
        assert min(failed_s) == pytest.approx(min(deploys_s) + 9.999)


def test_the_healthy_deadline_includes_min_ready_and_retries() -> None:
    assert rolled(min_ready="4s", healthy_deadline="14500ms").ended == Ending.DONE
    late = rolled(min_ready="4s", healthy_deadline="13500ms")
    assert late.stopped_by is not None
    assert late.stopped_by.cause == Cause.HEALTHY_DEADLINE
    tried = rolled(1.0, retries=1000, healthy_deadline="60s")
    assert tried.stopped_by is not None
    assert tried.stopped_by.cause == Cause.HEALTHY_DEADLINE


def test_checks_that_never_pass_end_at_the_healthy_deadline() -> None:
    """A check every ten seconds, three in a row: never within 25 s, and the way back has no deadline."""
    one = scenario(
        rate="10/s",
        instances=3,
        slots=20,
        steps=STEPS,
        balancer={"health_check": {"interval": "10s", "timeout": "1s", "rise": 3, "fall": 3}},
        rollout={"healthy_deadline": "25s", "on_failure": "rollback"},
        clock={"warm_up": "2s"},
    )
    run = run_once(one, keep_requests=False)
    assert run.ended == Ending.ROLLED_BACK
    assert run.stopped_by is not None
    assert run.stopped_by.cause == Cause.HEALTHY_DEADLINE
    first = [part for part in run.states if part.instance == 0]
    deploy_s = next(part.begin_s for part in first if part.state is State.DEPLOYING)
    failed_s = next(part.begin_s for part in first if part.state is State.FAILED)
    assert failed_s == pytest.approx(deploy_s + 25.0)


@pytest.mark.parametrize(("deadline", "ended"), [("12s", Ending.DONE), ("10s", Ending.HALTED)])
def test_progress_is_an_instance_that_becomes_available(deadline: str, ended: Ending) -> None:
    """One after the other every eleven seconds."""
    run = rolled(progress_deadline=deadline)
    assert run.ended == ended
    if ended == Ending.HALTED:
        assert run.stopped_by is not None
        assert run.stopped_by.counts == FleetCounts(updated=1, available=3, failed=0)
        assert run.settled_s == pytest.approx(11.0 + SETTLING_S, abs=0.2)


@pytest.mark.parametrize(
    "rollout",
    [
        {"strategy": "canary", "canary": [{"share": "25%", "bake": "50s"}]},
        {"pause": "50s"},
        {"advance": "batch", "pause": "50s"},
        {"strategy": "expand_migrate_contract", "migration": {"migrate": "50s", "contract": "50s"}},
        {"strategy": "blue_green", "pause": "50s"},
        {"surge": 1, "pre_stop": "50s"},
    ],
)
def test_waits_that_are_planned_are_no_lack_of_progress(rollout: dict[str, Any]) -> None:
    assert rolled(progress_deadline="15s", **rollout).ended == Ending.DONE


def test_a_rollout_without_progress_goes_back_where_the_rule_says_so() -> None:
    run = rolled(progress_deadline="9s", on_failure="rollback")
    assert run.ended == Ending.ROLLED_BACK
    assert run.stopped_by is not None
    assert run.stopped_by.cause == Cause.PROGRESS_DEADLINE


# Surges and minima


@pytest.mark.parametrize(
    "rollout",
    [
        {**CANARY, "surge": 1, "min_healthy": "100%"},
        {"strategy": "blue_green", "min_healthy": 4, "surge": "25%"},
        {**MIGRATION, "surge": "25%", "min_healthy": 4},
    ],
)
def test_the_whole_fleet_stays_in_the_pool(rollout: dict[str, Any]) -> None:
    run = rolled(**rollout)
    assert run.ended == Ending.DONE
    assert run.metrics["lowest_in_pool_count"] == 4
    most = run.metrics["most_instances_count"]
    assert most is not None
    assert most > 4


def test_a_migration_with_a_surge_replaces_beside_between_its_steps() -> None:
    """Three seconds before, ten seconds for each of four replacements, 1 s for the last stop, 1 s after."""
    run = rolled(**MIGRATION, surge=1, min_healthy=4)
    assert run.metrics["rollout_duration_s"] == pytest.approx(3 + 4 * 10 + 1 + 1, abs=0.3)
    assert run.waits is not None
