"""The time around a rollout that is simulated: warm-up and horizon."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from simulation.scenario.inputs.uncertainty import (
    NORMAL_95,
    NORMAL_999,
    at_quantile,
    has_uncertain,
)

if TYPE_CHECKING:
    from simulation.scenario.model import Scenario
    from simulation.scenario.rollout import Rollout

SETTLING_S = 10.0
"""How long a run continues after the rollout has ended and the queue is back to normal, in seconds."""

ENDS_WITHIN_S = 60.0
"""How long after the last judged stretch ends of its requests count, in seconds."""

_ROUNDING = 1e-9
"""Share of a stretch by which a run may settle after its end through rounding only."""

_BIN_WIDTHS_S = (1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)

_LONGEST_WARM_UP_S = 600.0
_MOST_WARM_UP_EVENTS = 200_000
"""An automatic warm-up lasts at most `_LONGEST_WARM_UP_S`, or this many calls and checks if longer."""

_RELAXATION_TIMES = 10
_LEAST_RELAXATION_TIMES = 5
"""Relaxation times of an automatic warm-up, and of one above `_LONGEST_WARM_UP_S`.

After 5, a queue lacks less than e⁻⁵ = 0.7 % of its mean length: far less than 60 runs can tell.
"""


@dataclass(frozen=True)
class SimulatedInterval:
    """The time around the rollout that is simulated, the same for all candidates of a study.

    Attributes:
        warm_up_s: Time before the start, which is not counted.
        horizon_s: Time after the start; a run that has not settled by then ends as ``horizon``.
        exact: Whether the scenario gives the horizon, so that a run lasts exactly that long.
        bin_s: Width of the bins of time, in seconds.
        over_s: Length of the stretches on which requests are judged, in seconds; None where the
            rollout and its settling are one stretch.
    """

    warm_up_s: float
    horizon_s: float
    exact: bool
    bin_s: float
    over_s: float | None = None

    def alone_end_s(self, settled_s: float) -> float:
        """Return the end of a candidate's own interval, when its run settles at ``settled_s``."""
        return self.horizon_s if self.exact else self.edges_s(settled_s)[-1]

    def edges_s(self, settled_s: float) -> tuple[float, ...]:
        """Return the ends of the stretches that are judged, when a run settles at ``settled_s``.

        The last stretch begins before the run has settled, and ends at the horizon at the latest. A
        run that is not simulated settles at 0, where its only stretch ends.
        """
        if self.over_s is None or settled_s == 0:
            return (settled_s,)
        count = max(1, math.ceil(settled_s / self.over_s - _ROUNDING))
        edges = [number * self.over_s for number in range(1, count + 1)]
        return (*edges[:-1], min(edges[-1], self.horizon_s))

    def judged_until_s(self, settled_s: float) -> float:
        """Return the time until which ends of the judged requests count."""
        return min(self.edges_s(settled_s)[-1] + ENDS_WITHIN_S, self.horizon_s)


def frame_of(candidates: Sequence[Scenario]) -> SimulatedInterval:
    """Return the simulated time for all candidates, which differ in their rollout or start only.

    `warm_up: auto` is that of `warm_up_of`. `horizon: auto` limits a run that never settles to three
    times the duration of the slowest candidate when every step takes its p99.9, plus ten minutes;
    factors of uncertain inputs take their p99.9, too.
    """
    clock = candidates[0].clock
    longest = max(
        _rollout_bound_s(at_quantile(candidate, NORMAL_999), 0.999) for candidate in candidates
    )
    likely = max(_rollout_bound_s(candidate, 0.5) for candidate in candidates)
    over_s = candidates[0].objectives.over
    alone_s = _whole_stretches_s(likely + SETTLING_S, over_s)
    shown = clock.horizon if clock.horizon is not None else alone_s
    return SimulatedInterval(
        warm_up_s=warm_up_of(candidates).given_s,
        horizon_s=3 * longest + 600.0 + (over_s or 0.0) if clock.horizon is None else clock.horizon,
        exact=clock.horizon is not None,
        bin_s=next((width for width in _BIN_WIDTHS_S if shown / width <= 150), 3600.0),
        over_s=over_s,
    )


def _whole_stretches_s(lasts_s: float, over_s: float | None) -> float:
    """Return the length of a run in whole stretches; its own length where stretches have none."""
    return lasts_s if over_s is None else math.ceil(lasts_s / over_s) * over_s


def expected_run_s(scenario: Scenario) -> tuple[float, float]:
    """Return the warm-up of a run and its length from the start on, when every step takes its mean.

    Quantiles are avoided here: some distributions load SciPy for them, which takes longer than
    reading a scenario.
    """
    clock = scenario.clock
    warm_up_s = _LONGEST_WARM_UP_S if clock.warm_up is None else clock.warm_up
    if clock.horizon is not None:
        return warm_up_s, clock.horizon
    lasts_s = _rollout_bound_s(scenario, None) + SETTLING_S
    return warm_up_s, _whole_stretches_s(lasts_s, scenario.objectives.over)


