"""The time around a rollout that is simulated, and for how long at most.

Enters: the candidates' scenarios. Leaves: one `Frame` that suits all of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulation.scenario import Scenario
    from simulation.scenario_rollout import Rollout

SETTLING_S = 10.0
"""How long a run goes on after the rollout has ended and the queue is back where it was."""

_BIN_WIDTHS_S = (1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
_LONGEST_WARM_UP_S = 600.0


@dataclass(frozen=True)
class Frame:
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


def frame_of(candidates: Sequence[Scenario]) -> Frame:
    """The simulated time that suits all candidates, each a scenario that differs in its rollout.

    `warm_up: auto` lasts as long as the longest of a thousand requests, and ten times the time in
    which an M/M/c queue forgets how it began, E[S]/(c·(√ρ − 1)²) (ρ at the highest rate of the
    starts, at the service where that takes longest; at most ten minutes). `horizon: auto` is a
    bound on a run that never settles: three times as long as the slowest candidate takes when
    every step takes its p99.9, and ten minutes.
    """
    clock = candidates[0].clock
    longest = max(_rollout_bound_s(one, 0.999) for one in candidates)
    likely = max(_rollout_bound_s(one, 0.5) for one in candidates)
    shown = clock.horizon if clock.horizon is not None else likely + SETTLING_S
    return Frame(
        warm_up_s=_warm_up_s(candidates) if clock.warm_up is None else clock.warm_up,
        horizon_s=3 * longest + 600.0 if clock.horizon is None else clock.horizon,
        exact=clock.horizon is not None,
        bin_s=next((width for width in _BIN_WIDTHS_S if shown / width <= 150), 3600.0),
    )


def expected_run_s(scenario: Scenario) -> tuple[float, float]:
    """How long a run warms up, and how long it goes on after its start when every step takes its mean.

    No quantile is asked for: those of some distributions load SciPy, which takes longer than to read
    a scenario.
    """
    clock = scenario.clock
    warm_up_s = _LONGEST_WARM_UP_S if clock.warm_up is None else clock.warm_up
    if clock.horizon is not None:
        return warm_up_s, clock.horizon
    return warm_up_s, _rollout_bound_s(scenario, None) + SETTLING_S


def _warm_up_s(candidates: Sequence[Scenario]) -> float:
    scenario = candidates[0]
    rates = [float(one.rates().rate_at(one.start_s())) for one in candidates]
    rate_rps = max([0.0, *(rate for rate in rates if math.isfinite(rate))])
    forgets_s = max(_forgets_s(scenario, name, rate_rps) for name in scenario.services)
    longest_s = max(_request_s(scenario, kind, 0.999) for kind in range(len(scenario.demands())))
    return float(math.ceil(min(_LONGEST_WARM_UP_S, longest_s + 10 * forgets_s)))


def _forgets_s(scenario: Scenario, name: str, rate_rps: float) -> float:
    """How long a service's queue remembers at this rate of requests."""
    service = scenario.services[name]
    asked_s = scenario.work_s(name)  # of one request, those that do not come here counted as 0
    mean_s = float(service.service_time.mean_s())
    load = rate_rps * asked_s / sum(service.power())
    at_one_queue = service.slots
    if service.balancer.queue == "balancer":
        at_one_queue *= service.instance_count
    return mean_s / (at_one_queue * max(1e-6, (math.sqrt(load) - 1) ** 2))


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
