"""What comes and what can be served over the time of a rollout, for estimates.

Enters: a scenario. Leaves: its rollout as drawn in `simulation.schedule`, and the rates and
capacities of the service that the common keys are about, in bins; and the reasons, in words, why a
closed form does not hold.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from simulation.frame import SETTLING_S
from simulation.in_flight import in_flight, mean_instance
from simulation.queueing import fluid_backlog
from simulation.response import Served
from simulation.rollout import rolling_order
from simulation.scenario import Scenario
from simulation.scenario_rollout import ALL_AT_ONCE, Rollout
from simulation.schedule import Schedules, draws_for, schedules
from simulation.strategies.canary import waves_of
from simulation.topology import in_order, release_graph
from simulation.units import Floats

STEPS = 64
"""Bins of a rollout's time."""


@dataclass(frozen=True)
class RolledOut:
    """A release as drawn.

    Attributes:
        mean_s: When it is over, in the mean.
        spread_s: The standard deviation of that.
        cut: Mean requests that are cut.
        lowest_count: The fewest in the pool, of all services.
        lowest_fraction: The lowest share of a fleet's capacity.
        leave_s: Of the service of the common keys, in the draw nearest to the mean, ascending.
        join_s: The same.
        is_second: Whether second instances join.
        may_fail: Whether it may well not come to its end.
        beyond: Why something here does not hold.
    """

    mean_s: float
    spread_s: float
    cut: float
    lowest_count: int
    lowest_fraction: float
    leave_s: Floats
    join_s: Floats
    may_fail: bool
    beyond: tuple[str, ...]


@dataclass(frozen=True)
class Flow:
    """Rates and capacities in bins, shape (bins,), of the service of the common keys.

    Attributes:
        time_s: The middles of the bins.
        step_s: Their widths.
        offered_rps: What comes to the service.
        pool_count: Instances in the pool.
        capacity_rps: What they serve, without regard to versions.
        effective_rps: What they serve, slower versions and cold ones counted.
        load: Offered over effective.
        load_before: The same before the rollout.
        full_count: Instances before it.
        full_rps: Their capacity.
        queue_rps: What comes to one queue.
        queue_capacity_rps: What is served of it.
        queue_slots: By how many slots.
        queues: How many such queues there are, in the mean.
        variability: (ca² + cs²)/2.
        served: What requests ask for.
        fluid: What piles up, when all is even, in requests.
        client_timeout_s: The shortest of the clients'.
        queue_timeout_s: Of the balancer.
        attempts: How often clients ask again.
        turned_away: The share that finds nobody there.
        wrong: The share of wrong answers.
        beyond: Why waits and responses do not follow from these.
    """

    time_s: Floats
    step_s: Floats
    offered_rps: Floats
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
    queues: float
    variability: float
    served: Sequence[Served]
    fluid: Floats
    client_timeout_s: float
    queue_timeout_s: float
    attempts: int
    turned_away: float
    wrong: float
    beyond: tuple[str, ...]


def poisson_range(mean: float) -> tuple[float, float]:
    """The 5th and 95th percentile of a count that is Poisson."""
    if mean <= 0:
        return 0.0, 0.0
    found = np.ceil(special.pdtrik([0.05, 0.95], mean) - 1e-9)
    return float(max(0.0, found[0])), float(max(0.0, found[1]))


def rolled_out(scenario: Scenario) -> RolledOut | None:
    """The release of a scenario; None without a rollout.

    Raises:
        BadInput: A window does not fit its fleet.
    """
    names = scenario.rolled_services()
    if not names:
        return None
    draws = draws_for(max(scenario.services[name].instance_count for name in names))
    begin_rps = float(np.nan_to_num(scenario.rates().rate_at(scenario.start_s())))
    begun: dict[str, Floats] = {}
    ended: dict[str, Floats] = {}
    cut, variance, reasons, may_fail = 0.0, 0.0, [], False
    drawn: dict[str, Schedules] = {}
    graph = release_graph(scenario.release_order())
    for number, name in enumerate(in_order(graph)):
        rule = scenario.rule(name)
        assert rule is not None
        rng = np.random.default_rng([20, number])
        one, lost = _service(scenario, name, rule, begin_rps, draws, rng)
        before = [ended[first] for first in graph.predecessors(name)]
        begun[name] = np.max(before, axis=0) if before else np.zeros(draws)
        ended[name] = begun[name] + one.end_s
        drawn[name], cut = one, cut + lost
        variance = max(variance, one.spread_s**2) if not before else variance + one.spread_s**2
        for reason in _may_fail(scenario, name, rule, begin_rps):
            reasons.append(reason)
            may_fail = True
    end = np.max(list(ended.values()), axis=0)
    main = scenario.service_name
    typical = int(np.argmin(np.abs(end - np.mean(end))))
    lows = [_lowest(scenario, name) for name in names]
    others = sum(one.instance_count for name, one in scenario.services.items() if name not in names)
    chained = [name for name in names if len(names) > 1]
    together = _fewest_together(scenario, names, drawn, begun, typical) if chained else lows[0][0]
    return RolledOut(
        mean_s=float(np.mean(end)),
        spread_s=math.sqrt(variance),
        cut=cut,
        lowest_count=together + others,
        lowest_fraction=min(fraction for _, fraction in lows),
        leave_s=np.sort(begun[main][typical] + drawn[main].leave_s[typical]),
        join_s=np.sort(begun[main][typical] + drawn[main].join_s[typical]),
        may_fail=may_fail,
        beyond=tuple(reasons),
    )


