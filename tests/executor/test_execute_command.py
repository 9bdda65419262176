"""``execute`` on a fleet in memory: what is left behind, whatever ends it."""

from __future__ import annotations

import io
import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, redirect_stdout
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from executor import execute as command
from executor.__main__ import validate_report
from executor.base.errors import BadInput, Refused
from executor.execute import Execute, execute
from executor.fleet.connect import fleet_key
from executor.fleet.fleet_client import FleetClient
from executor.fleet.hosts.base import Ran
from executor.fleet.inventory import Inventory, read_inventory
from executor.plan.file import write_plan
from executor.plan.model import STEPS, Plan
from executor.plan.signing import sign
from executor.progress import Event, EventKind
from executor.records.journal import Journal, JournalBroken
from executor.records.lock import Lock, lock_path
from tests.executor.plan.test_signing import keys
from tests.helpers.fake_fleet import World, example_inventory, small_plan
from tests.helpers.paths import ROOT


@dataclass
class Desk:
    """A plan, an inventory, and a fleet in memory that ``execute`` is connected to."""

    folder: Path
    world: World
    said: list[str] = field(default_factory=list)

    @property
    def asked(self) -> Execute:
        return Execute(self.folder / "plan.json", self.folder / "fleet.yaml")

    def lists(self, **changes: Any) -> None:
        """Writes the inventory; JSON is YAML."""
        said = example_inventory(self.world.names).model_dump(mode="json", exclude_none=True)
        (self.folder / "fleet.yaml").write_text(json.dumps({**said, **changes}))

    def execute(self, **asked: Any) -> int:
        """Carries the plan out; the exit code."""
        self.said.clear()
        return execute(replace(self.asked, **asked), self.said.append)

    def dry_run(self, **asked: Any) -> list[str]:
        """What would be done."""
        said = io.StringIO()
        with redirect_stdout(said):
            assert execute(replace(self.asked, dry_run=True, **asked)) == 0
        return said.getvalue().splitlines()

    def lock(self) -> Path:
        """The fleet's lock."""
        return lock_path(fleet_key(read_inventory(self.asked.inventory)))


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("ROLLCAST_STATE", str(tmp_path / "state"))
    world = World([f"checkout-{number}" for number in range(1, 5)])
    world.host.takes_s = 0.0

    def connect(inventory: Inventory, plan: Plan) -> FleetClient:
        hands = world.hands()
        hands.poll_s = 0.001
        hands.targets = inventory.targets(plan.stop)
        return hands

    monkeypatch.setattr(command, "connect", connect)
    made = Desk(tmp_path, world)
    made.lists()
    write_plan(made.asked.plan, small_plan())
    return made


def at(told: str, do: Callable[[], None]) -> Callable[[str], Ran | None]:
    """A fault of the machine: what happens meanwhile when this command runs."""

    def fault(command: str) -> Ran | None:
        if command == told:
            do()
        return None

    return fault


@pytest.mark.parametrize("table", ["events", "samples"])
def test_a_journal_that_breaks_in_the_middle_leaves_the_lock_with_its_record(
    desk: Desk, table: str
) -> None:
    def broken() -> None:
        with closing(sqlite3.connect(desk.asked.journal_path)) as other:
            other.execute(f"DROP TABLE {table}")

    desk.world.host.faults = at("deploy checkout-1 1.1", broken)
    with pytest.raises(JournalBroken, match=f"cannot be written .no such table: {table}"):
        desk.execute()
    assert "start checkout-1" not in desk.world.host.ran
    with pytest.raises(Refused, match="the lock is stale"):
        Lock.take(desk.lock(), desk.folder / "other", take_over=False)
    with pytest.raises(Refused, match=f"the journal cannot be read .no such table: {table}"):
        desk.execute(resume=True)


def test_a_record_that_cannot_be_written_is_told_and_the_end_stays_the_end(desk: Desk) -> None:
    desk.asked.timeline_path.mkdir()
    assert desk.execute() == 0
    assert desk.said[-4].startswith("done: ")
    assert desk.said[-3:-1] == [
        "The fleet:",
        f"  4 in the pool, version 1.1: {', '.join(desk.world.names)}",
    ]
    assert desk.said[-1].startswith("There is no timeline: ")
    Lock.take(desk.lock(), desk.folder / "other", take_over=False).release()


def test_a_journal_whose_pages_are_damaged_is_refused_before_anything_is_touched(
    desk: Desk,
) -> None:
    desk.world.host.faults = lambda told: Ran(1, "no") if told.startswith("deploy") else None
    assert desk.execute() == 4
    path = desk.asked.journal_path
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    ran = list(desk.world.host.ran)
    with pytest.raises(Refused, match=r"plan\.journal: "):
        desk.execute(resume=True)
    assert desk.world.host.ran == ran


