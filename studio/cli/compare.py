"""``rollcast compare``: every combination of windows, drain timeouts, starts and more, on the same traffic."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from executor.base.errors import BadInput
from studio.cli import options as o
from studio.cli.parts.alternatives import SearchChanges

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console, Group

    from simulation.planning.alternatives.model import Alternatives
    from simulation.scenario.model import Scenario
    from simulation.study.case import Case
    from simulation.study.compare import Comparison
    from simulation.study.execution import Execution
    from simulation.study.rows import Row
    from simulation.study.statistics.means import Difference
    from simulation.study.summary.groups import CandidateGroup
    from simulation.study.summary.recommendation import Recommendation
    from simulation.study.time_left import Eta

_SHOWN_EVERY_S = 0.1
"""Minimum time between two refreshes of the progress on a terminal, in seconds."""

_SHOWN_DIFFERENCES = ("rollout_duration_s", "rollout_latency_p99_s", "rollout_error_fraction")


def compare(
    scenario: o.ScenarioPath,
    windows: o.Windows = None,
    drain_timeouts: o.DrainTimeouts = None,
    advance: o.Advances = None,
    starts: o.Starts = None,
    surges: Annotated[
        str | None,
        typer.Option(
            metavar="0,1,25%",
            help="Surges to compare: instances added beyond the fleet, as counts or percentages (default: the scenario's).",
        ),
    ] = None,
    pauses: Annotated[
        str | None,
        typer.Option(
            metavar="0s,30s",
            help="Pauses to compare, with unit: the wait before the next instance (default: the scenario's).",
        ),
    ] = None,
    policies: Annotated[
        str | None,
        typer.Option(
            metavar="round_robin,random",
            help="Policies of the load balancer to compare (default: the scenario's).",
        ),
    ] = None,
    seed: o.Seed = None,
    replications: o.Replications = None,
    engine: o.Engine = "auto",
    jobs: o.Jobs = None,
    cluster: o.Cluster = None,
    sets: o.Sets = None,
    json: o.Json = False,
    csv: o.Csv = None,
    html: o.Html = None,
    requests: o.Requests = None,
    changes: SearchChanges = True,
    quiet: o.Quiet = False,
    all_rows: o.AllRows = False,
    difference: Annotated[
        bool,
        typer.Option(
            "--difference",
            help="Show p99, errors and failed requests as differences to the same time without a rollout (default: as they are).",
        ),
    ] = False,
) -> None:
    """Compare windows, drain timeouts, starts and more, every combination, on the same traffic."""
    from simulation.planning.alternatives.find import has_alternatives, tried_in_comparison
    from simulation.planning.starts import starts_of
    from simulation.scenario.balancer import parse_policy
    from simulation.scenario.rollout import parse_surge, parse_window
    from simulation.scenario.units import parse_duration_s
    from simulation.study.candidates import default_windows
    from simulation.study.case import cases_of
    from studio.cli import tables
    from studio.cli.parts.alternatives import find_changes
    from studio.views.answers.rows_text import has_control

    tables.must_name_a_table(requests)
    o.must_be_writable(scenario, csv, html, requests)
    file = o.load_file(scenario, sets, seed, replications)
    loaded = file.scenario
    if difference and loaded.rollout is None:
        raise BadInput(f"{scenario}: rollout: is missing, so --difference has nothing to compare")
    execution = o.make_execution(engine, jobs, cluster, quiet=quiet)
    varied: dict[str, list[Any]] = {
        "windows": o.comma_list("--windows", windows, parse_window),
        "drain_timeouts_s": o.comma_list("--drain-timeouts", drain_timeouts, parse_duration_s),
        "starts": starts_of(starts, "--starts", loaded),
        "advances": o.comma_list("--advance", advance, o.parse_advance),
        "surges": o.comma_list("--surges", surges, parse_surge),
        "pauses_s": o.comma_list("--pauses", pauses, parse_duration_s),
        "policies": o.comma_list("--policies", policies, parse_policy),
    }
    if not any(varied.values()):
        varied["windows"] = [*default_windows(loaded).windows]
    cases = cases_of(loaded, **varied)
    console = tables.answer_console()
    comparison, rows = run_with_table(
        loaded,
        cases,
        execution,
        console,
        path=scenario,
        quiet=quiet or json,
        keep_requests=requests is not None,
    )
    alternatives = None
    if changes and has_alternatives(comparison):
        alternatives = find_changes(
            loaded, tried_in_comparison(comparison), execution, path=scenario, quiet=quiet or json
        )
    if difference and not has_control(comparison):
        raise BadInput("--difference: nothing was simulated without a rollout")
    if csv is not None or requests is not None:
        from studio.reports.files import write_frame  # imports matplotlib
    if csv is not None:
        write_frame(csv, tables.figures_frame(comparison))
    if html is not None:
        o.write_report(html, comparison, file.text, alternatives)
    if requests is not None:
        write_frame(requests, tables.requests_frame(comparison, rows))
    if json:
        from simulation.study.summary.recommendation import recommend, recommendation_json

        data = {**comparison.to_json(), **recommendation_json(recommend(comparison))}
        if alternatives is not None:
            data["alternatives"] = alternatives.to_json()
        o.print_json(data)
    else:
        print_answer(console, comparison, alternatives, all_rows=all_rows, as_difference=difference)


def run_with_table(
    scenario: Scenario,
    cases: tuple[Case, ...],
    execution: Execution,
    console: Console,
    quiet: bool = False,
    **study_options: Any,
) -> tuple[Comparison, list[Row]]:
    """Run the study as `options.run_study` does; on a terminal, show the table as it grows."""
    from rich.console import Group
    from rich.live import Live

    from simulation.study.time_left import Throttle

    if quiet or not sys.stdout.isatty():
        return o.run_study(scenario, cases, execution, quiet=quiet, **study_options)
    with Live(console=console, transient=True, auto_refresh=False) as live:
        table: Group | None = None
        throttle = Throttle(_SHOWN_EVERY_S)

        def show_progress(eta: Eta) -> None:
            if throttle.is_due():
                line = progress_line(eta)
                live.update(Group(line, table) if table else line, refresh=True)
                throttle.restart()

        def show_comparison(comparison: Comparison, eta: Eta) -> None:
            nonlocal table
            table = table_so_far(comparison, console.width, console.height - 1)
            show_progress(eta)

        return o.run_study(
            scenario,
            cases,
            execution,
            quiet=True,
            on_progress=show_progress,
            on_comparison=show_comparison,
            **study_options,
        )


def progress_line(eta: Eta) -> str:
    """Return the progress with the time left: ``31 of 181 replications about 2 min left``."""
    from studio.views.figures_text import time_left_text

    return f"{eta.done} of {eta.total} replications {time_left_text(eta.left_s())}".rstrip()


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
    from studio.cli.parts.alternatives import print_alternatives
    from studio.cli.tables import comparison_table
    from studio.views.answers.recommendation_text import (
        counts_text,
        group_name,
        left_out_lines,
        next_best_text,
    )
    from studio.views.answers.rows_text import MOST_ROWS
    from studio.views.answers.runs_text import planned_text
    from studio.views.candidate.control import CONTROL_NAME

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
    if alternatives is not None:
        print_alternatives(console, alternatives)
        console.print()
    rows = recommendation.rows
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
    print_notes(console, comparison)
    console.print(
        f"{planned_text(comparison.planned)}. Seed {scenario.seed}. Figures are means over "
        "runs; a difference whose interval holds 0 is none that these runs show.",
        style="dim",
    )


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
