"""The store of results beside a scenario: what is stored is not simulated again.

A stored result equals a simulated one to the last bit. The store is one SQLite file. It is a cache,
so it may be deleted at any time.

A cell is one case in one replication. It is stored under all that decides its result: a digest of the
case's scenario and of the simulated time around it (`cell_key`), the number of the replication, and
the engine's version. Cells of another version cannot be used any more and are deleted.

The figures of a cell without its rollout are stored with the cell. The controls of a comparison, with
their series, are cells of their own.

A cell may have been observed for different times. Alone it is observed until it has settled; in a
comparison all cases of a replication are observed until the last of them has settled (model.md §8).
Each observation is stored under its end, with the moment at which the cell alone would have ended.
So a comparison knows its common end from stored cells, and simulates again only what was never
observed until that end. A further candidate that is faster is simulated alone; a slower one moves the
common end, so all others are simulated again.

All stores together keep to `store_list.LIMIT_BYTES`: what was used longest ago is dropped first. A store
that cannot be read or written is given up with one message, and its study goes on without it.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType

from executor.base.canonical_json import digest_of
from executor.base.directories import cache_directory
from executor.base.errors import BadInput
from simulation.engine_version import engine_version
from simulation.results.result_bytes import pack, unpack
from simulation.results.run_result import EngineName, RunResult
from simulation.scenario.model import Scenario
from simulation.scenario.simulated_interval import ENDS_WITHIN_S, SimulatedInterval
from simulation.study.running.shared_runs import simulated_data
from simulation.study.running.work import Done, Part, StoredRun, Work
from simulation.study.store_list import LIMIT_BYTES, listed_stores, record_use, size_bytes

_logger = logging.getLogger(__name__)

SUFFIX = ".rollcast-cells.sqlite"

_WAIT_S = 30.0
"""Maximum time, in seconds, to wait for another process that writes."""

_CHECKED_EVERY = 64
"""The limit is checked after one in so many writes of results, each of a few kilobytes for each case."""

_ROOM_FRACTION = 0.9
"""Share of the limit that is still used after results were dropped, so that not every write drops some."""

_VERSIONS = "CREATE TABLE IF NOT EXISTS versions (engine TEXT PRIMARY KEY)"

_TABLES = """
CREATE TABLE IF NOT EXISTS keys (
    id INTEGER PRIMARY KEY,
    key TEXT UNIQUE NOT NULL,
    used_s REAL NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS cells (
    key_id INTEGER NOT NULL REFERENCES keys,
    replication INTEGER NOT NULL,
    end_s REAL NOT NULL,
    alone_end_s REAL NOT NULL,
    horizon_s REAL NOT NULL,
    engine TEXT NOT NULL,
    result BLOB NOT NULL,
    PRIMARY KEY (key_id, replication, end_s)
);
"""


ProblemCallback = Callable[[str], None]
"""Called with the reason when a store cannot be used any more, in one line."""


def log_problem(problem: str) -> None:
    """Log why a store cannot be used any more."""
    _logger.warning("%s", problem)


class ResultDeleted(Exception):
    """A stored result was deleted by another process while a study counted on it."""


def cell_key(candidate: Scenario, frame: SimulatedInterval) -> str:
    """A digest of all that decides what a candidate's runs give, but their number.

    `shared_runs.simulated_data` says what of the scenario decides nothing and is left out; the
    length of the stretches is in the frame. So is the horizon, unless it is given, since a run that has settled never met it. The version of the engine is in
    it too: a process of an older version may still put cells into a file that a newer one has emptied.

    Args:
        candidate: The scenario with the candidate in it.
        frame: The simulated time around the rollout.
    """
    around = asdict(frame)
    if not frame.exact:
        del around["horizon_s"]
    return digest_of(
        {"engine": engine_version(), "scenario": simulated_data(candidate), "frame": around}
    )


class Store:
    """The stored cells of one scenario file, whatever is changed in that file.

    The store's file is made with the first cell. A store may be used only in the thread that made
    it; several processes may use one file at once.
    """

    def __init__(
        self,
        path: Path,
        on_problem: ProblemCallback = log_problem,
        limit_bytes: int = LIMIT_BYTES,
    ) -> None:
        """Make the store of a file; the file is opened when it is first needed.

        Args:
            path: The file.
            on_problem: Called once, when the store is given up, with the reason.
            limit_bytes: Maximum size of all stores together, in bytes.
        """
        self.path = path
        self._on_problem = on_problem
        self._limit_bytes = limit_bytes
        self._connection: sqlite3.Connection | None = None
        self._is_given_up = False
        self._used: set[str] = set()
        self._write_count = 0

    @classmethod
    def beside(cls, scenario: Path, on_problem: ProblemCallback = log_problem) -> Store:
        """Return the store of a scenario file: beside it, or in the user's cache where the folder is read-only."""
        path = scenario.with_name(scenario.name.removesuffix(".yaml") + SUFFIX)
        if all(os.access(place, os.W_OK) for place in (path.parent, path) if place.exists()):
            return cls(path, on_problem)
        whole = hashlib.sha256(os.fsencode(scenario.absolute())).hexdigest()[:16]
        with suppress(BadInput):  # no cache either: the first write beside the scenario says so
            path = cache_directory("cells") / f"{scenario.stem}-{whole}{SUFFIX}"
        return cls(path, on_problem)

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Note what was used, keep to the limit, and close the file."""
        if self._connection is not None:
            with suppress(sqlite3.Error):  # everything is stored; what follows can wait
                self._note_use()
                if self._write_count:
                    self._keep_to_limit()
        self._disconnect()

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None

    def stored_runs(
        self, key: str, frame: SimulatedInterval, engine: EngineName = EngineName.AUTO
    ) -> dict[int, StoredRun]:
        """Return the stored runs of a case, by replication.

        A run that has settled does not depend on the horizon; a run that has not does. Bursts are
        drawn by the second, so whole seconds are compared.

        Args:
            key: Key of the case, see `cell_key`.
            frame: The simulated time around the rollout.
            engine: The engine whose results are wanted; ``auto`` for those of any.

        Raises:
            BadInput: The file is no store.
        """
        runs: dict[int, tuple[float, set[float]]] = {}
        with self._given_up_on_error():
            connection = self._open(to_write=False)
            if connection is None:
                return {}
            self._used.add(key)
            rows = connection.execute(
                "SELECT replication, end_s, alone_end_s FROM cells JOIN keys ON id = key_id"
                " WHERE key = ? AND ? IN (engine, 'auto')"
                " AND (horizon_s = ? OR alone_end_s + ? < min(horizon_s, ?) - 2)",
                (key, engine, frame.horizon_s, ENDS_WITHIN_S, math.floor(frame.horizon_s)),
            )
            for replication, end_s, alone_end_s in rows:
                runs.setdefault(replication, (alone_end_s, set()))[1].add(end_s)
        return {
            replication: StoredRun(alone_s, frozenset(ends))
            for replication, (alone_s, ends) in runs.items()
        }

    def result(self, key: str, replication: int, end_s: float) -> RunResult:
        """Return a stored observation.

        Raises:
            ResultDeleted: The observation is not there any more.
            BadInput: The observation is no result.
        """
        row = None
        with self._given_up_on_error():
            connection = self._open(to_write=False)
            if connection is not None:
                row = connection.execute(
                    "SELECT result FROM cells JOIN keys ON id = key_id"
                    " WHERE key = ? AND replication = ? AND end_s = ?",
                    (key, replication, end_s),
                ).fetchone()
        if row is None:
            raise ResultDeleted(f"{self.path}: a result was deleted while it was read")
        try:
            return unpack(row[0])
        except ValueError as error:
            raise self._no_store(error) from None

    def put(
        self,
        replication: int,
        frame: SimulatedInterval,
        results: Sequence[tuple[str, RunResult, bytes]],
    ) -> None:
        """Store observations of one replication, all of them or none; a store that was given up stores none.

        Args:
            replication: Number of the replication.
            frame: The simulated time around the rollout.
            results: Key, result and packed result of each observation.

        Raises:
            BadInput: The file is no store.
        """
        with self._given_up_on_error():
            connection = self._open(to_write=True)
            if connection is None:
                return
            with connection:
                rows = [
                    (
                        _key_id(connection, key),
                        replication,
                        result.end_s,
                        frame.alone_end_s(result.settled_s),
                        frame.horizon_s,
                        result.engine,
                        packed,
                    )
                    for key, result, packed in results
                ]
                connection.executemany(
                    "INSERT OR REPLACE INTO cells VALUES (?, ?, ?, ?, ?, ?, ?)", rows
                )
            self._used.update(key for key, _, _ in results)
            self._write_count += 1
            if self._write_count % _CHECKED_EVERY == 0:
                self._keep_to_limit()

    def cell_count(self) -> int:
        """Return the number of stored observations; 0 where there is no file, or the file is no store."""
        if not self.path.exists():
            return 0
        with suppress(sqlite3.Error), closing(sqlite3.connect(self.path)) as connection:
            return int(connection.execute("SELECT count(*) FROM cells").fetchone()[0])
        return 0

    def empty(self) -> None:
        """Delete everything that is stored; another process that uses the store may go on.

        The file itself stays: SQLite does not allow to delete one that another process has open.

        Raises:
            BadInput: The file is no store.
        """
        with self._given_up_on_error():
            connection = self._open(to_write=False)
            if connection is not None:
                with connection:
                    connection.execute("DELETE FROM cells")
                    connection.execute("DELETE FROM keys")
                _give_back(connection)

    def _note_use(self) -> None:
        assert self._connection is not None
        with self._connection:
            now_s = time.time()
            self._connection.executemany(
                "UPDATE keys SET used_s = ? WHERE key = ?", [(now_s, key) for key in self._used]
            )

    def _keep_to_limit(self) -> None:
        """Empty the stores that were used longest ago, then drop own cases, until the limit is kept."""
        others = [store for store in listed_stores() if store.path != self.path.absolute()]
        excess_bytes = self._size_bytes() + sum(o.size_bytes for o in others) - self._limit_bytes
        if excess_bytes <= 0:
            return
        excess_bytes += round((1 - _ROOM_FRACTION) * self._limit_bytes)
        for other in reversed(others):
            if excess_bytes <= 0:
                return
            with suppress(BadInput):  # no store any more: somebody else's file
                with Store(other.path, lambda _problem: None) as store:
                    store.empty()
                excess_bytes -= other.size_bytes - size_bytes(other.path)
        self._drop_oldest(excess_bytes)

    def _size_bytes(self) -> int:
        """Return the size of the pages that are in use; free pages are used again before the file grows."""
        assert self._connection is not None
        pages, free, page_bytes = (
            int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * page_bytes

    def _drop_oldest(self, excess_bytes: int) -> None:
        """Delete the cases that were used longest ago, except those of this study."""
        connection = self._connection
        assert connection is not None
        rows = connection.execute(
            "SELECT id, key, sum(length(result)) FROM keys JOIN cells ON id = key_id"
            " GROUP BY id ORDER BY used_s, id"
        ).fetchall()
        dropped = []
        for number, key, case_bytes in rows:
            if excess_bytes <= 0:
                break
            if key not in self._used:
                dropped.append((number,))
                excess_bytes -= case_bytes
        with connection:
            connection.executemany("DELETE FROM cells WHERE key_id = ?", dropped)
            connection.executemany("DELETE FROM keys WHERE id = ?", dropped)
        _give_back(connection)
        if self._size_bytes() > self._limit_bytes:
            self._give_up(f"results of this study reach the limit of {self._limit_bytes:,} bytes")

    def _open(self, *, to_write: bool) -> sqlite3.Connection | None:
        """Return the open file; None when it is missing and not to be written, or was given up."""
        if self._is_given_up:
            return None
        if self._connection is None and (to_write or self.path.exists()):
            connection = sqlite3.connect(self.path, timeout=_WAIT_S)
            try:
                _set_up(connection)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
            record_use(self.path)
        return self._connection

    @contextmanager
    def _given_up_on_error(self) -> Iterator[None]:
        """Give the store up when its file cannot be read or written: the disk is full, say.

        Raises:
            BadInput: The file is no store.
        """
        try:
            yield
        except sqlite3.OperationalError as error:
            self._give_up(str(error))
        except sqlite3.DatabaseError as error:
            raise self._no_store(error) from None

    def _give_up(self, reason: str) -> None:
        if not self._is_given_up:
            self._is_given_up = True
            self._on_problem(f"{self.path}: results are not stored: {reason}")
        self._disconnect()

    def _no_store(self, error: Exception) -> BadInput:
        return BadInput(
            f"{self.path}: holds no stored results ({error}); delete it or move it away"
        )


def _key_id(connection: sqlite3.Connection, key: str) -> int:
    """Return the number of a key; call this within the transaction that uses the number."""
    connection.execute("INSERT OR IGNORE INTO keys (key) VALUES (?)", (key,))
    row: tuple[int] = connection.execute("SELECT id FROM keys WHERE key = ?", (key,)).fetchone()
    return row[0]


def _give_back(connection: sqlite3.Connection) -> None:
    """Return free pages to the system, as far as no other process reads meanwhile."""
    with suppress(sqlite3.OperationalError):
        # `execute` would free one page only: it stops after the first step of a statement without columns.
        connection.executescript("PRAGMA incremental_vacuum")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _set_up(connection: sqlite3.Connection) -> None:
    """Set up write-ahead logging, so that a killed process loses nothing it has stored, and the tables."""
    with suppress(
        sqlite3.OperationalError
    ):  # a file system without shared memory keeps the default
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # counts for a new file only
        connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(_VERSIONS)
    version = engine_version()
    with connection:
        if connection.execute("SELECT engine FROM versions").fetchall() != [(version,)]:
            # Another version may have made tables with other columns.
            connection.execute("DROP TABLE IF EXISTS cells")
            connection.execute("DROP TABLE IF EXISTS keys")
            connection.execute("DELETE FROM versions")
            connection.execute("INSERT INTO versions VALUES (?)", (version,))
    connection.executescript(_TABLES)


class Archive:
    """A study's view of a store: which of its runs are stored, and where new ones are kept.

    Without a store no run is stored and none is kept. Requests are never stored, so a study that
    wants them simulates every run.
    """

    def __init__(self, work: Work, store: Store | None) -> None:
        self._store = None if work.keep_requests else store
        self._work = work
        self._keys: dict[int, str] = {}
        self._known: dict[int, dict[int, StoredRun]] = {}

    def _key(self, index: int) -> str:
        """Return the key of a case or a control."""
        if index not in self._keys:
            cases, controls = self._work.cases, self._work.controls.each
            number = index - len(cases)
            scenario = cases[index].scenario if number < 0 else controls[number].scenario
            self._keys[index] = cell_key(scenario, self._work.frame)
        return self._keys[index]

    def _stored_run(self, index: int, replication: int) -> StoredRun | None:
        if self._store is None:
            return None
        if index not in self._known:
            self._known[index] = self._store.stored_runs(
                self._key(index), self._work.frame, self._work.engine
            )
        return self._known[index].get(replication)

    def part(
        self, replication: int, candidates: Iterable[int], controls: Iterable[int] = ()
    ) -> Part:
        """Return one replication of some cases as a part, with the stored run of each.

        Args:
            replication: Number of the replication.
            candidates: The cases.
            controls: The controls whose results are wanted.
        """
        unknown, known = [], []
        for index in candidates:
            run = self._stored_run(index, replication)
            if run is None:
                unknown.append(index)
            else:
                known.append((index, run))
        stored_controls = []
        for index in controls:
            run = self._stored_run(index, replication)
            stored_controls.append((index, frozenset[float]() if run is None else run.ends_s))
        return Part(replication, tuple(unknown), tuple(known), tuple(stored_controls))

    def stored(self, part: Part, end_s: float) -> dict[int, RunResult]:
        """Return the stored results of a part that were observed until ``end_s``, by case.

        Raises:
            ResultDeleted: A result is not there any more; see `Part.afresh`.
        """
        ends = [*((index, run.ends_s) for index, run in part.known), *part.controls]
        return {
            index: self._store.result(self._key(index), part.replication, end_s)
            for index, ends_s in ends
            if self._store is not None and end_s in ends_s
        }

    def keep(self, part: Part, done: Done) -> dict[int, RunResult]:
        """Store the results that were just simulated; return all results of the part, stored ones too.

        Raises:
            ResultDeleted: A stored result of the part is not there any more; see `Part.afresh`.
        """
        results = {
            index: unpack(result) if isinstance(result, bytes) else result
            for index, result in done.items()
        }
        if self._store is not None:
            rows = [
                (
                    self._key(index),
                    results[index],
                    result if isinstance(result, bytes) else pack(result),
                )
                for index, result in done.items()
            ]
            self._store.put(part.replication, self._work.frame, rows)
        end_s = next(iter(results.values())).end_s
        return results | self.stored(part, end_s)
