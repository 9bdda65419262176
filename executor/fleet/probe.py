"""Probe an instance directly: is it healthy, and which version answers?

An instance that does not answer is not healthy, which is no error. Proxies are not used and
redirections not followed: the answer must come from the address in the inventory.
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
"""Maximum time, in seconds, from the first byte sent to the last byte read of one address."""

PROBE_LIMIT_S = 2 * TIMEOUT_S + 1.0
"""Maximum time, in seconds, of a whole probe: the look-up of a name has no timeout of its own."""

_MAX_BODY_BYTES = 65536


@dataclass(frozen=True)
class ProbeResult:
    """The answer of an instance to a probe.

    Attributes:
        healthy: Whether the health address answered with a status of 200 to 299.
        version: The answer of the version address; None when it did not answer.
        problem: The reason as a phrase where an address did not answer well; empty otherwise.
    """

    healthy: bool
    version: str | None = None
    problem: str = ""

    def deviation_from(self, version: str) -> str | None:
        """Return how the instance deviates from a healthy one of this version; None if it does not."""
        if not self.healthy:
            return f"is not healthy: {self.problem}"
        if self.version != version:
            return f"version ({self.version or self.problem or 'none'}) must be {version}"
        return None


def probe(target: Target) -> ProbeResult:
    """Probe the health of an instance, and its version when it is healthy."""
    status, body = _get(target.health_url())
    if not 200 <= status < 300:
        return ProbeResult(False, problem=body if status == 0 else f"health answered {status}")
    status, body = _get(target.version_url())
    if not 200 <= status < 300:
        return ProbeResult(True, problem=body if status == 0 else f"version answered {status}")
    return ProbeResult(True, _version_in(body))


def _version_in(body: str) -> str:
    """Return the version: the value of ``version`` in a JSON object, else the whole text."""
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
    """Return status and text of an answer; status 0 and the reason when none comes in time."""
    parts = urlsplit(url)
    until_s = monotonic() + TIMEOUT_S
    connection_class = (
        http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    )
    timed_out = (0, f"did not answer within {TIMEOUT_S:g} s")
    try:
        connection = connection_class(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
        with closing(connection), _shut_down_at(connection, until_s):
            connection.request(
                "GET", f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
            )
            with connection.getresponse() as response:
                body = bytearray()
                while len(body) < _MAX_BODY_BYTES and (chunk := response.read1(4096)):
                    body += chunk
        # A socket that was shut down reads as one whose other end has closed it.
        if monotonic() >= until_s:
            return timed_out
        return response.status, body.decode("utf-8", errors="replace")
    except TimeoutError:
        return timed_out
    # A ValueError is an invalid host name, such as a..b, or an address with a blank in it.
    except (OSError, http.client.HTTPException, ValueError) as error:
        if monotonic() >= until_s:
            return timed_out
        return 0, getattr(error, "strerror", None) or str(error) or type(error).__name__


@contextmanager
def _shut_down_at(connection: http.client.HTTPConnection, until_s: float) -> Iterator[None]:
    """Shut the socket down at a time of the monotonic clock.

    A socket's own timeout starts anew with each byte, so a server that sends a byte a second would
    keep the probe waiting for ever.
    """

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
