"""Pipes that nobody reads for a while."""

from __future__ import annotations

import os
import select


def filled(writing: int) -> int:
    """Fills a pipe until nothing more goes in; the number of bytes in it."""
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
    """What is in a pipe now; or what comes up to an end, which must come in time."""
    read = b""
    while not (until and read.endswith(until)):
        if not select.select([reading], [], [], within_s if until else 0)[0]:
            assert not until, f"not within {within_s:g} s: {until!r}, only {read[-80:]!r}"
            break
        read += os.read(reading, 65536)
    return read
