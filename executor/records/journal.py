"""The journal of a rollout: intents and outcomes, on disk before and after each action.

The journal is an SQLite database with a write-ahead log and `synchronous=FULL`: when `write` returns,
the event is on the disk and survives a crash. Only the owner can read the file.
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
    """A journal that cannot be written or read, so that nothing more may begin."""

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
        """Create a journal that only its owner can read.

        A blank file, left by an executor that died before it wrote anything, is used.

        Args:
            path: The journal's file.
            about: Facts about the rollout, which `about` returns.

        Raises:
            Refused: There is a journal already.
            BadInput: The file cannot be made.
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
        journal = cls(path, _connect(path))
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
        """Open the journal of a rollout that was begun.

        Args:
            path: The journal's file.
            only_to_read: Whether to open it without any change of the file or beside it.

        Raises:
            Refused: There is no journal, the file is of another kind or cannot be read to its end,
                or others may read it.
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
        journal = cls(path, _connect_read_only(path) if only_to_read else _connect(path))
        try:
            schema = journal._schema()
            if schema != SCHEMA:
                raise Refused(
                    f"{path}: schema ({schema or 'none'}) must be {SCHEMA}: it is no journal"
                )
            (
                journal.events(),
                journal.samples(),
            )  # a damaged journal must fail now, not in the rollout
        except RollcastError as error:
            journal.close()
            raise Refused(str(error)) from None
        return journal

    def about(self) -> dict[str, str]:
        """Return the facts about the rollout that `begin` has stored.

        Raises:
            JournalBroken: The journal cannot be read, here as in `events`, `times` and `samples`.
        """
        with self._reading():
            return dict(self._database.execute("SELECT key, value FROM about").fetchall())

    def _schema(self) -> str | None:
        with suppress(JournalBroken):
            return self.about().get("schema")
        return None

    def write(self, event: Event, at: str) -> None:
        """Write an event to the disk.

        Args:
            event: The event.
            at: The time of day, for people; nothing is computed from it.

        Raises:
            JournalBroken: The event is not on the disk.
        """
        row = (at, event.t_s, event.kind, event.instance, event.step, event.version, event.text)
        with self._writing():
            self._database.execute(
                "INSERT INTO events (at, t_s, kind, instance, step, version, said) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                row,
            )

    def sample(self, t_s: float, seen: Mapping[str, Any]) -> None:
        """Write a sample of the fleet.

        Args:
            t_s: Seconds since the rollout began.
            seen: The observed values by name.

        Raises:
            JournalBroken: The sample is not on the disk.
        """
        with self._writing():
            self._database.execute(
                "INSERT INTO samples (t_s, seen) VALUES (?, ?)", (t_s, json.dumps(seen))
            )

    def events(self) -> list[Event]:
        """Return every event in its order."""
        self._read_new_events()
        return list(self._events)

    def times(self) -> list[str]:
        """Return the time of day of each event."""
        self._read_new_events()
        return list(self._times)

    def samples(self) -> list[tuple[float, dict[str, Any]]]:
        """Return every sample with its time, in seconds since the rollout began."""
        with self._reading():
            rows = self._new_rows("t_s, seen FROM samples", self._samples)
            self._samples += [(t_s, json.loads(seen)) for t_s, seen in rows]
        return list(self._samples)

    def _read_new_events(self) -> None:
        """Read the events after those that are in memory: written events never change."""
        with self._reading():
            rows = self._new_rows(
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

    def _new_rows(self, columns: str, known: Sequence[object]) -> list[Any]:
        """Return the rows of a table after the known ones: rows are only ever added."""
        ordered = f"SELECT {columns} ORDER BY number LIMIT -1 OFFSET ?"
        return self._database.execute(ordered, (len(known),)).fetchall()

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def discard(self) -> None:
        """Delete the journal, in which nothing has happened."""
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
                with suppress(sqlite3.Error):  # on a full disk even the rollback may fail
                    self._database.execute("ROLLBACK")
            raise JournalBroken(
                f"{self.path}: the journal cannot be written ({error}); nothing more is begun"
            ) from None


def _connect(path: Path) -> sqlite3.Connection:
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


def _connect_read_only(path: Path) -> sqlite3.Connection:
    """Open a database without a change of the file, and without new files beside it."""
    is_in_use = path.with_name(f"{path.name}-wal").exists()
    options = "mode=ro" if is_in_use else "mode=ro&immutable=1"
    return sqlite3.connect(f"{path.absolute().as_uri()}?{options}", uri=True, isolation_level=None)


def _is_blank(path: Path) -> bool:
    """Return whether there is a file without any table: its executor died before it wrote one."""
    try:
        with closing(_connect_read_only(path)) as database:
            (count,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error:
        return False
    return bool(count == 0)
