"""Scenarios after public incident reports, with the keys that say what went wrong or would have helped."""

from __future__ import annotations

import pytest

from simulation.results.failures import Cause
from simulation.results.run_result import Ending, RunResult
from simulation.results.states import State
from simulation.scenario.file import ScenarioFile
from tests.helpers.paths import FIELD
from tests.helpers.scenarios import run_once


def field_run(name: str, *sets: str, replication: int = 0) -> RunResult:
    one = ScenarioFile.load(FIELD / "scenarios" / f"{name}.yaml", sets).scenario
    return run_once(one, replication, keep_requests=False)


def taken_out(run: RunResult) -> set[int]:
    return {part.instance for part in run.states if part.state is State.DRAINING}


@pytest.mark.parametrize("replication", range(4))
def test_nomad_3121_halts_where_an_image_takes_longer_than_the_healthy_deadline(
    replication: int,
) -> None:
    """Without the deadline the rollout waits, however long a pull takes."""
    late = field_run("nomad3121", "rollout.healthy_deadline=5m", replication=replication)
    assert late.ended == Ending.HALTED
    assert late.stopped_by is not None
    assert late.stopped_by.cause == Cause.HEALTHY_DEADLINE
    failed = [part for part in late.states if part.state is State.FAILED]
    for part in failed:  # ten seconds of the deadline are min_ready's
        deployed_s = [
            p.begin_s
            for p in late.states
            if p.instance == part.instance and p.state is State.DEPLOYING
        ]
        assert part.begin_s == pytest.approx(deployed_s[0] + 300.0 - 10.0)
    assert late.metrics["failed_instances_count"] == len({part.instance for part in failed})
    assert field_run("nomad3121", replication=replication).ended == Ending.DONE


def test_kubernetes_95498_has_thirty_pods_where_fifteen_were_meant() -> None:
    """Old pods that still sleep for their pre-stop do not count against maxSurge, but they exist."""
    run = field_run("k8s95498")
    assert run.ended == Ending.DONE
    assert run.metrics["most_instances_count"] == 30


@pytest.mark.parametrize("replication", range(3))
def test_ansible_82267_stops_after_the_first_batch_of_ten_that_failed(replication: int) -> None:
    """With ``max_fail_percentage`` 99 of a hundred hosts Ansible stops all the same when a batch failed."""
    run = field_run("ansible82267", "rollout.stop_when_batch_failed=true", replication=replication)
    failed = {part.instance for part in run.states if part.state is State.FAILED}
    batches = [set(range(first, first + 10)) for first in range(0, 100, 10)]
    number = next(k for k, batch in enumerate(batches) if batch <= failed)
    assert run.ended == Ending.HALTED
    assert run.stopped_by is not None
    assert (run.stopped_by.cause, run.stopped_by.observed) == (Cause.BATCH_FAILED, 10)
    assert taken_out(run) == set(range(10 * (number + 1)))
    assert run.metrics["failed_instances_count"] == len(failed)


@pytest.mark.parametrize("stops", [True, False])
def test_ansible_82267_stops_after_the_first_ten_where_the_version_never_verifies(
    stops: bool,
) -> None:
    run = field_run(
        "ansible82267",
        "services.web.versions.new.verify_fails=1",
        "services.web.steps.deploy=1s",
        "rollout.max_failures=100%",
        *(["rollout.stop_when_batch_failed=true"] if stops else []),
    )
    assert taken_out(run) == set(range(10 if stops else 100))


def test_argo_1966_keeps_the_whole_fleet_with_a_surge() -> None:
    run = field_run("argo1966", "rollout.min_healthy=24")
    assert run.ended == Ending.DONE
    assert run.metrics["lowest_in_pool_count"] == 24
    as_share = field_run("argo1966", "rollout.min_healthy=100%")
    assert as_share.metrics == run.metrics
