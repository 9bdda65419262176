"""The time around a rollout that is simulated: warm-up and horizon."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulation.scenario.model import Scenario
    from simulation.scenario.rollout import Rollout

SETTLING_S = 10.0
"""How long a run continues after the rollout has ended and the queue is back to normal, in seconds."""

_BIN_WIDTHS_S = (1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)

_LONGEST_WARM_UP_S = 600.0
_MOST_WARM_UP_REQUESTS = 200_000
"""An automatic warm-up lasts at most `_LONGEST_WARM_UP_S`, or until this many requests if longer."""


@dataclass(frozen=True)
class SimulatedInterval:
    """The time around the rollout that is simulated, the same for all candidates of a study.

    Attributes:
        warm_up_s: Time before the start, which is not counted.
        horizon_s: Time after the start; a run that has not settled by then ends as ``horizon``.
        exact: Whether the scenario gives the horizon, so that a run lasts exactly that long.
        bin_s: Width of the bins of time, in seconds.
    """

    warm_up_s: float
    horizon_s: float
    exact: bool
    bin_s: float

    def alone_end_s(self, settled_s: float) -> float:
        """Return the end of a candidate's own interval, when its run settles at ``settled_s``."""
        return self.horizon_s if self.exact else settled_s


def frame_of(candidates: Sequence[Scenario]) -> SimulatedInterval:
    """Return the simulated time for all candidates, which differ in their rollout or start only.

    `warm_up: auto` is that of `warm_up_of`. `horizon: auto` limits a run that never settles to three
    times the duration of the slowest candidate when every step takes its p99.9, plus ten minutes.
    """
    clock = candidates[0].clock
    longest = max(_rollout_bound_s(candidate, 0.999) for candidate in candidates)
    likely = max(_rollout_bound_s(candidate, 0.5) for candidate in candidates)
    shown = clock.horizon if clock.horizon is not None else likely + SETTLING_S
    return SimulatedInterval(
        warm_up_s=warm_up_of(candidates).given_s,
        horizon_s=3 * longest + 600.0 if clock.horizon is None else clock.horizon,
        exact=clock.horizon is not None,
        bin_s=next((width for width in _BIN_WIDTHS_S if shown / width <= 150), 3600.0),
    )


def expected_run_s(scenario: Scenario) -> tuple[float, float]:
    """Return the warm-up of a run and its length from the start on, when every step takes its mean.

    Quantiles are avoided here: some distributions load SciPy for them, which takes longer than
    reading a scenario.
    """
    clock = scenario.clock
    warm_up_s = _LONGEST_WARM_UP_S if clock.warm_up is None else clock.warm_up
    if clock.horizon is not None:
        return warm_up_s, clock.horizon
    return warm_up_s, _rollout_bound_s(scenario, None) + SETTLING_S


@dataclass(frozen=True)
class WarmUp:
    """The length of the warm-up, and whether it reaches a steady state.

    Attributes:
        given_s: The warm-up that is simulated.
        wanted_s: The warm-up that a steady state needs, infinite where there is no steady state.
            None where the scenario gives the warm-up.
        is_overloaded: Whether more requests arrive before the start than the whole fleet can serve.
    """

    given_s: float
    wanted_s: float | None = None
    is_overloaded: bool = False

    @property
    def is_too_short(self) -> bool:
        """Return whether the automatic warm-up does not reach a steady state."""
        return self.wanted_s is not None and self.wanted_s > self.given_s


def warm_up_of(candidates: Sequence[Scenario]) -> WarmUp:
    """Return the warm-up for all candidates, which differ in their rollout or start only.

    `auto` is the duration of the longest of a thousand requests, plus ten times the relaxation time of
    an M/M/c queue, E[S]/(c·(√ρ − 1)²), in which the queue forgets how it began (ρ at the highest rate
    of the starts, at the service with the longest relaxation). Where service times vary more than
    exponential ones, both terms are multiplied by (1 + cv²)/2: a request in service at a random time
    lasts longer by this factor (E[S²]/2E[S]), and so does the relaxation (Whitt, 1993). Long-lived
    connections that are open from the beginning need no warm-up (`simulation.requests.stationary`).

    The limit is ten minutes, or the time in which 200,000 requests arrive if that is longer.
    """
    scenario = candidates[0]
    if scenario.clock.warm_up is not None:
        return WarmUp(scenario.clock.warm_up)
    rates = [float(candidate.rates().rate_at(candidate.start_s())) for candidate in candidates]
    rate_rps = max([0.0, *(rate for rate in rates if math.isfinite(rate))])
    relaxation_s = max(_relaxation_s(scenario, name, rate_rps) for name in scenario.services)
    classes = list(scenario.traffic.classes.values())
    longest_s = max(
        (
            _longest_s(scenario, number)
            for number, kind in enumerate(classes)
            if kind.holds_slot or scenario.traffic.begins_empty
        ),
        default=0.0,
    )
    wanted_s = longest_s + 10 * relaxation_s
    if math.isfinite(wanted_s):
        wanted_s = float(math.ceil(wanted_s))
    most_s = max(_LONGEST_WARM_UP_S, _MOST_WARM_UP_REQUESTS / max(rate_rps, 1e-9))
    load = max(_load(scenario, name, rate_rps) for name in scenario.services)
    is_overloaded = scenario.traffic.arrivals != "closed" and load >= 1
    return WarmUp(
        given_s=float(math.floor(min(wanted_s, most_s))),
        wanted_s=math.inf if is_overloaded else wanted_s,
        is_overloaded=is_overloaded,
    )


