"""Small scenarios for tests, with the keys of a scenario file, and their runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from simulation.results.run_result import EngineName, RunResult
from simulation.run import Run
from simulation.scenario.model import Scenario
from simulation.scenario.simulated_interval import SimulatedInterval, frame_of
from simulation.study.case import Case, cases_of, frame_of_cases
from simulation.study.rows import Row
from simulation.study.running.work import Part, Work

SIMPLE: dict[str, Any] = {"rollcast": "scenario/1", "name": "test"}
"""Keys that every scenario of the tests has."""


def scenario(
    *,
    rate: Any = "100/s",
    instances: Any = 4,
    slots: int = 2,
    service_time: Any = "50ms",
    policy: str = "round_robin",
    queue: str = "balancer",
    queue_limit: Any = "none",
    queue_timeout: str = "none",
    propagation_delay: str = "0s",
    weights: dict[str, float] | None = None,
    balancer: dict[str, Any] | None = None,
    client_timeout: str = "none",
    classes: dict[str, Any] | None = None,
    traffic: dict[str, Any] | None = None,
    versions: dict[str, Any] | None = None,
    steps: dict[str, Any] | None = None,
    service: dict[str, Any] | None = None,
    rollout: dict[str, Any] | None = None,
    **top: Any,
) -> Scenario:
    """Return a scenario of one service ``app``, with the simplest defaults."""
    data: dict[str, Any] = {
        **SIMPLE,
        "traffic": {
            "rate": rate,
            "classes": classes or {"all": {"client_timeout": client_timeout}},
            **(traffic or {}),
        },
        "services": {
            "app": {
                "instances": instances,
                "slots": slots,
                "service_time": service_time,
                "balancer": {
                    "policy": policy,
                    "queue": queue,
                    "queue_limit": queue_limit,
                    "queue_timeout": queue_timeout,
                    "propagation_delay": propagation_delay,
                    "weights": weights or {},
                    **(balancer or {}),
                },
                "versions": versions or {},
                "steps": steps or {},
                **(service or {}),
            }
        },
        **top,
    }
    if rollout is not None:
        data["rollout"] = rollout
    return Scenario.model_validate(data)


def of_services(
    services: dict[str, dict[str, Any]],
    classes: dict[str, Any],
    rate: Any = "100/s",
    **top: Any,
) -> Scenario:
    """Return a scenario of several services, by default of one instance and 50 ms of service each."""
    return Scenario.model_validate(
        {
            "rollcast": "scenario/1",
            "name": "test",
            "traffic": {"rate": rate, "classes": classes},
            "services": {
                name: {"instances": 1, "slots": 1000, "service_time": "50ms", **keys}
                for name, keys in services.items()
            },
            **top,
        }
    )


def small_shop(**parts: Any) -> Scenario:
    """Return a shop of six instances, rolled in a few simulated seconds; a run takes milliseconds."""
    defaults = {
        "rate": "60/s",
        "instances": 6,
        "steps": {"deploy": "2s", "start": {"mean": "1s", "cv": 0.3}},
        "rollout": {"window": 2, "drain": {"timeout": "5s"}},
    }
    return scenario(**{**defaults, **parts})


def steady(horizon: str, warm_up: str = "auto", **parts: Any) -> Scenario:
    """Return a scenario without a rollout, observed for a duration."""
    return scenario(clock={"horizon": horizon, "warm_up": warm_up}, **parts)


def run_replication(
    cases: Sequence[Case],
    frame: SimulatedInterval,
    replication: int,
    *,
    keep_requests: bool = False,
) -> Row:
    """Simulate all cases of one replication over one common interval."""
    indices = tuple(range(len(cases)))
    work = Work(tuple(cases), frame, keep_requests=keep_requests)
    controls = range(len(indices), len(indices) + len(work.controls.each))
    wanted = tuple((index, frozenset[float]()) for index in controls)
    results = work.run(Part(replication, indices, controls=wanted))
    return Row(
        replication,
        tuple(results[index] for index in indices),
        controls=tuple(results[index] for index in controls),
    )


def run_once(one: Scenario, replication: int = 0, keep_requests: bool = True) -> RunResult:
    """Simulate the scenario's own candidate in one replication."""
    cases = cases_of(one)
    frame = frame_of_cases(cases)
    return run_replication(cases, frame, replication, keep_requests=keep_requests).runs[0]


def runs_of(one: Scenario, count: int) -> Sequence[RunResult]:
    """Simulate the scenario's own candidate in several replications, in this process."""
    return [run_once(one, replication, keep_requests=False) for replication in range(count)]


def prepared(one: Scenario, replication: int = 0, engine: EngineName = EngineName.REFERENCE) -> Run:
    """Return a run that has not begun, for tests that look into it."""
    return Run(one, frame_of([one]), replication, engine, keep_requests=True)
