"""Queueing theory: how long requests wait, in the steady state and while rates and capacities change.

Variability is (ca² + cs²)/2, ca² the index of dispersion of arrivals (1 for Poisson) and cs the
coefficient of variation of the service time (Allen, Probability, Statistics and Queueing Theory,
1990, 5.3; Whitt, "Approximations for the GI/G/m queue", 1993).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special
from scipy.linalg import lapack

from simulation.scenario.units import Floats

CELLS = 128
"""Number of cells of the grid of queue lengths on which a queue is computed over time."""

_RULE = 1.0 - np.sqrt(0.5)
_MOST_EXPONENT = 300.0
_LEAST_RPS = 1e-9


def erlang_b(slots: Floats, offered: Floats) -> Floats:
    """Return the share of requests that find every slot taken and leave: Erlang's loss formula.

    B = (aᶜ/c!) / Σ aᵏ/k!, whose sum is an incomplete gamma function; with it c may be any number.

    Args:
        slots: Number of slots, above 0.
        offered: Mean number of requests in service if none ever had to wait, λ·E[S].
    """
    slots, offered = np.asarray(slots, float), np.maximum(np.asarray(offered, float), 1e-300)
    fewer = special.gammaincc(slots + 1.0, offered)
    exact = special.xlogy(slots, offered) - offered - special.gammaln(slots + 1.0)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        blocked = np.exp(exact) / fewer
        least = 1.0 - slots / offered  # the limit of B under heavy overload, and the next term
        flooded = np.where(offered > slots, least + slots / offered**2 / least, 0.0)
    return np.clip(np.where(fewer > 1e-250, blocked, flooded), 0.0, 1.0)


def poisson_range(mean: float) -> tuple[float, float]:
    """Return the 5th and 95th percentile of a Poisson count."""
    if mean <= 0:
        return 0.0, 0.0
    low, high = np.ceil(special.pdtrik([0.05, 0.95], mean) - 1e-9)
    return float(max(0.0, low)), float(max(0.0, high))


def fluid_backlog(
    rate_rps: Floats, capacity_rps: Floats, step_s: Floats, begin: float = 0.0
) -> Floats:
    """Return the backlog at the end of each step if all were even: ∫(λ − cμ) dt, never below 0."""
    sums = begin + np.cumsum((rate_rps - capacity_rps) * step_s)
    return sums - np.minimum(np.minimum.accumulate(sums), 0.0)


def let_in(
    rate_rps: Floats, capacity_rps: Floats, slots: Floats, left: Floats, step_s: Floats
) -> Floats:
    """Return the arrival rate less the requests that only fill empty slots, per second, shape (steps,).

    When slots come back empty, the first requests fill them and do not load the queue. In the steady
    state nothing is filled, so the result equals ``rate_rps``. Slots that leave take their requests
    with them. Busy slots follow d(busy)/dt = λ − μ·busy, at most all slots, with λ = ``rate_rps`` and
    μ = ``capacity_rps / slots``.

    Args:
        rate_rps: Arriving requests per second, shape (steps,).
        capacity_rps: Requests per second that can be served, shape (steps,).
        slots: Number of slots, shape (steps,).
        left: Number of slots that have left since the step before, shape (steps,).
        step_s: Duration of each step, shape (steps,).
    """
    queued_rps = np.array(rate_rps, float)
    rows = zip(
        *(values.tolist() for values in (rate_rps, capacity_rps, slots, left, step_s)), strict=True
    )
    busy, before, waiting = -1.0, 0.0, 0.0
    for k, (rate, capacity, here, gone, step) in enumerate(rows):
        if here <= 0 or capacity <= 0:
            busy, before, waiting = 0.0, here, waiting + rate * step
            continue
        served = capacity / here
        asked = rate / served
        if busy < 0:  # in the first step: as in the steady state
            busy, before = min(asked, here + gone), here + gone
        busy = min(here, busy * (1.0 - min(1.0, gone / before)) if before > 0 else 0.0)
        follows = min(here, asked + (busy - asked) * math.exp(-served * step))
        ends = min(here, max(follows, busy + waiting))
        queued_rps[k] = max(0.0, rate - (ends - busy) / step)
        waiting = max(0.0, waiting + (rate - capacity) * step - (ends - busy))
        busy, before = ends, here
    return queued_rps


@dataclass(frozen=True)
class QueueOverTime:
    """The distribution of the length of a queue at the end of each step.

    Attributes:
        free: The probability that a slot is free, shape (steps,).
        mass: The probability of each length, shape (steps, CELLS).
        length: The middles of the lengths, in requests, shape (CELLS,).
    """

    free: Floats
    mass: Floats
    length: Floats

    def mean(self) -> Floats:
        """Return the mean number of waiting requests, shape (steps,)."""
        waiting: Floats = self.mass @ self.length
        return waiting


def queue_over_time(
    rate_rps: Floats,
    capacity_rps: Floats,
    slots: Floats,
    step_s: Floats,
    *,
    variability: float,
    fresh: Floats | None = None,
    from_steady: bool = True,
) -> QueueOverTime:
    """Return the queue of M(t)/G/c(t), from the steady state of its first step on, or from empty.

    It is a diffusion: while all slots are taken, the length drifts by λ − cμ and spreads by
    2·variability·max(λ, cμ), as in heavy traffic (Kingman); a slot becomes free, and all are taken
    again, as often as Erlang's loss formula says. Its steady state is that of Allen and Cunneen, its
    mean under overload the fluid backlog. It is computed on a grid with exponentially fitted flows
    (Scharfetter and Gummel, 1969), which keep the steady state exact, and by an L-stable rule of
    second order over time (Alexander, 1977).

    Args:
        rate_rps: Arriving requests per second, shape (steps,).
        capacity_rps: Requests per second that can be served, cμ, shape (steps,).
        slots: Number of requests that are served at once, shape (steps,).
        step_s: Duration of each step, shape (steps,).
        variability: (ca² + cs²)/2.
        fresh: Share of many such queues that is new and empty at the beginning of each step, shape
            (steps,); None for no such queue.
        from_steady: Whether the queue begins in its steady state, where it has one; otherwise it
            begins empty.
    """
    rate = np.maximum(rate_rps, _LEAST_RPS)
    capacity = np.maximum(capacity_rps, _LEAST_RPS)
    spread = max(variability, 1e-3) * np.maximum(rate, capacity)
    fitted = (rate - capacity) / spread  # per request: how the density grows
    whole_s = float(np.sum(step_s))
    far = 5 * np.sqrt(2 * spread * whole_s)
    reach = np.where(fitted < 0, np.minimum(14.0 / np.maximum(-fitted, 1e-12), far), far)
    first_reach = 14.0 / max(-float(fitted[0]), 1e-3) if fitted[0] < 0 and from_steady else 0.0
    fluid = fluid_backlog(rate, capacity, step_s)
    longest = float(np.max(fluid)) + max(float(np.max(reach)), first_reach)
    edges = longest * np.linspace(0.0, 1.0, CELLS + 1) ** 1.5
    length, width = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
    apart = np.diff(length, prepend=0.0)  # the first from where the queue begins

    blocked = erlang_b(np.maximum(slots, 1e-3), rate * np.maximum(slots, 1e-3) / capacity)
    sticks = blocked / (np.maximum(1.0 - blocked, 1e-9) * max(variability, 1e-3))
    exponent = np.clip(fitted[:, None] * apart, -_MOST_EXPONENT, _MOST_EXPONENT)
    downward = spread[:, None] / apart / special.exprel(exponent)
    upward = downward * np.exp(exponent)
    holds = np.concatenate(
        [sticks[:, None], np.broadcast_to(1 / width[:-1], (len(rate), CELLS - 1))], 1
    )
    up = upward * holds  # from the state before each edge, per second
    down = downward / width

    can_be_steady = from_steady and fitted[0] < 0
    state = _steady(up[0], down[0]) if can_be_steady else np.eye(1, CELLS + 1)[0]
    states = np.empty((len(rate), CELLS + 1))
    by = _RULE * step_s[:, None]
    lower, upper = -by * up, -by * down
    middle = np.ones((len(rate), CELLS + 1))
    middle[:, :-1] += by * up
    middle[:, 1:] += by * down
    back = (1.0 - _RULE) / _RULE
    new = np.zeros(len(rate)) if fresh is None else fresh
    for k in range(len(rate)):
        if new[k] > 0:
            state = state * (1.0 - new[k])
            state[0] += new[k]
        parts = lapack.dgttrf(lower[k], middle[k], upper[k])[:5]
        stage, _ = lapack.dgttrs(*parts, state)
        state, _ = lapack.dgttrs(*parts, state + back * (stage - state))
        states[k] = state
    states = np.maximum(states, 0.0)
    states /= states.sum(axis=1, keepdims=True)
    return QueueOverTime(states[:, 0], states[:, 1:], length)


def _steady(up: Floats, down: Floats) -> Floats:
    """Return the steady state: over every edge as much goes up as down."""
    logs = np.concatenate(
        [[0.0], np.cumsum(np.log(np.maximum(up, 1e-300) / np.maximum(down, 1e-300)))]
    )
    weights = np.exp(logs - np.max(logs))
    shares: Floats = weights / np.sum(weights)
    return shares
