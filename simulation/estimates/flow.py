"""Rates and capacities over the time of a rollout, in bins, for estimates.

They are those of the service that the common keys are about. Reasons why no closed form holds are
added.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from simulation.estimates.in_flight import mean_instance
from simulation.estimates.no_estimate import OF_CUTS, OF_DRAINS, OF_STEPS, NoEstimate, Why
from simulation.estimates.queueing import fluid_backlog, let_in
from simulation.estimates.response import Served
from simulation.estimates.rollout_timeline import RolloutTimeline
from simulation.requests.stationary import long_lived
from simulation.scenario.inputs.uncertainty import has_uncertain
from simulation.scenario.model import Scenario, Service
from simulation.scenario.rates import RateTable
from simulation.scenario.simulated_interval import SETTLING_S, frame_of
from simulation.scenario.units import Floats

STEPS = 64
"""Number of bins of a rollout's time."""

_STEADY_S = 60.0
"""Estimated time, in seconds, where nothing is rolled."""

_HORIZON_S = 600.0
"""A run that never settles is estimated for three rollouts and this many seconds, see `frame_of`."""

_EMPTY_COUNT = 0.5
"""Mean number of instances in the pool below which it is empty for much of a bin."""

_ALIKE = 1.05
"""Maximum ratio of the speeds of instances that are taken for alike."""

_MUCH = 0.7
"""Load above which queues at single instances are far from the one queue of all of them."""

_SOME = 0.5
"""Load above which an instance that is taken out has some requests in a queue of its own."""

_FULL = 0.95
"""Load from which hardly an instance is taken out without a queue."""

_MATTERS = 0.1
"""Share of a rollout that drains to their timeouts may take before they count."""

_SOON_STEADY = 0.9
"""Share of its capacity below which a fleet is in a steady state before a rollout begins."""

_WARMING_UP = 2.0 ** np.arange(16) / (2.0**16 - 1)
"""Lengths of the steps of a warm-up, as shares of the whole."""


@dataclass(frozen=True)
class Flow:
    """Rates and capacities in bins, shape (bins,), of the service of the common keys.

    Attributes:
        time_s: The middles of the bins.
        step_s: The widths of the bins.
        offered_rps: Requests per second that come to the service and take a slot there.
        share: Share of all requests that these are.
        pool_count: Instances in the pool.
        capacity_rps: Requests per second that they serve, without regard to versions.
        effective_rps: Requests per second that they serve, slower and cold versions counted.
        load: Offered over effective.
        load_before: The load before the rollout.
        full_count: Instances before the rollout.
        full_rps: Capacity of these instances.
        queue_rps: Requests per second that come to one queue.
        queue_capacity_rps: Requests per second that are served from one queue.
        queue_slots: Slots that serve one queue.
        before_s: Durations of steps before the rollout; shape (steps before,).
        before: Rate, capacity and slots of one queue in these steps.
        is_steady: Whether the queue is in its steady state before the rollout.
        queues: Number of such queues. With the fewest connections the queues of all instances act
            as one: a request waits only when all slots are taken (Foschini and Salz, 1978).
        fresh: Share of the queues that is new in each bin.
        variability: (ca² + cs²)/2.
        served: Kinds of service that requests ask for.
        fluid: Backlog, in requests, if arrivals and service were even.
        client_timeout_s: The shortest timeout of the clients.
        queue_timeout_s: The balancer's timeout of queued requests.
        attempts: Maximum number of retries of a client.
        turned_away: Share of requests that find no instance.
        wrong: Share of wrong answers.
        beyond: Reasons why waits and responses do not follow from these.
    """

    time_s: Floats
    step_s: Floats
    offered_rps: Floats
    share: float
    pool_count: Floats
    capacity_rps: Floats
    effective_rps: Floats
    load: Floats
    load_before: float
    full_count: int
    full_rps: float
    queue_rps: Floats
    queue_capacity_rps: Floats
    queue_slots: Floats
    before_s: Floats
    before: tuple[float, float, float]
    is_steady: bool
    queues: Floats
    fresh: Floats
    variability: float
    served: Sequence[Served]
    fluid: Floats
    client_timeout_s: float
    queue_timeout_s: float
    attempts: int
    turned_away: float
    wrong: float
    beyond: tuple[NoEstimate, ...]


@dataclass(frozen=True)
class _Supply:
    """The capacity in each bin, shape (bins,)."""

    left_count: Floats
    back_count: Floats
    pool_count: Floats
    slower: Floats
    capacity_rps: Floats
    effective_rps: Floats


