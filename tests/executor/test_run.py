"""Carrying out on a fleet in memory: the whole way, faults, and death at every write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import chain, cycle
from pathlib import Path
from typing import Any, Literal

import pytest

import executor.run
from executor.counter import RequestCounter
from executor.ends import Nobody, Outcome
from executor.fleet.balancers.base import Admin, Rejected
from executor.fleet.hosts.base import CommandResult
from executor.plan.model import STEPS, Gate, Step
from executor.plan.waves import canary_waves
from executor.progress import Ended, EventKind
from executor.records.journal import Journal
from executor.run import RolloutRun
from tests.helpers.fake_fleet import World, carried_out, events_of, small_plan
from tests.helpers.plans import forecast

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
        if event.instance == name and event.kind is EventKind.SET_BACK:
            steps = []
        if event.instance == name and event.kind is EventKind.DONE:
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
        assert [one for one in fleet.balancer.commands if one.endswith(name)] == [
            f"take_out {name}",
            f"remove {name}",
            f"put_back {name}",
        ]
        assert [one for one in fleet.host.commands if name in one] == [
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
        assert (last.kind, last.step) == (EventKind.INTENT, step)
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


def fails(when: Callable[[str], bool], times: int = 10**9) -> Callable[[str], CommandResult | None]:
    left = [times]

    def fault(said: str) -> CommandResult | None:
        if when(said) and left[0] > 0:
            left[0] -= 1
            return CommandResult(1, "no\n")
        return None

    return fault


def test_a_step_that_fails_twice_is_tried_again(tmp_path: Path) -> None:
    fleet = world()
    fleet.host.faults = fails(lambda said: said == "deploy checkout-2 1.1", times=2)
    outcome, _ = carried_out(fleet, small_plan(retries=2), tmp_path / "j")
    assert outcome is not None
    assert outcome.ended is Ended.DONE
    must_be_all_new(fleet)
    assert fleet.host.commands.count("deploy checkout-2 1.1") == 3


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
    failed = {"checkout-2": "deploy failed 1 times"}
    assert outcome.given_up == ({} if ended is Ended.ROLLED_BACK else failed)
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
            if event.kind is EventKind.INTENT and event.step == step and not seen:
                seen.append(event.instance)
                fleet.balancer.restart()

        def waits(self, wait: Any) -> None:
            return

    def prepare(run: RolloutRun) -> None:
        run._watcher = Restarts()

    outcome, _ = carried_out(fleet, small_plan(), tmp_path / "j", prepare=prepare)
    assert seen
    assert outcome is not None
    assert outcome.ended is Ended.DONE
    must_be_all_new(fleet)
    assert "the balancer was restarted" in " ".join(e.said for e in events_of(tmp_path / "j"))


def test_a_balancer_that_stays_away_halts(tmp_path: Path) -> None:
    fleet = world()

    def prepare(run: RolloutRun) -> None:
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
    """It halts after a while, tries each once a poll meanwhile, and can be stopped."""
    fleet = world()
    runs: list[RolloutRun] = []
    tried: list[str] = []
    forgot: list[str] = []

    def refuse(server: str) -> None:
        tried.append(server)
        if stops and len(tried) == 3:
            runs[0].stop()
        raise Rejected("no")

    def prepare(run: RolloutRun) -> None:
        runs.append(run)
        real = run._write

        def write(event: Any) -> None:
            real(event)
            if event.step is Step.DEPLOY and event.kind is EventKind.DONE and not forgot:
                forgot.append(event.instance)
                fleet.balancer.restart()
                fleet.balancer.remove = refuse  # type: ignore[method-assign] # from here on

        run._write = write  # type: ignore[method-assign] # the moment it forgets

    outcome, _ = carried_out(fleet, small_plan(), tmp_path / "j", prepare=prepare)
    assert outcome is not None
    if stops:
        assert outcome.ended is Ended.INTERRUPTED
        assert 3 <= len(tried) <= 6
    else:
        assert outcome.ended is Ended.HALTED
        both = "checkout-1, checkout-2 are"
        assert outcome.why == f"{both} in the pool, must not be, and cannot be taken out"
        for name in ("checkout-1", "checkout-2"):
            assert 30 <= tried.count(name) <= 65
    kept = [
        e for e in events_of(tmp_path / "j") if e.kind in {EventKind.KEEP_OUT, EventKind.KEPT_OUT}
    ]
    assert [(e.kind, e.instance, e.said) for e in kept] == [
        (kind, name, said)
        for name in ("checkout-1", "checkout-2")
        for kind, said in ((EventKind.KEEP_OUT, ""), (EventKind.KEPT_OUT, "not yet: no"))
    ]


def test_a_return_that_fails_while_the_balancer_is_away_is_out_again(tmp_path: Path) -> None:
    fleet = world()

    def prepare(run: RolloutRun) -> None:
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

    def prepare(run: RolloutRun) -> None:
        real = run._write

        def write(event: Any) -> None:
            real(event)
            if event.step is Step.DEPLOY and event.kind is EventKind.INTENT:
                run.stop()

        run._write = write  # type: ignore[method-assign] # the moment it is asked

    outcome, _ = carried_out(fleet, small_plan(), tmp_path / "j", prepare=prepare)
    assert outcome is not None
    assert outcome.ended is Ended.INTERRUPTED
    intents = [e for e in events_of(tmp_path / "j") if e.kind is EventKind.INTENT]
    ended = [e for e in events_of(tmp_path / "j") if e.kind is EventKind.DONE]
    assert len(intents) == len(ended)
    outcome, _ = carried_out(fleet, small_plan(), tmp_path / "j")
    assert outcome is not None
    assert outcome.ended is Ended.DONE
    must_be_all_new(fleet)


def most_in_hand(path: Path) -> int:
    """The most steps that were in hand at once, as the journal tells."""
    busy, most = set(), 0
    for event in events_of(path):
        if event.kind is EventKind.INTENT:
            busy.add(event.instance)
        elif event.kind in {EventKind.DONE, EventKind.FAILED, EventKind.SET_BACK}:
            busy.discard(event.instance)
        most = max(most, len(busy))
    return most


def test_those_given_up_are_taken_up_again_no_more_at_once_than_the_window(tmp_path: Path) -> None:
    fleet, path = world(), tmp_path / "j"
    fleet.host.faults = fails(lambda said: said.startswith("deploy") and "checkout-4" not in said)
    plan = small_plan(window=1, min_in_pool=1, on_failure="continue", max_failures=2)
    outcome, _ = carried_out(fleet, plan, path)
    assert outcome is not None
    assert (outcome.ended, len(outcome.given_up)) == (Ended.HALTED, 3)
    fleet.host.faults = lambda _: None
    outcome, _ = carried_out(fleet, plan, path)
    assert outcome is not None
    assert (outcome.ended, outcome.given_up) == (Ended.DONE, {})
    must_be_all_new(fleet)
    assert most_in_hand(path) == 1


@pytest.mark.parametrize("comes_back", [True, False])
def test_an_instance_that_the_balancer_no_longer_knows_is_no_empty_pool(
    tmp_path: Path, comes_back: bool
) -> None:
    fleet, path = world(), tmp_path / "j"
    told = 0

    class Forgets:
        def happened(self, event: Any) -> None:
            nonlocal told
            told += event.kind is EventKind.DONE
            if told == 1 and event.kind is EventKind.DONE:
                gone = fleet.balancer.servers.pop("checkout-4")
                later = asyncio.get_running_loop().call_later
                later(5 if comes_back else 1e9, fleet.balancer.servers.update, {"checkout-4": gone})

        def waits(self, wait: Any) -> None:
            return

    def prepare(run: RolloutRun) -> None:
        run._watcher = Forgets()

    outcome, _ = carried_out(fleet, small_plan(), path, prepare=prepare)
    assert outcome is not None
    why = "the balancer has not answered as it should for 30 s"
    assert outcome == (Outcome(Ended.DONE) if comes_back else Outcome(Ended.HALTED, why))
    if comes_back:
        must_be_all_new(fleet)
    assert [event.said for event in events_of(path) if event.kind is EventKind.NOTICED] == [
        "the balancer no longer knows checkout-4",
        "the balancer was restarted or reloaded, or answers again" if comes_back else why,
    ]
    assert min(len(seen["in_pool"]) for seen in samples_of(path)) == 2


def samples_of(path: Path) -> list[dict[str, Any]]:
    journal = Journal.open(path)
    try:
        return [seen for _, seen in journal.samples()]
    finally:
        journal.close()


@pytest.mark.parametrize(
    ("lasts_s", "ended"), [(0.4, Ended.DONE), (1.4, Ended.HALTED)], ids=["a moment", "two polls"]
)
def test_a_queue_of_a_moment_does_not_stop_a_rollout(
    tmp_path: Path, lasts_s: float, ended: Ended
) -> None:
    """There are many looks in it, one after another where steps begin; no two are a poll apart."""
    fleet = world()
    begun: list[str] = []

    class Queues:
        def happened(self, event: Any) -> None:
            if event.kind is EventKind.INTENT and not begun:
                begun.append(event.instance)
                fleet.balancer.queued_count = 99
                later = asyncio.get_running_loop().call_later
                later(lasts_s, setattr, fleet.balancer, "queued_count", 0)

        def waits(self, wait: Any) -> None:
            return

    def prepare(run: RolloutRun) -> None:
        run._watcher = Queues()

    plan = small_plan(**forecast(queue_max=4.0))
    outcome, _ = carried_out(fleet, plan, tmp_path / "j", prepare=prepare)
    assert outcome is not None
    assert outcome.ended is ended
    if ended is Ended.HALTED:
        assert outcome.why == "the rollout leaves its forecast: queue 99 requests, forecast 4"


@pytest.mark.parametrize(("failed_count", "ended"), [(1, Ended.DONE), (2, Ended.HALTED)])
def test_a_bake_of_few_requests_is_judged_at_the_look_at_which_it_ends(
    tmp_path: Path, failed_count: int, ended: Ended
) -> None:
    """The gate opens at the same look: one look later nothing would judge the bake any more."""
    fleet, path = world(), tmp_path / "j"

    class Serves:
        def happened(self, event: Any) -> None:
            if (event.kind, event.step) == (EventKind.DONE, Step.RETURN):
                asyncio.get_running_loop().call_later(1.2, self.serve, event.instance)

        def serve(self, name: str) -> None:
            fleet.balancer.servers[name] = replace(
                fleet.balancer.servers[name], requests_count=50, failed_count=failed_count
            )

        def waits(self, wait: Any) -> None:
            return

    def prepare(run: RolloutRun) -> None:
        run._watcher = Serves()

    bake = Gate(kind="bake", pause_s=5.0, error_fraction=0.02)
    waves = canary_waves(NAMES, [(0.25, bake)], window=1, advance="sliding", pause_s=0.0)
    plan = small_plan(strategy="canary", waves=waves, window=1)
    outcome, _ = carried_out(fleet, plan, path, prepare=prepare)
    why = "canary: errors 4.000%, limit 2.00%" if ended is Ended.HALTED else ""
    assert outcome == Outcome(ended, why)


def test_there_is_a_sample_at_every_poll_and_no_other(tmp_path: Path) -> None:
    carried_out(world(), small_plan(), tmp_path / "j")
    journal = Journal.open(tmp_path / "j")
    times_s = [t_s for t_s, _ in journal.samples()]
    journal.close()
    assert times_s == [0.5 * number for number in range(len(times_s))]


class Approves:
    """Says yes after so many looks at which the answer was awaited."""

    def __init__(self, after_looks: float) -> None:
        self.after_looks = after_looks
        self.looks = 0

    def of(self, wave: int) -> Literal["given", "awaited", "refused"]:
        self.looks += 1
        return "given" if self.looks > self.after_looks else "awaited"


def test_an_approval_that_does_not_come_while_the_plan_is_valid_halts(tmp_path: Path) -> None:
    """Whatever a failure would lead to; resumed, the plan's validity is no matter any more."""
    fleet, path = world(), tmp_path / "j"
    plan = small_plan(advance="batch", on_failure="rollback", valid_for_s=60.0)
    outcome, _ = carried_out(fleet, plan, path, approval=Approves(float("inf")))
    assert outcome is not None
    assert (outcome.ended, outcome.why) == (
        Ended.HALTED,
        "wave 2 was not approved while the plan was valid",
    )
    events = list(events_of(path))
    assert 50 <= events[-1].t_s <= 61
    assert not {EventKind.BRAKE, EventKind.TURN_BACK} & {event.kind for event in events}
    assert sorted(fleet.host.running.values()) == ["1.0", "1.0", "1.1", "1.1"]
    outcome, _ = carried_out(fleet, plan, path, approval=Approves(300))
    assert outcome is not None
    assert outcome.ended is Ended.DONE
    assert list(events_of(path))[-1].t_s > 200
    must_be_all_new(fleet)


