"""Exports as the window offers them: ask for a file, write it, say what came of it.

Enters: charts by name, or a document. Leaves: files, and a sentence through ``said``; what is wrong
comes in one line through ``failed``.
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

CHARTS = "Pictures (*.png);;Drawings (*.svg);;PDF (*.pdf)"
DATA = "Tables (*.csv);;Parquet (*.parquet)"
REPORT = "Pages (*.html)"

Say = Callable[[str], object]
"""What hears a sentence, such as the window's message line."""


def export_charts(
    parent: QWidget, name: str, figures: Mapping[str, Figure], said: Say, failed: Say
) -> None:
    """Asks where to, and writes charts as PNG, SVG or PDF.

    Args:
        parent: The window.
        name: What the file is called where nobody says otherwise, without its ending.
        figures: The charts by name, as `studio.gui.pages.base.Page.figures` gives them.
        said: Hears what was written.
        failed: Hears what is wrong.
    """
    if not figures:
        failed("There is no chart to export yet: run the comparison first")
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
        said=said,
        failed=failed,
    )


def export_data(parent: QWidget, document: Document, jobs: Jobs, said: Say, failed: Say) -> None:
    """Asks where to, and writes what was simulated as CSV or Parquet, in the background.

    A large fleet's data take seconds; what goes wrong then is told by `jobs`.
    """
    comparison = document.comparison
    if comparison is None:
        failed("Nothing is simulated yet: run the comparison first")
        return

    def chosen(path: Path) -> None:
        def work(talk: JobContext) -> None:
            from studio.reports.files import write_data  # noqa: PLC0415 - with matplotlib

            talk.publish(_written(write_data(comparison, path)))

        def landed(words: object) -> None:
            said(str(words))

        jobs.run(f"Write {path.name}", work, landed)

    ask_for_file(parent, "Export data", DATA, chosen, f"{file_stem(comparison.scenario.name)}.csv")


def export_report(parent: QWidget, document: Document, said: Say, failed: Say) -> None:
    """Asks where to, and writes the comparison as one HTML file."""
    comparison = document.comparison
    if comparison is None:
        failed("Nothing is simulated yet: run the comparison first")
        return
    text = None if document.is_stale else document.state.file.text
    index = document.selection

    def write(path: Path) -> list[Path]:
        from studio.reports.comparison_report import comparison_report  # noqa: PLC0415 - with matplotlib

        atomic_write_text(path, comparison_report(comparison, text, index))
        return [path]

    name = f"{file_stem(comparison.scenario.name)}.html"
    _ask(parent, "Export report", REPORT, name, write=write, said=said, failed=failed)


def _ask(
    parent: QWidget,
    words: str,
    kinds: str,
    name: str,
    *,
    write: Callable[[Path], list[Path]],
    said: Say,
    failed: Say,
) -> None:
    def chosen(path: Path) -> None:
        QGuiApplication.setOverrideCursor(Qt.CursorShape.WaitCursor)
        try:
            said(_written(write(path)))
        except RollcastError as error:
            failed(str(error))
        finally:
            QGuiApplication.restoreOverrideCursor()

    ask_for_file(parent, words, kinds, chosen, name)


def _written(paths: list[Path]) -> str:
    more = f" and {len(paths) - 1} more beside it" if len(paths) > 1 else ""
    return f"✓ Written: {paths[0]}{more}"
