"""One executor at a time for a fleet.

Enters: what is to be locked. Leaves: a lock of the operating system, held as long as the process
lives and not inherited by the commands it runs, with a record of who holds it. The system lets go
when the owner dies; its record then says that somebody did not finish.
"""

from __future__ import annotations

import json
import os
import socket
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType

from executor.base.canonical_json import digest_of
from executor.base.errors import BadInput, Refused

FRESH_S = 60.0
"""An owner on another machine that was heard of so recently is taken to live."""


@dataclass(frozen=True)
class Owner:
    """Who holds a lock.

    Attributes:
        heartbeat: Seconds since 1970 at which it was last heard of.
    """

    host: str
    pid: int
    journal: str
    heartbeat: float


class Lock:
    """A lock that is held; `release`, `leave` or `put_back` gives it up."""

    def __init__(self, descriptor: int, journal: Path) -> None:
        self._descriptor = descriptor
        self._journal = journal
        self._before = os.pread(descriptor, 4096, 0).decode(errors="replace")

    @classmethod
    def take(cls, path: Path, journal: Path, *, take_over: bool) -> Lock:
        """Takes a lock for the rollout of a journal.

        An owner that died lets whoever resumes its own journal go on; anybody else must say
        `take_over`, since half a rollout is left behind.

        Raises:
            Refused: Somebody holds it, or died holding it.
            BadInput: It cannot be written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = _opened(path)
        except OSError as error:
            raise BadInput(f"{path}: cannot be written: {error.strerror or error}") from None
        try:
            _refuse_held(path, descriptor, journal, take_over)
            _must_be_writable(path, descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        lock = cls(descriptor, journal)
        lock.beat()
        return lock

    def beat(self) -> None:
        """Says that the owner lives."""
        owner = Owner(socket.gethostname(), os.getpid(), str(self._journal.resolve()), time.time())
        self._write(json.dumps(asdict(owner)) + "\n")

    def release(self) -> None:
        """Gives it back, with no record left: everything was finished or stated."""
        self._write("")
        os.close(self._descriptor)

    def leave(self) -> None:
        """Lets go of it with its record: something was left unfinished."""
        os.close(self._descriptor)

    def put_back(self) -> None:
        """Gives it back as it was found: nothing was done, and what was left still is."""
        self._write(self._before)
        os.close(self._descriptor)

    def _write(self, text: str) -> None:
        record = text.encode()
        try:  # in this order: whoever dies in between, or on a full disk, leaves a record
            os.pwrite(self._descriptor, record, 0)
            os.ftruncate(self._descriptor, len(record))
        except OSError:  # the record is for people; the lock itself is the system's
            return


def _fcntl(path: Path) -> ModuleType:
    """The system's locks on open files.

    Raises:
        BadInput: This system has none, and a rollout must not run beside another.
    """
    try:
        import fcntl  # noqa: PLC0415 - not everywhere, and all but the lock works without
    except ModuleNotFoundError:
        raise BadInput(
            f"{path}: cannot be locked: this system has no fcntl, so nothing would keep a second "
            "executor from this fleet"
        ) from None
    return fcntl


def lock_path(what: str) -> Path:
    """Where the lock for a fleet lies: the same for every executor of this user.

    `ROLLCAST_STATE` names another folder, for users and machines who share a fleet.
    """
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    folder = os.environ.get("ROLLCAST_STATE") or Path(home) / "rollcast"
    return Path(folder) / f"{digest_of(what)[:16]}.lock"


def _opened(path: Path) -> int:
    """The lock's file, which whoever may write in its folder may read and write.

    Who may only read it shall at least be told who is at work.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except PermissionError:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    with suppress(PermissionError):  # another user's: it was done then
        os.fchmod(descriptor, path.parent.stat().st_mode & 0o666)
    return descriptor


def _must_be_writable(path: Path, descriptor: int) -> None:
    """Holds a lock that is free to being this user's to take.

    Raises:
        BadInput: It can be read only.
    """
    fcntl = _fcntl(path)
    if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise BadInput(
            f"{path}: cannot be written: it is another user's; users who share a fleet need a "
            "folder that all of them may write in"
        )


def _refuse_held(path: Path, descriptor: int, journal: Path, take_over: bool) -> None:
    """Takes the system's lock, and minds the record.

    Raises:
        Refused: It is somebody else's.
        BadInput: It cannot be locked there.
    """
    fcntl = _fcntl(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = _owner(descriptor)
        who = f"process {owner.pid} on {owner.host} ({owner.journal})" if owner else "somebody"
        raise Refused(f"{path}: another executor is at work on this fleet: {who}") from None
    except OSError as error:
        raise BadInput(f"{path}: cannot be locked: {error.strerror or error}") from None
    owner = _owner(descriptor)
    if owner is None:
        return
    age_s = time.time() - owner.heartbeat
    if owner.host != socket.gethostname() and age_s < FRESH_S:
        raise Refused(
            f"{path}: another executor is at work on this fleet: process {owner.pid} on "
            f"{owner.host}, heard of {max(age_s, 0.0):.0f} s ago"
        )
    if not take_over and owner.journal != str(journal.resolve()):
        raise Refused(
            f"{path}: the lock is stale: process {owner.pid} on {owner.host} died and left "
            f"{owner.journal} unfinished; resume that, or give --take-over"
        )


def _owner(descriptor: int) -> Owner | None:
    """The record in a lock; None when there is none, or none that can be read."""
    try:
        record, _, _ = os.pread(descriptor, 4096, 0).partition(b"\n")
        said = json.loads(record)
        return Owner(
            str(said["host"]), int(said["pid"]), str(said["journal"]), float(said["heartbeat"])
        )
    except (ValueError, KeyError, TypeError):
        return None
