"""One instance of the fleet: a process that sleeps for as long as each request asks.

A request names its demand in seconds in its path, ``/work/0.0415``, as the load generator drew it. When all
slots are busy, it waits in one FIFO queue. ``/healthz`` waits in the queue but takes no slot, ``/version`` is
answered at once. SIGTERM stops gracefully: requests with a waiting client end first, up to the grace period.
"""

from __future__ import annotations

import asyncio
import math
import random
import signal
import socket
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from studio.lab.wire import Heads, answer


@dataclass(frozen=True)
class Behaviour:
    """The behaviour of a version.

    Attributes:
        name: The answer to ``/version``.
        service_factor: Service time as a multiple of the demand.
        error_fraction: Share of the answers that are errors.
        cold_factor: Service time right after the start, as a multiple of the later one.
        cold_decay_s: Decay time of the cold start, in seconds: 1 + (factor − 1)·exp(−age/decay).
        start_fails: Share of the starts that never become healthy.
    """

    name: str
    service_factor: float = 1.0
    error_fraction: float = 0.0
    cold_factor: float = 1.0
    cold_decay_s: float = 30.0
    start_fails: float = 0.0


@dataclass(frozen=True)
class InstanceSettings:
    """The settings of an instance that do not depend on its version.

    Attributes:
        slots: Number of requests that are served at once.
        speed: Speed factor; 2 halves the service time.
        queue_limit: Maximum number of waiting requests, None for any number.
        queue_timeout_s: Maximum wait in the queue in seconds, None for any time.
        grace_s: Maximum wait of a graceful stop for requests in flight, in seconds.
        cancels: True when a client that leaves ends the work on its request.
    """

    name: str
    slots: int
    speed: float = 1.0
    queue_limit: int | None = None
    queue_timeout_s: float | None = None
    grace_s: float = 30.0
    cancels: bool = False


@dataclass(eq=False)
class _Job:
    """A request that waits or is in service; a health check has no demand."""

    demand_s: float | None
    reply: Callable[[bytes], None]
    begun_s: float = math.nan
    has_client: bool = True
    timer: asyncio.TimerHandle | None = field(default=None, repr=False)


