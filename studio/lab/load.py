"""The load generator: an open loop that sends every request at its time, whatever the answers are.

A closed loop would wait for answers and so hide overload. This load measures latency from the intended time
of sending, and its own lag separately.
"""

from __future__ import annotations

import asyncio
import gc
import json
import math
import os
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from studio.lab.wire import Heads, header

AHEAD_S = 0.0005
"""Time within which a request counts as due, in seconds: timers ring up to a millisecond late."""


@dataclass(frozen=True)
class Schedule:
    """The requests to send.

    Attributes:
        port: The load balancer's port on 127.0.0.1.
        zero_s: Time 0 on the machine's monotonic clock, in seconds.
        arrivals_s: Time of sending of each request, ascending.
        demands_s: Service time that each request asks for.
        classes: Number of each request's class.
        timeouts_s: Longest wait of each client, None for ever.
        persistent: True when connections are kept open and used again.
        queue_timeout_s: Longest wait of a request in the load balancer's queue.
    """

    port: int
    zero_s: float
    arrivals_s: tuple[float, ...]
    demands_s: tuple[float, ...]
    classes: tuple[int, ...]
    timeouts_s: tuple[float | None, ...]
    persistent: bool = True
    queue_timeout_s: float | None = None


@dataclass
class Sent:
    """A request that was sent, with times in seconds from time 0 of the schedule.

    Attributes:
        number: The request's number in the schedule.
        arrival_s: Intended time of sending.
        sent_s: Real time of sending.
        finish_s: Time of the answer, or at which the client gave up; None while in flight.
        outcome: One of `simulation.results.run_result.OUTCOMES`, or ``in_flight``.
        instance: The instance that served the request; empty for none.
        version: The version of that instance.
        begun_s: Begin of the service.
        ended_s: End of the service.
    """

    number: int
    arrival_s: float
    sent_s: float
    finish_s: float | None = None
    outcome: str = "in_flight"
    instance: str = ""
    version: str = ""
    begun_s: float | None = None
    ended_s: float | None = None


def write_schedule(path: Path, schedule: Schedule) -> None:
    """Write a schedule to a file."""
    path.write_text(json.dumps(asdict(schedule)), encoding="utf-8")


def read_sent(path: Path) -> list[Sent]:
    """Return the sent requests from the load generator's file."""
    return [Sent(*row) for row in json.loads(path.read_text(encoding="utf-8"))]


