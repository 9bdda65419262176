"""``rollcast studio`` and the bare ``rollcast``: the window, or its answer where there is no display."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from executor.base.errors import BadInput
from executor.base.extras import install_command, missing_library, require_extra
from executor.base.signals import INTERRUPTED
from studio.cli import options as o
from studio.cli.needs import prepare_home
from studio.resources import EXAMPLE, scenarios_dir

OUTPUT = Path("rollcast-out")

_QT_LOGGING_RULES = "qt.qpa.*=false"
"""Silences Qt's platform plugins: of three that are tried, those that do not load complain."""


def studio(
    scenario: Annotated[
        Path | None,
        typer.Argument(
            metavar="SCENARIO",
            help="The scenario file to open (default: the shipped example).",
        ),
    ] = None,
    screenshots: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Compare the windows, write a PNG of every page to this folder, and exit "
            "(default: open the window).",
        ),
    ] = None,
    size: Annotated[
        str, typer.Option(metavar="WxH", help="Size of the screenshots, in pixels.")
    ] = "1180x760",
    theme: Annotated[
        str | None,
        typer.Option(
            metavar="light|dark", help="Theme of the screenshots (default: each page in both)."
        ),
    ] = None,
) -> int:
    """Open a scenario in the studio's window."""
    pixels = _parse_size(size)
    if theme not in (None, "light", "dark"):
        raise BadInput(f"--theme {theme}: must be light or dark")
    if screenshots is None:
        return _open_studio(scenario)
    os.environ.setdefault("QT_LOGGING_RULES", _QT_LOGGING_RULES)
    from studio.gui import app

    return app.take_screenshots(scenario or scenarios_dir() / EXAMPLE, screenshots, pixels, theme)


def main_job() -> int:
    """Open the studio on the shipped example; without a display, compare the example and plan it."""
    example = scenarios_dir() / EXAMPLE
    reason = "No display"
    if _has_display():
        if missing_library("studio") is None:
            prepare_home()
            return _open_studio(None)
        # With the simulation alone, somebody chose the command line: the answer needs no Qt.
        if missing_library("simulation") is not None:
            require_extra("studio", "the studio")
        reason = f"No window without the extra `studio` ({install_command('studio')})"
    require_extra("simulation", "the example")
    prepare_home()
    from simulation.planning.make_plan import WEEK_S
    from simulation.planning.search import search
    from simulation.study.candidates import default_windows
    from simulation.study.case import cases_of
    from simulation.study.statistics.number_of_runs import planned_runs
    from studio.cli.answers.compare_answer import print_answer
    from studio.cli.answers.plan_answer import write_search_result
    from studio.cli.compare import run_with_table
    from studio.cli.tables import answer_console

    try:
        OUTPUT.mkdir(exist_ok=True)
    except OSError as error:
        raise BadInput(f"{OUTPUT}: cannot be written: {error.strerror}") from None
    scenario = o.load(example, None)
    cases = cases_of(scenario, default_windows(scenario).windows)
    print(
        f"{reason}: comparing the windows of {scenario.name}, {planned_runs(scenario, cases).count} "
        "replications each.",
        file=sys.stderr,
    )
    execution = o.make_execution("auto", None, quiet=False)
    console = answer_console()
    comparison, _rows = run_with_table(scenario, cases, execution, console)
    print_answer(console, comparison)
    known = {
        result.candidate: [replace(run, metrics=run.alone) for run in result.runs]
        for result in comparison.candidates
    }
    with o.report_search(quiet=False) as report_progress:
        result = search(scenario, cases, execution, known=known, on_progress=report_progress)
    assert result is not None
    print("\n".join(write_search_result(result, OUTPUT / "plan.json", WEEK_S)))
    return 0


def _open_studio(scenario: Path | None) -> int:
    os.environ.setdefault("QT_LOGGING_RULES", _QT_LOGGING_RULES)
    with _interrupts_end_at_once():
        from studio.gui.app import open_studio

        return open_studio(scenario)


@contextmanager
def _interrupts_end_at_once() -> Iterator[None]:
    """End the process on Ctrl-C until the window handles Ctrl-C itself.

    While the window is built, Qt calls methods of ours: an exception there is printed as a traceback.
    """

    def end_at_once(number: int, frame: FrameType | None) -> None:
        os._exit(INTERRUPTED)

    before = signal.signal(signal.SIGINT, end_at_once)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _has_display() -> bool:
    if os.environ.get("QT_QPA_PLATFORM") == "offscreen":
        return False
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _parse_size(text: str) -> tuple[int, int]:
    """Return the width and the height of ``1180x760``, in pixels.

    Raises:
        BadInput: The text is something else.
    """
    width, cross, height = text.partition("x")
    if not (cross and width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise BadInput(f"--size {text}: must be width x height, such as 1180x760")
    return int(width), int(height)