def test_a_clock_that_jumps_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deadlines, pauses and approvals go by a clock that cannot be set; the time of day is told."""
    plan = small_plan(advance="batch", pause_s=5.0)
    carried_out(world(), plan, tmp_path / "quiet", approval=Approves(50))
    now = datetime.now(UTC)
    jumps = cycle([now + timedelta(days=10_000), now - timedelta(days=10_000)])
    told = chain([now], jumps)

    class Jumping(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override] # no more is needed
            return next(told)

    monkeypatch.setattr(executor.run, "datetime", Jumping)
    fleet = world()
    outcome, _ = carried_out(fleet, plan, tmp_path / "jumping", approval=Approves(50))
    assert outcome is not None
    assert outcome.ended is Ended.DONE
    must_be_all_new(fleet)
    assert list(events_of(tmp_path / "quiet")) == list(events_of(tmp_path / "jumping"))
    journal = Journal.open(tmp_path / "jumping")
    years = {at[:4] for at in journal.times()}
    journal.close()
    assert len(years) == 2, "the clock did not jump"


def defect(*_: object, **__: object) -> None:
    raise KeyError("no such thing")


@pytest.mark.parametrize("where", ["guards", "gates", "counter", "approval"])
def test_a_defect_halts_with_its_reason_and_the_steps_in_hand_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    fleet, path = world(), tmp_path / "j"

    def breaks() -> None:
        if where == "guards":
            monkeypatch.setattr(executor.run, "find_crossed_limit", defect)
        elif where == "gates":
            monkeypatch.setattr(executor.run, "open_gate", defect)
        elif where == "counter":
            monkeypatch.setattr(RequestCounter, "count", defect)
        else:
            monkeypatch.setattr(Nobody, "of", defect)

    def prepare(run: RolloutRun) -> None:
        asyncio.get_running_loop().call_later(3.0, breaks)

    outcome, _ = carried_out(fleet, small_plan(), path, prepare=prepare)
    assert outcome is not None
    assert outcome.ended is Ended.HALTED
    assert "KeyError: 'no such thing' (unexpected, test_run.py:" in outcome.why
    kinds = [event.kind for event in events_of(path)]
    assert kinds.count(EventKind.INTENT) == kinds.count(EventKind.DONE) > 0
    assert kinds[-2:] == [EventKind.NOTICED, EventKind.ENDED]
    monkeypatch.undo()
    outcome, _ = carried_out(fleet, small_plan(), path)
    assert outcome is not None
    assert outcome.ended is Ended.DONE
    must_be_all_new(fleet)


@pytest.mark.parametrize("where", ["command", "probe", "balancer"])
def test_a_defect_in_what_acts_is_a_failure_like_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    fleet, path = world(), tmp_path / "j"
    owner: object = fleet.balancer if where == "balancer" else fleet.host
    name = {"command": "answer", "probe": "ask", "balancer": "remove"}[where]
    monkeypatch.setattr(owner, name, defect)
    outcome, _ = carried_out(fleet, small_plan(), path)
    assert outcome is not None
    assert outcome.ended is Ended.HALTED
    failed = [event for event in events_of(path) if event.kind is EventKind.FAILED]
    assert failed
    assert all("KeyError: 'no such thing'" in event.said for event in failed)


def test_a_defect_in_who_is_told_does_not_stop_a_rollout(tmp_path: Path) -> None:
    fleet, path = world(), tmp_path / "j"

    class Broken(Nobody):
        happened = waits = defect

    def prepare(run: RolloutRun) -> None:
        run._watcher = Broken()

    outcome, _ = carried_out(fleet, small_plan(), path, prepare=prepare)
    assert outcome is not None
    assert outcome.ended is Ended.DONE
    must_be_all_new(fleet)
    noticed = [event.said for event in events_of(path) if event.kind is EventKind.NOTICED]
    assert len(noticed) == 1
    assert noticed[0].startswith("what happens can no longer be shown: KeyError")


def test_a_server_that_others_hold_is_never_put_back_whenever_it_happens(tmp_path: Path) -> None:
    """Somebody takes a server into maintenance at any moment: it stays there, and resumed it goes on."""
    name = NAMES[2]
    for at_s in range(0, 30, 2):
        fleet, path = world(), tmp_path / str(at_s)
        told: list[str] = []

        def take(fleet: World = fleet, told: list[str] = told) -> None:
            if fleet.balancer.servers[name].admin is not Admin.MAINT:
                fleet.balancer.servers[name] = replace(
                    fleet.balancer.servers[name], admin=Admin.MAINT
                )
                told += fleet.balancer.commands

        def prepare(run: RolloutRun, at_s: int = at_s, take: Callable[[], None] = take) -> None:
            asyncio.get_running_loop().call_later(at_s + 0.1, take)

        outcome, _ = carried_out(fleet, small_plan(), path, prepare=prepare)
        assert outcome is not None
        if not told and fleet.balancer.servers[name].admin is Admin.READY:
            continue  # it was in the rollout's own maintenance just then
        if fleet.balancer.servers[name].admin is Admin.MAINT:
            assert outcome.ended is Ended.HALTED, at_s
            assert f"{name} was put into maint by somebody else" in outcome.why, at_s
            assert not any(
                verb == f"put_back {name}" for verb in fleet.balancer.commands[len(told) :]
            ), at_s
            fleet.balancer.put_back(name)
            outcome, _ = carried_out(fleet, small_plan(), path)
            assert outcome is not None
        assert outcome.ended is Ended.DONE, at_s
        must_be_all_new(fleet)