def _service(
    scenario: Scenario,
    name: str,
    rule: Rollout,
    begin_rps: float,
    draws: int,
    rng: np.random.Generator,
) -> tuple[Schedules, float]:
    """One service's rollout as drawn, and how many requests it cuts."""
    service = scenario.services[name]
    count = service.instance_count
    window = 1 if rule.strategy in ALL_AT_ONCE else scenario.window_count(name)
    if scenario.second_count(name):
        window = 1  # whoever is missing has been replaced, but for a few
    window = max(1, min(window, count - rule.min_healthy))
    first = in_flight(scenario, name, begin_rps / count)
    later = in_flight(scenario, name, begin_rps / max(1, count - window + 1))
    delay_s = service.balancer.propagation_delay
    uniform = rng.random((draws, count))
    drain = later.drain_s(rule.drain, delay_s, uniform)
    drain[:, :window] = first.drain_s(rule.drain, delay_s, uniform[:, :window])
    lost = 0.0
    if rule.drain.on_timeout == "cut":
        left_s = max(0.0, rule.drain.timeout - delay_s)
        lost = window * first.left_count(left_s) + (count - window) * later.left_count(left_s)
    return schedules(scenario, name, rule, drain, rng), lost


def _may_fail(scenario: Scenario, name: str, rule: Rollout, begin_rps: float) -> Iterator[str]:
    """Why a rollout may well be halted."""
    service = scenario.services[name]
    new, tries = service.versions.new, rule.retries + 1
    fails = 1.0 - (1.0 - new.verify_fails**tries) * (1.0 - new.start_fails**tries)
    if fails > 0 and 1.0 - (1.0 - fails) ** service.instance_count > 0.01:
        yield f"{name}: a verify or start may fail, which halts the rollout or prolongs it"
    if rule.drain.on_timeout == "abort":
        idle = in_flight(scenario, name, begin_rps / service.instance_count)
        if (
            1.0 - float(idle.idle_by(np.array([rule.drain.timeout]))[0]) ** service.instance_count
            > 0.01
        ):
            yield f"{name}: a drain may run out, which aborts it"
    if service.crashes is not None:
        yield f"{name}: instances crash on their own"
    if service.balancer.sticky:
        yield f"{name}: sticky sessions go on to come while an instance drains"


def _lowest(scenario: Scenario, name: str) -> tuple[int, float]:
    """The fewest of a service in the pool, and the lowest share of its capacity."""
    service, rule = scenario.services[name], scenario.rule(name)
    assert rule is not None
    count = service.instance_count
    if rule.strategy == "recreate":
        return 0, 0.0
    if rule.strategy == "blue_green":
        return count, 1.0
    out = max(0, min(scenario.window_count(name), count - rule.min_healthy))
    if rule.strategy == "canary" and out > 0:
        waves = waves_of(rule, out, [str(k) for k in range(count)])
        out = max(wave.parallel for wave in waves)
    if not isinstance(service.instances, dict):
        return count - out, 1.0 - out / count
    power = np.array(service.power())
    along = np.concatenate([[0.0], np.cumsum(power[rolling_order(scenario, name)])])
    missing = float(np.max(along[out:] - along[: len(along) - out])) if out else 0.0
    return count - out, 1.0 - missing / float(np.sum(power))