@dataclass(frozen=True)
class WarmUp:
    """The length of the warm-up, and whether it reaches a steady state.

    Attributes:
        given_s: The warm-up that is simulated.
        wanted_s: The warm-up that a steady state needs, infinite where there is no steady state.
            None where the scenario gives the warm-up.
        is_overloaded: Whether more requests arrive before the start than the whole fleet can serve.
        may_be_overloaded: Whether this is so only with uncertain inputs at their 95th percentile.
    """

    given_s: float
    wanted_s: float | None = None
    is_overloaded: bool = False
    may_be_overloaded: bool = False

    @property
    def is_too_short(self) -> bool:
        """Return whether the automatic warm-up does not reach a steady state."""
        return self.wanted_s is not None and self.wanted_s > self.given_s


def warm_up_of(candidates: Sequence[Scenario]) -> WarmUp:
    """Return the warm-up for all candidates, which differ in their rollout or start only.

    Where inputs are uncertain, `auto` is long enough for each of them at its 95th percentile.
    """
    usual = _known_warm_up_of(candidates)
    if usual.wanted_s is None or not has_uncertain(candidates[0]):
        return usual
    high = _known_warm_up_of([at_quantile(candidate, NORMAL_95) for candidate in candidates])
    return replace(
        high,
        given_s=max(usual.given_s, high.given_s),
        is_overloaded=usual.is_overloaded,
        may_be_overloaded=high.is_overloaded and not usual.is_overloaded,
    )


def _known_warm_up_of(candidates: Sequence[Scenario]) -> WarmUp:
    """Return the warm-up for all candidates when no input is uncertain.

    `auto` is the duration of the longest of a thousand requests, plus ten times the relaxation time of
    an M/M/c queue, E[S]/(c·(√ρ − 1)²), in which the queue forgets how it began (ρ at the highest rate
    of the starts, at the service with the longest relaxation). Where service times vary more than
    exponential ones, both terms are multiplied by (1 + cv²)/2: a request in service at a random time
    lasts longer by this factor (E[S²]/2E[S]), and so does the relaxation (Whitt, 1993). Long-lived
    connections that are open from the beginning need no warm-up (`simulation.requests.stationary`).

    A closed loop relaxes within a cycle of its clients. A queue that an earlier rate has left behind
    at the start began when the fleet was last not overloaded: the warm-up begins before that.

    Five relaxation times are enough where ten take longer than ten minutes. The limit is ten minutes,
    or the time of 200,000 calls and health checks if that is longer.
    """
    scenario = candidates[0]
    if scenario.clock.warm_up is not None:
        return WarmUp(scenario.clock.warm_up)
    rates = [float(candidate.rates().rate_at(candidate.start_s())) for candidate in candidates]
    rate_rps = max([0.0, *(rate for rate in rates if math.isfinite(rate))])
    if scenario.traffic.arrivals == "closed":
        relaxation_s = _cycle_s(scenario)
    else:
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
    backlog_s = max(_backlog_age_s(candidate) for candidate in candidates)
    full_s, wanted_s = (
        max(longest_s + times * relaxation_s, backlog_s + longest_s if backlog_s > 0 else 0.0)
        for times in (_RELAXATION_TIMES, _LEAST_RELAXATION_TIMES)
    )
    if full_s > _LONGEST_WARM_UP_S:
        full_s = max(wanted_s, _LONGEST_WARM_UP_S)
    if math.isfinite(full_s):
        full_s, wanted_s = float(math.ceil(full_s)), float(math.ceil(wanted_s))
    most_s = max(
        _LONGEST_WARM_UP_S, _MOST_WARM_UP_EVENTS / max(_events_per_s(scenario, rate_rps), 1e-9)
    )
    load = max(_load(scenario, name, rate_rps) for name in scenario.services)
    is_overloaded = scenario.traffic.arrivals != "closed" and load >= 1
    return WarmUp(
        given_s=float(math.floor(min(full_s, most_s))),
        wanted_s=math.inf if is_overloaded else wanted_s,
        is_overloaded=is_overloaded,
    )


def _load(scenario: Scenario, name: str, rate_rps: float) -> float:
    """Return the load ρ of a service: the share of its slots that requests hold, without waits.

    A request holds its slot while the services after this one on its route work (model.md §2).
    """
    service = scenario.services[name]
    factor = service.versions.old.service_factor
    load = rate_rps * scenario.work_s(name) * factor / sum(service.power())
    if len(scenario.services) == 1:
        return load
    return load + rate_rps * _work_after_s(scenario, name) / sum(service.slots_of())


