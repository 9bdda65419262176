"""A dask cluster on the loopback, whose scheduler and workers are processes that a test may kill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.helpers.paths import ROOT

WAIT_S = 60.0


def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds; fail after `WAIT_S`."""
    ends_at, pause = time.monotonic() + WAIT_S, threading.Event()
    while not condition():
        assert time.monotonic() < ends_at, "the condition never held"
        pause.wait(0.02)


class Cluster:
    """A scheduler and its workers, each a process of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self.workers: list[subprocess.Popen[bytes]] = []
        file = folder / "scheduler.json"
        here = (
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--no-dashboard",
            "--dashboard-address",
            "127.0.0.1:0",
        )
        self.scheduler = self._begin("scheduler", *here, "--scheduler-file", file)
        until(lambda: file.exists() and file.read_text(encoding="utf-8").endswith("}"))
        self.address: str = json.loads(file.read_text(encoding="utf-8"))["address"]

    def add_worker(self, sources: Path = ROOT) -> None:
        """Start a worker that imports the program from a folder."""
        alone = ("--no-nanny", "--no-dashboard", "--nthreads", "1", "--host", "127.0.0.1")
        self.workers.append(self._begin("worker", self.address, *alone, sources=sources))

    def _begin(
        self, role: str, *options: str | Path, sources: Path = ROOT
    ) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{role}", *map(str, options)],
            cwd=self._folder,
            env={**os.environ, "PYTHONPATH": str(sources)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._processes.append(process)
        return process

    def close(self) -> None:
        for process in reversed(self._processes):
            process.kill()
            process.wait()


@contextmanager
def cluster_of(folder: Path, workers: int) -> Iterator[Cluster]:
    """Run a cluster with this many workers for the length of a block."""
    folder.mkdir(exist_ok=True)
    cluster = Cluster(folder)
    try:
        for _ in range(workers):
            cluster.add_worker()
        yield cluster
    finally:
        cluster.close()
