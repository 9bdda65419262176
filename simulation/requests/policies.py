"""Routing policies: which instance gets the next request.

A policy is informed of every change of an instance: its connections, whether the balancer believes
that it is in the pool, whether it has room (a free slot, where the balancer holds the queue), and its
weight. To add a policy, write one more class here and put its name into `POLICIES`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import reduce
from operator import add

from simulation.requests.draws import Draws


def _total(weights: Iterable[float]) -> float:
    """Return the sum, added from left to right.

    `sum` compensates rounding errors from Python 3.12 on, and results must not depend on the Python.
    """
    return reduce(add, weights, 0.0)


class Policy:
    """A rule by which a balancer chooses an instance, with the state that all rules need.

    Attributes:
        in_pool: Whether the balancer believes that each instance may get requests.
        has_room: Whether each instance may get a request now; always True where instances hold
            the queues.
        weights: Shares of the traffic, relative to each other.
        counts: Whether the rule uses the number of connections; `update` passes 0 where it does not.
    """

    counts = False

    def __init__(self, weights: Sequence[float], draws: Draws) -> None:
        self.count = len(weights)
        self.in_pool = [True] * self.count
        self.has_room = [True] * self.count
        self.weights = list(weights)
        self._draws = draws

    def update(self, instance: int, connections: int, in_pool: bool, has_room: bool) -> None:
        """Record that an instance's connections, place in the pool or room changed."""
        self.in_pool[instance] = in_pool
        self.has_room[instance] = has_room

    def set_weight(self, instance: int, weight: float) -> None:
        """Change the instance's share of the traffic, relative to the others."""
        self.weights[instance] = weight

    def pick(self, request: int, session: int, needs_room: bool = True) -> int:
        """Return the instance that gets the request, −1 when no instance may be chosen.

        Args:
            request: The number by which random policies draw; different for every pick.
            session: The session key of the request.
            needs_room: Whether full instances are skipped; a connection that takes no slot may
                go to a full instance.
        """
        raise NotImplementedError

    def _choices(self, needs_room: bool) -> list[int]:
        room = self.has_room if needs_room else self.in_pool
        return [k for k in range(self.count) if self.in_pool[k] and room[k]]


class RoundRobin(Policy):
    """Each instance in turn: a pointer over the instance numbers, kept when the pool changes."""

    def __init__(self, weights: Sequence[float], draws: Draws) -> None:
        super().__init__(weights, draws)
        self._may_choose = bytearray([True] * self.count)
        self._believed = bytearray([True] * self.count)
        self._next = 0

    def update(self, instance: int, connections: int, in_pool: bool, has_room: bool) -> None:
        super().update(instance, connections, in_pool, has_room)
        self._may_choose[instance] = in_pool and has_room
        self._believed[instance] = in_pool

    def pick(self, request: int, session: int, needs_room: bool = True) -> int:
        may_choose = self._may_choose if needs_room else self._believed
        instance = may_choose.find(1, self._next)
        if instance < 0:
            instance = may_choose.find(1)
        if instance >= 0:
            self._next = instance + 1
        return instance


class WeightedRoundRobin(Policy):
    """Each instance as often as its weight says, spread evenly ("smooth", as in nginx).

    Every pick adds the weight of each instance in question to that instance's credit. The instance
    with the largest credit is chosen and pays the sum of the weights.
    """

    def __init__(self, weights: Sequence[float], draws: Draws) -> None:
        super().__init__(weights, draws)
        self._credit = [0.0] * self.count

    def pick(self, request: int, session: int, needs_room: bool = True) -> int:
        choices = self._choices(needs_room)
        if not choices:
            return -1
        for instance in choices:
            self._credit[instance] += self.weights[instance]
        chosen = max(choices, key=lambda instance: (self._credit[instance], -instance))
        self._credit[chosen] -= _total(self.weights[instance] for instance in choices)
        return chosen


class LeastConnections(Policy):
    """The instance with the fewest connections, queued calls included.

    Of instances with equally many, the one whose number of connections changed the longest ago.
    """

    counts = True
    _NEVER = 1 << 100

    def __init__(self, weights: Sequence[float], draws: Draws) -> None:
        super().__init__(weights, draws)
        self._connections = [0] * self.count
        self._changed = list(range(self.count))
        self._changes = self.count
        # The count in the high bits and the last change in the low ones: one comparison does both.
        self._rank = list(range(self.count))
        self._rank_of_any = list(range(self.count))

    def update(self, instance: int, connections: int, in_pool: bool, has_room: bool) -> None:
        super().update(instance, connections, in_pool, has_room)
        if connections != self._connections[instance]:
            self._connections[instance] = connections
            self._changed[instance] = self._changes
            self._changes += 1
        rank = (connections << 48) + self._changed[instance]
        self._rank_of_any[instance] = rank if in_pool else self._NEVER
        self._rank[instance] = rank if in_pool and has_room else self._NEVER

    def pick(self, request: int, session: int, needs_room: bool = True) -> int:
        ranks = self._rank if needs_room else self._rank_of_any
        lowest = min(ranks)
        return ranks.index(lowest) if lowest < self._NEVER else -1


