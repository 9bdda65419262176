"""Fixtures of every test: Qt without a screen, figures without a window, no thread left over."""

import os
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from typing import Any

# Before anything imports Qt or matplotlib: both read these once.
os.environ["QT_QPA_PLATFORM"] = "offscreen"
os.environ["MPLBACKEND"] = "Agg"

import pytest
from hypothesis import settings

from tests.helpers.paths import ROOT

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("rollcast", deadline=None)
settings.load_profile("rollcast")

LEFTOVER_THREAD_GRACE_S = 30.0

OF_THE_WORKERS = {"ExecutorManagerThread"}
"""Names of threads that serve idle worker processes: the next test may use these processes."""

WATCHDOG = "pytest_timeout "
"""Begin of the name of the thread that ends a test that hangs; the last test still has one."""


def left_over(before: set[threading.Thread], allowed: set[str]) -> list[str]:
    """Return the names of non-daemon threads that began since `before` and do not end."""
    began = [
        thread
        for thread in threading.enumerate()
        if thread not in before
        and not thread.daemon
        and thread.name not in allowed
        and not thread.name.startswith(WATCHDOG)
    ]
    for thread in began:
        thread.join(LEFTOVER_THREAD_GRACE_S)  # one that is ending may end
    return [thread.name for thread in began if thread.is_alive()]


@pytest.fixture(autouse=True)
def no_thread_left_over() -> Iterator[None]:
    """Fail a test that leaves a non-daemon thread behind."""
    before = set(threading.enumerate())
    yield
    alive = left_over(before, OF_THE_WORKERS)
    assert not alive, f"threads still alive after the test: {', '.join(alive)}"


@pytest.fixture(autouse=True)
def no_database_left_open(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test that leaves an SQLite connection open, also to a file that is no database.

    Python 3.13 warns when an open connection is garbage-collected, which may happen in another test.
    Therefore this fixture keeps each connection until the end of its own test.
    """
    still_open: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    class Connection(sqlite3.Connection):
        def close(self) -> None:
            super().close()
            if self in still_open:
                still_open.remove(self)

    def connect_counted(*args: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*args, factory=Connection, **options)
        still_open.append(connection)
        return connection

    monkeypatch.setattr(sqlite3, "connect", connect_counted)
    yield
    left_open = len(still_open)
    for connection in tuple(still_open):
        with suppress(sqlite3.ProgrammingError):  # of another thread, which alone may close it
            connection.close()
    assert left_open == 0, f"SQLite databases still open after the test: {left_open}"


SIMULATING = tuple(
    ROOT / "tests" / name
    for name in (
        "architecture/test_other_systems.py",
        "end_to_end",
        "simulation/control",
        "simulation/engines",
        "simulation/estimates",
        "simulation/planning",
        "simulation/study",
        "studio",
        "test_expected.py",
    )
)
"""Folders and files whose tests simulate; the others do not wait for the fast engine."""


@cache
def compile_engine() -> None:
    from simulation.engines.compiled.prepare import prepare

    prepare()


@pytest.fixture(autouse=True)
def engine_is_ready(request: pytest.FixtureRequest) -> None:
    """Compile the fast engine before the first test that simulates."""
    if any(request.path.is_relative_to(path) for path in SIMULATING):
        compile_engine()


@pytest.fixture(autouse=True, scope="session")
def no_worker_left_over() -> Iterator[None]:
    """End the worker processes of studies after the last test."""
    before = set(threading.enumerate())
    yield
    if "loky" in sys.modules:
        from simulation.study.running.workers import stop_workers

        stop_workers()
    alive = left_over(before, set())
    assert not alive, f"threads still alive after all tests: {', '.join(alive)}"
