"""The time around a rollout that is simulated, and for how long at most.

Enters: the candidates' scenarios. Leaves: one `SimulatedInterval` that suits all of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulation.scenario.model import Scenario
    from simulation.scenario.rollout import Rollout

SETTLING_S = 10.0
"""How long a run goes on after the rollout has ended and the queue is back where it was."""

_BIN_WIDTHS_S = (1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)

_LONGEST_WARM_UP_S = 600.0
_MOST_WARM_UP_REQUESTS = 200_000
"""An automatic warm-up is limited to the first, or where that is longer to as many requests."""


@dataclass(frozen=True)
class SimulatedInterval:
    """The time around the rollout that is simulated, the same for all candidates of a study.

    Attributes:
        warm_up_s: Before the start, not counted.
        horizon_s: After the start; a run that has not settled by then has ended in ``horizon``.
        exact: Whether the horizon was given, so that a run lasts exactly that long.
        bin_s: Width of the bins of what is observed over time.
    """

    warm_up_s: float
    horizon_s: float
    exact: bool
    bin_s: float

    def alone_end_s(self, settled_s: float) -> float:
        """Until when a run that settles then is observed when it is alone."""
        return self.horizon_s if self.exact else settled_s


def frame_of(candidates: Sequence[Scenario]) -> SimulatedInterval:
    """The simulated time that suits all candidates, each a scenario that differs in its rollout.

    `warm_up: auto` is that of `warm_up_of`. `horizon: auto` is a bound on a run that never
    settles: three times as long as the slowest candidate takes when every step takes its p99.9,
    and ten minutes.
    """
    clock = candidates[0].clock
    longest = max(_rollout_bound_s(one, 0.999) for one in candidates)
    likely = max(_rollout_bound_s(one, 0.5) for one in candidates)
    shown = clock.horizon if clock.horizon is not None else likely + SETTLING_S
    return SimulatedInterval(
        warm_up_s=warm_up_of(candidates).given_s,
        horizon_s=3 * longest + 600.0 if clock.horizon is None else clock.horizon,
        exact=clock.horizon is not None,
        bin_s=next((width for width in _BIN_WIDTHS_S if shown / width <= 150), 3600.0),
    )


def expected_run_s(scenario: Scenario) -> tuple[float, float]:
    """Return how long a run warms up, and how long it lasts from its start where steps take their mean.

    No quantile is asked for: those of some distributions load SciPy, which takes longer than to read
    a scenario.
    """
    clock = scenario.clock
    warm_up_s = _LONGEST_WARM_UP_S if clock.warm_up is None else clock.warm_up
    if clock.horizon is not None:
        return warm_up_s, clock.horizon
    return warm_up_s, _rollout_bound_s(scenario, None) + SETTLING_S


@dataclass(frozen=True)
class WarmUp:
    """How long is simulated before the start, and whether that reaches a steady state.

    Attributes:
        given_s: What is simulated.
        wanted_s: What a steady state needs; infinite where there is none. None where the scenario
            says how long, and nothing is reckoned.
        is_overloaded: Whether more arrives before the start than the whole fleet serves.
    """

    given_s: float
    wanted_s: float | None = None
    is_overloaded: bool = False

    @property
    def is_too_short(self) -> bool:
        """Whether the automatic warm-up does not reach a steady state."""
        return self.wanted_s is not None and self.wanted_s > self.given_s


def warm_up_of(candidates: Sequence[Scenario]) -> WarmUp:
    """Return the warm-up that suits all candidates, each a scenario that differs in its rollout.

    `auto` lasts as long as the longest of a thousand requests, and ten times the time in which an
    M/M/c queue forgets how it began, E[S]/(c·(√ρ − 1)²) (ρ at the highest rate of the starts, at
    the service where that takes longest). Where service times vary more than exponential ones,
    each counts (1 + cv²)/2 times: so much longer lasts what is in service at a random moment
    (E[S²]/2E[S]), and so much longer a queue remembers (Whitt, 1993). Long-lived connections need no
    warm-up where they are there from the beginning (`simulation.requests.stationary`).

    The limit is ten minutes, or as long as 200,000 requests take to arrive.
    """
    scenario = candidates[0]
    if scenario.clock.warm_up is not None:
        return WarmUp(scenario.clock.warm_up)
    rates = [float(one.rates().rate_at(one.start_s())) for one in candidates]
    rate_rps = max([0.0, *(rate for rate in rates if math.isfinite(rate))])
    forgets_s = max(_forgets_s(scenario, name, rate_rps) for name in scenario.services)
    classes = list(scenario.traffic.classes.values())
    longest_s = max(
        (
            _longest_s(scenario, kind)
            for kind, one in enumerate(classes)
            if one.holds_slot or scenario.traffic.begins_empty
        ),
        default=0.0,
    )
    wanted_s = longest_s + 10 * forgets_s
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
    """Return what a service is asked for, over what its fleet can do."""
    service = scenario.services[name]
    factor = service.versions.old.service_factor
    return rate_rps * scenario.work_s(name) * factor / sum(service.power())


def _forgets_s(scenario: Scenario, name: str, rate_rps: float) -> float:
    """Return how long a service's queue remembers at this rate of requests."""
    service = scenario.services[name]
    load = _load(scenario, name, rate_rps)
    at_one_queue = service.slots
    if service.balancer.queue == "balancer":
        at_one_queue *= service.instance_count
    gap = (math.sqrt(load) - 1) ** 2
    return _under_way_s(scenario, name) / (at_one_queue * gap) if gap > 0 else math.inf


