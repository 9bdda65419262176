"""What the executor asks of a balancer: a few verbs, and the truth when it cannot tell.

A balancer is one file in this room: a class that follows `Balancer`, and an entry in
`executor.fleet.connect`. Enters: the names of servers. Leaves: what the balancer said, as frozen data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol

from executor.base.errors import RollcastError


class BalancerError(RollcastError):
    """The balancer did not do what was asked."""

    exit_code = 4


class Unreachable(BalancerError):
    """It does not answer: whether it did what was asked is not known."""


class Forbidden(BalancerError):
    """It answers, but does not let this user change anything."""


class Rejected(BalancerError):
    """It answered with an error; nothing was changed."""


Verb = Literal["take_out", "remove", "cut", "put_back"]
"""What a balancer can be told about a server."""


class Admin(StrEnum):
    """What the balancer was told about a server."""

    READY = "ready"
    DRAIN = "drain"
    MAINT = "maint"


@dataclass(frozen=True)
class Server:
    """One server as the balancer sees it.

    Attributes:
        admin: What it was told about the server.
        is_up: What its health checks say; None when it cannot tell, as without checks.
        is_checked: Whether a check has passed since the server was last made ready; None when the
            balancer cannot tell.
        sessions_count: Requests under way there.
        queued_count: Requests that wait for this server.
        requests_count: Requests since the balancer started.
        failed_count: Of these the ones that failed.
        weight: Its share of the requests beside the other servers' weights; with 0 it is sent no
            new request. An agent that says ``up 0%`` sets it too. None when the balancer cannot tell.
        is_backup: Whether it is sent requests only when no other server is up.
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
        """Whether nothing but its weight and its role keeps new requests away."""
        return self.admin is Admin.READY and self.is_up is not False

    @property
    def is_in_pool(self) -> bool:
        """Whether it is sent new requests, and so counts as capacity."""
        return self.is_ready and self.weight != 0 and not self.is_backup


@dataclass(frozen=True)
class BalancerState:
    """A balancer at one moment.

    Attributes:
        identity: Which process it is: another one may have forgotten what this one was told.
        servers: By name.
        requests_count: Requests of the whole service since that process started.
        failed_count: Of these the ones that failed.
        queued_count: Requests that wait, wherever.
    """

    identity: str
    servers: Mapping[str, Server] = field(default_factory=dict)
    requests_count: int = 0
    failed_count: int = 0
    queued_count: int = 0


@dataclass(frozen=True)
class OtherRoutes:
    """Ways by which requests may reach the same servers past the backend that is told.

    Attributes:
        servers: By server of the backend, the servers elsewhere in the same balancer that have its
            address, each as ``BACKEND/SERVER``.
        peers: Other balancers that this one exchanges its tables with.
    """

    servers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    peers: tuple[str, ...] = ()


class Balancer(Protocol):
    """The verbs. Each may raise `BalancerError`; none waits longer than its own timeout."""

    def warnings(self) -> list[str]:
        """What a careful operator should know about how it is reached, in sentences."""
        ...

    def place(self) -> str:
        """Which backend of which balancer is told and observed, for people."""
        ...

    def other_routes(self) -> OtherRoutes:
        """The other ways to the same servers, as far as this balancer knows them."""
        ...

    def words(self, verb: Verb, server: str) -> str:
        """The very words by which a verb is told, for a dry run."""
        ...

    def check_permission(self) -> None:
        """Makes sure that changes are allowed, without making one.

        Raises:
            Forbidden: They are not.
        """
        ...

    def observe(self) -> BalancerState:
        """Everything at once."""
        ...

    def take_out(self, server: str) -> None:
        """No new requests; those under way go on."""
        ...

    def remove(self, server: str) -> None:
        """Out for good: not even clients that are bound to it get there."""
        ...

    def cut(self, server: str) -> None:
        """Ends the sessions that are still there."""
        ...

    def put_back(self, server: str) -> None:
        """New requests again."""
        ...


def is_drained(server: Server) -> bool:
    """Whether nothing is under way there; believed when it is seen twice in a row."""
    return server.sessions_count == 0 and server.queued_count == 0


def is_held_by_others(told: Admin, admin: Admin) -> bool:
    """Whether a server is further out of the pool than it was told by this rollout.

    Args:
        told: What this rollout has told the balancer about the server.
        admin: How the balancer has it now.
    """
    # Less far out is no sign of others: a reload may have read an old state file.
    rank = (Admin.READY, Admin.DRAIN, Admin.MAINT)
    return rank.index(admin) > rank.index(told)
