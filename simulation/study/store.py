"""The store of results beside a scenario: what is stored is not simulated again.

A stored result equals a simulated one to the last bit. The store is one SQLite file. It is a cache,
so it may be deleted at any time.

A cell is one case in one replication. It is stored under all that decides its result: a digest of the
case's scenario and of the simulated time around it (`cell_key`), the number of the replication, and
the engine's version. Cells of another version cannot be used any more and are deleted.

A cell may have been observed for different times. Alone it is observed until it has settled; in a
comparison all cases of a replication are observed until the last of them has settled (model.md §8).
Each observation is stored under its end, with the moment at which the cell alone would have ended.
So a comparison knows its common end from stored cells, and simulates again only what was never
observed until that end. A further candidate that is faster is simulated alone; a slower one moves the
common end, so all others are simulated again.
"""

from __future__ import annotations

import hashlib
import math
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
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
from simulation.scenario.simulated_interval import SimulatedInterval
from simulation.scenario.traffic import TimestampsRate, TraceRate
from simulation.study.running.work import Done, Part, StoredRun, Work

SUFFIX = ".rollcast-cells.sqlite"

_WAIT_S = 30.0
"""Maximum time, in seconds, to wait for another process that writes."""

_TABLES = """
CREATE TABLE IF NOT EXISTS versions (engine TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS keys (id INTEGER PRIMARY KEY, key TEXT UNIQUE NOT NULL);
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


def cell_key(candidate: Scenario, frame: SimulatedInterval) -> str:
    """A digest of all that decides what a candidate's runs give, but their number.

    What is only judged by is left out: name, question, the number of replications, the objectives (but
    for the latency from which on a request is slow, which runs count) and freezes. So is the horizon,
    unless it is given, since a run that has settled never met it. Traffic from a file counts as what is
    in the file. The version of the engine is in it too: a process of an older version may still put cells
    into a file that a newer one has emptied.

    Args:
        candidate: The scenario with the candidate in it.
        frame: The simulated time around the rollout.
    """
    data = candidate.as_data()
    for name in ("name", "question", "replications", "objectives"):
        data.pop(name, None)
    data.get("rollout", {}).pop("freeze", None)
    data["slow_over_s"] = candidate.objectives.latency_p99
    rate = candidate.traffic.rate
    if isinstance(rate, TraceRate | TimestampsRate):
        data["traffic"]["rate"] = rate.content()
    around = asdict(frame)
    if not frame.exact:
        del around["horizon_s"]
    return digest_of({"engine": engine_version(), "scenario": data, "frame": around})


class Store:
    """The stored cells of one scenario file, whatever is changed in that file.

    The store's file is made with the first cell. A store may be used only in the thread that made
    it; several processes may use one file at once.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None

    @classmethod
    def beside(cls, scenario: Path) -> Store:
        """Return the store of a scenario file: beside it, or in the user's cache where the folder is read-only."""
        path = scenario.with_name(scenario.name.removesuffix(".yaml") + SUFFIX)
        if all(os.access(place, os.W_OK) for place in (path.parent, path) if place.exists()):
            return cls(path)
        whole = hashlib.sha256(os.fsencode(scenario.absolute())).hexdigest()[:16]
        return cls(cache_directory("cells") / f"{scenario.stem}-{whole}{SUFFIX}")

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
        """Close the file."""
        if self._connection is not None:
            with self._connected():
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
            BadInput: The file is no store, or cannot be read.
        """
        if not self._open(to_write=False):
            return {}
        runs: dict[int, tuple[float, set[float]]] = {}
        with self._connected() as connection:
            rows = connection.execute(
                "SELECT replication, end_s, alone_end_s FROM cells JOIN keys ON id = key_id"
                " WHERE key = ? AND ? IN (engine, 'auto')"
                " AND (horizon_s = ? OR alone_end_s < min(horizon_s, ?) - 2)",
                (key, engine, frame.horizon_s, math.floor(frame.horizon_s)),
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
            BadInput: The observation is missing, or is no result.
        """
        with self._connected() as connection:
            row = connection.execute(
                "SELECT result FROM cells JOIN keys ON id = key_id"
                " WHERE key = ? AND replication = ? AND end_s = ?",
                (key, replication, end_s),
            ).fetchone()
        if row is None:
            raise BadInput(f"{self.path}: a result was deleted while it was read")
        try:
            return unpack(row[0])
        except ValueError as error:
            raise self._no_store(error) from None

    def put(
        self,
        replication: int,
        frame: SimulatedInterval,
        results: Iterable[tuple[str, RunResult, bytes]],
    ) -> None:
        """Store observations of one replication, all of them or none.

        Args:
            replication: Number of the replication.
            frame: The simulated time around the rollout.
            results: Key, result and packed result of each observation.

        Raises:
            BadInput: The file is no store, or cannot be written.
        """
        self._open(to_write=True)
        with self._connected() as connection, connection:
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

    def _open(self, *, to_write: bool) -> bool:
        """Open the file unless it is open; return False when it is missing and not to be written."""
        if self._connection is not None:
            return True
        if not to_write and not self.path.exists():
            return False
        with self._errors_named():
            connection = sqlite3.connect(self.path, timeout=_WAIT_S)
            try:
                _set_up(connection)
            except BaseException:
                connection.close()
                raise
        self._connection = connection
        return True

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        assert self._connection is not None
        with self._errors_named():
            yield self._connection

    @contextmanager
    def _errors_named(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise BadInput(f"{self.path}: stored results: {error}") from None
        except sqlite3.DatabaseError as error:
            raise self._no_store(error) from None

    def _no_store(self, error: Exception) -> BadInput:
        return BadInput(
            f"{self.path}: holds no stored results ({error}); delete it or move it away"
        )


def _key_id(connection: sqlite3.Connection, key: str) -> int:
    """Return the number of a key; call this within the transaction that uses the number."""
    connection.execute("INSERT OR IGNORE INTO keys (key) VALUES (?)", (key,))
    row: tuple[int] = connection.execute("SELECT id FROM keys WHERE key = ?", (key,)).fetchone()
    return row[0]


def _set_up(connection: sqlite3.Connection) -> None:
    """Set up write-ahead logging, so that a killed process loses nothing it has stored, and the tables."""
    with suppress(
        sqlite3.OperationalError
    ):  # a file system without shared memory keeps the default
        connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.executescript(_TABLES)
    version = engine_version()
    with connection:
        if connection.execute("SELECT engine FROM versions").fetchall() != [(version,)]:
            for table in ("cells", "keys", "versions"):
                connection.execute(f"DELETE FROM {table}")
            connection.execute("INSERT INTO versions VALUES (?)", (version,))


class Archive:
    """A study's view of a store: which of its runs are stored, and where new ones are kept.

    Without a store no run is stored and none is kept. Requests are never stored, so a study that
    wants them simulates every run.
    """

    def __init__(self, work: Work, store: Store | None) -> None:
        self._store = None if work.keep_requests else store
        self._frame = work.frame
        self._keys: list[str] = []
        self._known: list[dict[int, StoredRun]] = [{} for _ in work.cases]
        if self._store is not None:
            self._keys = [cell_key(case.scenario, work.frame) for case in work.cases]
            self._known = [
                self._store.stored_runs(key, work.frame, work.engine) for key in self._keys
            ]

    def part(self, replication: int, candidates: Iterable[int]) -> Part:
        """Return one replication of some cases as a part, with the stored run of each."""
        unknown, known = [], []
        for index in candidates:
            run = self._known[index].get(replication)
            if run is None:
                unknown.append(index)
            else:
                known.append((index, run))
        return Part(replication, tuple(unknown), tuple(known))

    def stored(self, part: Part, end_s: float) -> dict[int, RunResult]:
        """Return the stored results of a part that were observed until ``end_s``, by case."""
        return {
            index: self._store.result(self._keys[index], part.replication, end_s)
            for index, run in part.known
            if self._store is not None and end_s in run.ends_s
        }

    def keep(self, part: Part, done: Done) -> dict[int, RunResult]:
        """Store the results that were just simulated; return all results of the part, stored ones too."""
        results = {
            index: unpack(result) if isinstance(result, bytes) else result
            for index, result in done.items()
        }
        if self._store is not None:
            rows = [
                (
                    self._keys[index],
                    results[index],
                    result if isinstance(result, bytes) else pack(result),
                )
                for index, result in done.items()
            ]
            self._store.put(part.replication, self._frame, rows)
        end_s = next(iter(results.values())).end_s
        return results | self.stored(part, end_s)
