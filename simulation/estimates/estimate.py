"""Estimates of a rollout by closed forms, at once: for sliders, and to discard hopeless candidates.

Nothing is simulated. `docs/estimates.md` says how far estimates are from the engine.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import special

from simulation.estimates.flow import Flow, flow_of
from simulation.estimates.no_estimate import NoEstimate, Why
from simulation.estimates.overload import find_endless_overload, overload_text
from simulation.estimates.queueing import (
    QueueOverTime,
    fluid_backlog,
    poisson_range,
    queue_over_time,
)
from simulation.estimates.response import Responses, responses
from simulation.estimates.rollout_timeline import RolloutTimeline, estimate_timeline
from simulation.estimates.too_far_off import reasons_too_far_off
from simulation.scenario.freeze import find_freeze
from simulation.scenario.inputs.uncertainty import NORMAL_95, log_spread
from simulation.scenario.model import Scenario
from simulation.scenario.traffic import ConstantRate
from simulation.scenario.units import Floats

_MARGIN = 1.1
"""Minimum ratio of a figure to its objective from which a candidate is called hopeless."""

_NOTHING = 1e-12
"""Mean number of waiting requests below which no request waits."""

_STORM = 0.002
"""Share of requests that are sent again above which the retries themselves are a load."""

_RETRIED_WORK = 0.05
"""Share of work that requests retry in vain, because they always take too long, above which it is a load."""

_SHORT_OF_WORK = 0.7
"""Load, retries in vain included, up to which a fleet bears them."""

_MOST_RETRIED_WORK = 0.5
"""Share of retried work above which service times vary in another way, whatever the load."""

_FEWEST_REQUESTS = 100
"""Minimum number of requests for a p99: of fewer it is almost the largest, which chance alone decides."""

_RESOLUTION = 0.01
"""Relative error of the engine's latency quantiles, which are read from histograms."""

_PATIENCE = 0.05
"""Share of requests at their timeouts above which the queue is no longer that of patient clients."""


