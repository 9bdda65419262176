"""Each step done to one instance: what it waits for, and what it never does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from executor.fleet.balancers.base import Admin
from executor.fleet.balancers.fake import FakeBalancer
from executor.fleet.hosts.base import CommandResult
from executor.fleet.hosts.fake import FakeHost
from executor.plan.model import Step
from executor.progress import Ended, Event, EventKind, replay_events
from executor.steps import HeldByOthers, SetBack, StepFailed, do_step
from tests.helpers.fake_fleet import World, run_virtually, small_plan

NAME = "checkout-1"


def world() -> World:
    return World([f"checkout-{number}" for number in range(1, 5)])


def out(fleet: World, version: str | None = None) -> World:
    """The instance is out of the pool, stopped or running a version."""
    one = fleet.balancer.servers[NAME]
    fleet.balancer.servers[NAME] = replace(one, admin=Admin.MAINT, is_up=False, is_checked=None)
    fleet.host.running.pop(NAME)
    if version is not None:
        fleet.host.running[NAME] = version
    return fleet


def done(
    fleet: World,
    step: Step,
    at: Mapping[float, Callable[[], object]] | None = None,
    told: Admin | None = None,
    on_told: Callable[[Admin], None] = lambda _: None,
    **plan: Any,
) -> tuple[str, float]:
    """What came of a step and how long it took; things happen at given seconds meanwhile."""

    async def go() -> tuple[str, float]:
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        for after_s, what in (at or {}).items():
            loop.call_later(after_s, what)
        had = told or (Admin.READY if step is Step.TAKE_OUT else Admin.MAINT)
        said = await do_step(
            fleet.hands(),
            small_plan(**plan),
            NAME,
            step,
            "1.1",
            intended_admin=had,
            on_intent=on_told,
        )
        return said, loop.time() - begun_s

    answer: tuple[str, float] = run_virtually(go())
    return answer


def serves(fleet: World, sessions_count: int, **more: Any) -> Callable[[], None]:
    """Makes the balancer see so many requests in flight there."""

    def change() -> None:
        one = fleet.balancer.servers[NAME]
        fleet.balancer.servers[NAME] = replace(one, sessions_count=sessions_count, **more)

    return change


def test_drained_is_seen_at_two_looks_in_a_row() -> None:
    fleet = world()
    serves(fleet, 2)()
    # Looks are at 0.5, 1.0 …: idle at 1.0, busy at 1.5, idle at 2.0 and 2.5.
    at = {0.7: serves(fleet, 0), 1.2: serves(fleet, 1), 1.7: serves(fleet, 0)}
    said, took_s = done(fleet, Step.TAKE_OUT, at)
    assert said == "drained in 2.5 s"
    assert took_s == pytest.approx(2.5)
    assert fleet.balancer.commands == [f"take_out {NAME}"]


def test_what_waits_for_the_server_holds_the_drain_too() -> None:
    fleet = world()
    serves(fleet, 0, queued_count=1)()
    said, took_s = done(fleet, Step.TAKE_OUT, {2.2: serves(fleet, 0, queued_count=0)})
    assert said == "drained in 3.0 s"
    assert took_s == pytest.approx(3.0)


def test_a_drain_lasts_as_long_as_the_balancer_may_not_have_learnt() -> None:
    _, took_s = done(world(), Step.TAKE_OUT, stop={"pre_stop_s": 3.0})
    assert took_s == pytest.approx(3.0, abs=0.6)


def test_a_drain_of_one_that_is_out_is_nothing() -> None:
    fleet = out(world())
    assert done(fleet, Step.TAKE_OUT, told=Admin.MAINT) == ("it was out already", 0.0)
    assert fleet.balancer.commands == []


def admin(fleet: World, what: Admin) -> Callable[[], None]:
    """Makes the balancer have the server so, by somebody else's hand."""
    return serves(fleet, 1, admin=what)


@pytest.mark.parametrize("what", [Admin.DRAIN, Admin.MAINT])
def test_a_server_that_others_took_out_is_not_touched(what: Admin) -> None:
    fleet = world()
    admin(fleet, what)()
    with pytest.raises(HeldByOthers, match=f"somebody else put it into {what}"):
        done(fleet, Step.TAKE_OUT)
    assert (fleet.balancer.commands, fleet.host.commands) == ([], [])


def test_maintenance_by_others_during_the_drain_is_left_alone() -> None:
    fleet = world()
    serves(fleet, 1)()
    with pytest.raises(HeldByOthers, match="into maint"):
        done(fleet, Step.TAKE_OUT, {1.2: admin(fleet, Admin.MAINT)})
    assert fleet.balancer.commands == [f"take_out {NAME}"]


def test_maintenance_by_others_during_the_return_is_left_alone() -> None:
    fleet = out(world(), "1.1")
    with pytest.raises(HeldByOthers, match="into maint"):
        done(fleet, Step.RETURN, {1.2: admin(fleet, Admin.MAINT)}, min_ready_s=5.0)
    assert fleet.balancer.commands == [f"put_back {NAME}"]


