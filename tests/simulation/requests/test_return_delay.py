"""A balancer that sends to a returned instance only after a delay: the rollout counts it before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simulation.requests.belief import Announcements
from simulation.requests.plane import SimulatedClock
from simulation.results.run_result import REJECTED, Ending, RunResult
from simulation.results.states import State
from simulation.scenario.file import ScenarioFile
from simulation.scenario.model import Scenario
from tests.helpers.agree import difference
from tests.helpers.results import figure
from tests.helpers.scenarios import run_once, scenario

ALB = Path("tests/data/field/scenarios/alb1124.yaml")
"""One replica behind a load balancer that registers a new pod ten seconds late."""


def alb(delay: str, *sets: str) -> RunResult:
    return run_once(
        ScenarioFile.load(ALB, (f"services.web.balancer.return_delay={delay}", *sets)).scenario
    )


def rolled(delay: str, **parts: Any) -> RunResult:
    """Four instances at 80/s, each away for three seconds."""
    return run_once(_four(delay, **parts))


def _four(delay: str, **parts: Any) -> Scenario:
    given = {"rate": "80/s", "slots": 100, "steps": {"deploy": "3s"}, "rollout": {"window": 1}}
    return scenario(
        **{**given, **parts, "balancer": {"return_delay": delay, **parts.get("balancer", {})}}
    )


def begins_s(run: RunResult, state: State, instance: int = 0) -> list[float]:
    return [p.begin_s for p in run.states if p.instance == instance and p.state is state]


def first_served_s(run: RunResult, instance: int) -> float:
    """Return when the new version of an instance begins its first service."""
    assert run.table is not None
    mine = (run.table.instance == instance) & run.table.new_version
    return float(run.table.start_s[mine].min())


def test_a_single_replica_is_down_although_its_replacement_was_available_before() -> None:
    """The new pod counts at T, so the old one goes: its last request comes at T + 1, the next at T + 10."""
    run = alb("10s")
    [returned_s] = [s for s in begins_s(run, State.SERVING, 1)]
    assert begins_s(run, State.DRAINING) == [returned_s]
    assert figure(run, "lowest_in_pool_count") == 0
    assert figure(run, "lowest_capacity_fraction") == 0
    empty = run.series["in_pool_count"]
    assert (1 - empty).clip(0).sum() * run.bin_s == pytest.approx(9.0, abs=1e-6)
    table = run.table
    assert table is not None
    lost_s = table.arrival_s[table.outcome == REJECTED]
    assert len(lost_s) == pytest.approx(90, abs=3 * 90**0.5)
    assert returned_s + 1 <= lost_s.min() and lost_s.max() <= returned_s + 10
    assert first_served_s(run, 1) >= returned_s + 10
    assert alb("0s").requests["rejected"] == 0


@pytest.mark.parametrize(
    ("min_ready", "is_down"), [("8s", True), ("9500ms", False), ("10s", False)]
)
def test_a_min_ready_as_long_as_the_lags_differ_keeps_the_replica_up(
    min_ready: str, is_down: bool
) -> None:
    run = alb("10s", f"rollout.min_ready={min_ready}")
    assert (run.requests["rejected"] > 0) is is_down
    assert figure(run, "lowest_in_pool_count") == (0 if is_down else 1)


@pytest.mark.parametrize("queue", ["balancer", "instance"])
def test_the_window_goes_on_while_the_balancer_still_waits(queue: str) -> None:
    """Each is away for 3 s and not sent to for 7 more: from 9 to 10 s all four are missing, not one."""
    at_once, late = rolled("0s", queue=queue), rolled("7s", queue=queue)
    assert late.metrics["rollout_duration_s"] == pytest.approx(
        at_once.metrics["rollout_duration_s"], abs=0.5
    )
    assert figure(at_once, "lowest_in_pool_count") == 3
    assert figure(late, "lowest_in_pool_count") == 0
    assert figure(late, "lowest_capacity_fraction") == 0
    for instance in range(4):
        returned_s = begins_s(late, State.SERVING, instance)[-1]
        assert 0 <= first_served_s(late, instance) - returned_s - 7 < 1


def test_min_healthy_is_the_count_of_the_rollout() -> None:
    """A minimum of three of four holds for the rollout, which the balancer's own view does not."""
    run = rolled("7s", rollout={"window": 1, "min_healthy": 3})
    assert run.ended is Ending.DONE
    assert figure(run, "lowest_in_pool_count") == 0


def test_a_run_settles_after_the_balancer_has_learnt_of_the_last_return() -> None:
    run = rolled("40s")
    assert run.settled_s == pytest.approx(figure(run, "rollout_duration_s") + 40 + 10)
    assert run.series["in_pool_count"][-5:] == pytest.approx(4)


def test_an_instance_is_in_the_observed_pool_until_the_balancer_sends_elsewhere() -> None:
    """With a lag of 1 s the old instance counts until then; the capacity is that of what serves."""
    run = rolled(
        "2s",
        propagation_delay="1s",
        rollout={"window": 1, "pre_stop": "2s"},
        clock={"horizon": "60s"},
    )
    away_s = 2 + 3 + 2 - 1  # pre-stop, deploy, return delay, less the propagation delay
    missing_s = float((4 - run.series["in_pool_count"]).sum()) * run.bin_s
    assert missing_s == pytest.approx(4 * away_s, abs=1e-6)
    fraction = run.series["capacity_rps"] / run.series["capacity_rps"].max()
    assert float((1 - fraction).sum()) * run.bin_s == pytest.approx(away_s, abs=1e-6)


