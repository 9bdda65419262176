"""What is said to people, who may have stopped listening.

Enters: a line and where it goes. Leaves: nothing, and never an error: a terminal that was closed or
a disk that is full must not stop a rollout halfway.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TextIO


def say(line: str) -> None:
    """Says a line on standard output."""
    _said(line, sys.stdout)


def complain(line: str) -> None:
    """Says a line on standard error."""
    _said(line, sys.stderr)


def write_no_more(stream: TextIO) -> None:
    """What is left in the buffer must not raise again, now or when Python ends."""
    with suppress(OSError, ValueError):  # where it was closed there is nothing in it
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, stream.fileno())
        finally:
            os.close(nowhere)


def _said(line: str, stream: TextIO | None) -> None:
    if stream is None:  # it was closed before Python began
        return
    try:
        print(line, file=stream, flush=True)
    except OSError:
        write_no_more(stream)
