"""Filling and emptying pipes whose reader is slow."""

from __future__ import annotations

import os
import select


def filled(writing: int) -> int:
    """Fill a pipe until a write would block. Return the number of bytes in the pipe."""
    count = 0
    os.set_blocking(writing, False)
    for size in (4096, 1):
        try:
            while True:
                count += os.write(writing, b"." * size)
        except BlockingIOError:
            continue
    os.set_blocking(writing, True)
    return count


def drained(reading: int, until: bytes = b"", within_s: float = 60.0) -> bytes:
    """Read what is in a pipe now; or, with `until`, read until these bytes, which must come in time."""
    read = b""
    while not (until and read.endswith(until)):
        if not select.select([reading], [], [], within_s if until else 0)[0]:
            assert not until, f"not within {within_s:g} s: {until!r}, only {read[-80:]!r}"
            break
        read += os.read(reading, 65536)
    return read