class WeightedLeastConnections(LeastConnections):
    """The instance with the fewest connections for its weight, the new connection included."""

    def pick(self, request: int, session: int, needs_room: bool = True) -> int:
        choices = self._choices(needs_room)
        return min(
            choices,
            key=lambda k: ((self._connections[k] + 1) / self.weights[k], self._changed[k]),
            default=-1,
        )


class Random(Policy):
    """A random instance; its probability is proportional to its weight."""

    def pick(self, request: int, session: int, needs_room: bool = True) -> int:
        choices = self._choices(needs_room)
        if not choices:
            return -1
        u = self._draws.uniform("pick", request)
        return self._pick_by_weight(choices, u)

    def _pick_by_weight(self, choices: Sequence[int], u: float) -> int:
        """Return the choice in whose part of the summed weights the fraction ``u`` lies."""
        left = u * _total(self.weights[k] for k in choices)
        for instance in choices:
            left -= self.weights[instance]
            if left < 0:
                return instance
        return choices[-1]


class PowerOfTwo(Random):
    """Choose, of two instances drawn from the pool, the one with fewer connections (Mitzenmacher, 1996).

    Where the balancer holds the queue: when one of the two is full, the other is chosen; when both
    are full, the next instance with a free slot, by number.
    """

    counts = True

    def __init__(self, weights: Sequence[float], draws: Draws) -> None:
        super().__init__(weights, draws)
        self._connections = [0] * self.count

    def update(self, instance: int, connections: int, in_pool: bool, has_room: bool) -> None:
        super().update(instance, connections, in_pool, has_room)
        self._connections[instance] = connections

    def pick(self, request: int, session: int, needs_room: bool = True) -> int:
        pool = [k for k in range(self.count) if self.in_pool[k]]
        if not pool:
            return -1
        first = self._pick_by_weight(pool, self._draws.uniform("pick", request))
        others = [k for k in pool if k != first]
        room = self.has_room if needs_room else self.in_pool
        if not others:
            return first if room[first] else -1
        u = self._draws.uniform("second pick", request)
        second = self._pick_by_weight(others, u)
        free = [k for k in (first, second) if room[k]]
        if free:
            return min(free, key=lambda k: self._connections[k])
        following = [*range(first + 1, self.count), *range(first)]
        return next((k for k in following if self.in_pool[k] and room[k]), -1)


class SourceHash(Policy):
    """Choose the same instance for the same session as long as the instance is in the pool.

    Rendezvous hashing (Thaler and Ravishankar, 1998): every instance has a score for the session,
    −weight/ln(u), and the highest wins. When an instance leaves, only its own sessions move.
    """

    def __init__(self, weights: Sequence[float], draws: Draws) -> None:
        super().__init__(weights, draws)
        self._orders: dict[int, list[int]] = {}

    def pick(self, request: int, session: int, needs_room: bool = True) -> int:
        order = self._orders.get(session)
        if order is None:
            order = self._orders[session] = self._order(session)
        room = self.has_room if needs_room else self.in_pool
        return next((k for k in order if self.in_pool[k] and room[k]), -1)

    def set_weight(self, instance: int, weight: float) -> None:
        super().set_weight(instance, weight)
        self._orders.clear()

    def _order(self, session: int) -> list[int]:
        """Return all instances by their score for the session, the highest first."""
        scores = [
            -self.weights[k] / math.log(self._draws.uniform("affinity", session, k))
            for k in range(self.count)
        ]
        return sorted(range(self.count), key=lambda k: -scores[k])


POLICIES: dict[str, type[Policy]] = {
    "round_robin": RoundRobin,
    "least_connections": LeastConnections,
    "random": Random,
    "power_of_two": PowerOfTwo,
    "source_hash": SourceHash,
    "pull": LeastConnections,
}
"""The policies by name.

With `pull`, an instance takes a task when it has a free slot. Of several such instances the one that
has been idle the longest is first: this is `LeastConnections`.
"""

_WEIGHTED: dict[str, type[Policy]] = {
    "round_robin": WeightedRoundRobin,
    "least_connections": WeightedLeastConnections,
}


def policy(name: str, weights: Sequence[float], draws: Draws, *, will_change: bool) -> Policy:
    """Return a new policy by its name.

    The unweighted form is used where all weights are equal and remain so (``will_change`` is False).
    """
    plain = len(set(weights)) == 1 and not will_change
    kind = POLICIES[name] if plain else _WEIGHTED.get(name, POLICIES[name])
    return kind(weights, draws)
