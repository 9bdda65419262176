"""``rollcast``: the console script and ``python -m studio``.

This module imports next to nothing, so that Ctrl-C ends the program quietly while the rest loads.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType

from executor.base.signals import INTERRUPTED


def start() -> int:
    """Run the command line as a process of its own; return the exit code."""
    code = main()
    # A Ctrl-C while Python ends would be a traceback: it ends the process at once instead.
    signal.signal(signal.SIGINT, _end_at_once)
    return code


def main() -> int:
    """Run the command line; return the exit code.

    While modules load, Ctrl-C ends the process at once: a KeyboardInterrupt in the middle of an
    import would be a traceback of many pages. A run that somebody starts in a thread is left alone.
    """
    is_main_thread = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT)
    if is_main_thread:
        signal.signal(signal.SIGINT, _end_at_once)
        if hasattr(signal, "pthread_sigmask"):
            # The launcher blocks SIGINT until here: a Ctrl-C of that time is delivered now.
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    try:
        from studio.cli.run import run_command_line  # noqa: PLC0415 - see above

        if is_main_thread:
            signal.signal(signal.SIGINT, signal.default_int_handler if before is None else before)
        return run_command_line()
    except KeyboardInterrupt:
        return INTERRUPTED


def _end_at_once(number: int, frame: FrameType | None) -> None:
    """End the process without a word."""
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    sys.exit(start())