@pytest.mark.parametrize("lasts", [True, False])
def test_a_drain_by_others_during_the_return_may_pass(lasts: bool) -> None:
    fleet = out(world(), "1.1")
    at = {1.2: admin(fleet, Admin.DRAIN)}
    if lasts:
        with pytest.raises(HeldByOthers, match="into drain"):
            done(fleet, Step.RETURN, at, min_ready_s=5.0)
    else:
        at[3.2] = admin(fleet, Admin.READY)
        assert done(fleet, Step.RETURN, at, min_ready_s=5.0)[1] >= 8.0
    assert fleet.balancer.commands == [f"put_back {NAME}"]


def test_what_the_journal_must_know_of_the_server() -> None:
    fleet, told = world(), list[Admin]()
    serves(fleet, 1)()
    done(fleet, Step.TAKE_OUT, on_told=told.append)
    assert told == [Admin.MAINT]  # it was cut
    fleet, told = out(world(), "1.1"), []
    done(fleet, Step.RETURN, on_told=told.append)
    assert told == [Admin.READY]
    fleet, told = out(world(), "1.1"), []
    down = serves(fleet, 0, is_up=False)
    with pytest.raises(StepFailed):
        done(fleet, Step.RETURN, {0.2: down}, on_told=told.append, min_ready_s=5.0)
    assert told == [Admin.READY, Admin.MAINT]


