"""What holds for every scenario, whatever it says (Hypothesis)."""

from __future__ import annotations

import hashlib
import itertools
import pickle
import subprocess
import sys
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulation.balancer import POLICIES
from simulation.fleet import LEGAL_MOVES, State
from simulation.frame import frame_of
from simulation.results import OUTCOMES, RunResult
from simulation.scenario import Scenario
from simulation.study import candidates_of, run_replication
from tests.helpers.scenarios import run_once, scenario

pytestmark = pytest.mark.slow

DURATIONS: list[Any] = [
    "0s",
    "1s",
    {"exponential": "500ms"},
    {"mean": "2s", "cv": 0.5},
    {"gamma": {"mean": "1s", "cv": 2}},
    {"weibull": {"mean": "1s", "shape": 0.7}},
    {"empirical": ["100ms", "1s", "3s"]},
    {"shifted": {"by": "500ms", "of": {"mean": "1s", "p99": "3s"}}},
]
SERVICE_TIMES: list[Any] = ["50ms", *DURATIONS[2:]]
RATES: list[Any] = [
    "40/s",
    {"steps": [["0s", "20/s"], ["5s", "0/s"], ["8s", "60/s"]]},
    {"daily": {"low": "5/s", "high": "30/s", "peak": "12:00"}},
]
LOG: list[float] = [
    *(day_s + 0.05 * k for day_s in (0.0, 43_200.0 - 5.0) for k in range(400)),
    200_000.0,
]
"""Requests in the first seconds and at noon, and one long after every horizon."""
ARRIVALS: list[dict[str, Any]] = [
    {"arrivals": "poisson"},
    {"arrivals": "bursty"},
    {"arrivals": "bursty", "dispersion": 20},
    {"arrivals": "replay", "rate": {"timestamps": LOG}},
    {"arrivals": "poisson", "rate": {"timestamps": LOG}},
]
STEPS = ("take_out", "stop", "deploy", "verify", "start", "return")


@st.composite
def classes(draw: st.DrawFn) -> dict[str, Any]:
    """One class or two, with impatient clients who ask again."""

    def clients() -> dict[str, Any]:
        return {
            "client_timeout": draw(st.sampled_from(["none", "0s", "300ms", "2s"])),
            "cancel_on_disconnect": draw(st.booleans()),
            "retries": {
                "attempts": draw(st.sampled_from([0, 0, 1, 3])),
                "backoff": draw(st.sampled_from(["0s", "200ms"])),
                "jitter": draw(st.sampled_from([0, 0.5])),
                "budget": draw(st.sampled_from(["none", "20%"])),
            },
        }

    if draw(st.booleans()):
        return {"all": clients()}
    long = {"app": {"mean": "400ms", "cv": 1}}
    return {"page": {"share": "80%", **clients()}, "upload": {"service_time": long, **clients()}}


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    """Small scenarios that use every key, overloaded ones among them."""
    instances = draw(st.integers(1, 7))
    window = draw(st.one_of(st.integers(1, instances), st.sampled_from(["25%", "50%", "100%"])))
    return scenario(
        seed=draw(st.integers(0, 5)),
        rate=draw(st.sampled_from(RATES)),
        traffic=draw(st.sampled_from(ARRIVALS)),
        instances=instances,
        slots=draw(st.integers(1, 4)),
        service_time=draw(st.sampled_from(SERVICE_TIMES)),
        policy=draw(st.sampled_from(list(POLICIES))),
        queue=draw(st.sampled_from(["balancer", "instance"])),
        queue_limit=draw(st.sampled_from(["none", 0, 3])),
        queue_timeout=draw(st.sampled_from(["none", "0s", "400ms"])),
        propagation_delay=draw(st.sampled_from(["0s", "700ms", "5s"])),
        weights=draw(st.sampled_from([{}, {"app-01": 2.5}])),
        versions={
            "old": {"error_fraction": draw(st.sampled_from([0, 0.1]))},
            "new": {
                "service_factor": draw(st.sampled_from([1.0, 0.5, 3.0])),
                "error_fraction": draw(st.sampled_from([0, 0.2])),
                "cold": {"factor": draw(st.sampled_from([1.0, 4.0])), "decay": "3s"},
                "verify_fails": draw(st.sampled_from([0, 0.3])),
                "start_fails": draw(st.sampled_from([0, 0.3])),
            },
        },
        classes=draw(classes()),
        steps={step: draw(st.sampled_from(DURATIONS)) for step in STEPS},
        rollout={
            "window": window,
            "advance": draw(st.sampled_from(["sliding", "batch"])),
            "min_healthy": draw(st.integers(0, instances - 1)),
            "pause": draw(st.sampled_from(["0s", "1s"])),
            "min_ready": draw(st.sampled_from(["0s", "2s"])),
            "instance_order": draw(st.sampled_from(["listed", "random"])),
            "retries": draw(st.sampled_from([0, 2])),
            "on_failure": draw(st.sampled_from(["halt", "continue", "rollback"])),
            "max_failures": draw(st.sampled_from([0, 1, 9])),
            "drain": {
                "timeout": draw(st.sampled_from(["0s", "200ms", "3s"])),
                "on_timeout": draw(st.sampled_from(["cut", "wait", "abort"])),
                "poll": draw(st.sampled_from(["0s", "300ms"])),
            },
            "pre_stop": draw(st.sampled_from(["0s", "1s"])),
            "stop": draw(
                st.sampled_from([{"mode": "abrupt"}, {"grace": "500ms"}, {"mode": "graceful"}])
            ),
        },
        clock={
            "start": draw(st.sampled_from(["0s", "12:00"])),
            "warm_up": draw(st.sampled_from(["0s", "3s"])),
            "horizon": draw(st.sampled_from(["auto", "10s"])),
        },
        objectives={"latency_p99": "1s"},
    )


