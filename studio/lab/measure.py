"""Turn what was measured on the loopback into the result of a run.

The code that makes a `RunResult` of a simulation makes this one as well, so that a figure means the same on
both sides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulation.results.failures import Cause, Failure
from simulation.results.pool_log import PoolChange
from simulation.results.recorder import RunRecord, run_result
from simulation.results.run_result import (
    CUT,
    OK,
    OUTCOMES,
    Ending,
    EngineName,
    RequestTable,
    RunResult,
)
from simulation.results.states import State, StateInterval
from simulation.results.tally import LOSS, Calls, count_requests
from simulation.scenario.model import Scenario
from simulation.scenario.units import Floats
from studio.lab.fleet import NEW
from studio.lab.load import Sent
from studio.lab.watch import Sample

WAY_S = 0.005
"""Longest way of a request to its slot, through two sockets, that does not count as waiting, in seconds."""

MOST_LAG_S = 0.010
"""Highest p99 of the load generator's own lag, in seconds; above, it disturbs what it measures."""

MOST_CPU_FRACTION = 0.70
"""Highest use of the processor, as a share; above, the machine adds waits of its own."""

_ENDED = {ending.value: ending for ending in (Ending.DONE, Ending.HALTED, Ending.ROLLED_BACK)}


@dataclass(frozen=True)
class LoadSample:
    """The observations of one run, in seconds on different clocks.

    Attributes:
        sent: Every request; time 0 is the schedule's.
        zero_s: Time 0 of the schedule, on the machine's monotonic clock.
        classes: The class of each request of the schedule.
        samples: Samples of HAProxy, on the monotonic clock.
        timeline: The executor's timeline.
        began_s: Time 0 of the timeline, on the monotonic clock.
        settled_s: End of the run, ten seconds after the queue was back, on the monotonic clock.
        cpu_fraction: Used share of the processor's time.
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
        """Return the begin of the first step on the monotonic clock: time 0 of the rollout."""
        steps = self.timeline["steps"]
        return self.began_s + min((step["begin_s"] for step in steps), default=0.0)


def to_run_result(scenario: Scenario, sample: LoadSample) -> RunResult:
    """Return the result of a measured run, in the form of a simulated one."""
    begin_s, sent = sample.begin_s(), sample.sent
    shift_s = sample.zero_s - begin_s
    settled_s = sample.settled_s - begin_s
    table = _table(sent, sample.classes, shift_s, settled_s)
    calls = _calls(sent, table, shift_s, settled_s)
    ended_s = _ended_s(sample, begin_s)
    states = _states(scenario, sample, begin_s, settled_s)
    log = _pool_log(scenario, sample, begin_s)
    until_s = math.inf if ended_s is None else ended_s
    exposed = sum(
        request.version == NEW
        and request.begun_s is not None
        and request.begun_s + shift_s <= until_s
        for request in sent
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
        retried_s=np.zeros(0),
    )
    service = scenario.service
    reason = sample.timeline["reason"]
    stopped_by = Failure(Cause.EXECUTOR, reported=str(reason)) if reason else None
    return run_result(
        RunRecord(
            tally=tally,
            losses=_losses(scenario, sent, table, states),
            settled_tally=tally,
            alone_tally=tally,
            exposed_count=exposed,
            states=states,
            pool_log=log,
            rolled=True,
            ended=_ENDED.get(sample.timeline["ended"], Ending.HORIZON),
            rollout_ended_s=ended_s,
            over_s=max((state.begin_s for state in states), default=0.0),
            settled_s=settled_s,
            end_s=settled_s,
            alone_end_s=settled_s,
            has_connections=False,
            has_reconnects=False,
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


def flags_of(sample: LoadSample) -> tuple[str, ...]:
    """Return the reasons to doubt a run, in sentences."""
    flags = []
    lag_s = lag_p99_s(sample.sent)
    if lag_s > MOST_LAG_S:
        flags.append(
            f"the load's own lag has a p99 of {lag_s * 1000:.1f} ms, above {MOST_LAG_S * 1000:g} ms"
        )
    if sample.cpu_fraction > MOST_CPU_FRACTION:
        flags.append(
            f"the processor was {sample.cpu_fraction:.0%} busy, above {MOST_CPU_FRACTION:.0%}"
        )
    return tuple(flags)


def lag_p99_s(sent: Sequence[Sent]) -> float:
    """Return the 99th percentile of the load generator's own lag, in seconds."""
    lags = [request.sent_s - request.arrival_s for request in sent]
    return float(np.quantile(lags, 0.99)) if lags else 0.0


def _floats(values: Sequence[float | None], shift_s: float) -> Floats:
    return np.array(
        [math.nan if value is None else value + shift_s for value in values], np.float64
    )