def _fewest_together(
    scenario: Scenario,
    names: Sequence[str],
    drawn: dict[str, Schedules],
    begun: dict[str, Floats],
    row: int,
) -> int:
    """The fewest in the pools of several services at once, in one draw."""
    leave = np.concatenate([begun[name][row] + drawn[name].leave_s[row] for name in names])
    join = np.concatenate([begun[name][row] + drawn[name].join_s[row] for name in names])
    leave, join = np.sort(leave), np.sort(join)
    out = np.arange(1, len(leave) + 1) - np.searchsorted(join, leave, side="right")
    return sum(scenario.services[name].instance_count for name in names) - int(np.max(out))


def flow_of(scenario: Scenario, name: str, roll: RolledOut | None) -> Flow:
    """Rates and capacities until the rollout has settled.

    Raises:
        BadInput: The start lies outside the traffic.
    """
    service = scenario.services[name]
    count = service.instance_count
    share, work_s = scenario.share_of(name), scenario.work_s(name) or service.service_time.mean_s()
    slots, speed = mean_instance(service)
    power = slots * speed * count
    beyond = list(_beyond(scenario, name))
    rates, start_s = scenario.rates(), scenario.start_s()
    end_s = (roll.mean_s if roll else 60.0) + SETTLING_S
    old, new = service.versions.old, service.versions.new
    for _until_settled in range(2):
        if scenario.clock.horizon is not None:
            end_s = min(end_s, scenario.clock.horizon)
        edges = np.linspace(0.0, end_s, STEPS + 1)
        middles, step = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
        rate = rates.window(start_s, 0.0, end_s).rate_at(middles)
        if np.isnan(rate).any() or rates.data_ends_s() < start_s + end_s:
            beyond = [*beyond, "the rollout meets a gap or the end of the trace"]
            rate = np.nan_to_num(rate)
        leave, join = (roll.leave_s, roll.join_s) if roll else (np.zeros(0), np.zeros(0))
        gone, back = _mean_count(leave, edges), _mean_count(join, edges)
        pool = count - gone + back
        scale = power / count
        factor = new.service_factor
        slower = np.full(STEPS, factor)
        if new.cold.factor != 1.0 and len(join):
            some = _few(join)
            age = middles[:, None] - some
            there = age >= 0
            factors = factor * (
                1 + (new.cold.factor - 1) * np.exp(-np.maximum(age, 0) / new.cold.decay)
            )
            cold = (there / factors).sum(axis=1)
            seen = there.sum(axis=1)
            slower = np.where(cold > 0, seen / np.maximum(cold, 1e-12), factor)
        per_instance = scale / work_s
        effective = per_instance * (
            np.maximum(pool - back, 0.0) / old.service_factor + back / slower
        )
        # Until all has settled, what is left of a backlog must be served too.
        piled = fluid_backlog(rate, effective, step)
        place = min(int(np.searchsorted(edges, (roll.mean_s if roll else 0.0))), STEPS - 1)
        spare = float(effective[-1] - rate[-1])
        clears_s = float(piled[place]) / spare if spare > 0 else 0.0
        if roll is None or clears_s < 0.5 or scenario.clock.horizon is not None:
            break
        end_s = roll.mean_s + min(clears_s, 10 * roll.mean_s) + SETTLING_S
    offered = rate * share
    full_rps = power / work_s
    weight = rate * step
    mix = float(np.sum(weight * back / np.maximum(pool, 1e-9)) / max(float(np.sum(weight)), 1e-300))
    mix = min(max(mix, 0.0), 1.0)
    slow = float(np.average(slower, weights=np.maximum(back, 1e-12)))
    served = list(_served(scenario, name, mix, slow)) if not beyond else []
    empty = (pool < 0.5) & (service.balancer.policy != "pull")
    queue_rps = np.where(empty, 0.0, offered)
    queues, per = _queues(service.balancer.policy, service.balancer.queue, count)
    alive = np.maximum(pool, 1.0) if per else np.ones(STEPS)
    variability = (_arrivals(scenario, count if per else 1) + _cs2(served)) / 2.0
    timeouts = [
        one.client_timeout
        for one in scenario.traffic.classes.values()
        if one.client_timeout is not None
    ]
    with np.errstate(divide="ignore"):
        load = np.where(effective > 0, offered / effective, np.where(offered > 0, np.inf, 0.0))
    return Flow(
        time_s=middles,
        step_s=step,
        offered_rps=offered,
        pool_count=pool,
        capacity_rps=pool * per_instance,
        effective_rps=effective,
        load=load,
        load_before=float(offered[0] * old.service_factor / full_rps),
        full_count=count,
        full_rps=full_rps,
        queue_rps=queue_rps / alive,
        queue_capacity_rps=effective / alive,
        queue_slots=slots * np.maximum(pool, 0.0) / alive,
        queues=queues,
        variability=variability,
        served=served,
        fluid=fluid_backlog(queue_rps, effective, step),
        client_timeout_s=min(timeouts, default=math.inf),
        queue_timeout_s=service.balancer.queue_timeout or math.inf,
        attempts=max(one.retries.attempts for one in scenario.traffic.classes.values()),
        turned_away=float(np.sum(weight[empty]) / max(float(np.sum(weight)), 1e-300)),
        wrong=(1 - mix) * old.error_fraction + mix * new.error_fraction,
        beyond=tuple(beyond),
    )


