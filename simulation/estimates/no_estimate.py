"""Why a figure has no estimate: closed forms are used only where they hold."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

OF_REQUESTS = (
    "rollout_latency_p99_s",
    "rollout_wait_mean_s",
    "rollout_error_fraction",
    "backlog_max_count",
)
"""Figures that follow from the queues."""

OF_RUNS = (
    *OF_REQUESTS,
    "rollout_duration_s",
    "cut_requests",
    "lowest_capacity_fraction",
    "lowest_in_pool_count",
)
"""All figures of a rollout; none of them exists where nothing is simulated."""

OF_P99 = ("rollout_latency_p99_s",)

OF_WAITS = ("rollout_wait_mean_s", "backlog_max_count")
"""Figures of how long requests wait, and how many."""

OF_DRAINS = ("rollout_duration_s", "cut_requests", "rollout_error_fraction")
"""Figures that follow from how long instances drain."""

OF_CUTS = ("cut_requests", "rollout_error_fraction")
"""Figures that follow from the requests that are left at the end of a drain."""

OF_LOADS = ("utilisation_highest_fraction",)
"""Figures that follow from what the instances in the pool can serve; the phases and lines do, too."""

OF_POOL = ("lowest_capacity_fraction", "lowest_in_pool_count", *OF_LOADS)
"""Figures that follow from how many instances the balancer sends to."""

OF_STEPS = tuple(dict.fromkeys((*OF_REQUESTS, *OF_DRAINS)))
"""Figures that follow from how long the steps of an update take."""


class Why(StrEnum):
    """A property of a scenario that closed forms do not cover."""

    SEVERAL_SERVICES = "several_services"
    CLOSED_TRAFFIC = "closed_traffic"
    QUEUE_REJECTS = "queue_rejects"
    STICKY = "sticky"
    BALANCED_CONNECTIONS = "balanced_connections"
    WEIGHTS = "weights"
    SESSIONS = "sessions"
    TWO_CHOICES = "two_choices"
    FEWEST_AT_INSTANCES = "fewest_at_instances"
    UNEVEN_INSTANCES = "uneven_instances"
    LEARNS_LATE = "learns_late"
    RETURNS_LATE = "returns_late"
    COLD_BY_REQUESTS = "cold_by_requests"
    CRASHES = "crashes"
    CONTRACT_TOO_EARLY = "contract_too_early"
    TRACE_ENDS = "trace_ends"
    NOTHING_ARRIVES = "nothing_arrives"
    FEW_REQUESTS = "few_requests"
    POOL_EMPTY = "pool_empty"
    NEVER_CLEARS = "never_clears"
    TIMEOUTS = "timeouts"
    RETRIES = "retries"
    RETRIED_WORK = "retried_work"
    NEW_DEMANDS = "new_demands"
    MAY_FAIL = "may_fail"
    DEADLINE_MAY_PASS = "deadline_may_pass"
    DRAIN_MAY_ABORT = "drain_may_abort"
    QUEUED_AT_DRAINS = "queued_at_drains"
    CUT_CONNECTIONS = "cut_connections"
    SHARED_STEPS = "shared_steps"
    CORRELATED_STEPS = "correlated_steps"
    UNCERTAIN_INPUTS = "uncertain_inputs"
    HANDSHAKES = "handshakes"
    CONNECTIONS_BEGIN_EMPTY = "connections_begin_empty"
    NEAR_CAPACITY = "near_capacity"
    COLD_INSTANCES = "cold_instances"
    VARIED_SERVICE = "varied_service"
    QUEUES_APART = "queues_apart"
    CHANCE = "chance"
    ENDLESS_OVERLOAD = "endless_overload"


@dataclass(frozen=True)
class NoEstimate:
    """One reason why figures are not estimated.

    Attributes:
        why: The reason.
        figures: The figures of `simulation.estimates.estimate.Estimate` that have no estimate.
        services: The services that the reason is about.
        fraction: A share of requests, or a load, that belongs to the reason.
    """

    why: Why
    figures: tuple[str, ...] = OF_REQUESTS
    services: tuple[str, ...] = ()
    fraction: float | None = None
