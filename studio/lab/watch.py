"""Samples of a fleet at work: the pool and the queue from HAProxy, and the use of the processor."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

import psutil

from executor.fleet.balancers.base import BalancerError, BalancerState

EVERY_S = 0.05


@dataclass(frozen=True)
class Sample:
    """The state of HAProxy at one moment.

    Attributes:
        at_s: Time on the machine's monotonic clock, in seconds.
        in_pool: The servers that HAProxy sends to.
        queued_count: Number of waiting requests.
    """

    at_s: float
    in_pool: tuple[str, ...]
    queued_count: int


class Watch:
    """A block in which a thread takes twenty samples per second."""

    def __init__(self, observe: Callable[[], BalancerState]) -> None:
        self._observe = observe
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lab watch", daemon=True)
        self.samples: list[Sample] = []
        self.cpu_fraction = 0.0

    def __enter__(self) -> Watch:
        self._begin = _cpu_s()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        used_s, all_s = (now - was for now, was in zip(_cpu_s(), self._begin, strict=True))
        self.cpu_fraction = used_s / all_s if all_s > 0 else 0.0

    def _run(self) -> None:
        due_s = time.monotonic()
        while not self._stop.wait(max(0.0, due_s - time.monotonic())):
            due_s += EVERY_S
            with suppress(BalancerError):
                state = self._observe()
                in_pool = tuple(name for name, server in state.servers.items() if server.is_in_pool)
                self.samples.append(Sample(time.monotonic(), in_pool, state.queued_count))


def _cpu_s() -> tuple[float, float]:
    """Return the used and the total seconds of the processors that this process may use."""
    mine = os.sched_getaffinity(0)
    used_s = all_s = 0.0
    for number, times in enumerate(psutil.cpu_times(percpu=True)):
        if number in mine:
            idle_s = times.idle + getattr(times, "iowait", 0.0)
            # Linux counts a guest's time in user's too.
            whole_s = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
            used_s += whole_s - idle_s
            all_s += whole_s
    return used_s, all_s