def _few(times_s: Floats) -> Floats:
    """Ascending times as no more than there are bins, each the mean of as many."""
    if len(times_s) <= STEPS:
        return times_s
    return np.array([np.mean(part) for part in np.array_split(times_s, STEPS)])


def _mean_count(times_s: Floats, edges_s: Floats) -> Floats:
    """How many of the ascending times lie before, in the mean over each bin."""
    sums = np.concatenate([[0.0], np.cumsum(times_s)])
    before = np.searchsorted(times_s, edges_s)
    area = before * edges_s - sums[before]
    found: Floats = np.diff(area) / np.diff(edges_s)
    return found


def _beyond(scenario: Scenario, name: str) -> Iterator[str]:
    """Why waits and responses do not follow from rates and capacities."""
    balancer, traffic = scenario.services[name].balancer, scenario.traffic
    called = [one for one in scenario.services if scenario.is_called(one)]
    if len(called) > 1:
        yield f"requests go through several services ({', '.join(called)})"
    if traffic.arrivals == "closed":
        yield "clients of closed traffic wait for their answers before they ask again"
    if balancer.queue_limit is not None:
        yield "a full queue rejects"
    if balancer.sticky:
        yield "sticky sessions are not spread evenly"
    if balancer.weights or balancer.slow_start > 0:
        yield "weights and a slow start spread requests unevenly"
    rule = scenario.rule(name) if name in scenario.release_order() else None
    if rule is not None and balancer.propagation_delay > rule.pre_stop:
        yield "the balancer learns late, and sends to instances that have stopped"
    if scenario.services[name].crashes is not None:
        yield "instances crash on their own"
    if rule is not None and rule.migration is not None and rule.migration.contract_before_rollout:
        yield "the contract step comes too early, and the old version answers wrongly"


def _served(scenario: Scenario, name: str, mix: float, slow: float) -> Iterator[Served]:
    """What requests ask for, by class and version."""
    service = scenario.services[name]
    _, speed = mean_instance(service)
    classes = zip(scenario.traffic.classes.values(), scenario.traffic.shares(), strict=True)
    kinds = [
        (share, route[0])
        for (one, share), route in zip(classes, scenario.demands(), strict=True)
        if one.holds_slot and share > 0
    ]
    total = math.fsum(share for share, _ in kinds) or 1.0
    for share, demand in kinds:
        for part, factor in ((1 - mix, service.versions.old.service_factor), (mix, slow)):
            if part > 0:
                yield Served(share / total * part, demand, factor / speed)


def _queues(policy: str, where: str, count: int) -> tuple[float, bool]:
    """How many queues there are, and whether each instance has its own.

    The fewest connections keep the queues of instances as one: whoever comes waits only when all
    slots are taken, as in one queue (state-space collapse; Foschini and Salz, 1978).
    """
    if where == "balancer" or policy in ("pull", "least_connections"):
        return 1.0, False
    return float(count), True


def _arrivals(scenario: Scenario, split: int) -> float:
    """The index of dispersion of what comes to one queue.

    A share of a Poisson process is Poisson; every k-th request of it has 1/k. Of a process with
    index D the random k-th part has 1 + (D − 1)/k (Whitt, 1983).
    """
    traffic = scenario.traffic
    index = traffic.dispersion if traffic.arrivals == "bursty" else 1.0
    if split == 1:
        return index
    policy = scenario.service.balancer.policy
    return index / split if policy == "round_robin" else 1.0 + (index - 1.0) / split


def _cs2(served: Sequence[Served]) -> float:
    """The squared coefficient of variation of what requests ask for, over all kinds."""
    mean = math.fsum(one.share * one.scale * one.demand.mean_s() for one in served)
    if mean <= 0:
        return 1.0
    second = math.fsum(
        one.share * (one.scale * one.demand.mean_s()) ** 2 * (1 + one.demand.cv() ** 2)
        for one in served
    )
    return max(0.0, second / mean**2 - 1.0)
