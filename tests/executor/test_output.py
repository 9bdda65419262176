"""What is said reaches whoever listens, in order and whole, and waits for nobody."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import TextIO

import pytest

from executor.output import WAITING_COUNT, OutputQueue, complain, say
from tests.helpers.paths import ROOT
from tests.helpers.pipes import drained, filled


@contextmanager
def pipe() -> Iterator[tuple[int, TextIO]]:
    """An end to read from, and a stream to say things on."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w", encoding="utf-8") as stream:
        try:
            yield reading, stream
        finally:
            os.close(reading)


def test_what_is_read_is_whole_and_in_order() -> None:
    lines = [f"line {number} é" for number in range(WAITING_COUNT)]
    queue = OutputQueue()
    with pipe() as (reading, stream):
        for line in lines:
            queue.put(line, stream)
        queue.finish(60)
        assert drained(reading).decode().splitlines() == lines


def test_where_nobody_reads_it_returns_at_once_and_leaves_the_oldest_out() -> None:
    queue = OutputQueue()
    with pipe() as (reading, stream):
        before = filled(stream.fileno())
        began_s = time.monotonic()
        for number in range(3 * WAITING_COUNT):
            queue.put(f"line {number}", stream)
        queue.finish(0.1)
        assert time.monotonic() - began_s < 30
        said = drained(reading, until=f"line {3 * WAITING_COUNT - 1}\n".encode())
        queue.finish(60)
    told, *lines = said[before:].decode().splitlines()
    assert told == f"({2 * WAITING_COUNT} lines were left out here: nobody read them in time)"
    assert lines == [f"line {number}" for number in range(2 * WAITING_COUNT, 3 * WAITING_COUNT)]


def test_who_does_not_read_keeps_nothing_from_who_does() -> None:
    queue = OutputQueue()
    with pipe() as (_, stopped), pipe() as (reading, read):
        filled(stopped.fileno())
        queue.put("nobody reads this", stopped)
        queue.put("somebody reads this", read)
        assert drained(reading, until=b"\n") == b"somebody reads this\n"


def test_where_everybody_has_gone_it_goes_on_without_a_word() -> None:
    queue = OutputQueue()
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", encoding="utf-8") as stream:
        for _ in range(3):
            queue.put("to nobody", stream)
        queue.finish(60)
        stream.write("nor does what is written later raise")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_process_whose_reader_does_not_read_ends_by_itself(stream: str) -> None:
    """Its last words wait a moment, and its exit code is its own."""
    said = "from executor.output import complain, say; say('out'); complain('err'); raise SystemExit(5)"
    with pipe() as (_, stopped):
        filled(stopped.fileno())
        done = subprocess.run(
            [sys.executable, "-c", said],
            stdout=stopped if stream == "stdout" else subprocess.PIPE,
            stderr=stopped if stream == "stderr" else subprocess.PIPE,
            cwd=ROOT,
            check=False,
            timeout=60,
        )
    assert done.returncode == 5
    assert done.stdout == (None if stream == "stdout" else b"out\n")
    assert done.stderr == (None if stream == "stderr" else b"err\n")


def test_a_process_says_its_last_words() -> None:
    said = "from executor.output import say; [say(str(n)) for n in range(900)]"
    done = subprocess.run(
        [sys.executable, "-c", said], cwd=ROOT, capture_output=True, check=True, timeout=30
    )
    assert done.stdout.decode().split() == [str(number) for number in range(900)]
    assert done.stderr == b""


def test_what_is_in_memory_is_written_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = StringIO(), StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    say("one")
    complain("two")
    assert (out.getvalue(), err.getvalue()) == ("one\n", "two\n")


def test_streams_that_are_closed_or_missing_say_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stdout", closed)
    monkeypatch.setattr(sys, "stderr", None)
    say("one")
    complain("two")


def test_a_line_after_the_end_starts_no_thread() -> None:
    """A finalizer may write when no thread can start any more."""
    queue = OutputQueue()
    queue.finish(0)
    with pipe() as (reading, stream):
        before = threading.active_count()
        queue.put("too late", stream)
        assert threading.active_count() == before
        stream.write("next\n")
        stream.flush()
        assert drained(reading) == b"next\n"


def test_a_line_that_is_written_while_another_is_put_does_not_wait_for_itself() -> None:
    """As when the garbage collector runs a finalizer there."""
    queue = OutputQueue()

    class Lines(deque[tuple[TextIO, bytes]]):
        def append(self, item: tuple[TextIO, bytes]) -> None:
            super().append(item)
            if item[1] == b"outer\n":
                queue.put("inner", item[0])

    queue._lines = Lines()
    with pipe() as (reading, stream):
        queue.put("outer", stream)
        queue.finish(60)
        assert drained(reading) == b"outer\ninner\n"
