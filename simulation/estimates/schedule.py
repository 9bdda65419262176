"""Schedules of a service's rollout: which instance is out of the pool when, drawn several times.

A sliding window is list scheduling on as many machines (Graham, 1969), for which there is no closed
form; a batch lasts as long as the slowest instance of its window. Both are drawn with random numbers
that are always the same, so that two candidates differ by their settings and not by chance.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass

import numpy as np

from simulation.control.order import waves_of
from simulation.scenario.model import Scenario, Service
from simulation.scenario.rollout import Rollout
from simulation.scenario.units import Floats

_DRAWN = 2500
"""Number of instances that are drawn in all, over all draws of a service."""

_FEWEST, _MOST = 2, 200
"""Minimum and maximum number of draws."""


@dataclass(frozen=True)
class Schedules:
    """A service's rollout, drawn several times; times in seconds from its beginning.

    Attributes:
        leave_s: When each instance leaves the pool, shape (draws, instances).
        join_s: When each instance, or its replacement, is in the pool again, shape
            (draws, instances).
        end_s: When the last instance is done, shape (draws,).
        spread_s: Standard deviation of the end.
    """

    leave_s: Floats
    join_s: Floats
    end_s: Floats
    spread_s: float


def draws_for(instance_count: int) -> int:
    """Return the number of draws for a fleet of this size."""
    return int(np.clip(_DRAWN // instance_count, _FEWEST, _MOST))


def schedules(
    scenario: Scenario, name: str, rule: Rollout, drain_s: Floats, rng: np.random.Generator
) -> Schedules:
    """Draw the rollout of one service.

    Args:
        scenario: The scenario of one case.
        name: The service.
        rule: How the service is rolled.
        drain_s: Duration of each drain, shape (draws, instances).
        rng: Random numbers for the steps.
    """
    service = scenario.services[name]
    steps = {
        step: duration.sample_s(rng, drain_s.size).reshape(drain_s.shape)
        for step, duration in service.steps.in_order()
    }
    down = np.maximum(np.maximum(drain_s, steps["take_out"]), rule.pre_stop) + steps["stop"]
    up = steps["deploy"] + steps["verify"] + steps["start"] + steps["return"]
    up = up + _draw_checks_s(service, rng, drain_s.shape)
    if rule.strategy == "recreate":
        return _recreate(rule, down, up)
    if rule.strategy == "blue_green":
        return _switch(rule, down, steps["stop"], up)
    if rule.replaces_beside:
        return _replace_beside(scenario, name, rule, down, up)
    return _roll(scenario, name, rule, down + up)


def _draw_checks_s(service: Service, rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Return the time until `rise` checks in a row have passed, whose phase is random."""
    check = service.balancer.health_check
    if check is None:
        return np.zeros(shape)
    return check.interval * (check.rise - 1 + rng.random(shape))


def _recreate(rule: Rollout, down: Floats, up: Floats) -> Schedules:
    all_down = down.max(axis=1, keepdims=True)
    join = all_down + up
    end = join.max(axis=1) + rule.min_ready
    return Schedules(np.zeros_like(down), join, end, float(np.std(end)))


def _switch(rule: Rollout, down: Floats, stop: Floats, up: Floats) -> Schedules:
    switch = up.max(axis=1, keepdims=True) + rule.min_ready
    both = np.broadcast_to(switch, up.shape)
    drained = np.maximum((down - stop).max(axis=1), rule.pause)
    end = switch[:, 0] + drained + stop.max(axis=1)
    return Schedules(both, both, end, float(np.std(end)))


def _replace_beside(
    scenario: Scenario, name: str, rule: Rollout, down: Floats, up: Floats
) -> Schedules:
    """Draw replacements beside: each one that is available lets one more be removed, then one more be made."""
    draws, count = up.shape
    window = scenario.window_count(name)
    at_once = count - max(count - window, scenario.min_healthy_count(name))
    leave, join = np.empty_like(down), np.empty_like(up)
    around_s, after_s = _migration_s(rule)
    begin, first = np.full((draws, 1), around_s), 0
    for wave in waves_of(rule, window, [str(k) for k in range(count)]):
        part = slice(first, first + len(wave.instances))
        size = len(wave.instances)
        begun, _ = _schedule_list(
            up[:, part] + rule.min_ready, at_once + scenario.surge_count(name)
        )
        ready = np.sort(begun + up[:, part] + rule.min_ready, axis=1)
        at_first = np.zeros((draws, min(at_once, size)))
        leave[:, part] = begin + np.concatenate([at_first, ready[:, : size - at_first.shape[1]]], 1)
        join[:, part] = begin + begun + up[:, part]
        begin = begin + ready[:, -1:] + (wave.gate.pause_s if wave.gate else 0.0)
        first += size
    end = np.maximum(begin[:, 0], (leave + down).max(axis=1)) + after_s
    return Schedules(leave, join, end, float(np.std(end)))


def _migration_s(rule: Rollout) -> tuple[float, float]:
    """Return how long the steps of a migration take before the rollout and after it, in seconds."""
    migration = rule.migration
    if rule.strategy != "expand_migrate_contract" or migration is None:
        return 0.0, 0.0
    before_s = migration.expand + migration.migrate
    if migration.contract_before_rollout:
        return before_s + migration.contract, 0.0
    return before_s, migration.contract


def _roll(scenario: Scenario, name: str, rule: Rollout, out: Floats) -> Schedules:
    count = out.shape[1]
    window = max(1, min(scenario.window_count(name), count - scenario.min_healthy_count(name)))
    around_s, after_s = _migration_s(rule)
    takes = out + rule.min_ready
    begin = np.full((len(out), 1), around_s)
    leave, variance, first = np.empty_like(out), 0.0, 0
    waves = waves_of(rule, window, [str(k) for k in range(count)])
    for wave in waves:
        part = slice(first, first + len(wave.instances))
        each = takes[:, part]
        if wave.parallel >= each.shape[1]:
            started, ended = np.zeros_like(each), each.max(axis=1)
            variance += float(np.var(ended))
        else:
            pause_s = rule.pause if rule.advance == "sliding" else 0.0
            started, ended = _schedule_list(each, wave.parallel, pause_s)
            variance += _spread(each, wave.parallel, ended)
        leave[:, part] = begin + started
        begin = begin + ended[:, None] + (wave.gate.pause_s if wave.gate else 0.0)
        first += len(wave.instances)
    return Schedules(leave, leave + out, begin[:, 0] + after_s, math.sqrt(variance))


def _spread(each: Floats, places: int, ended: Floats) -> float:
    """Return the variance of a list schedule's end; with few draws, that of a renewal process."""
    if len(each) >= 40:
        return float(np.var(ended))
    return float(np.var(each) * each.shape[1] / places**2)


def _schedule_list(takes: Floats, places: int, pause_s: float = 0.0) -> tuple[Floats, Floats]:
    """Return when each instance begins, in the place that is free first, and when the last is done."""
    if places == 1:
        after = np.cumsum(takes + pause_s, axis=1)
        begun = after - takes - pause_s
        return begun, begun[:, -1] + takes[:, -1]
    begun = np.empty_like(takes)
    for row, durations in enumerate((takes + pause_s).tolist()):
        free = [0.0] * places  # when each place is free; any list of equal numbers is a heap
        begun[row] = [heapq.heapreplace(free, free[0] + duration) for duration in durations]
    return begun, (begun + takes).max(axis=1)
