"""Being told to stop: SIGTERM is as good as Ctrl-C, so that what was started is ended.

Nothing enters. Leaves: a block in which both raise `KeyboardInterrupt`, and an event to wait on.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


@contextmanager
def until_told_to_stop() -> Iterator[threading.Event]:
    """SIGTERM and SIGHUP raise `KeyboardInterrupt` in the block; the event never comes by itself."""
    before = {
        number: signal.signal(number, _interrupt) for number in (signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield threading.Event()
    finally:
        for number, was in before.items():
            signal.signal(number, was)
