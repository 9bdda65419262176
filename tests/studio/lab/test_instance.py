"""One instance without its network: slots, queue, checks, versions, clients that leave."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from studio.lab.instance import Behaviour, InstanceSettings, LabInstance
from studio.lab.wire import Heads, header


class Client:
    """Asks, and notes when and what it was answered."""

    def __init__(self, settings: dict[str, Any], version: dict[str, Any]) -> None:
        self.instance = LabInstance(
            InstanceSettings(**{"name": "web-1", "slots": 2, **settings}),
            Behaviour(**{"name": "new", **version}),
            random.Random(1),
        )
        self.begun_s = time.monotonic()
        self.answers: list[tuple[str, int, float, bytes]] = []

    def ask(self, name: str, path: str) -> Any:
        def reply(data: bytes) -> None:
            head = data.partition(b"\r\n\r\n")[0]
            at_s = time.monotonic() - self.begun_s
            self.answers.append((name, int(head[9:12]), at_s, data))

        return self.instance.accept_request(path, reply)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(60):
            while len(self.answers) < count:
                await asyncio.sleep(0.002)

    def told(self) -> list[tuple[str, int]]:
        return [(name, status) for name, status, _, _ in self.answers]


def asked(
    work: Callable[[Client], None], count: int, *, version: Any = None, **settings: Any
) -> Client:
    """What came of some requests."""

    async def go() -> Client:
        client = Client(settings, version or {})
        work(client)
        await client.until(count)
        return client

    return asyncio.run(go())


def test_beyond_the_slots_requests_wait_in_their_order() -> None:
    def work(client: Client) -> None:
        for name in "abcd":
            client.ask(name, "/work/0.05")

    client = asked(work, 4)
    assert sorted(client.told()[:2]) == [("a", 200), ("b", 200)]
    assert sorted(client.told()[2:]) == [("c", 200), ("d", 200)]
    times_s = [at_s for _, _, at_s, _ in client.answers]
    assert all(at_s >= 0.05 for at_s in times_s[:2])
    assert all(at_s >= 0.10 for at_s in times_s[2:])


def test_an_answer_tells_who_served_it_and_when() -> None:
    client = asked(lambda client: client.ask("a", "/work/0.02"), 1)
    head = client.answers[0][3].partition(b"\r\n\r\n")[0]
    assert header(head, b"x-instance") == "web-1"
    assert header(head, b"x-version") == "new"
    begun, ended = (float(header(head, name) or "nan") for name in (b"x-begun", b"x-ended"))
    assert 0.02 <= ended - begun < 10


def test_a_check_takes_its_place_in_the_queue_but_no_slot() -> None:
    def work(client: Client) -> None:
        client.ask("check of an idle one", "/healthz")
        for name in "abc":
            client.ask(name, "/work/0.03")
        client.ask("check", "/healthz")
        client.ask("version", "/version")

    client = asked(work, 6)
    assert client.told()[:2] == [("check of an idle one", 200), ("version", 200)]
    names = [name for name, _ in client.told()]
    assert names.index("check") > names.index("a")
    assert names.index("check") < names.index("c")


@pytest.mark.parametrize(
    ("version", "settings", "path", "status", "least_s"),
    [
        ({}, {}, "/work/0.04", 200, 0.04),
        ({"service_factor": 2.0}, {}, "/work/0.04", 200, 0.08),
        ({"cold_factor": 3.0, "cold_decay_s": 1e6}, {}, "/work/0.04", 200, 0.119),
        ({}, {"speed": 2.0}, "/work/0.08", 200, 0.04),
        ({"error_fraction": 1.0}, {}, "/work/0.01", 500, 0.01),
        ({"start_fails": 1.0}, {}, "/healthz", 503, 0.0),
        ({}, {}, "/nowhere", 404, 0.0),
    ],
)
def test_how_a_version_behaves(
    version: dict[str, Any], settings: dict[str, Any], path: str, status: int, least_s: float
) -> None:
    client = asked(lambda client: client.ask("a", path), 1, version=version, **settings)
    assert client.told() == [("a", status)]
    assert least_s <= client.answers[0][2] < least_s + 10


def test_a_full_queue_rejects_and_a_long_one_times_out() -> None:
    def work(client: Client) -> None:
        for name in "abcd":
            client.ask(name, "/work/0.2")

    client = asked(work, 4, queue_limit=1, queue_timeout_s=0.03)
    outcomes = {
        name: header(data.partition(b"\r\n\r\n")[0], b"x-outcome")
        for name, _, _, data in client.answers
    }
    assert outcomes == {"a": None, "b": None, "c": "timed_out", "d": "rejected"}
    assert dict(client.told()) == {"a": 200, "b": 200, "c": 503, "d": 503}


@pytest.mark.parametrize("cancels", [False, True])
def test_who_leaves_frees_its_place_at_once_and_its_slot_only_when_it_cancels(
    cancels: bool,
) -> None:
    work_s = 60.0 if cancels else 0.2

    async def go() -> tuple[float, list[tuple[str, int]]]:
        client = Client({"slots": 1, "cancels": cancels}, {})
        first = client.ask("a", f"/work/{work_s}")
        second = client.ask("b", f"/work/{work_s}")
        client.ask("c", "/work/0.01")
        client.instance.note_client_left(second)
        client.instance.note_client_left(first)
        await client.until(1 if cancels else 2)
        return client.answers[-1][2], client.told()

    at_s, told = asyncio.run(go())
    assert told[-1] == ("c", 200)
    assert "b" not in dict(told)
    assert at_s < work_s if cancels else at_s >= work_s


def test_heads_are_cut_from_a_stream_whatever_its_pieces() -> None:
    stream = (
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 503 Not\r\nX-Pool:  0\r\n\r\n"
    )
    for size in (1, 7, len(stream)):
        heads, found = Heads(), []
        for first in range(0, len(stream), size):
            heads.feed(stream[first : first + size])
            while (head := heads.next_head()) is not None:
                found.append(head)
        assert [head[9:12] for head in found] == [b"200", b"503"]
        assert header(found[1], b"x-pool") == "0"
        assert header(found[0], b"x-pool") is None


def test_work_that_nobody_waits_for_does_not_hold_up_a_stop() -> None:
    async def go() -> list[bool]:
        client = Client({}, {})
        told: list[str] = []
        client.instance.when_idle = lambda: told.append("idle")
        first, second = (client.ask(name, "/work/0.1") for name in "ab")
        found = [client.instance.is_idle]
        client.instance.note_client_left(first)
        found.append(client.instance.is_idle)
        client.instance.note_client_left(second)
        found += [client.instance.is_idle, told == ["idle"]]
        client.ask("c", "/work/0.01")
        found.append(client.instance.is_idle)
        await client.until(3)  # the slots were held to the end
        return [*found, client.answers[2][0] == "c", client.instance.is_idle]

    assert asyncio.run(go()) == [False, False, True, True, False, True, True]
