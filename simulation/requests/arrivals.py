"""Arrivals of requests and the demands of each request (model.md §9).

`Streams` draws the requests of an open loop ahead, in index order, with one random stream for each
purpose: request i has the same arrival and the same demands in every candidate. `ClosedLoop` draws by
client and sequence number, because the times of its requests depend on the answers.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

import numpy as np

from executor.base.errors import BadInput
from simulation.requests.draws import Draws
from simulation.scenario.distributions import Distribution
from simulation.scenario.rates import MOST_ROWS, RateTable
from simulation.scenario.traffic import Traffic
from simulation.scenario.units import Floats, Integers

BLOCK = 16384
"""Number of requests drawn at a time. Only memory and speed depend on this number, not the draws."""

_ZEROS: Integers = np.zeros(BLOCK, np.int64)

_PURPOSES = (
    "arrivals",
    "demands",
    "steps",
    "sessions",
    "classes",
    "bursts",
    "open",
    "correlation",
    "uncertainty",
    "days",
)


def purpose_stream(
    seed: int, replication: int, purpose: str, number: int = 0, place: int = 0
) -> np.random.Generator:
    """Return the random stream of one purpose in one replication.

    Args:
        seed: The scenario's seed.
        replication: The number of the replication.
        purpose: What the numbers are drawn for, such as ``demands``.
        number: The number of the class for which they are drawn.
        place: The index of the service on the route of that class.
    """
    key = [seed, replication, _PURPOSES.index(purpose)]
    if place:
        return np.random.default_rng([*key, number, place])
    return np.random.default_rng([*key, number] if number else key)


Block = tuple[Floats, Floats, Integers, Integers]
"""Requests that were drawn: arrivals, demands, classes and sessions, see `Streams.next_block`."""


@dataclass(frozen=True)
class OpenConnections:
    """Connections that are open when the simulated time begins, the oldest first.

    Attributes:
        opened_s: When each connection was opened, on the rollout's clock, shape (connections,).
        life_s: The whole life of each connection, counted from ``opened_s``.
        request_class: The number of each connection's class.
        session: The session key of each connection.
    """

    opened_s: Floats
    life_s: Floats
    request_class: Integers
    session: Integers

    @property
    def count(self) -> int:
        """The number of connections."""
        return len(self.opened_s)


class Streams:
    """The requests of an open loop, drawn ahead in blocks, with one random stream for each purpose.

    Arrivals are Poisson by time change: a unit-rate process is mapped through the inverse of the
    cumulative rate. With a dispersion above 1 the rate is made bursty first. With given times no
    arrival is drawn. The same seed and replication give the same requests in every candidate.

    Attributes:
        highest_rps: The highest rate.
        opened: The connections that are open before the first arrival; None for none.
    """

    opened: OpenConnections | None = None
    _source: Streams | None = None
    _has_begun = False
    _quick: tuple[Callable[[Floats], Floats], Callable[[Any], Any]] | None = None

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
        """Open the random streams.

        Args:
            rates: The traffic on the rollout's clock.
            demands: For each class, the distribution of the demand for each service on its route.
            shares: The fraction of the requests that belongs to each class.
            session_count: The number of session keys; with 1, sessions are not drawn.
            seed: The scenario's seed.
            replication: The number of the replication.
            dispersion: Variance over mean of the counts in one second.
            until_s: The latest end of the simulated time; the bursts are drawn up to there.
            times_s: Arrivals to replay instead of drawing them, ascending.
            opened: The connections that are open before the first arrival.
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
        self._generators: list[list[Any]] = self._service
        self._first: Block | None = None
        self._lock = Lock()
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
        """Draw the same numbers faster, for a caller that copies each block before it asks for the next.

        Every block then reuses the memory of the block before: allocating fresh memory would take as
        long as drawing the numbers.

        Args:
            running_sum: A function like `numpy.cumsum` that may work in place.
            generator: A function that turns a random generator into a faster one with the same draws.
        """
        self._quick = running_sum, generator
        if self._source is None:
            self._running_sum = running_sum
            self._times = np.empty(BLOCK)
            self._generators = [[generator(rng) for rng in route] for route in self._service]

    def twin(self) -> Streams:
        """Return streams that give the same requests from the beginning.

        All twins share the first block, so it is drawn once for all candidates of a replication. These
        streams themselves must not be asked for a block.
        """
        twin = copy.copy(self)
        twin._source = self
        return twin

    def _first_block(self, quick: Any) -> Block:
        with self._lock:  # twins may belong to different threads
            if self._first is None:
                if quick is not None:
                    self.quicken(*quick)
                self._first = self._draw_block()
        return self._first

    def _separate(self, source: Streams) -> None:
        """Go on alone after the first block, with the generators as the source left them."""
        self._source = None
        self._unit, self._class, self._session, self._service = copy.deepcopy(
            (source._unit, source._class, source._session, source._service)
        )
        self._generators = self._service
        self._unit_time, self._replayed_count = source._unit_time, source._replayed_count
        if self._quick is not None:
            self.quicken(*self._quick)

    def next_block(self) -> Block:
        """Return the next `BLOCK` requests: their arrivals, demands, classes and sessions.

        Arrivals have the shape (BLOCK,), demands (BLOCK, longest route), both in seconds; classes and
        sessions have the shape (BLOCK,). An arrival is infinite where no traffic is left, a demand
        is NaN beyond the end of a route.
        """
        if self._source is not None:
            if not self._has_begun:
                self._has_begun = True
                return self._source._first_block(self._quick)
            self._separate(self._source)
        return self._draw_block()

    def _draw_block(self) -> Block:
        times = self._next_drawn() if self._replayed is None else self._next_replayed()
        sessions = classes = _ZEROS  # with one class or one session there is nothing to draw
        if self._session_count > 1:
            sessions = self._session.integers(self._session_count, size=BLOCK)
        if len(self._shares) > 1:
            classes = np.searchsorted(self._shares[:-1], self._class.random(BLOCK), side="right")
        return times, self._next_demands(classes), classes, sessions

    def _next_demands(self, classes: Integers) -> Floats:
        """Return the demand of each request for each service on its route, shape (BLOCK, longest route).

        Every class draws for all requests of the block, so that the class of one request never
        shifts the draws of another.
        """
        if len(self._generators) == 1:
            services = zip(self._demands[0], self._generators[0], strict=True)
            columns = [distribution.sample_s(rng, BLOCK) for distribution, rng in services]
            return np.column_stack(columns) if len(columns) > 1 else columns[0][:, np.newaxis]
        demands = np.full((BLOCK, max(map(len, self._demands))), math.nan)
        drawn = zip(self._demands, self._generators, strict=True)
        for number, (route, streams) in enumerate(drawn):
            in_class = classes == number
            for place, (distribution, rng) in enumerate(zip(route, streams, strict=True)):
                demands[in_class, place] = distribution.sample_s(rng, BLOCK)[in_class]
        return demands

    def _next_replayed(self) -> Floats:
        """Return the next `BLOCK` times of the log, infinite after its last time."""
        assert self._replayed is not None
        times = np.full(BLOCK, math.inf)
        log_times = self._replayed[self._replayed_count : self._replayed_count + BLOCK]
        times[: len(log_times)] = log_times
        self._replayed_count += BLOCK
        return times

    def _next_drawn(self) -> Floats:
        gaps = self._unit.standard_exponential(BLOCK, out=self._times)
        gaps[0] += self._unit_time
        unit = self._running_sum(gaps)
        self._unit_time = float(unit[-1])
        return self._inverse(unit)

    def _inverse(self, unit: Floats) -> Floats:
        """Return the times in seconds at which the cumulative rate reaches each value of ``unit``."""
        ends = np.searchsorted(self._cumulative, unit[[0, -1]], side="left")
        if ends[0] == ends[1] <= len(self._rates.rates_rps):  # one rate holds for the whole block
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
    """Return the rates with each second multiplied by a gamma variable of mean 1.

    A second is a bin of the rollout's clock, counted from time 0; the table may begin within a bin.
    With m requests expected in a bin and the shape k = m/(D − 1), the count has the variance
    m + m²/k = D·m. One uniform number per bin, in the order of the bins, goes through the quantile
    function.

    Args:
        rates: The traffic, on the rollout's clock.
        dispersion: D, the variance over the mean of the counts, above 1.
        until_s: The latest end of the returned table.
        rng: The random stream of the bursts.

    Raises:
        BadInput: The table covers more than `MOST_ROWS` seconds.
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
    from scipy import special  # noqa: PLC0415 - takes a while to import, and few scenarios need it

    factors = np.ones(len(expected))
    has_traffic = expected > 0
    shape = expected[has_traffic] / (dispersion - 1.0)
    factors[has_traffic] = special.gammaincinv(shape, uniform[has_traffic]) / shape
    return replace(rates, edges_s=edges, rates_rps=per_second * factors[bins])


class ClosedLoop:
    """The draws of a closed loop: the think times of its clients and the requests they send.

    A client thinks, sends a request, waits for the outcome, and thinks again. Each draw belongs to
    a client and to the sequence number of that client's request: these two pair the requests of
    different candidates.
    """

    def __init__(
        self, traffic: Traffic, demands: Sequence[Sequence[Distribution]], draws: Draws
    ) -> None:
        """Prepare the draws.

        Args:
            traffic: Closed traffic, with its clients.
            demands: For each class, the distribution of the demand for each service on its route.
            draws: The draws of the replication.
        """
        assert traffic.clients is not None
        self.client_count = traffic.clients.count
        self._think_time = traffic.clients.think_time
        self._demands = demands
        self._shares = np.cumsum(traffic.shares())[:-1]
        self._session_count = traffic.sessions
        self._draws = draws

    def think_s(self, client: int, sequence: int) -> float:
        """Return how long the client thinks before its request number ``sequence``, in seconds.

        A client thinks before its first request (0) too.
        """
        u = self._draws.uniform("think", client, sequence, 0)
        return float(self._think_time.quantile_s(u))

    def request(self, client: int, sequence: int) -> tuple[tuple[float, ...], int, int]:
        """Return a request: its demand for each service on its route, its class, and its session.

        A client keeps its session.
        """
        u = self._draws.uniform("closed class", client, sequence, 0)
        kind = int(np.searchsorted(self._shares, u, side="right"))
        session = int(self._draws.uniform("closed session", client, 0, 0) * self._session_count)
        demands = tuple(
            float(service.quantile_s(self._draws.uniform("closed demand", client, sequence, place)))
            for place, service in enumerate(self._demands[kind])
        )
        return demands, kind, session
