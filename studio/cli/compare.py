"""``rollcast compare``: every combination of windows, drain timeouts, starts and more, on the same traffic."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from executor.base.errors import BadInput
from studio.cli import options as o
from studio.cli.answers.alternatives import SearchChanges

if TYPE_CHECKING:
    from rich.console import Console, Group

    from simulation.scenario.model import Scenario
    from simulation.study.case import Case
    from simulation.study.compare import Comparison
    from simulation.study.execution import Execution
    from simulation.study.rows import Row
    from simulation.study.time_left import Eta

_SHOWN_EVERY_S = 0.1
"""Minimum time between two refreshes of the progress on a terminal, in seconds."""


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
    from studio.cli.answers.alternatives import find_changes
    from studio.cli.answers.explaining import explain_comparison
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
    comparison = explain_comparison(comparison, execution, scenario, quiet=quiet or json)
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
        from studio.cli.answers.compare_answer import print_answer

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
    from studio.cli.answers.compare_answer import progress_line, table_so_far

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
