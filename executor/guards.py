"""Find the limit that a rollout crosses: its plan's guards and bakes, and its forecast.

Pure functions of the plan and of request counts over time; `executor.counter` counts the requests.

There are two kinds of limit:

- The plan's guards and bakes, as they were simulated: a share of errors over the last `over_s`
  seconds, or since a bake began.
- The forecast: its upper end is the 95th percentile of single runs, which one good rollout in twenty
  exceeds. A limit there would stop these rollouts, so the limit is wider: for errors by three
  standard deviations of their count and three more errors; for the queue it is twice the forecast
  and ten requests, exceeded at two consecutive polls.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from executor.plan.model import Gate, Plan, PlanGuards

MIN_REQUESTS_COUNT = 100
"""Minimum number of requests before the share of errors may cross the forecast or end a bake early."""


@dataclass(frozen=True)
class RequestCounts:
    """The requests that a balancer counted from the begin of the rollout up to one moment.

    Attributes:
        t_s: The moment, in seconds since the rollout began.
        requests_count: Requests of the service.
        failed_count: Failed requests of the service.
        queued_count: Requests that wait at this moment.
        new_requests_count: Requests to instances of the new version since the open bake began.
        new_failed_count: Failed requests to instances of the new version since the open bake began.
    """

    t_s: float
    requests_count: int
    failed_count: int
    queued_count: int
    new_requests_count: int = 0
    new_failed_count: int = 0


def find_crossed_limit(
    plan: Plan,
    history: Sequence[RequestCounts],
    now: RequestCounts,
    bake: Gate | None,
    is_bake_over: bool,
) -> str | None:
    """Return the limit that was crossed as a sentence; None when none was.

    Args:
        plan: The plan with its limits and its prediction.
        history: The counts at each poll in order of time, beginning with the first of the rollout.
        now: The present counts.
        bake: The open bake; None when none is open.
        is_bake_over: Whether the time of the bake has passed. Until then the bake's limit is checked
            only once `MIN_REQUESTS_COUNT` requests are counted; afterwards it is checked however
            few they are.
    """
    return (
        (_crossed_guard(plan.guards, history, now) if plan.guards is not None else None)
        or (_crossed_bake(bake, now, is_bake_over) if bake is not None else None)
        or _crossed_error_forecast(plan, history[0], now)
        or _crossed_queue_forecast(plan, history)
    )


def unwatched_guards(plan: Plan) -> list[str]:
    """Return a sentence for each limit of the plan that a balancer's counters cannot measure."""
    gates = [wave.gate for wave in plan.waves if wave.gate is not None]
    limits = [plan.guards.latency_p99_s if plan.guards else None, *(g.latency_p99_s for g in gates)]
    if any(limit is not None for limit in limits):
        return ["the plan limits a p99, which a balancer's counters do not tell: it is not watched"]
    return []


@dataclass(frozen=True)
class LimitReading:
    """A watched value and its limit.

    Attributes:
        what: The name of the value, for people.
        value: The present value; None while there are too few requests.
        limit: The maximum of the value.
        is_fraction: Whether value and limit are fractions; otherwise they are counts.
    """

    what: str
    value: float | None
    limit: float
    is_fraction: bool


def limit_readings(plan: Plan, history: Sequence[RequestCounts]) -> list[LimitReading]:
    """Return every value that has a limit throughout the rollout, as it is now.

    Args:
        plan: The plan with its limits and its prediction.
        history: The counts in order of time, beginning with the first of the rollout; may be empty.
    """
    values = []
    if plan.guards is not None and plan.guards.error_fraction is not None:
        requests, failed = _in_guard_period(plan.guards, history) if history else (0, 0)
        what = f"errors over {plan.guards.over_s:g} s"
        share = failed / requests if requests > 0 else None
        values.append(LimitReading(what, share, plan.guards.error_fraction, True))
    high = _forecast(plan, "error_fraction")
    if high is not None:
        requests, failed = _since_begin(history) if history else (0, 0)
        is_enough = requests >= MIN_REQUESTS_COUNT
        base_count = max(requests, MIN_REQUESTS_COUNT)
        limit = _max_failed(high, base_count) / base_count
        share = failed / requests if is_enough else None
        values.append(LimitReading("errors so far", share, limit, True))
    high = _forecast(plan, "queue_max")
    if high is not None:
        queued = float(history[-1].queued_count) if history else None
        values.append(LimitReading("queue", queued, _max_queue(high), False))
    return values


def _crossed_guard(
    guards: PlanGuards, history: Sequence[RequestCounts], now: RequestCounts
) -> str | None:
    requests, failed = _in_guard_period(guards, [*history, now])
    return _crossed_share(
        guards.error_fraction, requests, failed, f"guard over {guards.over_s:g} s"
    )


def _in_guard_period(guards: PlanGuards, history: Sequence[RequestCounts]) -> tuple[int, int]:
    """Return the number of requests in the guards' last seconds, and how many of them failed."""
    last = history[-1]
    begin_s = last.t_s - guards.over_s
    before = next((counts for counts in reversed(history) if counts.t_s <= begin_s), history[0])
    return last.requests_count - before.requests_count, last.failed_count - before.failed_count


def _since_begin(history: Sequence[RequestCounts]) -> tuple[int, int]:
    """Return the number of requests since the rollout began, and how many of them failed."""
    first, last = history[0], history[-1]
    return last.requests_count - first.requests_count, last.failed_count - first.failed_count


def _crossed_bake(gate: Gate, now: RequestCounts, is_over: bool) -> str | None:
    if gate.kind != "bake" or (now.new_requests_count < MIN_REQUESTS_COUNT and not is_over):
        return None
    return _crossed_share(
        gate.error_fraction, now.new_requests_count, now.new_failed_count, "canary"
    )


def _crossed_share(limit: float | None, requests: int, failed: int, what: str) -> str | None:
    if limit is None or requests <= 0 or failed / requests <= limit:
        return None
    return f"{what}: errors {failed / requests:.3%}, limit {limit:.2%}"


def _forecast(plan: Plan, name: str) -> float | None:
    """Return the 95th percentile of a figure over single runs; of the rollout alone where predicted."""
    figures = plan.prediction.metrics
    figure = figures.get(f"rollout_{name}") or figures.get(name)
    return figure.run_high if figure is not None else None


def _crossed_error_forecast(plan: Plan, first: RequestCounts, now: RequestCounts) -> str | None:
    high = _forecast(plan, "error_fraction")
    requests, failed = _since_begin([first, now])
    if high is None or requests < MIN_REQUESTS_COUNT or failed <= _max_failed(high, requests):
        return None
    return f"the rollout leaves its forecast: errors {failed / requests:.3%}, forecast {high:.3%}"


def _max_failed(high: float, requests: int) -> float:
    """Return how many of `requests` may fail where the share `high` is forecast.

    That is the expected count, three standard deviations √expected of a Poisson count, and three.
    """
    expected = high * requests
    return expected + 3 * math.sqrt(expected) + 3


def _max_queue(high: float) -> float:
    """Return how many requests may wait where the longest queue `high` is forecast."""
    return 2 * high + 10


def _crossed_queue_forecast(plan: Plan, history: Sequence[RequestCounts]) -> str | None:
    high = _forecast(plan, "queue_max")
    if high is None or len(history) < 2:
        return None
    # Between two polls the fleet may be observed many times within microseconds, so a queue lasts
    # only when two consecutive polls find it.
    lasting = min(counts.queued_count for counts in history[-2:])
    if lasting <= _max_queue(high):
        return None
    return f"the rollout leaves its forecast: queue {lasting} requests, forecast {high:g}"