DEATHS = {
    "before it is opened": "journal._opened = lambda path: die()",
    "before its tables": "journal._TABLES = Dies()",
    "before they stand": "journal.SCHEMA = Dies()",
}
DIES = """
import os, signal, sys
from pathlib import Path
from executor.records import journal

def die():
    os.kill(os.getpid(), signal.SIGKILL)

class Dies(str):
    def __conform__(self, protocol):
        die()
    def split(self, by):
        die()

{death}
journal.Journal.begin(Path(sys.argv[1]), {{}})
"""


@pytest.mark.parametrize("death", DEATHS.values(), ids=DEATHS)
def test_an_executor_that_died_before_anything_was_in_its_journal(desk: Desk, death: str) -> None:
    path = desk.asked.journal_path
    killed = subprocess.run(
        [sys.executable, "-c", DIES.format(death=death), str(path)], cwd=ROOT, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    before = path.read_bytes()
    for dry_run in (True, False):
        with pytest.raises(Refused, match=r"nothing to resume; begin without --resume"):
            desk.execute(resume=True, dry_run=dry_run)
    assert path.read_bytes() == before
    assert desk.execute() == 0
    assert desk.world.host.running == dict.fromkeys(desk.world.names, "1.1")


def test_an_executor_that_died_before_its_first_event_is_resumed(desk: Desk) -> None:
    plan = small_plan()
    write_plan(desk.asked.plan, plan)
    about = {"plan_digest": plan.digest, "old_version": "1.0", "new_version": "1.1"}
    Journal.begin(desk.asked.journal_path, about).close()
    with pytest.raises(Refused, match="go on with --resume"):
        desk.execute()
    assert desk.execute(resume=True) == 0
    assert desk.world.host.running == dict.fromkeys(desk.world.names, "1.1")


def test_a_plan_says_how_an_instance_is_stopped(desk: Desk) -> None:
    write_plan(desk.asked.plan, small_plan(stop={"mode": "abrupt", "grace_s": 12.5}))
    defaults = example_inventory(desk.world.names).defaults.model_dump(exclude_none=True)
    desk.lists(defaults={**defaults, "stop": ["kill", "{instance}", "{stop_mode}", "{grace_s}"]})
    lines = desk.dry_run()
    assert "  checkout-1  stop      local: kill checkout-1 abrupt 12.5" in lines


def test_an_inventory_that_was_changed_is_warned_about_and_counts(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.world.host.faults = lambda told: Ran(1, "no") if told.startswith("deploy") else None
    assert desk.execute() == 4
    with closing(Journal.open(desk.asked.journal_path)) as journal:
        assert journal.about()["inventory"] == str(desk.folder / "fleet.yaml")
    monkeypatch.chdir(desk.folder)
    capsys.readouterr()
    here = {"plan": Path("plan.json"), "inventory": Path("fleet.yaml")}
    assert desk.execute(resume=True, **here) == 4
    assert capsys.readouterr().err == ""  # seen from elsewhere it is the same
    desk.lists(poll_s=0.25)
    desk.world.host.faults = lambda _: None
    assert desk.execute(resume=True) == 0
    assert capsys.readouterr().err == (
        f"warning: {desk.folder / 'fleet.yaml'}: was changed since the rollout began, "
        "and counts as it is now\n"
    )


def acts(lines: list[str]) -> list[tuple[str, str]]:
    """Instance and step of every action, once, in their order."""
    found = [(line[2:12], line[14:22].rstrip()) for line in lines if line.startswith("  checkout")]
    return list(dict.fromkeys(found))


WORDS = [step.replace("_", " ") for step in STEPS]


def test_a_dry_run_of_what_was_begun_prints_what_is_left(desk: Desk) -> None:
    assert acts(desk.dry_run()) == [(name, word) for name in desk.world.names for word in WORDS]
    with pytest.raises(Refused, match="there is no journal of this plan, so nothing to resume"):
        desk.dry_run(resume=True)
    fails = "verify checkout-3 1.1"
    desk.world.host.faults = lambda told: Ran(1, "no") if told == fails else None
    assert desk.execute() == 4
    before = {path.name: path.read_bytes() for path in desk.folder.iterdir() if path.is_file()}
    ran = list(desk.world.host.ran)
    lines = desk.dry_run(resume=True)
    untouched = [] if f"stop {desk.world.names[3]}" in ran else WORDS
    assert acts(lines) == [
        *(("checkout-3", word) for word in ("verify", "start", "return")),
        *(("checkout-4", word) for word in untouched),
    ]
    assert desk.world.host.ran == ran
    after = {path.name: path.read_bytes() for path in desk.folder.iterdir() if path.is_file()}
    assert after == before
    desk.world.host.faults = lambda _: None
    assert desk.execute(resume=True) == 0
    assert acts(desk.dry_run(resume=True)) == []


def test_a_dry_run_of_a_rollback_goes_back(desk: Desk) -> None:
    """Killed with its brake on, before it turned; and again after it did."""
    plan = small_plan(on_failure="rollback")
    write_plan(desk.asked.plan, plan)
    about = {"plan_digest": plan.digest, "old_version": "1.0", "new_version": "1.1"}
    journal = Journal.begin(desk.asked.journal_path, about)
    journal.write(Event(0.0, EventKind.BEGUN), "now")
    for step in STEPS:
        journal.write(Event(1.0, EventKind.DONE, "checkout-1", step, "1.1"), "now")
    journal.write(Event(1.0, EventKind.INTENT, "checkout-2", STEPS[0], "1.1"), "now")
    journal.write(Event(1.0, EventKind.DONE, "checkout-2", STEPS[0], "1.1"), "now")
    journal.write(Event(2.0, EventKind.BRAKE, said="guard: errors"), "now")
    told, *lines = desk.dry_run(resume=True)
    assert told == "only backend shop in memory is told and watched"
    assert lines[0] == "nothing new begins: guard: errors"
    back = lines.index("back to version 1.0")
    assert acts(lines[:back]) == [("checkout-2", word) for word in WORDS[1:]]
    whole = [(name, word) for name in desk.world.names[:2] for word in WORDS]
    assert acts(lines[back:]) == whole
    assert "  checkout-2  deploy    local: deploy checkout-2 1.0" in lines[back:]
    journal.write(Event(3.0, EventKind.TURN_BACK, said="checkout-1 checkout-2"), "now")
    journal.close()
    _, *lines = desk.dry_run(resume=True)
    assert (lines[0], acts(lines)) == ("back to version 1.0", whole)


def test_whether_a_trusted_key_signed_it_is_one_of_the_checks(desk: Desk) -> None:
    promise = "it is signed by a trusted key"
    plan, now = small_plan(), datetime.now(UTC)
    lines, sound = validate_report(plan, now, desk.asked.inventory)
    assert sound
    assert not any(promise in line for line in lines)
    private, public = keys(desk.folder, "release")
    desk.lists(trust=["release.pub"])
    lines, sound = validate_report(plan, now, desk.asked.inventory)
    assert not sound
    assert f"✗ {promise}" in lines
    assert "    must be signed by a trusted key, and is not signed" in lines
    with pytest.raises(Refused, match=r"plan\.json: must be signed by a trusted key, and is not"):
        desk.execute()
    lines, sound = validate_report(sign(plan, private), now, desk.asked.inventory)
    assert sound
    assert f"✓ {promise}" in lines
    public.unlink()
    with pytest.raises(BadInput, match=r"release\.pub: cannot be read"):
        validate_report(plan, now, desk.asked.inventory)


def defect(*_: object, **__: object) -> None:
    raise KeyError("no such thing")


def test_a_defect_before_anything_is_touched_is_refused_in_one_line(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "look_at_fleet", defect)
    with pytest.raises(Refused, match="nothing was touched: KeyError: 'no such thing'"):
        desk.execute()
    assert not desk.asked.journal_path.exists()
    monkeypatch.undo()


@pytest.mark.parametrize("name", ["RolloutRun.state_fleet", "timeline", "RolloutRun._end"])
def test_a_defect_at_the_end_still_says_how_to_go_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(f"executor.execute.{name}", defect)
    code = desk.execute()
    if name == "timeline":
        assert code == 0
        assert desk.said[-1].startswith("There is no timeline: KeyError")
        return
    assert code == 4
    assert any(line.startswith("halted: KeyError: 'no such thing'") for line in desk.said)
    assert desk.said[-1].startswith("Go on with: python -m executor execute ")


def test_a_journal_that_breaks_says_the_fleet_and_how_to_go_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, writes = Journal.write, list[Event]()

    def write(self: Journal, event: Event, at: str) -> None:
        writes.append(event)
        if len(writes) > 9:
            raise JournalBroken(f"{self.path}: the journal cannot be written (full)")
        real(self, event, at)

    monkeypatch.setattr(Journal, "write", write)
    with pytest.raises(JournalBroken):
        desk.execute()
    assert "The fleet:" in desk.said
    assert desk.said[-1].startswith("Go on with: ")
