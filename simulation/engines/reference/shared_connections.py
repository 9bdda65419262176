"""The connections that a service's requests share, where the balancer balances connections.

Clients keep a connection open, as with HTTP keep-alive, HTTP/2 or a connection pool: the balancer
chooses an instance for each connection, not for each request (model.md §14).
"""

from __future__ import annotations

from collections.abc import Callable

import simpy

from simulation.requests.draws import Draws
from simulation.requests.plane import AGES, FIRST_PICK, SimulatedClock
from simulation.scenario.balancer import BalancerModel
from simulation.scenario.limits import CONNECTION_BITS


class SharedConnection:
    """One connection, which any number of requests share.

    Attributes:
        number: The connection's number within its service.
        instance: The instance to which the connection is open, −1 while it is closed.
        in_flight: Number of requests in service or queued that came over the connection.
        openings: How often the connection was opened; tells the age of one opening from the next.
        is_old: Whether the connection is older than `max_age`.
    """

    __slots__ = ("in_flight", "instance", "is_old", "number", "openings")

    def __init__(self, number: int) -> None:
        self.number = number
        self.instance = -1
        self.in_flight = 0
        self.openings = 0
        self.is_old = False


class SharedConnections:
    """All shared connections of one service.

    Attributes:
        open_count: Number of connections open to each instance.
    """

    def __init__(
        self,
        env: SimulatedClock,
        rule: BalancerModel,
        draws: Draws,
        *,
        service: int,
        instance_count: int,
        on_change: Callable[[int], None],
    ) -> None:
        """Begin with closed connections.

        Args:
            env: The simulation.
            rule: How the balancer treats connections.
            draws: The service's random numbers.
            service: The service's number.
            instance_count: Number of instances, second ones included.
            on_change: Called with an instance when the number of connections open to it changed.
        """
        self._env = env
        self._rule = rule
        self._draws = draws
        self._first = service << CONNECTION_BITS
        self._on_change = on_change
        self._connections = [SharedConnection(k) for k in range(rule.connections)]
        self._closes = [False] * instance_count
        self.open_count = [0] * instance_count

    def open_all(self, pick: Callable[[int, int], int]) -> None:
        """Open all connections at the beginning, each with an age that is uniform over `max_age`.

        Args:
            pick: Returns the instance for a connection: the number of the pick, the session.
        """
        for connection in self._connections:
            instance = pick(FIRST_PICK + connection.number, connection.number)
            age_s = 0.0
            if self._rule.max_age is not None:
                age_s = self._rule.max_age * self._draws.uniform(
                    "connection age", connection.number
                )
            self.open(connection, instance, self._env.now - age_s)

    def draw(self, order: int) -> SharedConnection:
        """Return the connection that an attempt takes; its further tries to connect take the same."""
        u = self._draws.uniform("connection", order)
        return self._connections[int(u * len(self._connections))]

    def open(self, connection: SharedConnection, instance: int, opened_s: float) -> None:
        """Open a closed connection to an instance."""
        connection.instance = instance
        connection.openings += 1
        connection.is_old = False
        self.open_count[instance] += 1
        self._on_change(instance)
        if self._rule.max_age is not None:
            old_s = max(self._env.now, opened_s + self._rule.max_age)
            order = AGES + self._first + connection.number
            self._env.call_at(old_s, order, self._on_age, (connection, connection.openings))

    def _on_age(self, event: simpy.Event) -> None:
        connection, openings = event._value
        if connection.instance >= 0 and connection.openings == openings:
            connection.is_old = True
            self.close_if_due(connection)

    def close_if_due(self, connection: SharedConnection) -> None:
        """Close an open connection that is to be closed and has no request in flight."""
        is_due = connection.is_old or self._closes[connection.instance]
        if is_due and connection.in_flight == 0:
            self._close(connection)

    def _close(self, connection: SharedConnection) -> None:
        instance = connection.instance
        connection.instance = -1
        self.open_count[instance] -= 1
        self._on_change(instance)

    def end_request(self, connection: SharedConnection) -> None:
        """Note that a request over the connection has left its instance."""
        connection.in_flight -= 1
        self.close_if_due(connection)

    def set_closes(self, instance: int, closes: bool) -> None:
        """Set whether each connection of the instance is closed once its requests have finished."""
        self._closes[instance] = closes
        if closes:
            for connection in self._connections:
                if connection.instance == instance:
                    self.close_if_due(connection)

    def close_all(self, instance: int) -> None:
        """Close every connection of an instance at which no request is left."""
        for connection in self._connections:
            if connection.instance == instance:
                self._close(connection)
