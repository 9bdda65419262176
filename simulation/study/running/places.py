"""Simulate the parts of a study in this process, in worker processes, or on a cluster.

Results come in any order. When a study ends early, the parts under way are ended too. Parts of a
process that was lost are simulated again.
"""

from __future__ import annotations

import pickle
import time
from collections import Counter, deque
from collections.abc import Collection, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from typing import Protocol

from executor.base.errors import RollcastError
from simulation.study.execution import Execution
from simulation.study.running.work import Done, Part, Work

_WORTH_PROCESSES_S = 4.0
"""Start worker processes only when at least this many seconds of work are left.

Two processes on two cores need two seconds until both simulate, and then save half of the work that is left.
"""

_LOOK_EVERY_S = 0.1
"""Maximum time between two questions whether to stop or pause, in seconds."""

_SENT_AT_ONCE_S = 0.2
"""Work that is sent to a worker at once, in seconds: far more than sending takes, yet soon over."""

_MOST_AT_ONCE = 64
"""Maximum number of parts that are sent to a worker at once."""

_GRACE_S = 0.6
"""Time, in seconds, that parts under way may take after a stop before their processes are killed."""

_TRIES = 4
"""Maximum number of attempts of a part: after as many lost processes the study ends with an error."""


Answer = tuple[list[Done], float]
"""The results of parts that were sent at once, and how many seconds they took."""


class Workers(Protocol):
    """Processes that simulate, on this machine or others."""

    def count(self) -> int:
        """Return the number of workers now."""

    def submit(self, work: bytes, parts: Sequence[Part]) -> Future[Answer]:
        """Send parts to a worker."""

    def answer(self, future: Future[Answer]) -> Answer:
        """Return the results of parts that were submitted.

        Raises:
            BrokenExecutor: The process that simulated them is lost.
        """

    def renew(self) -> None:
        """Replace processes that were lost."""

    def close(self, *, under_way: bool) -> None:
        """Release the processes; kill those whose parts are still under way."""


def simulate_parts(
    work: Work, parts: Sequence[Part], execution: Execution
) -> Generator[tuple[Part, Done], None, None]:
    """Simulate parts and yield each with its results, in any order.

    This process simulates itself where one process is enough; such a run cannot be ended halfway.

    Raises:
        BadInput: The simulated interval meets a gap or the end of a trace, or the cluster cannot be
            used.
        RollcastError: Processes were lost again and again.
    """
    left = deque(parts)
    if not left:
        return
    if execution.cluster is None and execution.in_process:
        if execution.jobs is None:
            yield from _here(work, left, execution, worth_s=_WORTH_PROCESSES_S)
        if left and _process_count(execution, left) == 1:
            yield from _here(work, left, execution, worth_s=None)
        if not left or execution.is_stopped():
            return
    yield from _elsewhere(work, left, _workers(execution, work, left), execution)


def _process_count(execution: Execution, left: Collection[Part]) -> int:
    from loky import cpu_count  # noqa: PLC0415 - takes a third of a second to import

    return min(execution.jobs or cpu_count(), len(left))


def _workers(execution: Execution, work: Work, left: Collection[Part]) -> Workers:
    # Most comparisons end before other processes are worth their start.
    if execution.cluster is not None:
        from simulation.study.running.cluster import ClusterWorkers  # noqa: PLC0415

        return ClusterWorkers(execution.cluster, work.engine)
    from simulation.study.running.workers import LocalWorkers  # noqa: PLC0415

    return LocalWorkers(_process_count(execution, left))


def _here(
    work: Work, left: deque[Part], execution: Execution, worth_s: float | None
) -> Generator[tuple[Part, Done], None, None]:
    """Simulate in this process, until the remaining work is worth starting worker processes."""
    parts_s: list[float] = []
    while left:
        while execution.is_paused() and not execution.is_stopped():
            time.sleep(_LOOK_EVERY_S)
        if execution.is_stopped():
            return
        # Processor time: what waits for a processor here would wait in other processes, too.
        part, before_s = left.popleft(), time.thread_time()
        done: Done = dict(work.run(part))
        parts_s.append(time.thread_time() - before_s)
        yield part, done
        # The first part loads code that all parts need, so it takes longer than any other.
        if worth_s is not None and len(parts_s) > 1 and min(parts_s) * len(left) > worth_s:
            return


def _elsewhere(
    work: Work, left: deque[Part], workers: Workers, execution: Execution
) -> Generator[tuple[Part, Done], None, None]:
    """Simulate by workers; each has a second batch waiting, so that no worker is ever idle."""
    pickled = pickle.dumps(work, protocol=5)
    lost: Counter[Part] = Counter()
    pending: dict[Future[Answer], list[Part]] = {}
    at_once = 1
    try:
        while left or pending:
            most = 2 * workers.count()
            while left and len(pending) < most and not execution.is_paused():
                fair = max(1, len(left) // most)
                parts = [left.popleft() for _ in range(min(at_once, fair))]
                pending[_submit(workers, pickled, parts)] = parts
            done, _ = wait(pending, _LOOK_EVERY_S, FIRST_COMPLETED)
            if execution.is_stopped():
                _wait_for_running(pending)
                return
            if not pending:
                time.sleep(_LOOK_EVERY_S)
            some_lost = False
            for future in done:
                parts = pending.pop(future)
                try:
                    results, took_s = workers.answer(future)
                except BrokenExecutor:
                    some_lost = True
                    lost.update(parts)
                    left.extendleft(reversed(parts))
                    continue
                at_once = max(1, min(_MOST_AT_ONCE, int(_SENT_AT_ONCE_S * len(parts) / took_s)))
                yield from zip(parts, results, strict=True)
            if some_lost:
                if max(lost.values()) >= _TRIES:
                    raise RollcastError(
                        f"the processes that simulate were lost {_TRIES} times at the same "
                        "replication: too little memory?"
                    )
                workers.renew()
    finally:
        workers.close(under_way=bool(pending))


def _wait_for_running(pending: dict[Future[Answer], list[Part]]) -> None:
    """Wait for `_GRACE_S`: processes that finish in time can serve the next study."""
    for future in pending:
        future.cancel()
    finished, _ = wait(pending, _GRACE_S)
    for future in finished:
        del pending[future]


def _submit(workers: Workers, work: bytes, parts: Sequence[Part]) -> Future[Answer]:
    try:
        return workers.submit(work, parts)
    except BrokenExecutor:  # a process was lost while it was idle
        workers.renew()
        return workers.submit(work, parts)
