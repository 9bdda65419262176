"""New instances that warm up by the requests that they have served."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean, stdev
from typing import Any

import numpy as np
import pytest

from benchmarks.oracles import cold_by_requests as oracle
from simulation.engines.compiled.layout import has_fast_path
from simulation.results.run_result import OK, RunResult
from simulation.results.states import State
from simulation.scenario.model import Cold
from tests.helpers.agree import difference
from tests.helpers.results import figure
from tests.helpers.scenarios import run_once, runs_of, scenario

FEW: dict[str, Any] = {
    "rate": "200/s",
    "slots": 1000,
    "steps": {"deploy": "2s", "start": "3s"},
    "versions": {"new": {"service_factor": 2.0, "cold": {"factor": 5.0, "requests": 20}}},
}


def service_times_s(run: RunResult, instance: int) -> Sequence[float]:
    """Return the service times of an instance's new version, in the order of their begin."""
    table = run.table
    assert table is not None
    mine = (table.instance == instance) & table.new_version & np.isfinite(table.finish_s)
    order = np.argsort(table.start_s[mine], kind="stable")
    took: list[float] = (table.finish_s - table.start_s)[mine][order].tolist()
    return took


def test_each_service_takes_the_longer_the_fewer_were_begun_before_it() -> None:
    """The n-th service (from 0) takes 50 ms · 2 · (1 + (5 − 1)·exp(−n/20)), at every instance."""
    run = run_once(scenario(**FEW, rollout={"window": 2}))
    for instance in range(4):
        took_s = service_times_s(run, instance)
        n = np.arange(len(took_s))
        assert len(took_s) > 100
        assert took_s == pytest.approx(0.05 * 2 * (1 + 4 * np.exp(-n / 20)), rel=1e-9)


def test_a_crash_makes_an_instance_cold_again() -> None:
    crashes = {"mtbf": "20s", "repair": "1s"}
    run = run_once(
        scenario(
            **FEW, service={"crashes": crashes}, rollout={"window": 4}, clock={"horizon": "60s"}
        )
    )
    crashed = [p.instance for p in run.states if p.state is State.CRASHED and p.begin_s > 10]
    took_s = service_times_s(run, crashed[0])
    coldest = [k for k, s in enumerate(took_s) if s == pytest.approx(0.05 * 2 * 5)]
    assert len(coldest) >= 2  # the first service after the rollout, and the first after the repair


def test_a_retry_counts_as_another_service() -> None:
    """Clients leave after 150 ms, at first in vain: the abandoned service goes on, and counts."""
    classes = {"all": {"client_timeout": "150ms", "retries": {"attempts": 1, "backoff": "0s"}}}
    run = run_once(scenario(**FEW, instances=1, classes=classes, rollout={"window": 1}))
    table = run.table
    assert table is not None
    served = table.new_version & np.isfinite(table.start_s)
    again = served & (table.attempts == 2)
    begins_s = np.sort(np.concatenate([table.arrival_s[served], table.arrival_s[again] + 0.15]))
    ok = served & (table.outcome == OK)
    n = np.searchsorted(begins_s, table.start_s[ok] - 1e-9)
    took_s = (table.finish_s - table.start_s)[ok]
    assert took_s == pytest.approx(0.05 * 2 * (1 + 4 * np.exp(-n / 20)), rel=1e-6)
    assert (again & ok).sum() > 10


def test_requests_that_leave_the_queue_do_not_count() -> None:
    """One slot, and clients that leave before their turn: only what was served warms the instance up."""
    one = scenario(
        rate="30/s",
        instances=1,
        slots=1,
        service_time="50ms",
        queue="instance",
        client_timeout="120ms",
        versions={"new": {"cold": {"factor": 4.0, "requests": 10}}},
        rollout={"window": 1},
        steps={"deploy": "1s"},
    )
    assert difference(one) is None
    table = run_once(one).table
    assert table is not None
    served = np.isfinite(table.start_s) & table.new_version
    left = np.isnan(table.start_s) & (table.arrival_s > 1.0)
    assert left.sum() > 3
    took_s = np.diff(np.sort(table.start_s[served]))
    n = np.arange(len(took_s))
    # The slot is busy throughout at the beginning, so each service begins when the last one ends.
    assert took_s[:8] == pytest.approx((0.05 * (1 + 3 * np.exp(-n / 10)))[:8], abs=1e-9)


def test_the_old_version_is_never_cold() -> None:
    run = run_once(scenario(**FEW, rollout={"window": 2}))
    table = run.table
    assert table is not None
    old = ~table.new_version & np.isfinite(table.finish_s)
    assert (table.finish_s - table.start_s)[old] == pytest.approx(0.05)


def test_a_warm_up_is_by_time_or_by_requests() -> None:
    assert (Cold().decay, Cold().requests) == (30.0, None)
    by_requests = Cold.model_validate({"factor": 3, "requests": 150})
    assert (by_requests.decay, by_requests.requests) == (None, 150.0)
    for cold in (Cold(), by_requests):
        dumped = cold.model_dump(mode="json", exclude_none=True)
        assert Cold.model_validate(dumped) == cold


def test_a_warm_up_by_requests_has_no_fast_path() -> None:
    parts: dict[str, Any] = {**FEW, "queue": "instance", "rollout": {"window": 2}}
    assert not has_fast_path(scenario(**parts))
    assert has_fast_path(scenario(**{**parts, "versions": {}}))


def p99_s(cold: dict[str, Any], runs: int) -> list[float]:
    """Return the p99 of runs of the oracle's model in the engine."""
    one = scenario(
        rate=f"{oracle.RATE_RPS}/s",
        instances=oracle.INSTANCES,
        slots=oracle.SLOTS,
        service_time={"exponential": f"{oracle.MEAN_S}s"},
        queue="instance",
        versions={"new": {"cold": {"factor": oracle.COLD, **cold}}},
        steps={"deploy": f"{oracle.DOWN_S}s"},
        rollout={"window": oracle.WINDOW, "drain": {"timeout": "60s"}},
        clock={"warm_up": f"{oracle.WARM_UP_S}s", "horizon": f"{oracle.END_S}s"},
    )
    return [figure(run, "latency_p99_s") for run in runs_of(one, runs)]


@pytest.mark.slow
def test_an_independent_model_agrees() -> None:
    """p99 is 6.2 s by 150 requests, 3.6 s by an age that decays as fast at a warm instance's rate."""
    by: dict[bool, dict[str, Any]] = {
        True: {"requests": oracle.WARM_REQUESTS},
        False: {"decay": f"{oracle.DECAY_S}s"},
    }
    engine: dict[bool, list[float]] = {}
    for by_requests, cold in by.items():
        engine[by_requests] = p99_s(cold, 20)
        model = [oracle.simulate(seed, by_requests)[0] for seed in range(10)]
        error_s = (stdev(model) ** 2 / 10 + stdev(engine[by_requests]) ** 2 / 20) ** 0.5
        assert mean(engine[by_requests]) == pytest.approx(mean(model), abs=4 * error_s)
        assert error_s < 0.05 * mean(model)
    assert mean(engine[True]) > 1.5 * mean(engine[False])
