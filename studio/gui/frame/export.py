"""Exports of the window: ask for a file, write it, report the result.

The callback ``report`` receives a sentence about the written files, ``report_error`` one line about
a failure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QWidget

from executor.base.errors import RollcastError
from executor.base.files import atomic_write_text
from studio.gui.background.job import JobContext
from studio.gui.background.jobs import Jobs
from studio.gui.document.document import Document
from studio.gui.widgets.dialogs import ask_for_file
from studio.views.figures_text import file_stem

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulation.planning.alternatives.model import Alternatives

CHARTS = "Pictures (*.png);;Drawings (*.svg);;PDF (*.pdf)"
DATA = "Tables (*.csv);;Parquet (*.parquet)"
REPORT = "Pages (*.html)"

MessageCallback = Callable[[str], object]
"""A function that shows a sentence, such as the bottom bar's."""


def export_charts(
    parent: QWidget,
    name: str,
    figures: Mapping[str, Figure],
    report: MessageCallback,
    report_error: MessageCallback,
) -> None:
    """Ask for a file, and write charts as PNG, SVG or PDF.

    Args:
        parent: The window.
        name: The proposed name of the file, without its suffix.
        figures: The charts by name, see `studio.gui.pages.base.Page.figures`.
        report: Receives a sentence about the written files.
        report_error: Receives the reason when nothing was written.
    """
    if not figures:
        report_error("There is no chart to export yet: run the comparison first")
        return

    def write(path: Path) -> list[Path]:
        from studio.reports.files import write_charts  # noqa: PLC0415 - with matplotlib

        return write_charts(figures, path)

    _ask(
        parent,
        "Export charts",
        CHARTS,
        f"{file_stem(name)}.png",
        write=write,
        report=report,
        report_error=report_error,
    )


def export_data(
    parent: QWidget,
    document: Document,
    jobs: Jobs,
    report: MessageCallback,
    report_error: MessageCallback,
) -> None:
    """Ask for a file, and write the simulated data as CSV or Parquet in the background.

    The data of a large fleet take seconds; `jobs` reports when writing fails.
    """
    comparison = document.comparison
    if comparison is None:
        report_error("Nothing is simulated yet: run the comparison first")
        return

    def write_to(path: Path) -> None:
        def work(context: JobContext) -> None:
            from studio.reports.files import write_data  # noqa: PLC0415 - with matplotlib

            context.publish(_written_text(write_data(comparison, path)))

        def report_written(message: object) -> None:
            report(str(message))

        jobs.run(f"Write {path.name}", work, report_written)

    ask_for_file(
        parent, "Export data", DATA, write_to, f"{file_stem(comparison.scenario.name)}.csv"
    )


def export_report(
    parent: QWidget,
    document: Document,
    report: MessageCallback,
    report_error: MessageCallback,
    *,
    alternatives: Alternatives | None = None,
) -> None:
    """Ask for a file, and write the comparison as one HTML file, with the changes that would meet."""
    comparison = document.comparison
    if comparison is None:
        report_error("Nothing is simulated yet: run the comparison first")
        return
    text = None if document.is_stale else document.state.file.text
    index = document.selection

    def write(path: Path) -> list[Path]:
        from studio.reports.comparison_report import comparison_report  # noqa: PLC0415 - with matplotlib

        page = comparison_report(comparison, text, index, alternatives=alternatives)
        atomic_write_text(path, page)
        return [path]

    name = f"{file_stem(comparison.scenario.name)}.html"
    _ask(
        parent, "Export report", REPORT, name, write=write, report=report, report_error=report_error
    )


def _ask(
    parent: QWidget,
    title: str,
    kinds: str,
    name: str,
    *,
    write: Callable[[Path], list[Path]],
    report: MessageCallback,
    report_error: MessageCallback,
) -> None:
    def write_to(path: Path) -> None:
        QGuiApplication.setOverrideCursor(Qt.CursorShape.WaitCursor)
        try:
            report(_written_text(write(path)))
        except RollcastError as error:
            report_error(str(error))
        finally:
            QGuiApplication.restoreOverrideCursor()

    ask_for_file(parent, title, kinds, write_to, name)


def _written_text(paths: list[Path]) -> str:
    more = f" and {len(paths) - 1} more beside it" if len(paths) > 1 else ""
    return f"✓ Written: {paths[0]}{more}"