@pytest.mark.parametrize("step", list(Step))
def test_a_defect_fails_the_step_and_says_where(
    step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = world() if step is Step.TAKE_OUT else out(world(), "1.1")

    def broken(*_: object) -> None:
        raise KeyError("no such thing")

    for owner, name in ((FakeHost, "answer"), (FakeBalancer, "observe"), (FakeHost, "ask")):
        monkeypatch.setattr(owner, name, broken)
    with pytest.raises(StepFailed, match=r"KeyError.*test_steps\.py:|cannot be asked"):
        done(fleet, step)


@pytest.mark.parametrize("what", ["restart", "put back by somebody"])
def test_a_drain_that_no_longer_holds_starts_over(what: str) -> None:
    fleet = world()
    serves(fleet, 1)()
    change = fleet.balancer.restart if what == "restart" else serves(fleet, 1, admin=Admin.READY)
    with pytest.raises(SetBack):
        done(fleet, Step.TAKE_OUT, {1.2: change})


def test_a_stop_removes_first_and_waits_until_nothing_answers() -> None:
    fleet = world()
    fleet.host.faults = lambda said: CommandResult(0, "") if said.startswith("stop") else None
    at = {4.2: lambda: fleet.host.running.pop(NAME)}
    said, took_s = done(fleet, Step.STOP, at)
    assert said == "stop: done"
    assert took_s == pytest.approx(4.5, abs=0.6)
    assert fleet.balancer.commands == [f"remove {NAME}"]


def test_a_stop_after_which_something_answers_fails() -> None:
    fleet = world()
    fleet.host.faults = lambda said: CommandResult(0, "") if said.startswith("stop") else None
    with pytest.raises(StepFailed, match=r"not within 20 s; last: it still answers as 1\.0"):
        done(fleet, Step.STOP)


def test_a_start_waits_for_health_and_version() -> None:
    fleet = out(world())
    fleet.host.deployed[NAME] = "1.1"
    fleet.host.faults = lambda said: CommandResult(0, "") if said.startswith("start") else None
    at = {3.2: lambda: fleet.host.running.update({NAME: "1.1"})}
    said, took_s = done(fleet, Step.START, at)
    assert said == "healthy, version 1.1"
    assert took_s == pytest.approx(3.5, abs=0.6)


@pytest.mark.parametrize(
    ("version", "said"),
    [
        (None, "not within 20 s; last: is not healthy: connection refused"),
        ("1.0", r"not within 20 s; last: version \(1.0\) must be 1.1"),
    ],
)
@pytest.mark.parametrize("step", [Step.START, Step.RETURN])
def test_what_is_not_the_healthy_version_is_neither_started_nor_returned(
    step: Step, version: str | None, said: str
) -> None:
    fleet = out(world(), version)
    fleet.host.faults = lambda told: CommandResult(0, "") if told.startswith("start") else None
    with pytest.raises(StepFailed, match=said):
        done(fleet, step)
    assert f"put_back {NAME}" not in fleet.balancer.commands
    assert fleet.balancer.servers[NAME].admin is Admin.MAINT


def test_a_return_waits_for_a_check_that_passed_since() -> None:
    fleet = out(world(), "1.1")
    serves(fleet, 0, is_checked=False)()
    at = {4.2: serves(fleet, 0, is_checked=True)}
    said, took_s = done(fleet, Step.RETURN, at)
    assert said == "up, with a check passed since"
    assert took_s == pytest.approx(4.5, abs=0.3)


def test_a_balancer_that_cannot_tell_of_checks_is_not_waited_for() -> None:
    fleet = out(world(), "1.1")
    assert done(fleet, Step.RETURN)[1] < 1.0


def test_a_return_that_is_not_up_in_time_is_out_again() -> None:
    fleet = out(world(), "1.1")
    serves(fleet, 0, is_checked=False)()
    with pytest.raises(StepFailed, match="not within 20 s; last: the balancer has it ready"):
        done(fleet, Step.RETURN)
    assert fleet.balancer.commands == [f"put_back {NAME}", f"remove {NAME}"]


def test_ready_means_up_for_min_ready_without_a_break() -> None:
    fleet = out(world(), "1.1")
    at = {2.2: serves(fleet, 0, is_up=False), 4.2: serves(fleet, 0, is_up=True)}
    _, took_s = done(fleet, Step.RETURN, at, min_ready_s=5.0)
    assert took_s == pytest.approx(4.5 + 5.0, abs=0.6)


@pytest.mark.parametrize("is_up_again_s", [18.2, 20.2])
def test_a_return_may_take_its_deadline_and_then_min_ready(is_up_again_s: float) -> None:
    """The deadline of 20 s is for coming up; the 10 s that it must stay up come on top."""
    fleet = out(world(), "1.1")
    at = {0.2: serves(fleet, 0, is_up=False), is_up_again_s: serves(fleet, 0, is_up=True)}
    if is_up_again_s < 20.0:
        assert done(fleet, Step.RETURN, at, min_ready_s=10.0)[1] == pytest.approx(28.5)
    else:
        with pytest.raises(StepFailed, match="not within 30 s"):
            done(fleet, Step.RETURN, at, min_ready_s=10.0)


@pytest.mark.parametrize("min_ready_s", [0.0, 5.0])
def test_a_return_is_done_at_the_look_at_which_min_ready_has_passed(min_ready_s: float) -> None:
    assert done(out(world(), "1.1"), Step.RETURN, min_ready_s=min_ready_s)[1] == min_ready_s


def test_a_drain_is_over_at_the_look_at_which_pre_stop_has_passed() -> None:
    assert done(world(), Step.TAKE_OUT, stop={"pre_stop_s": 3.0}) == ("drained in 3.0 s", 3.0)


@pytest.mark.parametrize("timeout_s", [1.5, 1.7])
def test_a_drain_is_cut_at_its_timeout_and_no_poll_later(timeout_s: float) -> None:
    fleet = world()
    serves(fleet, 2)()
    drain = {"timeout_s": timeout_s, "on_timeout": "cut"}
    said, took_s = done(fleet, Step.TAKE_OUT, drain=drain)
    assert said == f"cut 2 requests in flight after {timeout_s} s"
    assert took_s == pytest.approx(timeout_s)


def test_a_version_that_changes_while_it_returns_is_out_again() -> None:
    fleet = out(world(), "1.1")
    at = {2.2: lambda: fleet.host.running.update({NAME: "1.0"})}
    with pytest.raises(StepFailed, match=r"version \(1.0\) must be 1.1"):
        done(fleet, Step.RETURN, at, min_ready_s=5.0)
    assert fleet.balancer.servers[NAME].admin is Admin.MAINT


def test_a_balancer_that_is_away_for_a_moment_is_waited_for() -> None:
    fleet = out(world(), "1.1")
    fleet.balancer.is_away = True
    at = {5.2: lambda: setattr(fleet.balancer, "is_away", False)}
    _, took_s = done(fleet, Step.RETURN, at)
    assert took_s == pytest.approx(5.5, abs=0.6)


def test_what_a_command_said_is_told_without_its_secrets() -> None:
    fleet = world()
    fleet.host.faults = lambda _: CommandResult(1, "trying s3cret\nwrong password: s3cret\n")
    hands = fleet.hands()
    hands.environment = {"TOKEN": "s3cret", "EMPTY": ""}
    with pytest.raises(StepFailed, match=r"^deploy: exit code 1: wrong password: …$"):
        run_virtually(do_step(hands, small_plan(), NAME, Step.DEPLOY, "1.1"))


def event(kind: EventKind, said: str = "", name: str = "") -> Event:
    return Event(1.0, kind, name, said=said)


def test_a_crash_does_not_lift_the_brake_and_a_resume_after_a_halt_does() -> None:
    failed = [event(EventKind.GIVEN_UP, "no", NAME), event(EventKind.BRAKE, f"{NAME}: no")]
    crashed = replay_events([*failed, event(EventKind.RESUMED)])
    assert crashed.brake == f"{NAME}: no"
    assert crashed.of(NAME).given_up == "no"
    halted = replay_events(
        [*failed, Event(1.0, EventKind.ENDED, ended=Ended.HALTED), event(EventKind.RESUMED)]
    )
    assert (halted.brake, halted.of(NAME).given_up, halted.ended) == (None, None, None)
