"""Being told to stop: SIGTERM and SIGHUP are as good as Ctrl-C, so that what was started is ended."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from executor.base.signals import StopRequests


@contextmanager
def until_told_to_stop() -> Iterator[threading.Event]:
    """Let SIGINT, SIGTERM and SIGHUP raise `KeyboardInterrupt` in the block.

    The event never comes by itself: it is there to wait on.
    """
    with StopRequests():
        yield threading.Event()
