"""What others did to the servers of a real HAProxy: it is left alone, and told before it hurts."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from executor.fleet.balancers.haproxy import HAProxy
from executor.fleet.inventory import HAProxySpec
from executor.progress import Event, EventKind, replay_events
from executor.records.journal import Journal
from tests.helpers.fleet import ROOT, Fleet, fleet
from tests.helpers.haproxy import ask, free_ports, until

pytestmark = pytest.mark.slow

DYING = str(ROOT / "tests" / "helpers" / "dying_executor.py")


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Fleet]:
    with fleet(tmp_path, 3) as made:
        made.plans(min_in_pool=1, window=1)
        yield made


def tell(made: Fleet, server: str, words: str) -> None:
    """Tells HAProxy something about a server, as a person at its socket does."""
    assert ask(made.haproxy.socket, f"set server shop/{server} {words}").strip() == b""


def adapter(made: Fleet) -> HAProxy:
    return HAProxy(HAProxySpec(socket=made.haproxy.socket, backend="shop"))


@pytest.mark.parametrize("state", ["maint", "drain"])
def test_a_server_that_somebody_took_out_is_refused_by_name(three: Fleet, state: str) -> None:
    tell(three, "checkout-3", f"state {state}")
    done = three.execute()
    assert done.returncode == 3, done.stdout + done.stderr
    assert f"checkout-3: is in {state} by somebody else and must be ready" in done.stderr
    assert three.admin() == ["ready", "ready", state]
    assert three.versions() == ["1.0"] * 3
    assert [three.commands(name) for name in three.names] == [[]] * 3
    validated = subprocess.run(
        [*three.command()[:3], "validate", str(three.plan), "--inventory", str(three.inventory)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert validated.returncode == 3
    assert "✗ nobody else has taken a server out" in validated.stdout
    tell(three, "checkout-3", "state ready")
    until(lambda: three.admin() == ["ready"] * 3, "all are up")
    assert three.execute().returncode == 0


def test_a_server_that_somebody_takes_out_before_its_turn_is_not_touched(three: Fleet) -> None:
    with three.executing() as running:
        until(lambda: three.admin()[0] != "ready", "the first is out")
        tell(three, "checkout-3", "state maint")
        out, _ = running.communicate(timeout=60)
    assert running.returncode == 4, out
    assert "halted: checkout-3 was put into maint by somebody else, and is not touched" in out
    assert "  2 in the pool, version 1.1: checkout-1, checkout-2" in out
    assert "  1 out of the pool (maint), version 1.0: checkout-3" in out
    assert "Go on with: python " in out
    assert three.commands("checkout-3") == []
    still = three.execute("--resume")
    assert still.returncode == 3
    assert "checkout-3: is in maint by somebody else" in still.stderr
    tell(three, "checkout-3", "state ready")
    until(lambda: three.admin() == ["ready"] * 3, "all are up")
    done = three.execute("--resume")
    assert done.returncode == 0, done.stdout + done.stderr
    assert three.versions() == ["1.1"] * 3
    with_found = {e.instance: e.admin for e in journal_events(three) if e.kind is EventKind.FOUND}
    assert with_found == dict.fromkeys(three.names, "ready")


def journal_events(made: Fleet) -> list[Event]:
    journal = Journal.open(made.journal)
    try:
        return journal.events()
    finally:
        journal.close()


@pytest.mark.parametrize(
    ("kind", "step", "ours"),
    [("done", "take_out", "drain"), ("intent", "deploy", "maint"), ("intent", "stop", "drain")],
)
def test_after_a_crash_its_own_are_known_from_those_of_others(
    three: Fleet, kind: str, step: str, ours: str
) -> None:
    subprocess.run(
        [sys.executable, DYING, kind, step, "after", *three.command()[3:]],
        cwd=ROOT,
        env=three.environment(),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert three.admin()[0] == ours
    assert replay_events(journal_events(three)).of("checkout-1").found == "ready"
    if (kind, step) == ("done", "take_out"):  # the rollout drains, and somebody takes it away
        tell(three, "checkout-1", "state maint")
        refused = three.execute("--resume")
        assert refused.returncode == 3, refused.stdout + refused.stderr
        assert "checkout-1: is in maint by somebody else" in refused.stderr
        assert three.admin()[0] == "maint"
        tell(three, "checkout-1", "state ready")
        until(lambda: three.admin()[0] == "ready", "it is up")
    done = three.execute("--resume")
    assert done.returncode == 0, done.stdout + done.stderr
    assert three.versions() == ["1.1"] * 3
    assert three.admin() == ["ready"] * 3


@contextmanager
def agent(words: bytes) -> Iterator[int]:
    """An agent of HAProxy's that says the same to everybody; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            while True:
                try:
                    asked, _ = listener.accept()
                except OSError:
                    return
                with asked:
                    asked.sendall(words)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_weight_0_an_agents_0_percent_and_a_backup_are_no_capacity(tmp_path: Path) -> None:
    with (
        agent(b"up 0%\n") as port,
        fleet(
            tmp_path,
            6,
            {
                "checkout-3": "weight 0",
                "checkout-4": f"agent-check agent-port {port} agent-inter 100ms",
                "checkout-5": "backup",
            },
        ) as made,
    ):
        tell(made, "checkout-6", "weight 0")
        balancer = adapter(made)
        until(lambda: balancer.observe().servers["checkout-4"].weight == 0, "the agent is heard")
        servers = balancer.observe().servers
        assert [servers[name].is_in_pool for name in made.names] == [True] * 2 + [False] * 4
        assert all(server.is_ready for server in servers.values())
        made.plans(min_in_pool=4, window=1)
        done = made.execute()
        assert done.returncode == 3, done.stdout + done.stderr
        assert (
            "instances up (2) less the window (1) must not fall below the minimum (4); out: "
            "checkout-3 (weight 0), checkout-4 (weight 0), checkout-5 (backup), "
            "checkout-6 (weight 0)"
        ) in done.stderr
        assert "warning: checkout-5: is a backup at the balancer" in done.stderr
        assert done.stderr.count("has weight 0 at the balancer") == 3
        assert made.versions() == ["1.0"] * 6
        made.plans(min_in_pool=1, window=1)
        done = made.execute()
        assert done.returncode == 0, done.stdout + done.stderr
        assert made.versions() == ["1.1"] * 6
        lowest = min(sample["in_pool_count"] for sample in made.timeline()["samples"])
        assert lowest == 1


