"""A release that answers errors: the number of requests that meet it, predicted and measured.

The plan is made for a good release, because nobody plans a bad one. A simulation of the same rollout predicts
what a bad release does under the plan's guard. Then the bad release is rolled out on the loopback.
"""

from __future__ import annotations

import re

import pytest

from executor.plan.file import read_plan
from executor.plan.model import STEPS
from simulation.scenario.file import ScenarioFile
from studio.lab.fleet import OLD
from studio.lab.trial import run_trial
from studio.reports.rollout_report import timeline_report
from tests.helpers.command_line import CommandLine

pytestmark = pytest.mark.slow

GOOD = """\
rollcast: scenario/1
name: six
question: How many requests meet a release that answers errors?
replications: 60
traffic: {rate: 100/s}
services:
  web:
    instances: 6
    slots: 4
    service_time: {mean: 50ms, cv: 0.4}
    balancer:
      policy: least_connections
      health_check: {interval: 100ms, timeout: 100ms, rise: 2, fall: 2}
    steps: {stop: 50ms, deploy: 300ms, start: {mean: 700ms, cv: 0.2}}
    versions: {new: {error_fraction: 0%}}
rollout:
  window: 1
  min_healthy: 5
  drain: {timeout: 5s}
  guards: {error_fraction: 5%, over: 2s}
  on_failure: rollback
objectives: {error_fraction: 0.1%, latency_p99: 1s, duration: 1m}
"""
BAD = GOOD.replace("new: {error_fraction: 0%}", "new: {error_fraction: 60%}")


def test_a_bad_release_meets_as_many_requests_as_was_predicted(rollcast: CommandLine) -> None:
    good, bad = rollcast.write("good.yaml", GOOD), rollcast.write("bad.yaml", BAD)
    (compared,) = rollcast("compare", good, "--windows", "1", "--json", "-q").json["candidates"]
    assert compared["verdict"]["answer"] == "meets"
    assert rollcast("plan", good, "--window", "1", "-o", "plan.json", "-q").code == 0
    plan = read_plan(rollcast.folder / "plan.json")
    planned = plan.prediction.metrics["exposure_requests"]
    (foreseen,) = rollcast("compare", bad, "--windows", "1", "--json", "-q").json["candidates"]
    assert foreseen["ended"]["rolled_back"] == 60
    predicted = foreseen["metrics"]["exposure_requests"]
    assert predicted["run_high"] < planned.run_low  # the guard protects the difference

    trial = run_trial(plan, ScenarioFile.parse(BAD).scenario, settling_s=1.0)

    told = trial.timeline
    assert told["ended"] == "rolled_back"
    # Either the plan's guard or its forecast, which predicts no errors, is crossed first.
    assert re.match(r"guard over 2 s: errors|the rollout leaves its forecast: err", told["reason"])
    touched = {one["instance"] for one in told["steps"]}
    assert len(touched) < len(plan.instances)
    back = [(one["instance"], one["step"]) for one in told["steps"] if one["version"] == OLD]
    assert sorted(back) == sorted((name, step.value) for name in touched for step in STEPS)
    assert {one["outcome"] for one in told["steps"]} == {"done"}

    measured = told["measured"]["exposure_requests"]
    assert 0 < told["measured"]["failed_requests"] < measured
    assert predicted["run_low"] / 2 <= measured <= predicted["run_high"]
    assert told["predicted"]["exposure_requests"] == planned.model_dump()
    assert measured == pytest.approx(trial.run.metrics["exposure_requests"], abs=5)  # by clients
    page = timeline_report(plan, told)
    (row,) = re.findall(r"<tr>(?:(?!</tr>).)*exposure.*?</tr>", page, re.DOTALL)
    low, high = (f"{end:.0f}" for end in (planned.run_low, planned.run_high))
    assert all(number in row for number in (str(measured), low, high)), row
