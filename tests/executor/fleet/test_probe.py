"""Asking an instance itself: what it says, and that nobody waits for it longer than was said."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import pytest

from executor.fleet.inventory import Target
from executor.fleet.probe import GIVEN_UP_S, TIMEOUT_S, Direct, probe
from tests.helpers.fake_fleet import World, example_inventory, run_virtually


def at(url: str) -> Target:
    """An instance with these addresses."""
    made = example_inventory(["checkout-1"])
    how = made.defaults.model_copy(update={"health": url, "version": url})
    return made.model_copy(update={"defaults": how}).targets()["checkout-1"]


@contextmanager
def trickling(*, head: bytes) -> Iterator[int]:
    """A server that sends a byte every tenth of a second for ever, after this."""
    over = threading.Event()
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        try:
            connection, _ = listening.accept()
            with connection:
                connection.sendall(head)
                while not over.wait(0.1):  # the pace is the fault
                    connection.sendall(b"x")
        except OSError:  # whoever asked has gone
            return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        over.set()
        listening.close()
        thread.join()


@pytest.mark.slow
@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 ", b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n"]
)
def test_an_instance_that_answers_byte_by_byte_is_not_waited_for(head: bytes) -> None:
    begun_s = monotonic()
    with trickling(head=head) as port:
        said = probe(at(f"http://127.0.0.1:{port}/"))
        took_s = monotonic() - begun_s
    assert said == Direct(False, said="did not answer within 2 s")
    assert took_s < 30 * TIMEOUT_S  # the bytes last for hours


@pytest.mark.parametrize("host", ["a..b", "a" * 64 + ".example"])
def test_a_name_that_is_none_is_an_instance_that_does_not_answer(host: str) -> None:
    said = probe(at(f"http://{host}:80/"))
    assert not said.healthy
    assert said.said


def test_whoever_asks_goes_on_without_an_answer() -> None:
    """The look-up of a name may last; nothing can end the thread that waits for it."""
    hands = World(["checkout-1"]).hands()

    async def for_ever(*_: object) -> None:
        await asyncio.Event().wait()

    hands.aside = for_ever
    said = run_virtually(hands.direct("checkout-1"))
    assert said == Direct(False, said=f"did not answer within {GIVEN_UP_S:g} s")
