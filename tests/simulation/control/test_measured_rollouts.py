"""Simulated rollouts against rollouts that a real Kubernetes control plane carried out.

The delay until a pod is ready is its `start`, the time that a pod takes to end is its `stop`; no
request is in flight, so that nothing else takes time. Delays that differ are in the order in which
the pods were created, which is the order of the instances here.
"""

from __future__ import annotations

import csv
import re
from typing import Any

import numpy as np
import pytest

from executor.dialects.kubernetes import resolve
from simulation.control.strategy import step_durations
from simulation.estimates.estimate import estimate
from simulation.results.run_result import RunResult
from simulation.results.states import State
from simulation.scenario.model import Scenario
from tests.helpers.paths import ORACLES
from tests.helpers.scenarios import run_once, scenario


def measured(name: str) -> list[dict[str, str]]:
    with (ORACLES / name).open(newline="") as file:
        return list(csv.DictReader(file))


def amount(written: str) -> int | str:
    return written if written.endswith("%") else int(written)


def deployment(row: dict[str, str]) -> Scenario:
    """Return the scenario of a Deployment, with the window and the minimum of its settings."""
    count = int(row["replicas"])
    surge, unavailable = resolve(amount(row["maxSurge"]), amount(row["maxUnavailable"]), count)
    return scenario(
        rate="1/s",
        service_time="1ms",
        instances=count,
        steps={
            "stop": f"{row['termination_s']}s",
            "start": f"{row['readiness_delay_s'].split()[0]}s",
        },
        rollout={
            "replacement": "beside",
            "window": max(1, unavailable),
            "surge": surge,
            "min_healthy": count - unavailable,
            "min_ready": f"{row['minReadySeconds']}s",
        },
        clock={"warm_up": "1s"},
    )


def most_at_once(run: RunResult) -> int:
    """Return the maximum number of instances at once, terminating ones included."""
    changes = sorted(
        change
        for part in run.states
        if part.state is not State.ABSENT and part.end_s > part.begin_s
        for change in ((part.begin_s, 1), (part.end_s, -1))
    )
    return int(np.max(np.cumsum([step for _, step in changes])))


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
    assert most_at_once(run) == int(row["k8s_peak_pods_incl_terminating"])
    if len(delays_s) == 1:
        told = estimate(deployment(row))
        assert told.rollout_duration_s is not None
        assert told.lowest_in_pool_count is not None
        assert told.rollout_duration_s.value == pytest.approx(took_s, abs=0.05)
        assert told.lowest_in_pool_count.value == int(row["k8s_least_available"])
