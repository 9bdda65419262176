"""Measure the traffic before a rollout, and hold it against the range that its plan was simulated for."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from enum import StrEnum

from executor.fleet.fleet_client import FleetClient
from executor.plan.model import TrafficRange

MEASURED_S = 60.0
"""How long the requests are counted before the first wave, in seconds."""


class TrafficAnswer(StrEnum):
    """How the measured traffic lies to the range of a plan."""

    WITHIN = "within"
    BELOW = "below"
    UPPER = "upper"  # above what 95 % of the runs had, not above the highest
    ABOVE = "above"
    NOT_COUNTED = "not_counted"
    RESTARTED = "restarted"


@dataclass(frozen=True)
class TrafficReading:
    """The traffic over the last seconds, held against a plan's range.

    Attributes:
        answer: How it lies to the range.
        rate_rps: The measured rate, in requests per second; None where nothing could be measured.
    """

    answer: TrafficAnswer
    rate_rps: float | None = None


async def measure_traffic(
    fleet: FleetClient, expected: TrafficRange, over_s: float = MEASURED_S
) -> TrafficReading:
    """Count the requests of some seconds at the balancer.

    Args:
        fleet: The client of the fleet.
        expected: The range that the plan holds for.
        over_s: How long to count, in seconds.

    Raises:
        BalancerError: The balancer does not answer.
    """
    loop = asyncio.get_running_loop()
    before, begin_s = await fleet.observe(), loop.time()
    if not before.counts_requests:
        return TrafficReading(TrafficAnswer.NOT_COUNTED)
    await asyncio.sleep(over_s)
    after = await fleet.observe()
    count, lasted_s = after.requests_count - before.requests_count, loop.time() - begin_s
    if (
        before.identity != after.identity or count < 0
    ):  # a new process, or its counters were cleared
        return TrafficReading(TrafficAnswer.RESTARTED)
    return TrafficReading(_answer(expected, count, lasted_s), count / lasted_s)


def _answer(expected: TrafficRange, count: int, lasted_s: float) -> TrafficAnswer:
    """Return how a count lies to a range.

    A Poisson count deviates from its mean by three standard deviations √mean in one of 740 cases to
    each side, so a count is beyond a limit only when it lies farther from it.
    """
    if count > _beyond(expected.highest_rps * lasted_s, 3.0):
        return TrafficAnswer.ABOVE
    if count > _beyond(expected.high_rps * lasted_s, 3.0):
        return TrafficAnswer.UPPER
    if count < _beyond(expected.low_rps * lasted_s, -3.0):
        return TrafficAnswer.BELOW
    return TrafficAnswer.WITHIN


def _beyond(mean_count: float, deviations: float) -> float:
    return mean_count + deviations * math.sqrt(mean_count)