PATIENT = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)  # a simulation takes as long as it takes


def bounded(one: Scenario) -> Scenario:
    """The same with an end within reach, for what cannot settle."""
    if one.clock.horizon is None:
        return one.model_copy(update={"clock": one.clock.model_copy(update={"horizon": 60.0})})
    return one


@PATIENT
@given(scenarios(), st.booleans())
def test_every_request_is_accounted_for(one: Scenario, own_end: bool) -> None:
    run = run_once(bounded(one) if own_end else one)
    requests = run.requests
    assert requests["arrived"] == sum(requests[name] for name in OUTCOMES) + requests["in_flight"]
    assert run.table is not None
    started = np.isfinite(run.table.start_s)
    assert (run.table.start_s[started] >= run.table.arrival_s[started]).all()
    finished = np.isfinite(run.table.finish_s)
    assert (run.table.finish_s[finished] >= run.table.arrival_s[finished]).all()
    assert requests["in_flight"] == np.count_nonzero(~finished)
    assert run.ended in ("done", "halted", "rolled_back", "horizon")


@PATIENT
@given(scenarios())
def test_never_more_than_the_window_under_way(one: Scenario) -> None:
    run = run_once(bounded(one))
    out = most_at_once(run)
    assert out <= one.window_count()
    assert one.rollout is not None
    lowest = run.metrics["lowest_in_pool_count"]
    assert lowest is not None
    assert lowest >= one.rollout.min_healthy
    assert lowest >= one.service.instance_count - one.window_count() - failed(run)


def most_at_once(run: RunResult) -> int:
    """The most instances that were out of the serving state at one time, failed ones apart."""
    changes = []
    for part in run.states:
        if part.state not in (State.SERVING, State.FAILED) and part.end_s > part.begin_s:
            changes += [(part.begin_s, 1), (part.end_s, -1)]
    level = highest = 0
    for _time, change in sorted(changes):
        level += change
        highest = max(highest, level)
    return highest


def failed(run: RunResult) -> int:
    return Counter(part.state for part in run.states)[State.FAILED]


@PATIENT
@given(scenarios())
def test_states_are_complete_do_not_overlap_and_move_by_the_table(one: Scenario) -> None:
    run = run_once(bounded(one))
    by_instance: dict[int, list[Any]] = {}
    for part in run.states:
        by_instance.setdefault(part.instance, []).append(part)
    assert sorted(by_instance) == list(range(one.service.instance_count))
    for parts in by_instance.values():
        assert parts[-1].end_s == run.end_s
        for earlier, later in itertools.pairwise(parts):
            assert earlier.end_s == later.begin_s
            assert later.state in LEGAL_MOVES[earlier.state]


@PATIENT
@given(scenarios())
def test_the_same_seed_gives_the_same_result(one: Scenario) -> None:
    first, second = run_once(bounded(one)), run_once(bounded(one))
    assert pickle.dumps(first) == pickle.dumps(second)


@PATIENT
@given(scenarios(), st.data())
def test_candidates_see_the_same_arrivals_over_the_same_interval(
    one: Scenario, data: st.DataObject
) -> None:
    one = bounded(one)
    count = one.service.instance_count
    windows = data.draw(st.lists(st.integers(1, count), min_size=2, max_size=3))
    candidates = candidates_of(one, windows=windows, drain_timeouts_s=[0.0, 5.0])
    frame = frame_of([candidate.applied_to(one) for candidate in candidates])
    row = run_replication(one, candidates, frame, 3, keep_requests=True)
    first = row.runs[0]
    assert first.table is not None
    for run in row.runs[1:]:
        assert run.table is not None
        assert run.end_s == first.end_s
        np.testing.assert_array_equal(run.table.arrival_s, first.table.arrival_s)


ELSEWHERE = """
import hashlib, pickle
from tests.simulation.test_properties import example
from tests.helpers.scenarios import run_once
print(hashlib.sha256(pickle.dumps(run_once(example()))).hexdigest())
"""


def example() -> Scenario:
    """A scenario in which everything happens."""
    return scenario(
        rate="60/s",
        service_time={"mean": "50ms", "cv": 1},
        policy="least_connections",
        steps={step: {"mean": "1s", "cv": 0.5} for step in STEPS},
        client_timeout="300ms",
        rollout={"window": 2, "drain": {"timeout": "100ms"}, "min_ready": "1s"},
    )


def test_the_same_seed_gives_the_same_bits_in_another_process() -> None:
    answers = {
        subprocess.run(
            [sys.executable, "-c", ELSEWHERE], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    }
    assert answers == {hashlib.sha256(pickle.dumps(run_once(example()))).hexdigest() + "\n"}


def test_another_seed_or_replication_gives_other_requests() -> None:
    one = example()
    other_seed = one.model_copy(update={"seed": 2})
    tables = [run_once(one), run_once(other_seed), run_once(one, replication=1)]
    firsts = {float(run.table.arrival_s[0]) for run in tables if run.table is not None}
    assert len(firsts) == 3