@dataclass(frozen=True)
class Range:
    """An expected value, and the 5th and 95th percentile of what one rollout may show."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class EstimatePhase:
    """The parts of a rollout in which the same number of instances is out of the pool.

    Attributes:
        name: ``before``, ``4 out``, ``settling``.
        seconds_s: Duration of these parts together.
        in_pool_count: Instances in the pool.
        capacity_rps: Requests per second that they can serve.
        offered_rps: Requests per second that arrive, in the mean.
        utilisation_fraction: Offered over capacity, above 1 where it cannot keep up; infinite
            with an empty pool. Slower versions and cold instances are counted here.
    """

    name: str
    seconds_s: float
    in_pool_count: float
    capacity_rps: float
    offered_rps: float
    utilisation_fraction: float


@dataclass(frozen=True)
class EstimateLines:
    """Series over time for a chart, at the middles of bins, shape (bins,) each.

    Attributes:
        time_s: From the start of the rollout to its settling.
        in_pool_count: Instances in the pool.
        capacity_rps: Requests per second that they can serve, without regard to versions, as the
            engine counts it.
        offered_rps: Requests per second that arrive and take a slot.
        backlog_count: Requests that wait, in the mean; zeros where no closed form holds.
    """

    time_s: Floats
    in_pool_count: Floats
    capacity_rps: Floats
    offered_rps: Floats
    backlog_count: Floats


@dataclass(frozen=True)
class Estimate:
    """The estimated figures of one case, named as in `simulation.results.run_result.METRICS`.

    A figure is None where no closed form holds; ``beyond`` then says why.

    Attributes:
        rollout_duration_s: From the start until the last instance is done.
        rollout_latency_p99_s: p99 latency of requests that arrive until the rollout has settled.
        rollout_wait_mean_s: Mean wait of these requests.
        rollout_error_fraction: Share of these requests that fail.
        cut_requests: Requests that the drains cut.
        lowest_capacity_fraction: The lowest share of the fleet's capacity.
        lowest_in_pool_count: The fewest instances in the pool.
        utilisation_before_fraction: Offered over capacity before the rollout.
        utilisation_highest_fraction: The highest of all phases.
        backlog_max_count: The most requests that wait at once.
        phases: Before the rollout, and by the number of instances that are out, for the service that
            the common keys are about.
        lines: The same service over time; None without a rollout.
        beyond: Why figures are not estimated; empty when all of them are.
        hopeless: Objectives that the case certainly cannot meet, in words.
        runs: Number of simulated runs that the figures are the means of; 0 for closed forms.
    """

    rollout_duration_s: Range | None = None
    rollout_latency_p99_s: Range | None = None
    rollout_wait_mean_s: Range | None = None
    rollout_error_fraction: Range | None = None
    cut_requests: Range | None = None
    lowest_capacity_fraction: Range | None = None
    lowest_in_pool_count: Range | None = None
    utilisation_before_fraction: Range | None = None
    utilisation_highest_fraction: Range | None = None
    backlog_max_count: Range | None = None
    phases: tuple[EstimatePhase, ...] = ()
    lines: EstimateLines | None = None
    beyond: tuple[NoEstimate, ...] = ()
    hopeless: tuple[str, ...] = ()
    runs: int = 0

    @property
    def is_overloaded(self) -> bool:
        """Return whether the fleet can never carry the load, so that nothing is simulated."""
        return any(reason.why is Why.ENDLESS_OVERLOAD for reason in self.beyond)

    def why_none(self, figure: str) -> NoEstimate | None:
        """Return why a figure is not estimated; None where it is, or where it does not exist."""
        return next((reason for reason in self.beyond if figure in reason.figures), None)


def estimate(scenario: Scenario) -> Estimate:
    """Estimate the figures of a scenario whose ranges hold single runs; refuse all others.

    Args:
        scenario: The scenario of one case.

    Raises:
        BadInput: The window does not fit the fleet, or the start lies outside the traffic.
    """
    result, flow = _closed_forms(scenario)
    return _without_unknown(
        replace(result, beyond=(*result.beyond, *reasons_too_far_off(scenario, flow)))
    )


def closed_forms(scenario: Scenario) -> Estimate:
    """Return the figures wherever there is a formula, even where its range holds too few single runs.

    Such figures are shown to nobody. They are close enough to call a candidate hopeless by a wide
    margin.

    Raises:
        BadInput: The window does not fit the fleet, or the start lies outside the traffic.
    """
    return _closed_forms(scenario)[0]


def _closed_forms(scenario: Scenario) -> tuple[Estimate, Flow]:
    roll = estimate_timeline(scenario)
    name = scenario.service_name
    flow = flow_of(scenario, name, roll)
    result = Estimate(
        utilisation_before_fraction=_load_range(scenario, name, flow.load_before),
        utilisation_highest_fraction=_load_range(scenario, name, float(np.max(flow.load))),
        beyond=tuple(flow.beyond),
    )
    if roll is not None:
        result = _add_rollout(result, roll, flow)
    if not all(result.why_none(name) for name in ("rollout_latency_p99_s", "rollout_wait_mean_s")):
        result = _without_unknown(_add_requests(scenario, result, flow))
    return replace(result, hopeless=tuple(_hopeless(scenario, result, flow))), flow


def _without_unknown(result: Estimate) -> Estimate:
    """Return an estimate without the figures that its reasons are about."""
    unknown: dict[str, Any] = {
        figure: None for reason in result.beyond for figure in reason.figures
    }
    return replace(result, **unknown)


def _load_range(scenario: Scenario, name: str, load: float) -> Range:
    """Return a load and its range: it grows with the rate and the service times, which may be uncertain."""
    spreads = (
        log_spread(scenario.traffic.uncertain),
        log_spread(scenario.services[name].uncertain),
    )
    factor = math.exp(NORMAL_95 * math.hypot(*spreads))
    return Range(load, load / factor, load * factor)


def _exactly(value: float) -> Range:
    return Range(value, value, value)


def _add_rollout(result: Estimate, roll: RolloutTimeline, flow: Flow) -> Estimate:
    """Add the figures that follow from when instances are out, whatever the queues do."""
    most = 1.645 * roll.spread_s
    result = replace(
        result,
        rollout_duration_s=Range(roll.mean_s, max(0.0, roll.mean_s - most), roll.mean_s + most),
        cut_requests=Range(roll.cut, *poisson_range(roll.cut)),
        lowest_capacity_fraction=_exactly(roll.lowest_fraction),
        lowest_in_pool_count=_exactly(float(roll.lowest_count)),
        beyond=(*result.beyond, *roll.beyond),
    )
    result = _without_unknown(result)
    if result.why_none("utilisation_highest_fraction"):
        return result
    return replace(
        result,
        phases=_phases(flow),
        lines=EstimateLines(
            flow.time_s, flow.pool_count, flow.capacity_rps, flow.offered_rps, flow.fluid
        ),
    )


def _phases(flow: Flow) -> tuple[EstimatePhase, ...]:
    """Return the phase before, then one for each number of instances out, as means over their bins."""
    out = np.maximum(0, np.round(flow.full_count - flow.pool_count)).astype(np.int64)
    before = EstimatePhase(
        "before",
        0.0,
        float(flow.full_count),
        flow.full_rps,
        float(flow.offered_rps[0]),
        flow.load_before,
    )
    phases = [before]
    for missing in np.unique(out):
        mine = out == missing
        weight = flow.step_s[mine]
        capacity = float(np.average(flow.effective_rps[mine], weights=weight))
        offered = float(np.average(flow.offered_rps[mine], weights=weight))
        phases.append(
            EstimatePhase(
                f"{missing} out" if missing else "all in",
                float(np.sum(weight)),
                float(np.average(flow.pool_count[mine], weights=weight)),
                float(np.average(flow.capacity_rps[mine], weights=weight)),
                offered,
                offered / capacity if capacity > 0 else math.inf,
            )
        )
    return tuple(phases)


def _add_requests(scenario: Scenario, result: Estimate, flow: Flow) -> Estimate:
    """Add waits, responses and errors, from the queue over time."""
    queue = _queue(flow)
    waits = _waits(flow, queue)
    weight = flow.offered_rps * flow.step_s
    count = float(np.sum(weight))
    if count <= 0:
        return replace(result, beyond=(*result.beyond, NoEstimate(Why.NOTHING_ARRIVES)))
    if count < _FEWEST_REQUESTS:
        few = NoEstimate(Why.FEW_REQUESTS, ("rollout_latency_p99_s",))
        result = replace(result, beyond=(*result.beyond, few))
    mass = queue.mass * (weight / count)[:, None]
    answers = responses(waits, mass, flow.served)
    wait_mean = answers.mean_wait_s()
    limit = flow.client_timeout_s
    long = responses(
        np.zeros(1), np.zeros(1), flow.served
    )  # too long even without a wait, so always
    always = float(long.over(np.array([limit]))[0]) if math.isfinite(limit) else 0.0
    late = float(answers.over(np.array([limit]))[0]) if math.isfinite(limit) else 0.0
    late += answers.waits_over(flow.queue_timeout_s)
    waited = max(0.0, late - always)
    gone = flow.turned_away
    kinds = scenario.traffic.classes.values()
    if late > _STORM and any(kind.retries.draws_demand for kind in kinds):
        why = NoEstimate(Why.NEW_DEMANDS, fraction=min(1.0, late))
        return replace(result, beyond=(*result.beyond, why))
    again = _retried_work(flow)
    with_retries = float(np.max(flow.load)) * (1.0 + again)
    if again > _MOST_RETRIED_WORK or (again > _RETRIED_WORK and with_retries > _SHORT_OF_WORK):
        why = NoEstimate(Why.RETRIED_WORK, fraction=with_retries)
        return replace(result, beyond=(*result.beyond, why))
    if late > _PATIENCE:
        return replace(
            result, beyond=(*result.beyond, NoEstimate(Why.TIMEOUTS, fraction=min(1.0, late)))
        )
    if waited > _STORM and flow.attempts > 0:
        return replace(result, beyond=(*result.beyond, NoEstimate(Why.RETRIES, fraction=waited)))
    share = 1.0 - 0.01 * (1.0 - late) - late
    low, high = _path(flow, queue)
    errors = gone + (1.0 - gone) * (always + waited ** (flow.attempts + 1) + flow.wrong)
    if result.cut_requests is not None:
        errors += result.cut_requests.value * flow.share / count
    backlog = queue.mean() * np.minimum(flow.load, 1.0) * flow.queues
    many = errors * count
    lines = result.lines
    return replace(
        result,
        rollout_wait_mean_s=Range(wait_mean, wait_mean * low, wait_mean * high),
        rollout_latency_p99_s=_p99_range(answers, share, (low, high), count, limit),
        rollout_error_fraction=Range(errors, *(bound / count for bound in poisson_range(many))),
        backlog_max_count=Range(
            float(np.max(backlog)), float(np.max(backlog)) * low, float(np.max(backlog)) * high
        ),
        lines=None if lines is None else replace(lines, backlog_count=backlog),
    )


def _retried_work(flow: Flow) -> float:
    """Return the work that retries in vain add, over all work: a retry asks for the same work again.

    A request that takes longer than its client waits does so in each of its attempts, and each
    attempt holds its slot to the end: E[S; S > T]/E[S] for every retry (less with
    `cancel_on_disconnect`, which is not distinguished here).
    """
    limit_s = flow.client_timeout_s
    if flow.attempts == 0 or not math.isfinite(limit_s):
        return 0.0
    late, total = 0.0, 0.0
    for kind in flow.served:
        at = np.array([limit_s / kind.scale])
        longer = float((kind.demand.excess_s(at) + at * kind.demand.survival(at))[0])
        late += kind.share * kind.scale * longer
        total += kind.share * kind.scale * float(kind.demand.mean_s())
    return flow.attempts * late / total if total > 0 else 0.0


def _queue(flow: Flow) -> QueueOverTime:
    """Return the queue over the rollout, after some steps in the state before it."""
    lead = len(flow.before_s)
    during = (flow.queue_rps, flow.queue_capacity_rps, flow.queue_slots)
    rate, capacity, slots = (
        np.concatenate([np.full(lead, first), then])
        for first, then in zip(flow.before, during, strict=True)
    )
    step_s = np.concatenate([flow.before_s, flow.step_s])
    queue = queue_over_time(
        rate,
        capacity,
        slots,
        step_s,
        variability=flow.variability,
        fresh=np.concatenate([np.zeros(lead), flow.fresh]),
        from_steady=flow.is_steady,
    )
    return QueueOverTime(queue.free[lead:], queue.mass[lead:], queue.length)


def _waits(flow: Flow, queue: QueueOverTime) -> Floats:
    """Return the wait behind each length of the queue, in seconds, shape (steps, lengths).

    A request waits until as much has been served as is in front of it, with the future capacity.
    """
    edges = np.concatenate([[0.0], np.cumsum(flow.step_s)])
    served = np.concatenate([[0.0], np.cumsum(flow.queue_capacity_rps * flow.step_s)])
    last = max(float(flow.queue_capacity_rps[-1]), 1e-9)
    asked = served[1:, None] + queue.length
    within = np.interp(asked, served + 1e-12 * np.arange(len(served)), edges)
    beyond = np.maximum(0.0, asked - served[-1]) / last
    result: Floats = np.maximum(0.0, within + beyond - edges[1:, None])
    return result


def _path(flow: Flow, queue: QueueOverTime) -> tuple[float, float]:
    """Return the 5th and 95th percentile of one rollout's mean wait, as multiples of the expected one.

    A queue forgets its state in τ = 2·spread/drift² (Abate and Whitt, 1987). A mean over a time T has
    2·τ/T of the variance of a single observation, at most the whole of it; it is taken to be gamma.
    """
    mean = queue.mean()
    second = queue.mass @ queue.length**2
    whole_s = float(np.sum(flow.step_s))
    rate = np.maximum(flow.queue_rps, 1e-9)
    drift = rate - flow.queue_capacity_rps
    spread = flow.variability * np.maximum(rate, flow.queue_capacity_rps)
    forgets_s = np.minimum(2 * spread / np.maximum(drift**2, 1e-12), whole_s / 2)
    weight = flow.step_s / whole_s
    total = float(mean @ weight)
    if total < _NOTHING:
        return 1.0, 1.0
    variance = np.maximum(second - mean**2, 0.0) * 2 * forgets_s / whole_s
    relative = float(np.sum(variance * weight)) / total**2 / float(np.mean(flow.queues))
    relative = min(max(relative, 1e-6), 100.0)
    low, high = special.gammaincinv(1 / relative, [0.05, 0.95]) * relative
    return float(low), float(high)


def _p99_range(
    answers: Responses, share: float, path: tuple[float, float], count: float, limit_s: float
) -> Range:
    """Return the p99 and its range: from a finite number of requests, and from the queue of one rollout."""
    few = 1.645 * math.sqrt(share * (1 - share) / max(count, 1.0))
    shares = [share, max(share - few, 0.0), min(share + few, 0.99999)]
    p99, fewer, more = answers.quantiles_s(shares)
    short, long = (answers.scale(factor).quantiles_s([share])[0] for factor in path)
    low = p99 - math.hypot(p99 - fewer, max(0.0, p99 - short))
    high = p99 + math.hypot(more - p99, max(0.0, long - p99))
    low, high = low * (1 - _RESOLUTION), high * (1 + _RESOLUTION)
    return Range(*(min(max(0.0, figure), limit_s) for figure in (p99, low, high)))


def _without_traffic(scenario: Scenario) -> Scenario:
    traffic = scenario.traffic.model_copy(update={"rate": ConstantRate(constant=0.0)})
    clock = scenario.clock.model_copy(update={"start": 0.0})
    return scenario.model_copy(update={"clock": clock, "traffic": traffic})


def _hopeless(scenario: Scenario, result: Estimate, flow: Flow) -> Iterator[str]:
    """Yield objectives that cannot be met, with a margin wider than the error of an estimate."""
    overload = find_endless_overload(scenario)
    if overload is not None:
        yield overload_text(overload)
    asked = scenario.objectives
    duration, lowest = result.rollout_duration_s, result.lowest_in_pool_count
    if duration is not None and asked.duration is not None:
        shortest_s, spread_s = duration.value, (duration.high - duration.value) / 1.645
        if not isinstance(scenario.traffic.rate, ConstantRate):
            # Later drains may meet less traffic.
            quiet = estimate_timeline(_without_traffic(scenario))
            assert quiet is not None
            shortest_s, spread_s = quiet.mean_s, quiet.spread_s
        if shortest_s - 5 * spread_s > _MARGIN * asked.duration:
            yield (
                f"the rollout takes {duration.value:.0f} s, "
                f"more than the duration of {asked.duration:g} s"
            )
    yield from broken_whatever_comes(scenario, lowest, duration)
    if result.rollout_latency_p99_s is None or asked.latency_p99 is None:
        return
    weight = flow.offered_rps * flow.step_s
    piled = fluid_backlog(flow.queue_rps, flow.queue_capacity_rps, flow.step_s)
    wait = piled / np.maximum(flow.queue_capacity_rps.max(), 1e-9)
    late = float(np.sum(weight[wait > 1.5 * asked.latency_p99]) / np.sum(weight))
    if late > 0.05 and result.rollout_latency_p99_s.low > _MARGIN * asked.latency_p99:
        yield (
            f"more arrives than is served for so long that {100 * late:.0f} % of the requests wait for more "
            f"than the p99 of {asked.latency_p99:g} s"
        )


def broken_whatever_comes(
    scenario: Scenario, lowest: Range | None, duration: Range | None
) -> Iterator[str]:
    """Yield objectives that a case cannot meet whatever traffic comes, in words.

    Args:
        scenario: The scenario of one case.
        lowest: The fewest instances in the pool, where known.
        duration: The duration of the rollout, where known.
    """
    least = scenario.objectives.lowest_in_pool
    if lowest is not None and least is not None and lowest.value < least:
        yield f"{lowest.value:.0f} are left in the pool, fewer than {least}"
    fleet = sum(service.instance_count for service in scenario.services.values())
    most = scenario.objectives.most_instances if scenario.rollout is not None else None
    if most is not None and fleet > most:
        yield f"the fleet has {fleet} instances, more than {most} at once"
    if duration is not None and (freeze := find_freeze(scenario, duration.low)):
        yield f"it runs in the freeze {freeze}"