class _Client(asyncio.Protocol):
    """A connection to the balancer, with at most one request on it."""

    def __init__(self, load: _Load) -> None:
        self._load = load
        self._heads = Heads()
        self.sent: Sent | None = None
        self.timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def ask(self, sent: Sent, demand_s: float) -> None:
        """Send a request."""
        self.sent = sent
        self._transport.write(
            b"GET /work/%.6f HTTP/1.1\r\nHost: lab\r\nX-Request: %d\r\n\r\n"
            % (demand_s, sent.number)
        )

    def data_received(self, data: bytes) -> None:
        self._heads.feed(data)
        head = self._heads.next_head()
        if head is None or self.sent is None:
            return
        self._load.record_answer(self.sent, head)
        self._done()
        if self._load.keeps_connections and header(head, b"connection") != "close":
            self._load.idle.append(self)
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.sent is not None:
            self._load.record_end(self.sent, "cut")
            self._done()
        elif self in self._load.idle:
            self._load.idle.remove(self)

    def give_up(self) -> None:
        """Close the connection: the client has waited as long as it does."""
        if self.sent is not None:
            self._load.record_end(self.sent, "timed_out")
            self._done()
            self._transport.abort()

    def close(self) -> None:
        """Close the connection without an outcome for its request."""
        self.sent = None
        self._transport.abort()

    def _done(self) -> None:
        self.sent = None
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class _Load:
    """Sends the requests of a schedule and records their outcomes."""

    def __init__(self, schedule: Schedule) -> None:
        self._plan = schedule
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[None]] = set()
        self._next = 0
        self.keeps_connections = schedule.persistent
        self.idle: list[_Client] = []
        self.sent: list[Sent] = []
        self.done = asyncio.Event()
        self._under_way_count = 0

    def send_due(self) -> None:
        """Send the requests that are due, and schedule a call for the next one."""
        plan = self._plan
        now_s = time.monotonic() - plan.zero_s
        while self._next < len(plan.arrivals_s):
            number = self._next
            arrival_s = plan.arrivals_s[number]
            if arrival_s > now_s + AHEAD_S:
                self._loop.call_at(plan.zero_s + arrival_s, self.send_due)
                return
            self._next += 1
            self._send(Sent(number, arrival_s, now_s))
            now_s = time.monotonic() - plan.zero_s
        self._end_when_all_is_answered()

    def record_answer(self, sent: Sent, head: bytes) -> None:
        """Record an answer: its outcome, and begin and end of the service."""
        status = int(head[9:12])
        sent.instance = header(head, b"x-instance") or ""
        sent.version = header(head, b"x-version") or ""
        begun, over = header(head, b"x-begun"), header(head, b"x-ended")
        if begun is not None and over is not None:
            sent.begun_s = float(begun) - self._plan.zero_s
            sent.ended_s = float(over) - self._plan.zero_s
        self.record_end(sent, self._outcome(sent, status, head))

    def record_end(self, sent: Sent, outcome: str) -> None:
        """Record the end of a request."""
        sent.finish_s = time.monotonic() - self._plan.zero_s
        sent.outcome = outcome
        self._under_way_count -= 1
        self._end_when_all_is_answered()

    def _outcome(self, sent: Sent, status: int, head: bytes) -> str:
        """Return the outcome that an answer means (model.md §2): 502 and the like are the balancer's own."""
        if status == 200:
            return "ok"
        if sent.instance:
            return header(head, b"x-outcome") or "error"
        if status in (502, 500):
            return "cut"
        if status == 504:
            return "timed_out"
        if header(head, b"x-pool") == "0":
            return "rejected"
        waited_s = time.monotonic() - self._plan.zero_s - sent.sent_s
        timeout_s = self._plan.queue_timeout_s
        return "timed_out" if timeout_s is not None and waited_s >= timeout_s else "refused"

    def _send(self, sent: Sent) -> None:
        self.sent.append(sent)
        self._under_way_count += 1
        if self.idle:
            self._ask(self.idle.pop(), sent)
        else:
            task = self._loop.create_task(self._open(sent))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self, sent: Sent) -> None:
        try:
            _, client = await self._loop.create_connection(
                lambda: _Client(self), "127.0.0.1", self._plan.port
            )
        except OSError:
            self.record_end(sent, "refused")
            return
        self._ask(client, sent)

    def _ask(self, client: _Client, sent: Sent) -> None:
        timeout_s = self._plan.timeouts_s[sent.number]
        if timeout_s is not None:
            at_s = self._plan.zero_s + sent.arrival_s + timeout_s
            client.timer = self._loop.call_at(at_s, client.give_up)
        client.ask(sent, self._plan.demands_s[sent.number])

    def _end_when_all_is_answered(self) -> None:
        if self._next == len(self._plan.arrivals_s) and self._under_way_count == 0:
            self.done.set()


async def _send_all(schedule: Schedule) -> list[Sent]:
    load = _Load(schedule)
    load._loop.add_signal_handler(signal.SIGTERM, load.done.set)
    load.send_due()
    await load.done.wait()
    return load.sent


def generate(schedule_path: Path, result_path: Path) -> None:
    """Send a schedule until all is answered or SIGTERM comes, and write every request with its outcome."""
    content: dict[str, Any] = json.loads(schedule_path.read_text(encoding="utf-8"))
    lists = {key: tuple(value) for key, value in content.items() if isinstance(value, list)}
    gc.disable()  # its pauses would be lag, and a few thousand rows are no burden
    sent = asyncio.run(_send_all(Schedule(**{**content, **lists})))
    beside = result_path.with_suffix(".part")
    rows = [[_json_value(value) for value in vars(request).values()] for request in sent]
    beside.write_text(json.dumps(rows), encoding="utf-8")
    os.replace(beside, result_path)


def _json_value(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
