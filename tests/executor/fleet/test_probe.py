"""Asking an instance itself: what it says, and that nobody waits for it longer than was said."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic

import pytest

from executor.fleet.inventory import Target
from executor.fleet.probe import PROBE_LIMIT_S, TIMEOUT_S, ProbeResult, probe
from tests.helpers.fake_fleet import World, example_inventory, run_virtually


def at(health_url: str, version_url: str | None = None) -> Target:
    """An instance with these addresses; without the second, its version is asked at the first."""
    made = example_inventory(["checkout-1"])
    urls = {"health": health_url, "version": version_url or health_url}
    how = made.defaults.model_copy(update=urls)
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


@contextmanager
def answering(health_status: int, version_status: int = 200) -> Iterator[int]:
    """A server with these answers to /health and /version; /elsewhere is healthy."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = {"/health": health_status, "/version": version_status}.get(self.path, 200)
            self.send_response(status)
            self.send_header("Location", "/elsewhere")
            self.end_headers()
            if status not in {204, 304}:
                self.wfile.write(b"1.1")

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def ask(port: int) -> ProbeResult:
    url = f"http://127.0.0.1:{port}"
    return probe(at(f"{url}/health", f"{url}/version"))


@pytest.mark.parametrize("status", [200, 204, 299])
def test_every_2xx_is_healthy(status: int) -> None:
    with answering(status) as port:
        assert ask(port) == ProbeResult(True, "1.1")


@pytest.mark.parametrize("status", [300, 302, 304, 404, 503])
def test_nothing_but_2xx_is_healthy(status: int) -> None:
    """A redirection is not followed: what answers must be what the inventory names."""
    with answering(status) as port:
        assert ask(port) == ProbeResult(False, problem=f"health answered {status}")


@pytest.mark.parametrize("status", [300, 302, 404])
def test_nothing_but_2xx_is_a_version(status: int) -> None:
    with answering(200, status) as port:
        assert ask(port) == ProbeResult(True, problem=f"version answered {status}")


@pytest.mark.slow
@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 ", b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n"]
)
def test_an_instance_that_answers_byte_by_byte_is_not_waited_for(head: bytes) -> None:
    begun_s = monotonic()
    with trickling(head=head) as port:
        result = probe(at(f"http://127.0.0.1:{port}/"))
        took_s = monotonic() - begun_s
    assert result == ProbeResult(False, problem="did not answer within 2 s")
    assert took_s < 30 * TIMEOUT_S  # the bytes last for hours


@pytest.mark.parametrize("host", ["a..b", "a" * 64 + ".example"])
def test_a_name_that_is_none_is_an_instance_that_does_not_answer(host: str) -> None:
    result = probe(at(f"http://{host}:80/"))
    assert not result.healthy
    assert result.problem


def test_whoever_asks_goes_on_without_an_answer() -> None:
    """The look-up of a name may last; nothing can end the thread that waits for it."""
    hands = World(["checkout-1"]).hands()

    async def for_ever(*_: object) -> None:
        await asyncio.Event().wait()

    hands.run_blocking = for_ever
    result = run_virtually(hands.probe_instance("checkout-1"))
    assert result == ProbeResult(False, problem=f"did not answer within {PROBE_LIMIT_S:g} s")
