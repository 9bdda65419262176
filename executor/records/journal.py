"""The journal: what was meant and what came of it, on disk before and after each action.

Enters: events, and now and then a sample of the fleet. Leaves: the same, after any crash. SQLite
with a write-ahead log and `synchronous=FULL`: what `write` has returned from is on the disk. Only
the owner may read it.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from executor.base.errors import BadInput, Refused, RollcastError
from executor.plan.model import Step
from executor.progress import Event, EventKind, with_text

SCHEMA = "rollcast.journal/1"

_TABLES = """
CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE events (
  number INTEGER PRIMARY KEY, at TEXT NOT NULL, t_s REAL NOT NULL, kind TEXT NOT NULL,
  instance TEXT NOT NULL, step TEXT, version TEXT NOT NULL, said TEXT NOT NULL);
CREATE TABLE samples (number INTEGER PRIMARY KEY, t_s REAL NOT NULL, seen TEXT NOT NULL);
"""


class JournalBroken(RollcastError):
    """It cannot be written, or not be read again: nothing more may begin."""

    exit_code = 4


class Journal:
    """An open journal."""

    def __init__(self, path: Path, database: sqlite3.Connection) -> None:
        self.path = path
        self._database = database
        self._events: list[Event] = []
        self._times: list[str] = []
        self._samples: list[tuple[float, dict[str, Any]]] = []

    @classmethod
    def begin(cls, path: Path, about: Mapping[str, str]) -> Journal:
        """A new journal, readable by its owner only.

        A file in which nothing ever was, since its executor died too early, becomes one.

        Raises:
            Refused: There is one already.
            BadInput: It cannot be made.
        """
        try:
            if _is_blank(path):
                path.chmod(0o600)
            else:
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError:
            raise Refused(
                f"{path}: this plan was begun before; go on with --resume, or move the journal away"
            ) from None
        except OSError as error:
            raise BadInput(f"{path}: cannot be written: {error.strerror or error}") from None
        journal = cls(path, _opened(path))
        try:
            with journal._writing():
                for statement in filter(str.strip, _TABLES.split(";")):
                    journal._database.execute(statement)
                journal._database.executemany(
                    "INSERT INTO about VALUES (?, ?)", [("schema", SCHEMA), *about.items()]
                )
        except JournalBroken as error:
            journal.discard()
            raise BadInput(str(error)) from None
        return journal

    @classmethod
    def open(cls, path: Path, *, only_to_read: bool = False) -> Journal:
        """The journal of a rollout that was begun.

        Raises:
            Refused: There is none, it is another kind of file, it cannot be read to its end, or
                others may read it.
        """
        if not path.exists():
            raise Refused(f"{path}: there is no journal of this plan, so nothing to resume")
        mode = path.stat().st_mode & 0o777
        if mode & 0o077:
            raise Refused(f"{path}: mode ({mode:04o}) must be 0600: others could have changed it")
        if not os.access(path, os.R_OK, effective_ids=os.access in os.supports_effective_ids):
            raise Refused(f"{path}: may not be read: whose journal it is resumes it")
        if _is_blank(path):
            raise Refused(
                f"{path}: the executor died before it began anything, so nothing to resume; "
                "begin without --resume"
            )
        journal = cls(path, _opened_to_read(path) if only_to_read else _opened(path))
        try:
            said = journal._schema()
            if said != SCHEMA:
                raise Refused(
                    f"{path}: schema ({said or 'none'}) must be {SCHEMA}: it is no journal"
                )
            journal.events(), journal.samples()  # before anything is begun, not in the middle
        except RollcastError as error:
            journal.close()
            raise Refused(str(error)) from None
        return journal

    def about(self) -> dict[str, str]:
        """What it is the journal of.

        Raises:
            JournalBroken: It cannot be read, here as in `events`, `times` and `samples`.
        """
        with self._reading():
            return dict(self._database.execute("SELECT key, value FROM about").fetchall())

    def _schema(self) -> str | None:
        with suppress(JournalBroken):
            return self.about().get("schema")
        return None

    def write(self, event: Event, at: str) -> None:
        """Puts an event on the disk.

        Args:
            event: What is meant or has happened.
            at: The time of day, for people; nothing is computed from it.

        Raises:
            JournalBroken: It is not there, whatever the reason.
        """
        row = (at, event.t_s, event.kind, event.instance, event.step, event.version, event.text)
        with self._writing():
            self._database.execute(
                "INSERT INTO events (at, t_s, kind, instance, step, version, said) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                row,
            )

    def sample(self, t_s: float, seen: Mapping[str, Any]) -> None:
        """Keeps what the fleet looked like.

        Raises:
            JournalBroken: As `write`.
        """
        with self._writing():
            self._database.execute(
                "INSERT INTO samples (t_s, seen) VALUES (?, ?)", (t_s, json.dumps(seen))
            )

    def events(self) -> list[Event]:
        """Everything that was written, in its order."""
        self._read_on()
        return list(self._events)

    def times(self) -> list[str]:
        """The time of day of each event."""
        self._read_on()
        return list(self._times)

    def samples(self) -> list[tuple[float, dict[str, Any]]]:
        """Every sample and when it was taken."""
        with self._reading():
            rows = self._after("t_s, seen FROM samples", self._samples)
            self._samples += [(t_s, json.loads(seen)) for t_s, seen in rows]
        return list(self._samples)

    def _read_on(self) -> None:
        """Reads the events that are not known yet: what is written is never changed."""
        with self._reading():
            rows = self._after(
                "t_s, kind, instance, step, version, said, at FROM events", self._events
            )
            new = [
                with_text(
                    Event(t_s, EventKind(kind), instance, Step(step) if step else None, version),
                    text,
                )
                for t_s, kind, instance, step, version, text, _ in rows
            ]
        self._events += new
        self._times += [row[-1] for row in rows]

    def _after(self, what: str, known: Sequence[object]) -> list[Any]:
        """The rows of a table, which is only ever added to, after those that are known."""
        ordered = f"SELECT {what} ORDER BY number LIMIT -1 OFFSET ?"
        return self._database.execute(ordered, (len(known),)).fetchall()

    def close(self) -> None:
        """Lets go of the file."""
        self._database.close()

    def discard(self) -> None:
        """Takes it off the disk: nothing has happened that it could tell."""
        self.close()
        for beside in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + beside).unlink(missing_ok=True)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, ValueError, TypeError) as error:
            raise JournalBroken(f"{self.path}: the journal cannot be read ({error})") from None

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            self._database.execute("BEGIN IMMEDIATE")
            yield
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            if self._database.in_transaction:
                with suppress(sqlite3.Error):  # what cannot be written cannot always be taken back
                    self._database.execute("ROLLBACK")
            raise JournalBroken(
                f"{self.path}: the journal cannot be written ({error}); nothing more is begun"
            ) from None


def _opened(path: Path) -> sqlite3.Connection:
    try:
        database = sqlite3.connect(path, timeout=5, isolation_level=None)
        try:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=FULL")
        except BaseException:
            database.close()
            raise
    except sqlite3.Error as error:
        raise Refused(f"{path}: is no journal: {error}") from None
    return database


def _opened_to_read(path: Path) -> sqlite3.Connection:
    """The database of a file that is left as it is, and nothing beside it that was not there."""
    is_in_use = path.with_name(f"{path.name}-wal").exists()
    how = "mode=ro" if is_in_use else "mode=ro&immutable=1"
    return sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, isolation_level=None)


def _is_blank(path: Path) -> bool:
    """Whether there is a file, and nothing was ever in it: its executor died before that."""
    try:
        with closing(_opened_to_read(path)) as database:
            (count,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error:
        return False
    return bool(count == 0)
