"""Scenarios with one known cause each: small fleets, a rollout of seconds, and what was planted."""

from __future__ import annotations

from typing import Any

from simulation.scenario.model import Scenario
from simulation.study.why.diagnosis import RootCause
from tests.helpers.scenarios import scenario

STEPS = {"stop": "1s", "deploy": "3s", "start": "2s"}
"""Durations of the steps, six seconds in all."""


def _fleet(objectives: dict[str, Any], rollout: dict[str, Any], **parts: Any) -> Scenario:
    """Return eight instances of four slots that can serve 320 requests per second, half loaded."""
    defaults: dict[str, Any] = {
        "rate": "160/s",
        "instances": 8,
        "slots": 4,
        "service_time": {"mean": "100ms", "cv": 1},
        "steps": STEPS,
        "replications": 20,
        "clock": {"warm_up": "60s"},
        "objectives": {"in_runs": "90%", **objectives},
        "rollout": {"window": 1, "drain": {"timeout": "30s"}, **rollout},
    }
    return scenario(**{**defaults, **parts})


ERRORS = {"error_fraction": "0.1%"}
BOTH = {"error_fraction": "0.1%", "latency_p99": "1s"}

PLANTED: dict[str, tuple[RootCause, Scenario]] = {
    "no pre-stop though the balancer learns late": (
        RootCause.MISSING_PRE_STOP,
        _fleet(ERRORS, {}, propagation_delay="1s"),
    ),
    "least connections draws traffic to a stopped instance": (
        RootCause.BLACK_HOLE,
        _fleet(
            {"error_fraction": "1.5%"},
            {},
            policy="least_connections",
            queue="instance",
            propagation_delay="500ms",
        ),
    ),
    "drains end before long requests do": (
        RootCause.DRAIN_TOO_SHORT,
        _fleet(
            ERRORS,
            {"drain": {"timeout": "1s"}},
            rate="20/s",
            service_time={"mean": "800ms", "cv": 0.6},
        ),
    ),
    "drains abort": (
        RootCause.DRAIN_TOO_SHORT,
        _fleet(
            ERRORS,
            {"drain": {"timeout": "1s", "on_timeout": "abort"}},
            rate="20/s",
            service_time={"mean": "800ms", "cv": 0.6},
        ),
    ),
    "an abrupt stop": (
        RootCause.STOP_TOO_HARD,
        _fleet(
            ERRORS,
            {"pre_stop": "2s", "stop": {"mode": "abrupt"}},
            rate="40/s",
            service_time={"mean": "500ms", "cv": 0.6},
            propagation_delay="2s",
        ),
    ),
    "a grace period that is over at the stop": (
        RootCause.STOP_TOO_HARD,
        _fleet(
            ERRORS,
            {"pre_stop": "2s", "stop": {"grace": "2s"}},
            rate="40/s",
            service_time={"mean": "500ms", "cv": 0.6},
            propagation_delay="2s",
        ),
    ),
    "the window takes too much away": (
        RootCause.WINDOW,
        _fleet(BOTH, {"window": 5}),
    ),
    "the window leaves too few in the pool": (
        RootCause.WINDOW,
        _fleet({"lowest_in_pool": 6}, {"window": 3}),
    ),
    "the fleet is overloaded by itself": (
        RootCause.FLEET,
        _fleet({"latency_p99": "600ms"}, {}, rate="300/s", queue="instance"),
    ),
    "the fleet is overloaded for ever": (
        RootCause.FLEET,
        _fleet(BOTH, {}, rate="400/s"),
    ),
    "cold instances": (
        RootCause.COLD_VERSION,
        _fleet(
            {"latency_p99": "800ms"},
            {"window": 2},
            rate="170/s",
            versions={"new": {"cold": {"factor": 5, "decay": "6s"}}},
        ),
    ),
    "a slower new version": (
        RootCause.SLOWER_VERSION,
        _fleet(
            {"latency_p99": "1s"},
            {},
            rate="190/s",
            versions={"new": {"service_factor": 1.65}},
        ),
    ),
    "a new version that is too slow for ever": (
        RootCause.SLOWER_VERSION,
        _fleet(BOTH, {}, rate="200/s", versions={"new": {"service_factor": 2}}),
    ),
    "wrong answers of the new version": (
        RootCause.ERRORS_OF_NEW_VERSION,
        _fleet(ERRORS, {}, versions={"new": {"error_fraction": "2%"}}),
    ),
    "retries pile up": (
        RootCause.RETRY_STORM,
        _fleet(
            {"error_fraction": "10%"},
            {"window": 3},
            rate="198/s",
            clock={"warm_up": "60s", "horizon": "90s"},
            classes={
                "all": {
                    "client_timeout": "700ms",
                    "retries": {"attempts": 4, "backoff": "50ms"},
                }
            },
        ),
    ),
    "the queue's timeout is too short": (
        RootCause.QUEUE_TIMEOUT,
        _fleet({"error_fraction": "0.5%"}, {"window": 2}, rate="190/s", queue_timeout="20ms"),
    ),
    "the client's timeout is too short": (
        RootCause.CLIENT_TIMEOUT,
        _fleet(
            ERRORS,
            {"window": 3},
            rate="188/s",
            service_time={"mean": "100ms", "cv": 0.3},
            client_timeout="240ms",
        ),
    ),
    "the queue's limit is too low": (
        RootCause.QUEUE_LIMIT,
        _fleet(ERRORS, {"window": 2}, rate="180/s", queue_limit=10),
    ),
    "the deadline for progress passes": (
        RootCause.PROGRESS_DEADLINE,
        _fleet(ERRORS, {"progress_deadline": "5s"}),
    ),
    "the deadline for healthy instances passes": (
        RootCause.HEALTHY_DEADLINE,
        _fleet(ERRORS, {"healthy_deadline": "4s"}),
    ),
    "starts fail": (
        RootCause.STEP_FAILURES,
        _fleet(ERRORS, {}, versions={"new": {"start_fails": "10%"}}),
    ),
    "the contract step comes too early": (
        RootCause.CONTRACT_TOO_EARLY,
        _fleet(
            ERRORS,
            {
                "strategy": "expand_migrate_contract",
                "migration": {"contract": "1s", "contract_before_rollout": True},
            },
        ),
    ),
    "too many instances at once": (
        RootCause.SURGE,
        _fleet({"most_instances": 10}, {"surge": 4, "min_healthy": 8}),
    ),
    "one instance after the other takes too long": (
        RootCause.SLOW_ROLLOUT,
        _fleet({"duration": "30s"}, {}),
    ),
}
"""What was planted, by a name: the cause and the scenario."""

TWO_MISTAKES = _fleet(BOTH, {"window": 7}, propagation_delay="1s")
"""The balancer learns late, and the window is too large."""

WITHOUT_LOSS = _fleet({"in_runs": "95%", **ERRORS}, {})
