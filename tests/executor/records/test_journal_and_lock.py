"""What must survive a crash, and what must keep a second executor out."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from executor.base.errors import BadInput, Refused
from executor.fleet.balancers.base import Admin
from executor.fleet.connect import fleet_key
from executor.fleet.inventory import BalancerSpec, HAProxySpec
from executor.plan.model import Step
from executor.progress import Ended, Event, EventKind
from executor.records import journal as journal_module
from executor.records.journal import Journal, JournalBroken
from executor.records.lock import Lock, lock_path
from tests.helpers.fake_fleet import World, carried_out, events_of, example_inventory, small_plan


def event(**more: Any) -> Event:
    return Event(1.5, EventKind.INTENT, "checkout-1", Step.STOP, "1.1", **more)


def test_what_was_written_is_there_again(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal.begin(path, {"plan_digest": "abc"})
    journal.write(Event(0.0, EventKind.BEGUN), "now")
    journal.write(event(said="é\n"), "then")
    journal.sample(2.0, {"in_pool": ["checkout-1"]})
    again = Journal.open(path)  # while the first is still open: it did not wait for a close
    assert again.events() == [Event(0.0, EventKind.BEGUN), event(said="é\n")]
    assert again.times() == ["now", "then"]
    assert again.samples() == [(2.0, {"in_pool": ["checkout-1"]})]
    assert again.about() == {"schema": "rollcast.journal/1", "plan_digest": "abc"}
    again.close()
    journal.close()


FACTS = [
    # what is stored of an event, and what it says
    pytest.param("ended", "halted", {"ended": Ended.HALTED}, id="end"),
    pytest.param("found", "drain", {"instance": "a", "admin": Admin.DRAIN}, id="found"),
    pytest.param("told", "maint", {"instance": "a", "admin": Admin.MAINT}, id="told"),
    pytest.param("gate_passed", "wave 12", {"wave": 12}, id="wave"),
    pytest.param(
        "turn_back", '["web 1", "é", "a\\"b"]', {"names": ("web 1", "é", 'a"b')}, id="names"
    ),
    pytest.param("turn_back", "[]", {"names": ()}, id="no names"),
    pytest.param("brake", "errors 9 %", {"said": "errors 9 %"}, id="words"),
]
OLD_TEXTS = [
    pytest.param("turn_back", "b a", {"names": ("b", "a")}, id="names between spaces"),
    pytest.param("turn_back", "1", {"names": ("1",)}, id="a name that is a number"),
    pytest.param("turn_back", "", {"names": ()}, id="no names, nothing at all"),
]


def store(path: Path, kind: str, instance: str, text: str) -> None:
    """Writes an event as every version of the executor has stored it."""
    Journal.begin(path, {}).close()
    row = ("now", 1.0, kind, instance, None, "", text)
    with closing(sqlite3.connect(path)) as database:
        database.execute(
            "INSERT INTO events (at, t_s, kind, instance, step, version, said) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            row,
        )
        database.commit()


@pytest.mark.parametrize(("kind", "text", "fields"), [*FACTS, *OLD_TEXTS])
def test_a_stored_event_is_read_as_typed_facts(
    tmp_path: Path, kind: str, text: str, fields: dict[str, Any]
) -> None:
    store(tmp_path / "j", kind, fields.get("instance", ""), text)
    with closing(Journal.open(tmp_path / "j")) as journal:
        assert journal.events() == [Event(1.0, EventKind(kind), **fields)]


@pytest.mark.parametrize(("kind", "text", "fields"), FACTS)
def test_facts_are_stored_as_they_always_were(kind: str, text: str, fields: dict[str, Any]) -> None:
    assert Event(1.0, EventKind(kind), **fields).text == text


@pytest.mark.parametrize(("kind", "text"), [("ended", "over"), ("found", "gone")])
def test_a_fact_that_is_none_makes_a_journal_unreadable(
    tmp_path: Path, kind: str, text: str
) -> None:
    store(tmp_path / "j", kind, "a" if kind == "found" else "", text)
    with pytest.raises(Refused, match=rf"the journal cannot be read \('{text}' is not a valid"):
        Journal.open(tmp_path / "j")


def test_who_looks_on_reads_on_from_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal.begin(path, {})
    journal.write(Event(0.0, EventKind.BEGUN), "now")
    looking = Journal.open(path, only_to_read=True)
    assert looking.events() == [Event(0.0, EventKind.BEGUN)]
    asked: list[str] = []
    looking._database.set_trace_callback(asked.append)
    journal.write(event(said="later"), "then")
    journal.sample(2.0, {"in_pool": []})
    looking.events().clear()  # what is handed out is the reader's own
    for _ in range(2):
        assert looking.events() == [Event(0.0, EventKind.BEGUN), event(said="later")]
        assert looking.times() == ["now", "then"]
        assert looking.samples() == [(2.0, {"in_pool": []})]
    offsets = [line.rpartition(" ")[2] for line in asked if "OFFSET" in line]
    assert offsets == ["1", "2", "2", "0", "2", "2", "1"]
    looking.close()
    journal.close()


def test_it_is_on_the_disk_and_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    os.umask(0)
    try:
        journal = Journal.begin(path, {})
        journal.write(event(), "now")
        modes = {one.name: one.stat().st_mode & 0o777 for one in tmp_path.iterdir()}
    finally:
        os.umask(0o022)
    assert modes == dict.fromkeys(("journal", "journal-wal", "journal-shm"), 0o600)
    (mode,) = journal._database.execute("PRAGMA journal_mode").fetchone()
    (synchronous,) = journal._database.execute("PRAGMA synchronous").fetchone()
    assert (mode, synchronous) == ("wal", 2)
    journal.close()


def test_a_second_beginning_is_refused(tmp_path: Path) -> None:
    Journal.begin(tmp_path / "journal", {}).close()
    with pytest.raises(Refused, match="go on with --resume"):
        Journal.begin(tmp_path / "journal", {})


def with_a_table(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute(statement)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "there is no journal of this plan"),
        (lambda path: path.write_text("hello, this is no database at all" * 9), "is no journal"),
        (lambda path: path.touch(), "the executor died before it began anything"),
        (lambda path: with_a_table(path, "CREATE TABLE other (key)"), "it is no journal"),
        (
            lambda path: with_a_table(path, "CREATE TABLE about (key, value)"),
            r"schema \(none\) must be rollcast\.journal/1",
        ),
    ],
)
def test_what_is_no_journal_is_refused(tmp_path: Path, make: Any, said: str) -> None:
    make(tmp_path / "journal")
    if (tmp_path / "journal").exists():
        (tmp_path / "journal").chmod(0o600)
    with pytest.raises(Refused, match=said):
        Journal.open(tmp_path / "journal")


def test_a_journal_that_cannot_be_made_is_bad_input_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "_TABLES", "CREATE TABLE about (key); NONSENSE")
    with pytest.raises(BadInput, match=r"journal: the journal cannot be written .*NONSENSE"):
        Journal.begin(tmp_path / "journal", {})
    assert list(tmp_path.iterdir()) == []


def test_another_users_journal_is_not_resumed(shared: Path) -> None:
    shared.chmod(0o755)
    path = shared / "journal"
    Journal.begin(path, {}).close()
    path.chmod(0o600 if os.geteuid() == 0 else 0o000)
    if os.geteuid() == 0:
        os.seteuid(65534)
    try:
        with pytest.raises(Refused, match="whose journal it is resumes it"):
            Journal.open(path)
    finally:
        if os.getuid() == 0:
            os.seteuid(0)


def test_a_journal_that_others_may_read_is_refused(tmp_path: Path) -> None:
    Journal.begin(tmp_path / "journal", {}).close()
    (tmp_path / "journal").chmod(0o644)
    with pytest.raises(Refused, match=r"mode \(0644\) must be 0600"):
        Journal.open(tmp_path / "journal")


def test_a_journal_that_cannot_be_written_begins_nothing_more(tmp_path: Path) -> None:
    """A page limit of SQLite's own stands for the full disk; the real one is a slow test."""
    fleet = World([f"checkout-{number}" for number in range(1, 5)])
    real = Journal.begin(tmp_path / "j", {})
    real.close()
    ended: list[str] = []
    fleet.host.faults = ended.append  # at a command's end

    def full(run: Any) -> None:
        run._journal.write(
            Event(0.0, EventKind.NOTICED, said="." * 3500), "now"
        )  # a page nearly full
        pages = run._journal._database.execute("PRAGMA page_count").fetchone()[0]
        run._journal._database.execute(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(JournalBroken, match="database or disk is full"):
        carried_out(fleet, small_plan(), tmp_path / "j", prepare=full)
    meant = [
        (e.step, e.instance)
        for e in events_of(tmp_path / "j")
        if e.kind is EventKind.INTENT and e.step
    ]
    begun = [tuple(told.split()[:2]) for told in fleet.host.commands]
    assert begun == [one for one in meant if one[0] in {"stop", "deploy", "verify", "start"}]
    assert ended == fleet.host.commands  # what was in hand has finished
    done = {(e.step, e.instance) for e in events_of(tmp_path / "j") if e.kind is EventKind.DONE}
    assert len(meant) > len(done)  # and could not be written down
    ran = len(fleet.host.commands)
    outcome, _ = carried_out(fleet, small_plan(), tmp_path / "j")
    assert outcome is not None
    assert outcome.ended == "done"
    assert len(fleet.host.commands) > ran
    assert fleet.host.running == dict.fromkeys(fleet.names, "1.1")
    assert fleet.unverified == []


def test_a_lock_is_held_once_and_given_back(tmp_path: Path) -> None:
    path, journal = tmp_path / "state" / "lock", tmp_path / "journal"
    lock = Lock.take(path, journal, take_over=False)
    for take_over in (False, True):
        with pytest.raises(Refused, match=rf"another executor is at work .* process {os.getpid()}"):
            Lock.take(path, journal, take_over=take_over)
    lock.release()
    Lock.take(path, tmp_path / "other", take_over=False).release()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_command_that_outlives_the_executor_does_not_hold_the_lock(tmp_path: Path) -> None:
    path, journal = tmp_path / "lock", tmp_path / "journal"
    lock = Lock.take(path, journal, take_over=False)
    child = subprocess.Popen(
        [sys.executable, "-c", "print('up', flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        close_fds=False,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"up\n"
    try:
        lock.leave()
        Lock.take(path, journal, take_over=False).release()
    finally:
        child.communicate(b"\n")


def test_an_owner_that_died_is_followed_by_its_own_journal_or_on_demand(tmp_path: Path) -> None:
    path, journal = tmp_path / "lock", tmp_path / "journal"
    Lock.take(path, journal, take_over=False).leave()
    with pytest.raises(Refused, match=r"the lock is stale: process .* died and left .*journal"):
        Lock.take(path, tmp_path / "other", take_over=False)
    Lock.take(path, journal, take_over=False).put_back()
    Lock.take(path, tmp_path / "other", take_over=True).put_back()
    with pytest.raises(Refused, match="the lock is stale"):
        Lock.take(path, tmp_path / "other", take_over=False)
    Lock.take(path, journal, take_over=False).leave()
    Lock.take(path, tmp_path / "other", take_over=True).release()
    Lock.take(path, tmp_path / "third", take_over=False).release()


@pytest.mark.parametrize(("age_s", "lives"), [(5.0, True), (-3600.0, True), (120.0, False)])
def test_an_owner_on_another_machine_lives_while_it_is_heard_of(
    tmp_path: Path, age_s: float, lives: bool
) -> None:
    path = tmp_path / "lock"
    owner = {"host": "far", "pid": 7, "journal": "/far/j", "heartbeat": time.time() - age_s}
    path.write_text(json.dumps(owner))
    if lives:  # a clock that was set back makes an owner look young, never old
        with pytest.raises(Refused, match="process 7 on far, heard of"):
            Lock.take(path, tmp_path / "j", take_over=True)
    else:
        Lock.take(path, tmp_path / "j", take_over=True).release()


def test_one_fleet_has_one_lock_wherever_the_plan_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLLCAST_STATE", "/state")
    assert lock_path("a").parent == Path("/state")
    assert lock_path("a") == lock_path("a") != lock_path("b")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"tcp": "localhost:9999"}, {"tcp": "127.0.0.1:9999"}, True),
        ({"tcp": "LOCALHOST.:9999"}, {"tcp": "[::1]:9999"}, True),
        ({"tcp": "[0:0:0:0:0:0:0:1]:9999"}, {"tcp": "127.0.0.2:09999"}, True),
        ({"tcp": "Balancer.example:9999"}, {"tcp": "balancer.example:9999"}, True),
        ({"tcp": "[2001:DB8:0::1]:1"}, {"tcp": "[2001:db8::1]:1"}, True),
        ({"tcp": "localhost:9999"}, {"tcp": "localhost:9998"}, False),
        ({"tcp": "10.0.0.1:9999"}, {"tcp": "127.0.0.1:9999"}, False),
        ({"socket": "run/../admin.sock"}, {"socket": "link.sock"}, True),
        ({"socket": "admin.sock"}, {"socket": "other.sock"}, False),
        ({"socket": "admin.sock"}, {"socket": "admin.sock", "backend": "api"}, False),
    ],
)
def test_one_balancer_is_one_fleet_however_it_is_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    one: dict[str, str],
    other: dict[str, str],
    same: bool,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "admin.sock").touch()
    (tmp_path / "link.sock").symlink_to("admin.sock")
    inventory = example_inventory(["checkout-1"])

    def key(haproxy: dict[str, str]) -> str:
        spec = HAProxySpec.model_validate({"backend": "shop", **haproxy})
        return fleet_key(inventory.model_copy(update={"balancer": BalancerSpec(haproxy=spec)}))

    assert (key(one) == key(other)) == same