def _table(
    sent: Sequence[Sent], classes: Sequence[int], shift_s: float, until_s: float
) -> RequestTable:
    """Return the requests as they were at a moment."""
    sent = [request for request in sent if request.arrival_s + shift_s <= until_s]
    finish_s = _floats([request.finish_s for request in sent], shift_s)
    open_then = ~(finish_s <= until_s)
    finish_s[open_then] = math.nan
    outcome = np.array([_code(request.outcome) for request in sent], np.int64)
    outcome[open_then] = len(OUTCOMES)
    return RequestTable(
        arrival_s=_floats([request.arrival_s for request in sent], shift_s),
        start_s=_floats([request.begun_s for request in sent], shift_s),
        finish_s=finish_s,
        instance=np.array([-1 if not request.instance else 0 for request in sent], np.int64),
        new_version=np.array([request.version == NEW for request in sent], np.bool_),
        outcome=outcome,
        attempts=np.ones(len(sent), np.int64),
        request_class=np.array([classes[request.number] for request in sent], np.int64),
    )


def _losses(
    scenario: Scenario,
    sent: Sequence[Sent],
    table: RequestTable,
    states: Sequence[StateInterval],
) -> NDArray[Any]:
    """Return the requests that were lost from time 0 on; each instance listens until it is stopped."""
    names = scenario.service.instance_names(scenario.service_name)
    stops = {
        (interval.instance, interval.begin_s, interval.end_s)
        for interval in states
        if interval.state is State.STOPPING
    }
    lost = (table.finish_s >= 0) & (table.outcome != OK) & (table.outcome < len(OUTCOMES))
    rows = []
    for place in np.flatnonzero(lost).tolist():
        name, finish_s = sent[place].instance, float(table.finish_s[place])
        number = names.index(name) if name in names else -1
        stopped = any(k == number and begin <= finish_s < end for k, begin, end in stops)
        rows.append(
            (
                finish_s,
                number,
                table.outcome[place],
                np.isfinite(table.start_s[place]),
                table.new_version[place],
                number >= 0 and not stopped,
            )
        )
    return np.array(rows, LOSS)


def _code(outcome: str) -> int:
    return OUTCOMES.index(outcome) if outcome in OUTCOMES else len(OUTCOMES)


def _calls(sent: Sequence[Sent], table: RequestTable, shift_s: float, until_s: float) -> Calls:
    """Return the requests as calls of the service; one that reached its slot within `WAY_S` has not waited."""
    count = len(table.arrival_s)
    released_s = _floats([request.ended_s for request in sent[:count]], shift_s)
    released_s[~(released_s <= until_s)] = math.nan
    start_s = table.start_s.copy()
    # The begin of a request that was cut is unknown; the request was at an instance, so assume no wait.
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
    """Return the largest number of requests that waited at the same time, from time 0 on."""
    left_s = np.where(np.isfinite(calls.start_s), calls.start_s, calls.finish_s)
    waited = ~(left_s - calls.arrival_s <= 0)
    begins, ends = calls.arrival_s[waited], left_s[waited & np.isfinite(left_s)]
    times = np.concatenate([ends, begins])
    steps = np.concatenate([np.full(len(ends), -1), np.full(len(begins), 1)])
    order = np.argsort(times, kind="stable")
    waiting_count = np.cumsum(steps[order])[times[order] >= 0]
    return int(waiting_count.max(initial=0))


def _ended_s(sample: LoadSample, begin_s: float) -> float | None:
    """Return the end of the last step on the rollout's clock; None when the rollout was not done."""
    if sample.timeline["ended"] != "done":
        return None
    return sample.began_s + max(float(step["end_s"]) for step in sample.timeline["steps"]) - begin_s


def _states(
    scenario: Scenario, sample: LoadSample, begin_s: float, end_s: float
) -> tuple[StateInterval, ...]:
    """Return the executor's states on the rollout's clock, from the first request to the end."""
    names = scenario.service.instance_names(scenario.service_name)
    shift_s, first_s = sample.began_s - begin_s, sample.zero_s - begin_s
    intervals: list[StateInterval] = []
    for number, name in enumerate(names):
        own = [state for state in sample.timeline["states"] if state["instance"] == name]
        for place, state in enumerate(own):
            is_first, is_last = place == 0, place == len(own) - 1
            intervals.append(
                StateInterval(
                    number,
                    State(state["state"]),
                    first_s if is_first else state["begin_s"] + shift_s,
                    end_s if is_last else state["end_s"] + shift_s,
                )
            )
    return tuple(intervals)


def _pool_log(scenario: Scenario, load_sample: LoadSample, begin_s: float) -> list[PoolChange]:
    """Return the changes of the pool, with HAProxy's members and the versions that the executor started."""
    service = scenario.service
    names = service.instance_names(scenario.service_name)
    power = dict(zip(names, service.power(), strict=True))
    mean_s = scenario.work_s(scenario.service_name) or float(service.service_time.mean_s())
    whole = sum(power.values())
    brought = sorted(
        (load_sample.began_s + float(step["end_s"]), step["instance"], step["version"])
        for step in load_sample.timeline["steps"]
        if step["step"] == "start" and step["outcome"] == "done"
    )
    log: list[PoolChange] = []
    for sample in load_sample.samples:
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
