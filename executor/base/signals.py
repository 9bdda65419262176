"""Being asked to stop by a signal, whatever this process inherited.

A shell starts what a script puts in the background with SIGINT and SIGQUIT ignored, and a process
passes on what it ignores to the commands it starts. So every signal that matters here gets a handler
of its own: a handler, unlike an ignored signal, is not inherited by what is executed.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self


def _those_here(*names: str) -> tuple[signal.Signals, ...]:
    """The signals of these names that this system has."""
    return tuple(getattr(signal, name) for name in names if hasattr(signal, name))


STOP_SIGNALS = _those_here("SIGINT", "SIGTERM", "SIGHUP")
"""The signals by which people and systems ask a program to stop."""

_FOR_COMMANDS = _those_here("SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGCHLD")
"""Signals that services use: one that is ignored here must not be ignored in what a step starts."""


def is_wanted_ignored(number: signal.Signals) -> bool:
    """Whether a person wants the signal ignored: ``nohup`` is the wish to outlive the terminal."""
    return number.name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN


def enable_interrupts() -> None:
    """Let Ctrl-C raise `KeyboardInterrupt` also where SIGINT was inherited as ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def interrupt() -> None:
    """Stop as Ctrl-C does: the default of `StopRequests`."""
    raise KeyboardInterrupt


class StopRequests:
    """A block in which SIGINT, SIGTERM and SIGHUP call `on_stop`, in the main thread.

    Attributes:
        on_stop: Called at each request; at first it raises `KeyboardInterrupt`.
    """

    def __init__(self) -> None:
        self.on_stop: Callable[[], None] = interrupt
        self._before: dict[signal.Signals, Any] = {}
        self._mask: set[Any] | None = None

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self  # only the main thread can hear of signals
        for number in STOP_SIGNALS:
            is_ignored = is_wanted_ignored(number)
            self._handle(number, self._pass_by if is_ignored else self._ask)
        for number in _FOR_COMMANDS:
            if signal.getsignal(number) is signal.SIG_IGN:
                self._handle(number, self._pass_by)
        mine = {*STOP_SIGNALS, *_FOR_COMMANDS}
        if hasattr(signal, "pthread_sigmask"):
            self._mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, mine)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _handle(
        self, number: signal.Signals, handler: Callable[[int, FrameType | None], None]
    ) -> None:
        self._before[number] = signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.on_stop()

    def _pass_by(self, number: int, frame: FrameType | None) -> None:
        return