def test_a_server_that_starts_slowly_is_in_the_pool(tmp_path: Path) -> None:
    with fleet(tmp_path, 2, {"checkout-1": "slowstart 60s weight 200"}) as made:
        balancer = adapter(made)
        balancer.remove("checkout-1")
        balancer.put_back("checkout-1")
        server = balancer.observe().servers["checkout-1"]
        assert (server.weight, server.is_in_pool) == (200, True)


def test_the_other_ways_to_the_servers_are_told(tmp_path: Path) -> None:
    here, there = free_ports(2)

    def more(ports: dict[str, int]) -> str:
        return f"""
backend internal
  server a 127.0.0.1:{ports["checkout-1"]}
backend other
  server b 127.0.0.1:{there}
peers pair
  peer {socket.gethostname()} 127.0.0.1:{here}
  peer lb2 127.0.0.1:{there}
"""

    with fleet(tmp_path, 2, more=more) as made:
        routes = adapter(made).other_routes()
        assert routes.servers == {"checkout-1": ("internal/a",)}
        assert routes.peers == ("lb2",)
        made.plans(min_in_pool=1, window=1)
        done = made.execute()
        assert done.returncode == 0, done.stdout + done.stderr
        assert "warning: checkout-1: internal/a of the same balancer has its address" in done.stderr
        assert "warning: the balancer has peers (lb2), which are not told" in done.stderr
        place = f"backend shop of {made.haproxy.socket}"
        assert f"only {place} is told and watched" in done.stdout


def test_where_there_is_no_other_way_none_is_told(three: Fleet) -> None:
    routes = adapter(three).other_routes()
    assert (dict(routes.servers), routes.peers) == ({}, ())