def _supply(
    service: Service, work_s: float, roll: RolloutTimeline | None, edges_s: Floats
) -> _Supply:
    """Return the pool and its capacity in each bin; an instance that is back has the new version."""
    leave, join = (roll.leave_s, roll.join_s) if roll else (np.zeros(0), np.zeros(0))
    left, back = _mean_count(leave, edges_s), _mean_count(join, edges_s)
    pool = service.instance_count - left + back
    old, new = service.versions.old, service.versions.new
    slower = np.full(len(back), new.service_factor)
    if new.cold.factor != 1.0 and new.cold.decay is not None and len(join):
        age_s = (edges_s[1:, None] + edges_s[:-1, None]) / 2 - _few(join)
        there = age_s >= 0
        cold = 1 + (new.cold.factor - 1) * np.exp(-np.maximum(age_s, 0) / new.cold.decay)
        fast = np.sum(there / cold, axis=1)  # cold instances, as a number of warm ones
        warm = np.maximum(np.sum(there, axis=1), 1)
        slower = np.where(fast > 0, slower * warm / np.maximum(fast, 1e-12), slower)
    slots, speed = mean_instance(service)
    each_rps = slots * speed / work_s
    effective = np.maximum(pool - back, 0.0) / old.service_factor + back / slower
    return _Supply(left, back, pool, slower, pool * each_rps, effective * each_rps)


def _rates(rates: RateTable, start_s: float, edges_s: Floats) -> tuple[Floats, bool]:
    """Return the rate at the middle of each bin, and whether the data has a rate everywhere."""
    middles = (edges_s[1:] + edges_s[:-1]) / 2
    end_s = float(edges_s[-1])
    rate = rates.window(start_s, 0.0, end_s).rate_at(middles)
    known = not np.isnan(rate).any() and rates.data_ends_s() >= start_s + end_s
    return np.nan_to_num(rate), known


def flow_of(scenario: Scenario, name: str, roll: RolloutTimeline | None) -> Flow:
    """Return rates and capacities until the rollout has settled.

    Raises:
        BadInput: The start lies outside the traffic.
    """
    service = scenario.services[name]
    rates, start_s, share = scenario.rates(), scenario.start_s(), _slot_share(scenario, name)
    work_s = scenario.work_s(name) / share if share > 0 else 0.0
    work_s = work_s or float(service.service_time.mean_s())
    ended_s = roll.mean_s if roll else _STEADY_S
    horizon_s = scenario.clock.horizon or math.inf
    edges = np.linspace(0.0, min(ended_s + SETTLING_S, horizon_s), STEPS + 1)
    rate, known = _rates(rates, start_s, edges)
    supply = _supply(service, work_s, roll, edges)
    clears_s = _clears_s(rate * share, supply.effective_rps, edges, ended_s)
    if roll is not None and clears_s > 0:
        edges = np.linspace(0.0, min(ended_s + clears_s + SETTLING_S, horizon_s), STEPS + 1)
        rate, known = _rates(rates, start_s, edges)
        supply = _supply(service, work_s, roll, edges)
    beyond = [*_beyond(scenario, name)]
    if has_uncertain(scenario):
        beyond.append(NoEstimate(Why.UNCERTAIN_INPUTS, OF_STEPS))
    if not known:
        beyond.append(NoEstimate(Why.TRACE_ENDS))
    beyond += _overloads(scenario, name, rate * share, supply, (clears_s, ended_s))
    return _flow(scenario, name, (edges, rate * share, supply), work_s, tuple(beyond))


def _slot_share(scenario: Scenario, name: str) -> float:
    """Return the share of all requests that takes a slot at a service."""
    classes = zip(scenario.traffic.classes.values(), scenario.traffic.shares(), strict=True)
    return math.fsum(
        share for kind, share in classes if kind.holds_slot and name in scenario.route_of(kind)
    )


def _clears_s(offered: Floats, served: Floats, edges_s: Floats, ended_s: float) -> float:
    """Return how long a backlog lasts after the rollout, at most until the engine's horizon."""
    piled = fluid_backlog(offered, served, np.diff(edges_s))
    at = min(int(np.searchsorted(edges_s, ended_s)), len(piled) - 1)
    if piled[at] <= 0:
        return 0.0
    spare_rps = float(served[-1] - offered[-1])
    longest_s = 2 * ended_s + _HORIZON_S
    return min(float(piled[at]) / spare_rps, longest_s) if spare_rps > 0 else longest_s


