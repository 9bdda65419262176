"""No edit is discarded without a question, and the studio always opens."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QSettings
from PySide6.QtWidgets import QDoubleSpinBox, QMessageBox

from executor.base.errors import BadInput
from simulation.scenario.file import ScenarioFile
from studio.gui.app import file_to_open
from studio.gui.document import unsaved_edits as side_files
from studio.gui.document.commands import edit_values
from studio.gui.document.unsaved_edits import SideFile
from studio.gui.toolkit.settings import Settings
from tests.helpers.command_line import SHOP
from tests.studio.gui.conftest import Desk


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def _left_behind(path: Path, window: int) -> Path:
    """Write a side file of a program that has ended."""
    text = ScenarioFile.load(path).with_values({"rollout.window": window}).text
    held = SideFile(pid=os.getpid(), began_s=1.0, path=str(path), saved=SHOP, text=text)
    return side_files.write(held)


def _answer(desk: Desk, button: QMessageBox.StandardButton) -> None:
    box = desk.window.findChild(QMessageBox)
    assert box is not None
    desk.click(box.button(button))
    desk.come_back(QMessageBox)


@pytest.mark.parametrize("word", ["Recover", "Open saved"])
def test_recovering_another_scenario_asks_about_the_changes_of_this_one(
    desk: Desk, word: str
) -> None:
    other = desk.folder / "other.yaml"
    other.write_text(SHOP, encoding="utf-8")
    _left_behind(other, 5)
    desk.settings.remember(other)
    assert desk.window.recovery.offer_at_start() is not None
    edit_values(desk.document, "window", {"rollout.window": 4})
    desk.click(desk.window.recovery.bar.buttons[word])
    assert desk.document.scenario.window_count() == 4
    assert desk.document.state.file.path == desk.path
    _answer(desk, QMessageBox.StandardButton.Cancel)
    assert desk.document.scenario.window_count() == 4
    assert desk.window.recovery.bar.isVisible() is (word == "Recover")


def test_a_recovery_of_the_open_scenario_can_be_undone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = _left_behind(desk.path, 5)
    assert desk.window.recovery.offer() is not None
    edit_values(desk.document, "window", {"rollout.window": 4})
    desk.click(desk.window.recovery.bar.buttons["Recover"])
    assert desk.document.scenario.window_count() == 5
    assert not desk.window.recovery.bar.isVisible()
    assert desk.window.recovery.side_file is not None
    assert not place.exists() or desk.window.recovery.side_file == place
    desk.document.undo.undo()
    assert desk.document.scenario.window_count() == 4


def test_continuous_edits_are_written_to_the_side_file(desk: Desk) -> None:
    timer = desk.window.recovery._timer
    edit_values(desk.document, "window", {"rollout.window": 4})
    timer.setInterval(timer.interval() - 1)
    desk.qtbot.waitUntil(lambda: timer.remainingTime() < timer.interval() - 20)
    left = timer.remainingTime()
    edit_values(desk.document, "window", {"rollout.window": 5})
    assert timer.remainingTime() <= left


def test_an_import_asks_about_edits_made_meanwhile(desk: Desk) -> None:
    made = desk.folder / "made.yaml"
    made.write_text(SHOP, encoding="utf-8")
    edit_values(desk.document, "window", {"rollout.window": 4})
    desk.window.filing.open_imported(made)
    assert desk.document.state.file.path == desk.path
    _answer(desk, QMessageBox.StandardButton.Discard)
    assert desk.document.state.file.path == made


def test_a_recent_file_asks_about_the_number_being_typed(desk: Desk) -> None:
    other = desk.folder / "other.yaml"
    other.write_text(SHOP, encoding="utf-8")
    desk.settings.remember(other)
    box = desk.find(QDoubleSpinBox, "Window size")
    box.setFocus()
    box.selectAll()
    desk.qtbot.keyClicks(box, "4")
    entry = next(
        action for action in desk.menu("File", "Recent").actions() if action.text() == other.name
    )
    entry.trigger()
    assert desk.document.state.file.path == desk.path
    _answer(desk, QMessageBox.StandardButton.Cancel)
    assert desk.document.scenario.window_count() == 4


def test_an_inaccessible_recent_file_is_not_listed(tmp_path: Path) -> None:
    store = QSettings(str(tmp_path / "settings.ini"), QSettings.Format.IniFormat)
    there = tmp_path / "shop.yaml"
    there.write_text(SHOP, encoding="utf-8")
    store.setValue("recent", [str(tmp_path / ("x" * 300)), str(there)])
    assert Settings(store).recent() == [there]


def _write(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("prepare", "is_opened"),
    [(_write(SHOP), True), (_write("rollcast: scenario/1\nnonsense: 1\n"), False)],
    ids=["sound", "broken"],
)
def test_the_last_scenario_is_opened_and_an_invalid_one_does_not_prevent_the_start(
    tmp_path: Path, prepare: Callable[[Path], object], is_opened: bool
) -> None:
    settings = Settings(QSettings(str(tmp_path / "settings.ini"), QSettings.Format.IniFormat))
    settings.set_value("reopen_last", True)
    path = tmp_path / "last.yaml"
    prepare(path)
    settings.remember(path)
    file, wrong = file_to_open(None, settings)
    assert (file.path == path) is is_opened
    assert (str(path) in wrong) is not is_opened
    if not is_opened:
        with pytest.raises(BadInput):  # a named invalid file is an error
            file_to_open(path, settings)
