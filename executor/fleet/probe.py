"""Asking an instance itself: is it healthy, and which version is it?

Enters: the two addresses of an instance. Leaves: a `ProbeResult` answer; an instance that does not
answer is not healthy, which is no error. No proxy and no redirection is followed: what answers is
what stands in the inventory.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from time import monotonic
from urllib.parse import urlsplit

from executor.fleet.inventory import Target

TIMEOUT_S = 2.0
"""By when it must have answered, from the first byte sent to the last one read."""

PROBE_LIMIT_S = 2 * TIMEOUT_S + 1.0
"""By when whoever asks goes on without an answer: the look-up of a name has no deadline of its own."""

_LONGEST_BYTES = 65536


@dataclass(frozen=True)
class ProbeResult:
    """What an instance said.

    Attributes:
        healthy: Whether its health address answered 2xx.
        version: What its version address answered; None when it did not.
        problem: What was wrong, in words; empty when nothing was.
    """

    healthy: bool
    version: str | None = None
    problem: str = ""

    def deviation_from(self, version: str) -> str | None:
        """Why this is not the healthy version that it should be; None when it is."""
        if not self.healthy:
            return f"is not healthy: {self.problem}"
        if self.version != version:
            return f"version ({self.version or self.problem or 'none'}) must be {version}"
        return None


def probe(target: Target) -> ProbeResult:
    """Asks an instance for its health, and when it has that for its version."""
    status, body = _get(target.health_url())
    if not 200 <= status < 300:
        return ProbeResult(False, problem=body if status == 0 else f"health answered {status}")
    status, body = _get(target.version_url())
    if not 200 <= status < 300:
        return ProbeResult(True, problem=body if status == 0 else f"version answered {status}")
    return ProbeResult(True, _version_in(body))


def _version_in(body: str) -> str:
    """A version as text, or under ``version`` in a JSON object."""
    try:
        document = json.loads(body)
    except ValueError:
        return body.strip()
    return (
        str(document["version"])
        if isinstance(document, dict) and "version" in document
        else body.strip()
    )


def _get(url: str) -> tuple[int, str]:
    """Status and text of an answer; status 0 and the reason when there is none in time."""
    parts = urlsplit(url)
    until_s = monotonic() + TIMEOUT_S
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    late = (0, f"did not answer within {TIMEOUT_S:g} s")
    try:
        connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
        with closing(connection), _shut_down_at(connection, until_s):
            connection.request(
                "GET", f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
            )
            with connection.getresponse() as response:
                body = bytearray()
                while len(body) < _LONGEST_BYTES and (more := response.read1(4096)):
                    body += more
        # A socket that was shut down reads as one whose other end has closed it.
        if monotonic() >= until_s:
            return late
        return response.status, body.decode("utf-8", errors="replace")
    except TimeoutError:
        return late
    # A ValueError is a name that is none, such as a..b, or an address with a blank in it.
    except (OSError, http.client.HTTPException, ValueError) as error:
        if monotonic() >= until_s:
            return late
        return 0, getattr(error, "strerror", None) or str(error) or type(error).__name__


@contextmanager
def _shut_down_at(connection: http.client.HTTPConnection, until_s: float) -> Iterator[None]:
    """Ends what is read or written by then: a socket's own timeout is for each byte anew."""

    def shut_down() -> None:
        if connection.sock is not None:
            with suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    connection.connect()
    timer = threading.Timer(max(0.0, until_s - monotonic()), shut_down)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
