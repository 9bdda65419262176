"""Long-lived connections agree with a small model of their own in plain SimPy."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import simulation.run
from benchmarks.oracles.long_lived import CASES, Case, figures
from simulation.requests.arrivals import OpenConnections
from simulation.requests.stationary import mean_open_count, open_connections
from simulation.scenario.model import Scenario
from tests.helpers.results import figure
from tests.helpers.scenarios import runs_of, scenario

LIVES: dict[str, Any] = {
    "sockets of an hour, one instance at a time": {"exponential": "1h"},
    "a constant hour, all at once": "1h",
    "lives of ten minutes that vary much": {"mean": "10m", "cv": 2},
    "a reconnect storm beside pages": {"exponential": "10m"},
    "a reconnect storm at once": {"exponential": "10m"},
}
FIGURES = ("cut_connections", "reconnects", "latency_mean_s", "latency_p99_s")


def rolled(case: Case, life: Any) -> Scenario:
    """Return the case as a scenario."""
    how = {
        "backoff": f"{case.backoff_s}s",
        "jitter": case.jitter,
        "cost": f"{case.handshake_s}s",
    }
    rate_rps = case.sockets_rps + case.pages_rps
    classes: dict[str, Any] = {
        "ws": {
            "holds_slot": False,
            "service_time": {"app": life},
            "reconnects": how if case.reconnects else False,
        }
    }
    if case.pages_rps > 0:
        classes["page"] = {"share": case.pages_rps / rate_rps}
    return scenario(
        rate=f"{rate_rps}/s",
        instances=case.instances,
        slots=case.slots,
        queue="instance",
        service_time={"exponential": f"{case.page_s}s"},
        classes=classes,
        steps={"deploy": f"{case.step_s}s"},
        rollout={
            "window": case.window,
            "advance": "batch",
            "drain": {"timeout": f"{case.drain_s}s"},
        },
        clock={"horizon": f"{case.horizon_s}s"},
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_rollouts_cut_as_many_connections_as_the_small_model_does(name: str) -> None:
    """Two samples of 20 runs each; a difference of four standard errors is allowed."""
    case = CASES[name]
    one = rolled(case, LIVES[name])
    theirs = figures(case, 20)
    opened = [row["open"] for row in theirs]
    assert np.mean(opened) == pytest.approx(mean_open_count(one), abs=4 * math.sqrt(opened[0] / 20))
    runs = runs_of(one, 20)
    for key in FIGURES:
        expected = [row[key] for row in theirs]
        if not case.pages_rps and key.startswith("latency"):
            continue
        if not case.reconnects and key == "reconnects":
            assert all(run.metrics[key] is None for run in runs)
            continue
        found = [figure(run, key) for run in runs]
        error = math.sqrt((np.var(expected, ddof=1) + np.var(found, ddof=1)) / 20)
        assert np.mean(found) == pytest.approx(np.mean(expected), abs=4 * error), key


def test_a_storm_without_its_handshakes_would_be_noticed() -> None:
    """The small model's pages are slower by far more than chance: the comparison can fail."""
    name = "a reconnect storm at once"
    storm = CASES[name]
    with_cost = [row["latency_p99_s"] for row in figures(storm, 5)]
    without = [row["latency_p99_s"] for row in figures(replace(storm, handshake_s=0.0), 5)]
    assert min(with_cost) > 1.5 * max(without)


def test_ages_of_zero_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lives of 60 s and a drain of 20 s: 40 of 60 connections are cut, all of them if they were new."""
    case = Case(lambda _rng: 60.0, 300.0, sockets_rps=5.0, window=4, drain_s=20.0, horizon_s=25.0)
    expected = np.mean([row["cut_connections"] for row in figures(case, 5)])
    assert expected == pytest.approx(200, abs=4 * math.sqrt(200 / 5))
    one = rolled(case, "60s")

    def cut_count() -> float:
        return float(np.mean([figure(run, "cut_connections") for run in runs_of(one, 5)]))

    assert cut_count() == pytest.approx(expected, abs=4 * math.sqrt(2 * 200 / 5))

    def opened_just_now(one: Scenario, begin_s: float, *numbers: int) -> OpenConnections:
        opened = open_connections(one, begin_s, *numbers)
        now_s = np.full(opened.count, np.nextafter(begin_s, -np.inf))
        return OpenConnections(now_s, opened.life_s, opened.request_class, opened.session)

    monkeypatch.setattr(simulation.run, "open_connections", opened_just_now)
    assert cut_count() > 280
