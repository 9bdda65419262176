"""The traffic before the first wave, held against the range that a plan holds for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from executor import execute as command
from executor.__main__ import validate_report
from executor.base.errors import BadInput, Refused
from executor.fleet.balancers.base import BalancerState
from executor.fleet.balancers.fake import FakeBalancer
from executor.plan.file import plan_schema, read_plan, seal, write_plan
from executor.plan.model import PLAN_1, PLAN_2, Plan, PlannedStart, TrafficRange
from executor.plan.rules import broken_rules
from executor.tell import start_lines
from executor.traffic import MEASURED_S, TrafficAnswer, measure_traffic
from tests.executor.test_execute_command import Desk, desk
from tests.helpers.fake_fleet import World, run_virtually, small_plan

__all__ = ["desk"]  # a fixture

RANGE = TrafficRange(low_rps=100.0, high_rps=150.0, highest_rps=160.0, days_count=5)
START = PlannedStart(
    weekday="tue",
    local_time="22:00",
    zone="Europe/Paris",
    at=datetime.fromisoformat("2026-12-01T22:00:00+01:00"),
)


def plan_of(**changes: Any) -> Plan:
    """A small plan for a weekday."""
    plan = small_plan().model_copy(
        update={"schema_": PLAN_2, "start": START, "traffic": RANGE, **changes}
    )
    return seal(plan)


@dataclass
class Counting:
    """A balancer that counts more requests with each look."""

    balancer: FakeBalancer
    more_count: int
    at_second: Callable[[FakeBalancer], None] = lambda balancer: None
    looks: int = 0

    def observe(self) -> BalancerState:
        self.looks += 1
        if self.looks > 1:
            self.at_second(self.balancer)
            self.balancer.requests_count += self.more_count
        return FakeBalancer.observe(self.balancer)


def clear(balancer: FakeBalancer) -> None:
    balancer.requests_count = -10_000


def restart(balancer: FakeBalancer) -> None:
    balancer.restart()


def count_nothing(balancer: FakeBalancer) -> None:
    balancer.counts_requests = False


@pytest.mark.parametrize(
    ("more_count", "answer"),
    [
        (0, TrafficAnswer.BELOW),
        (6000 - 233, TrafficAnswer.BELOW),  # three deviations of 6,000 are 232.4
        (6000 - 232, TrafficAnswer.WITHIN),
        (9000 + 284, TrafficAnswer.WITHIN),  # of 9,000 they are 284.6
        (9000 + 285, TrafficAnswer.UPPER),
        (9600 + 293, TrafficAnswer.UPPER),  # of 9,600 they are 293.9
        (9600 + 294, TrafficAnswer.ABOVE),
    ],
)
def test_a_minute_is_held_against_the_range(more_count: int, answer: TrafficAnswer) -> None:
    fleet = World(["a"]).hands()
    assert isinstance(fleet.balancer, FakeBalancer)
    counting = Counting(fleet.balancer, more_count)
    fleet.balancer.observe = counting.observe  # type: ignore[method-assign]
    reading = run_virtually(measure_traffic(fleet, RANGE))
    assert (reading.answer, reading.rate_rps) == (answer, pytest.approx(more_count / 60))


@pytest.mark.parametrize(
    ("at_second", "answer"),
    [(clear, TrafficAnswer.RESTARTED), (restart, TrafficAnswer.RESTARTED)],
)
def test_counters_that_begin_anew_say_nothing(
    at_second: Callable[[FakeBalancer], None], answer: TrafficAnswer
) -> None:
    fleet = World(["a"]).hands()
    assert isinstance(fleet.balancer, FakeBalancer)
    counting = Counting(fleet.balancer, 7000, at_second)
    fleet.balancer.observe = counting.observe  # type: ignore[method-assign]
    reading = run_virtually(measure_traffic(fleet, RANGE))
    assert (reading.answer, reading.rate_rps) == (answer, None)


def test_a_balancer_that_does_not_count_is_not_waited_for() -> None:
    fleet = World(["a"]).hands()
    assert isinstance(fleet.balancer, FakeBalancer)
    count_nothing(fleet.balancer)

    async def measure() -> tuple[TrafficAnswer, float]:
        begin_s = asyncio.get_running_loop().time()
        reading = await measure_traffic(fleet, RANGE)
        return reading.answer, asyncio.get_running_loop().time() - begin_s

    assert run_virtually(measure()) == (TrafficAnswer.NOT_COUNTED, 0.0)


@pytest.fixture
def short_count(monkeypatch: pytest.MonkeyPatch) -> float:
    """Count for a moment in place of a minute, as the loop's clock is the real one here."""
    monkeypatch.setattr(command, "MEASURED_S", 0.05)
    return 0.05


