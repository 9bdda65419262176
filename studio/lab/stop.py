"""Stop on SIGTERM and SIGHUP as on Ctrl-C, so that the processes that were started are ended."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from executor.base.signals import StopRequests


@contextmanager
def until_told_to_stop() -> Iterator[threading.Event]:
    """Let SIGINT, SIGTERM and SIGHUP raise `KeyboardInterrupt` in the block.

    Nothing sets the event: a caller can wait on it until a signal comes.
    """
    with StopRequests():
        yield threading.Event()
