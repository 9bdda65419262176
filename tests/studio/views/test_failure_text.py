"""Each cause of a failure, as a sentence."""

from __future__ import annotations

import pytest

from executor.plan.model import Step
from simulation.results.failures import Cause, Failure, FleetCounts, GuardFigure
from studio.views.sentences import failure_text

SENTENCES = {
    "step": (
        Failure(Cause.STEP_FAILED, "web", 2, Step.START, GuardFigure.TRIES, observed=3),
        "web: instance 3: start failed 3 times",
    ),
    "drain": (
        Failure(
            Cause.DRAIN_TIMEOUT,
            "web",
            0,
            Step.TAKE_OUT,
            GuardFigure.REQUESTS_IN_FLIGHT,
            7,
            0,
            over_s=30,
        ),
        "web: instance 1: take out failed, 7 requests in flight after 30 s",
    ),
    "guard": (
        Failure(
            Cause.GUARD,
            "web",
            figure=GuardFigure.ERROR_FRACTION,
            observed=0.05,
            limit=0.02,
            over_s=4,
        ),
        "web: guard over 4 s: errors 5 %, limit 2 %",
    ),
    "canary": (
        Failure(Cause.CANARY, "web", figure=GuardFigure.LATENCY_P99_S, observed=0.1, limit=0.08),
        "web: canary: p99 100 ms, limit 80 ms",
    ),
    "none left": (
        Failure(
            Cause.NO_MORE_MAY_FOLLOW, "web", figure=GuardFigure.INSTANCES_LEFT, observed=2, limit=2
        ),
        "web: 2 instances are left, none may be taken out with a minimum of 2",
    ),
    "batch": (
        Failure(
            Cause.BATCH_FAILED, "web", figure=GuardFigure.INSTANCES_FAILED, observed=10, limit=9
        ),
        "web: all 10 instances of a batch failed",
    ),
    "progress": (
        Failure(
            Cause.PROGRESS_DEADLINE,
            "web",
            figure=GuardFigure.SECONDS,
            observed=600,
            limit=600,
            counts=FleetCounts(updated=6, available=5, failed=1),
        ),
        "web: no instance became available for 600 s (6 updated, 5 available, 1 failed)",
    ),
    "healthy": (
        Failure(
            Cause.HEALTHY_DEADLINE,
            "web",
            instance=3,
            step=Step.DEPLOY,
            figure=GuardFigure.SECONDS,
            observed=300,
            limit=300,
        ),
        "web: instance 4: not healthy within 300 s of its deploy, still in deploy",
    ),
    "endless overload": (
        Failure(Cause.ENDLESS_OVERLOAD, "web", observed=1920, limit=320),
        "web: endless overload: 1,920 requests/s come and at most 320/s are served",
    ),
    "executor": (Failure(Cause.EXECUTOR, reported="web-01 did not stop"), "web-01 did not stop"),
}


@pytest.mark.parametrize(("failure", "sentence"), SENTENCES.values(), ids=SENTENCES)
def test_a_failure_as_a_sentence(failure: Failure, sentence: str) -> None:
    assert failure_text(failure, names_service=True) == sentence
    assert failure_text(failure, names_service=False) == sentence.removeprefix("web: ")


def test_every_cause_has_its_sentence() -> None:
    assert {failure.cause for failure, _ in SENTENCES.values()} == set(Cause)
