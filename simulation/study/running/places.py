"""Where a study is simulated: in this process, in others, or on a cluster.

Enters: a `Work` and its parts. Leaves: what each part gives, as it lands, in any order. Whatever ends
a study before its time ends what is under way; what a lost process was at is done again.
"""

from __future__ import annotations

import pickle
import time
from collections import Counter, deque
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from typing import Protocol

from joblib import cpu_count

from executor.base.errors import RollcastError
from simulation.study.execution import Execution
from simulation.study.running.cluster import ClusterWorkers
from simulation.study.running.work import Done, Part, Work
from simulation.study.running.workers import LocalWorkers

_WORTH_PROCESSES_S = 2.0
"""So much work is worth the start of other processes."""

_LOOK_EVERY_S = 0.1

_SENT_AT_ONCE_S = 0.2
"""So much work is sent in one go: far more than sending takes, and soon over."""

_MOST_AT_ONCE = 64

_GRACE_S = 0.6
"""So long what is under way may still take when a study is ended, before its processes are."""

_TRIES = 4
"""A part whose process has been lost so often is not tried again."""


Answer = tuple[list[Done], float]
"""What parts that were sent in one go give, and how many seconds they took."""


class Workers(Protocol):
    """Processes that simulate, here or elsewhere."""

    def count(self) -> int:
        """How many there are now."""

    def submit(self, work: bytes, parts: Sequence[Part]) -> Future[Answer]:
        """Has some parts done."""

    def answer(self, future: Future[Answer]) -> Answer:
        """What has come of parts that were submitted.

        Raises:
            BrokenExecutor: The process that was at them is lost.
        """

    def renew(self) -> None:
        """Replaces processes that were lost."""

    def close(self, *, under_way: bool) -> None:
        """Lets go of the processes; what is under way is ended."""


def simulate_parts(
    work: Work, parts: Sequence[Part], execution: Execution
) -> Generator[tuple[Part, Done], None, None]:
    """What each part gives, as it lands.

    What one process can do is done in this one, which cannot be ended in the middle of a run.

    Raises:
        BadInput: The simulated interval meets a gap or the end of a trace, or the cluster cannot be
            used.
        RollcastError: Processes were lost again and again.
    """
    left = deque(parts)
    if not left:
        return
    workers: Workers
    if execution.cluster is not None:
        workers = ClusterWorkers(execution.cluster, work.engine)
    else:
        count = min(execution.jobs or cpu_count(), len(left))
        if execution.in_process and (count == 1 or execution.jobs is None):
            yield from _here(
                work, left, execution, worth_s=_WORTH_PROCESSES_S if count > 1 else None
            )
            if not left or execution.is_stopped():
                return
        workers = LocalWorkers(count)
    yield from _elsewhere(work, left, workers, execution)


def _here(
    work: Work, left: deque[Part], execution: Execution, worth_s: float | None
) -> Generator[tuple[Part, Done], None, None]:
    """Simulates in this process, until what is left is worth others."""
    first = True
    while left:
        while execution.is_paused() and not execution.is_stopped():
            time.sleep(_LOOK_EVERY_S)
        if execution.is_stopped():
            return
        part, before_s = left.popleft(), time.monotonic()
        yield part, dict(work.run(part))
        # The first one says nothing: it loads what all of them need.
        took_s = 0.0 if first else time.monotonic() - before_s
        if worth_s is not None and took_s * len(left) > worth_s:
            return
        first = False


def _elsewhere(
    work: Work, left: deque[Part], workers: Workers, execution: Execution
) -> Generator[tuple[Part, Done], None, None]:
    """Simulates by workers; each always has something to go on with."""
    packed = pickle.dumps(work, protocol=5)
    lost: Counter[Part] = Counter()
    pending: dict[Future[Answer], list[Part]] = {}
    at_once = 1
    try:
        while left or pending:
            most = 2 * workers.count()
            while left and len(pending) < most and not execution.is_paused():
                fair = max(1, len(left) // most)
                parts = [left.popleft() for _ in range(min(at_once, fair))]
                pending[_submitted(workers, packed, parts)] = parts
            done, _ = wait(pending, _LOOK_EVERY_S, FIRST_COMPLETED)
            if execution.is_stopped():
                _let_finish(pending)
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


def _let_finish(pending: dict[Future[Answer], list[Part]]) -> None:
    """Waits a moment, so that processes that are soon done can serve the next study."""
    for future in pending:
        future.cancel()
    finished, _ = wait(pending, _GRACE_S)
    for future in finished:
        del pending[future]


def _submitted(workers: Workers, work: bytes, parts: Sequence[Part]) -> Future[Answer]:
    try:
        return workers.submit(work, parts)
    except BrokenExecutor:  # a process was lost while it had nothing to do
        workers.renew()
        return workers.submit(work, parts)
