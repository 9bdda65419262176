"""Handle the signals that ask the program to stop, whatever this process inherited.

A shell starts background commands of a script with SIGINT and SIGQUIT ignored, and a process passes
its ignored signals on to the commands that it starts. So every signal that matters here gets a
handler: unlike an ignored signal, a handler is not inherited by a started command.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self


def _available_signals(*names: str) -> tuple[signal.Signals, ...]:
    """Return the signals of these names that this system has."""
    return tuple(getattr(signal, name) for name in names if hasattr(signal, name))


STOP_SIGNALS = _available_signals("SIGINT", "SIGTERM", "SIGHUP")
"""The signals by which people and systems ask a program to stop."""

_FOR_COMMANDS = _available_signals("SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGCHLD")
"""Signals that services use, and that must not be ignored in the commands of a step."""


INTERRUPTED = 130
"""Exit code of a program that a person interrupted: 128 and the number of SIGINT."""


def is_wanted_ignored(number: signal.Signals) -> bool:
    """Return whether a user wants the signal ignored: ``nohup`` ignores SIGHUP to outlive the terminal."""
    return number.name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN


def enable_interrupts() -> None:
    """Let Ctrl-C raise `KeyboardInterrupt` also where SIGINT was inherited as ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def interrupt() -> None:
    """Stop as Ctrl-C does: the default of `StopRequests`."""
    raise KeyboardInterrupt


class StopRequests:
    """A context in which SIGINT, SIGTERM and SIGHUP call `on_stop`, in the main thread.

    Attributes:
        on_stop: Called at each request; raises `KeyboardInterrupt` unless it is replaced.
        was_requested: Whether there was a request.
    """

    def __init__(self, on_stop: Callable[[], object] = interrupt) -> None:
        self.on_stop = on_stop
        self.was_requested = False
        self._old_handlers: dict[signal.Signals, Any] = {}
        self._old_mask: set[Any] | None = None

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self  # Python delivers signals to the main thread only
        for number in STOP_SIGNALS:
            is_ignored = is_wanted_ignored(number)
            self._set_handler(number, self._do_nothing if is_ignored else self._request_stop)
        for number in _FOR_COMMANDS:
            if signal.getsignal(number) is signal.SIG_IGN:
                self._set_handler(number, self._do_nothing)
        handled = {*STOP_SIGNALS, *_FOR_COMMANDS}
        if hasattr(signal, "pthread_sigmask"):
            self._old_mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, handled)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._old_mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._old_mask)
        for number, handler in self._old_handlers.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _set_handler(
        self, number: signal.Signals, handler: Callable[[int, FrameType | None], None]
    ) -> None:
        self._old_handlers[number] = signal.signal(number, handler)

    def _request_stop(self, number: int, frame: FrameType | None) -> None:
        self.was_requested = True
        self.on_stop()

    def _do_nothing(self, number: int, frame: FrameType | None) -> None:
        return