def test_blue_green_switches_to_a_fleet_that_the_balancer_does_not_know_yet() -> None:
    run = rolled("5s", propagation_delay="1s", rollout={"strategy": "blue_green", "pre_stop": "2s"})
    switched_s = begins_s(run, State.DRAINING)[0]
    assert figure(run, "lowest_in_pool_count") == 0
    table = run.table
    assert table is not None
    lost_s = table.arrival_s[table.outcome == REJECTED]
    assert len(lost_s) == pytest.approx(4 * 80, abs=3 * (4 * 80) ** 0.5)
    assert switched_s + 1 <= lost_s.min() and lost_s.max() <= switched_s + 5


def test_a_rollback_waits_for_the_balancer_as_well() -> None:
    versions = {"new": {"start_fails": 1.0}}
    rule = {"window": 1, "on_failure": "rollback"}
    run = rolled("5s", rollout=rule, versions=versions)
    assert run.ended is Ending.ROLLED_BACK
    back_s = begins_s(run, State.SERVING)[-1]
    table = run.table
    assert table is not None
    later_s = table.start_s[
        (table.instance == 0) & (table.start_s > begins_s(run, State.FAILED)[0])
    ]
    assert 0 <= later_s.min() - back_s - 5 < 1
    assert run.series["in_pool_count"][-5:] == pytest.approx(4)


def test_a_repaired_instance_needs_no_new_registration() -> None:
    """The balancer was never told that the instance left: it sends to it as soon as that listens."""
    crashes = {"mtbf": "15s", "repair": "2s"}
    run = run_once(
        scenario(
            rate="80/s",
            slots=100,
            service={"crashes": crashes},
            balancer={"return_delay": "30s"},
            clock={"horizon": "60s"},
        )
    )
    repaired_s = [s for s in begins_s(run, State.SERVING) if s > 0]
    assert repaired_s
    table = run.table
    assert table is not None
    after_s = table.start_s[(table.instance == 0) & (table.start_s >= repaired_s[0])]
    assert after_s.min() - repaired_s[0] < 0.5


Learnt = list[tuple[float, bool]]

# propagation delay, return delay, announcements (time, in the pool), what the balancer believes (time, in)
CASES: dict[str, tuple[float, float, Learnt, Learnt]] = {
    "both lags": (2, 5, [(0, False), (10, True)], [(2, False), (15, True)]),
    "a take-out replaces a return": (1, 10, [(0, True), (4, False)], [(5, False)]),
    "also one that would be learnt before": (8, 10, [(0, True), (4, False)], [(12, False)]),
    "a return leaves a take-out that is learnt before": (
        5,
        10,
        [(0, False), (3, True)],
        [(5, False), (13, True)],
    ),
    "it replaces one that is learnt later": (20, 10, [(0, False), (3, True)], [(13, True)]),
    "without a return delay at once": (5, 0, [(0, False), (3, True)], [(3, True)]),
    "out, back and out again": (
        2,
        3,
        [(0, False), (1, True), (3.5, False)],
        [(2, False), (5.5, False)],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_when_the_balancer_learns(case: str) -> None:
    propagation_s, return_s, announced, expected = CASES[case]
    env = SimulatedClock()
    learnt: list[tuple[float, bool]] = []
    told: list[float] = []
    announcements = Announcements(
        env,
        1,
        propagation_delay_s=propagation_s,
        return_delay_s=return_s,
        on_pool=lambda _instance, in_pool: learnt.append((env.now, in_pool)),
        on_removed=lambda _instance: None,
    )

    def announce(in_pool: bool) -> Callable[[object], None]:
        return lambda _event: announcements.announce(0, in_pool, lambda: told.append(env.now))

    for time_s, in_pool in announced:
        env.call_at(time_s, 0, announce(in_pool), None)
    env.run()
    assert learnt == expected
    assert told == [time_s for time_s, _ in expected]


@pytest.mark.parametrize("queue", ["balancer", "instance"])
@pytest.mark.parametrize("strategy", ["rolling", "blue_green", "recreate"])
def test_both_engines_agree(queue: str, strategy: str) -> None:
    one = _four(
        "3s",
        queue=queue,
        rollout={"strategy": strategy, "window": 2},
        service_time={"exponential": "200ms"},
    )
    assert difference(one) is None


def test_without_the_key_the_pool_is_that_of_the_rollout() -> None:
    """The observed pool loses an instance at its take-out, whatever the propagation delay."""
    run = rolled(
        "0s",
        propagation_delay="1s",
        rollout={"window": 1, "pre_stop": "2s"},
        clock={"horizon": "60s"},
    )
    missing_s = float((4 - run.series["in_pool_count"]).sum()) * run.bin_s
    assert missing_s == pytest.approx(4 * (2 + 3), abs=1e-6)
