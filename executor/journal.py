"""The journal: what was meant and what came of it, on disk before and after each action.

Enters: events, and now and then a sample of the fleet. Leaves: the same, after any crash. SQLite
with a write-ahead log and `synchronous=FULL`: what `write` has returned from is on the disk. Only
the owner may read it.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from executor.errors import BadInput, Refused, RollcastError
from executor.plan import Step
from executor.progress import Event, Kind

SCHEMA = "rollcast.journal/1"

_TABLES = """
CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE events (
  number INTEGER PRIMARY KEY, at TEXT NOT NULL, t_s REAL NOT NULL, kind TEXT NOT NULL,
  instance TEXT NOT NULL, step TEXT, version TEXT NOT NULL, said TEXT NOT NULL);
CREATE TABLE samples (number INTEGER PRIMARY KEY, t_s REAL NOT NULL, seen TEXT NOT NULL);
"""


class JournalBroken(RollcastError):
    """It cannot be written: nothing more may begin."""

    exit_code = 4


class Journal:
    """An open journal."""

    def __init__(self, path: Path, database: sqlite3.Connection) -> None:
        self.path = path
        self._database = database

    @classmethod
    def begin(cls, path: Path, about: Mapping[str, str]) -> Journal:
        """A new journal, readable by its owner only.

        Raises:
            Refused: There is one already.
            BadInput: It cannot be made.
        """
        try:
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
        except JournalBroken:
            journal.discard()
            raise
        return journal

    @classmethod
    def open(cls, path: Path) -> Journal:
        """The journal of a rollout that was begun.

        Raises:
            Refused: There is none, it is another kind of file, or others may read it.
        """
        if not path.exists():
            raise Refused(f"{path}: there is no journal of this plan, so nothing to resume")
        mode = path.stat().st_mode & 0o777
        if mode & 0o077:
            raise Refused(f"{path}: mode ({mode:04o}) must be 0600: others could have changed it")
        journal = cls(path, _opened(path))
        try:
            said = journal.about().get("schema")
        except (sqlite3.Error, RollcastError):
            said = None
        if said != SCHEMA:
            journal.close()
            raise Refused(f"{path}: schema ({said or 'none'}) must be {SCHEMA}: it is no journal")
        return journal

    def about(self) -> dict[str, str]:
        """What it is the journal of."""
        return dict(self._database.execute("SELECT key, value FROM about").fetchall())

    def write(self, event: Event, at: str) -> None:
        """Puts an event on the disk.

        Args:
            event: What is meant or has happened.
            at: The time of day, for people; nothing is computed from it.

        Raises:
            JournalBroken: It is not there, whatever the reason.
        """
        row = (at, event.t_s, event.kind, event.instance, event.step, event.version, event.said)
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
        rows = self._database.execute(
            "SELECT t_s, kind, instance, step, version, said FROM events ORDER BY number"
        )
        return [
            Event(t_s, Kind(kind), instance, Step(step) if step else None, version, said)
            for t_s, kind, instance, step, version, said in rows
        ]

    def times(self) -> list[str]:
        """The time of day of each event."""
        return [at for (at,) in self._database.execute("SELECT at FROM events ORDER BY number")]

    def samples(self) -> list[tuple[float, dict[str, Any]]]:
        """Every sample and when it was taken."""
        rows = self._database.execute("SELECT t_s, seen FROM samples ORDER BY number")
        return [(t_s, json.loads(seen)) for t_s, seen in rows]

    def close(self) -> None:
        """Lets go of the file."""
        self._database.close()

    def discard(self) -> None:
        """Takes it off the disk: nothing has happened that it could tell."""
        self.close()
        for beside in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + beside).unlink(missing_ok=True)

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
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
    except sqlite3.Error as error:
        raise Refused(f"{path}: is no journal: {error}") from None
    return database
