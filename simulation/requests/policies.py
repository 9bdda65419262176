"""Routing policies: which instance gets the next request.

Enters: every change of an instance's connections, of its place in the pool that the balancer
believes in, of its room (a free slot, where the balancer holds the queue), of its weight. Leaves:
the instance to send to. A further policy is one more class here and its name in `POLICIES`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import reduce
from operator import add

from simulation.requests.draws import Draws


def _total(weights: Iterable[float]) -> float:
    """Their sum, one after the other on every Python: newer ones' `sum` corrects its rounding."""
    return reduce(add, weights, 0.0)


class Policy:
    """How a balancer chooses. What all policies know is kept here.

    Attributes:
        in_pool: Whether the balancer believes that the instance may get requests.
        has_room: Whether it may get one now; always so where instances hold the queues.
        weights: Shares of the traffic, relative to each other.
        counts: Whether connections matter to it; who does not count hears of them as 0.
    """

    counts = False

    def __init__(self, weights: Sequence[float], draws: Draws) -> None:
        self.count = len(weights)
        self.in_pool = [True] * self.count
        self.has_room = [True] * self.count
        self.weights = list(weights)
        self._draws = draws

    def update(self, instance: int, connections: int, in_pool: bool, has_room: bool) -> None:
        """Hears that an instance's connections, place in the pool or room changed."""
        self.in_pool[instance] = in_pool
        self.has_room[instance] = has_room

    def set_weight(self, instance: int, weight: float) -> None:
        """The instance's share of the traffic changes."""
        self.weights[instance] = weight

    def pick(self, request: int, session: int, needs_room: bool = True) -> int:
        """The instance that gets the request, −1 when none may be chosen.

        Args:
            request: A number of its own, by which random policies draw.
            session: Its session key.
            needs_room: Whether full instances are skipped; a connection that takes no slot may
                land on one.
        """
        raise NotImplementedError

    def _choices(self, needs_room: bool) -> list[int]:
        room = self.has_room if needs_room else self.in_pool
        return [k for k in range(self.count) if self.in_pool[k] and room[k]]


class RoundRobin(Policy):
    """Each in turn: a pointer over instance numbers, whatever the pool is at the moment."""

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
    """Each in turn, as often as its weight says and spread evenly ("smooth", as nginx does).

    Every choice adds each candidate's weight to its credit; the largest credit is chosen and pays
    the sum of the weights.
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
    """The fewest connections, queued ones counted; of equals the one unchanged the longest."""

    counts = True
    _NEVER = 1 << 100

    def __init__(self, weights: Sequence[float], draws: Draws) -> None:
        super().__init__(weights, draws)
        self._connections = [0] * self.count
        self._changed = list(range(self.count))
        self._changes = self.count
        # One number to compare: the count first, then when it last changed.
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
    """The fewest connections for its weight, the new one counted."""

    def pick(self, request: int, session: int, needs_room: bool = True) -> int:
        choices = self._choices(needs_room)
        return min(
            choices,
            key=lambda k: ((self._connections[k] + 1) / self.weights[k], self._changed[k]),
            default=-1,
        )


class Random(Policy):
    """Any of those that may be chosen, as likely as its weight says."""

    def pick(self, request: int, session: int, needs_room: bool = True) -> int:
        choices = self._choices(needs_room)
        if not choices:
            return -1
        u = self._draws.uniform("pick", request)
        return self._drawn(choices, u)

    def _drawn(self, choices: Sequence[int], u: float) -> int:
        """The choice at the share ``u`` of all their weights."""
        left = u * _total(self.weights[k] for k in choices)
        for instance in choices:
            left -= self.weights[instance]
            if left < 0:
                return instance
        return choices[-1]


class PowerOfTwo(Random):
    """Of two drawn from the pool, the one with fewer connections (Mitzenmacher, 1996).

    Where the balancer holds the queue: when one of them is full the other, when both are the next
    free one.
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
        first = self._drawn(pool, self._draws.uniform("pick", request))
        others = [k for k in pool if k != first]
        room = self.has_room if needs_room else self.in_pool
        if not others:
            return first if room[first] else -1
        u = self._draws.uniform("second pick", request)
        second = self._drawn(others, u)
        free = [k for k in (first, second) if room[k]]
        if free:
            return min(free, key=lambda k: self._connections[k])
        following = [*range(first + 1, self.count), *range(first)]
        return next((k for k in following if self.in_pool[k] and room[k]), -1)


class SourceHash(Policy):
    """The same instance for the same session, as long as it is there.

    Rendezvous hashing (Thaler and Ravishankar, 1998): every instance has a score for the session,
    −weight/ln(u), and the highest wins. When one leaves, only its own sessions move.
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
        """All instances, the session's favourite first."""
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
"""By name. Who pulls takes a task when it has a slot free, the one that is idle longest first."""

_WEIGHTED: dict[str, type[Policy]] = {
    "round_robin": WeightedRoundRobin,
    "least_connections": WeightedLeastConnections,
}


def policy(name: str, weights: Sequence[float], draws: Draws, *, will_change: bool) -> Policy:
    """The policy of a name; the plain form where all weights are the same, and stay so."""
    plain = len(set(weights)) == 1 and not will_change
    kind = POLICIES[name] if plain else _WEIGHTED.get(name, POLICIES[name])
    return kind(weights, draws)
