"""Sentences about runs: how many a study has and why, and in how many any loss occurred."""

from __future__ import annotations

from simulation.planning.search_runs import ConfirmationReason, ConfirmationRuns, SearchRuns
from simulation.study.statistics.number_of_runs import BUDGET_S, PlannedRuns, RunsReason
from simulation.study.statistics.occurrence import Occurrence
from simulation.study.statistics.proportions import CONFIRMATION_POWER
from studio.views.figures_text import between_text, percent_text


def planned_text(planned: PlannedRuns) -> str:
    """Return the number of runs of a study and its reason, as a sentence without a full stop."""
    runs = f"{planned.count:,} paired runs each"
    match planned.reason:
        case RunsReason.ASKED:
            reason = "as asked for"
        case RunsReason.MOST:
            reason = f"fixed before the first; forecast to take {planned.forecast_s:.0f} s of processor time"
        case RunsReason.COST:
            reason = (
                f"fixed before the first; more would take over {BUDGET_S:.0f} s of processor time, "
                "--replications asks for another number"
            )
    if planned.misses is None:
        return f"{runs} ({reason}); too few to show that a candidate meets"
    of_them = "none of them" if planned.misses == 0 else f"at most {planned.misses} of them"
    return f"{runs} ({reason}); a candidate that meets breaks an objective in {of_them}"


def search_runs_text(runs: SearchRuns, confirmation: ConfirmationRuns | None) -> str:
    """Return the numbers of runs of a search and their reasons, as sentences without the last full stop.

    Args:
        runs: The numbers of the search.
        confirmation: The number of its last confirmation; None where none was made.
    """
    of_what = "that are asked for" if runs.is_asked else "that can show the objectives at least"
    search = (
        f"{runs.first:,} paired runs of each candidate, then up to {runs.most:,} of one (five times the "
        f"{runs.fewest:,} {of_what})"
    )
    if confirmation is None:
        return search
    count = f"{confirmation.count:,} runs on a fresh seed"
    match confirmation.reason:
        case ConfirmationReason.ASKED:
            reason = "as asked for"
        case ConfirmationReason.ENOUGH:
            reason = (
                "fixed before the first; what holds as often as this did in the search, "
                f"{confirmation.screened_meeting:,} of {confirmation.screened:,} runs, is confirmed with "
                f"{percent_text(CONFIRMATION_POWER)} probability"
            )
        case ConfirmationReason.MOST:
            reason = f"fixed before the first; one candidate gets at most {runs.most:,}"
        case ConfirmationReason.FEWEST:
            reason = "fixed before the first; fewer cannot confirm anything"
    of_them = (
        "none of them" if confirmation.misses == 0 else f"at most {confirmation.misses} of them"
    )
    return (
        f"{search}. Confirmation: {count} ({reason}); a candidate that is confirmed breaks an objective "
        f"in {of_them}"
    )


def occurrence_text(occurrence: Occurrence, losses: str) -> str:
    """Return how rarely losses occur: ``nothing lost in 60 of 60 runs: in fewer than 1 rollout of 20``.

    Args:
        occurrence: In how many runs any occurred.
        losses: The participle: ``lost``, ``cut``.
    """
    runs, some = occurrence.runs, occurrence.runs_with_any
    if some == 0:
        rollouts = int(1 / occurrence.at_most_fraction)
        return f"nothing {losses} in {runs} of {runs} runs: in fewer than 1 rollout of {rollouts}"
    ends = (percent_text(occurrence.low_fraction), percent_text(occurrence.high_fraction))
    return f"something {losses} in {some} of {runs} runs: in {between_text(*ends)} of rollouts"
