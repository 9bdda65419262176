"""From what happened on the loopback to the figures of a simulated run.

Enters: what became of every request, HAProxy's samples, the executor's timeline. Leaves: a
`RunResult`, made by the very code that makes it of a simulation, so that a figure means the same on
both sides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simulation.results.failures import Cause, Failure
from simulation.results.pool_log import PoolChange
from simulation.results.recorder import RunRecord, run_result
from simulation.results.run_result import CUT, OUTCOMES, Ending, EngineName, RequestTable, RunResult
from simulation.results.states import State, StateInterval
from simulation.results.tally import Calls, count_requests
from simulation.scenario.model import Scenario
from simulation.scenario.units import Floats
from studio.lab.fleet import NEW
from studio.lab.load import Sent
from studio.lab.watch import Sample

WAY_S = 0.005
"""So long a request may be under way to its slot, through two sockets, without having waited."""

MOST_LAG_S = 0.010
"""A load whose own lag has a p99 above this disturbs what it measures."""

MOST_CPU_FRACTION = 0.70
"""A machine busier than this adds waits of its own."""

_ENDED = {one.value: one for one in (Ending.DONE, Ending.HALTED, Ending.ROLLED_BACK)}


@dataclass(frozen=True)
class LoadSample:
    """What was seen of one run, times on its own clocks.

    Attributes:
        sent: Every request, from the schedule's 0.
        zero_s: The schedule's 0, on the machine's monotonic clock.
        classes: The class of each request of the schedule.
        samples: HAProxy's, on the monotonic clock.
        timeline: The executor's.
        began_s: Its 0, on the monotonic clock.
        settled_s: When the queue was back and ten seconds had passed, on the monotonic clock.
        cpu_fraction: How busy the machine was.
    """

    sent: Sequence[Sent]
    zero_s: float
    classes: Sequence[int]
    samples: Sequence[Sample]
    timeline: dict[str, Any]
    began_s: float
    settled_s: float
    cpu_fraction: float

    def begin_s(self) -> float:
        """When the first step began, on the monotonic clock: the rollout's 0."""
        steps = self.timeline["steps"]
        return self.began_s + min((one["begin_s"] for one in steps), default=0.0)


def to_run_result(scenario: Scenario, seen: LoadSample) -> RunResult:
    """The run as if it had been simulated."""
    begin_s, sent = seen.begin_s(), seen.sent
    shift_s = seen.zero_s - begin_s
    settled_s = seen.settled_s - begin_s
    table = _table(sent, seen.classes, shift_s, settled_s)
    calls = _calls(sent, table, shift_s, settled_s)
    ended_s = _ended_s(seen, begin_s)
    states = _states(scenario, seen, begin_s, settled_s)
    log = _pool_log(scenario, seen, begin_s)
    until_s = math.inf if ended_s is None else ended_s
    exposed = sum(
        one.version == NEW and one.begun_s is not None and one.begun_s + shift_s <= until_s
        for one in sent
    )
    slow_s = scenario.objectives.latency_p99
    bin_s = 1.0
    tally = count_requests(
        table,
        calls,
        has_latency=np.ones(len(scenario.traffic.classes), np.bool_),
        slow_over_s=math.inf if slow_s is None else slow_s,
        bin_s=bin_s,
        until_s=settled_s,
        queue_max=_most_waiting(calls),
        exposed=exposed,
    )
    service = scenario.service
    reason = seen.timeline["reason"]
    stopped_by = Failure(Cause.EXECUTOR, reported=str(reason)) if reason else None
    return run_result(
        RunRecord(
            tally=tally,
            settled_tally=tally,
            exposed_count=exposed,
            states=states,
            pool_log=log,
            rolled=True,
            ended=_ENDED.get(seen.timeline["ended"], Ending.HORIZON),
            rollout_ended_s=ended_s,
            settled_s=settled_s,
            end_s=settled_s,
            alone_end_s=settled_s,
            has_connections=False,
            waits=None,
            critical_path=(),
            failures=() if stopped_by is None else (stopped_by,),
            stopped_by=stopped_by,
            slots=service.slots_of(),
            fleets=[(service.instance_count, service.instance_count)],
            slow_over_s=slow_s,
            bin_s=bin_s,
            engine=EngineName.LAB,
        ),
        table,
    )


def flags_of(seen: LoadSample) -> tuple[str, ...]:
    """Why a run may not be trusted, in sentences."""
    found = []
    lag_s = lag_p99_s(seen.sent)
    if lag_s > MOST_LAG_S:
        found.append(
            f"the load's own lag has a p99 of {lag_s * 1000:.1f} ms, above {MOST_LAG_S * 1000:g} ms"
        )
    if seen.cpu_fraction > MOST_CPU_FRACTION:
        found.append(
            f"the processor was {seen.cpu_fraction:.0%} busy, above {MOST_CPU_FRACTION:.0%}"
        )
    return tuple(found)


def lag_p99_s(sent: Sequence[Sent]) -> float:
    """How late the load itself was, at its 99th percentile."""
    lags = [one.sent_s - one.arrival_s for one in sent]
    return float(np.quantile(lags, 0.99)) if lags else 0.0


def _floats(values: Sequence[float | None], shift_s: float) -> Floats:
    return np.array([math.nan if one is None else one + shift_s for one in values], np.float64)