class LabInstance:
    """The slots and the queue, without the network."""

    def __init__(self, settings: InstanceSettings, version: Behaviour, dice: random.Random) -> None:
        self._settings, self._version, self._dice = settings, version, dice
        self._since_s = time.monotonic()
        self._is_healthy = dice.random() >= version.start_fails
        self._busy_count = 0
        self._abandoned_count = 0
        self._queue: deque[_Job] = deque()
        self.is_stopping = False
        self.when_idle: Callable[[], None] = lambda: None

    @property
    def is_idle(self) -> bool:
        """Return whether no request is in flight whose client still waits."""
        return self._busy_count == self._abandoned_count and not self._queue

    def accept_request(self, path: str, reply: Callable[[bytes], None]) -> _Job | None:
        """Accept a request; ``reply`` is called with the answer, at once or later."""
        kind, _, rest = path.strip("/").partition("/")
        if kind == "version":
            reply(self._answer(200, self._version.name))
            return None
        if kind not in ("work", "healthz"):
            reply(self._answer(404))
            return None
        job = _Job(float(rest) if kind == "work" else None, reply)
        self._queue.append(job)
        self._fill_slots()
        self._limit(job)
        return job

    def note_client_left(self, job: _Job) -> None:
        """Note that the client of a request has gone: the request waits no more, but service goes on."""
        if job in self._queue:
            self._queue.remove(job)
            self._cancel(job)
        elif self._settings.cancels and job.timer is not None:
            self._cancel(job)
            self._free_slot()
        elif job.timer is not None:
            job.has_client = False
            self._abandoned_count += 1
            self._tell_when_idle()

    def _limit(self, job: _Job) -> None:
        """Apply the limits of the queue to a job that has to wait."""
        if job not in self._queue or job.demand_s is None:
            return
        limit, timeout_s = self._settings.queue_limit, self._settings.queue_timeout_s
        if limit is not None and len(self._queue) > limit:
            self._queue.pop()
            job.reply(self._answer(503, X_Outcome="rejected"))
        elif timeout_s is not None:
            loop = asyncio.get_running_loop()
            job.timer = loop.call_later(timeout_s, self._waited_too_long, job)

    def _waited_too_long(self, job: _Job) -> None:
        self._queue.remove(job)
        job.reply(self._answer(503, X_Outcome="timed_out"))

    def _fill_slots(self) -> None:
        while self._queue and (
            self._queue[0].demand_s is None or self._busy_count < self._settings.slots
        ):
            job = self._queue.popleft()
            self._cancel(job)
            if job.demand_s is None:
                job.reply(self._answer(200 if self._is_healthy else 503))
                continue
            self._busy_count += 1
            job.begun_s = time.monotonic()
            service_s = job.demand_s * self._service_factor(job.begun_s) / self._settings.speed
            job.timer = asyncio.get_running_loop().call_later(service_s, self._served, job)

    def _service_factor(self, now_s: float) -> float:
        version = self._version
        age_s = now_s - self._since_s
        cold = 1.0 + (version.cold_factor - 1.0) * math.exp(-age_s / version.cold_decay_s)
        return version.service_factor * cold

    def _served(self, job: _Job) -> None:
        job.timer = None
        self._abandoned_count -= not job.has_client
        wrong = self._dice.random() < self._version.error_fraction
        job.reply(
            self._answer(
                500 if wrong else 200,
                X_Begun=f"{job.begun_s:.6f}",
                X_Ended=f"{time.monotonic():.6f}",
            )
        )
        self._free_slot()

    def _free_slot(self) -> None:
        self._busy_count -= 1
        self._fill_slots()
        self._tell_when_idle()

    def _tell_when_idle(self) -> None:
        if self.is_idle:
            self.when_idle()

    def _cancel(self, job: _Job) -> None:
        if job.timer is not None:
            job.timer.cancel()
            job.timer = None

    def _answer(self, status: int, body: str = "", **headers: str) -> bytes:
        return answer(
            status,
            body,
            close=self.is_stopping,
            X_Instance=self._settings.name,
            X_Version=self._version.name,
            **headers,
        )


class _Connection(asyncio.Protocol):
    """A connection of the balancer: one request at a time."""

    def __init__(self, instance: LabInstance, opened: set[_Connection]) -> None:
        self._instance, self._opened = instance, opened
        self._heads = Heads()
        self._job: _Job | None = None
        self.is_asking = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._opened.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._opened.discard(self)
        if self._job is not None and self.is_asking:
            self._instance.note_client_left(self._job)

    def data_received(self, data: bytes) -> None:
        self._heads.feed(data)
        self._next()

    def close(self) -> None:
        self._transport.close()

    def _next(self) -> None:
        if self.is_asking:
            return
        head = self._heads.next_head()
        if head is not None:
            self.is_asking = True
            job = self._instance.accept_request(
                head.split(b" ", 2)[1].decode("latin-1"), self._reply
            )
            self._job = job if self.is_asking else None

    def _reply(self, data: bytes) -> None:
        self.is_asking = False
        self._transport.write(data)
        if self._instance.is_stopping:
            self._transport.close()
        else:
            self._next()


async def _serve(listener: socket.socket, settings: InstanceSettings, version: Behaviour) -> None:
    loop = asyncio.get_running_loop()
    instance = LabInstance(settings, version, random.Random())
    opened: set[_Connection] = set()
    stopped = asyncio.Event()
    server = await loop.create_server(lambda: _Connection(instance, opened), sock=listener)

    def stop() -> None:
        if instance.is_stopping:
            return
        instance.is_stopping = True
        server.close()
        for connection in [idle for idle in opened if not idle.is_asking]:
            connection.close()
        instance.when_idle = stopped.set
        loop.call_later(settings.grace_s, stopped.set)
        if instance.is_idle:
            stopped.set()

    loop.add_signal_handler(signal.SIGTERM, stop)
    await stopped.wait()
    await asyncio.sleep(0)  # the last answer is on its way


def serve(listener: socket.socket, settings: InstanceSettings, version: Behaviour) -> None:
    """Serve until SIGTERM, then end the requests in flight, up to the grace period."""
    asyncio.run(_serve(listener, settings, version))
