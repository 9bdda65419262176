"""Verdicts: whether a candidate meets its objectives in enough runs, with a stated confidence.

`simulation.study.judging` holds the parts: the objectives, their figures in each run, the rules, the words.
"""

from __future__ import annotations

from collections.abc import Sequence

from executor.plan.model import Verdict
from simulation.results.run_result import RunResult
from simulation.scenario.model import Scenario
from simulation.study.judging.figures import JudgedRun, read_run
from simulation.study.judging.objectives import Breach, Objective
from simulation.study.judging.rules import judge
from simulation.study.judging.texts import breach_text, reason_texts
from simulation.study.statistics.proportions import clopper_pearson

__all__ = [
    "Breach",
    "Objective",
    "breach_text",
    "broken_objectives",
    "verdict",
    "verdict_of",
]


def verdict(scenario: Scenario, runs: Sequence[RunResult]) -> Verdict:
    """Return whether the rollout meets the objectives in the share ``in_runs`` of runs, with ``confidence``.

    Limits on requests are compared with the same time without a rollout, where the runs have it.

    Args:
        scenario: The candidate's scenario.
        runs: All its runs, at least one; their number must not depend on their results.
    """
    return verdict_of(scenario, [read_run(scenario, run) for run in runs])


def verdict_of(scenario: Scenario, runs: Sequence[JudgedRun]) -> Verdict:
    """Return the verdict by what is left of the runs when only their figures are kept."""
    judgement = judge(scenario, runs)
    good, count = judgement.runs_meeting, judgement.runs_count
    lower, _upper = clopper_pearson(good, count, scenario.objectives.confidence)
    return Verdict(
        answer=judgement.answer,
        runs_meeting=good,
        runs=count,
        lower_bound=lower,
        reasons=tuple(dict.fromkeys(reason_texts(scenario, judgement))),
        objectives=tuple(facts.verdict for facts in judgement.objectives),
    )


def broken_objectives(scenario: Scenario, run: RunResult) -> list[Breach]:
    """Return the objectives that a run breaks."""
    return list(read_run(scenario, run).breaches)
