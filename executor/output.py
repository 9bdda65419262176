"""What is said to people, who may have stopped listening, or not listen just then.

Enters: a line and where it goes. Leaves: nothing, and never an error: a terminal that was closed or
a disk that is full must not stop a rollout halfway. Nor may a reader that does not read on, such as
a stopped pager, hold it up: a thread of its own writes what is said, in its order. What waits
for a reader is bounded; where it becomes too much the oldest is left out, and that is told.
"""

from __future__ import annotations

import atexit
import io
import os
import select
import sys
import threading
from collections import Counter, deque
from contextlib import suppress
from typing import TextIO

WAITING_COUNT = 1000
"""So many lines wait for their readers at most."""

LAST_WORDS_S = 2.0
"""So long what is left is tried to be said when Python ends."""

_LOOK_S = 0.1


def say(line: str) -> None:
    """Says a line on standard output; returns at once."""
    _said(line, sys.stdout)


def complain(line: str) -> None:
    """Says a line on standard error; returns at once."""
    _said(line, sys.stderr)


def show(line: str) -> None:
    """Says a line of a report on standard output, and waits for whoever reads it."""
    if sys.stdout is None:  # it was closed before Python began
        return
    try:
        print(line, file=sys.stdout, flush=True)
    except OSError:
        write_no_more(sys.stdout)


def write_no_more(stream: TextIO) -> None:
    """What is left in the buffer must not raise again, now or when Python ends."""
    with suppress(OSError, ValueError):  # where it was closed there is nothing in it
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, stream.fileno())
        finally:
            os.close(nowhere)


class OutputQueue:
    """Lines on their way to streams, and the thread that takes them there while there are any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: deque[tuple[TextIO, bytes]] = deque()
        self._left_out: Counter[TextIO] = Counter()
        self._writer: threading.Thread | None = None

    def say(self, line: str, stream: TextIO) -> None:
        """Puts a line at the end of those that wait."""
        said = _encoded(line, stream)
        with self._lock:
            if len(self._lines) == WAITING_COUNT:
                self._left_out[self._lines.popleft()[0]] += 1
            self._lines.append((stream, said))
            if self._writer is None:
                self._writer = threading.Thread(target=self._write, name="voice", daemon=True)
                self._writer.start()

    def finish(self, within_s: float) -> None:
        """Waits until everything is said, but not for ever."""
        writer = self._writer
        if writer is not None:
            writer.join(within_s)

    def _write(self) -> None:
        while (lines := self._next()) is not None:
            for stream, said in lines:
                try:
                    _written(said, stream)
                except (OSError, ValueError):  # nobody is there any more
                    write_no_more(stream)

    def _next(self) -> list[tuple[TextIO, bytes]] | None:
        """The first line that is read, with what is to be told before it; None when all is said."""
        with self._lock:
            if not self._lines:
                self._writer = None
                return None
            streams = {stream for stream, _ in self._lines}
        ready = _read_on(streams)
        with self._lock:
            for one in self._lines:
                stream = one[0]
                if stream in ready:
                    self._lines.remove(one)
                    count = self._left_out.pop(stream, 0)
                    told = f"({count} lines were left out here: nobody read them in time)"
                    return [(stream, _encoded(told, stream)), one] if count else [one]
        return []


_VOICE = OutputQueue()


@atexit.register
def _last_words() -> None:
    with suppress(KeyboardInterrupt):
        _VOICE.finish(LAST_WORDS_S)


def _said(line: str, stream: TextIO | None) -> None:
    if stream is None or stream.closed:  # None where it was closed before Python began
        return
    try:
        stream.flush()  # what was printed before comes first
        stream.fileno()
    except io.UnsupportedOperation:  # in memory, as in a test: nobody has to read it
        print(line, file=stream)
    except OSError:
        write_no_more(stream)
    else:
        _VOICE.say(line, stream)


def _encoded(line: str, stream: TextIO) -> bytes:
    errors = stream.errors if stream.errors != "strict" else "backslashreplace"
    return f"{line}\n".encode(stream.encoding, errors or "backslashreplace")


def _read_on(streams: set[TextIO]) -> set[TextIO]:
    """Those whose readers take more, now or in a moment; one that was closed takes it with an error."""
    try:
        return set(select.select([], list(streams), [], _LOOK_S)[1])
    except (OSError, ValueError):
        return streams


def _written(said: bytes, stream: TextIO) -> None:
    """Past the stream's own buffer, whose lock would be held when Python ends."""
    descriptor = stream.fileno()
    while said:
        try:
            said = said[os.write(descriptor, said) :]
        except BlockingIOError:  # somebody else has made it one that does not wait
            select.select([], [descriptor], [])
