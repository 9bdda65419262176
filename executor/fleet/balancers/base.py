"""The interface to a balancer: verbs that change a server, and the observed state.

A balancer is one file in this folder: a class that follows `Balancer`, and an entry in
`executor.fleet.connect`. What a balancer cannot tell is None, never a guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol

from executor.base.errors import RollcastError


class BalancerError(RollcastError):
    """An error of the balancer: it did not do what was asked."""

    exit_code = 4


class Unreachable(BalancerError):
    """A balancer that does not answer, so that nobody knows whether it did what was asked."""


class Forbidden(BalancerError):
    """A balancer that answers, but does not allow this user to change anything."""


class Rejected(BalancerError):
    """A balancer that answered with an error and changed nothing."""


Verb = Literal["take_out", "remove", "cut", "put_back"]
"""The changes that a balancer can make to a server."""


class Admin(StrEnum):
    """The administrative state of a server at the balancer."""

    READY = "ready"
    DRAIN = "drain"
    MAINT = "maint"


@dataclass(frozen=True)
class Server:
    """One server as the balancer reports it.

    Attributes:
        admin: Its administrative state.
        is_up: The result of its health checks; None when the balancer cannot tell, as without checks.
        is_checked: Whether a check has passed since the server was last made ready; None when the
            balancer cannot tell.
        sessions_count: Requests in flight at the server.
        queued_count: Requests that wait for this server.
        requests_count: Requests since the balancer started.
        failed_count: Failed requests since the balancer started.
        weight: Its share of the requests relative to the other servers' weights; with 0 it gets no
            new request. An agent that reports ``up 0%`` sets it too. None when the balancer cannot
            tell.
        is_backup: Whether it gets requests only when no other server is up.
    """

    admin: Admin
    is_up: bool | None
    is_checked: bool | None = None
    sessions_count: int = 0
    queued_count: int = 0
    requests_count: int = 0
    failed_count: int = 0
    weight: int | None = None
    is_backup: bool = False

    @property
    def is_ready(self) -> bool:
        """Return whether the server is ready and not down; its weight or its role may still keep requests away."""
        return self.admin is Admin.READY and self.is_up is not False

    @property
    def is_in_pool(self) -> bool:
        """Return whether the server gets new requests, and so counts as capacity."""
        return self.is_ready and self.weight != 0 and not self.is_backup


@dataclass(frozen=True)
class BalancerState:
    """The state of a balancer at one moment.

    Attributes:
        identity: The identity of its process: another process may have lost earlier changes.
        servers: The servers by name.
        requests_count: Requests of the whole service since that process started.
        failed_count: Failed requests of the whole service since that process started.
        queued_count: Requests that wait, for a server or for the whole backend.
        counts_requests: Whether the balancer counts requests; the counts are 0 where it does not.
    """

    identity: str
    servers: Mapping[str, Server] = field(default_factory=dict)
    requests_count: int = 0
    failed_count: int = 0
    queued_count: int = 0
    counts_requests: bool = True


@dataclass(frozen=True)
class OtherRoutes:
    """Ways by which requests may reach the same servers without the backend of the inventory.

    Attributes:
        servers: For each server of the backend, the servers of other backends in the same balancer
            that have its address, each as ``BACKEND/SERVER``.
        peers: Other balancers with which this one exchanges its tables.
    """

    servers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    peers: tuple[str, ...] = ()


class Balancer(Protocol):
    """A balancer. Each method may raise `BalancerError`, and none waits longer than its own timeout."""

    def warnings(self) -> list[str]:
        """Return sentences about risks of how the balancer is reached."""
        ...

    def place(self) -> str:
        """Return the backend and its balancer as a phrase for people."""
        ...

    def other_routes(self) -> OtherRoutes:
        """Return the other ways to the same servers, as far as this balancer knows them."""
        ...

    def words(self, verb: Verb, server: str) -> str:
        """Return the command that a verb sends to the balancer, for a dry run."""
        ...

    def check_permission(self) -> None:
        """Check that this user may change servers, without a change.

        Raises:
            Forbidden: This user may not.
        """
        ...

    def observe(self) -> BalancerState:
        """Return the present state."""
        ...

    def take_out(self, server: str) -> None:
        """Send no new requests to a server; those in flight go on (state drain)."""
        ...

    def remove(self, server: str) -> None:
        """Put a server into maintenance, where not even clients bound to it reach it."""
        ...

    def cut(self, server: str) -> None:
        """End the sessions that are left at a server."""
        ...

    def put_back(self, server: str) -> None:
        """Send new requests to a server again (state ready)."""
        ...


def is_drained(server: Server) -> bool:
    """Return whether no request is in flight at a server or waits for it.

    Callers require two consecutive polls: one may fall into a gap between two requests.
    """
    return server.sessions_count == 0 and server.queued_count == 0


def is_held_by_others(intended: Admin, admin: Admin) -> bool:
    """Return whether a server is further out of the pool than this rollout intends.

    Args:
        intended: The state that this rollout has set for the server.
        admin: The present state of the server.
    """
    # A server that is less far out is no sign of other operators: after a reload HAProxy may have
    # read an old state file.
    rank = (Admin.READY, Admin.DRAIN, Admin.MAINT)
    return rank.index(admin) > rank.index(intended)
