"""Classes of requests, and clients that leave, cancel and retry."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from simulation.requests.retry_budget import RetryBudget
from simulation.results.run_result import OK, REJECTED, TIMED_OUT, RequestTable, RunResult
from simulation.scenario.file import ScenarioFile
from simulation.scenario.model import Scenario
from studio.resources import scenarios_dir
from tests.helpers.results import figure
from tests.helpers.scenarios import run_once, scenario, steady

pytestmark = pytest.mark.slow


def one_request(**clients: Any) -> tuple[RunResult, RequestTable]:
    """Return a scenario with one slot, one second per request, and a low rate."""
    one = steady(
        "200s", instances=1, rate="1/min", slots=50, service_time="1s", classes={"all": clients}
    )
    run = run_once(one)
    assert run.table is not None
    return run, run.table


def test_a_timeout_shorter_than_the_service_does_time_out() -> None:
    _run, table = one_request(client_timeout="300ms")
    assert (table.outcome == TIMED_OUT).all()
    assert table.finish_s - table.arrival_s == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("attempts", "backoff", "factor", "ends_s"),
    [
        (1, "100ms", 2, 0.3 + 0.1 + 0.3),
        (3, "100ms", 2, 4 * 0.3 + 0.1 + 0.2 + 0.4),
        (2, "50ms", 1, 3 * 0.3 + 0.05 + 0.05),
        (2, "0s", 2, 3 * 0.3),
    ],
)
def test_a_client_sends_all_its_retries(
    attempts: int, backoff: str, factor: float, ends_s: float
) -> None:
    rule = {"attempts": attempts, "backoff": backoff, "factor": factor, "jitter": 0}
    _run, table = one_request(client_timeout="300ms", retries=rule)
    assert (table.outcome == TIMED_OUT).all()
    assert table.finish_s - table.arrival_s == pytest.approx(ends_s)
    assert (table.attempts == attempts + 1).all()


def test_jitter_spreads_the_wait_around_the_backoff() -> None:
    rule = {"attempts": 1, "backoff": "1s", "jitter": 0.5}
    one = steady(
        "100s",
        instances=1,
        rate="20/s",
        slots=999,
        service_time="1s",
        classes={"all": {"client_timeout": "300ms", "retries": rule}},
    )
    table = run_once(one).table
    assert table is not None
    over = np.isfinite(table.finish_s)
    waits_s = (table.finish_s - table.arrival_s)[over] - 0.6
    assert waits_s.min() >= 0.5
    assert waits_s.max() <= 1.5
    assert waits_s.mean() == pytest.approx(1.0, abs=4 * 0.289 / len(waits_s) ** 0.5)


@pytest.mark.parametrize(("cancels", "busy_s"), [(False, 1.0), (True, 0.3)])
def test_work_goes_on_unless_it_is_cancelled(cancels: bool, busy_s: float) -> None:
    run, table = one_request(client_timeout="300ms", cancel_on_disconnect=cancels)
    used = run.metrics["utilisation_fraction"]
    assert used is not None
    assert used * 200 * 50 == pytest.approx(len(table.arrival_s) * busy_s, abs=busy_s)


def test_a_retry_saves_what_an_empty_pool_rejects() -> None:
    parts: dict[str, Any] = {
        "instances": 1,
        "slots": 50,
        "rate": "20/s",
        "steps": {"deploy": "2s"},
        "rollout": {"window": 1},
    }
    bare = run_once(scenario(**parts))
    rule = {"attempts": 5, "backoff": "500ms", "jitter": 0}
    kept = run_once(scenario(**parts, classes={"all": {"retries": rule}}))
    assert bare.requests["rejected"] > 20
    assert kept.requests["rejected"] == 0
    table = kept.table
    assert table is not None
    again = table.attempts > 1
    assert again.sum() == pytest.approx(bare.requests["rejected"], abs=3)
    assert (table.outcome[again] == OK).all()
    assert ((table.finish_s - table.arrival_s)[again] >= 0.5).all()


def test_classes_have_their_shares_and_their_own_service() -> None:
    kinds = {
        "page": {"share": "80%"},
        "upload": {"service_time": {"app": "700ms"}, "client_timeout": "500ms"},
    }
    one = steady("100s", instances=1, rate="100/s", slots=999, service_time="50ms", classes=kinds)
    table = run_once(one).table
    assert table is not None
    upload = table.request_class == 1
    error = (0.2 * 0.8 / len(upload)) ** 0.5
    assert upload.mean() == pytest.approx(0.2, abs=4 * error)
    over = np.isfinite(table.finish_s)
    latency_s = table.finish_s - table.arrival_s
    assert latency_s[over & ~upload] == pytest.approx(0.05)
    assert latency_s[over & upload] == pytest.approx(0.5)
    assert (table.outcome[over & upload] == TIMED_OUT).all()
    names = table.frame(0, list(kinds), ["app-01"])["class"]
    assert set(names) == {"page", "upload"}


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        ({}, "at least one class"),
        ({"a": {"share": "50%"}, "b": {"share": "40%"}}, "must be 100% in all"),
        ({"a": {}, "b": {}}, "at most one class may leave its share"),
        ({"a": {"share": "90%"}, "b": {"share": "20%"}, "c": {}}, "must be 100% in all"),
    ],
)
def test_shares_that_make_no_whole_are_refused(kinds: dict[str, Any], words: str) -> None:
    data = {
        "rollcast": "scenario/1",
        "traffic": {"rate": "1/s", "classes": kinds},
        "services": {"app": {"instances": 1, "service_time": "1s"}},
    }
    with pytest.raises(ValueError, match=words):
        Scenario.model_validate(data)


def test_a_budget_is_a_fraction_of_recent_requests() -> None:
    budget = RetryBudget(0.2)
    assert not budget.try_spend(0.0)
    for k in range(10):
        budget.request(0.1 * k)
    assert [budget.try_spend(1.0) for _ in range(3)] == [True, True, False]
    assert not budget.try_spend(10.5)  # five of the requests are forgotten, the two retries are not
    for k in range(20):
        budget.request(11.0 + 0.01 * k)
    assert [budget.try_spend(11.5) for _ in range(5)] == [True] * 4 + [False]


def test_a_budget_bounds_the_attempts() -> None:
    one = steady(
        "60s",
        instances=1,
        rate="50/s",
        slots=1,
        service_time="50ms",
        queue_limit=0,
        classes={"all": {"retries": {"attempts": 3, "backoff": "10ms", "budget": "10%"}}},
    )
    table = run_once(one).table
    assert table is not None
    assert (table.outcome == REJECTED).mean() > 0.5
    assert table.attempts.mean() == pytest.approx(1.1, abs=0.02)


@pytest.mark.slow
@pytest.mark.parametrize(("budget", "stays"), [("none", True), ("20%", False)])
def test_a_storm_of_retries_outlives_the_rollout_unless_there_is_a_budget(
    budget: str, stays: bool
) -> None:
    """The window is too wide; a minute after the end of the rollout, the whole fleet still fails requests."""
    sets = ["rollout.window=3", f"traffic.classes.all.retries.budget={budget}"]
    storm = ScenarioFile.load(scenarios_dir() / "retry-storm.yaml", sets).scenario
    lost = []
    for replication in range(8):
        run = run_once(storm, replication)
        assert figure(run, "rollout_duration_s") < 25
        late = slice(-int(20 / run.bin_s), None)
        lost.append(run.series["failed_rps"][late].sum() / run.series["offered_rps"][late].sum())
    if stays:
        assert np.median(lost) > 0.8
    else:
        assert max(lost) < 0.01


def test_the_life_of_a_connection_is_no_latency() -> None:
    """Half of the requests are connections of a minute; the quantiles are those of the other half."""
    classes = {
        "page": {"share": "50%"},
        "socket": {"holds_slot": False, "service_time": {"app": "60s"}},
    }
    run = run_once(steady("200s", rate="2/s", instances=2, slots=2, classes=classes))
    assert run.metrics["latency_p99_s"] == pytest.approx(0.05)
    assert run.metrics["error_fraction"] == 0
    assert run.metrics["utilisation_fraction"] == pytest.approx(0.05 / 4, rel=0.3)
    assert run.requests["in_flight"] > 30