def _work_after_s(scenario: Scenario, name: str) -> float:
    """Return how long the services after one work on a request, in seconds, mean of all classes."""
    classes = zip(
        scenario.traffic.classes.values(),
        scenario.traffic.shares(),
        scenario.demands(),
        strict=True,
    )
    total_s = 0.0
    for kind, share, demands in classes:
        route = scenario.route_of(kind)
        if name in route:
            first = route.index(name) + 1
            for other, demand in zip(route[first:], demands[first:], strict=True):
                service = scenario.services[other]
                slower = service.versions.old.service_factor * sum(service.slots_of())
                total_s += share * float(demand.mean_s()) * slower / sum(service.power())
    return total_s


def _events_per_s(scenario: Scenario, rate_rps: float) -> float:
    """Return how many calls and health checks are simulated in a second, without retries."""
    classes = zip(scenario.traffic.classes.values(), scenario.traffic.shares(), strict=True)
    calls = sum(share * len(scenario.route_of(kind)) for kind, share in classes)
    checks = [
        service.instance_count / service.balancer.health_check.interval
        for service in scenario.services.values()
        if service.balancer.health_check is not None
    ]
    return rate_rps * calls + sum(checks)


def _cycle_s(scenario: Scenario) -> float:
    """Return how long a client of a closed loop thinks, and waits at most for its answer, in seconds.

    The number of clients that think relaxes at least as fast as 1/thinking time. With more clients
    than slots, a client waits until every other client was served.
    """
    clients = scenario.traffic.clients
    assert clients is not None
    shares = scenario.traffic.shares()
    demand_s = sum(
        share * _request_s(scenario, number, None) for number, share in enumerate(shares)
    )
    turn_s = max(_load(scenario, name, float(clients.count)) for name in scenario.services)
    return float(clients.think_time.mean_s()) + max(demand_s, turn_s)


def _backlog_age_s(scenario: Scenario) -> float:
    """Return how long before the start the fleet was overloaded first, if a queue is left of it.

    Arrivals are a fluid at the rates before the start. The result is 0 without such a queue, and
    where the fleet is overloaded at the start as well: a queue then grows without an end.
    """
    if scenario.traffic.arrivals == "closed":
        return 0.0
    table, start_s = scenario.rates(), scenario.start_s()
    before = table.edges_s[:-1] < start_s
    rates = table.rates_rps[before][::-1]  # the latest first
    begins_s = start_s - table.edges_s[:-1][before][::-1]
    known = ~np.logical_or.accumulate(np.isnan(rates))
    rates, begins_s = rates[known], begins_s[known]
    if not len(rates):
        return 0.0
    heaviest = max(_load(scenario, name, 1.0) for name in scenario.services)
    if rates[0] * heaviest >= 1:
        return 0.0
    lasts_s = np.diff(begins_s, prepend=0.0)
    # The work that came since each moment, beyond what the fleet could do since then.
    excess_s = np.cumsum((rates * heaviest - 1.0) * lasts_s)
    oldest = int(np.argmax(excess_s))
    return float(begins_s[oldest]) if excess_s[oldest] > 0 else 0.0


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
    """Return E[S²]/2E[S] of the times for which requests hold a slot, or E[S] where that is more."""
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
            held = demands[route.index(name) :]
            mean_s = sum(float(demand.mean_s()) for demand in held)
            variance = sum((float(demand.mean_s()) * float(demand.cv())) ** 2 for demand in held)
            total += share
            first += share * mean_s
            second += share * (mean_s**2 + variance)
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
    shared_s: float = sum(work_s for _, work_s in service.steps.shared.in_order())
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
    is_worst = quantile is not None and quantile > 0.5
    if not is_worst:
        drain_s = min(drain_s, work_s)
    else:  # the worst case: every step fails until its last try, and then all is rolled back
        steps_s *= rule.retries + 1
        shared_s *= (rule.retries + 1) * (2 if rule.on_failure == "rollback" else 1)
        drain_s += 2 * rule.drain.poll + rule.stop.grace
        if scenario.second_count(name):
            waves = 2 * count  # one instance made or removed at a time
        waves *= 2 if rule.on_failure == "rollback" else 1
    each_s = max(drain_s, rule.pre_stop) + steps_s + rule.min_ready + rule.pause
    # The run goes on until the balancer sends to the last instance.
    around_s += service.balancer.return_delay
    # The queue of shared work is busy for as long as all instances have work in it together, at worst
    # while nothing else happens. Otherwise the other steps of some instances go on meanwhile.
    if is_worst:
        # A rollout that stops making progress halts only when its deadline has passed.
        stalled_s = rule.progress_deadline_s or 0.0
        return around_s + waves * each_s + count * shared_s + stalled_s
    return around_s + max(waves * (each_s + shared_s), count * shared_s)
