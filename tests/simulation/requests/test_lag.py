"""A balancer that learns late of a take-out: requests are refused, unless the stop waits for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from simulation.results.run_result import CUT, OK, REFUSED, RunResult
from simulation.results.states import State
from tests.helpers.results import figure
from tests.helpers.scenarios import run_once, scenario


def rolled(**parts: Any) -> RunResult:
    """Four instances at 80/s, updated one at a time, each away for three seconds."""
    given = {
        "rate": "80/s",
        "slots": 100,
        "steps": {"deploy": "3s"},
        "rollout": {"window": 1},
        **parts,
    }
    return run_once(scenario(**given))


def stopped_s(run: RunResult, instance: int = 0) -> float:
    return next(
        p.begin_s for p in run.states if p.instance == instance and p.state is State.STOPPING
    )


def test_without_lag_nothing_is_refused() -> None:
    assert rolled().requests["refused"] == 0


def test_what_the_balancer_sends_to_a_stopped_instance_is_refused() -> None:
    """With a drain of at most 50 ms and a lag of 2 s, about 20/s · 1.95 s are refused, four times."""
    run = rolled(propagation_delay="2s", rollout={"window": 1, "drain": {"timeout": "100ms"}})
    refused = run.requests["refused"]
    assert refused == pytest.approx(4 * 20 * 1.9, abs=4 * (4 * 20 * 1.9) ** 0.5)
    table = run.table
    assert table is not None
    first = (table.outcome == REFUSED) & (table.instance == 0)
    assert table.arrival_s[first].min() >= stopped_s(run)
    assert table.arrival_s[first].max() <= 2.0
    assert np.isnan(table.start_s[first]).all()


def test_least_connections_sends_everything_to_the_dead_one() -> None:
    """A "black hole": an instance that refuses requests looks idle."""
    parts: dict[str, Any] = {
        "propagation_delay": "2s",
        "rollout": {"window": 1, "drain": {"timeout": "100ms"}},
    }
    fair, drawn = rolled(**parts), rolled(policy="least_connections", **parts)
    assert drawn.requests["refused"] > 2 * fair.requests["refused"]


@pytest.mark.parametrize(("pre_stop", "refused"), [("1s", True), ("2s", False), ("3s", False)])
def test_a_pre_stop_as_long_as_the_lag_refuses_nothing(pre_stop: str, refused: bool) -> None:
    rule = {"window": 1, "drain": {"timeout": "100ms"}, "pre_stop": pre_stop}
    run = rolled(propagation_delay="2s", rollout=rule)
    assert (run.requests["refused"] > 0) is refused
    assert stopped_s(run) == pytest.approx(float(pre_stop[:-1]), abs=1e-9)


@pytest.mark.parametrize(
    ("stop", "cut", "lasts_s"),
    [
        ({"mode": "abrupt"}, True, 0.0),
        ({"mode": "graceful", "grace": "30s"}, False, 10.0),
        ({"mode": "graceful", "grace": "5s"}, True, 2.0),  # the grace includes three of pre-stop
    ],
)
def test_a_stop_ends_what_has_come_since_the_drain(
    stop: dict[str, str], cut: bool, lasts_s: float
) -> None:
    """The drain ends at once; because of the lag, requests of ten seconds still arrive afterwards."""
    run = run_once(
        scenario(
            rate={"steps": [["0s", "0/s"], ["20s", "10/s"], ["25s", "0/s"]]},
            instances=2,
            slots=100,
            service_time="10s",
            propagation_delay="5s",
            rollout={"window": 1, "pre_stop": "3s", "stop": stop},
            clock={"start": "20s", "warm_up": "10s"},
        )
    )
    table = run.table
    assert table is not None
    lost = (table.outcome == CUT) & (table.instance == 0)
    assert bool(lost.any()) is cut
    stopping = next(p for p in run.states if p.state is State.STOPPING)
    assert stopping.begin_s == pytest.approx(3.0)
    last_s = table.start_s[(table.instance == 0) & (table.outcome != REFUSED)].max()
    expected_s = lasts_s if cut else last_s + 10.0 - 3.0
    assert stopping.end_s - stopping.begin_s == pytest.approx(expected_s, abs=1e-6)
    assert set(table.outcome.tolist()) <= {OK, CUT, REFUSED}


def test_a_poll_sees_the_end_the_second_time() -> None:
    """Idle from the start: the polls after 2 s and after 4 s both find no request."""
    rule = {"window": 1, "drain": {"timeout": "30s", "poll": "2s"}}
    run = rolled(rate="0/s", rollout=rule)
    assert stopped_s(run) == pytest.approx(4.0)


def test_a_dead_instance_burns_the_queue() -> None:
    """All slots are taken and a hundred wait; the first instance stops, and refuses them all."""
    run = run_once(
        scenario(
            rate={"steps": [["0s", "60/s"], ["5s", "0/s"]]},
            instances=2,
            slots=1,
            service_time="20s",
            propagation_delay="60s",
            rollout={"window": 1, "drain": {"timeout": "1s"}, "stop": {"mode": "abrupt"}},
            steps={"deploy": "1s"},
            clock={"start": "5s", "warm_up": "5s", "horizon": "10s"},
        )
    )
    assert figure(run, "failed_requests") > 250
