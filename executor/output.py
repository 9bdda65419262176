"""Lines for people, who may have stopped reading, or may not read just now.

Nothing here raises: a closed terminal or a full disk must not stop a rollout halfway. `say` and
`complain` do not wait either: a reader that does not read on, such as a stopped pager, must not hold
a rollout up. A thread writes the lines in their order. The number of waiting lines is bounded; when
there are too many, the oldest are left out, and a line says so.

The queue is not `logging.handlers.QueueListener`, which cannot keep three of these promises: it takes a
line from its queue before the reader is ready, so that a line that should be left out is not; one
listener blocks on standard output while standard error is read, and two would lose the order between
both; and its `stop` joins the thread without a time limit. Diagnostics do go through `logging`, see
`executor.diagnostics`.
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
from enum import StrEnum
from typing import TextIO


class OutputFormat(StrEnum):
    """The form of standard output: text for people, or one JSON object a line."""

    TEXT = "text"
    JSON = "json"


WAITING_COUNT = 1000
"""Maximum number of lines that wait for their readers."""

LAST_WORDS_S = 2.0
"""Maximum time, in seconds, that the end of the program waits for the remaining lines."""

_LOOK_S = 0.1


def say(line: str) -> None:
    """Write a line to standard output; return at once."""
    _put(line, sys.stdout)


def complain(line: str) -> None:
    """Write a line to standard error; return at once."""
    _put(line, sys.stderr)


def show(line: str) -> None:
    """Write a line of a report to standard output, and wait for its reader."""
    if sys.stdout is None:  # it was closed before Python began
        return
    try:
        print(line, file=sys.stdout, flush=True)
    except OSError:
        write_no_more(sys.stdout)


def write_no_more(stream: TextIO) -> None:
    """Send what is left in a stream's buffer nowhere, so that it raises no more, now or at the end."""
    with suppress(OSError, ValueError):  # a closed stream has nothing in its buffer
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, stream.fileno())
        finally:
            os.close(nowhere)


class OutputQueue:
    """Lines on their way to streams, and the thread that writes them while there are any."""

    def __init__(self) -> None:
        # The garbage collector may run a finalizer here that writes a line itself.
        self._lock = threading.RLock()
        self._lines: deque[tuple[TextIO, bytes]] = deque()
        self._left_out: Counter[TextIO] = Counter()
        self._writer: threading.Thread | None = None
        self._is_finished = False

    def put(self, line: str, stream: TextIO) -> None:
        """Put a line at the end of the queue."""
        data = _encode(line, stream)
        with self._lock:
            if self._is_finished:
                return
            if len(self._lines) == WAITING_COUNT:
                self._left_out[self._lines.popleft()[0]] += 1
            self._lines.append((stream, data))
            if self._writer is None:
                self._writer = threading.Thread(target=self._write_all, name="output", daemon=True)
                self._writer.start()

    def finish(self, within_s: float) -> None:
        """Wait until every line is written, at most this many seconds; later lines are discarded.

        At the end of the program no thread can start any more: one who waits for its start waits
        forever.
        """
        with self._lock:
            self._is_finished = True
            writer = self._writer
        if writer is not None:
            writer.join(within_s)

    def _write_all(self) -> None:
        while (lines := self._take()) is not None:
            for stream, data in lines:
                try:
                    _write(data, stream)
                except (OSError, ValueError):  # the reader has gone
                    write_no_more(stream)

    def _take(self) -> list[tuple[TextIO, bytes]] | None:
        """Take the first line whose reader is ready, after a line that says how many were left out.

        Returns:
            No line when no reader is ready yet; None when the queue is empty.
        """
        with self._lock:
            if not self._lines:
                self._writer = None
                return None
            streams = {stream for stream, _ in self._lines}
        ready = _ready_streams(streams)
        with self._lock:
            for line in list(self._lines):
                stream = line[0]
                if stream in ready:
                    self._lines.remove(line)
                    count = self._left_out.pop(stream, 0)
                    notice = f"({count} lines were left out here: nobody read them in time)"
                    return [(stream, _encode(notice, stream)), line] if count else [line]
        return []


_QUEUE = OutputQueue()


@atexit.register
def _finish() -> None:
    with suppress(KeyboardInterrupt):
        _QUEUE.finish(LAST_WORDS_S)


def _put(line: str, stream: TextIO | None) -> None:
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
        _QUEUE.put(line, stream)


def _encode(line: str, stream: TextIO) -> bytes:
    errors = stream.errors if stream.errors != "strict" else "backslashreplace"
    return f"{line}\n".encode(stream.encoding, errors or "backslashreplace")


def _ready_streams(streams: set[TextIO]) -> set[TextIO]:
    """Return the streams whose readers take more within a moment.

    A stream that cannot be waited for, because it was closed, counts as ready: writing to it fails.
    """
    try:
        return set(select.select([], list(streams), [], _LOOK_S)[1])
    except (OSError, ValueError):
        return streams


def _write(data: bytes, stream: TextIO) -> None:
    """Write past the stream's own buffer, whose lock would still be held when Python ends."""
    descriptor = stream.fileno()
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:  # another process has made the descriptor non-blocking
            select.select([], [descriptor], [])
