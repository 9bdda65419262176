"""Long-lived connections that are open when the simulated time begins (model.md §14).

The traffic before that time opened them. They are drawn once, for both engines.

With openings at a rate λ(t) and lives L, the number open at t₀ is Poisson with the mean
∫ λ(t₀ − u)·P(L > u) du over ages u (M/G/∞; Eick, Massey and Whitt, 1993), which is λ·E[L] at a constant
rate. The ages are independent, with the density λ(t₀ − u)·P(L > u) over that mean. The whole life of a
connection of age u has the distribution of L given L > u.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from executor.base.errors import BadInput
from simulation.requests.arrivals import OpenConnections, purpose_stream
from simulation.scenario.model import Scenario
from simulation.scenario.rates import DAY_S, RateTable
from simulation.scenario.traffic import DailyRate, RequestClass
from simulation.scenario.units import Floats, Integers

MOST_OPEN = 5_000_000
"""Maximum mean number of connections open at the start of one run."""

_DAYS_TOLD_APART = 60
"""Number of days before the start for which the daily curve is used; before these, its mean."""

_ROUNDS = 50
"""Number of halvings of a bracket: they give 15 digits of its width."""

_MOST_DOUBLINGS = 1000


def long_lived(scenario: Scenario) -> list[str]:
    """Return the names of the classes that are long-lived connections."""
    return [name for name, kind in scenario.traffic.classes.items() if not kind.holds_slot]


def open_connections(
    scenario: Scenario, begin_s: float, seed: int, replication: int
) -> OpenConnections:
    """Draw the connections that are open when the simulated time begins.

    Args:
        scenario: One candidate.
        begin_s: The beginning of the warm-up on the rollout's clock, 0 or below.
        seed: The scenario's seed.
        replication: The number of the replication.

    Raises:
        BadInput: On average more than `MOST_OPEN` connections would be open.
    """
    parts = []
    if not scenario.traffic.begins_empty:
        classes = zip(
            scenario.traffic.classes.items(),
            scenario.traffic.shares(),
            scenario.demands(),
            strict=True,
        )
        for number, ((name, request_class), share, demands) in enumerate(classes):
            if not request_class.holds_slot and share > 0:
                density = _density(scenario, request_class, share, demands[0], begin_s)
                if density.mean_count > MOST_OPEN:
                    raise BadInput(
                        f"traffic.classes.{name}: {density.mean_count:.3g} connections open at the "
                        f"start must not exceed {MOST_OPEN:,}"
                    )
                streams = [purpose_stream(seed, replication, "open", number, k) for k in range(3)]
                parts.append(_draw(density, streams, number, scenario.traffic.sessions, begin_s))
    if not parts:
        nothing = np.zeros(0, np.int64)
        return OpenConnections(np.zeros(0), np.zeros(0), nothing, nothing)
    opened, life, kind, session = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(opened, kind="stable")
    return OpenConnections(opened[order], life[order], kind[order], session[order])


def mean_open_count(scenario: Scenario, begin_s: float = 0.0) -> float:
    """Return the mean number of connections open at a time of the rollout's clock, in seconds."""
    if scenario.traffic.begins_empty:
        return 0.0
    classes = zip(
        scenario.traffic.classes.values(),
        scenario.traffic.shares(),
        scenario.demands(),
        strict=True,
    )
    return sum(
        _density(scenario, kind, share, demands[0], begin_s).mean_count
        for kind, share, demands in classes
        if not kind.holds_slot and share > 0
    )


@dataclass(frozen=True)
class _Density:
    """The ages of one class's open connections, in pieces of constant rate, the youngest first.

    Attributes:
        life: The distribution of the lives.
        edges_s: Ages at which the rate changes, shape (pieces + 1,).
        excess_s: ∫ P(L > u) du from each edge on; 0 at the last edge where no timeout ends lives.
        mean_counts: Mean number of connections open in each piece, shape (pieces,).
    """

    life: Any
    edges_s: Floats
    excess_s: Floats
    mean_counts: Floats

    @property
    def mean_count(self) -> float:
        """The mean number of connections open, of all ages."""
        return float(np.sum(self.mean_counts))


def _density(
    scenario: Scenario, kind: RequestClass, share: float, life: Any, begin_s: float
) -> _Density:
    edges_s, rates_rps = _rates_by_age(scenario, begin_s, _longest_age_s(life))
    if kind.client_timeout is not None:  # no connection is older: its client has left
        inside = edges_s[:-1] < kind.client_timeout
        rates_rps = rates_rps[inside]
        edges_s = np.minimum(edges_s[: len(rates_rps) + 1], kind.client_timeout)
    excess_s: Floats = np.maximum(life.excess_s(edges_s), 0.0)
    if kind.client_timeout is None:
        excess_s[-1] = 0.0
    counts = share * rates_rps * np.maximum(-np.diff(excess_s), 0.0)
    return _Density(life, edges_s, excess_s, counts)


