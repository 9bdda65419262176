"""The little HTTP that the fleet speaks: heads of requests and answers, without bodies to parse.

Enters: bytes as they come. Leaves: one head after the other. It is enough for a load generator and
instances of one hand, which ask with GET and answer with a length, and it costs a process a few
microseconds a message: the fleet, its clients and HAProxy share a small machine, and what is spent
here would be measured as latency.
"""

from __future__ import annotations

END = b"\r\n\r\n"


class Heads:
    """Cuts a stream of bytes into messages: a head, and a body that is passed over."""

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, data: bytes) -> None:
        """More bytes have come."""
        self._pending += data

    def next_head(self) -> bytes | None:
        """The head of the next message that has come whole, or None."""
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
    """The value of a header, its name in lower case; None where it is not given."""
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.lower() == name:
            return value.strip().decode("latin-1")
    return None


def answer(status: int, body: str = "", *, close: bool = False, **headers: str) -> bytes:
    """An answer with its headers, underscores in their names read as dashes."""
    lines = [f"HTTP/1.1 {status} {'OK' if status == 200 else 'Not'}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(body)}", *(["Connection: close"] if close else [])]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()
