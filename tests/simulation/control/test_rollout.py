"""Rollouts, known to the second: constant steps, so that every time can be worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from simulation.control.fleet import Fleet
from simulation.results.run_result import Ending, RunResult
from simulation.results.states import State
from tests.helpers.scenarios import run_once, scenario

STEPS = {
    "take_out": "1s",
    "stop": "2s",
    "deploy": "3s",
    "verify": "4s",
    "start": "5s",
    "return": "6s",
}
ALL_STEPS_S = 21.0


def rolled(rate: str = "0/s", instances: int = 4, **parts: Any) -> RunResult:
    rollout = parts.pop("rollout")
    return run_once(scenario(rate=rate, instances=instances, rollout=rollout, **parts))


@pytest.mark.parametrize(
    ("rollout", "duration_s", "lowest", "mixed_s"),
    [
        pytest.param({"window": 1}, 84.0, 3, 42.0, id="one by one"),
        pytest.param({"window": 2}, 42.0, 2, 0.0, id="two at once"),
        pytest.param({"window": 4}, 21.0, 0, 0.0, id="all at once"),
        pytest.param({"window": 3}, 42.0, 1, 0.0, id="three, then one"),
        pytest.param({"window": 1, "pause": "10s"}, 114.0, 3, 72.0, id="pause, sliding"),
        pytest.param(
            {"window": 2, "advance": "batch", "pause": "10s"}, 52.0, 2, 10.0, id="pause, batch"
        ),
        pytest.param({"window": 2, "min_ready": "9s"}, 60.0, 2, 9.0, id="min_ready counts"),
        pytest.param({"window": 4, "min_healthy": 3}, 84.0, 3, 42.0, id="min_healthy holds back"),
        pytest.param({"window": "50%"}, 42.0, 2, 0.0, id="percentage"),
    ],
)
def test_durations(rollout: dict[str, Any], duration_s: float, lowest: int, mixed_s: float) -> None:
    run = rolled(steps=STEPS, rollout=rollout)
    assert run.ended == Ending.DONE
    assert run.metrics["rollout_duration_s"] == pytest.approx(duration_s)
    assert run.metrics["lowest_in_pool_count"] == lowest
    assert run.metrics["lowest_capacity_fraction"] == lowest / 4
    assert run.metrics["mixed_version_s"] == pytest.approx(mixed_s)
    assert run.settled_s == pytest.approx(duration_s + 10)
    assert run.waits is not None
    total = run.waits.drain_s + run.waits.step_s + run.waits.gate_s + run.waits.pause_s
    assert total == pytest.approx(duration_s)


def test_the_six_steps_in_order() -> None:
    run = rolled(instances=1, steps=STEPS, rollout={"window": 1})
    told = [(part.state.value, part.end_s - part.begin_s) for part in run.states]
    assert [name for name, _ in told] == [
        "serving",
        "draining",
        "stopping",
        "deploying",
        "verifying",
        "starting",
        "returning",
        "serving",
    ]
    assert [took for _, took in told[1:7]] == pytest.approx([1, 2, 3, 4, 5, 6])


def test_waits_are_told_apart() -> None:
    run = rolled(steps=STEPS, rollout={"window": 1, "pause": "10s", "min_ready": "5s"})
    assert run.waits is not None
    assert run.waits.drain_s == pytest.approx(4 * 1.0)
    assert run.waits.step_s == pytest.approx(4 * 20.0)
    assert run.waits.gate_s == pytest.approx(4 * 5.0)
    assert run.waits.pause_s == pytest.approx(3 * 10.0)


@pytest.mark.parametrize(
    ("drain", "ended", "drain_s", "cut"),
    [
        pytest.param({"timeout": "5s", "on_timeout": "cut"}, "done", 5.0, True, id="cut"),
        pytest.param({"timeout": "5s", "on_timeout": "wait"}, "done", 20.0, False, id="wait"),
        pytest.param({"timeout": "5s", "on_timeout": "abort"}, "halted", None, False, id="abort"),
        pytest.param({"timeout": "60s", "on_timeout": "cut"}, "done", 20.0, False, id="idle first"),
    ],
)
def test_the_three_ends_of_a_drain(
    drain: dict[str, str], ended: str, drain_s: float | None, cut: bool
) -> None:
    """Every slot has a request of 20 s, because they arrive twice as fast as they are served."""
    run = run_once(
        scenario(
            rate={"steps": [["0s", "10/s"], ["30s", "0/s"]]},
            instances=1,
            slots=100,
            service_time="20s",
            steps={"deploy": "1s"},
            rollout={"window": 1, "drain": drain},
            clock={"start": "30s", "warm_up": "30s"},
        )
    )
    assert run.ended == ended
    assert (run.metrics["cut_requests"] > 0) is cut  # type: ignore[operator]
    draining = next(part for part in run.states if part.state is State.DRAINING)
    if drain_s is None:
        assert run.metrics["rollout_duration_s"] is None
        assert run.states[-1].state is State.FAILED
        assert draining.end_s == 5.0
    else:
        assert draining.end_s == pytest.approx(drain_s, abs=0.5)


def test_a_halt_begins_nothing_new_and_ends_what_is_under_way() -> None:
    """Every drain aborts at once: the two instances under way fail, the other two are never taken out."""
    run = run_once(
        scenario(
            rate="15/s",
            instances=4,
            slots=50,
            service_time="10s",
            rollout={"window": 2, "drain": {"timeout": "1s", "on_timeout": "abort"}},
            clock={"warm_up": "20s"},
        )
    )
    last = {part.instance: part.state for part in run.states}
    assert list(last.values()) == [State.FAILED, State.FAILED, State.SERVING, State.SERVING]
    assert run.ended == Ending.HALTED
    assert run.metrics["lowest_in_pool_count"] == 2


def test_what_never_ends_ends_at_the_horizon() -> None:
    """Requests that take an hour, a drain that waits for them, and ten seconds of patience."""
    run = run_once(
        scenario(
            rate="1/s",
            slots=100,
            service_time="1h",
            rollout={"window": 1, "drain": {"on_timeout": "wait"}},
            clock={"warm_up": "10s", "horizon": "10s"},
        )
    )
    assert run.ended == Ending.HORIZON
    assert run.end_s == 10.0
    assert run.metrics["rollout_duration_s"] is None


def test_an_empty_pool_rejects_and_what_waits_is_served_on_return() -> None:
    run = rolled(rate="20/s", instances=2, steps={"deploy": "5s"}, rollout={"window": 2})
    assert run.requests["rejected"] == pytest.approx(100, abs=40)
    assert run.requests["refused"] == 0
    assert run.metrics["lowest_in_pool_count"] == 0


def test_exposure_is_what_the_new_version_serves_before_the_end() -> None:
    run = rolled(rate="30/s", instances=2, steps={"deploy": "10s"}, rollout={"window": 1})
    assert run.table is not None
    duration_s = run.metrics["rollout_duration_s"]
    assert duration_s is not None
    by_hand = run.table.new_version & (run.table.start_s < duration_s)
    assert run.metrics["exposure_requests"] == by_hand.sum()
    assert by_hand.sum() == pytest.approx(300, rel=0.2)


def test_illegal_moves_are_refused() -> None:
    fleet = Fleet(1, 0.0)
    with pytest.raises(ValueError, match="must not go from serving to starting"):
        fleet.move(0, State.STARTING, 1.0)