def _longest_age_s(life: Any) -> float:
    """Return an age in seconds that only a billionth of the open connections exceeds."""
    mean_s = float(life.mean_s())
    age_s = mean_s
    for _ in range(_MOST_DOUBLINGS):
        if float(life.excess_s(np.array([age_s]))[0]) <= 1e-9 * mean_s:
            break
        age_s *= 2
    return age_s


def _rates_by_age(scenario: Scenario, begin_s: float, longest_s: float) -> tuple[Floats, Floats]:
    """Return the edges of the ages, in seconds, and the rate at which each age was opened.

    Before the first row of a trace, the trace's first rate holds; in a gap, the last rate before it.
    """
    table, now_s = scenario.rates(), scenario.start_s() + begin_s
    if isinstance(scenario.traffic.rate, DailyRate):
        table = _daily_before(table, now_s, longest_s)
    rates = _without_gaps(table.rates_rps)
    before = table.edges_s[:-1] < now_s
    if not before.any():
        return np.array([0.0, longest_s]), rates[:1]
    ages = now_s - table.edges_s[:-1][before][::-1]  # the beginning of each rate, youngest first
    rates = rates[before][::-1]
    near = np.concatenate([[True], ages[:-1] < longest_s])
    ages, rates = ages[near], rates[near]
    ages[-1] = max(float(ages[-1]), longest_s)
    return np.concatenate([[0.0], ages]), rates


def _without_gaps(rates_rps: Floats) -> Floats:
    known = ~np.isnan(rates_rps)
    if known.all():
        return rates_rps
    last = np.maximum.accumulate(np.where(known, np.arange(len(rates_rps)), -1))
    filled: Floats = np.where(last >= 0, np.nan_to_num(rates_rps)[np.maximum(last, 0)], 0.0)
    return filled


def _daily_before(table: RateTable, now_s: float, longest_s: float) -> RateTable:
    """Return the daily curve, repeated for as many days before ``now_s`` as connections live."""
    days = int(min(_DAYS_TOLD_APART, np.ceil(longest_s / DAY_S) + 1))
    midnight_s = np.floor(now_s / DAY_S) * DAY_S
    first = int(np.searchsorted(table.edges_s, 0.0))
    count = int(np.searchsorted(table.edges_s, DAY_S)) - first
    day_edges, day_rates = table.edges_s[first : first + count], table.rates_rps[first:][:count]
    starts = midnight_s + DAY_S * np.arange(-days, 1)
    edges = (starts[:, None] + day_edges).ravel()
    rates = np.tile(day_rates, len(starts))
    # The last edge of a rate table is where its last rate ends.
    edges = np.concatenate([[edges[0] - DAY_S], edges, [midnight_s + DAY_S]])
    rates = np.concatenate([[np.mean(day_rates)], rates])
    return RateTable(edges, rates)


def _draw(
    density: _Density,
    streams: Sequence[np.random.Generator],
    kind: int,
    session_count: int,
    begin_s: float,
) -> tuple[Floats, Floats, Integers, Integers]:
    """Draw the open connections of one class: opening, life, class and session of each."""
    count = int(streams[0].poisson(density.mean_count))
    places = streams[0].random(count) * density.mean_count
    cumulative = np.cumsum(density.mean_counts)
    piece = np.minimum(np.searchsorted(cumulative, places, side="right"), len(cumulative) - 1)
    into = places - np.concatenate([[0.0], cumulative])[piece]
    share = np.clip(into / np.maximum(density.mean_counts[piece], 1e-300), 0.0, 1.0)
    young, old = density.excess_s[piece], density.excess_s[piece + 1]
    wanted = young - share * (young - old)
    low, high = density.edges_s[piece], density.edges_s[piece + 1]
    ages = _invert_falling(density.life.excess_s, wanted, low, high)
    ages = np.maximum(ages, np.nextafter(0.0, 1.0))
    left = streams[1].random(count) * density.life.survival(ages)
    high = ages + float(density.life.mean_s())
    for _ in range(_MOST_DOUBLINGS):
        short = density.life.survival(high) > left
        if not short.any():
            break
        high = np.where(short, 2 * high, high)
    lives = _invert_falling(density.life.survival, left, ages, high)
    sessions = streams[2].integers(session_count, size=count)
    opened = np.minimum(begin_s - ages, np.nextafter(begin_s, -np.inf))
    return opened, lives, np.full(count, kind, np.int64), sessions.astype(np.int64)


def _invert_falling(
    falling: Callable[[Floats], Floats], wanted: Floats, low: Floats, high: Floats
) -> Floats:
    """Return the arguments at which a falling function reaches each wanted value, by bisection."""
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        above = falling(middle) > wanted
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return high
