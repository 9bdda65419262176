"""What arrives, drawn purpose by purpose (model.md §9).

Enters: a `RateTable` or the times of a log, and what each class asks of each service on its route.
Leaves: `Streams`, drawn ahead in index order, so that request i has the same arrival and demands
whatever else happens; or a `ClosedLoop`, whose draws go by client and sequence number, since its
traffic depends on the answers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import special

from executor.base.errors import BadInput
from simulation.requests.draws import Draws
from simulation.scenario.distributions import Distribution
from simulation.scenario.rates import MOST_ROWS, RateTable
from simulation.scenario.traffic import Traffic
from simulation.scenario.units import Floats, Integers

BLOCK = 16384
"""Requests drawn at a time. The draws do not depend on it, only memory and speed do."""

_ZEROS: Integers = np.zeros(BLOCK, np.int64)

_PURPOSES = ("arrivals", "demands", "steps", "sessions", "classes", "bursts", "open")


def purpose_stream(
    seed: int, replication: int, purpose: str, number: int = 0, place: int = 0
) -> np.random.Generator:
    """The random stream of one purpose, and one thing of that kind, in one replication.

    Args:
        seed: The scenario's.
        replication: Its number.
        purpose: What the numbers are for.
        number: Which thing of that kind, such as a class.
        place: Which part of that thing, such as a place on the route of a class.
    """
    key = [seed, replication, _PURPOSES.index(purpose)]
    if place:
        return np.random.default_rng([*key, number, place])
    return np.random.default_rng([*key, number] if number else key)


@dataclass(frozen=True)
class OpenConnections:
    """Connections that are open when the simulated time begins, the oldest first.

    Attributes:
        opened_s: When each was opened, on the rollout's clock, shape (connections,).
        life_s: How long each lives in all, from then on.
        request_class: The number of its class.
        session: Its session key.
    """

    opened_s: Floats
    life_s: Floats
    request_class: Integers
    session: Integers

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.opened_s)


class Streams:
    """What arrives in an open loop, drawn ahead in blocks, one random stream for each purpose.

    Arrivals are Poisson by time change: a unit-rate process through the inverse of the cumulative
    rate. With a dispersion above 1 that rate is made bursty first; with times given there is
    nothing to draw of them. The same seed and replication give the same requests, whatever is
    simulated with them.

    Attributes:
        highest_rps: The highest rate.
        opened: The connections that are there before anything arrives; None for none.
    """

    opened: OpenConnections | None = None

    def __init__(
        self,
        rates: RateTable,
        demands: Sequence[Sequence[Distribution]],
        shares: Sequence[float],
        session_count: int,
        *,
        seed: int,
        replication: int,
        dispersion: float = 1.0,
        until_s: float = math.inf,
        times_s: Floats | None = None,
        opened: OpenConnections | None = None,
    ) -> None:
        """Opens the streams.

        Args:
            rates: The traffic on the rollout's clock.
            demands: For each class what it asks of each service on its route.
            shares: What part of the requests each class has.
            session_count: How many session keys there are; with 1 they are not drawn.
            seed: The scenario's.
            replication: Its number.
            dispersion: Variance over mean of the counts in one second.
            until_s: Where the simulated time ends at the latest; bursts need it.
            times_s: Arrivals to replay instead of drawing them, ascending.
            opened: The connections that are there before anything arrives.
        """
        self.opened = opened
        self._demands = demands
        self._shares = np.cumsum(shares)
        self._session_count = session_count
        self._unit = purpose_stream(seed, replication, "arrivals")
        self._service = [
            [purpose_stream(seed, replication, "demands", number, place) for place in range(len(a))]
            for number, a in enumerate(demands)
        ]
        self._class = purpose_stream(seed, replication, "classes")
        self._session = purpose_stream(seed, replication, "sessions")
        self._unit_time = 0.0
        self._replayed, self._replayed_count = times_s, 0
        self._running_sum: Callable[[Floats], Floats] = np.cumsum
        self._times: Floats | None = None
        self.data_ends_s = rates.data_ends_s()
        if dispersion > 1.0:
            rng = purpose_stream(seed, replication, "bursts")
            rates = bursty(rates, dispersion, until_s, rng)
        self._rates = rates
        known = np.nan_to_num(rates.rates_rps, nan=0.0)
        areas = np.zeros(len(known))
        np.multiply(known, np.diff(rates.edges_s), out=areas, where=known > 0)
        self._cumulative = np.concatenate([[0.0], np.cumsum(areas)])
        self.highest_rps = float(np.max(known, initial=0.0))

    def quicken(
        self, running_sum: Callable[[Floats], Floats], generator: Callable[[Any], Any]
    ) -> None:
        """Takes other ways to the same numbers, for one who is done with a block before the next.

        Each block then lies where the last one lay: fresh memory would cost as much as what is drawn.

        Args:
            running_sum: As `numpy.cumsum`; it may work in place.
            generator: Makes of a random generator one that draws the same.
        """
        self._running_sum = running_sum
        self._times = np.empty(BLOCK)
        self._service = [[generator(rng) for rng in route] for route in self._service]

    def next_block(self) -> tuple[Floats, Floats, Integers, Integers]:
        """The next requests: arrivals (BLOCK,) and demands (BLOCK, longest route) in seconds.

        Then their classes and sessions, (BLOCK,) each. Times are infinite where no traffic is left,
        demands are NaN past the end of a route.
        """
        times = self._next_drawn() if self._replayed is None else self._next_replayed()
        sessions = classes = (
            _ZEROS  # of one class, and where there are no sessions, nothing is drawn
        )
        if self._session_count > 1:
            sessions = self._session.integers(self._session_count, size=BLOCK)
        if len(self._shares) > 1:
            classes = np.searchsorted(self._shares[:-1], self._class.random(BLOCK), side="right")
        return times, self._next_demands(classes), classes, sessions

    def _next_demands(self, classes: Integers) -> Floats:
        """What each request asks of each service on its route; every class draws for all of them."""
        if len(self._service) == 1:
            drawn = zip(self._demands[0], self._service[0], strict=True)
            columns = [one.sample_s(rng, BLOCK) for one, rng in drawn]
            return np.column_stack(columns) if len(columns) > 1 else columns[0][:, np.newaxis]
        demands = np.full((BLOCK, max(map(len, self._demands))), math.nan)
        for number, (route, streams) in enumerate(zip(self._demands, self._service, strict=True)):
            mine = classes == number
            for place, (one, rng) in enumerate(zip(route, streams, strict=True)):
                demands[mine, place] = one.sample_s(rng, BLOCK)[mine]
        return demands

    def _next_replayed(self) -> Floats:
        """The next times of the log, infinite once it is through."""
        assert self._replayed is not None
        times = np.full(BLOCK, math.inf)
        found = self._replayed[self._replayed_count : self._replayed_count + BLOCK]
        times[: len(found)] = found
        self._replayed_count += BLOCK
        return times

    def _next_drawn(self) -> Floats:
        gaps = self._unit.standard_exponential(BLOCK, out=self._times)
        gaps[0] += self._unit_time
        unit = self._running_sum(gaps)
        self._unit_time = float(unit[-1])
        return self._inverse(unit)

    def _inverse(self, unit: Floats) -> Floats:
        """Times at which the cumulative rate reaches ``unit``."""
        ends = np.searchsorted(self._cumulative, unit[[0, -1]], side="left")
        if ends[0] == ends[1] <= len(self._rates.rates_rps):  # at one rate all of them
            place = max(int(ends[0]) - 1, 0)
            unit -= self._cumulative[place]
            unit /= self._rates.rates_rps[place]
            unit += self._rates.edges_s[place]
            return unit
        index = np.searchsorted(self._cumulative, unit, side="left") - 1
        index = np.clip(index, 0, len(self._rates.rates_rps) - 1)
        rate = np.nan_to_num(self._rates.rates_rps[index], nan=0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            times = self._rates.edges_s[index] + (unit - self._cumulative[index]) / rate
        return np.where(unit > self._cumulative[-1], math.inf, times)


def bursty(
    rates: RateTable, dispersion: float, until_s: float, rng: np.random.Generator
) -> RateTable:
    """The rate of each second multiplied by a gamma variable of mean 1.

    A second is a bin of the rollout's clock, counted from its 0; the table's first may be a part of
    one. With m requests expected in a bin and the shape k = m/(D − 1) the count has the variance
    m + m²/k = D·m. One uniform number a bin, in their order, goes through the quantile function.

    Args:
        rates: The traffic, on the rollout's clock.
        dispersion: D, the variance over the mean of the counts, above 1.
        until_s: Where the table ends at the latest.
        rng: The stream of the bursts.

    Raises:
        BadInput: There are too many seconds.
    """
    begin_s, end_s = float(rates.edges_s[0]), min(float(rates.edges_s[-1]), until_s)
    first = math.floor(begin_s)
    if end_s - first >= MOST_ROWS:
        raise BadInput(
            f"traffic.arrivals: bursty: must not be simulated for more than {MOST_ROWS:,} seconds"
        )
    inner = np.concatenate([rates.edges_s, np.arange(first, math.ceil(end_s), dtype=np.float64)])
    edges = np.unique(np.append(inner[(inner >= begin_s) & (inner < end_s)], end_s))
    per_second = rates.rate_at(edges[:-1])
    bins = np.floor(edges[:-1]).astype(np.int64) - first
    expected = np.bincount(bins, np.nan_to_num(per_second, nan=0.0) * np.diff(edges))
    uniform = rng.random(len(expected))
    factors = np.ones(len(expected))
    some = expected > 0
    shape = expected[some] / (dispersion - 1.0)
    factors[some] = special.gammaincinv(shape, uniform[some]) / shape
    return replace(rates, edges_s=edges, rates_rps=per_second * factors[bins])


class ClosedLoop:
    """What the clients of a closed loop do: how long they think, and what they ask for then.

    A client thinks, asks, waits for the outcome, and thinks again. Each draw belongs to a client
    and to the sequence number of its request, so that candidates are paired by these two.
    """

    def __init__(
        self, traffic: Traffic, demands: Sequence[Sequence[Distribution]], draws: Draws
    ) -> None:
        """Readies the draws.

        Args:
            traffic: Closed traffic, with its clients.
            demands: For each class what it asks of each service on its route.
            draws: Those of the replication.
        """
        assert traffic.clients is not None
        self.client_count = traffic.clients.count
        self._think_time = traffic.clients.think_time
        self._demands = demands
        self._shares = np.cumsum(traffic.shares())[:-1]
        self._session_count = traffic.sessions
        self._draws = draws

    def think_s(self, client: int, sequence: int) -> float:
        """How long the client thinks before its request ``sequence``, the first (0) too."""
        u = self._draws.uniform("think", client, sequence, 0)
        return float(self._think_time.quantile_s(u))

    def request(self, client: int, sequence: int) -> tuple[tuple[float, ...], int, int]:
        """The request: its demand for each service on its route, its class, and its session.

        A client keeps its session.
        """
        u = self._draws.uniform("closed class", client, sequence, 0)
        kind = int(np.searchsorted(self._shares, u, side="right"))
        session = int(self._draws.uniform("closed session", client, 0, 0) * self._session_count)
        demands = tuple(
            float(one.quantile_s(self._draws.uniform("closed demand", client, sequence, place)))
            for place, one in enumerate(self._demands[kind])
        )
        return demands, kind, session
