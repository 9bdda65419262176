"""Whether a rollout leaves its forecast.

Enters: the plan's limits, its prediction, and what the balancer has counted over time. Leaves: the
sentence that says which limit was crossed, or nothing. Pure; who counts is `executor.counter`.

Two kinds of limit. The plan's own guards and bakes are as they were simulated: a share of errors
over the last seconds, or since a bake began. The forecast's envelope is what 95 of 100 single runs
stay within; a limit there would stop five good rollouts of a hundred, so what must be crossed is
wider: for errors by three standard deviations of their count and three errors, for the queue it is
twice the forecast and ten requests, seen at two looks in a row that are a poll apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from executor.plan.model import Gate, Plan, PlanGuards

MIN_REQUESTS_COUNT = 100
"""Requests before the share of errors is held against the forecast or a bake is cut short."""


@dataclass(frozen=True)
class RequestCounts:
    """What a balancer had counted at one moment, since the rollout began.

    Attributes:
        t_s: When.
        requests_count: Requests of the service.
        failed_count: Of these the ones that failed.
        queued_count: Requests that wait just then.
        new_requests_count: Requests to instances of the new version since a bake began.
        new_failed_count: Of these the ones that failed.
    """

    t_s: float
    requests_count: int
    failed_count: int
    queued_count: int
    new_requests_count: int = 0
    new_failed_count: int = 0


def find_crossed_limit(
    plan: Plan,
    kept: Sequence[RequestCounts],
    now: RequestCounts,
    bake: Gate | None,
    bake_over: bool,
) -> str | None:
    """Which limit was crossed, in words; None when none was.

    Args:
        plan: Limits and prediction.
        kept: One count a poll in order of time, the first from the beginning.
        now: The present count.
        bake: The bake that is open.
        bake_over: Whether its time has passed: then whatever was counted decides.
    """
    return (
        (_guard(plan.guards, kept, now) if plan.guards is not None else None)
        or (_bake(bake, now, bake_over) if bake is not None else None)
        or _envelope_errors(plan, kept[0], now)
        or _envelope_queue(plan, kept)
    )


def unwatched_guards(plan: Plan) -> list[str]:
    """The limits that a balancer's counters cannot tell, in sentences."""
    gates = [wave.gate for wave in plan.waves if wave.gate is not None]
    limits = [plan.guards.latency_p99_s if plan.guards else None, *(g.latency_p99_s for g in gates)]
    if any(limit is not None for limit in limits):
        return ["the plan limits a p99, which a balancer's counters do not tell: it is not watched"]
    return []


@dataclass(frozen=True)
class LimitReading:
    """What is watched, and its limit.

    Attributes:
        what: In words.
        value: As it is now; None while too little has been counted.
        limit: What it must not exceed.
        is_fraction: Whether both are shares; else counts.
    """

    what: str
    value: float | None
    limit: float
    is_fraction: bool


def limit_readings(plan: Plan, counted: Sequence[RequestCounts]) -> list[LimitReading]:
    """Everything that is held against a limit throughout, as it is now.

    Args:
        plan: Limits and prediction.
        counted: In order of time, the first from the beginning; may be empty.
    """
    found = []
    if plan.guards is not None and plan.guards.error_fraction is not None:
        requests, failed = _lately(plan.guards, counted) if counted else (0, 0)
        what = f"errors over {plan.guards.over_s:g} s"
        share = failed / requests if requests > 0 else None
        found.append(LimitReading(what, share, plan.guards.error_fraction, True))
    high = _forecast(plan, "error_fraction")
    if high is not None:
        requests, failed = _since_begin(counted) if counted else (0, 0)
        is_enough = requests >= MIN_REQUESTS_COUNT
        most = _most_failed(high, max(requests, MIN_REQUESTS_COUNT)) / max(
            requests, MIN_REQUESTS_COUNT
        )
        share = failed / requests if is_enough else None
        found.append(LimitReading("errors so far", share, most, True))
    high = _forecast(plan, "queue_max")
    if high is not None:
        queued = float(counted[-1].queued_count) if counted else None
        found.append(LimitReading("queue", queued, _longest_queue(high), False))
    return found


def _guard(guards: PlanGuards, kept: Sequence[RequestCounts], now: RequestCounts) -> str | None:
    requests, failed = _lately(guards, [*kept, now])
    return _over(guards.error_fraction, requests, failed, f"guard over {guards.over_s:g} s")


def _lately(guards: PlanGuards, counted: Sequence[RequestCounts]) -> tuple[int, int]:
    """Requests of the guards' last seconds, and how many of them failed."""
    last = counted[-1]
    before = next((c for c in reversed(counted) if c.t_s <= last.t_s - guards.over_s), counted[0])
    return last.requests_count - before.requests_count, last.failed_count - before.failed_count


def _since_begin(counted: Sequence[RequestCounts]) -> tuple[int, int]:
    """Requests since the rollout began, and how many of them failed."""
    first, last = counted[0], counted[-1]
    return last.requests_count - first.requests_count, last.failed_count - first.failed_count


def _bake(gate: Gate, now: RequestCounts, is_over: bool) -> str | None:
    if gate.kind != "bake" or (now.new_requests_count < MIN_REQUESTS_COUNT and not is_over):
        return None
    return _over(gate.error_fraction, now.new_requests_count, now.new_failed_count, "canary")


def _over(limit: float | None, requests: int, failed: int, what: str) -> str | None:
    if limit is None or requests <= 0 or failed / requests <= limit:
        return None
    return f"{what}: errors {failed / requests:.3%}, limit {limit:.2%}"


def _forecast(plan: Plan, name: str) -> float | None:
    """The upper end of what single runs do; with the rollout's own figure where there is one."""
    figures = plan.prediction.metrics
    figure = figures.get(f"rollout_{name}") or figures.get(name)
    return figure.run_high if figure is not None else None


def _envelope_errors(plan: Plan, first: RequestCounts, now: RequestCounts) -> str | None:
    high = _forecast(plan, "error_fraction")
    requests, failed = _since_begin([first, now])
    if high is None or requests < MIN_REQUESTS_COUNT or failed <= _most_failed(high, requests):
        return None
    return f"the rollout leaves its forecast: errors {failed / requests:.3%}, forecast {high:.3%}"


def _most_failed(high: float, requests: int) -> float:
    """How many of so many requests may fail where a share `high` is forecast."""
    expected = high * requests
    return expected + 3 * math.sqrt(expected) + 3


def _longest_queue(high: float) -> float:
    """How long the queue may be where `high` is forecast."""
    return 2 * high + 10


def _envelope_queue(plan: Plan, kept: Sequence[RequestCounts]) -> str | None:
    high = _forecast(plan, "queue_max")
    if high is None or len(kept) < 2:
        return None
    lasting = min(one.queued_count for one in kept[-2:])
    if lasting <= _longest_queue(high):
        return None
    return f"the rollout leaves its forecast: queue {lasting} requests, forecast {high:g}"
