"""Small valid plans for tests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from executor.plan.file import digest_of, plan_text, seal
from executor.plan.model import Plan, Step
from executor.plan.waves import waves_for

WEEK_S = 7 * 86400.0

SCENARIO: dict[str, Any] = {
    "rollcast": "scenario/1",
    "name": "checkout-evening",
    "traffic": {"rate": "60/s"},
    "services": {
        "checkout": {
            "instances": 6,
            "slots": 4,
            "service_time": {"lognormal": {"mean": "0.1s", "cv": 1.0}},
            "steps": {"deploy": "5s", "start": "3s"},
        }
    },
    "rollout": {"window": 2, "min_healthy": 3, "drain": {"timeout": "30s", "on_timeout": "cut"}},
    "objectives": {"in_runs": 0.95, "confidence": 0.95, "error_fraction": 0.001},
}


def example_plan(**changes: Any) -> Plan:
    """Return a sealed plan of six instances in a window of two, made now and valid for a week.

    Args:
        changes: Fields that differ, as the file writes them. The waves and the scenario's digest
            follow the changes unless they are given themselves.
    """
    data: dict[str, Any] = {
        "name": "checkout-evening",
        "created_at": datetime.now(UTC).replace(microsecond=0),
        "valid_for_s": WEEK_S,
        "tool_version": "0.1.0",
        "scenario": SCENARIO,
        "seed": 1,
        "replications": 60,
        "service": "checkout",
        "instances": [f"checkout-{number}" for number in range(1, 7)],
        "strategy": "rolling",
        "advance": "sliding",
        "window": 2,
        "min_in_pool": 3,
        "pause_s": 0.0,
        "min_ready_s": 0.0,
        "drain": {"timeout_s": 30.0, "on_timeout": "cut"},
        "step_deadlines_s": {step: 40.0 if step is Step.TAKE_OUT else 15.0 for step in Step},
        "on_failure": "halt",
        "retries": 0,
        "max_failures": 0,
        "prediction": prediction(),
        **changes,
    }
    data.setdefault("scenario_digest", digest_of(data["scenario"]))
    data.setdefault(
        "waves", waves_for(data["instances"], data["window"], data["advance"], data["pause_s"])
    )
    return seal(Plan.model_validate(data))


def beside_plan(**changes: Any) -> Plan:
    """Return the example for a controller: at most two instances unavailable, one more than the fleet."""
    return example_plan(
        **{
            "schema": "rollcast.plan/2",
            "carried_out_by": "kubernetes",
            "replacement": "beside",
            "surge": 1,
            "workload": {"kind": "Deployment", "name": "checkout", "container": "app"},
            **changes,
        }
    )


def prediction(
    *, ended: dict[str, int] | None = None, figure: dict[str, Any] | None = None, **verdict: Any
) -> dict[str, Any]:
    """Return a prediction of sixty runs that all meet the objectives, with these changes."""
    return {
        "metrics": {
            "rollout_duration_s": {
                "mean": 31.25,
                "low": 30.5,
                "high": 32.0,
                "run_low": 28.125,
                "run_high": 35.7,
                **(figure or {}),
            },
            "rollout_latency_p99_s": {
                "mean": 0.30000000000000004,
                "low": 0.29,
                "high": 0.31,
                "run_low": 0.26,
                "run_high": 0.36,
            },
            "cut_requests": dict.fromkeys(("mean", "low", "high", "run_low", "run_high"), 0.0),
            "surge_instance_s": dict.fromkeys(("mean", "low", "high", "run_low", "run_high")),
        },
        "ended": {"done": 60, "halted": 0, "rolled_back": 0, "horizon": 0, **(ended or {})},
        "verdict": {
            "answer": "meets",
            "runs_meeting": 60,
            "runs": 60,
            "lower_bound": 0.9512969,
            "reasons": [],
            **verdict,
        },
    }


def missing_anyway(*names: str, class_name: str = "") -> dict[str, Any]:
    """Return the prediction of sixty runs that break nothing, and miss these objectives without a rollout too."""
    objectives = [
        {
            "name": name,
            "answer": "misses_anyway",
            "limit": 4.0,
            "rollout": 4.7,
            "control": 4.6,
            "runs_breaking": 0,
            "control_runs_beyond": 60,
            "cause": "fleet",
            "class_name": class_name,
        }
        for name in names or ("latency_p99",)
    ]
    return prediction(answer="misses_anyway", objectives=objectives)


def evidence(**confirmation: Any) -> dict[str, Any]:
    """Return the evidence of a search for the example, with these changes of its confirmation."""
    settings = {"window": 2, "advance": "sliding", "drain_timeout_s": 30.0, "start": "00:00:00"}
    return {
        "seed": 7,
        "counts": {"chosen": 1},
        "runs_count": 59,
        "confirmations": [
            {
                **settings,
                "seed": 1,
                "runs": 60,
                "runs_meeting": 60,
                "confidence": 0.955,
                "lower_bound": 0.9496,
                "held": True,
                **confirmation,
            }
        ],
        "considered": [
            {
                **settings,
                "outcome": "chosen",
                "reason": "the fastest that is confirmed",
                "runs": 59,
                "runs_meeting": 59,
                "duration_s": 31.0,
                "latency_p99_s": 0.3,
                "on_front": True,
            }
        ],
        "starts": "",
    }


def example_plan_text() -> str:
    """Return the text of the example plan's file."""
    return plan_text(example_plan())


def forecast(**high: float) -> dict[str, Any]:
    """Return changes of a plan that predict these figures without any spread between runs."""
    made = prediction()
    for name, value in high.items():
        made["metrics"][name] = dict.fromkeys(("mean", "low", "high", "run_low", "run_high"), value)
    return {"prediction": made}
