"""A lesson by clicks, sliders and text; a step passes only when its goal is reached."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QApplication,
    QDoubleSpinBox,
    QFileDialog,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QRadioButton,
    QSlider,
    QToolButton,
    QWidget,
)
from pytestqt.qtbot import QtBot

from simulation.scenario.file import ScenarioFile
from studio.gui.background.jobs import Jobs
from studio.gui.docks.lessons_dock import PANEL_PX, LessonPanel
from studio.gui.docks.scenario_dock import ScenarioPanel
from studio.gui.document.document import Document
from studio.lessons.catalogue import LESSONS
from tests.helpers.command_line import SHOP
from tests.helpers.widgets import child_of

RUN_MS = 60_000
WHY = "Room for the traffic, and enough time for all that is in flight."


class Learner:
    """A learner at the panel of lessons, with the fields beside it."""

    def __init__(self, qtbot: QtBot) -> None:
        self.qtbot = qtbot
        self.document = Document(ScenarioFile.parse(SHOP))
        self.jobs = Jobs(self.document)
        self.desk = QWidget()
        qtbot.addWidget(self.desk)
        self.fields = ScenarioPanel(self.document)
        self.panel = LessonPanel(self.document, self.jobs)
        for one in (self.fields, self.panel):
            one.setParent(self.desk)
        self.panel.unlocked.connect(self.fields.lock)
        self.panel.resize(PANEL_PX, 600)
        self.said: list[str] = []
        self.panel.reported.connect(self.said.append)
        self.desk.show()
        self.desk.activateWindow()
        qtbot.waitUntil(self.desk.isActiveWindow)

    def begins(self, key: str) -> None:
        title = next(lesson.title for lesson in LESSONS if lesson.key == key)
        card = next(
            button
            for button in self.panel.findChildren(QPushButton)
            if button.accessibleName() == title
        )
        self.qtbot.mouseClick(card, Qt.MouseButton.LeftButton)
        self.settle()

    def settle(self) -> None:
        """Lets go of what was replaced."""
        QApplication.sendPostedEvents(None, 52)  # deferred deletions

    def answers(self, words: str) -> None:
        choices = self.panel.findChildren(QRadioButton)
        choice = next(one for one in choices if one.accessibleName() == words)
        choice.setFocus()
        self.qtbot.keyClick(choice, Qt.Key.Key_Space)
        self.settle()

    def runs(self) -> None:
        with self.qtbot.waitSignal(self.jobs.ended, timeout=RUN_MS):
            self.jobs.start()
        self.settle()

    def looks_at(self, window: int) -> None:
        buttons = self.panel.findChildren(QToolButton)
        name = f"Window: {window}"
        button = next(one for one in buttons if one.accessibleName() == name)
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        self.settle()

    def slides(self, name: str, keys: list[Qt.Key]) -> None:
        sliders = self.fields.findChildren(QSlider)
        slider = next(one for one in sliders if one.accessibleName() == f"{name}, slider")
        assert slider.isEnabled()
        slider.setFocus()
        for key in keys:
            self.qtbot.keyClick(slider, key)
        self.settle()

    def types(self, name: str, number: str) -> None:
        boxes = self.fields.findChildren(QDoubleSpinBox)
        box = next(one for one in boxes if one.accessibleName() == name)
        box.setFocus()
        box.selectAll()
        self.qtbot.keyClicks(box, number)
        self.qtbot.keyClick(box, Qt.Key.Key_Return)
        self.settle()

    def writes(self, words: str) -> None:
        (writing,) = self.panel.findChildren(QPlainTextEdit)
        writing.setFocus()
        for letter in words:
            (writing,) = self.panel.findChildren(QPlainTextEdit)
            assert writing.hasFocus()
            self.qtbot.keyClicks(writing, letter)
            self.settle()

    @property
    def free(self) -> set[str]:
        """The fields whose sliders may be moved."""
        return {
            slider.accessibleName().removesuffix(", slider")
            for slider in self.fields.findChildren(QSlider)
            if slider.isEnabled()
        }

    @property
    def words(self) -> str:
        """All that the panel says."""
        return "\n".join(label.text() for label in self.panel.findChildren(QLabel))

    @property
    def done(self) -> int:
        progress = self.panel.progress
        assert progress is not None
        return len(progress.passed)


@pytest.fixture
def learner(qtbot: QtBot) -> Iterator[Learner]:
    one = Learner(qtbot)
    yield one
    one.jobs.close()


def test_a_lesson_from_the_first_step_to_the_page(learner: Learner, tmp_path: Path) -> None:
    everything = learner.free
    assert len(everything) > 5
    learner.begins("window-size")
    assert learner.document.scenario.name == "window-size"
    assert learner.document.state.file.path is None
    assert not learner.jobs.is_running  # the first step is the prediction
    assert "1 of 6 · Predict" in learner.words
    assert learner.free == set()

    learner.answers("About half as long")
    assert learner.done == 1
    assert "You said: about half as long." in learner.words
    assert "The simulation shows:" not in learner.words  # not yet
    assert "2 of 6 · Run" in learner.words

    learner.runs()
    assert learner.done == 2
    assert "You are looking at window" in learner.words

    learner.looks_at(2)
    assert learner.done == 2
    assert "You are looking at window 2." in learner.words
    learner.looks_at(4)
    assert learner.done == 3
    assert "The simulation shows: less than a third as long." in learner.words
    assert learner.free == {"Window size"}

    learner.slides("Window size", [Qt.Key.Key_Right, Qt.Key.Key_Right])
    assert learner.document.scenario.window_count() == 3
    assert learner.done == 3
    assert "Least capacity 120/s, traffic 110/s." in learner.words
    learner.slides("Window size", [Qt.Key.Key_Right])
    assert learner.done == 4
    assert learner.free == {"Drain timeout"}
    assert "Its simulation is not there yet." in learner.words

    learner.runs()
    assert learner.done == 4
    assert "Cut requests: 19" in learner.words
    learner.types("Drain timeout", "3")
    assert learner.done == 4  # not before it is simulated
    learner.runs()
    assert learner.done == 5
    assert learner.free == {"Window size", "Drain timeout"}

    learner.slides("Window size", [Qt.Key.Key_Left])
    learner.runs()
    assert "Window 3 meets every objective in 20 of 20 runs." in learner.words
    assert learner.done == 5
    learner.writes(WHY)  # the step passes while the text is typed, and typing continues
    assert learner.done == 6
    assert learner.panel.progress is not None
    assert learner.panel.progress.is_done
    assert learner.panel.progress.justification == WHY
    assert learner.free == everything_of(learner)

    name = next(
        edit
        for edit in learner.panel.findChildren(QLineEdit)
        if edit.accessibleName() == "Your name"
    )
    learner.qtbot.keyClicks(name, "Ada Lovelace")
    button = next(
        one
        for one in learner.panel.findChildren(QPushButton)
        if one.text().startswith("Write page")
    )
    learner.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    dialog = learner.panel.findChild(QFileDialog)
    assert dialog is not None
    assert child_of(dialog, QLineEdit, "fileNameEdit").text() == "window-size-ada-lovelace.html"
    dialog.fileSelected.emit(str(tmp_path / "page.html"))
    dialog.close()
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Ada Lovelace" in page
    assert WHY in page
    assert "✗ What happens: Less than a third as long." in page
    assert "Window 3 meets every objective in 20 of 20 runs" in page
    assert learner.said == [f"✓ Your page is in {tmp_path / 'page.html'}"]


def everything_of(learner: Learner) -> set[str]:
    return {
        slider.accessibleName().removesuffix(", slider")
        for slider in learner.fields.findChildren(QSlider)
    }


def test_a_switch_beside_the_fields(learner: Learner) -> None:
    learner.begins("database-first")
    learner.answers("The old version answers wrongly until it is replaced")
    learner.runs()
    learner.looks_at(1)
    learner.types("Window size", "5")
    assert learner.done == 4
    assert learner.free == set()
    learner.answers("after all of them are")
    assert not learner.document.scenario.rollout.migration.contract_before_rollout  # type: ignore[union-attr]
    learner.runs()
    assert learner.done == 5
    learner.document.undo.undo()
    assert learner.document.scenario.rollout.migration.contract_before_rollout  # type: ignore[union-attr]


def test_the_current_task_is_visible_in_a_low_window(learner: Learner) -> None:
    learner.panel.resize(PANEL_PX, 260)
    learner.begins("database-first")
    learner.answers("The old version answers wrongly until it is replaced")
    learner.runs()
    learner.looks_at(1)
    learner.types("Window size", "5")
    (switch,) = [
        button
        for button in learner.panel.findChildren(QRadioButton)
        if button.accessibleName() == "before the servers are replaced"
    ]
    learner.qtbot.waitUntil(lambda: not switch.visibleRegion().isEmpty())


def test_leaving_gives_every_field_back(learner: Learner) -> None:
    learner.begins("draining")
    assert learner.free == set()
    out = next(
        button
        for button in learner.panel.findChildren(QToolButton)
        if button.text() == "All lessons"
    )
    learner.qtbot.mouseClick(out, Qt.MouseButton.LeftButton)
    learner.settle()
    assert learner.panel.progress is None
    assert learner.free == everything_of(learner)


def test_another_scenario_ends_the_lesson(learner: Learner) -> None:
    learner.begins("draining")
    learner.document.open(ScenarioFile.parse(SHOP))
    learner.settle()
    assert learner.panel.progress is None
    assert learner.free == everything_of(learner)


def test_a_failed_write_of_the_page_is_reported(learner: Learner, tmp_path: Path) -> None:
    learner.begins("draining")
    failed: list[str] = []
    learner.panel.failed.connect(failed.append)
    learner.panel.write_page(tmp_path / "nowhere" / "page.html", "Ada")
    assert len(failed) == 1
    assert "cannot be written" in failed[0]


def test_a_lesson_is_not_begun_before_changes_are_decided(qtbot: QtBot) -> None:
    document = Document(ScenarioFile.parse(SHOP))
    jobs = Jobs(document)
    asked: list[object] = []
    panel = LessonPanel(document, jobs, asked.append)
    qtbot.addWidget(panel)
    panel.ask_begin(LESSONS[0])
    assert document.scenario.name != LESSONS[0].key
    assert len(asked) == 1
    assert callable(asked[0])
    asked[0]()
    assert document.scenario.name == LESSONS[0].key
    jobs.close()


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda one: one.key)
def test_every_step_of_every_lesson_fits_and_has_names(qtbot: QtBot, lesson: object) -> None:
    document = Document(ScenarioFile.parse(SHOP))
    jobs = Jobs(document)
    panel = LessonPanel(document, jobs)
    qtbot.addWidget(panel)
    panel.resize(PANEL_PX, 420)
    panel.show()
    panel.begin(lesson)  # type: ignore[arg-type]
    for label in panel.findChildren(QLabel):
        if label.isVisible():
            assert label.height() >= label.heightForWidth(label.width()), label.text()
    for choice in panel.findChildren(QRadioButton):
        assert choice.accessibleName()
    jobs.close()
