"""Exports: the dialog, the file, the message."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QDialogButtonBox, QFileDialog, QLineEdit, QWidget
from pytestqt.qtbot import QtBot

from simulation.scenario.file import ScenarioFile
from simulation.study.compare import compare
from simulation.study.execution import Execution
from simulation.study.rows import run_rows
from studio.charts.of_comparison import comparison_figures
from studio.gui.background.jobs import Jobs
from studio.gui.document.commands import edit_values
from studio.gui.document.document import Document
from studio.gui.frame.export import export_charts, export_data, export_report
from tests.helpers.command_line import SHOP
from tests.helpers.widgets import child_of


@dataclass
class Person:
    """A user at a window, with the messages that the window shows."""

    qtbot: QtBot
    window: QWidget
    document: Document
    jobs: Jobs
    said: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def exports_data(self) -> None:
        export_data(self.window, self.document, self.jobs, self.said.append, self.wrong.append)

    def wait_for_message(self) -> None:
        self.qtbot.waitUntil(lambda: bool(self.said or self.wrong), timeout=20_000)

    def choose(self, path: Path, kind: str = "") -> str:
        """Names a file in the dialogue, of another kind where asked; what was proposed."""
        dialog = child_of(self.window, QFileDialog)
        edit = child_of(dialog, QLineEdit, "fileNameEdit")
        proposed = edit.text()
        if kind:
            kinds = child_of(dialog, QComboBox, "fileTypeCombo")
            while kind not in kinds.currentText():
                self.qtbot.keyClick(kinds, Qt.Key.Key_Down)
            proposed = edit.text()
        edit.setText(str(path))
        box = child_of(dialog, QDialogButtonBox)
        button = box.button(QDialogButtonBox.StandardButton.Save)
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        self.qtbot.waitUntil(lambda: self.window.findChild(QFileDialog) is None)
        return proposed


@pytest.fixture
def person(qtbot: QtBot, tmp_path: Path) -> Iterator[Person]:
    path = tmp_path / "shop.yaml"
    path.write_text(SHOP, encoding="utf-8")
    window = QWidget()
    qtbot.addWidget(window)
    window.show()
    document = Document(ScenarioFile.load(path))
    jobs = Jobs(document)
    one = Person(qtbot, window, document, jobs)
    jobs.failed.connect(one.wrong.append)
    yield one
    jobs.close()


def simulate(document: Document) -> None:
    scenario, cases = document.scenario, document.cases()
    rows = list(run_rows(scenario, cases, Execution(jobs=1)))
    document.add_results(compare(scenario, cases, rows), document.state)


def test_a_report_is_written_where_it_is_asked_for(person: Person, tmp_path: Path) -> None:
    simulate(person.document)
    export_report(person.window, person.document, person.said.append, person.wrong.append)
    assert person.choose(tmp_path / "out") == "shop.html"
    page = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert "# A shop of six." in page
    assert person.said == [f"✓ Written: {tmp_path / 'out.html'}"]
    assert person.wrong == []


def test_a_report_after_an_edit_has_the_simulated_scenario(person: Person, tmp_path: Path) -> None:
    simulate(person.document)
    edit_values(person.document, "Window", {"rollout.window": 3})
    export_report(person.window, person.document, person.said.append, person.wrong.append)
    person.choose(tmp_path / "out.html")
    page = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert "window: 2" in page
    assert "window: 3" not in page


def test_data_are_of_the_kind_that_is_chosen(person: Person, tmp_path: Path) -> None:
    simulate(person.document)
    person.exports_data()
    assert person.choose(tmp_path / "out", "Parquet") == "shop.parquet"
    person.wait_for_message()
    found = {path.name for path in tmp_path.glob("*.parquet")}
    assert found == {"out.parquet", "out-series.parquet", "out-states.parquet"}
    assert person.said == [f"✓ Written: {tmp_path / 'out.parquet'} and 2 more beside it"]


def test_charts_are_of_the_kind_that_is_chosen(person: Person, tmp_path: Path) -> None:
    simulate(person.document)
    assert person.document.comparison is not None
    figures = comparison_figures(person.document.comparison, 1)
    export_charts(person.window, "shop", figures, person.said.append, person.wrong.append)
    assert person.choose(tmp_path / "out", "svg") == "shop.svg"
    found = {path.name for path in tmp_path.glob("*.svg")}
    assert found == {"out-over-time.svg", "out-trade-off.svg", "out-steps.svg"}


def test_a_failed_export_is_reported_in_one_line(person: Person, tmp_path: Path) -> None:
    simulate(person.document)
    person.exports_data()
    person.choose(tmp_path / "out.txt")
    person.wait_for_message()
    assert person.wrong == [f"{tmp_path / 'out.txt'}: must end in .csv or .parquet"]
    assert person.said == []


def test_nothing_is_asked_before_there_are_results(person: Person) -> None:
    person.exports_data()
    export_report(person.window, person.document, person.said.append, person.wrong.append)
    assert person.window.findChild(QFileDialog) is None
    assert person.wrong == ["Nothing is simulated yet: run the comparison first"] * 2


def test_no_charts_no_dialogue(person: Person) -> None:
    export_charts(person.window, "shop", {}, person.said.append, person.wrong.append)
    assert person.window.findChild(QFileDialog) is None
    assert person.wrong == ["There is no chart to export yet: run the comparison first"]
