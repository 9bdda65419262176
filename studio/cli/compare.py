"""``rollcast compare``: every combination of windows, drain timeouts, starts and more, on the same traffic."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from studio.cli import options as o

if TYPE_CHECKING:
    from rich.console import Console

    from simulation.scenario.model import Scenario
    from simulation.study.case import Case
    from simulation.study.compare import Comparison
    from simulation.study.execution import Execution
    from simulation.study.rows import Row
    from simulation.study.statistics import Difference
    from simulation.study.time_left import Eta

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
    quiet: o.Quiet = False,
) -> None:
    """Compare windows, drain timeouts, starts and more, every combination, on the same traffic."""
    from simulation.planning.starts import starts_of
    from simulation.scenario.balancer import parse_policy
    from simulation.scenario.rollout import parse_surge, parse_window
    from simulation.scenario.units import parse_duration_s
    from simulation.study.candidates import default_windows
    from simulation.study.case import cases_of
    from studio.cli import tables
    from studio.cli.answers.explaining import explain_comparison

    tables.must_name_a_table(requests)
    o.must_be_writable(scenario, csv, html, requests)
    file = o.load_file(scenario, sets, seed, replications)
    loaded = file.scenario
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
    comparison = explain_comparison(comparison, execution, scenario, quiet=quiet or json)
    if csv is not None or requests is not None:
        from studio.reports.files import write_frame  # imports matplotlib
    if csv is not None:
        write_frame(csv, tables.figures_frame(comparison))
    if html is not None:
        o.write_report(html, comparison, file.text)
    if requests is not None:
        write_frame(requests, tables.requests_frame(comparison, rows))
    if json:
        o.print_json(comparison.to_json())
    else:
        print_answer(console, comparison)


def run_with_table(
    scenario: Scenario,
    cases: tuple[Case, ...],
    execution: Execution,
    console: Console,
    quiet: bool = False,
    **study_options: Any,
) -> tuple[Comparison, list[Row]]:
    """Run the study as `options.run_study` does; on a terminal, show the table as it grows."""
    from rich.live import Live

    from studio.cli.tables import comparison_table
    from studio.views.figures_text import time_left_text

    if quiet or not sys.stdout.isatty():
        return o.run_study(scenario, cases, execution, quiet=quiet, **study_options)
    with Live(console=console, transient=True, auto_refresh=False) as live:

        def show_table(comparison: Comparison, eta: Eta) -> None:
            table = comparison_table(comparison)
            caption = f"{eta.done} of {eta.total} replications {time_left_text(eta.left_s())}"
            table.caption = caption.rstrip()
            live.update(table, refresh=True)

        return o.run_study(
            scenario, cases, execution, quiet=True, on_comparison=show_table, **study_options
        )


def print_answer(console: Console, comparison: Comparison) -> None:
    """Print the question, the table, the answer, and the differences between the candidates."""
    from studio.cli.tables import comparison_table
    from studio.views.figures_text import candidate_name, verdict_sentence
    from studio.views.why.diagnosis_text import comparison_why_lines

    scenario = comparison.scenario
    if scenario.question:
        console.print(scenario.question, style="bold")
        console.print()
    console.print(comparison_table(comparison))
    console.print()
    if comparison.chosen is not None:
        sentence = verdict_sentence(comparison, comparison.chosen)
        console.print(f"{sentence}, and is the fastest that does.", style="bold")
    else:
        console.print("No candidate is shown to meet every objective.", style="bold")
    for index, result in enumerate(comparison.candidates):
        for reason in result.verdict.reasons:
            console.print(f"  {candidate_name(comparison, index)}: {reason}")
    why = comparison_why_lines(comparison)
    if why:
        console.print("\nWhy:")
    for line in why:
        console.print(f"  {line}")
    if len(comparison.candidates) > 1:
        _print_differences(console, comparison)
    print_notes(console, comparison)
    console.print(
        f"{scenario.replications} paired runs each, seed {scenario.seed}. Figures are means over "
        "runs; a difference whose interval holds 0 is none that these runs show.",
        style="dim",
    )


def print_notes(console: Console, comparison: Comparison) -> None:
    """Print the notes on the scenario."""
    from studio.views.sentences import note_text

    for note in comparison.notes():
        console.print(f"! {note_text(note)}.", style="yellow")


def _print_differences(console: Console, comparison: Comparison) -> None:
    from studio.views.figures_text import candidate_name

    base = candidate_name(comparison, comparison.baseline, begins_sentence=False)
    console.print()
    console.print(f"Against {base}, paired, mean and 95 % interval:")
    for index, differences in enumerate(comparison.differences):
        if index != comparison.baseline:
            texts = [_difference_text(name, differences[name]) for name in _SHOWN_DIFFERENCES]
            console.print(f"  {candidate_name(comparison, index)}: {'; '.join(texts)}")
    front = "; ".join(
        candidate_name(comparison, index, begins_sentence=False) for index in comparison.front
    )
    if front:
        console.print(f"No other is both faster and lower in p99 than: {front}.")


def _difference_text(name: str, difference: Difference) -> str:
    from studio.views.figures_text import difference_text

    word = {"rollout_duration_s": "duration", "rollout_latency_p99_s": "p99"}.get(name, "errors")
    return f"{word} {difference_text(name, difference)}"
