"""How a study is carried out, in one value that is made once: by a command, the window or a test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from simulation.results.run_result import EngineName
from simulation.study.store import Store


def _never() -> bool:
    return False


@dataclass(frozen=True)
class Execution:
    """Where a study is simulated, by which engine, where results are stored, and how it is stopped.

    Attributes:
        jobs: Number of processes. None for one process per core; this process then simulates alone
            until the remaining work is worth starting others.
        cluster: The address of a dask scheduler whose workers simulate; None for this machine.
        in_process: Whether this process may simulate. The window sets False, because its interface
            must respond while a study goes on: one job is then another process, too.
        engine: Which engine simulates.
        store: Where results are looked for and kept; None to simulate everything and keep nothing.
        is_stopped: Asked ten times a second, in the thread that waits for results; True ends the
            study.
        is_paused: Asked as often; while it returns True, what has begun is finished and nothing new
            begins.
    """

    jobs: int | None = None
    cluster: str | None = None
    in_process: bool = True
    engine: EngineName = EngineName.AUTO
    store: Store | None = None
    is_stopped: Callable[[], bool] = _never
    is_paused: Callable[[], bool] = _never


DEFAULT_EXECUTION = Execution()
"""Simulates on all cores of this machine and stores nothing."""
