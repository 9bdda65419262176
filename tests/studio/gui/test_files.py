"""Files: saving, questions before changes are lost, recent files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QApplication,
    QDialogButtonBox,
    QFileDialog,
    QLineEdit,
    QMenu,
    QMessageBox,
    QPushButton,
)

from executor.plan.file import read_plan
from simulation.scenario.file import ScenarioFile
from studio.gui.toolkit.settings import RECENT_COUNT
from tests.helpers.command_line import SHOP
from tests.helpers.widgets import child_of
from tests.studio.gui.conftest import Desk

pytestmark = pytest.mark.slow

CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


def other_file(desk: Desk, name: str = "other.yaml", instances: int = 4) -> Path:
    path = desk.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(SHOP.replace("instances: 6", f"instances: {instances}"), encoding="utf-8")
    return path


def choose(desk: Desk, path: Path) -> None:
    """Type a path into the file dialog and press its button."""
    dialog = child_of(desk.window, QFileDialog)
    assert dialog.isVisible()
    edit = child_of(dialog, QLineEdit, "fileNameEdit")
    edit.setText(str(path))
    box = child_of(dialog, QDialogButtonBox)
    kinds = QDialogButtonBox.StandardButton
    accepts = (kinds.Save, kinds.Open)
    desk.click(next(b for b in box.buttons() if box.standardButton(b) in accepts))
    desk.come_back(QFileDialog)


def answer(desk: Desk, word: str) -> None:
    """Answer the question about unsaved changes."""
    box = desk.window.findChild(QMessageBox)
    assert box is not None
    desk.click(next(b for b in box.findChildren(QPushButton) if b.text().strip("&") == word))
    desk.come_back(QMessageBox)


def recent_menu(desk: Desk) -> QMenu:
    return desk.menu("File", "Recent")


def test_save_as_makes_the_new_file_the_open_one(desk: Desk) -> None:
    desk.type_number("Window size", "3")
    desk.run()
    desk.keys(Qt.Key.Key_S, CTRL, SHIFT)
    choose(desk, desk.folder / "night.yaml")
    saved = (desk.folder / "night.yaml").read_text(encoding="utf-8")
    assert saved == SHOP.replace("window: 2", "window: 3")
    assert desk.window.windowTitle() == "night[*] – Rollcast"
    assert not desk.document.is_stale  # the results belong to the saved scenario
    assert desk.action("run.plan").isEnabled()
    # An undo now changes the new file.
    desk.keys(Qt.Key.Key_Z, CTRL)
    assert desk.window.windowTitle() == "night[*] – Rollcast"
    assert desk.window.isWindowModified()
    desk.keys(Qt.Key.Key_S, CTRL)
    assert (desk.folder / "night.yaml").read_text(encoding="utf-8") == SHOP
    assert desk.path.read_text(encoding="utf-8") == SHOP
    desk.type_number("Window size", "4")
    assert desk.window.windowTitle() == "night[*] – Rollcast"


def test_a_name_without_an_ending_gets_one(desk: Desk) -> None:
    desk.keys(Qt.Key.Key_S, CTRL, SHIFT)
    choose(desk, desk.folder / "night")
    assert (desk.folder / "night.yaml").exists()
    desk.run()
    desk.keys(Qt.Key.Key_E, CTRL)
    choose(desk, desk.folder / "tonight")
    assert read_plan(desk.folder / "tonight.json").window == 2


def test_a_scenario_is_not_saved_away_from_its_trace(desk: Desk) -> None:
    (desk.folder / "t.csv").write_text("time,rate\n0,40\n600,40\n", encoding="utf-8")
    traced = SHOP.replace("40/s", "{trace: t.csv}")
    desk.document.open(ScenarioFile.parse(traced, desk.path))
    elsewhere = desk.folder / "elsewhere"
    elsewhere.mkdir()
    assert not desk.window.filing.save_as(elsewhere / "shop.yaml")
    assert "cannot read the trace" in desk.window.status_text
    assert not (elsewhere / "shop.yaml").exists()
    assert desk.document.state.file.path == desk.path
    desk.type_number("Window size", "3")
    assert desk.window.filing.save_as(desk.folder / "beside.yaml")
    assert "trace: t.csv" in (desk.folder / "beside.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("way", ["dialogue", "recent"])
@pytest.mark.parametrize("word", ["Save", "Discard", "Cancel"])
def test_opening_another_file_asks_about_changes(desk: Desk, way: str, word: str) -> None:
    other = other_file(desk)
    desk.settings.remember(other)
    desk.type_number("Window size", "3")

    def ask() -> None:
        if way == "dialogue":
            desk.keys(Qt.Key.Key_O, CTRL)
        else:
            recent_menu(desk).actions()[0].trigger()
        answer(desk, word)

    if word == "Cancel":
        ask()
        assert desk.window.findChild(QFileDialog) is None
    elif way == "dialogue":
        ask()
        desk.run(lambda: choose(desk, other))
    else:
        desk.run(ask)
    assert desk.document.scenario.name == ("shop" if word == "Cancel" else "other")
    assert desk.window.isWindowModified() == (word == "Cancel")
    assert ("window: 3" in desk.path.read_text(encoding="utf-8")) == (word == "Save")


def test_opening_without_changes_asks_nothing(desk: Desk) -> None:
    desk.keys(Qt.Key.Key_O, CTRL)
    desk.run(lambda: choose(desk, other_file(desk)))
    assert desk.document.scenario.name == "other"
    assert desk.window.findChild(QMessageBox) is None


def test_a_save_that_fails_keeps_the_window_open(desk: Desk) -> None:
    desk.type_number("Window size", "3")
    desk.path.unlink()
    desk.path.mkdir()  # a path that cannot be written, even by root
    desk.window.close()
    answer(desk, "Save")
    assert desk.window.isVisible()
    assert "is not saved: it cannot be read: Is a directory" in desk.window.status_text
    assert desk.window.isWindowModified()
    assert desk.document.scenario.window_count() == 3


def test_a_new_scenario_is_asked_for_its_name(desk: Desk) -> None:
    desk.document.open(ScenarioFile.parse(SHOP))
    desk.type_number("Window size", "3")
    desk.keys(Qt.Key.Key_S, CTRL)
    choose(desk, desk.folder / "first.yaml")
    assert "window: 3" in (desk.folder / "first.yaml").read_text(encoding="utf-8")
    assert not desk.window.isWindowModified()


def broken_yaml(path: Path) -> None:
    path.write_text("rollcast: [", encoding="utf-8")


def no_text(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00")


def gone(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("spoil", [broken_yaml, no_text, gone], ids=lambda spoil: spoil.__name__)
def test_a_file_that_cannot_be_read_changes_nothing(
    desk: Desk, spoil: Callable[[Path], None]
) -> None:
    desk.run()
    desk.type_number("Window size", "3")
    bad = other_file(desk)
    spoil(bad)
    assert not desk.window.filing.open(bad)
    assert desk.window.status_text.startswith(f"✗ {bad}")
    assert "\n" not in desk.window.status_text
    assert desk.document.scenario.window_count() == 3
    assert desk.document.undo.canUndo()
    assert desk.window.runs.table.texts()
    assert bad not in desk.settings.recent()


def test_recent_files_are_few_and_true(desk: Desk) -> None:
    paths = [other_file(desk, f"s{k}.yaml") for k in range(RECENT_COUNT + 3)]
    for path in paths:
        desk.settings.remember(path)
    desk.settings.remember(paths[5])
    paths[6].unlink()
    names = [path.name for path in desk.settings.recent()]
    assert names == ["s5.yaml", *(f"s{k}.yaml" for k in (12, 11, 10, 9, 8, 7, 4, 3))]


def test_recent_files_with_the_same_name_show_their_folders(desk: Desk) -> None:
    for folder in ("a&b", "c"):
        desk.settings.remember(other_file(desk, f"{folder}/r&d.yaml"))
    menu = recent_menu(desk)
    assert menu.toolTipsVisible()
    assert [action.text() for action in menu.actions()] == ["r&&d.yaml"] * 2
    tips = [action.toolTip() for action in menu.actions()]
    assert tips == [str(desk.folder / folder / "r&d.yaml") for folder in ("c", "a&b")]


def test_a_file_opened_in_the_middle_of_a_study_starts_afresh(desk: Desk) -> None:
    many = SHOP.replace("replications: 4", "replications: 100000")
    desk.document.open(ScenarioFile.parse(many))
    desk.keys(Qt.Key.Key_F5)
    desk.qtbot.waitUntil(lambda: desk.document.comparison is not None, timeout=60_000)
    other = other_file(desk)
    assert desk.window.filing.open(other)
    desk.qtbot.waitUntil(lambda: not desk.window.jobs.is_running, timeout=60_000)
    comparison = desk.document.comparison
    assert comparison is not None
    assert comparison.scenario.name == "other"
    assert len(comparison.candidates[0].runs) == 4
    assert not desk.document.is_stale


def test_a_written_plan_has_the_figures_of_the_page(desk: Desk) -> None:
    desk.run()
    desk.qtbot.keyClick(desk.window.runs.table, Qt.Key.Key_Up)  # window 1
    desk.keys(Qt.Key.Key_E, CTRL)
    choose(desk, desk.folder / "one.json")
    assert QApplication.activeModalWidget() is None
    plan = read_plan(desk.folder / "one.json")
    assert plan.window == 1
    runs = plan.prediction.verdict
    assert desk.window.headline.banner.sentence == (
        f"✓  Looked at: Window 1 meets every objective in {runs.runs_meeting} of {runs.runs} runs"
    )
    assert json.loads((desk.folder / "one.json").read_text(encoding="utf-8"))
