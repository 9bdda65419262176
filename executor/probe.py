"""Asking an instance itself: is it healthy, and which version is it?

Enters: the two addresses of an instance. Leaves: a `Direct` answer; an instance that does not
answer is not healthy, which is no error. No proxy and no redirection is followed: what answers is
what stands in the inventory.
"""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass
from time import monotonic
from urllib.parse import urlsplit

from executor.inventory import Target

TIMEOUT_S = 2.0
"""By when it must have answered."""

_LONGEST_BYTES = 65536


@dataclass(frozen=True)
class Direct:
    """What an instance said.

    Attributes:
        healthy: Whether its health address answered 2xx.
        version: What its version address answered; None when it did not.
        said: What was wrong, in words; empty when nothing was.
    """

    healthy: bool
    version: str | None = None
    said: str = ""

    def lacks(self, version: str) -> str | None:
        """Why this is not the healthy version that it should be; None when it is."""
        if not self.healthy:
            return f"is not healthy: {self.said}"
        if self.version != version:
            return f"version ({self.version or self.said or 'none'}) must be {version}"
        return None


def probe(target: Target) -> Direct:
    """Asks an instance for its health, and when it has that for its version."""
    status, body = _get(target.health_url())
    if not 200 <= status < 300:
        return Direct(False, said=body if status == 0 else f"health answered {status}")
    status, body = _get(target.version_url())
    if not 200 <= status < 300:
        return Direct(True, said=body if status == 0 else f"version answered {status}")
    return Direct(True, _version_in(body))


def _version_in(body: str) -> str:
    """A version as text, or under ``version`` in a JSON object."""
    try:
        said = json.loads(body)
    except ValueError:
        return body.strip()
    return str(said["version"]) if isinstance(said, dict) and "version" in said else body.strip()


def _get(url: str) -> tuple[int, str]:
    """Status and text of an answer; status 0 and the reason when there is none in time."""
    parts = urlsplit(url)
    until_s = monotonic() + TIMEOUT_S
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}")
        with connection.getresponse() as response:
            body = bytearray()
            while len(body) < _LONGEST_BYTES and (more := response.read1(4096)):
                body += more
                if monotonic() > until_s:
                    return 0, f"did not answer within {TIMEOUT_S:g} s"
            return response.status, body.decode("utf-8", errors="replace")
    except TimeoutError:
        return 0, f"did not answer within {TIMEOUT_S:g} s"
    except (OSError, http.client.HTTPException, ssl.SSLError) as error:
        return 0, getattr(error, "strerror", None) or str(error) or type(error).__name__
    finally:
        connection.close()
