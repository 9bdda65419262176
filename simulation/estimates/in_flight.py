"""What is in flight at an instance that is taken out: how long it drains, and what is cut.

Enters: a scenario and how much comes to an instance. Leaves: when it is idle, as a distribution,
and how many requests are left at a time. Requests in service at a random moment are independent,
and each lasts as long on as the residue of its service: the share ∫ₜ^∞ P(S > u) du / E[S] is there
after t. With Poisson traffic λ and slots enough that is λ·∫ₜ^∞ P(S > u) du requests (M/G/∞).
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


@dataclass(frozen=True)
class Held:
    """One kind of what is in flight.

    Attributes:
        share: Of the requests that come to the scenario.
        life: How long each is in flight.
        scale: What that is multiplied with: the version's factor over the speed.
        is_lost: Whether it counts as cut when the drain ends it; else it comes back.
        limit_s: After so long it has ended anyway: its client has left.
    """

    share: float
    life: Any
    scale: float
    is_lost: bool
    limit_s: float = math.inf

    def mean_s(self) -> float:
        """Mean time in flight."""
        return float(self.excess_s(np.zeros(1))[0])

    def excess_s(self, time_s: Floats) -> Floats:
        """∫ P(S > u) du from a time to the limit."""
        found: Floats = self.scale * self.life.excess_s(time_s / self.scale)
        if math.isfinite(self.limit_s):
            at = np.array([self.limit_s / self.scale])
            beyond = float(self.scale * self.life.excess_s(at)[0])
            return np.where(time_s < self.limit_s, np.maximum(found - beyond, 0.0), 0.0)
        return found

    def longest_s(self) -> float:
        """The longest of ten thousand."""
        return min(self.limit_s, self.scale * float(self.life.quantile_s(0.9999)))


@dataclass(frozen=True)
class InFlight:
    """What an instance has at a random moment.

    Attributes:
        slots: Requests it serves at once.
        rate_rps: Of the scenario's requests, as many as this instance gets.
        served: What takes a slot.
        connections: What does not.
    """

    slots: float
    rate_rps: float
    served: Sequence[Held]
    connections: Sequence[Held]

    def _taken(self, time_s: Floats, *, lost_only: bool = False) -> Floats:
        """The probability that a slot is taken by something that is still there after a time."""
        work_s = self.rate_rps * math.fsum(one.share * one.mean_s() for one in self.served)
        full = min(1.0, self.slots / work_s) if work_s > 0 else 0.0  # no more than all of it
        left = np.zeros_like(time_s)
        for one in self.served:
            if one.is_lost or not lost_only:
                left = left + one.share * one.excess_s(time_s)
        return self.rate_rps * full * left / self.slots

    def _open(self, time_s: Floats, *, lost_only: bool = False) -> Floats:
        """Mean connections that are still there."""
        left = np.zeros_like(time_s)
        for one in self.connections:
            if one.is_lost or not lost_only:
                left = left + one.share * one.excess_s(time_s)
        return self.rate_rps * left

    def left_count(self, time_s: float) -> float:
        """Requests that a drain of so long cuts, in the mean; those that come back not counted."""
        time = np.array([time_s])
        taken = self._taken(time, lost_only=True)
        return float((self.slots * taken + self._open(time, lost_only=True))[0])

    def idle_by(self, time_s: Floats) -> Floats:
        """The probability that nothing is left after a time."""
        free = np.clip(1.0 - self._taken(time_s), 0.0, 1.0)
        found: Floats = free**self.slots * np.exp(-self._open(time_s))
        return found

    def drain_s(self, rule: Drain, delay_s: float, uniform: Floats) -> Floats:
        """How long drains last, one for each uniform number."""
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
        return max((one.longest_s() for one in lives), default=0.0)


def in_flight(scenario: Scenario, name: str, rate_rps: float) -> InFlight:
    """What an average instance of a service has, ``rate_rps`` of the scenario's requests a second.

    A slot is held while the services further down the route work.
    """
    service = scenario.services[name]
    slots, speed = mean_instance(service)
    served: list[Held] = []
    connections: list[Held] = []
    classes = zip(scenario.traffic.classes.values(), scenario.traffic.shares(), strict=True)
    for (one, share), demands in zip(classes, scenario.demands(), strict=True):
        route = scenario.route_of(one)
        if name not in route or share == 0:
            continue
        scale = service.versions.old.service_factor / speed if one.holds_slot else 1.0
        comes_back = one.reconnects or (one.retries.attempts > 0 and one.retries.cut)
        life = in_all(demands[route.index(name) :])
        ends = one.client_timeout is not None and (one.cancel_on_disconnect or not one.holds_slot)
        limit_s = one.client_timeout if ends and one.client_timeout is not None else math.inf
        held = Held(share, life, scale, not comes_back, limit_s)
        (served if one.holds_slot else connections).append(held)
    return InFlight(slots, rate_rps, served, connections)


def mean_instance(service: Service) -> tuple[float, float]:
    """The slots of an instance in the mean, and the speed of a slot."""
    if not isinstance(service.instances, dict):
        return float(service.slots), service.speed
    slots = math.fsum(service.slots_of())
    return slots / service.instance_count, math.fsum(service.power()) / slots


def in_all(parts: Sequence[Any]) -> Any:
    """The sum of durations; of several a lognormal with its mean and variance (Fenton, 1960)."""
    if len(parts) == 1:
        return parts[0]
    mean_s = math.fsum(one.mean_s() for one in parts)
    variance = math.fsum((one.cv() * one.mean_s()) ** 2 for one in parts)
    shape = LognormalShape.model_construct(mean=mean_s, cv=math.sqrt(variance) / mean_s, p99=None)
    return Lognormal.model_construct(lognormal=shape)
