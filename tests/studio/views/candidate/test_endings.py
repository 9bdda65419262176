"""How a rollout ended is said as it was: halted, rolled back, cut off by the horizon, or never simulated."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulation.results.failures import Cause, Failure
from simulation.results.run_result import Ending, RunResult
from simulation.study.candidate_result import CandidateResult
from studio.views.candidate.endings import stop_text, stops_text
from studio.views.replay import story_of
from tests.studio.views.test_replay import STEPS, hand_made, shop

OVERLOAD = Failure(Cause.ENDLESS_OVERLOAD, service="web", observed=9.0, limit=1.0)


def a_run(ended: Ending, duration_s: float | None, by: Failure | None = None) -> RunResult:
    run = hand_made(STEPS).run
    metrics = {**run.metrics, "rollout_duration_s": duration_s}
    return replace(run, ended=ended, metrics=metrics, stopped_by=by)


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (a_run(Ending.DONE, 3.0), ""),
        (a_run(Ending.HORIZON, 3.0), ""),  # the rollout is done, only its queue has not settled
        (a_run(Ending.HORIZON, None), "still going on when the simulated time was over"),
        (a_run(Ending.HORIZON, None, OVERLOAD), "not simulated"),
        (a_run(Ending.HALTED, None), "halted"),
        (a_run(Ending.ROLLED_BACK, None), "rolled back"),
    ],
)
def test_why_a_rollout_is_not_done(run: RunResult, words: str) -> None:
    assert stop_text(run) == words


def with_runs(*runs: RunResult) -> CandidateResult:
    return replace(shop()[1], runs=runs)


def test_stops_are_counted_over_all_runs() -> None:
    done, halted = a_run(Ending.DONE, 3.0), a_run(Ending.HALTED, None)
    back = a_run(Ending.ROLLED_BACK, None)
    assert stops_text([with_runs(done, done)]) == ""
    assert stops_text([with_runs(halted)]) == "was halted in 1 of 1 run"
    assert stops_text([with_runs(halted, done), with_runs(halted, back)]) == (
        "was halted in 2 of 4 runs, rolled back in 1 of 4"
    )


@pytest.mark.parametrize(
    ("run", "events"),
    [
        (a_run(Ending.DONE, 3.0), [(3.0, "the rollout is done")]),
        (
            a_run(Ending.HORIZON, 3.0),
            [(3.0, "the rollout is done"), (4.0, "the queue has not settled by the end")],
        ),
        (
            a_run(Ending.HORIZON, None),
            [(4.0, "the rollout was still going on when the simulated time was over")],
        ),
    ],
)
def test_the_last_events_of_a_replay(run: RunResult, events: list[tuple[float, str]]) -> None:
    told = [(event.time_s, event.words) for event in story_of(run, shop()[0]).events]
    assert [event for event in told if "rollout" in event[1] or "settled" in event[1]] == events
