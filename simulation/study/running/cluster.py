"""The workers of a dask cluster, as places where a study is simulated.

Enters: the address of a scheduler. Leaves: `ClusterWorkers`, reached through the same calls as the
processes of this machine. It needs the extra ``cluster``, which is imported when one is asked for.

It speaks to dask.distributed itself and not through joblib, whose generator of results can neither be
asked to stop or to wait while it waits for the next one, nor let go of what it has sent ahead. How much
is sent in one go is decided in `simulation.study.running.places`, for here and there alike.
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
"""In this time a scheduler must answer."""

_WITHOUT_WORKERS_S = 30.0
"""So long may a cluster be without workers."""

_LOOK_EVERY_S = 1.0


class ClusterWorkers:
    """The workers of a scheduler, as `simulation.study.running.places.Workers`."""

    def __init__(self, address: str, engine: EngineName) -> None:
        """Connects.

        Args:
            address: Of the scheduler, such as ``tcp://10.0.0.1:8786``.
            engine: Which engine simulates.

        Raises:
            BadInput: The scheduler cannot be reached.
        """
        self._address, self._engine = address, engine
        self._client: Any = _connected(address)
        self._executor: Executor = self._client.get_executor(pure=False)
        self._checked: set[str] = set()
        self._count, self._looked_at, self._there_at = 0, -math.inf, time.monotonic()

    def count(self) -> int:
        """The threads of the workers that are there now; they may come and go.

        Each says its version before anything is sent: one that cannot even open what it is sent ends.

        Raises:
            BadInput: There has been none for long, or the scheduler has gone.
            Refused: One has another version.
        """
        now = time.monotonic()
        if now - self._looked_at > _LOOK_EVERY_S:
            self._count = self._looked()
            self._looked_at = now
        if self._count:
            self._there_at = now
        elif now - self._there_at > _WITHOUT_WORKERS_S:
            raise BadInput(f"cluster {self._address}: no worker for {_WITHOUT_WORKERS_S:g} s")
        return self._count

    def _looked(self) -> int:
        try:
            threads: dict[str, int] = self._client.nthreads()
            new = [worker for worker in threads if worker not in self._checked]
            told = self._client.run(engine_version, workers=new, on_error="return") if new else {}
        except (OSError, TimeoutError, ValueError, RuntimeError):
            raise self._gone() from None
        for worker, found in told.items():
            _must_be_the_same(worker, found, engine_version())
        self._checked.update(new)
        return sum(threads.values())

    def submit(self, work: bytes, parts: Sequence[Part]) -> Future[tuple[list[Done], float]]:
        """Has some parts done; dask gives them to another worker when one is lost."""
        return self._executor.submit(
            _done_by_worker, engine_version(), self._engine, work, tuple(parts)
        )

    def answer(self, future: Future[tuple[list[Done], float]]) -> tuple[list[Done], float]:
        """What has come of parts that were submitted.

        Raises:
            BadInput: The scheduler has gone, or what a run raises.
            BrokenExecutor: Several workers were lost while they were at this.
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
        """Nothing: whoever runs the cluster starts its workers."""

    def close(self, *, under_way: bool) -> None:
        """Takes back what no worker has begun; what one is at ends by itself."""
        with suppress(Exception):  # the scheduler may have gone
            if under_way:
                self._executor.shutdown(wait=False)
            self._client.close(timeout=1)

    def _gone(self) -> BadInput:
        return BadInput(f"cluster {self._address}: the scheduler has gone; what has landed is kept")


def _connected(address: str) -> Any:
    """A client of a scheduler that has been seen to answer; one that waits in vain would say so."""
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


def _done_by_worker(
    version: str, engine: EngineName, work: bytes, parts: Sequence[Part]
) -> tuple[list[Done], float]:
    """What a worker does: nothing, when it would do it in another way."""
    from distributed import get_worker

    _must_be_the_same(get_worker().address, engine_version(), version)
    if engine != EngineName.REFERENCE:
        prepare()
    return simulate_for_another(work, parts)


def _must_be_the_same(worker: str, found: Any, asked: str) -> None:
    """Refuses a worker whose results might differ.

    Raises:
        Refused: It has another version, or none at all.
    """
    if isinstance(found, OSError):
        return  # it went while it was asked
    if found != asked:
        has = f"none ({found})" if isinstance(found, BaseException) else found
        raise Refused(
            f"{worker} must have Rollcast {asked}, not {has}; "
            "install the same version there, from the same lock"
        )
