"""Confirmation: a candidate that was picked as the best of several is simulated once more.

The best of several looks better than it is, because it was picked by its luck too. So a sentence that
names the best is said only after fresh runs, on a seed by which nothing was picked, have confirmed it.
All confirmations of one study share its error probability, see `confirmation_confidence`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from executor.plan.model import Verdict
from simulation.results.run_result import RunResult
from simulation.scenario.model import Scenario
from simulation.study.candidate_result import candidate_result
from simulation.study.case import Case, cases_of
from simulation.study.compare import Comparison, Confirmed, meeting_candidates
from simulation.study.statistics.proportions import (
    clopper_pearson,
    confirmation_confidence,
    confirmation_runs,
    fewest_runs,
    fresh_seed,
)

SimulateRuns = Callable[[Case], Sequence[RunResult]]
"""Simulates as many replications of a case as its scenario says, and returns them in their order."""

MOST_CONFIRMATIONS = 5
"""Maximum number of confirmations; when none of them holds, no candidate is named the best."""


def confirmed_scenario(scenario: Scenario, screened: Verdict, number: int, most: int) -> Scenario:
    """Return the scenario of the n-th confirmation: its fresh seed, and its number of runs.

    The number of runs is fixed here, before the first of them.

    Args:
        scenario: The picked candidate's scenario; its own `replications` are the minimum.
        screened: The candidate's verdict over the runs by which it was picked.
        number: Number of the confirmation, from 1.
        most: Maximum number of runs; a confirmation that could not succeed with it takes more.
    """
    objectives = scenario.objectives
    confidence = confirmation_confidence(objectives.confidence, number)
    planned = confirmation_runs(
        screened.runs_meeting, screened.runs, objectives.in_runs, confidence, most=most
    )
    changed = {
        "seed": fresh_seed(scenario.seed, number),
        "replications": max(scenario.replications or 0, planned),
    }
    return scenario.model_copy(update=changed)


def _meets(verdict: Verdict) -> bool:
    return verdict.answer == "meets"


def confirm(
    index: int,
    scenario: Scenario,
    number: int,
    simulate: SimulateRuns,
    is_enough: Callable[[Verdict], bool] = _meets,
) -> Confirmed:
    """Simulate a picked candidate on its fresh seed; return whether its runs confirm it.

    Args:
        index: Index of the candidate.
        scenario: What `confirmed_scenario` returns.
        number: Number of the confirmation, from 1.
        simulate: Simulates the candidate.
        is_enough: Whether a verdict is what was looked for: by default, that every objective is met.
    """
    objectives = scenario.objectives
    [case] = cases_of(scenario)
    result = candidate_result(case, tuple(simulate(case)))
    verdict = result.verdict
    confidence = confirmation_confidence(objectives.confidence, number)
    lower, _upper = clopper_pearson(verdict.runs_meeting, verdict.runs, confidence)
    held = lower >= objectives.in_runs and is_enough(verdict)
    return Confirmed(index, scenario, result, confidence, lower, held)


def confirm_best(comparison: Comparison, simulate: SimulateRuns) -> Comparison:
    """Return a complete comparison with its best candidate confirmed.

    The fastest candidate that meets is simulated on a fresh seed. Where that does not confirm it, the
    next is tried, `MOST_CONFIRMATIONS` at most. A single candidate is picked from nothing, and its
    verdict needs no confirmation.

    Args:
        comparison: The comparison over all runs.
        simulate: Simulates a candidate.
    """
    if len(comparison.candidates) == 1:
        return comparison
    objectives = comparison.scenario.objectives
    needed = fewest_runs(objectives.in_runs, objectives.confidence)
    most = 5 * max(comparison.planned.count, needed)
    confirmations: list[Confirmed] = []
    for index in meeting_candidates(comparison.candidates)[:MOST_CONFIRMATIONS]:
        picked, number = comparison.candidates[index], len(confirmations) + 1
        scenario = confirmed_scenario(picked.scenario, picked.verdict, number, most)
        confirmations.append(confirm(index, scenario, number, simulate))
        if confirmations[-1].held:
            break
    return replace(comparison, confirmations=tuple(confirmations))
