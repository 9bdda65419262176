"""Which rollout was left unfinished: the latest of its name, where it is not over and can be read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from executor.base.errors import BadInput
from executor.plan.file import write_plan
from executor.plan.model import Plan
from executor.progress import Ended, Event, EventKind
from executor.records.journal import Journal
from studio.rollouts.kept_rollouts import (
    find_left_rollout,
    folder_of,
    kept_rollouts,
    key_of_plan,
    scenario_key,
)
from tests.helpers.plans import example_plan

BEGUN = (Event(0.0, EventKind.BEGUN), Event(1.0, EventKind.BRAKE, said="errors 9 %"))


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "state"
    monkeypatch.setenv("ROLLCAST_STATE", str(folder))
    return folder


def kept(plan: Plan, events: Sequence[Event], written_s: float, **about: str) -> Path:
    """A rollout as the executor keeps it, last written at a time."""
    path = folder_of(plan) / "plan.json"
    write_plan(path, plan)
    journal = path.with_suffix(".journal")
    with closing(Journal.begin(journal, {"plan_digest": plan.digest, **about})) as begun:
        for event in events:
            begun.write(event, "2026-01-01T00:00:00+00:00")
    for one in journal.parent.glob("plan.journal*"):
        os.utime(one, (written_s, written_s))
    return journal


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        ((), "errors 9 %"),  # its executor died
        ((Event(2.0, EventKind.ENDED, ended=Ended.HALTED),), "errors 9 %"),
        ((Event(2.0, EventKind.ENDED, ended=Ended.INTERRUPTED),), "errors 9 %"),
        ((Event(2.0, EventKind.ENDED, ended=Ended.DONE),), None),
        ((Event(2.0, EventKind.ENDED, ended=Ended.ROLLED_BACK),), None),
    ],
    ids=["died", "halted", "interrupted", "done", "rolled back"],
)
def test_what_is_not_over_was_left(last: tuple[Event, ...], reason: str | None) -> None:
    plan = example_plan()
    kept(plan, (*BEGUN, *last), 100.0, inventory="/some/fleet.yaml")
    left = find_left_rollout(plan.name)
    if reason is None:
        assert left is None
        return
    assert left is not None
    assert left.plan == plan
    assert left.inventory == Path("/some/fleet.yaml")
    assert left.timeline["reason"] == reason


def test_only_the_latest_of_a_name_counts() -> None:
    old, new = example_plan(), example_plan(window=1)
    kept(old, BEGUN, 100.0, inventory="/old.yaml")
    done = kept(
        new, (*BEGUN, Event(2.0, EventKind.ENDED, ended=Ended.DONE)), 200.0, inventory="/new.yaml"
    )
    assert old.name == new.name
    assert find_left_rollout(old.name) is None
    for one in done.parent.glob("plan.journal*"):
        os.utime(one, (50.0, 50.0))
    left = find_left_rollout(old.name)
    assert left is not None
    assert left.inventory == Path("/old.yaml")


def test_a_longer_name_is_another(state: Path) -> None:
    plan = example_plan(name="shop-eu")
    kept(plan, BEGUN, 100.0, inventory="/fleet.yaml")
    assert find_left_rollout("shop") is None
    assert find_left_rollout("shop-eu") is not None
    assert find_left_rollout("*") is None


def test_a_later_rollout_of_a_longer_name_hides_none() -> None:
    kept(example_plan(name="shop"), BEGUN, 100.0, inventory="/shop.yaml")
    kept(example_plan(name="shop-eu"), BEGUN, 200.0, inventory="/eu.yaml")
    left = find_left_rollout("shop")
    assert left is not None
    assert left.inventory == Path("/shop.yaml")


def test_a_list_of_all_names_each_by_its_scenario() -> None:
    done = (*BEGUN, Event(2.0, EventKind.ENDED, ended=Ended.DONE))
    kept(example_plan(name="shop"), done, 100.0, inventory="/shop.yaml")
    kept(example_plan(name="api"), BEGUN, 200.0, inventory="/api.yaml")
    listed = list(kept_rollouts())
    assert [(one.plan.name, one.is_over) for one in listed] == [("api", False), ("shop", True)]
    keys = [key_of_plan(one.plan) for one in listed]
    assert keys[0] != keys[1]
    assert keys[1] == key_of_plan(example_plan(name="shop"))


def test_a_scenario_is_told_by_what_decides_its_rollout() -> None:
    data = {"services": {"web": {"instances": 3}}, "question": "a?", "replications": 4}
    other = {"services": {"web": {"instances": 4}}, "question": "a?", "replications": 4}
    key = scenario_key("shop", data)
    assert scenario_key("shop", {**data, "question": "b?", "replications": 60}) == key
    assert scenario_key("api", data) != key
    assert scenario_key("shop", other) != key


def test_what_cannot_be_read_is_not_told_of(state: Path) -> None:
    plan = example_plan()
    assert find_left_rollout(plan.name) is None
    assert not state.exists()  # looking makes nothing
    journal = kept(plan, BEGUN, 100.0)  # older than the studio's asking for its inventory
    assert find_left_rollout(plan.name) is None
    journal.write_text("no journal")
    assert find_left_rollout(plan.name) is None


def test_looking_leaves_the_journal_as_it_is() -> None:
    journal = kept(example_plan(), BEGUN, 100.0, inventory="/fleet.yaml")
    before = {one.name: one.read_bytes() for one in journal.parent.iterdir()}
    assert find_left_rollout(example_plan().name) is not None
    assert {one.name: one.read_bytes() for one in journal.parent.iterdir()} == before


def test_a_plan_has_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = example_plan(name="../a b")
    folder = folder_of(plan)
    assert folder == tmp_path / "state" / "rollouts" / f"a-b-{plan.digest[:8]}"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert folder_of(plan) == folder
    (tmp_path / "state" / "file").touch()
    monkeypatch.setenv("ROLLCAST_STATE", str(tmp_path / "state" / "file"))
    with pytest.raises(BadInput, match="cannot be made"):
        folder_of(plan)
