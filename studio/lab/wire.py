"""The little HTTP that the fleet speaks: heads of requests and answers, without bodies to parse.

It is enough for the load generator and the instances, which ask with GET and answer with a length, and it
takes a few microseconds per message: fleet, clients and HAProxy share a small machine, so time spent here
would be measured as latency.
"""

from __future__ import annotations

END = b"\r\n\r\n"


class Heads:
    """A splitter of a byte stream into messages: it returns the heads and skips the bodies."""

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, data: bytes) -> None:
        """Add received bytes."""
        self._pending += data

    def next_head(self) -> bytes | None:
        """Return the head of the next complete message, or None."""
        end = self._pending.find(END)
        if end < 0:
            return None
        head = self._pending[:end]
        whole = end + len(END) + int(header(head, b"content-length") or 0)
        if len(self._pending) < whole:
            return None
        self._pending = self._pending[whole:]
        return head


def header(head: bytes, name: bytes) -> str | None:
    """Return the value of a header, whose name is in lower case; None where it is missing."""
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.lower() == name:
            return value.strip().decode("latin-1")
    return None


def answer(status: int, body: str = "", *, close: bool = False, **headers: str) -> bytes:
    """Return an answer with its headers; underscores in their names become dashes."""
    lines = [f"HTTP/1.1 {status} {'OK' if status == 200 else 'Not'}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(body)}", *(["Connection: close"] if close else [])]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()