def _flow(
    scenario: Scenario,
    name: str,
    bins: tuple[Floats, Floats, _Supply],
    work_s: float,
    beyond: tuple[NoEstimate, ...],
) -> Flow:
    """Return all that the queues are estimated from."""
    edges, offered, supply = bins
    service, step, classes = (
        scenario.services[name],
        np.diff(edges),
        scenario.traffic.classes.values(),
    )
    versions, balancer = service.versions, service.balancer
    slots, speed = mean_instance(service)
    full_rps = slots * speed * service.instance_count / work_s
    pool, effective = supply.pool_count, supply.effective_rps
    weight = offered * step
    whole = max(float(np.sum(weight)), 1e-300)
    new_share = np.clip(supply.back_count / np.maximum(pool, 1e-9), 0.0, 1.0)
    mix = float(np.sum(weight * new_share)) / whole
    slow = float(np.average(supply.slower, weights=np.maximum(supply.back_count, 1e-12)))
    served = list(_served(scenario, name, mix, slow))
    empty = (pool < 0.5) & (balancer.policy != "pull")
    own = balancer.queue == "instance" and balancer.policy != "least_connections"
    queues = np.maximum(pool, 1.0) if own else np.ones(len(pool))
    taken = np.where(empty, 0.0, offered)
    if not own:
        gone = slots * np.diff(supply.left_count, prepend=0.0)
        taken = let_in(taken, effective, slots * np.maximum(pool, 0.0), gone, step)
    apart = service.instance_count if own else 1
    spread = _dispersion(scenario, name, apart)
    asked_rps, slots_before = float(offered[0]), slots * service.instance_count
    before_rps = full_rps / versions.old.service_factor
    is_steady = asked_rps < _SOON_STEADY * before_rps
    before_s: Floats = np.ones(1)
    if not is_steady:  # like the engine: from an empty system, for the warm-up
        warm_up_s = max(1.0, frame_of([scenario]).warm_up_s)
        before_s = np.asarray(_WARMING_UP * warm_up_s, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        load = np.where(offered > 0, offered / effective, 0.0)
    return Flow(
        time_s=(edges[1:] + edges[:-1]) / 2,
        step_s=step,
        offered_rps=offered,
        share=_slot_share(scenario, name),
        pool_count=pool,
        capacity_rps=supply.capacity_rps,
        effective_rps=effective,
        load=load,
        load_before=asked_rps / before_rps,
        full_count=service.instance_count,
        full_rps=full_rps,
        queue_rps=taken / queues,
        queue_capacity_rps=effective / queues,
        queue_slots=slots * np.maximum(pool, 0.0) / queues,
        before_s=before_s,
        before=(asked_rps / apart, before_rps / apart, slots_before / apart),
        is_steady=is_steady,
        queues=queues,
        fresh=np.clip(np.diff(supply.back_count, prepend=0.0) / queues, 0.0, 1.0) * own,
        variability=(spread + _cs2(served)) / 2.0,
        served=served,
        fluid=fluid_backlog(np.where(empty, 0.0, offered), effective, step),
        client_timeout_s=min(
            (kind.client_timeout or math.inf for kind in classes), default=math.inf
        ),
        queue_timeout_s=math.inf if balancer.queue_timeout is None else balancer.queue_timeout,
        attempts=max(kind.retries.attempts for kind in classes),
        turned_away=float(np.sum(weight[empty])) / whole,
        wrong=(1 - mix) * versions.old.error_fraction + mix * versions.new.error_fraction,
        beyond=beyond,
    )


def _few(times_s: Floats) -> Floats:
    """Return ascending times as at most `STEPS` times, each the mean of a group."""
    if len(times_s) <= STEPS:
        return times_s
    return np.array([np.mean(part) for part in np.array_split(times_s, STEPS)])


def _mean_count(times_s: Floats, edges_s: Floats) -> Floats:
    """Return how many of the ascending times have passed, in the mean over each bin."""
    sums = np.concatenate([[0.0], np.cumsum(times_s)])
    before = np.searchsorted(times_s, edges_s)
    area = before * edges_s - sums[before]
    counts: Floats = np.diff(area) / np.diff(edges_s)
    return counts


def _overloads(
    scenario: Scenario,
    name: str,
    offered: Floats,
    supply: _Supply,
    clears_and_ends_s: tuple[float, float],
) -> Iterator[NoEstimate]:
    """Yield reasons why closed forms do not hold under overload or with too few instances."""
    service, rule = scenario.services[name], scenario.rule(name)
    balancer, versions = service.balancer, service.versions
    with np.errstate(divide="ignore", invalid="ignore"):
        load = np.where(offered > 0, offered / supply.effective_rps, 0.0)
    highest = float(np.max(load))
    clears_s, ended_s = clears_and_ends_s
    is_open_ended = scenario.clock.horizon is None
    if is_open_ended and (load[-1] >= 1 or clears_s >= 2 * ended_s + _HORIZON_S):
        yield NoEstimate(Why.NEVER_CLEARS, fraction=float(load[-1]))
    if (supply.pool_count < _EMPTY_COUNT).any() and balancer.policy != "pull":
        yield NoEstimate(Why.POOL_EMPTY)
    if balancer.queue != "instance" or balancer.policy == "pull":
        return
    factors = (versions.old.service_factor, float(np.max(supply.slower)))
    uneven = max(factors) / min(factors)
    if len(set(service.power())) > 1 or (uneven > _ALIKE and highest * uneven > _MUCH):
        yield NoEstimate(Why.UNEVEN_INSTANCES)
    if balancer.policy == "least_connections" and highest > _FULL:
        yield NoEstimate(Why.FEWEST_AT_INSTANCES, fraction=highest)
    if rule is not None and name in scenario.release_order() and highest > _SOME:
        yield NoEstimate(Why.QUEUED_AT_DRAINS, OF_CUTS, (name,), highest)
        drains_s = rule.drain.timeout * service.instance_count / scenario.window_count(name)
        if highest > _FULL and drains_s > _MATTERS * ended_s:
            yield NoEstimate(Why.QUEUED_AT_DRAINS, OF_DRAINS, (name,), highest)


def _beyond(scenario: Scenario, name: str) -> Iterator[NoEstimate]:
    """Yield reasons why waits and responses do not follow from rates and capacities."""
    balancer, traffic = scenario.services[name].balancer, scenario.traffic
    called = [service for service in scenario.services if scenario.is_called(service)]
    if len(called) > 1:
        yield NoEstimate(Why.SEVERAL_SERVICES, services=tuple(called))
    if traffic.arrivals == "closed":
        yield NoEstimate(Why.CLOSED_TRAFFIC)
    if balancer.queue_limit is not None:
        yield NoEstimate(Why.QUEUE_REJECTS)
    if balancer.sticky or balancer.balances_connections:
        yield NoEstimate(Why.STICKY if balancer.sticky else Why.BALANCED_CONNECTIONS)
    if balancer.weights or balancer.slow_start > 0:
        yield NoEstimate(Why.WEIGHTS)
    if balancer.queue == "instance":
        if balancer.policy == "source_hash":
            yield NoEstimate(Why.SESSIONS)
            yield NoEstimate(Why.SESSIONS, OF_DRAINS)
        if balancer.policy == "power_of_two":
            yield NoEstimate(Why.TWO_CHOICES)
        if balancer.policy in ("least_connections", "power_of_two") and long_lived(scenario):
            yield NoEstimate(Why.FEWEST_AT_INSTANCES)
    rule = scenario.rule(name) if name in scenario.release_order() else None
    if rule is not None and balancer.propagation_delay > rule.pre_stop:
        yield NoEstimate(Why.LEARNS_LATE)
    if scenario.services[name].crashes is not None:
        yield NoEstimate(Why.CRASHES)
    if rule is not None and rule.migration is not None and rule.migration.contract_before_rollout:
        yield NoEstimate(Why.CONTRACT_TOO_EARLY)


def _served(scenario: Scenario, name: str, mix: float, slow: float) -> Iterator[Served]:
    """Yield the kinds of service that requests ask for, by class and version."""
    service = scenario.services[name]
    _, speed = mean_instance(service)
    classes = zip(scenario.traffic.classes.values(), scenario.traffic.shares(), strict=True)
    kinds = [
        (share, route[0])
        for (kind, share), route in zip(classes, scenario.demands(), strict=True)
        if kind.holds_slot and share > 0
    ]
    total = math.fsum(share for share, _ in kinds) or 1.0
    for share, demand in kinds:
        for part, factor in ((1 - mix, service.versions.old.service_factor), (mix, slow)):
            if part > 0:
                yield Served(share / total * part, demand, factor / speed)


def _dispersion(scenario: Scenario, name: str, split: int) -> float:
    """Return the index of dispersion of the arrivals at one queue.

    A random share of a Poisson process is Poisson; every k-th request of it has the index 1/k. A
    random k-th part of a process with index D has the index 1 + (D − 1)/k (Whitt, 1983).
    """
    traffic = scenario.traffic
    index = traffic.dispersion if traffic.arrivals == "bursty" else 1.0
    if split == 1:
        return index
    policy = scenario.services[name].balancer.policy
    return index / split if policy == "round_robin" else 1.0 + (index - 1.0) / split


def _cs2(served: Sequence[Served]) -> float:
    """Return the squared coefficient of variation of the service time over all kinds."""
    mean = math.fsum(kind.share * kind.scale * kind.demand.mean_s() for kind in served)
    if mean <= 0:
        return 1.0
    second = math.fsum(
        kind.share * (kind.scale * kind.demand.mean_s()) ** 2 * (1 + kind.demand.cv() ** 2)
        for kind in served
    )
    return max(0.0, second / mean**2 - 1.0)
