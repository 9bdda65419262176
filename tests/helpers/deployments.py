"""Rollouts that a real Kubernetes control plane carried out, as scenarios."""

from __future__ import annotations

import csv
from typing import Any
from unittest.mock import patch

from executor.dialects.kubernetes import resolve
from executor.plan.model import Step
from simulation.control.strategy import Strategy
from simulation.results.run_result import RunResult
from simulation.scenario.model import Scenario
from tests.helpers.paths import ORACLES
from tests.helpers.scenarios import run_once, scenario


def measured(name: str) -> list[dict[str, str]]:
    with (ORACLES / name).open(newline="") as file:
        return list(csv.DictReader(file))


def deployment(row: dict[str, str], **rollout: Any) -> Scenario:
    """Return the scenario of a Deployment, with the window and the minimum of its settings.

    The rows of failing pods state no delays; there a pod is ready after 3 s and ends within 2 s.
    """
    count = int(row["replicas"])
    surge, unavailable = resolve(_amount(row["maxSurge"]), _amount(row["maxUnavailable"]), count)
    return scenario(
        rate="1/s",
        service_time="1ms",
        instances=count,
        steps={
            "stop": f"{row.get('termination_s', '2')}s",
            "start": f"{row.get('readiness_delay_s', '3').split()[0]}s",
        },
        rollout={
            "replacement": "beside",
            "window": max(1, unavailable),
            "surge": surge,
            "min_healthy": count - unavailable,
            "min_ready": f"{row.get('minReadySeconds', '0')}s",
            **rollout,
        },
        clock={"warm_up": "1s"},
    )


def _amount(written: str) -> int | str:
    return written if written.endswith("%") else int(written)


def run_with_a_pod_never_ready(row: dict[str, str], **rollout: Any) -> RunResult:
    """Simulate a Deployment with a budget, whose pod that is created first never becomes ready."""
    first_made = int(row["replicas"])

    def fails(_self: Strategy, instance: int, step: Step, _attempt: int) -> bool:
        return instance == first_made and step is Step.START

    with patch.object(Strategy, "_step_fails", fails):
        return run_once(deployment(row, on_failure="budget", **rollout), keep_requests=False)
