"""Forecasts compared with a real HAProxy, real processes and the real executor, under load."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

import numpy as np
import psutil
import pytest

from executor.plan.file import read_plan
from executor.plan.model import Plan
from simulation.scenario.model import Scenario
from simulation.study.case import cases_of
from studio.lab import calibrate
from studio.lab import trial as trial_module
from studio.lab.contest import by_window, run_contest
from studio.lab.trial import Trial, run_trial
from tests.helpers.command_line import CommandLine
from tests.helpers.haproxy import until
from tests.helpers.paths import ROOT
from tests.helpers.scenarios import scenario

pytestmark = pytest.mark.slow

SIX = """\
rollcast: scenario/1
name: six
question: Two of six at once?
traffic: {rate: 100/s}
services:
  web:
    instances: 6
    slots: 4
    service_time: {mean: 50ms, cv: 0.4}
    balancer:
      policy: least_connections
      health_check: {interval: 100ms, timeout: 100ms, rise: 2, fall: 2}
    steps: {stop: 50ms, deploy: 200ms, start: {mean: 500ms, cv: 0.2}}
rollout:
  window: 2
  min_healthy: 4
  drain: {timeout: 5s}
objectives: {error_fraction: 0.1%, latency_p99: 1s, lowest_in_pool: 4, duration: 1m}
"""


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch) -> list[Trial]:
    """Collect the trials that commands measure, with a shorter settling."""
    measured: list[Trial] = []

    def run_short_trial(*args: Any, **options: Any) -> Trial:
        measured.append(run_trial(*args, **options, settling_s=2.0))
        return measured[-1]

    monkeypatch.setattr(trial_module, "run_trial", run_short_trial)
    return measured


def test_from_a_scenario_to_a_fleet_of_the_new_version(
    rollcast: CommandLine, trials: list[Trial]
) -> None:
    path = rollcast.write("six.yaml", SIX)
    compared = rollcast("compare", path, "--windows", "1,2", "--json", "-q")
    assert compared.code == 0
    assert compared.json["candidates"][compared.json["chosen"]]["candidate"]["window"] == 2
    assert rollcast("plan", path, "--window", "2", "-o", "plan.json", "-q").code == 0

    ran = rollcast("lab", "run", "plan.json", "--json", "--html", "run.html", "-q")

    assert ran.code == 0, ran.err
    assert {"measured", "predicted", "flags"} <= ran.json.keys()
    assert ran.json["predicted"]["rollout_duration_s"].keys() == {"mean", "low", "high"}
    plan = read_plan(rollcast.folder / "plan.json")
    (trial,) = trials
    every_one_is_rolled_in_its_order(plan, trial)
    never_fewer_in_the_pool_than_planned(plan, trial)
    measured = ran.json["measured"]
    assert measured.keys() == ran.json["predicted"].keys()
    assert measured["failed_requests"] == 0
    assert measured["rollout_error_fraction"] == 0
    requests = ran.json["requests"]
    assert requests["ok"] + requests["in_flight"] == requests["arrived"] > 300
    page = (rollcast.folder / "run.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 1
    assert "six: done" in page


def every_one_is_rolled_in_its_order(plan: Plan, trial: Trial) -> None:
    taken = [one for one in trial.timeline["steps"] if one["step"] == "take_out"]
    assert tuple(one["instance"] for one in taken) == plan.instances
    words = ["take_out", "stop", "deploy", "verify", "start", "return"]
    for name in plan.instances:
        own = [one for one in trial.timeline["steps"] if one["instance"] == name]
        assert [one["step"] for one in own] == words
        assert {one["outcome"] for one in own} == {"done"}
    # Clients' view: once the last instance is back, the new version answers every request.
    table = trial.run.table
    assert table is not None
    after_s = (trial.run.metrics["rollout_duration_s"] or 0.0) + 0.2
    late = table.new_version[(table.start_s > after_s) & np.isfinite(table.finish_s)]
    assert len(late) > 50
    assert late.all()


def never_fewer_in_the_pool_than_planned(plan: Plan, trial: Trial) -> None:
    """Check the samples that the lab and the executor each took from HAProxy itself."""
    assert plan.min_in_pool == 4
    assert trial.run.metrics["lowest_in_pool_count"] == 4
    counts = [one["in_pool_count"] for one in trial.timeline["samples"]]
    assert len(counts) > 10
    assert min(counts) >= plan.min_in_pool


def test_an_interrupt_under_way_ends_everything(rollcast: CommandLine) -> None:
    path = rollcast.write("six.yaml", SIX)
    assert rollcast("plan", path, "--window", "2", "-o", "plan.json", "-q").code == 0
    process = subprocess.Popen(
        [sys.executable, "-m", "studio", "lab", "run", "plan.json", "-q"],
        cwd=rollcast.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        family: list[psutil.Process] = []

        def load_runs() -> bool:
            family[:] = psutil.Process(process.pid).children(recursive=True)
            return len(family) >= 1 + 6 + 1 + 1  # the keeper, instances, HAProxy, the load

        until(load_runs, "the load runs")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        until(lambda: not any(one.is_running() for one in family), "all processes have ended")
    finally:
        process.kill()
        process.wait()


def test_a_drain_that_never_empties_ends_at_its_timeout() -> None:
    """Every instance has long downloads on persistent connections, which would not end by themselves."""
    one = scenario(
        rate="60/s",
        instances=3,
        slots=32,
        policy="least_connections",
        balancer={"health_check": {"interval": "100ms", "timeout": "100ms", "rise": 2, "fall": 2}},
        classes={
            "page": {"share": "95%"},
            "download": {"share": "5%", "service_time": {"app": "10m"}},
        },
        service_time="40ms",
        steps={"start": "200ms"},
        rollout={"window": 1, "drain": {"timeout": "1s", "on_timeout": "cut"}},
        clock={"warm_up": "3s", "horizon": "20s"},  # the lab's own warm-up
        replications=4,
        objectives={"in_runs": 0.4},
    )
    trial = run_trial(plan_of(one), one, settling_s=1.0)
    drains = [step for step in trial.timeline["steps"] if step["step"] == "take_out"]
    assert (trial.record.ended, trial.timeline["reason"]) == ("done", "")
    assert len(drains) == 3
    for drain in drains:
        assert drain["said"].startswith("cut ")
        assert 1.0 <= drain["end_s"] - drain["begin_s"] < 2.0
    assert trial.record.requests["cut"] + trial.record.requests["ok"] == (
        trial.record.requests["arrived"] - trial.record.requests["in_flight"]
    )
    cut = trial.record.metrics["cut_requests"]
    assert cut is not None
    assert cut >= 3


def plan_of(one: Scenario) -> Plan:
    from simulation.planning.make_plan import make_plan
    from simulation.study.compare import compare
    from simulation.study.rows import run_rows

    cases = cases_of(one)
    return make_plan(one, compare(one, cases, list(run_rows(one, cases))).candidates[0])


def test_the_order_of_windows_by_p99_is_as_it_was_predicted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The short form of `benchmarks/fidelity.py`. On a machine that also runs other tests, only the order
    is reliable."""
    one = scenario(
        rate="120/s",
        instances=6,
        slots=2,
        service_time={"mean": "41.5ms", "cv": 0.4},
        policy="least_connections",
        balancer={"health_check": {"interval": "100ms", "timeout": "100ms", "rise": 2, "fall": 2}},
        steps={"deploy": "300ms", "start": "500ms"},
        rollout={"window": 1, "drain": {"timeout": "5s"}},
    )
    monkeypatch.setattr(calibrate, "_LOAD_S", 6.0)
    made = run_contest(one, by_window(one, [2, 4]), runs=1, cycles=6)
    assert [arm.is_at_the_edge for arm in made.arms] == [False, False]
    low, high = (arm.predicted["rollout_latency_p99_s"] for arm in made.arms)
    assert low.run_high is not None
    assert high.run_low is not None
    assert low.run_high < high.run_low
    assert made.rankings() == [True]
    assert len(made.judged()) == 6
    assert len(made.digest) == 64
