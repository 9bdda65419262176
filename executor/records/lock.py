"""A lock that lets one executor at a time work on a fleet.

The operating system holds the lock as long as the process lives, and the commands of a rollout do
not inherit it. Beside the lock stands a record of its owner. When the owner dies, the system
releases the lock, and the record that is left says that a rollout was not finished.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import time
import warnings
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from executor.base.canonical_json import digest_of
from executor.base.directories import state_directory
from executor.base.errors import BadInput, Refused

if TYPE_CHECKING:
    from filelock import BaseFileLock

FRESH_S = 60.0
"""Maximum age, in seconds, of a heartbeat by which an owner on another machine counts as alive."""

_MOST_RECORD_BYTES = 4096

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Owner:
    """The process that holds a lock.

    Attributes:
        heartbeat: The time of its last sign of life, in seconds since 1970.
    """

    host: str
    pid: int
    journal: str
    heartbeat: float


class Lock:
    """A lock that is held; `release`, `leave` or `put_back` gives it up."""

    def __init__(self, descriptor: int, journal: Path, guard: BaseFileLock | None) -> None:
        self._descriptor = descriptor
        self._journal = journal
        self._guard = guard
        self._before = _read_record(descriptor).decode(errors="replace")

    @classmethod
    def take(cls, path: Path, journal: Path, *, take_over: bool) -> Lock:
        """Take a lock for the rollout of a journal.

        When an owner died, only an executor that resumes the same journal may take its lock. Any
        other executor needs `take_over`, because half a rollout is left behind.

        Raises:
            Refused: Another executor holds the lock, or died while it held it.
            BadInput: The lock's file cannot be written or locked.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor, is_writable = _open(path)
        except OSError as error:
            raise BadInput(f"{path}: cannot be written: {error.strerror or error}") from None
        guard = None
        try:
            guard = _hold(path, descriptor, is_writable)
            _refuse_unfinished(path, descriptor, journal, take_over)
            if not is_writable:
                raise BadInput(
                    f"{path}: cannot be written: it is another user's; users who share a fleet "
                    "need a folder that all of them may write in"
                )
        except BaseException:
            _close(descriptor, guard)
            raise
        lock = cls(descriptor, journal, guard)
        lock.beat()
        _logger.debug("took the lock %s", path)
        return lock

    def beat(self) -> None:
        """Record that the owner is alive."""
        owner = Owner(socket.gethostname(), os.getpid(), str(self._journal.resolve()), time.time())
        self._write(json.dumps(asdict(owner)) + "\n")

    def release(self) -> None:
        """Give the lock up and leave no record: the rollout was finished, or its state was said."""
        self._write("")
        _close(self._descriptor, self._guard)

    def leave(self) -> None:
        """Give the lock up and leave its record: the rollout may be unfinished."""
        _close(self._descriptor, self._guard)

    def put_back(self) -> None:
        """Give the lock up with the record that it had before: nothing was done."""
        self._write(self._before)
        _close(self._descriptor, self._guard)

    def _write(self, text: str) -> None:
        record = text.encode()
        # First write, then cut off: an executor that dies in between, or meets a full disk, leaves a
        # record that can be read.
        try:
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            os.write(self._descriptor, record)
            os.ftruncate(self._descriptor, len(record))
        except OSError:  # the record is for people; what excludes others is the system's lock
            return


def lock_path(what: str) -> Path:
    """Return the path of a fleet's lock: the same for every executor of this user.

    The variable ``ROLLCAST_STATE`` names another folder, for users and machines that share a fleet.

    Raises:
        BadInput: The user has no home, and the variable is not set.
    """
    shared = os.environ.get("ROLLCAST_STATE")
    folder = Path(shared) if shared else state_directory()
    return folder / f"{digest_of(what)[:16]}.lock"


def _open(path: Path) -> tuple[int, bool]:
    """Open a lock's file; return its descriptor, and whether this user may write into it.

    A user who may only read the file can still be told which process holds the lock. Whoever may
    write in the folder may write into the file.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except PermissionError:
        return os.open(path, os.O_RDONLY), False
    if hasattr(os, "fchmod"):
        with suppress(PermissionError):  # another user made the file and set its mode then
            os.fchmod(descriptor, path.parent.stat().st_mode & 0o666)
    return descriptor, True


def _close(descriptor: int, guard: BaseFileLock | None) -> None:
    os.close(descriptor)
    if guard is not None:
        guard.release(force=True)


def _hold(path: Path, descriptor: int, is_writable: bool) -> BaseFileLock | None:
    """Take the system's lock without waiting.

    Where the system has `flock`, the file of the record is locked itself: closing its descriptor
    releases the lock. Elsewhere a second file, ``….lock.held``, is locked, because a lock on Windows
    would keep others from reading the record. Where the system locks no files at all, that second
    file is the lock: it names its process, and `filelock` removes it when that process is dead.

    Returns:
        The lock on the second file, None where there is none.

    Raises:
        Refused: Another executor holds the lock.
        BadInput: The file system does not lock files.
    """
    with warnings.catch_warnings():  # filelock warns of a system that has no locks; so does the log
        warnings.simplefilter("ignore")
        import filelock  # noqa: PLC0415 - only an executor that begins needs it

    try:
        if filelock.has_fcntl:
            if filelock.lock_descriptor(descriptor, blocking=False):
                return None
        else:
            held = Path(f"{path}.held")
            _logger.info("this system has no flock: %s stands for the lock", held)
            guard = filelock.FileLock(held, timeout=0, thread_local=False)
            with suppress(filelock.Timeout):
                if is_writable:
                    guard.acquire()
                    return guard
                if not held.exists():
                    return None
    except OSError as error:
        raise BadInput(f"{path}: cannot be locked: {error.strerror or error}") from None
    owner = _read_owner(descriptor)
    holder = f"process {owner.pid} on {owner.host} ({owner.journal})" if owner else "somebody"
    raise Refused(f"{path}: another executor is at work on this fleet: {holder}")


def _refuse_unfinished(path: Path, descriptor: int, journal: Path, take_over: bool) -> None:
    """Compare the record in a lock that is held now with the rollout that is to begin.

    Raises:
        Refused: The owner in the record is alive on another machine, or died in another rollout.
    """
    owner = _read_owner(descriptor)
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


def _read_record(descriptor: int) -> bytes:
    os.lseek(descriptor, 0, os.SEEK_SET)
    return os.read(descriptor, _MOST_RECORD_BYTES)


def _read_owner(descriptor: int) -> Owner | None:
    """Return the owner in a lock's record; None when there is none, or none that can be read."""
    try:
        record, _, _ = _read_record(descriptor).partition(b"\n")
        data = json.loads(record)
        return Owner(
            str(data["host"]), int(data["pid"]), str(data["journal"]), float(data["heartbeat"])
        )
    except (ValueError, KeyError, TypeError):
        return None
