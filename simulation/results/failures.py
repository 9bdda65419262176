"""What goes wrong in a rollout, as data: sentences are made of it upstairs, and never read again."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from executor.plan.model import Step


class Cause(StrEnum):
    """Why an instance failed, or a release stopped."""

    STEP_FAILED = "step_failed"
    DRAIN_TIMEOUT = "drain_timeout"
    GUARD = "guard"
    CANARY = "canary"
    NO_MORE_MAY_FOLLOW = "no_more_may_follow"
    EXECUTOR = "executor"


class GuardFigure(StrEnum):
    """What a cause has observed."""

    ERROR_FRACTION = "error_fraction"
    LATENCY_P99_S = "latency_p99_s"
    TRIES = "tries"
    REQUESTS_IN_FLIGHT = "requests_in_flight"
    INSTANCES_LEFT = "instances_left"


@dataclass(frozen=True)
class Failure:
    """One thing that failed or tripped.

    Attributes:
        cause: Why.
        service: The service in whose rollout it happened.
        instance: Its number within the service, from 0; None where it is the service's.
        step: The step that failed.
        figure: What `observed` and `limit` are.
        observed: What was observed.
        limit: What it may be at most; instances left must be more than it.
        over_s: Over how many seconds it was observed: a guard's interval, a drain's timeout.
        reported: What an executor reported in its own words, where a real rollout was measured.
    """

    cause: Cause
    service: str = ""
    instance: int | None = None
    step: Step | None = None
    figure: GuardFigure | None = None
    observed: float | None = None
    limit: float | None = None
    over_s: float | None = None
    reported: str = ""
