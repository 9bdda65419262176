"""The timeline of a release for an estimate: its end, which instances are out when, and cut requests.

The steps are drawn at random a few times. Reasons why the release may not end well are added.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from simulation.control.order import rolling_order, waves_of
from simulation.estimates.in_flight import in_flight
from simulation.estimates.no_estimate import (
    OF_CUTS,
    OF_DRAINS,
    OF_LOADS,
    OF_POOL,
    OF_REQUESTS,
    OF_STEPS,
    NoEstimate,
    Why,
)
from simulation.estimates.schedule import Schedules, draws_for, schedules
from simulation.requests.stationary import long_lived
from simulation.scenario.model import Scenario, Service
from simulation.scenario.release_graph import in_order, release_graph
from simulation.scenario.rollout import ALL_AT_ONCE, Rollout
from simulation.scenario.units import Floats

_LIKELY = 0.01
"""Probability of failure above which the duration of a rollout is not estimated."""


@dataclass(frozen=True)
class RolloutTimeline:
    """The timeline of a release; times in seconds from its start.

    Attributes:
        mean_s: Mean end of the release.
        spread_s: Standard deviation of the end.
        cut: Mean number of requests that are cut.
        lowest_count: Minimum number of instances in the pools of all services together.
        lowest_fraction: Minimum share of a fleet's capacity.
        leave_s: When instances of the service of the common keys leave the pool, ascending, in the
            draw whose end is nearest to the mean.
        join_s: When they, or their replacements, join it again, ascending, in the same draw.
        beyond: Reasons why some of these figures do not hold.
    """

    mean_s: float
    spread_s: float
    cut: float
    lowest_count: int
    lowest_fraction: float
    leave_s: Floats
    join_s: Floats
    beyond: tuple[NoEstimate, ...]


def estimate_timeline(scenario: Scenario) -> RolloutTimeline | None:
    """Estimate the timeline of a scenario's release from a few random draws of its steps.

    Return None when the scenario has no rollout.

    Raises:
        BadInput: The window of a service (instances replaced at once) does not fit its fleet.
    """
    names = scenario.rolled_services()
    if not names:
        return None
    draws = draws_for(max(scenario.services[name].instance_count for name in names))
    begin_rps = float(np.nan_to_num(scenario.rates().rate_at(scenario.start_s())))
    begun: dict[str, Floats] = {}
    ended: dict[str, Floats] = {}
    cut, variance, reasons = 0.0, 0.0, list[NoEstimate]()
    drawn: dict[str, Schedules] = {}
    graph = release_graph(scenario.release_order())
    for number, name in enumerate(in_order(graph)):
        rule = scenario.rule(name)
        assert rule is not None
        schedule, lost = _service(scenario, name, rule, begin_rps, (draws, number))
        before = [ended[first] for first in graph.predecessors(name)]
        begun[name] = np.max(before, axis=0) if before else np.zeros(draws)
        ended[name] = begun[name] + schedule.end_s
        drawn[name], cut = schedule, cut + lost
        variance = (
            max(variance, schedule.spread_s**2) if not before else variance + schedule.spread_s**2
        )
        reasons += _failure_reasons(scenario, name, rule, begin_rps)
    end = np.max(list(ended.values()), axis=0)
    main = scenario.service_name
    typical = int(np.argmin(np.abs(end - np.mean(end))))
    lows = [_lowest(scenario, name) for name in names]
    others = sum(
        service.instance_count for name, service in scenario.services.items() if name not in names
    )
    chained = [name for name in names if len(names) > 1]
    together = _fewest_together(scenario, names, drawn, begun, typical) if chained else lows[0][0]
    return RolloutTimeline(
        mean_s=float(np.mean(end)),
        spread_s=math.sqrt(variance),
        cut=cut,
        lowest_count=together + others,
        lowest_fraction=min(fraction for _, fraction in lows),
        leave_s=np.sort(begun[main][typical] + drawn[main].leave_s[typical]),
        join_s=np.sort(begun[main][typical] + drawn[main].join_s[typical]),
        beyond=tuple(reasons),
    )


def _service(
    scenario: Scenario,
    name: str,
    rule: Rollout,
    begin_rps: float,
    draws_and_number: tuple[int, int],
) -> tuple[Schedules, float]:
    """Draw the rollout of one service; return it and the mean number of requests it cuts."""
    service = scenario.services[name]
    count = service.instance_count
    window = 1 if rule.strategy in ALL_AT_ONCE else scenario.window_count(name)
    if rule.replaces_beside and scenario.surge_count(name):
        window = 1  # nearly every instance that is out has a replacement already
    window = max(1, min(window, count - scenario.min_healthy_count(name)))
    first = in_flight(scenario, name, begin_rps / count)
    later = in_flight(scenario, name, begin_rps / max(1, count - window + 1))
    delay_s = service.balancer.propagation_delay
    draws, number = draws_and_number
    rng = np.random.default_rng([20, number])
    uniform = rng.random((draws, count))
    drain = later.drain_s(rule.drain, delay_s, uniform)
    drain[:, :window] = first.drain_s(rule.drain, delay_s, uniform[:, :window])
    lost = 0.0
    if rule.drain.on_timeout == "cut":
        left_s = max(0.0, rule.drain.timeout - delay_s)
        lost = window * first.left_count(left_s) + (count - window) * later.left_count(left_s)
    return schedules(scenario, name, rule, drain, rng), lost


def _failure_reasons(
    scenario: Scenario, name: str, rule: Rollout, begin_rps: float
) -> Iterator[NoEstimate]:
    """Yield reasons why a rollout may be halted, or why drains, pool or loads follow no closed form."""

    def reason(why: Why, figures: tuple[str, ...] = OF_DRAINS) -> NoEstimate:
        return NoEstimate(why, figures, services=(name,))

    service = scenario.services[name]
    new, tries = service.versions.new, rule.retries + 1
    fails = 1.0 - (1.0 - new.verify_fails**tries) * (1.0 - new.start_fails**tries)
    if fails > 0 and 1.0 - (1.0 - fails) ** service.instance_count > _LIKELY:
        yield reason(Why.MAY_FAIL)
    if _may_miss_deadline(service, rule):
        yield reason(Why.DEADLINE_MAY_PASS)
    if rule.drain.on_timeout == "abort":
        idle = in_flight(scenario, name, begin_rps / service.instance_count)
        if (
            1.0 - float(idle.idle_by(np.array([rule.drain.timeout]))[0]) ** service.instance_count
            > 0.01
        ):
            yield reason(Why.DRAIN_MAY_ABORT)
    for why, figures in _beyond_closed_forms(service):
        yield reason(why, figures)
    connections = [
        kind
        for kind in long_lived(scenario)
        if name in scenario.route_of(scenario.traffic.classes[kind])
    ]
    if connections and scenario.traffic.begins_empty:
        yield reason(Why.CONNECTIONS_BEGIN_EMPTY)
    elif connections and rule.drain.on_timeout == "cut":
        # The share of errors counts arrivals from the start on; most cut connections are older.
        yield reason(Why.CUT_CONNECTIONS, OF_CUTS[1:])
        rules = [scenario.traffic.classes[kind].reconnects for kind in connections]
        if any(again is not None and again.cost > 0 for again in rules):
            yield reason(Why.HANDSHAKES, OF_REQUESTS)


def _beyond_closed_forms(service: Service) -> Iterator[tuple[Why, tuple[str, ...]]]:
    """Yield what of a service no closed form knows, and the figures that follow from it."""
    if any(work_s > 0 for _, work_s in service.steps.shared.in_order()):
        yield Why.SHARED_STEPS, OF_STEPS
    if service.steps.correlation > 0:
        yield Why.CORRELATED_STEPS, OF_STEPS
    if service.crashes is not None:
        yield Why.CRASHES, OF_DRAINS
    if service.balancer.sticky:
        yield Why.STICKY, OF_DRAINS
    if service.balancer.return_delay > 0:
        # Fewer instances share the traffic than are counted here, so even drains take longer.
        yield Why.RETURNS_LATE, (*OF_REQUESTS, *OF_DRAINS, *OF_POOL)
    cold = service.versions.new.cold
    if cold.requests is not None and cold.factor != 1:
        yield Why.COLD_BY_REQUESTS, (*OF_REQUESTS, *OF_LOADS)
    if service.balancer.balances_connections:
        yield Why.BALANCED_CONNECTIONS, OF_DRAINS


def _may_miss_deadline(service: Service, rule: Rollout) -> bool:
    """Return whether one of the rollout's deadlines may pass, by the p99.9 of each step.

    One instance becomes available after another, at the latest when the next one has drained and
    gone through all its steps. The default deadline of a budget matters only after a failure.
    """
    steps_s = {
        step: float(duration.quantile_s(0.999)) for step, duration in service.steps.in_order()
    }
    check = service.balancer.health_check
    checks_s = 0.0 if check is None else check.interval * (check.rise + 1)
    up_s = sum(steps_s[step] for step in ("deploy", "verify", "start", "return"))
    up_s = up_s * (rule.retries + 1) + checks_s + rule.min_ready
    drain_s = math.inf if rule.drain.on_timeout == "wait" else rule.drain.timeout + rule.stop.grace
    whole_s = up_s + max(drain_s, rule.pre_stop, steps_s["take_out"]) + steps_s["stop"]
    return up_s > (rule.healthy_deadline or math.inf) or whole_s > (
        rule.progress_deadline or math.inf
    )


def _lowest(scenario: Scenario, name: str) -> tuple[int, float]:
    """Return the minimum number of a service's instances in the pool, and of its share of capacity."""
    service, rule = scenario.services[name], scenario.rule(name)
    assert rule is not None
    count = service.instance_count
    if rule.strategy == "recreate":
        return 0, 0.0
    if rule.strategy == "blue_green":
        return count, 1.0
    out = max(0, min(scenario.window_count(name), count - scenario.min_healthy_count(name)))
    if rule.strategy == "canary" and out > 0:
        waves = waves_of(rule, out, [str(k) for k in range(count)])
        out = max(min(wave.parallel, len(wave.instances)) for wave in waves)
    if not isinstance(service.instances, dict):
        return count - out, 1.0 - out / count
    power = np.array(service.power())
    along = np.concatenate([[0.0], np.cumsum(power[rolling_order(scenario, name)])])
    missing = float(np.max(along[out:] - along[: len(along) - out])) if out else 0.0
    return count - out, 1.0 - missing / float(np.sum(power))


def _fewest_together(
    scenario: Scenario,
    names: Sequence[str],
    drawn: Mapping[str, Schedules],
    begun: Mapping[str, Floats],
    row: int,
) -> int:
    """Return the minimum number of instances in the pools of several services together, in one draw."""
    leave = np.concatenate([begun[name][row] + drawn[name].leave_s[row] for name in names])
    join = np.concatenate([begun[name][row] + drawn[name].join_s[row] for name in names])
    leave, join = np.sort(leave), np.sort(join)
    out = np.arange(1, len(leave) + 1) - np.searchsorted(join, leave, side="right")
    return sum(scenario.services[name].instance_count for name in names) - int(np.max(out))
