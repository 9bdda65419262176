"""Another program changes, replaces or deletes the open file; no unseen change is overwritten."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QDialog,
    QDoubleSpinBox,
    QFileDialog,
    QMainWindow,
    QMessageBox,
    QPlainTextEdit,
    QPushButton,
)

from studio.gui.document.unsaved_edits import read
from tests.helpers.command_line import SHOP
from tests.helpers.widgets import child_of
from tests.studio.gui.conftest import Desk

CTRL = Qt.KeyboardModifier.ControlModifier
THEIRS = SHOP.replace("instances: 6", "instances: 8")
OURS = SHOP.replace("window: 2", "window: 3")


def write_in_place(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def replace_by_rename(path: Path, text: str) -> None:
    beside = path.with_name("new")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, path)


def delete_and_write(path: Path, text: str) -> None:
    path.unlink()
    path.write_text(text, encoding="utf-8")


WAYS = [write_in_place, replace_by_rename, delete_and_write]


def bar_words(desk: Desk) -> str:
    bar = desk.window.file_watch.bar
    return bar.words if bar.isVisible() else ""


def wait_for_bar(desk: Desk, part: str) -> None:
    desk.qtbot.waitUntil(lambda: part in bar_words(desk))


def press(desk: Desk, word: str) -> None:
    desk.click(desk.window.file_watch.bar.buttons[word])


def on_disk(desk: Desk) -> str:
    return desk.path.read_text(encoding="utf-8")


def save(desk: Desk) -> None:
    desk.action("file.save").trigger()


@pytest.mark.parametrize("change", WAYS)
def test_a_save_never_overwrites_an_unseen_change(
    desk: Desk, change: Callable[[Path, str], None]
) -> None:
    """Save at once, before the watcher can report the change."""
    desk.type_number("Window size", "3")
    change(desk.path, THEIRS)
    save(desk)
    assert on_disk(desk) == THEIRS
    assert "shop.yaml: is not saved: it was changed by another program" in desk.window.status_text
    assert (
        bar_words(desk) == "shop.yaml was changed on disk, and you have edits that are not saved."
    )
    assert list(desk.window.file_watch.bar.buttons) == ["Reload", "Keep mine", "Show difference"]
    assert desk.window.isWindowModified()
    save(desk)  # a refused save does not allow the next one
    assert on_disk(desk) == THEIRS


@pytest.mark.parametrize("change", WAYS)
def test_every_change_is_noticed_again_and_again(
    desk: Desk, change: Callable[[Path, str], None]
) -> None:
    """The watcher loses a file that is replaced by a rename; the studio watches the new file."""

    def has_instances(count: int) -> bool:
        return desk.document.scenario.service.instance_count == count

    for count in (7, 8, 9):
        change(desk.path, SHOP.replace("instances: 6", f"instances: {count}"))
        desk.qtbot.waitUntil(partial(has_instances, count))
    assert not desk.document.is_changed
    assert bar_words(desk) == ""


def test_a_changed_file_without_edits_is_reloaded_as_an_undo_step(desk: Desk) -> None:
    theirs = THEIRS.replace("# two at once", "# as the rota says")
    replace_by_rename(desk.path, theirs)
    desk.qtbot.waitUntil(lambda: desk.document.scenario.service.instance_count == 8)
    assert "was reloaded" in desk.window.status_text
    assert not desk.window.isWindowModified()
    assert desk.document.undo.undoText() == "reload from disk"
    desk.document.undo.undo()
    assert desk.document.scenario.service.instance_count == 6
    assert desk.window.isWindowModified()  # the file says something else
    desk.document.undo.redo()
    assert not desk.window.isWindowModified()
    desk.type_number("Window size", "3")
    save(desk)
    assert on_disk(desk) == theirs.replace("window: 2", "window: 3")  # their comments too


def test_comments_that_another_program_wrote_are_not_lost_either(desk: Desk) -> None:
    theirs = SHOP.replace("# two at once", "# as the rota says")
    write_in_place(desk.path, theirs)
    desk.qtbot.waitUntil(lambda: desk.document.state.file.text == theirs)
    desk.type_number("Window size", "3")
    save(desk)
    assert on_disk(desk) == theirs.replace("window: 2", "window: 3")


def test_reload_takes_theirs_and_one_undo_brings_mine_back(desk: Desk) -> None:
    desk.type_number("Window size", "3")
    replace_by_rename(desk.path, THEIRS)
    wait_for_bar(desk, "was changed on disk")
    press(desk, "Reload")
    assert desk.document.state.file.text == THEIRS
    assert not desk.window.isWindowModified()
    assert bar_words(desk) == ""
    desk.document.undo.undo()
    assert desk.document.scenario.window_count() == 3
    assert desk.document.scenario.service.instance_count == 6
    save(desk)  # the other program's change was seen
    assert on_disk(desk) == OURS


def test_keep_mine_allows_a_save_over_the_seen_change_only(desk: Desk) -> None:
    desk.type_number("Window size", "3")
    replace_by_rename(desk.path, THEIRS)
    wait_for_bar(desk, "was changed on disk")
    press(desk, "Keep mine")
    assert bar_words(desk) == ""
    assert desk.window.isWindowModified()
    later = THEIRS.replace("instances: 8", "instances: 9")
    replace_by_rename(desk.path, later)
    save(desk)
    assert on_disk(desk) == later
    press(desk, "Keep mine")
    save(desk)
    assert on_disk(desk) == OURS
    assert not desk.window.isWindowModified()
    desk.window.file_watch.check()
    assert bar_words(desk) == ""  # the studio's own save is not reported as a change


def test_after_keep_mine_the_dots_and_reset_mean_the_file_on_disk(desk: Desk) -> None:
    desk.type_number("Window size", "3")
    replace_by_rename(desk.path, THEIRS)
    wait_for_bar(desk, "was changed on disk")
    press(desk, "Keep mine")
    desk.action("edit.reset").trigger()
    assert desk.document.state.file.text == THEIRS
    assert not desk.window.isWindowModified()


def test_the_difference_is_shown_and_the_question_stays(desk: Desk) -> None:
    desk.type_number("Window size", "3")
    replace_by_rename(desk.path, THEIRS)
    wait_for_bar(desk, "was changed on disk")
    press(desk, "Show difference")
    dialog = desk.window.findChild(QDialog)
    assert dialog is not None
    lines = child_of(dialog, QPlainTextEdit).toPlainText().splitlines()
    assert lines[:2] == ["--- shop.yaml on disk", "+++ shop.yaml here"]
    changed = {line.split("#")[0].strip() for line in lines[2:] if line[0] in "+-"}
    assert changed == {"-    instances: 8", "+    instances: 6", "-  window: 2", "+  window: 3"}
    dialog.close()
    assert bar_words(desk).startswith("shop.yaml was changed on disk")


def test_a_deleted_file_is_written_again_only_on_request(desk: Desk) -> None:
    desk.path.unlink()
    wait_for_bar(desk, "shop.yaml was deleted on disk. The scenario shown here is in no file.")
    assert desk.window.isWindowModified()  # closing the window would lose the scenario
    save(desk)
    assert not desk.path.exists()
    assert "was deleted by another program" in desk.window.status_text
    press(desk, "Write it again")
    assert on_disk(desk) == SHOP
    assert not desk.window.isWindowModified()
    assert bar_words(desk) == ""


def test_a_deleted_file_that_came_back_is_not_written_over(desk: Desk) -> None:
    desk.type_number("Window size", "3")
    desk.path.unlink()
    wait_for_bar(desk, "was deleted")
    desk.path.write_text(THEIRS, encoding="utf-8")
    press(desk, "Write it again")  # before the studio notices the change
    assert on_disk(desk) == THEIRS
    assert bar_words(desk).startswith("shop.yaml was changed on disk, and you have edits")


def test_a_restored_file_ends_the_question(desk: Desk) -> None:
    desk.path.unlink()
    wait_for_bar(desk, "was deleted")
    desk.path.write_text(SHOP, encoding="utf-8")
    desk.qtbot.waitUntil(lambda: bar_words(desk) == "")
    assert not desk.window.isWindowModified()


def test_closing_the_window_does_not_save_over_it(desk: Desk) -> None:
    desk.type_number("Window size", "3")
    desk.path.write_text(THEIRS, encoding="utf-8")
    desk.window.close()
    box = child_of(desk.window, QMessageBox)
    desk.click(next(b for b in box.findChildren(QPushButton) if b.text().strip("&") == "Save"))
    desk.come_back(QMessageBox)
    assert desk.window.isVisible()
    assert on_disk(desk) == THEIRS
    assert bar_words(desk) != ""


def test_saving_as_the_same_file_by_another_path_does_not_save_over_it(desk: Desk) -> None:
    desk.type_number("Window size", "3")
    desk.path.write_text(THEIRS, encoding="utf-8")
    link = desk.folder / "link.yaml"
    link.symlink_to(desk.path)
    assert not desk.window.filing.save_as(link)
    assert on_disk(desk) == THEIRS


@pytest.mark.parametrize(
    ("text", "reason"), [("rollcast: [", "shop.yaml"), (SHOP.replace("6", "six", 1), "instances")]
)
def test_an_invalid_file_is_reported_and_not_overwritten_unseen(
    desk: Desk, text: str, reason: str
) -> None:
    desk.path.write_text(text, encoding="utf-8")
    wait_for_bar(desk, "shop.yaml was changed on disk and is not a scenario any more: ")
    assert reason in bar_words(desk)
    assert desk.document.state.file.text == SHOP
    assert desk.window.isWindowModified()
    save(desk)
    assert on_disk(desk) == text
    press(desk, "Keep mine")
    desk.window.file_watch.check()
    assert desk.window.isWindowModified()
    save(desk)
    assert on_disk(desk) == SHOP
    assert not desk.window.isWindowModified()


def test_a_file_that_is_half_written_is_read_once_it_is_whole(desk: Desk) -> None:
    desk.path.write_text(THEIRS[:60], encoding="utf-8")
    wait_for_bar(desk, "is not a scenario any more")
    desk.path.write_text(THEIRS, encoding="utf-8")
    desk.qtbot.waitUntil(lambda: desk.document.scenario.service.instance_count == 8)
    assert bar_words(desk) == ""
    assert not desk.window.isWindowModified()


def test_an_unreadable_file_is_never_overwritten(desk: Desk) -> None:
    desk.type_number("Window size", "3")
    desk.path.write_bytes(b"\xff\xfe\x00")
    save(desk)
    assert desk.path.read_bytes() == b"\xff\xfe\x00"
    assert "shop.yaml cannot be read any more" in bar_words(desk)
    assert list(desk.window.file_watch.bar.buttons) == ["Look again", "Save as…"]
    press(desk, "Look again")
    assert bar_words(desk) != ""
    press(desk, "Save as…")
    dialog = desk.window.findChild(QFileDialog)
    assert dialog is not None
    dialog.close()
    desk.come_back(QFileDialog)
    assert desk.window.filing.save_as(desk.folder / "other.yaml")
    assert bar_words(desk) == ""
    assert not desk.window.isWindowModified()


def test_the_same_change_on_both_sides_is_no_question(desk: Desk) -> None:
    desk.type_number("Window size", "3")
    replace_by_rename(desk.path, OURS)
    desk.qtbot.waitUntil(lambda: not desk.window.isWindowModified())
    assert bar_words(desk) == ""


def test_activating_the_window_checks_the_file(desk: Desk) -> None:
    """Network drives report no changes; the test disconnects the watcher instead."""
    watcher = desk.window.file_watch._watcher
    watcher.blockSignals(True)
    desk.path.write_text(THEIRS, encoding="utf-8")
    other = QMainWindow()
    desk.qtbot.addWidget(other)
    other.show()
    other.activateWindow()
    desk.qtbot.waitUntil(other.isActiveWindow)
    desk.window.activateWindow()
    desk.qtbot.waitUntil(lambda: desk.document.scenario.service.instance_count == 8)


def test_a_reload_keeps_the_number_being_typed(desk: Desk) -> None:
    box = desk.find(QDoubleSpinBox, "Window size")
    box.setFocus()
    box.selectAll()
    desk.qtbot.keyClicks(box, "3")
    replace_by_rename(desk.path, THEIRS)
    wait_for_bar(desk, "you have edits that are not saved")
    assert desk.document.scenario.window_count() == 3


def test_the_side_file_holds_the_edits_before_during_and_after_the_question(desk: Desk) -> None:
    recovery = desk.window.recovery
    desk.type_number("Window size", "3")
    recovery.keep()
    side_file = recovery.side_file
    assert side_file is not None
    replace_by_rename(desk.path, THEIRS)
    wait_for_bar(desk, "was changed on disk")
    assert read(side_file).saved == SHOP  # a crash now: "its file was changed since"
    press(desk, "Keep mine")
    assert side_file.exists()
    held = read(side_file)
    assert (held.saved, held.text) == (THEIRS, desk.document.state.file.text)
    save(desk)
    assert not side_file.exists()


def test_a_deleted_file_survives_a_crash_in_the_side_file(desk: Desk) -> None:
    desk.path.unlink()
    wait_for_bar(desk, "was deleted")
    desk.qtbot.waitUntil(lambda: desk.window.recovery.side_file is not None, timeout=5000)
    side_file = desk.window.recovery.side_file
    assert side_file is not None
    assert read(side_file).text == SHOP


def test_another_file_that_is_opened_is_the_one_that_is_watched(desk: Desk) -> None:
    other = desk.folder / "other.yaml"
    other.write_text(SHOP, encoding="utf-8")
    desk.path.unlink()
    wait_for_bar(desk, "was deleted")
    assert desk.window.filing.open(other)
    assert bar_words(desk) == ""
    desk.path.write_text(THEIRS, encoding="utf-8")
    other.write_text(SHOP.replace("instances: 6", "instances: 9"), encoding="utf-8")
    desk.qtbot.waitUntil(lambda: desk.document.scenario.service.instance_count == 9)