def arriving(desk: Desk, *, rate_rps: float) -> None:
    """Let requests arrive at a rate, by the clock of the running loop."""
    balancer = desk.world.balancer
    begun_s: list[float] = []

    def observe() -> BalancerState:
        now_s = asyncio.get_running_loop().time()
        begun_s.append(now_s)
        balancer.requests_count = round((now_s - begun_s[0]) * rate_rps)
        return FakeBalancer.observe(balancer)

    balancer.observe = observe  # type: ignore[method-assign]


def test_more_traffic_than_was_simulated_is_refused_before_anything_is_touched(
    desk: Desk, short_count: float
) -> None:
    write_plan(desk.asked.plan, plan_of())
    arriving(desk, rate_rps=16_000.0)
    with pytest.raises(
        Refused, match=r"nothing was touched: traffic is 1[56],\d+ requests/s, above"
    ):
        desk.execute()
    assert desk.world.balancer.commands == []
    assert not desk.asked.journal_path.exists()
    arriving(desk, rate_rps=130.0)
    assert desk.execute() == 0
    assert desk.said[0] == "counting requests for 0.05 s before the first wave"
    assert "; the plan was simulated with 100 to 150 requests/s" in desk.said[1]


def test_less_traffic_is_noted_and_the_rollout_goes_on(
    desk: Desk, short_count: float, capsys: pytest.CaptureFixture[str]
) -> None:
    low = RANGE.model_copy(
        update={"low_rps": 10_000.0, "high_rps": 11_000.0, "highest_rps": 12_000.0}
    )
    write_plan(desk.asked.plan, plan_of(traffic=low))
    assert desk.execute() == 0
    assert "warning: traffic is 0 requests/s, below the plan's range" in capsys.readouterr().err


def test_a_balancer_that_does_not_count_is_said_to_be_not_checked(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.world.balancer.counts_requests = False
    write_plan(desk.asked.plan, plan_of())
    assert desk.execute() == 0
    assert "warning: traffic is not checked: the balancer does not count" in capsys.readouterr().err


def test_a_balancer_that_goes_away_meanwhile_is_refused(desk: Desk, short_count: float) -> None:
    write_plan(desk.asked.plan, plan_of())
    looks: list[int] = []
    balancer = desk.world.balancer

    def observe() -> BalancerState:
        looks.append(1)
        balancer.is_away = len(looks) > 2
        return FakeBalancer.observe(balancer)

    balancer.observe = observe  # type: ignore[method-assign]
    with pytest.raises(Refused, match="nothing was touched: the balancer does not answer"):
        desk.execute()


def test_a_dry_run_shows_start_and_range_and_counts_nothing(desk: Desk) -> None:
    write_plan(desk.asked.plan, plan_of())
    lines = desk.dry_run()
    assert lines[1:4] == [
        "it is for Tue 22:00 in Europe/Paris, 2026-12-01 22:00 +0100",
        "it holds for 100 to 150 requests/s, from 5 days of the trace; above 160 requests/s it is "
        "refused",
        f"requests are counted for {MEASURED_S:g} s before the first wave",
    ]


def test_validate_says_start_and_range() -> None:
    lines, is_sound = validate_report(plan_of(), small_plan().created_at)
    assert [f"  {line}" for line in start_lines(plan_of())] == lines[2:4]
    assert is_sound
    first, _ = start_lines(
        plan_of(start=START.model_copy(update={"zone": None, "at": None, "is_twice": True}))
    )
    assert first == (
        "it is for Tue 22:00, local time of the trace, the first of two such times that day"
    )
    assert list(start_lines(small_plan())) == []


def test_a_file_keeps_start_and_range_and_an_old_one_has_none(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    write_plan(path, plan_of())
    assert read_plan(path) == plan_of()
    write_plan(path, small_plan())
    assert read_plan(path).traffic is None
    assert {"start", "traffic"} & json.loads(path.read_text()).keys() == set()
    assert {"start", "traffic"} & plan_schema(PLAN_1)["properties"].keys() == set()
    assert {"start", "traffic"} & set(plan_schema(PLAN_2)["required"]) == set()
    write_plan(path, plan_of())
    path.write_text(path.read_text().replace(PLAN_2, PLAN_1))
    with pytest.raises(BadInput, match=r"must be a known key of rollcast.plan/1"):
        read_plan(path)


def test_a_range_must_ascend() -> None:
    broken = broken_rules(plan_of(traffic=RANGE.model_copy(update={"high_rps": 90.0})))
    assert broken == ["traffic (100, 90, 160 requests/s) must ascend from low_rps to highest_rps"]
