"""Carrying out on a fleet in memory: the whole way, faults, and death at every write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from executor.balancers.base import Admin, Rejected
from executor.hosts.base import Ran
from executor.plan import STEPS, Step
from executor.progress import Ended, Kind
from executor.run import Run
from tests.helpers.fake_fleet import World, carried_out, events_of, small_plan

NAMES = [f"checkout-{number}" for number in range(1, 5)]


def world() -> World:
    return World(list(NAMES))


def must_be_all_new(fleet: World) -> None:
    assert fleet.host.running == dict.fromkeys(NAMES, "1.1")
    assert all(one.is_in_pool for one in fleet.balancer.servers.values())
    assert fleet.unverified == []


def done_steps(path: Path, name: str) -> list[Step]:
    """The steps that were recorded as done since the instance last had to start over."""
    steps: list[Step] = []
    for event in events_of(path):
        if event.instance == name and event.kind is Kind.SET_BACK:
            steps = []
        if event.instance == name and event.kind is Kind.DONE:
            assert event.step is not None
            steps.append(event.step)
    return steps


def test_the_whole_way(tmp_path: Path) -> None:
    fleet = world()
    outcome, _ = carried_out(fleet, small_plan(), tmp_path / "j")
    assert outcome is not None
    assert outcome.ended is Ended.DONE
    must_be_all_new(fleet)
    assert fleet.lowest == 2
    for name in NAMES:
        assert done_steps(tmp_path / "j", name) == list(STEPS)
        assert [one for one in fleet.balancer.told if one.endswith(name)] == [
            f"take_out {name}",
            f"remove {name}",
            f"put_back {name}",
        ]
        assert [one for one in fleet.host.ran if name in one] == [
            f"stop {name}",
            f"deploy {name} 1.1",
            f"verify {name} 1.1",
            f"start {name}",
        ]


def test_the_intent_is_written_before_the_act_and_the_outcome_after(tmp_path: Path) -> None:
    fleet, path = world(), tmp_path / "j"
    acted: list[str] = []

    def check(said: str) -> None:
        step, name = said.split()[:2]
        last = [e for e in events_of(path) if e.instance == name][-1]
        assert (last.kind, last.step) == (Kind.INTENT, step)
        acted.append(said)

    fleet.host.faults = check
    carried_out(fleet, small_plan(), path)
    assert len(acted) == 16


def test_death_at_every_write_and_a_resume_always_ends_all_new(tmp_path: Path) -> None:
    _, writes = carried_out(world(), small_plan(), tmp_path / "whole")
    assert writes > 50
    for dies_at in range(1, writes + 1):
        for before in (True, False):
            fleet, path = world(), tmp_path / f"{dies_at}-{before}"
            outcome, _ = carried_out(fleet, small_plan(), path, dies_at=dies_at, dies_before=before)
            assert outcome is None
            outcome, _ = carried_out(fleet, small_plan(), path)
            assert outcome is not None, (dies_at, before)
            assert outcome.ended is Ended.DONE, (dies_at, before, outcome)
            must_be_all_new(fleet)
            assert fleet.lowest >= 2, (dies_at, before)
            for name in NAMES:
                assert done_steps(path, name) == list(STEPS), (dies_at, before, name)


def test_death_again_and_again_ends_all_new_too(tmp_path: Path) -> None:
    fleet, path = world(), tmp_path / "j"
    deaths = 0
    outcome = None
    while outcome is None:
        # Two events each time: one that says it resumed, and one step further.
        outcome, _ = carried_out(fleet, small_plan(), path, dies_at=4, dies_before=deaths % 2 == 0)
        deaths += 1
        assert deaths < 200
    assert deaths > 10
    assert outcome.ended is Ended.DONE
    must_be_all_new(fleet)


def fails(when: Callable[[str], bool], times: int = 10**9) -> Callable[[str], Ran | None]:
    left = [times]

    def fault(said: str) -> Ran | None:
        if when(said) and left[0] > 0:
            left[0] -= 1
            return Ran(1, "no\n")
        return None

    return fault


def test_a_step_that_fails_twice_is_tried_again(tmp_path: Path) -> None:
    fleet = world()
    fleet.host.faults = fails(lambda said: said == "deploy checkout-2 1.1", times=2)
    outcome, _ = carried_out(fleet, small_plan(retries=2), tmp_path / "j")
    assert outcome is not None
    assert outcome.ended is Ended.DONE
    must_be_all_new(fleet)
    assert fleet.host.ran.count("deploy checkout-2 1.1") == 3


@pytest.mark.parametrize(
    ("on_failure", "max_failures", "ended", "versions"),
    [
        ("halt", 0, Ended.HALTED, {"1.1": 1, "1.0": 2}),
        ("rollback", 0, Ended.ROLLED_BACK, {"1.0": 4}),
        ("continue", 1, Ended.DONE, {"1.1": 3}),
        ("continue", 0, Ended.HALTED, {"1.1": 1, "1.0": 2}),
    ],
)
def test_a_step_that_fails_for_good(
    tmp_path: Path, on_failure: str, max_failures: int, ended: Ended, versions: dict[str, int]
) -> None:
    fleet = world()
    fleet.wanted = {"1.0", "1.1"}
    fleet.host.faults = fails(lambda said: said == "deploy checkout-2 1.1")
    plan = small_plan(on_failure=on_failure, max_failures=max_failures, min_in_pool=1)
    outcome, _ = carried_out(fleet, plan, tmp_path / "j")
    assert outcome is not None
    assert outcome.ended is ended
    found: dict[str, int] = {}
    for version in fleet.host.running.values():
        found[version] = found.get(version, 0) + 1
    assert found == versions
    assert fleet.unverified == []
    if ended is Ended.HALTED:
        assert outcome.why == "checkout-2: deploy failed 1 times"
        assert fleet.balancer.servers["checkout-2"].admin is Admin.MAINT
    if ended is Ended.ROLLED_BACK:
        assert all(one.is_in_pool for one in fleet.balancer.servers.values())


def test_death_at_every_write_of_a_rollback_ends_all_old(tmp_path: Path) -> None:
    plan = small_plan(on_failure="rollback")

    def broken() -> World:
        fleet = world()
        fleet.wanted = {"1.0", "1.1"}
        fleet.host.faults = fails(lambda said: said == "deploy checkout-3 1.1")
        return fleet

    _, writes = carried_out(broken(), plan, tmp_path / "whole")
    for dies_at in range(1, writes + 1):
        fleet, path = broken(), tmp_path / f"{dies_at}"
        carried_out(fleet, plan, path, dies_at=dies_at)
        outcome, _ = carried_out(fleet, plan, path)
        assert outcome is not None
        assert outcome.ended is Ended.ROLLED_BACK, dies_at
        assert fleet.host.running == dict.fromkeys(NAMES, "1.0"), dies_at
        assert all(one.is_in_pool for one in fleet.balancer.servers.values()), dies_at
        assert fleet.unverified == []


@pytest.mark.parametrize("step", ["take_out", "stop", "deploy", "verify", "start", "return"])
def test_a_balancer_that_forgets_in_any_step_is_told_again(tmp_path: Path, step: str) -> None:
    fleet = world()
    seen: list[str] = []

    class Restarts:
        def happened(self, event: Any) -> None:
            if event.kind is Kind.INTENT and event.step == step and not seen:
                seen.append(event.instance)
                fleet.balancer.restart()

        def waits(self, wait: Any) -> None:
            return

    def prepare(run: Run) -> None:
        run._watcher = Restarts()

    outcome, _ = carried_out(fleet, small_plan(), tmp_path / "j", prepare=prepare)
    assert seen
    assert outcome is not None
    assert outcome.ended is Ended.DONE
    must_be_all_new(fleet)
    assert "the balancer was restarted" in " ".join(e.said for e in events_of(tmp_path / "j"))


def test_a_balancer_that_stays_away_halts(tmp_path: Path) -> None:
    fleet = world()

    def prepare(run: Run) -> None:
        real = run._write

        def write(event: Any) -> None:
            real(event)
            if event.step is Step.DEPLOY:
                fleet.balancer.is_away = True

        run._write = write  # type: ignore[method-assign] # the moment it goes away

    outcome, _ = carried_out(fleet, small_plan(), tmp_path / "j", prepare=prepare)
    assert outcome is not None
    assert (outcome.ended, outcome.why) == (
        Ended.HALTED,
        "the balancer has not answered as it should for 30 s",
    )
    fleet.balancer.is_away = False
    outcome, _ = carried_out(fleet, small_plan(), tmp_path / "j")
    assert outcome is not None
    assert outcome.ended is Ended.DONE
    must_be_all_new(fleet)


@pytest.mark.parametrize("stops", [False, True])
def test_a_balancer_that_does_not_take_out_what_must_be_out(tmp_path: Path, stops: bool) -> None:
    """It halts after a while, looks once a poll meanwhile, and can be stopped."""
    fleet = world()
    runs: list[Run] = []
    tried: list[str] = []
    forgot: list[str] = []

    def refuse(server: str) -> None:
        tried.append(server)
        if stops and len(tried) == 3:
            runs[0].stop()
        raise Rejected("no")

    def prepare(run: Run) -> None:
        runs.append(run)
        real = run._write

        def write(event: Any) -> None:
            real(event)
            if event.step is Step.DEPLOY and event.kind is Kind.DONE and not forgot:
                forgot.append(event.instance)
                fleet.balancer.restart()
                fleet.balancer.remove = refuse  # type: ignore[method-assign] # from here on

        run._write = write  # type: ignore[method-assign] # the moment it forgets

    outcome, _ = carried_out(fleet, small_plan(), tmp_path / "j", prepare=prepare)
    assert outcome is not None
    if stops:
        assert outcome.ended is Ended.INTERRUPTED
        assert 3 <= len(tried) <= 4
    else:
        assert outcome.ended is Ended.HALTED
        assert "is in the pool, must not be, and cannot be taken out" in outcome.why
        assert 30 <= len(tried) <= 65
    kept = [event.said for event in events_of(tmp_path / "j") if event.kind is Kind.KEPT_OUT]
    assert kept == ["not yet: no"]


def test_a_return_that_fails_while_the_balancer_is_away_is_out_again(tmp_path: Path) -> None:
    fleet = world()

    def prepare(run: Run) -> None:
        real = fleet.balancer.put_back

        def put_back(server: str) -> None:
            real(server)
            one = fleet.balancer.servers[server]
            fleet.balancer.servers[server] = replace(one, is_checked=False)
            loop = asyncio.get_running_loop()
            loop.call_later(15, setattr, fleet.balancer, "is_away", True)
            loop.call_later(25, setattr, fleet.balancer, "is_away", False)

        fleet.balancer.put_back = put_back  # type: ignore[method-assign] # the moment it goes away

    outcome, _ = carried_out(fleet, small_plan(window=1), tmp_path / "j", prepare=prepare)
    assert outcome is not None
    assert outcome.ended is Ended.HALTED
    assert fleet.balancer.servers["checkout-1"].admin is Admin.MAINT


def test_an_instance_that_is_down_is_not_waited_for(tmp_path: Path) -> None:
    fleet = world()
    dead = fleet.balancer.servers["checkout-1"]
    fleet.balancer.servers["checkout-1"] = replace(dead, is_up=False, sessions_count=3)
    del fleet.host.running["checkout-1"]
    outcome, _ = carried_out(fleet, small_plan(min_in_pool=1), tmp_path / "j")
    assert outcome is not None
    assert outcome.ended is Ended.DONE
    must_be_all_new(fleet)
    said = [e.said for e in events_of(tmp_path / "j") if e.step is Step.TAKE_OUT]
    assert "it is down: nothing to wait for" in said


@pytest.mark.parametrize(
    ("on_timeout", "ended", "said"),
    [
        ("cut", Ended.DONE, "cut 3 requests in flight after 5 s"),
        ("abort", Ended.HALTED, "3 requests in flight after 5 s"),
        ("wait", Ended.HALTED, "not within 20 s; last: 3 requests in flight"),
    ],
)
def test_a_drain_that_never_empties(
    tmp_path: Path, on_timeout: str, ended: Ended, said: str
) -> None:
    fleet = world()
    one = fleet.balancer.servers["checkout-1"]
    fleet.balancer.servers["checkout-1"] = replace(one, sessions_count=3)
    plan = small_plan(drain={"timeout_s": 5.0, "on_timeout": on_timeout})
    outcome, _ = carried_out(fleet, plan, tmp_path / "j")
    assert outcome is not None
    assert outcome.ended is ended
    events = list(events_of(tmp_path / "j"))
    assert said in [event.said for event in events]
    took = {e.t_s for e in events if e.instance == "checkout-1" and e.step is Step.TAKE_OUT}
    assert max(took) - min(took) == pytest.approx(20 if on_timeout == "wait" else 5, abs=1.5)


def test_asked_to_stop_it_finishes_the_step_in_hand_and_can_go_on(tmp_path: Path) -> None:
    fleet = world()

    def prepare(run: Run) -> None:
        real = run._write

        def write(event: Any) -> None:
            real(event)
            if event.step is Step.DEPLOY and event.kind is Kind.INTENT:
                run.stop()

        run._write = write  # type: ignore[method-assign] # the moment it is asked

    outcome, _ = carried_out(fleet, small_plan(), tmp_path / "j", prepare=prepare)
    assert outcome is not None
    assert outcome.ended is Ended.INTERRUPTED
    intents = [e for e in events_of(tmp_path / "j") if e.kind is Kind.INTENT]
    ended = [e for e in events_of(tmp_path / "j") if e.kind is Kind.DONE]
    assert len(intents) == len(ended)
    outcome, _ = carried_out(fleet, small_plan(), tmp_path / "j")
    assert outcome is not None
    assert outcome.ended is Ended.DONE
    must_be_all_new(fleet)
