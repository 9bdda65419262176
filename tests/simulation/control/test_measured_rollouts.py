"""Simulated rollouts against rollouts that a real Kubernetes control plane carried out.

The delay until a pod is ready is its `start`, the time that a pod takes to end is its `stop`; no
request is in flight, so that nothing else takes time. Delays that differ are in the order in which
the pods were created, which is the order of the instances here.
"""

from __future__ import annotations

import math
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from simulation.control.strategy import step_durations
from simulation.estimates.estimate import estimate
from simulation.results.failures import Cause, FleetCounts
from simulation.results.result_bytes import as_bytes, from_bytes
from simulation.results.run_result import Ending, RunResult
from simulation.results.states import State
from simulation.scenario.simulated_interval import SETTLING_S
from tests.helpers.deployments import deployment, measured, run_with_a_pod_never_ready
from tests.helpers.mutants import CONTROL_MISTAKES
from tests.helpers.scenarios import run_once, scenario


def starts_s(run: RunResult) -> list[tuple[float, int]]:
    """Return when each new pod was created, with the number of its instance, first to last."""
    return sorted(
        (part.begin_s, part.instance) for part in run.states if part.state is State.DEPLOYING
    )


@pytest.mark.parametrize(
    "row", [pytest.param(row, id=row["case"]) for row in measured("kubernetes_deployments.csv")]
)
def test_deployments_roll_as_measured(row: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    delays_s = [float(delay) for delay in re.split(r"\s+", row["readiness_delay_s"].strip())]
    if len(delays_s) > 1:
        drawn = step_durations

        def durations(*arguments: Any) -> dict[str, Any]:
            return {**drawn(*arguments), "start": np.array(delays_s)}

        monkeypatch.setattr("simulation.run.step_durations", durations)
    run = run_once(deployment(row), keep_requests=False)

    took_s = run.metrics["rollout_duration_s"]
    really_s = max(float(row["k8s_complete_s"]), float(row["k8s_last_old_gone_s"]))
    assert took_s == pytest.approx(really_s, abs=1.0 if really_s <= 20 else 0.05 * really_s)
    assert run.metrics["lowest_in_pool_count"] == int(row["k8s_least_available"])
    assert run.metrics["most_instances_count"] == int(row["k8s_peak_pods_incl_terminating"])
    assert run.metrics["failed_instances_count"] == 0
    if len(delays_s) == 1:
        told = estimate(deployment(row))
        assert told.rollout_duration_s is not None
        assert told.lowest_in_pool_count is not None
        assert told.rollout_duration_s.value == pytest.approx(took_s, abs=0.05)
        assert told.lowest_in_pool_count.value == int(row["k8s_least_available"])


FAILING = measured("kubernetes_failing_pods.csv")


@pytest.mark.parametrize("row", [pytest.param(row, id=row["case"]) for row in FAILING])
def test_a_pod_that_is_never_ready_uses_up_the_budget(row: dict[str, str]) -> None:
    """The counts are those of the real Deployment when its condition says ProgressDeadlineExceeded."""
    run = run_with_a_pod_never_ready(row)

    assert run.ended == Ending.HALTED
    assert run.stopped_by is not None
    assert (run.stopped_by.cause, run.stopped_by.limit) == (Cause.PROGRESS_DEADLINE, 600.0)
    assert run.stopped_by.counts == FleetCounts(
        updated=int(row["k8s_updated"]), available=int(row["k8s_available"]), failed=1
    )
    assert run.metrics["rollout_duration_s"] is None
    assert run.metrics["failed_instances_count"] == 1
    assert from_bytes(as_bytes(run)).stopped_by == run.stopped_by


@pytest.mark.parametrize("name", ["none", *CONTROL_MISTAKES])
def test_a_budget_that_is_not_used_up_is_noticed(name: str) -> None:
    """Where a broken pod gives its place away, the others roll on past what the real one allows."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.helpers.mutants", name, "failing pods"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    expected = [f"{row['case']}: {row['k8s_updated']} {row['k8s_available']}" for row in FAILING]
    assert (done.stdout.splitlines() == expected) == (name == "none")


def test_the_deadline_counts_from_the_last_instance_that_became_available() -> None:
    """Of six with two unavailable the five good ones become available at 3, 6, 9, 12 and 15 s at the latest."""
    row = FAILING[0]
    run = run_with_a_pod_never_ready(row, progress_deadline="20s")
    joined_s = [
        part.begin_s
        for part in run.states
        if part.state is State.SERVING and part.instance >= int(row["replicas"])
    ]
    assert len(joined_s) == 5
    assert run.settled_s == pytest.approx(max(joined_s) + 20.0 + SETTLING_S)


SETS = measured("kubernetes_statefulset_daemonset.csv")


@pytest.mark.parametrize("row", [pytest.param(row, id=row["setting"]) for row in SETS])
def test_stateful_sets_and_daemon_sets_roll_as_measured(row: dict[str, str]) -> None:
    """Both replace pods in place: a StatefulSet one at a time, the highest ordinal first."""
    count, is_stateful = int(row["n"]), row["kind"] == "StatefulSet"
    setting = re.search(r"maxUnavailable (\d+)(%?)", row["setting"])
    window = 1
    if setting is not None:  # a DaemonSet rounds its percentage up
        window = math.ceil(int(setting[1]) * (count / 100 if setting[2] else 1))
    run = run_once(
        scenario(
            rate="1/s",
            service_time="1ms",
            instances=count,
            steps={"stop": f"{row['termination_s']}s", "start": f"{row['readiness_delay_s']}s"},
            rollout={"window": window, "instance_order": "reverse" if is_stateful else "listed"},
            clock={"warm_up": "1s"},
        ),
        keep_requests=False,
    )
    created, really_s = starts_s(run), [float(start) for start in row["new_starts_s"].split()]
    assert [start_s for start_s, _ in created][: len(really_s)] == pytest.approx(really_s, abs=1.0)
    numbers = [instance for _, instance in created]
    assert numbers == sorted(numbers, reverse=is_stateful)
    assert run.metrics["most_instances_count"] == count
    if row["k8s_duration_s"]:
        assert run.metrics["rollout_duration_s"] == pytest.approx(
            float(row["k8s_duration_s"]), abs=1.0
        )
