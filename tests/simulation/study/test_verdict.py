"""Verdicts: which objectives a run breaks, at exactly the limit and beside it; and their words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from executor.plan.model import Step
from simulation.results.failures import Cause, Failure
from simulation.results.run_result import METRICS, Ending, RunResult
from simulation.results.states import StateIntervals
from simulation.study.verdict import Breach, Objective, breach_text, broken_objectives, verdict
from tests.helpers.scenarios import scenario


def run(
    metrics: Mapping[str, float | None] | None = None,
    ended: Ending = Ending.DONE,
    by: Failure | None = None,
) -> RunResult:
    figures: dict[str, float | None] = dict.fromkeys(METRICS)
    figures |= {"lowest_in_pool_count": 3.0, "rollout_duration_s": 60.0, **(metrics or {})}
    return RunResult(
        ended=ended,
        settled_s=1.0,
        end_s=1.0,
        requests={},
        metrics=figures,
        alone=figures,
        bin_s=1.0,
        series={},
        states=StateIntervals.of(()),
        stopped_by=by,
    )


@pytest.mark.parametrize(
    ("objective", "limit", "metric", "at_limit", "beyond"),
    [
        ("error_fraction", "1%", "rollout_error_fraction", 0.01, 0.010001),
        ("latency_p99", "500ms", "rollout_latency_p99_s", 0.5, 0.500001),
        ("duration", "60s", "rollout_duration_s", 60.0, 60.001),
        ("lowest_in_pool", 3, "lowest_in_pool_count", 3.0, 2.0),
        ("most_instances", 5, "most_instances_count", 5.0, 6.0),
        ("failed_instances", 0, "failed_instances_count", 0.0, 1.0),
        ("cut_connections", 5, "cut_connections", 5.0, 6.0),
        ("cut_connections", "5%", "cut_connections_fraction", 0.05, 0.050001),
    ],
)
def test_a_limit_holds_at_the_limit_and_breaks_beyond_it(
    objective: str, limit: Any, metric: str, at_limit: float, beyond: float
) -> None:
    one = scenario(rollout={"window": 1}, objectives={objective: limit})
    assert broken_objectives(one, run({metric: at_limit})) == []
    assert broken_objectives(one, run({metric: None})) == []  # there is no figure to break it
    [breach] = broken_objectives(one, run({metric: beyond}))
    name = metric if objective == "cut_connections" else objective
    assert breach.objective == Objective(name)


def test_figures_of_the_whole_run_count_where_nothing_is_rolled() -> None:
    one = scenario(objectives={"error_fraction": "1%", "latency_p99": "500ms"})
    steady: dict[str, float | None] = {"lowest_in_pool_count": None, "rollout_duration_s": None}
    figures = {"error_fraction": 0.02, "rollout_error_fraction": 0.0, "rollout_latency_p99_s": 9.0}
    assert broken_objectives(one, run(steady | figures)) == [Breach(Objective.ERROR_FRACTION, 0.01)]


@pytest.mark.parametrize(("lasts_s", "is_met"), [(60.0, False), (60.001, True), (None, False)])
def test_a_run_that_ends_when_a_freeze_begins_does_not_break_it(
    lasts_s: float | None, is_met: bool
) -> None:
    one = scenario(rollout={"freeze": [["08:00", "10:00"]]}, clock={"start": "07:59"})
    breaches = broken_objectives(one, run({"rollout_duration_s": lasts_s}))
    assert breaches == ([Breach(Objective.FREEZE, freeze="08:00–10:00")] if is_met else [])


START_FAILED = Failure(Cause.STEP_FAILED, step=Step.START)


@pytest.mark.parametrize(
    ("ended", "by", "text"),
    [
        (Ending.HORIZON, None, "horizon"),
        (Ending.HALTED, Failure(Cause.GUARD), "halted by a guard"),
        (Ending.ROLLED_BACK, Failure(Cause.CANARY), "rolled_back by a canary"),
        (Ending.ROLLED_BACK, START_FAILED, "rolled_back, start failed"),
        (
            Ending.HALTED,
            Failure(Cause.DRAIN_TIMEOUT, step=Step.TAKE_OUT),
            "halted, take out failed",
        ),
        (Ending.HALTED, Failure(Cause.EXECUTOR, reported="guard"), "halted"),
        (
            Ending.HALTED,
            Failure(Cause.NO_MORE_MAY_FOLLOW),
            "halted, too few instances are left to take another out",
        ),
        (Ending.HALTED, Failure(Cause.BATCH_FAILED), "halted, a whole batch failed"),
        (
            Ending.HALTED,
            Failure(Cause.PROGRESS_DEADLINE),
            "halted, no progress before the deadline",
        ),
        (
            Ending.ROLLED_BACK,
            Failure(Cause.HEALTHY_DEADLINE, step=Step.DEPLOY),
            "rolled_back, an instance was not healthy before its deadline",
        ),
    ],
)
def test_a_run_that_did_not_end_well_breaks_its_first_objective(
    ended: Ending, by: Failure | None, text: str
) -> None:
    one = scenario(rollout={"window": 1})
    [breach] = broken_objectives(one, run(ended=ended, by=by))
    assert (breach.objective, breach.ended) == (Objective.ENDS_WELL, ended)
    assert (breach.cause, breach.step) == (by and by.cause, by and by.step)
    assert breach_text(breach) == f"the rollout did not end well ({text})"


@pytest.mark.parametrize(
    ("good", "runs", "answer"),
    [(58, 58, "undecided"), (59, 59, "meets"), (55, 60, "undecided"), (0, 2, "fails")],
)
def test_answers_come_with_the_fewest_runs_that_show_them(
    good: int, runs: int, answer: str
) -> None:
    """log 0.05 / log 0.95 = 58.4: 59 runs that all meet are the fewest that show 95 %."""
    one = scenario(rollout={"window": 1}, objectives={"duration": "60s"})
    results = [run({"rollout_duration_s": 60.0 if k < good else 61.0}) for k in range(runs)]
    made = verdict(one, results)
    assert (made.answer, made.runs_meeting, made.runs) == (answer, good, runs)
    if good < runs:
        assert made.reasons[0] == f"duration above 60 s in {runs - good} of {runs} runs"
