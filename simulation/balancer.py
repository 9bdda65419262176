"""Routing policies: which instance gets the next request.

Enters: every change of an instance's count of connections, and whether it may be chosen (in the
pool, and with a free slot where the balancer holds the queue). Leaves: the instance to send to.
A further policy is one more class here and its name in `POLICIES`.
"""

from __future__ import annotations

from typing import Protocol


class Policy(Protocol):
    """How a balancer chooses."""

    def __init__(self, instance_count: int) -> None: ...

    def update(self, instance: int, connections: int, may_choose: bool) -> None:
        """Hears that an instance's connections or its place in the pool changed."""

    def pick(self) -> int:
        """The instance that gets the next request, −1 when none may be chosen."""


class RoundRobin:
    """Each in turn: a pointer over instance numbers, whatever the pool is at the moment."""

    def __init__(self, instance_count: int) -> None:
        self._may_choose = bytearray([True] * instance_count)
        self._next = 0

    def update(self, instance: int, connections: int, may_choose: bool) -> None:
        """Hears that an instance's place in the pool changed."""
        self._may_choose[instance] = may_choose

    def pick(self) -> int:
        """The first that may be chosen at or after the pointer."""
        instance = self._may_choose.find(1, self._next)
        if instance < 0:
            instance = self._may_choose.find(1)
        self._next = instance + 1
        return instance


class LeastConnections:
    """The fewest connections, queued ones counted; of equals the one unchanged the longest."""

    _NEVER = 1 << 100

    def __init__(self, instance_count: int) -> None:
        self._connections = [0] * instance_count
        self._changed = list(range(instance_count))
        self._changes = instance_count
        # One number to compare: the count first, then when it last changed.
        self._rank = list(range(instance_count))

    def update(self, instance: int, connections: int, may_choose: bool) -> None:
        """Hears a new count of connections, or a change of the pool."""
        if connections != self._connections[instance]:
            self._connections[instance] = connections
            self._changed[instance] = self._changes
            self._changes += 1
        self._rank[instance] = (
            (connections << 48) + self._changed[instance] if may_choose else self._NEVER
        )

    def pick(self) -> int:
        """The instance of the lowest rank."""
        lowest = min(self._rank)
        return self._rank.index(lowest) if lowest < self._NEVER else -1


POLICIES: dict[str, type[Policy]] = {
    "round_robin": RoundRobin,
    "least_connections": LeastConnections,
}
