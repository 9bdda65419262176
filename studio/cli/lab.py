"""``rollcast lab``: a fleet on the loopback, to hold a forecast against what happens."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from executor.base.errors import BadInput
from executor.base.signals import StopRequests
from studio.cli import options as o
from studio.cli.needs import needs

if TYPE_CHECKING:
    from simulation.scenario.model import Scenario
    from studio.lab.contest import Contest
    from studio.lab.trial import Trial

app = typer.Typer(
    help="HAProxy, instances and load on this machine, to hold a forecast against what happens.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_LOOKS_S = 0.2
"""Time between two looks whether a signal came, in seconds."""

_ENDED_CODES = {"done": 0, "halted": 4, "rolled_back": 5}

ScenarioPath = Annotated[
    Path | None,
    typer.Argument(
        metavar="[SCENARIO]", help="The scenario file (default: the shipped loopback-fleet)."
    ),
]
Html = Annotated[
    Path | None,
    typer.Option(
        "--html", metavar="FILE", help="Also write a report as one HTML file (default: none)."
    ),
]


@app.command()
@needs("simulation", "lab up")
def up(
    scenario: ScenarioPath = None,
    instances: Annotated[
        int | None,
        typer.Option(
            parser=o.whole_number("--instances", 1),
            metavar="N",
            help="Number of instances (default: the scenario's).",
        ),
    ] = None,
    sets: o.Sets = None,
) -> int:
    """Put a fleet up, print its inventory's path, and end it all on Ctrl-C."""
    from studio.lab.fleet import fleet

    loaded = _load(scenario, sets)
    if instances is not None:
        name = loaded.service_name
        loaded = _load(scenario, [*(sets or ()), f"services.{name}.instances={instances}"])
    with StopRequests() as requests, fleet(loaded) as running:
        print(running.inventory, flush=True)
        _say(
            f"{loaded.service.instance_count} instances of {loaded.service_name} behind "
            f"http://127.0.0.1:{running.port}; Ctrl-C ends them"
        )
        while not requests.was_requested:
            time.sleep(_LOOKS_S)
    return 130


@app.command()
@needs("simulation", "lab run")
def run(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="The plan file.")],
    json: o.Json = False,
    html: Html = None,
    quiet: o.Quiet = False,
) -> int:
    """Carry a plan out on a fleet of its own, under its traffic; measured beside predicted."""
    from executor.plan.file import read_plan
    from executor.plan.rules import refuse_other_tools
    from simulation.scenario.model import Scenario
    from studio.lab.contest import predicted_json
    from studio.lab.trial import run_trial

    o.must_be_writable(plan, html)
    content = read_plan(plan)
    refuse_other_tools(content)
    o.get_ready("auto", quiet or json)
    try:
        scenario = Scenario.model_validate(content.scenario)
    except ValueError as error:
        first = str(error).splitlines()[0]
        raise BadInput(f"{plan}: scenario: is not one of this version: {first}") from None
    with StopRequests() as requests:
        trial = run_trial(
            content,
            scenario,
            say=_quietly if quiet or json else _say,
            stopped=lambda: requests.was_requested,
        )
    if html is not None:
        from executor.base.files import atomic_write_text
        from studio.reports.rollout_report import forecast_of, timeline_report

        atomic_write_text(html, timeline_report(content, trial.timeline, forecast_of(content)))
    predicted = predicted_json(content.prediction.metrics)
    if json:
        o.print_json(
            {
                "measured": trial.record.metrics,
                "predicted": predicted,
                "flags": list(trial.record.flags),
                "ended": trial.record.ended,
                "requests": trial.record.requests,
            }
        )
    else:
        _print_trial(trial, predicted)
    return _ENDED_CODES.get(trial.record.ended, 1)


