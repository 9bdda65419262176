"""Comparisons with stated figures: one simulated run, with other durations, p99s and answers in its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from executor.plan.model import Verdict
from simulation.results.run_result import RunResult
from simulation.study.candidate_result import CandidateResult, ControlResult, candidate_result
from simulation.study.case import cases_of
from simulation.study.compare import Comparison, Confirmed, compare
from simulation.study.control import controls_of
from simulation.study.rows import Row
from tests.helpers.scenarios import run_once, small_shop


@dataclass(frozen=True)
class Stated:
    """The figures of a candidate in every run.

    Attributes:
        answer: The answer of its verdict.
        duration_s: Duration of its rollout.
        p99_s: The p99 of the latency during its rollout.
        pool: The fewest instances in the pool.
        meeting: Number of runs, of `RUNS`, that meet every objective.
    """

    answer: Any = "meets"
    duration_s: float = 20.0
    p99_s: float = 0.3
    pool: float = 4.0
    meeting: int = 10


RUNS = 10
"""Number of runs of each candidate."""


def stated_comparison(
    stated: Sequence[Stated], objectives: dict[str, Any] | None = None, **varied: Any
) -> Comparison:
    """Return a comparison whose candidates have these figures.

    The fastest of those that meet is the chosen one, as in `simulation.study.compare`.

    Args:
        stated: The figures of each candidate.
        objectives: The objectives of the scenario; its own window is 2.
        varied: The values of `cases_of`; windows from 1 on where nothing is given.
    """
    scenario = small_shop(objectives=objectives or {"duration": "60s"}, replications=RUNS)
    cases = cases_of(scenario, **(varied or {"windows": range(1, len(stated) + 1)}))
    assert len(cases) == len(stated)
    run = run_once(scenario)
    runs = [_run_with(run, figures) for figures in stated]
    comparison = compare(scenario, cases, [Row(number, tuple(runs)) for number in range(RUNS)])
    results = tuple(
        replace(
            candidate_result(case, (run,) * RUNS),
            verdict=Verdict.model_construct(
                answer=figures.answer,
                runs_meeting=figures.meeting,
                runs=RUNS,
                lower_bound=0.0,
                reasons=() if figures.answer == "meets" else (f"because it {figures.answer}",),
            ),
        )
        for case, run, figures in zip(cases, runs, stated, strict=True)
    )
    return with_best(replace(comparison, candidates=results))


def as_controls(results: Sequence[CandidateResult]) -> tuple[ControlResult, ...]:
    """Return results as if they were those of the same starts without a rollout."""
    controls = controls_of([result.case for result in results])
    return tuple(
        ControlResult(
            replace(controls.each[place or 0], case=result.case),
            result.requests,
            result.metrics,
            result.runs,
        )
        for result, place in zip(results, controls.of_case, strict=True)
    )


def _run_with(run: RunResult, figures: Stated) -> RunResult:
    changed = {
        "rollout_duration_s": figures.duration_s,
        "rollout_latency_p99_s": figures.p99_s,
        "lowest_in_pool_count": figures.pool,
    }
    return replace(
        run,
        metrics={**run.metrics, **changed},
        alone={**run.alone, **changed},
        stretches=(),
        control_metrics=None,
    )


def with_best(comparison: Comparison) -> Comparison:
    """Return the comparison with its fastest candidate that meets confirmed, as fresh runs might."""
    best = comparison.fastest_meeting
    if best is None:
        return replace(comparison, confirmations=())
    result = comparison.candidates[best]
    confirmed = Confirmed(best, result.scenario, result, 0.95, 0.96, held=True)
    return replace(comparison, confirmations=(confirmed,))
