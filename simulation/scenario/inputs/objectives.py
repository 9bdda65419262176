"""The limits that a plan must meet, as a scenario says them: for all requests and by class."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from simulation.scenario.units import (
    DurationOrRollout,
    DurationS,
    FileModel,
    Fraction,
    OptionalCountOrShare,
    parse_fraction,
)


class ClassObjectives(FileModel):
    """The limits on the requests of one class.

    Attributes:
        latency_p99: The highest 99th percentile of their latency.
        error_fraction: The highest fraction of them that end with another outcome than `ok`.
        failed_requests: The most of them that may end with another outcome than `ok` in one rollout.
    """

    latency_p99: DurationS | None = None
    error_fraction: Fraction | None = None
    failed_requests: int | None = Field(default=None, ge=0)


DEFAULT_MARGIN = 0.05
"""Default of `objectives.margin`, as a fraction of the limit."""


class Objectives(FileModel):
    """The limits that a plan must meet, judged over the rollout and the time until the queue is back to normal.

    Attributes:
        in_runs: The fraction of runs in which all objectives must be met.
        confidence: The statistical confidence with which this must be shown.
        judge: rollout: a limit on requests is broken where the rollout is beyond it and worse than the
            same time without a rollout by more than the margin. absolute: it is broken where the
            rollout is beyond it, whatever happens without one.
        margin: How much worse than without a rollout counts, as a fraction of the limit.
        error_fraction: The highest fraction of requests that end with another outcome than `ok`.
        failed_requests: The most requests that may end with another outcome than `ok` in one rollout;
            fits better than a fraction where few requests arrive.
        latency_p99: The highest 99th percentile of the latency. Requests that failed count as slower
            than every limit.
        lowest_in_pool: The fewest instances that must always be in the pool.
        duration: The longest duration of the rollout.
        cut_connections: The most long-lived connections that may be cut: a count, or a percentage of
            those open at the start.
        most_instances: The most instances that may exist at once, draining and stopping ones
            included, such as a quota.
        failed_instances: The most instances whose update may fail.
        over: The stretches on which requests are judged: the rollout and its settling as a whole, or
            stretches of this length, counted from the start.
        classes: Limits for the requests of single classes, by the name of the class.
    """

    in_runs: Fraction = Field(default=0.95)
    confidence: Fraction = Field(default=0.95)
    judge: Literal["rollout", "absolute"] = "rollout"
    margin: Fraction = DEFAULT_MARGIN
    error_fraction: Fraction | None = None
    failed_requests: int | None = Field(default=None, ge=0)
    latency_p99: DurationS | None = None
    lowest_in_pool: int | None = Field(default=None, ge=0)
    duration: DurationS | None = None
    cut_connections: OptionalCountOrShare = None
    most_instances: int | None = Field(default=None, ge=0)
    failed_instances: int | None = Field(default=None, ge=0)
    over: DurationOrRollout = None
    classes: dict[str, ClassObjectives] = Field(default_factory=dict)

    def cut_limit(self) -> tuple[str, float] | None:
        """Return the metric that `cut_connections` limits, and the limit; None without one."""
        limit = self.cut_connections
        if limit is None:
            return None
        if isinstance(limit, int):
            return "cut_connections", float(limit)
        return "cut_connections_fraction", parse_fraction(limit)

    @field_validator("in_runs", "confidence")
    @classmethod
    def _inside(cls, value: float) -> float:
        if not 0 < value < 1:
            raise ValueError("must lie between 0% and 100%, both excluded")
        return value
