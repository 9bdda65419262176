"""The first start: stored results, the bar, and the ways to begin by keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from simulation.scenario.file import ScenarioFile
from simulation.study.compare import compare
from simulation.study.execution import Execution
from simulation.study.rows import run_rows
from studio.gui.background.jobs import Jobs
from studio.gui.document.commands import edit_values
from studio.gui.document.document import Document
from studio.gui.frame.first_run import FirstRun
from studio.gui.frame.start_cards import StartCards
from studio.resources import EXAMPLE, scenarios_dir, shipped_scenarios
from tests.helpers.command_line import SHOP


class Start:
    """A document and its jobs at the first start."""

    def __init__(self, qtbot: QtBot, file: ScenarioFile) -> None:
        self.document = Document(file)
        self.jobs = Jobs(self.document)
        self.first = FirstRun(self.document, self.jobs)
        qtbot.addWidget(self.first.bar)


@pytest.fixture
def start(qtbot: QtBot) -> Iterator[Start]:
    made = Start(qtbot, ScenarioFile.load(scenarios_dir() / EXAMPLE))
    yield made
    made.jobs.close()


def begin(qtbot: QtBot, start: Start) -> None:
    with qtbot.waitSignal(start.document.compared, timeout=20_000):
        start.first.begin()


def land(document: Document) -> None:
    """Return the results of the edited scenario, simulated once."""
    scenario = document.scenario.model_copy(update={"replications": 1})
    rows = list(run_rows(scenario, document.cases(), Execution(jobs=1)))
    document.add_results(compare(scenario, document.cases(), rows), document.state)


def test_the_example_is_there_simulated(qtbot: QtBot, start: Start) -> None:
    begin(qtbot, start)
    assert start.first.bar.isVisible()
    assert start.first.bar.words == "Drag <b>Window size</b> and watch the red line."
    run = start.document.current_run
    assert run is not None
    assert run.result.candidate.window == 4
    assert run.result.verdict.answer == "meets"
    assert len(run.result.runs) == 181
    assert not start.document.is_stale
    assert not start.jobs.is_running


def test_the_bar_disappears_after_a_drag_and_its_simulation(qtbot: QtBot, start: Start) -> None:
    begin(qtbot, start)
    document, bar = start.document, start.first.bar
    edit_values(document, "Drain", {"rollout.drain.timeout": "9s"})
    land(document)
    assert bar.isVisible()  # another slider was moved
    edit_values(document, "Window", {"rollout.window": 10})
    assert bar.isVisible()  # the result is not shown yet
    estimate = document.estimate
    assert estimate is not None
    assert estimate.utilisation_highest_fraction is not None
    assert estimate.utilisation_highest_fraction.value > 1  # the promise: traffic exceeds capacity
    land(document)
    assert bar.isHidden()
    assert not start.first.is_on


def test_the_bar_can_be_closed(qtbot: QtBot, start: Start) -> None:
    begin(qtbot, start)
    button = start.first.bar.buttons["Got it"]
    button.setFocus()
    qtbot.keyClick(button, Qt.Key.Key_Space)
    assert start.first.bar.isHidden()
    assert not start.first.is_on


def test_another_scenario_ends_it(qtbot: QtBot, start: Start) -> None:
    begin(qtbot, start)
    start.document.open(ScenarioFile.parse(SHOP))
    assert start.first.bar.isHidden()
    assert not start.first.is_on


def test_stored_results_of_another_scenario_are_ignored(qtbot: QtBot) -> None:
    start = Start(qtbot, ScenarioFile.parse(SHOP))
    try:
        with qtbot.waitSignal(start.jobs.ended, timeout=60_000):
            start.first.begin()
        assert start.document.comparison is not None
        assert start.document.comparison.scenario.service.instance_count == 6
    finally:
        start.jobs.close()


@pytest.mark.parametrize("width", [560, 690, 900])
def test_every_way_to_begin_is_reached_by_keys(qtbot: QtBot, width: int) -> None:
    cards = StartCards()
    qtbot.addWidget(cards)
    cards.resize(width, 420)
    cards.show()
    heard: list[str | Path] = []
    cards.open_example.connect(lambda: heard.append("example"))
    cards.new.connect(lambda: heard.append("new"))
    cards.import_.connect(lambda: heard.append("import"))
    cards.lessons.connect(lambda: heard.append("lessons"))
    cards.scenario.connect(heard.append)
    buttons = cards.findChildren(QPushButton)
    assert [button.accessibleName() for button in buttons][:4] == [
        *("Open example", "New", "Import", "Lessons"),
    ]
    for button in buttons:
        assert button.accessibleDescription()
        assert button.height() >= button.heightForWidth(button.width())  # no text is shortened
        button.setFocus()
        qtbot.keyClick(button, Qt.Key.Key_Space)
    others = [path for path in shipped_scenarios() if path.name != EXAMPLE]
    assert heard == ["example", "new", "import", "lessons", *others]
