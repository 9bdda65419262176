"""A balancer in memory, for tests that are not about HAProxy."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from executor.fleet.balancers.base import (
    Admin,
    BalancerState,
    OtherRoutes,
    Rejected,
    Server,
    Unreachable,
    Verb,
)


@dataclass
class FakeBalancer:
    """A balancer whose servers follow every command at once.

    Attributes:
        servers: The servers by name; a test may replace them to change what the balancer reports.
        commands: Every command in order, as `verb server`.
        process: A counter in place of the process id; each restart adds 1.
        is_away: Whether the balancer does not answer.
        counts_requests: Whether the balancer counts requests.
        routes: The result of `other_routes`: ways of requests to the servers without this backend.
    """

    servers: dict[str, Server]
    commands: list[str] = field(default_factory=list)
    process: int = 1
    is_away: bool = False
    requests_count: int = 0
    failed_count: int = 0
    queued_count: int = 0
    counts_requests: bool = True
    routes: OtherRoutes = field(default_factory=OtherRoutes)

    def warnings(self) -> list[str]:
        return []

    def place(self) -> str:
        return "backend shop in memory"

    def other_routes(self) -> OtherRoutes:
        self._answer()
        return self.routes

    def words(self, verb: Verb, server: str) -> str:
        return f"{verb} {server}"

    def check_permission(self) -> None:
        self._answer()

    def observe(self) -> BalancerState:
        self._answer()
        return BalancerState(
            str(self.process),
            dict(self.servers),
            self.requests_count,
            self.failed_count,
            self.queued_count,
            self.counts_requests,
        )

    def take_out(self, server: str) -> None:
        self._set("take_out", server, Admin.DRAIN)

    def remove(self, server: str) -> None:
        self._set("remove", server, Admin.MAINT)

    def cut(self, server: str) -> None:
        self._set("cut", server, self.servers[server].admin)
        self.servers[server] = replace(self.servers[server], sessions_count=0)

    def put_back(self, server: str) -> None:
        self._set("put_back", server, Admin.READY)
        self.servers[server] = replace(self.servers[server], is_up=True)

    def restart(self) -> None:
        """Replace the process by one that has lost every change."""
        self.process += 1
        self.servers = {
            name: replace(server, admin=Admin.READY) for name, server in self.servers.items()
        }

    def _set(self, verb: str, server: str, admin: Admin) -> None:
        self._answer()
        if server not in self.servers:
            raise Rejected(f"{server}: no such server")
        self.commands.append(f"{verb} {server}")
        self.servers[server] = replace(self.servers[server], admin=admin)

    def _answer(self) -> None:
        if self.is_away:
            raise Unreachable("the balancer does not answer")
