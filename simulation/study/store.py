"""What has been simulated, kept beside the scenario: nothing that is there is simulated again.

Enters: results, as they land. Leaves: the same results, to the last bit, for whoever would simulate
just that. It is one SQLite file, and a cache: it may be deleted at any time.

A cell is one candidate in one replication, and it is stored under what decides what it gives: a
digest of the candidate's scenario and of the simulated time around it (`cell_key`), the replication's
number, and the engine's version. Cells of another version can never be asked for again and are dropped.

A cell may have been observed for different times. Alone it is observed until it has settled; in a
comparison all candidates of a replication are observed until the last of them has (model.md §8). Each
observation is kept under the moment at which it ends, and each says when the cell alone would have
ended: so a comparison knows its common end from what is stored, and simulates again only what was
never observed until then. A faster candidate more is simulated alone; a slower one moves the end, and
with it everybody.
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
"""For another process that writes."""

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
    """The cells of one scenario file, whatever is changed in it.

    The file is made when the first cell is put. To be used by the thread that made it; several
    processes may use one file at once.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None

    @classmethod
    def beside(cls, scenario: Path) -> Store:
        """The store of a scenario file: next to it, or where that is read-only in the user's cache."""
        path = scenario.with_name(scenario.name.removesuffix(".yaml") + SUFFIX)
        if all(os.access(one, os.W_OK) for one in (path.parent, path) if one.exists()):
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
        """Lets go of the file."""
        if self._connection is not None:
            with self._told():
                self._connection.close()
        self._connection = None

    def known(
        self, key: str, frame: SimulatedInterval, engine: EngineName = EngineName.AUTO
    ) -> dict[int, StoredRun]:
        """What is known of a candidate, by replication.

        A run that has settled does not depend on the horizon, another one does. Bursts are drawn by
        the second, hence whole ones.

        Args:
            key: Of the candidate, see `cell_key`.
            frame: The simulated time around the rollout.
            engine: Whose results will do: ``auto`` for any.

        Raises:
            BadInput: The file is no store, or cannot be read.
        """
        if not self._is_open(to_write=False):
            return {}
        found: dict[int, tuple[float, set[float]]] = {}
        with self._told() as connection:
            rows = connection.execute(
                "SELECT replication, end_s, alone_end_s FROM cells JOIN keys ON id = key_id"
                " WHERE key = ? AND ? IN (engine, 'auto')"
                " AND (horizon_s = ? OR alone_end_s < min(horizon_s, ?) - 2)",
                (key, engine, frame.horizon_s, math.floor(frame.horizon_s)),
            )
            for replication, end_s, alone_end_s in rows:
                found.setdefault(replication, (alone_end_s, set()))[1].add(end_s)
        return {one: StoredRun(alone_s, frozenset(ends)) for one, (alone_s, ends) in found.items()}

    def result(self, key: str, replication: int, end_s: float) -> RunResult:
        """An observation that is known.

        Raises:
            BadInput: It is not there, or no result.
        """
        with self._told() as connection:
            row = connection.execute(
                "SELECT result FROM cells JOIN keys ON id = key_id"
                " WHERE key = ? AND replication = ? AND end_s = ?",
                (key, replication, end_s),
            ).fetchone()
        if row is None:
            raise BadInput(f"{self.path}: a result has gone while it was read")
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
        """Keeps observations of one replication, all or none of them.

        Args:
            replication: Its number.
            frame: The simulated time around the rollout.
            results: Of each the key, the result, and the same packed.

        Raises:
            BadInput: The file is no store, or cannot be written.
        """
        self._is_open(to_write=True)
        with self._told() as connection, connection:
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

    def _is_open(self, *, to_write: bool) -> bool:
        """Opens the file where that is due; whether it is there."""
        if self._connection is not None:
            return True
        if not to_write and not self.path.exists():
            return False
        with self._told_of_the_file():
            connection = sqlite3.connect(self.path, timeout=_WAIT_S)
            try:
                _set_up(connection)
            except BaseException:
                connection.close()
                raise
        self._connection = connection
        return True

    @contextmanager
    def _told(self) -> Iterator[sqlite3.Connection]:
        assert self._connection is not None
        with self._told_of_the_file():
            yield self._connection

    @contextmanager
    def _told_of_the_file(self) -> Iterator[None]:
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
    """The number of a key, asked within the transaction that uses it."""
    connection.execute("INSERT OR IGNORE INTO keys (key) VALUES (?)", (key,))
    found: tuple[int] = connection.execute("SELECT id FROM keys WHERE key = ?", (key,)).fetchone()
    return found[0]


def _set_up(connection: sqlite3.Connection) -> None:
    """A log beside the file, so that a killed process loses nothing that it has put; the tables."""
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
    """A study's share of a store: what of it need not be simulated, and where the rest is kept.

    Without a store nothing is known and nothing kept. Neither are requests: what is asked for them is
    simulated.
    """

    def __init__(self, work: Work, store: Store | None) -> None:
        self._store = None if work.keep_requests else store
        self._frame = work.frame
        self._keys: list[str] = []
        self._known: list[dict[int, StoredRun]] = [{} for _ in work.cases]
        if self._store is not None:
            self._keys = [cell_key(case.scenario, work.frame) for case in work.cases]
            self._known = [self._store.known(key, work.frame, work.engine) for key in self._keys]

    def part(self, replication: int, candidates: Iterable[int]) -> Part:
        """One replication of some candidates, with what is known of each."""
        unknown, known = [], []
        for index in candidates:
            found = self._known[index].get(replication)
            if found is None:
                unknown.append(index)
            else:
                known.append((index, found))
        return Part(replication, tuple(unknown), tuple(known))

    def stored(self, part: Part, end_s: float) -> dict[int, RunResult]:
        """What is stored of a part that ends so; what has not been observed until then is left out."""
        return {
            index: self._store.result(self._keys[index], part.replication, end_s)
            for index, one in part.known
            if self._store is not None and end_s in one.ends_s
        }

    def kept(self, part: Part, done: Done) -> dict[int, RunResult]:
        """All results of a part of which some have just been simulated; these are kept."""
        opened = {
            index: unpack(one) if isinstance(one, bytes) else one for index, one in done.items()
        }
        if self._store is not None:
            rows = [
                (self._keys[index], opened[index], one if isinstance(one, bytes) else pack(one))
                for index, one in done.items()
            ]
            self._store.put(part.replication, self._frame, rows)
        end_s = next(iter(opened.values())).end_s
        return opened | self.stored(part, end_s)
