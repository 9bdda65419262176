"""The adapter against a real HAProxy: what it reads, what it tells, and every error in its words."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from executor.fleet.balancers.base import Admin, BalancerError, Forbidden, Rejected, Unreachable
from executor.fleet.balancers.haproxy import HAProxy
from executor.fleet.inventory import HAProxySpec
from tests.helpers.fleet import Fleet, fleet, get
from tests.helpers.haproxy import until


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet(tmp_path_factory.mktemp("haproxy"), 2) as running:
        yield running


@pytest.fixture
def adapter(made: Fleet) -> Iterator[HAProxy]:
    one = HAProxy(HAProxySpec(socket=made.haproxy.socket, backend="shop"))
    yield one
    for name in made.names:
        one.put_back(name)
    until(lambda: all(s.is_checked for s in one.observe().servers.values()), "all are up again")


def test_what_is_told_is_what_is_seen(made: Fleet, adapter: HAProxy) -> None:
    name, other = made.names
    for tell, admin, in_pool in (
        (adapter.take_out, Admin.DRAIN, False),
        (adapter.remove, Admin.MAINT, False),
        (adapter.put_back, Admin.READY, True),
    ):
        tell(name)
        state = adapter.observe()
        assert set(state.servers) == set(made.names)
        assert (state.servers[name].admin, state.servers[name].is_in_pool) == (admin, in_pool)
        assert state.servers[other].is_in_pool


def test_a_return_is_up_at_once_and_checked_only_later(made: Fleet, adapter: HAProxy) -> None:
    name = made.names[0]
    adapter.remove(name)
    adapter.put_back(name)
    server = adapter.observe().servers[name]
    assert (server.is_up, server.is_checked) == (True, False)
    until(lambda: adapter.observe().servers[name].is_checked, "a check has passed")


def test_requests_and_failures_are_counted(made: Fleet, adapter: HAProxy) -> None:
    before = adapter.observe()
    assert get(made.haproxy.port, "/") == "1.0"
    (made.of(made.names[0]) / "version").write_text("1.0")
    after = adapter.observe()
    assert after.requests_count == before.requests_count + 1
    assert after.failed_count == before.failed_count
    for name in made.names:
        adapter.remove(name)
    assert "503" in str(get(made.haproxy.port, "/"))
    last = adapter.observe()
    assert (last.requests_count, last.failed_count) == (
        after.requests_count + 1,
        after.failed_count + 1,
    )


def test_requests_in_flight_are_sessions(made: Fleet, adapter: HAProxy) -> None:
    thread = threading.Thread(target=get, args=(made.haproxy.port, "/slow"))
    thread.start()

    def in_flight() -> int:
        return sum(one.sessions_count for one in adapter.observe().servers.values())

    until(lambda: in_flight() == 1, "it is in flight")
    busy = next(n for n, one in adapter.observe().servers.items() if one.sessions_count)
    adapter.take_out(busy)
    assert in_flight() == 1
    adapter.cut(busy)
    until(lambda: in_flight() == 0, "it was cut")
    thread.join()


def test_over_tcp_it_is_the_same_with_a_warning(made: Fleet, adapter: HAProxy) -> None:
    tcp = HAProxy(HAProxySpec(tcp=f"127.0.0.1:{made.haproxy.tcp_port}", backend="shop"))
    tcp.check_permission()
    assert tcp.observe().identity == adapter.observe().identity
    assert "asks for no password" in tcp.warnings()[0]
    assert adapter.warnings() == []


def test_a_reload_is_another_identity(made: Fleet, adapter: HAProxy) -> None:
    before = adapter.observe().identity
    adapter.remove(made.names[0])
    made.haproxy.reload()
    after = adapter.observe()
    assert after.identity != before
    assert after.servers[made.names[0]].admin is Admin.READY  # it has forgotten


def test_errors_are_told_apart(made: Fleet, adapter: HAProxy, tmp_path: Path) -> None:
    def error_of(one: HAProxy, what: str = "observe") -> BalancerError:
        with pytest.raises(BalancerError) as caught:
            one.check_permission() if what == "change" else one.observe()
        return caught.value

    missing = error_of(HAProxy(HAProxySpec(socket=tmp_path / "none", backend="shop")))
    assert isinstance(missing, Unreachable)
    assert "there is no such socket" in str(missing)

    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "stale"))
    stale = error_of(HAProxy(HAProxySpec(socket=tmp_path / "stale", backend="shop")))
    assert isinstance(stale, Unreachable)
    assert "stale" in str(stale)

    user = HAProxy(HAProxySpec(socket=made.haproxy.user_socket, backend="shop"))
    assert user.ask("show stat").startswith("# pxname")  # looking is allowed
    forbidden = error_of(user, "change")
    assert isinstance(forbidden, Forbidden)
    assert "level must be admin" in str(forbidden)

    backend = error_of(HAProxy(HAProxySpec(socket=made.haproxy.socket, backend="search")))
    assert isinstance(backend, Rejected)
    assert "backend search must exist" in str(backend)

    with pytest.raises(Rejected, match="No such server"):
        adapter.take_out("nobody")

    silent = tmp_path / "silent"
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(silent))
        deaf.listen()
        slow = error_of(HAProxy(HAProxySpec(socket=silent, backend="shop", timeout_s=0.2)))
    assert isinstance(slow, Unreachable)
    assert "did not answer within 0.2 s" in str(slow)

    adapter.check_permission()  # where it is allowed, it changes nothing and says nothing


def test_a_socket_that_may_not_be_opened(made: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(socket.socket, "connect", refused)  # root may open every socket
    with pytest.raises(Forbidden, match="this user may not open the socket"):
        HAProxy(HAProxySpec(socket=made.haproxy.socket, backend="shop")).observe()


@pytest.mark.parametrize("fall", [1, 3])
def test_a_fresh_check_is_seen_whatever_fall_is(tmp_path: Path, fall: int) -> None:
    from tests.helpers.haproxy import haproxy

    with fleet(tmp_path, 1) as one, haproxy(tmp_path / "checkout-1", one.ports, fall) as running:
        adapter = HAProxy(HAProxySpec(socket=running.socket, backend="shop", check_interval_s=0.1))
        until(lambda: adapter.observe().servers["checkout-1"].is_checked, "it is checked")
        adapter.remove("checkout-1")
        adapter.put_back("checkout-1")
        assert adapter.observe().servers["checkout-1"].is_checked is False
        until(lambda: adapter.observe().servers["checkout-1"].is_checked, "it is checked again")
