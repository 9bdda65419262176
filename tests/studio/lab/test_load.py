"""The load alone: it keeps to its schedule, and knows what became of each request."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable

import numpy as np
import pytest

from studio.lab.load import Schedule, Sent, _send_all
from studio.lab.traffic import schedule_for
from studio.lab.wire import answer
from tests.helpers.scenarios import scenario

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def sent_to(
    handler: Handler | None,
    arrivals_s: tuple[float, ...],
    *,
    timeout_s: float | None = None,
    queue_timeout_s: float | None = None,
    persistent: bool = True,
) -> tuple[list[Sent], int]:
    """What became of requests to a server of this kind, and how many connections it saw."""

    async def go() -> tuple[list[Sent], int]:
        opened = 0

        async def counted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal opened
            opened += 1
            assert handler is not None
            try:
                await handler(reader, writer)
            except (asyncio.IncompleteReadError, ConnectionError):
                pass
            finally:
                writer.close()

        if handler is None:
            with socket.create_server(("127.0.0.1", 0)) as probe:
                port = probe.getsockname()[1]
            return await _send_all(schedule(port)), 0
        server = await asyncio.start_server(counted, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        sent = await _send_all(schedule(port))
        server.close()
        return sent, opened

    def schedule(port: int) -> Schedule:
        count = len(arrivals_s)
        return Schedule(
            port,
            time.monotonic() + 0.02,
            arrivals_s,
            (0.0,) * count,
            (0,) * count,
            (timeout_s,) * count,
            persistent,
            queue_timeout_s,
        )

    return asyncio.run(go())


def replies(data: bytes, after_s: float = 0.0) -> Handler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(after_s)
            writer.write(data)
            await writer.drain()

    return handler


async def closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")


async def is_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    await reader.read()


OK = answer(200, X_Instance="web-1", X_Version="old", X_Begun="1.0", X_Ended="2.0")


def test_it_sends_at_its_times_though_nothing_is_answered() -> None:
    arrivals_s = tuple(0.01 * k for k in range(30))
    sent, opened = sent_to(is_silent, arrivals_s, timeout_s=0.5)
    assert [one.outcome for one in sent] == ["timed_out"] * 30
    assert opened == 30  # a closed loop would have been stuck with the first
    assert [one.arrival_s for one in sent] == list(arrivals_s)
    assert all(one.sent_s >= one.arrival_s - 0.001 for one in sent)
    assert all((one.finish_s or 0) - one.arrival_s >= 0.499 for one in sent)


@pytest.mark.parametrize(("persistent", "fewest", "most"), [(True, 1, 4), (False, 5, 5)])
def test_connections_are_kept_or_not(persistent: bool, fewest: int, most: int) -> None:
    arrivals_s = (0.0, 0.3, 0.6, 0.9, 1.2)
    sent, opened = sent_to(replies(OK), arrivals_s, persistent=persistent)
    assert [one.outcome for one in sent] == ["ok"] * 5
    assert fewest <= opened <= most
    assert {(one.instance, one.version) for one in sent} == {("web-1", "old")}
    assert {round((one.ended_s or 0) - (one.begun_s or 0), 6) for one in sent} == {1.0}


@pytest.mark.parametrize(
    ("handler", "outcome"),
    [
        pytest.param(replies(OK), "ok", id="answered"),
        pytest.param(replies(answer(500, X_Instance="web-1")), "error", id="wrong answer"),
        pytest.param(
            replies(answer(503, X_Instance="web-1", X_Outcome="rejected")), "rejected", id="full"
        ),
        pytest.param(replies(answer(503, X_Pool="0")), "rejected", id="empty pool"),
        pytest.param(replies(answer(503, X_Pool="2")), "refused", id="closed port"),
        pytest.param(replies(answer(503, X_Pool="2"), 0.06), "timed_out", id="queue timeout"),
        pytest.param(replies(answer(502, X_Pool="2")), "cut", id="broken off"),
        pytest.param(replies(answer(504, X_Pool="2")), "timed_out", id="gateway timeout"),
        pytest.param(closes, "cut", id="connection closed"),
        pytest.param(None, "refused", id="nobody listens"),
    ],
)
def test_what_became_of_a_request(handler: Handler | None, outcome: str) -> None:
    # Only the row about this limit waits for it; the others must not run into it on a busy machine.
    queue_timeout_s = 0.05 if outcome == "timed_out" else 60.0
    sent, _ = sent_to(handler, (0.0,), queue_timeout_s=queue_timeout_s)
    assert [one.outcome for one in sent] == [outcome]
    assert sent[0].finish_s is not None


def test_the_schedule_is_the_traffic_of_a_replication_that_no_forecast_sees() -> None:
    one = scenario(
        rate="200/s",
        classes={
            "page": {"share": "80%", "client_timeout": "2s"},
            "report": {"share": "20%", "service_time": {"app": "300ms"}},
        },
    )
    made = schedule_for(one, 0, port=1, zero_s=5.0, warm_up_s=2.0, until_s=20.0)
    assert made == schedule_for(one, 0, port=1, zero_s=5.0, warm_up_s=2.0, until_s=20.0)
    assert (
        made.arrivals_s
        != schedule_for(one, 1, port=1, zero_s=5.0, warm_up_s=2.0, until_s=20.0).arrivals_s
    )
    assert -2.0 <= made.arrivals_s[0] < -1.8
    assert 19.8 < made.arrivals_s[-1] <= 20.0
    # Poisson: 22 s at 200/s, within four standard deviations, and gaps as long as they spread.
    assert abs(len(made.arrivals_s) - 4400) < 4 * 4400**0.5
    gaps = np.diff(made.arrivals_s)
    assert np.std(gaps) / np.mean(gaps) == pytest.approx(1.0, abs=0.06)
    kinds = set(zip(made.classes, made.demands_s, made.timeouts_s, strict=True))
    assert kinds == {(0, 0.05, 2.0), (1, 0.3, None)}
    assert made.classes.count(1) / len(made.classes) == pytest.approx(0.2, abs=0.03)
