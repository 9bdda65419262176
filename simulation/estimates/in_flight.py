"""Requests in flight at an instance that is taken out: how long it drains, and how many are cut.

Requests in service at a random moment are independent, and each lasts as long as the residue of its
service time: the share ∫ₜ^∞ P(S > u) du / E[S] is still there after t. With Poisson traffic λ and
enough slots these are λ·∫ₜ^∞ P(S > u) du requests (M/G/∞).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simulation.scenario.distributions import Lognormal, LognormalShape
from simulation.scenario.model import Scenario, Service
from simulation.scenario.rollout import Drain
from simulation.scenario.units import Floats

_STEPS = 96
"""Number of points at which the distribution of a drain is evaluated."""


@dataclass(frozen=True)
class Held:
    """One kind of request or connection in flight.

    Attributes:
        share: Share of the requests that come to the scenario.
        life: Distribution of the time in flight.
        scale: Factor of this time: the version's factor over the speed.
        is_lost: Whether it counts as cut when the drain ends it; otherwise its client comes back.
        limit_s: Maximum time in flight, because the client leaves then.
        lost_until_s: Time from which on nobody waits for an answer: what is then cut is not lost.
    """

    share: float
    life: Any
    scale: float
    is_lost: bool
    limit_s: float = math.inf
    lost_until_s: float = math.inf

    def mean_s(self) -> float:
        """Return the mean time in flight."""
        return float(self.excess_s(np.zeros(1))[0])

    def excess_s(self, time_s: Floats, *, lost_only: bool = False) -> Floats:
        """Return ∫ P(S > u) du from a time to the limit; for lost requests while the client waits."""
        limit_s = min(self.limit_s, self.lost_until_s) if lost_only else self.limit_s
        excess: Floats = self.scale * self.life.excess_s(time_s / self.scale)
        if math.isfinite(limit_s):
            at = np.array([limit_s / self.scale])
            beyond = float(self.scale * self.life.excess_s(at)[0])
            return np.where(time_s < limit_s, np.maximum(excess - beyond, 0.0), 0.0)
        return excess

    def longest_s(self) -> float:
        """Return the time that one of ten thousand exceeds."""
        return min(self.limit_s, self.scale * float(self.life.quantile_s(0.9999)))


@dataclass(frozen=True)
class InFlight:
    """The requests in flight at an instance at a random moment.

    Attributes:
        slots: Number of requests that the instance serves at once.
        rate_rps: The part of the scenario's requests that this instance gets, per second.
        served: Kinds that take a slot.
        connections: Kinds that take none.
    """

    slots: float
    rate_rps: float
    served: Sequence[Held]
    connections: Sequence[Held]

    def _taken(self, time_s: Floats, *, lost_only: bool = False) -> Floats:
        """Return the probability that a slot has a request that is still there after a time."""
        work_s = self.rate_rps * math.fsum(kind.share * kind.mean_s() for kind in self.served)
        full = min(1.0, self.slots / work_s) if work_s > 0 else 0.0  # at most all slots are taken
        left = np.zeros_like(time_s)
        for kind in self.served:
            if kind.is_lost or not lost_only:
                left = left + kind.share * kind.excess_s(time_s, lost_only=lost_only)
        return self.rate_rps * full * left / self.slots

    def _open(self, time_s: Floats, *, lost_only: bool = False) -> Floats:
        """Return the mean number of connections that are still there after a time."""
        left = np.zeros_like(time_s)
        for kind in self.connections:
            if kind.is_lost or not lost_only:
                left = left + kind.share * kind.excess_s(time_s, lost_only=lost_only)
        return self.rate_rps * left

    def left_count(self, time_s: float) -> float:
        """Return the mean number of requests that a drain of ``time_s`` cuts, except those that come back."""
        time = np.array([time_s])
        taken = self._taken(time, lost_only=True)
        return float((self.slots * taken + self._open(time, lost_only=True))[0])

    def idle_by(self, time_s: Floats) -> Floats:
        """Return the probability that nothing is in flight after a time."""
        free = np.clip(1.0 - self._taken(time_s), 0.0, 1.0)
        chances: Floats = free**self.slots * np.exp(-self._open(time_s))
        return chances

    def drain_s(self, rule: Drain, delay_s: float, uniform: Floats) -> Floats:
        """Return durations of drains, one for each uniform random number."""
        longest_s = self._longest_s() if rule.on_timeout == "wait" else rule.timeout
        if longest_s <= 0:
            return np.zeros_like(uniform)
        times = longest_s * np.linspace(0.0, 1.0, _STEPS) ** 2
        chances = np.maximum.accumulate(self.idle_by(times))
        lasts = np.interp(uniform, chances, times, left=0.0, right=longest_s)
        lasts = np.where(lasts > 0, lasts + delay_s, 0.0)
        if rule.poll > 0:
            lasts = rule.poll * (np.maximum(1.0, np.ceil(lasts / rule.poll)) + 1.0)
        return lasts if rule.on_timeout == "wait" else np.minimum(lasts, rule.timeout)

    def _longest_s(self) -> float:
        lives = [*self.served, *self.connections]
        return max((kind.longest_s() for kind in lives), default=0.0)


def in_flight(scenario: Scenario, name: str, rate_rps: float) -> InFlight:
    """Return what is in flight at an average instance that gets ``rate_rps`` of the requests.

    A slot is held while the services further down the route work.
    """
    service = scenario.services[name]
    slots, speed = mean_instance(service)
    served: list[Held] = []
    connections: list[Held] = []
    classes = zip(scenario.traffic.classes.values(), scenario.traffic.shares(), strict=True)
    for (kind, share), demands in zip(classes, scenario.demands(), strict=True):
        route = scenario.route_of(kind)
        if name not in route or share == 0:
            continue
        scale = service.versions.old.service_factor / speed if kind.holds_slot else 1.0
        comes_back = kind.reconnects or (kind.retries.attempts > 0 and kind.retries.cut)
        life = in_all(demands[route.index(name) :])
        ends = kind.client_timeout is not None and (
            kind.cancel_on_disconnect or not kind.holds_slot
        )
        limit_s = kind.client_timeout if ends and kind.client_timeout is not None else math.inf
        waits_s = math.inf if kind.client_timeout is None else kind.client_timeout
        held = Held(share, life, scale, not comes_back, limit_s, waits_s)
        (served if kind.holds_slot else connections).append(held)
    return InFlight(slots, rate_rps, served, connections)


def mean_instance(service: Service) -> tuple[float, float]:
    """Return the mean number of slots of an instance, and the mean speed of a slot."""
    if not isinstance(service.instances, dict):
        return float(service.slots), service.speed
    slots = math.fsum(service.slots_of())
    return slots / service.instance_count, math.fsum(service.power()) / slots


def in_all(parts: Sequence[Any]) -> Any:
    """Return the distribution of the sum of independent random durations.

    A single one is returned unchanged. The sum of several is approximated by a lognormal with the same
    mean and variance (Fenton, 1960).
    """
    if len(parts) == 1:
        return parts[0]
    mean_s = math.fsum(part.mean_s() for part in parts)
    variance = math.fsum((part.cv() * part.mean_s()) ** 2 for part in parts)
    shape = LognormalShape.model_construct(mean=mean_s, cv=math.sqrt(variance) / mean_s, p99=None)
    return Lognormal.model_construct(lognormal=shape)