def test_a_full_disk_does_not_take_the_record_of_a_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does a death in the middle: the new record stands before the old one is cut off."""
    path, journal = tmp_path / "lock", tmp_path / "a-journal-with-a-long-name"

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    lock = Lock.take(path, journal, take_over=False)
    for name in ("write", "ftruncate"):
        with monkeypatch.context() as patched:
            patched.setattr(f"executor.records.lock.os.{name}", full)
            lock.beat()
    lock.leave()
    with monkeypatch.context() as patched:
        patched.setattr("executor.records.lock.os.ftruncate", full)
        Lock.take(path, tmp_path / "short", take_over=True).leave()
    with pytest.raises(Refused, match=r"the lock is stale: process .* left .*/short unfinished"):
        Lock.take(path, tmp_path / "other", take_over=False)


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that other users come to; those of pytest are its owner's."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@contextmanager
def as_another_user(path: Path) -> Iterator[None]:
    """Somebody who may only read the file: for root another user, else oneself."""
    if os.geteuid() == 0:
        os.seteuid(65534)
    else:
        path.chmod(0o444)
    try:
        yield
    finally:
        if os.getuid() == 0:
            os.seteuid(0)


def test_another_user_is_told_who_is_at_work(shared: Path, tmp_path: Path) -> None:
    path = shared / "lock"
    shared.chmod(0o755)
    lock = Lock.take(path, tmp_path / "journal", take_over=False)
    assert path.stat().st_mode & 0o777 == 0o644
    with as_another_user(path):
        at_work = rf"another executor is at work on this fleet: process {os.getpid()} on .*journal"
        with pytest.raises(Refused, match=at_work):
            Lock.take(path, tmp_path / "other", take_over=False)
        lock.leave()
        with pytest.raises(Refused, match="the lock is stale"):
            Lock.take(path, tmp_path / "other", take_over=False)
        with pytest.raises(BadInput, match="folder that all of them may write in"):
            Lock.take(path, tmp_path / "other", take_over=True)


def test_users_who_share_a_folder_share_its_locks(shared: Path, tmp_path: Path) -> None:
    path = shared / "lock"
    shared.chmod(0o777)
    Lock.take(path, tmp_path / "journal", take_over=False).leave()
    assert path.stat().st_mode & 0o777 == 0o666
    if os.geteuid() != 0:
        pytest.skip("only root can be another user who may write")
    with as_another_user(path):
        Lock.take(path, tmp_path / "other", take_over=True).release()
    Lock.take(path, tmp_path / "third", take_over=False).release()
