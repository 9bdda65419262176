"""The processes that studies are simulated in.

They are started once and serve one study after the other. They end when they have waited for long,
when the process that asked for them ends, however it ends, or when they are told to.
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
"""How long they wait for another study."""

_TRIES = 4
"""So often they are started, when one of them ends before all are awake."""


class _Shared:
    """The processes there are, and what hands them their work."""

    executor: Executor | None = None
    processes: tuple[psutil.Process, ...] = ()


class LocalWorkers:
    """Processes on this machine, as `simulation.study.running.places.Workers`."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._executor = workers(count)

    def count(self) -> int:
        """As many as were asked for."""
        return self._count

    def submit(self, work: bytes, parts: Sequence[Part]) -> Future[tuple[list[Done], float]]:
        """Has some parts done; when one process is lost, all that was submitted is."""
        return self._executor.submit(simulate_for_another, work, parts)

    def answer(self, future: Future[tuple[list[Done], float]]) -> tuple[list[Done], float]:
        """What has come of parts that were submitted."""
        return future.result()

    def renew(self) -> None:
        """Others in the place of those that were lost, unless that is done."""
        self._executor = workers(self._count)

    def close(self, *, under_way: bool) -> None:
        """Leaves the processes to the next study, or ends them in the middle of what they do."""
        if under_way:
            stop_workers()


def workers(count: int) -> Executor:
    """Processes, started and awake; the same ones again where they are still there.

    Where there are more than are asked for, there stay as many: another study may be at them.
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
                _Shared.processes = tuple(psutil.Process(one) for one in awake)
            except (BrokenExecutor, psutil.NoSuchProcess):  # one was lost meanwhile
                if not tries_left:
                    raise
            else:
                break
    return executor


def stop_workers() -> None:
    """Ends the processes, whatever they do; to be called by whoever waits for them, if anyone does.

    They are killed here and not by their executor: told to end in the middle of taking in work, its
    thread breaks off with an error of its own; that its processes have died it can cope with.
    """
    for process in _Shared.processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    if _Shared.executor is not None:
        _Shared.executor.shutdown()
    _Shared.executor, _Shared.processes = None, ()


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """An interrupt waits until this is over; processes that are started here never hear of it.

    Ctrl-C reaches every process of a terminal. Only the one that asked may answer: it ends the
    others, which would each leave a traceback of their own, the more so while they start.
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
    """Waits until every process has answered once, so that none is still being started."""
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
    """From now on this process ends when the one that asks is gone, even if that was killed."""

    def watch() -> None:
        while os.getppid() == asker:
            time.sleep(1)
        os._exit(1)

    if os.getpid() != asker:
        threading.Thread(target=watch, daemon=True).start()
