"""The workers of a dask cluster, with the same interface as the processes of this machine.

This module needs the extra ``cluster``, which is imported when a cluster is asked for. It uses
dask.distributed directly and not through joblib: joblib's generator of results can neither stop nor
pause while it waits for the next result, nor cancel what it has sent ahead. How much is sent at once
is decided in `simulation.study.running.places`, for processes and clusters alike.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from contextlib import suppress
from typing import Any

from executor.base.errors import BadInput, Refused
from executor.base.extras import require_extra
from simulation.engine_version import engine_version
from simulation.engines.compiled.prepare import prepare
from simulation.results.run_result import EngineName
from simulation.study.running.work import Done, Part, simulate_for_another

_CONNECTS_S = 5.0
"""Time, in seconds, in which a scheduler must answer."""

_WITHOUT_WORKERS_S = 30.0
"""Maximum time, in seconds, that a cluster may be without workers."""

_LOOK_EVERY_S = 1.0
"""Time between two questions which workers there are, in seconds."""


class ClusterWorkers:
    """The workers of a scheduler, as `simulation.study.running.places.Workers`."""

    def __init__(self, address: str, engine: EngineName) -> None:
        """Connect to a scheduler.

        Args:
            address: Address of the scheduler, such as ``tcp://10.0.0.1:8786``.
            engine: Which engine simulates.

        Raises:
            BadInput: The scheduler cannot be reached.
        """
        self._address, self._engine = address, engine
        self._client: Any = _connect(address)
        self._executor: Executor = self._client.get_executor(pure=False)
        self._checked: set[str] = set()
        self._count, self._counted_at, self._some_at = 0, -math.inf, time.monotonic()

    def count(self) -> int:
        """Return the number of threads of the workers that are there now; workers may come and go.

        Every new worker is asked for its version before anything is sent to it: a worker that cannot
        unpickle what it receives would end.

        Raises:
            BadInput: There has been no worker for `_WITHOUT_WORKERS_S`, or the scheduler has gone.
            Refused: A worker has another version.
        """
        now = time.monotonic()
        if now - self._counted_at > _LOOK_EVERY_S:
            self._count = self._count_threads()
            self._counted_at = now
        if self._count:
            self._some_at = now
        elif now - self._some_at > _WITHOUT_WORKERS_S:
            raise BadInput(f"cluster {self._address}: no worker for {_WITHOUT_WORKERS_S:g} s")
        return self._count

    def _count_threads(self) -> int:
        try:
            threads: dict[str, int] = self._client.nthreads()
            new = [worker for worker in threads if worker not in self._checked]
            versions = (
                self._client.run(engine_version, workers=new, on_error="return") if new else {}
            )
        except (OSError, TimeoutError, ValueError, RuntimeError):
            raise self._gone() from None
        for worker, version in versions.items():
            _check_version(worker, version, engine_version())
        self._checked.update(new)
        return sum(threads.values())

    def submit(self, work: bytes, parts: Sequence[Part]) -> Future[tuple[list[Done], float]]:
        """Send parts to a worker; dask sends them to another one when it is lost."""
        return self._executor.submit(
            _simulate_in_worker, engine_version(), self._engine, work, tuple(parts)
        )

    def answer(self, future: Future[tuple[list[Done], float]]) -> tuple[list[Done], float]:
        """Return the results of parts that were submitted.

        Raises:
            BadInput: The scheduler has gone, or a run raised it.
            BrokenExecutor: Several workers were lost while they simulated these parts.
            Refused: The worker has another version.
        """
        from distributed import KilledWorker

        try:
            return future.result()
        except KilledWorker as error:
            raise BrokenExecutor(str(error)) from None
        except CancelledError:
            raise self._gone() from None

    def renew(self) -> None:
        """Do nothing: the operator of the cluster starts its workers."""

    def close(self, *, under_way: bool) -> None:
        """Cancel parts that no worker has begun; parts under way end by themselves."""
        with suppress(Exception):  # the scheduler may have gone
            if under_way:
                self._executor.shutdown(wait=False)
            self._client.close(timeout=1)

    def _gone(self) -> BadInput:
        return BadInput(
            f"cluster {self._address}: the scheduler has gone; finished results are kept"
        )


def _connect(address: str) -> Any:
    """Return a client of a scheduler; ask first, because a client that waits in vain prints warnings."""
    require_extra("cluster", f"cluster {address}:")
    from distributed import Client

    try:
        asyncio.run(_ask(address))
        return Client(address, timeout=_CONNECTS_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        why = " ".join(str(error.__cause__ or error).split()) or "it does not answer"
        raise BadInput(f"cluster {address}: cannot be reached: {why}") from None


async def _ask(address: str) -> None:
    from distributed.comm import connect

    comm = await connect(address, timeout=_CONNECTS_S)
    await comm.close()


def _simulate_in_worker(
    version: str, engine: EngineName, work: bytes, parts: Sequence[Part]
) -> tuple[list[Done], float]:
    """Simulate parts in a worker, after a check that it has the same version."""
    from distributed import get_worker

    _check_version(get_worker().address, engine_version(), version)
    if engine != EngineName.REFERENCE:
        prepare()
    return simulate_for_another(work, parts)


def _check_version(worker: str, version: Any, expected: str) -> None:
    """Refuse a worker whose results might differ.

    Raises:
        Refused: The worker has another version, or none at all.
    """
    if isinstance(version, OSError):
        return  # the worker left while it was asked
    if version != expected:
        has = f"none ({version})" if isinstance(version, BaseException) else version
        raise Refused(
            f"{worker} must have Rollcast {expected}, not {has}; "
            "install the same version there, from the same lock"
        )