def _load(scenario: Scenario, name: str, rate_rps: float) -> float:
    """Return the load ρ of a service: the work that arrives per second over the fleet's power."""
    service = scenario.services[name]
    factor = service.versions.old.service_factor
    return rate_rps * scenario.work_s(name) * factor / sum(service.power())


def _relaxation_s(scenario: Scenario, name: str, rate_rps: float) -> float:
    """Return the relaxation time of a service's queue at a rate of requests, in seconds."""
    service = scenario.services[name]
    load = _load(scenario, name, rate_rps)
    slots_per_queue = service.slots
    if service.balancer.queue == "balancer":
        slots_per_queue *= service.instance_count
    gap = (math.sqrt(load) - 1) ** 2
    return _in_service_s(scenario, name) / (slots_per_queue * gap) if gap > 0 else math.inf


def _in_service_s(scenario: Scenario, name: str) -> float:
    """Return E[S²]/2E[S] of a service's requests of all classes, or E[S] where that is more."""
    first, second, total = 0.0, 0.0, 0.0
    classes = zip(
        scenario.traffic.classes.values(),
        scenario.traffic.shares(),
        scenario.demands(),
        strict=True,
    )
    for kind, share, demands in classes:
        route = scenario.route_of(kind)
        if kind.holds_slot and name in route:
            demand = demands[route.index(name)]
            mean_s = float(demand.mean_s())
            total += share
            first += share * mean_s
            second += share * mean_s**2 * (1.0 + float(demand.cv()) ** 2)
    if first == 0:
        return float(scenario.services[name].service_time.mean_s())
    return max(first / total, second / first / 2)


def _spread_factor(cv: float) -> float:
    """Return (1 + cv²)/2, at least 1: how much longer a service in progress lasts than exponential."""
    return max(1.0, (1.0 + cv * cv) / 2.0)


def _longest_s(scenario: Scenario, kind: int) -> float:
    """Return the duration of the longest of a thousand requests of a class in progress, in seconds."""
    demands = scenario.demands()[kind]
    return sum(float(demand.quantile_s(0.999)) * _spread_factor(demand.cv()) for demand in demands)


def _request_s(scenario: Scenario, kind: int, quantile: float | None) -> float:
    """Return the work on a request of a class in seconds, each service at a quantile or the mean."""
    return sum(_seconds(demand, quantile) for demand in scenario.demands()[kind])


def _seconds(duration: Any, quantile: float | None) -> float:
    """Return a quantile of a duration in seconds, or its mean for None."""
    return float(duration.mean_s() if quantile is None else duration.quantile_s(quantile))


def _rollout_bound_s(scenario: Scenario, quantile: float | None) -> float:
    """Return how long a release takes, one service after the other, in seconds.

    Every step takes the quantile, or its mean for None.
    """
    total_s = 0.0
    for name in scenario.rolled_services():
        rule = scenario.rule(name)
        assert rule is not None
        total_s += _service_bound_s(scenario, name, rule, quantile)
    return total_s


def _service_bound_s(scenario: Scenario, name: str, rule: Rollout, quantile: float | None) -> float:
    service = scenario.services[name]
    work_s = (
        max(
            _request_s(scenario, number, quantile)
            for number, kind in enumerate(scenario.traffic.classes.values())
            if name in scenario.route_of(kind)
        )
        if scenario.is_called(name)
        else 0.0
    )
    drain_s = work_s if rule.drain.on_timeout == "wait" else rule.drain.timeout
    steps_s = sum(_seconds(duration, quantile) for _, duration in service.steps.in_order())
    check = service.balancer.health_check
    if check is not None:
        steps_s += (check.rise + 1) * check.interval
    count = service.instance_count
    at_once = min(scenario.window_count(name), max(1, count - scenario.min_healthy_count(name)))
    waves = math.ceil(count / at_once)
    around_s = 0.0
    if rule.strategy == "canary":
        around_s = sum(step.bake for step in rule.canary)
        waves += len(rule.canary)
    elif rule.strategy == "expand_migrate_contract" and rule.migration is not None:
        around_s = rule.migration.expand + rule.migration.migrate + rule.migration.contract
    if quantile is None or quantile <= 0.5:
        drain_s = min(drain_s, work_s)
    else:  # the worst case: every step fails until its last try, and then all is rolled back
        steps_s *= rule.retries + 1
        drain_s += 2 * rule.drain.poll + rule.stop.grace
        if scenario.second_count(name):
            waves = 2 * count  # one instance made or removed at a time
        waves *= 2 if rule.on_failure == "rollback" else 1
    each_s = max(drain_s, rule.pre_stop) + steps_s + rule.min_ready + rule.pause
    # A rollout that stops making progress halts only when its deadline has passed.
    stalled_s = (
        (rule.progress_deadline_s or 0.0) if quantile is not None and quantile > 0.5 else 0.0
    )
    return around_s + waves * each_s + stalled_s
