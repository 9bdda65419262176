"""The answer of ``rollcast compare``: the sentences and the table, also while a study goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, Group

    from simulation.planning.alternatives.model import Alternatives
    from simulation.study.compare import Comparison
    from simulation.study.statistics.means import Difference
    from simulation.study.summary.groups import CandidateGroup
    from simulation.study.summary.recommendation import Recommendation
    from simulation.study.time_left import Eta

_SHOWN_DIFFERENCES = ("rollout_duration_s", "rollout_latency_p99_s", "rollout_error_fraction")


def progress_line(eta: Eta) -> str:
    """Return the progress with the time left: ``31 of 181 replications about 2 min left``."""
    from studio.views.figures_text import replications_text, time_left_text

    counted = f"{eta.done} of {eta.total} {replications_text(eta)}"
    return f"{counted} {time_left_text(eta.left_s())}".rstrip()


def table_so_far(comparison: Comparison, width: int, height: int) -> Group:
    """Return the table while the study goes on, in at most so many lines of this width."""
    from rich.console import Group

    from simulation.study.summary.recommendation import rows_of
    from studio.cli.tables import comparison_table
    from studio.views.answers.rows_text import MOST_ROWS

    rows = rows_of(comparison)
    # The headings, the row without a rollout, the count of other rows and the cursor need a line each.
    shown = rows[: max(1, min(MOST_ROWS, height - 4))]
    table = comparison_table(comparison, shown, width)
    more = len(rows) - len(shown)
    return Group(table, f"and {more:,} more rows") if more else Group(table)


def print_answer(
    console: Console,
    comparison: Comparison,
    alternatives: Alternatives | None = None,
    *,
    all_rows: bool = False,
    as_difference: bool = False,
) -> None:
    """Print the question, the answer with what was left out, the table, and the differences.

    Args:
        console: Where to print.
        comparison: The comparison.
        alternatives: The changes that would meet, where no candidate does.
        all_rows: Whether the table shows every row.
        as_difference: Whether p99 and losses are shown as differences to the time without a rollout.
    """
    from simulation.study.summary.recommendation import recommend
    from studio.cli.answers.alternatives import print_alternatives
    from studio.views.answers.recommendation_text import (
        group_name,
        left_out_lines,
        next_best_text,
    )
    from studio.views.answers.runs_text import planned_text
    from studio.views.why.diagnosis_text import comparison_why_lines

    scenario, recommendation = comparison.scenario, recommend(comparison)
    if scenario.question:
        console.print(scenario.question, style="bold")
        console.print()
    console.print(_answer_sentence(comparison, recommendation), style="bold")
    next_best = next_best_text(comparison, recommendation)
    if next_best:
        console.print(f"{next_best}.")
    for group in filter(None, (recommendation.recommended, recommendation.next_best)):
        for reason in comparison.candidates[group.first].verdict.reasons:
            console.print(f"  {group_name(comparison, group)}: {reason}")
    lines = left_out_lines(comparison, recommendation)
    if lines:
        console.print("Left out:")
    for line in lines:
        console.print(f"  {line}")
    console.print()
    why = comparison_why_lines(comparison)
    if why:
        console.print("Why:")
    for line in why:
        console.print(f"  {line}")
    if why:
        console.print()
    if alternatives is not None:
        print_alternatives(console, alternatives)
        console.print()
    _print_table(
        console, comparison, recommendation.rows, all_rows=all_rows, as_difference=as_difference
    )
    print_notes(console, comparison)
    console.print(
        f"{planned_text(comparison.planned)}. Seed {scenario.seed}. Figures are means over "
        "runs; a difference whose interval holds 0 is none that these runs show.",
        style="dim",
    )


def _print_table(
    console: Console,
    comparison: Comparison,
    rows: Sequence[CandidateGroup],
    *,
    all_rows: bool,
    as_difference: bool,
) -> None:
    """Print the table, what it leaves out, and the differences between its rows."""
    from studio.cli.tables import comparison_table
    from studio.views.answers.recommendation_text import counts_text
    from studio.views.answers.rows_text import MOST_ROWS
    from studio.views.candidate.control import CONTROL_NAME

    shown = rows if all_rows else rows[:MOST_ROWS]
    console.print(
        comparison_table(
            comparison,
            shown,
            console.width,
            as_difference=as_difference,
            all_starts=all_rows,
        )
    )
    if as_difference:
        console.print(
            f"p99, errors and failed: differences to the same time {CONTROL_NAME}.", style="dim"
        )
    hidden = rows[len(shown) :]
    if hidden:
        counts = counts_text(comparison, hidden)
        count = sum(len(group.indices) for group in hidden)
        console.print(f"{count:,} more candidates: {counts}. --all shows them.", style="dim")
    if len(rows) < len(comparison.candidates):
        console.print(
            f"{len(comparison.candidates):,} candidates gave {len(rows):,} different results; those with "
            "equal results are one row.",
            style="dim",
        )
    if len(rows) > 1:
        _print_differences(console, comparison, shown)


def _answer_sentence(comparison: Comparison, recommendation: Recommendation) -> str:
    """Return the answer; the best of several is named only when fresh runs have confirmed it."""
    from studio.views.answers.recommendation_text import group_name
    from studio.views.figures_text import candidate_name, sentence_of

    confirmed = comparison.confirmed
    group = recommendation.recommended
    named = ""
    if group is not None:
        named = sentence_of(
            group_name(comparison, group), comparison.candidates[group.first].verdict
        )
    if named and confirmed is not None:
        verdict = confirmed.result.verdict
        return (
            f"{named}, and is the fastest that does, "
            f"confirmed on fresh seeds ({verdict.runs_meeting} of {verdict.runs} runs)."
        )
    if comparison.confirmations:
        names = "; ".join(
            candidate_name(comparison, failed.number, begins_sentence=not number)
            for number, failed in enumerate(comparison.confirmations)
        )
        return f"{names}: met every objective, which fresh seeds did not confirm. None is named the best."
    return f"{named}." if named else "No candidate is shown to meet every objective."


def print_notes(console: Console, comparison: Comparison) -> None:
    """Print the notes on the scenario."""
    from studio.views.sentences import note_text

    for note in comparison.notes():
        console.print(f"! {note_text(note)}.", style="yellow")


def _print_differences(
    console: Console, comparison: Comparison, groups: Sequence[CandidateGroup]
) -> None:
    from studio.views.answers.recommendation_text import group_name, names_text
    from studio.views.figures_text import candidate_name

    base = candidate_name(comparison, comparison.baseline, begins_sentence=False)
    console.print()
    console.print(f"Against {base}, paired, mean and 95 % interval:")
    for group in groups:
        if comparison.baseline not in group.indices:
            differences = comparison.differences[group.first]
            texts = [_difference_text(name, differences[name]) for name in _SHOWN_DIFFERENCES]
            console.print(f"  {group_name(comparison, group)}: {'; '.join(texts)}")
    front = [group for group in groups if set(group.indices).intersection(comparison.front)]
    if front:
        names = names_text(comparison, front)
        console.print(
            f"Of those that do not fail, no other is both faster and lower in p99 than: {names}."
        )


def _difference_text(name: str, difference: Difference) -> str:
    from studio.views.figures_text import difference_text

    word = {"rollout_duration_s": "duration", "rollout_latency_p99_s": "p99"}.get(name, "errors")
    return f"{word} {difference_text(name, difference)}"
