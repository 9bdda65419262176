"""Failures of a rollout as typed data; the command line and the studio make sentences of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from executor.plan.model import Step


class Cause(StrEnum):
    """The reason why an instance failed or a release stopped."""

    STEP_FAILED = "step_failed"
    DRAIN_TIMEOUT = "drain_timeout"
    GUARD = "guard"
    CANARY = "canary"
    NO_MORE_MAY_FOLLOW = "no_more_may_follow"
    BATCH_FAILED = "batch_failed"
    PROGRESS_DEADLINE = "progress_deadline"
    HEALTHY_DEADLINE = "healthy_deadline"
    EXECUTOR = "executor"
    ENDLESS_OVERLOAD = "endless_overload"
    """The run was not simulated: the whole fleet can never carry the load."""


class GuardFigure(StrEnum):
    """The figure that a failure observed and compared with a limit."""

    ERROR_FRACTION = "error_fraction"
    LATENCY_P99_S = "latency_p99_s"
    TRIES = "tries"
    REQUESTS_IN_FLIGHT = "requests_in_flight"
    INSTANCES_LEFT = "instances_left"
    INSTANCES_FAILED = "instances_failed"
    SECONDS = "seconds"


@dataclass(frozen=True)
class FleetCounts:
    """The instances of a service when its rollout stopped, as Kubernetes counts replicas.

    Attributes:
        updated: Instances that have or are getting the new version, failed ones included.
        available: Instances in the pool that were up for `min_ready`, of either version.
        failed: Instances that failed and stay so.
    """

    updated: int
    available: int
    failed: int


@dataclass(frozen=True)
class Failure:
    """A step, drain, guard or canary that failed.

    Attributes:
        cause: The reason.
        service: The service in whose rollout the failure happened.
        instance: The instance's number within the service, from 0; None where the failure concerns
            the whole service.
        step: The step that failed.
        figure: The figure that ``observed`` and ``limit`` are values of.
        observed: The observed value.
        limit: The highest value allowed; for instances left, the value that must be exceeded.
        over_s: The length of the observation in seconds: a guard's interval, or a drain's timeout.
        reported: The executor's own message, where a real rollout was measured.
        counts: The instances at that moment, where a deadline for progress passed.
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
    counts: FleetCounts | None = None
