"""Stop on SIGTERM and SIGHUP as on Ctrl-C, so that the processes that were started are ended."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from executor.base.signals import StopRequests


@contextmanager
def until_told_to_stop() -> Iterator[threading.Event]:
    """Let SIGINT, SIGTERM and SIGHUP set an event and raise `KeyboardInterrupt` in the block.

    Python drops an exception that a signal raises in a finalizer, so whoever waits looks at the event, too.
    """
    was_told = threading.Event()

    def stop() -> None:
        was_told.set()
        raise KeyboardInterrupt

    with StopRequests(stop):
        yield was_told
