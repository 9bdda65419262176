"""``rollcast studio`` and the bare command: the window, or its answer where there is no display."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from executor.base.errors import BadInput
from executor.base.extras import install_command, missing_library, require_extra
from studio.cli import options as o
from studio.resources import EXAMPLE, scenarios_dir

OUTPUT = Path("rollcast-out")


def studio(
    scenario: Annotated[Path | None, typer.Argument(metavar="SCENARIO")] = None,
    screenshots: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Compare, write a picture of every page, and end."),
    ] = None,
    size: Annotated[str, typer.Option(metavar="WxH", help="Of the pictures.")] = "1180x760",
    theme: Annotated[str | None, typer.Option(help="light or dark; both are pictured.")] = None,
) -> int:
    """Open the window."""
    pixels = _parse_size(size)
    if theme not in (None, "light", "dark"):
        raise BadInput(f"--theme {theme}: must be light or dark")
    from studio.gui import app

    if screenshots is not None:
        path = scenario or scenarios_dir() / EXAMPLE
        return app.take_screenshots(path, screenshots, pixels, theme)
    return app.open_studio(scenario)


def main_job() -> int:
    """The studio on the shipped example; without a display, its comparison and its plan."""
    example = scenarios_dir() / EXAMPLE
    why = "No display"
    if _has_display():
        if missing_library("studio") is None:
            from studio.gui.app import open_studio

            return open_studio(None)
        # With the simulation alone, somebody chose the command line: the answer needs no Qt.
        if missing_library("simulation") is not None:
            require_extra("studio", "the studio")
        why = f"No window without the extra `studio` ({install_command('studio')})"
    require_extra("simulation", "the example")
    from simulation.planning.make_plan import WEEK_S
    from simulation.planning.search import search
    from simulation.study.candidates import default_windows
    from simulation.study.case import cases_of
    from studio.cli.compare import print_answer, run_with_table
    from studio.cli.plan import write_search_result
    from studio.cli.tables import answer_console

    try:
        OUTPUT.mkdir(exist_ok=True)
    except OSError as error:
        raise BadInput(f"{OUTPUT}: cannot be written: {error.strerror}") from None
    scenario = o.load(example, None)
    cases = cases_of(scenario, default_windows(scenario))
    print(
        f"{why}: comparing the windows of {scenario.name}, {scenario.replications} "
        "replications each.",
        file=sys.stderr,
    )
    execution = o.make_execution("auto", None, quiet=False)
    console = answer_console()
    comparison, _rows = run_with_table(scenario, cases, execution, console)
    print_answer(console, comparison)
    known = {
        one.candidate: [replace(run, metrics=run.alone) for run in one.runs]
        for one in comparison.candidates
    }
    with o.report_search(quiet=False) as told:
        found = search(scenario, cases, execution, known=known, on_progress=told)
    assert found is not None
    print("\n".join(write_search_result(found, OUTPUT / "plan.json", WEEK_S)))
    return 0


def _has_display() -> bool:
    if os.environ.get("QT_QPA_PLATFORM") == "offscreen":
        return False
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _parse_size(text: str) -> tuple[int, int]:
    width, cross, height = text.partition("x")
    if not (cross and width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise BadInput(f"--size {text}: must be width x height, such as 1180x760")
    return int(width), int(height)