def _under_way_s(scenario: Scenario, name: str) -> float:
    """Return E[S²]/2E[S] of a service's requests of all classes, E[S] where that is less."""
    first, second, total = 0.0, 0.0, 0.0
    classes = zip(
        scenario.traffic.classes.values(),
        scenario.traffic.shares(),
        scenario.demands(),
        strict=True,
    )
    for one, share, demands in classes:
        route = scenario.route_of(one)
        if one.holds_slot and name in route:
            life = demands[route.index(name)]
            mean_s = float(life.mean_s())
            total += share
            first += share * mean_s
            second += share * mean_s**2 * (1.0 + float(life.cv()) ** 2)
    if first == 0:
        return float(scenario.services[name].service_time.mean_s())
    return max(first / total, second / first / 2)


def _varies(cv: float) -> float:
    """Return by what a service that is under way lasts longer than an exponential one."""
    return max(1.0, (1.0 + cv * cv) / 2.0)


def _longest_s(scenario: Scenario, kind: int) -> float:
    """Return how long the longest of a thousand requests of a class lasts that are under way."""
    return sum(float(one.quantile_s(0.999)) * _varies(one.cv()) for one in scenario.demands()[kind])


def _request_s(scenario: Scenario, kind: int, quantile: float | None) -> float:
    """How long the work on a request of a class takes, each service at this quantile."""
    return sum(_seconds(one, quantile) for one in scenario.demands()[kind])


def _seconds(duration: Any, quantile: float | None) -> float:
    """A duration's quantile, or its mean where none is asked for."""
    return float(duration.mean_s() if quantile is None else duration.quantile_s(quantile))


def _rollout_bound_s(scenario: Scenario, quantile: float | None) -> float:
    """How long a release takes when every step takes its quantile, service after service.

    Where no quantile is asked for, every step takes its mean.
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
            _request_s(scenario, kind, quantile)
            for kind, one in enumerate(scenario.traffic.classes.values())
            if name in scenario.route_of(one)
        )
        if scenario.is_called(name)
        else 0.0
    )
    drain_s = work_s if rule.drain.on_timeout == "wait" else rule.drain.timeout
    steps_s = sum(_seconds(one, quantile) for _, one in service.steps.in_order())
    check = service.balancer.health_check
    if check is not None:
        steps_s += (check.rise + 1) * check.interval
    count = service.instance_count
    at_once = min(scenario.window_count(name), max(1, count - rule.min_healthy))
    waves = math.ceil(count / at_once)
    around_s = 0.0
    if rule.strategy == "canary":
        around_s = sum(step.bake for step in rule.canary)
        waves += len(rule.canary)
    elif rule.strategy == "expand_migrate_contract" and rule.migration is not None:
        around_s = rule.migration.expand + rule.migration.migrate + rule.migration.contract
    if quantile is None or quantile <= 0.5:
        drain_s = min(drain_s, work_s)
    else:  # the worst: every step fails until its last try, and then all goes back
        steps_s *= rule.retries + 1
        drain_s += 2 * rule.drain.poll + rule.stop.grace
        if scenario.second_count(name):
            waves = 2 * count  # one made and one removed at a time
        waves *= 2 if rule.on_failure == "rollback" else 1
    each_s = max(drain_s, rule.pre_stop) + steps_s + rule.min_ready + rule.pause
    return around_s + waves * each_s
