"""The worker processes of this machine.

They are started once and serve one study after the other. They end after `_IDLE_S` without work,
when the process that started them ends in whatever way, or on `stop_workers`.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker

import psutil
from loky import get_reusable_executor

from simulation.study.running.work import Done, Part, simulate_for_another

_IDLE_S = 300
"""Time, in seconds, after which an idle worker process ends."""

_TRIES = 4
"""Maximum number of attempts to start the processes, when one ends before all have answered."""


class _Shared:
    """The worker processes of this program, and their executor."""

    executor: Executor | None = None
    processes: tuple[psutil.Process, ...] = ()


class LocalWorkers:
    """Processes on this machine, as `simulation.study.running.places.Workers`."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._executor = workers(count)

    def count(self) -> int:
        """Return the number of processes that were asked for."""
        return self._count

    def submit(self, work: bytes, parts: Sequence[Part]) -> Future[tuple[list[Done], float]]:
        """Send parts to a process; when one process is lost, all submitted parts are."""
        return self._executor.submit(simulate_for_another, work, parts)

    def answer(self, future: Future[tuple[list[Done], float]]) -> tuple[list[Done], float]:
        """Return the results of parts that were submitted."""
        return future.result()

    def renew(self) -> None:
        """Start processes in place of those that were lost, unless others already are."""
        self._executor = workers(self._count)

    def close(self, *, under_way: bool) -> None:
        """Keep the processes for the next study, or kill them where parts are under way."""
        if under_way:
            stop_workers()


def workers(count: int) -> Executor:
    """Return an executor of running processes; processes that exist are used again.

    Where more exist than are asked for, all of them stay: another study may use them.
    """
    count = max(count, len(_Shared.processes))
    with _interrupts_held_back():
        for tries_left in reversed(range(_TRIES)):
            executor: Executor = get_reusable_executor(
                max_workers=count, timeout=_IDLE_S, initializer=_end_with, initargs=(os.getpid(),)
            )
            _Shared.executor = executor
            try:
                awake = _wake(executor, count)
                _Shared.processes = tuple(psutil.Process(process_id) for process_id in awake)
            except (BrokenExecutor, psutil.NoSuchProcess):  # a process was lost meanwhile
                if not tries_left:
                    raise
            else:
                break
    return executor


def stop_workers() -> None:
    """Kill the processes, whatever they do; call this in the thread that waits for them, if any does.

    The executor must not kill them itself: when it is shut down while it receives work, its thread
    fails with an error of its own. It does handle processes that died.
    """
    for process in _Shared.processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    if _Shared.executor is not None:
        _Shared.executor.shutdown()
    _Shared.executor, _Shared.processes = None, ()


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Hold back interrupts during the context, in this process and in processes started meanwhile.

    Ctrl-C reaches every process of a terminal. Only this process may handle it, by ending the worker
    processes: otherwise each of them would print a traceback of its own.
    """
    resource_tracker.ensure_running()  # its start would undo the block
    held: list[int] = []
    # Where a thread has no mask of signals, the handler alone holds the interrupt back.
    has_mask = hasattr(signal, "pthread_sigmask")
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if has_mask else None
    answers = threading.current_thread() is threading.main_thread()
    handler = (
        signal.signal(signal.SIGINT, lambda number, _: held.append(number)) if answers else None
    )
    try:
        yield
    finally:
        if answers:
            signal.signal(signal.SIGINT, handler)
        if before is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if held:
        raise KeyboardInterrupt


def _wake(executor: Executor, count: int) -> set[int]:
    """Wait until every process has answered once, so that none is still starting; return their ids."""
    awake: set[int] = set()
    for _attempt in range(100):
        awake.update(executor.map(_answer, range(count)))
        if len(awake) >= count:
            break
    return awake


def _answer(_number: int) -> int:
    time.sleep(0.01)  # long enough for another process to take the next one
    return os.getpid()


def _end_with(asker: int) -> None:
    """End this process as soon as the process ``asker`` is gone, even if that was killed."""

    def watch() -> None:
        while os.getppid() == asker:
            time.sleep(1)
        os._exit(1)

    if os.getpid() != asker:
        threading.Thread(target=watch, daemon=True).start()