@app.command()
@needs("simulation", "lab compare")
def compare(
    scenario: ScenarioPath = None,
    windows: o.Windows = "1,2,4",
    runs: Annotated[
        int | None,
        typer.Option(
            parser=o.whole_number("--runs", 1),
            metavar="N",
            help="Number of measured rollouts of each window (default: 5).",
        ),
    ] = None,
    sets: o.Sets = None,
    json: o.Json = False,
    html: Html = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write to this file, as JSON, what was measured of this machine (default: none).",
        ),
    ] = None,
    quiet: o.Quiet = False,
) -> None:
    """Calibrate, freeze predictions, measure in a random order, and compare."""
    from executor.base.files import atomic_write_text
    from simulation.scenario.rollout import parse_window
    from studio.lab.contest import by_window, run_contest

    loaded = _load(scenario, sets)
    o.must_be_writable(scenario or Path(), html, calibration)
    if loaded.rollout is None:
        raise BadInput(f"{loaded.name}: rollout: is missing, there is nothing to roll")
    window_list = o.comma_list("--windows", windows, parse_window)
    variants = by_window(loaded, window_list)
    o.get_ready("auto", quiet or json)
    with StopRequests() as requests:
        contest = run_contest(
            loaded,
            variants,
            runs=runs or 5,
            say=_quietly if quiet else _say,
            stopped=lambda: requests.was_requested,
        )
    if calibration is not None:
        import json as text

        measured = contest.calibration.to_json()
        atomic_write_text(calibration, text.dumps(measured, indent=1) + "\n")
    if html is not None:
        from studio.reports.rollout_report import contest_report

        atomic_write_text(html, contest_report(contest))
    if json:
        o.print_json(contest.to_json())
    else:
        print_contest(contest)


def _load(scenario: Path | None, sets: list[str] | None) -> Scenario:
    from studio.resources import scenarios_dir

    return o.load(scenario or scenarios_dir() / "loopback-fleet.yaml", sets)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _quietly(line: str) -> None:
    return


def _print_trial(trial: Trial, predicted: dict[str, dict[str, Any]]) -> None:
    from rich.table import Table

    from studio.cli.tables import answer_console
    from studio.views.figures_text import between_text, metric_text

    console = answer_console()
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading, side in (
        ("", "left"),
        ("measured", "right"),
        ("predicted", "right"),
        ("5–95 % of single runs", "right"),
    ):
        table.add_column(heading, justify=side)  # type: ignore[arg-type] # one of rich's words
    for name, value in trial.record.metrics.items():
        figure = predicted[name]
        ends = [metric_text(name, figure[end]) for end in ("low", "high")]
        table.add_row(
            name, metric_text(name, value), metric_text(name, figure["mean"]), between_text(*ends)
        )
    console.print(f"The rollout ended: {trial.record.ended.replace('_', ' ')}.", style="bold")
    console.print(table)
    _print_flags(console, trial.record.flags)


def print_contest(contest: Contest) -> None:
    """The score, and every judged figure beside its range."""
    from rich.table import Table

    from studio.cli.tables import answer_console
    from studio.lab.contest import CAPS, cap_range
    from studio.views.figures_text import between_text, metric_text

    console = answer_console()
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("arm", "load", "", "predicted", "range that counts", "measured"):
        table.add_column(heading, no_wrap=True)
    for arm in contest.arms:
        for metric, cap in CAPS.items():
            figure = arm.predicted[metric]
            low, high = cap_range(figure, cap)
            values = [trial.metrics[metric] for trial in contest.trials[arm.name]]
            cells = [
                metric_text(metric, value)
                + ("" if value is not None and low <= value <= high else " ✗")
                for value in values
            ]
            table.add_row(
                arm.name,
                f"{arm.load:.2f}",
                metric,
                metric_text(metric, figure.mean),
                between_text(metric_text(metric, low), metric_text(metric, high)),
                "  ".join(cells),
            )
    console.print(table)
    judged, rankings = contest.judged(), contest.rankings()
    console.print()
    console.print(
        f"{sum(value_.holds for value_ in judged)} of {len(judged)} measured values lie in their range; "
        f"the order by p99 was right in {sum(rankings)} of {len(rankings)} runs.",
        style="bold",
    )
    console.print(f"Predictions frozen before measuring: {contest.digest}", style="dim")
    _print_flags(console, contest.flags())


def _print_flags(console: Any, flags: Any) -> None:
    for flag in flags:
        console.print(f"flag: {flag}", style="yellow")
