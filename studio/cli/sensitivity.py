"""``rollcast sensitivity``: the assumptions of a scenario that decide its answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from executor.base.errors import BadInput
from studio.cli import options as o

if TYPE_CHECKING:
    from rich.table import Table

    from simulation.planning.sensitivity import Sensitivity

_BAR = 30
_CHARTS = (".png", ".svg", ".pdf")


def sensitivity(
    scenario: o.ScenarioPath,
    window: Annotated[
        str | None,
        typer.Option(metavar="N|P%", help="Window to simulate (default: the scenario's)."),
    ] = None,
    seed: o.Seed = None,
    engine: o.Engine = "auto",
    jobs: o.Jobs = None,
    sets: o.Sets = None,
    json: o.Json = False,
    chart: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png|.svg|.pdf",
            help="Also draw the table's bars to this file (default: none).",
        ),
    ] = None,
    quiet: o.Quiet = False,
) -> None:
    """Rank the assumptions by how far the answer moves when each is off by a quarter."""
    from simulation.planning.sensitivity import sensitivity as analysed
    from simulation.study.notes import notes_json, notes_of
    from studio.views.sentences import note_lines

    if chart is not None and chart.suffix not in _CHARTS:
        raise BadInput(f"--chart {chart}: must end in {', '.join(_CHARTS)}")
    o.must_be_writable(scenario, chart)
    settings = [*(sets or ()), *([] if window is None else [f"rollout.window={window}"])]
    loaded = o.load(scenario, settings, seed)
    if loaded.rollout is None:
        raise BadInput(f"{scenario}: rollout: is missing, there is no answer to examine")
    execution = o.make_execution(engine, jobs, quiet=quiet)
    with o.report_search(quiet or json) as report_progress:
        result = analysed(loaded, execution, on_progress=report_progress)
    if chart is not None:
        _write_chart(chart, result)
    if json:
        o.print_json({**result.to_json(), "notes": notes_json(notes_of(loaded))})
        return
    _print(result)
    for line in note_lines(loaded):
        print(f"! {line}.")


def _print(result: Sensitivity) -> None:
    from simulation.planning.sensitivity import OFF_BY
    from studio.cli.tables import answer_console
    from studio.views.figures_text import percent_text

    console = answer_console()
    limits = ", ".join(result.judged_by)
    console.print(
        f"What moves most: the highest of {limits}, each over its limit, between "
        f"{1 / OFF_BY:g} and {OFF_BY:g} times each assumption.",
        style="bold",
    )
    console.print()
    console.print(_table(result))
    console.print()
    console.print(
        f"Over all {result.runs_count:,} runs, along {result.trajectories_count} paths, the objectives were met at "
        f"{percent_text(result.meeting_fraction)} of the points. A step flips when the answer "
        "is another after it.",
        style="dim",
    )
    for group in result.ties():
        console.print(
            f"These paths do not tell the ranks of {', '.join(group[:-1])} and {group[-1]} apart.",
            style="dim",
        )


def _table(result: Sensitivity) -> Table:
    from math import log

    from rich.table import Table

    from studio.views.figures_text import percent_text

    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("assumption", "moves it by", "", "flips"):
        table.add_column(heading, justify="right" if heading == "flips" else "left")
    longest = max([log(effect.factor) for effect in result.effects], default=0.0) or 1.0
    for effect in result.effects:
        moves = round(_BAR * log(effect.factor) / longest)
        sign = "+" if effect.rises else "−"
        table.add_row(
            effect.key,
            f"{sign} × {effect.factor:.2f} ({effect.factor_low:.2f} to {effect.factor_high:.2f})",
            "█" * moves,
            percent_text(effect.flips_fraction),
        )
    return table


def _write_chart(path: Path, result: Sensitivity) -> None:
    from matplotlib.figure import Figure

    from executor.base.files import write_beside
    from studio.charts import style
    from studio.charts.sensitivity import draw_sensitivity
    from studio.views.theme import LIGHT

    with style.use_style():
        height = 1.2 + 0.32 * len(result.effects)
        figure = Figure(figsize=(9, height), dpi=style.DPI, facecolor=LIGHT.card, layout="tight")
        draw_sensitivity(figure.add_subplot(), result, LIGHT)
        with write_beside(path) as beside:
            figure.savefig(beside, format=path.suffix.removeprefix("."))