def _table(
    sent: Sequence[Sent], classes: Sequence[int], shift_s: float, until_s: float
) -> RequestTable:
    """The requests as they stood at a moment."""
    sent = [one for one in sent if one.arrival_s + shift_s <= until_s]
    finish_s = _floats([one.finish_s for one in sent], shift_s)
    open_then = ~(finish_s <= until_s)
    finish_s[open_then] = math.nan
    outcome = np.array([_code(one.outcome) for one in sent], np.int64)
    outcome[open_then] = len(OUTCOMES)
    return RequestTable(
        arrival_s=_floats([one.arrival_s for one in sent], shift_s),
        start_s=_floats([one.begun_s for one in sent], shift_s),
        finish_s=finish_s,
        instance=np.array([-1 if not one.instance else 0 for one in sent], np.int64),
        new_version=np.array([one.version == NEW for one in sent], np.bool_),
        outcome=outcome,
        attempts=np.ones(len(sent), np.int64),
        request_class=np.array([classes[one.number] for one in sent], np.int64),
    )


def _code(outcome: str) -> int:
    return OUTCOMES.index(outcome) if outcome in OUTCOMES else len(OUTCOMES)


def _calls(sent: Sequence[Sent], table: RequestTable, shift_s: float, until_s: float) -> Calls:
    """The same as calls of the service; a request that came straight through has not waited."""
    count = len(table.arrival_s)
    released_s = _floats([one.ended_s for one in sent[:count]], shift_s)
    released_s[~(released_s <= until_s)] = math.nan
    start_s = table.start_s.copy()
    # Nobody tells when one that was cut had begun; it was at an instance, so it is taken to be at once.
    was_cut = (table.outcome == CUT) & np.isnan(start_s)
    start_s[was_cut] = table.arrival_s[was_cut]
    released_s[was_cut] = table.finish_s[was_cut]
    start_s[~(start_s <= until_s)] = math.nan
    straight = start_s - table.arrival_s < WAY_S
    start_s[straight] = table.arrival_s[straight]
    return Calls(
        arrival_s=table.arrival_s,
        start_s=start_s,
        finish_s=table.finish_s,
        released_s=released_s,
        outcome=table.outcome,
        takes_slot=np.ones(count, np.bool_),
    )


def _most_waiting(calls: Calls) -> int:
    """The most requests that waited at once from 0 on."""
    left_s = np.where(np.isfinite(calls.start_s), calls.start_s, calls.finish_s)
    waited = ~(left_s - calls.arrival_s <= 0)
    begins, ends = calls.arrival_s[waited], left_s[waited & np.isfinite(left_s)]
    times = np.concatenate([ends, begins])
    steps = np.concatenate([np.full(len(ends), -1), np.full(len(begins), 1)])
    order = np.argsort(times, kind="stable")
    there = np.cumsum(steps[order])[times[order] >= 0]
    return int(there.max(initial=0))


def _ended_s(seen: LoadSample, begin_s: float) -> float | None:
    """When the last step was over, from the rollout's 0; None when it did not come to its end."""
    if seen.timeline["ended"] != "done":
        return None
    return seen.began_s + max(float(one["end_s"]) for one in seen.timeline["steps"]) - begin_s


def _states(
    scenario: Scenario, seen: LoadSample, begin_s: float, end_s: float
) -> tuple[StateInterval, ...]:
    """The executor's states on the rollout's clock, from the first request to the end."""
    names = scenario.service.instance_names(scenario.service_name)
    shift_s, first_s = seen.began_s - begin_s, seen.zero_s - begin_s
    found: list[StateInterval] = []
    for number, name in enumerate(names):
        own = [one for one in seen.timeline["states"] if one["instance"] == name]
        for place, one in enumerate(own):
            is_first, is_last = place == 0, place == len(own) - 1
            found.append(
                StateInterval(
                    number,
                    State(one["state"]),
                    first_s if is_first else one["begin_s"] + shift_s,
                    end_s if is_last else one["end_s"] + shift_s,
                )
            )
    return tuple(found)


def _pool_log(scenario: Scenario, seen: LoadSample, begin_s: float) -> list[PoolChange]:
    """Who was in the pool, as HAProxy said it, with the version that the executor had brought."""
    service = scenario.service
    names = service.instance_names(scenario.service_name)
    power = dict(zip(names, service.power(), strict=True))
    mean_s = scenario.work_s(scenario.service_name) or float(service.service_time.mean_s())
    whole = sum(power.values())
    brought = sorted(
        (seen.began_s + float(one["end_s"]), one["instance"], one["version"])
        for one in seen.timeline["steps"]
        if one["step"] == "start" and one["outcome"] == "done"
    )
    log: list[PoolChange] = []
    for sample in seen.samples:
        versions = {name: version for at_s, name, version in brought if at_s <= sample.at_s}
        new = [name for name in sample.in_pool if versions.get(name) == NEW]
        capacity = sum(power[name] for name in sample.in_pool)
        change = PoolChange(
            time_s=sample.at_s - begin_s,
            old_count=len(sample.in_pool) - len(new),
            new_count=len(new),
            capacity_rps=capacity / mean_s,
            capacity_fraction=capacity / whole,
            is_mixed=0 < len(new) < len(sample.in_pool),
        )
        if not log or _differs(log[-1], change):
            log.append(change)
    return log


def _differs(one: PoolChange, other: PoolChange) -> bool:
    return (one.old_count, one.new_count, one.capacity_rps) != (
        other.old_count,
        other.new_count,
        other.capacity_rps,
    )
