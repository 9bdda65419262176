"""Actions in menus, shortcuts and the palette; settings, About, and folding of docks."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable

import pytest
from PySide6.QtCore import QSettings, Qt, QTimer
from PySide6.QtGui import QAction, QGuiApplication, QKeySequence
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDockWidget,
    QLabel,
    QListWidgetItem,
    QMenu,
    QPushButton,
    QToolButton,
    QWidget,
)

from studio.gui.frame.command_palette import CommandPalette, closeness, is_match
from studio.gui.toolkit.actions import ACTIONS, MENUS, PAGES, action_text
from studio.gui.toolkit.settings import SETTINGS, Settings
from studio.gui.window import FIRST_SIZE, MINIMUM_SIZE
from studio.views.theme import DARK, GAP_PX, LIGHT
from tests.studio.gui.conftest import Desk
from tests.studio_page import PAGE

pytestmark = [
    pytest.mark.slow,
    # The offscreen platform warns that it can neither raise a popup nor grab keys for it.
    pytest.mark.qt_log_ignore("This plugin does not support (raise|grabbing)", extend=True),
]

CTRL = Qt.KeyboardModifier.ControlModifier


def is_seen(desk: Desk, side: str) -> bool:
    dock = desk.window.findChild(QDockWidget, f"dock-{side}")
    assert isinstance(dock, QDockWidget)
    return dock.isVisible()


def entries(menu: QMenu) -> list[QAction]:
    """Return every entry of a menu and of its submenus."""
    found = []
    for action in menu.actions():
        inner = action.menu()
        found += entries(inner) if isinstance(inner, QMenu) else [action]
    return found


# The table


def test_every_action_has_words_a_tip_and_keys_of_its_own(desk: Desk) -> None:
    for spec in ACTIONS:
        action = desk.action(spec.key)
        assert spec.tip in action.statusTip()
        assert action.shortcuts() == [QKeySequence(keys) for keys in spec.shortcuts]
        assert action.toolTip()
    keys = [keys for spec in ACTIONS for keys in spec.shortcuts]
    assert all(not QKeySequence(key).isEmpty() for key in keys)
    assert len({QKeySequence(key).toString() for key in keys}) == len(keys)
    assert len({spec.key for spec in ACTIONS}) == len(ACTIONS)


def test_every_action_is_in_the_menu_in_the_order_of_the_table(desk: Desk) -> None:
    menu = desk.menu()
    assert [action.text() for action in menu.actions()] == list(MENUS)
    listed = [action.objectName() for action in entries(menu) if action.objectName()]
    assert listed == [spec.key for name in MENUS for spec in ACTIONS if spec.menu == name]


@pytest.mark.parametrize(("key", "number"), [(key, n) for n, (key, _, _) in enumerate(PAGES, 1)])
def test_a_shortcut_and_a_button_show_a_page(desk: Desk, key: str, number: int) -> None:
    desk.window.show_page("compare" if key != "compare" else "replay")
    desk.keys(Qt.Key(Qt.Key.Key_0 + number), CTRL)
    assert desk.window.shown_page == key
    assert desk.window.top_bar.pages.selected_key == key
    desk.window.show_page("compare" if key != "compare" else "replay")
    desk.click(desk.window.top_bar.pages.button(key))
    assert desk.window.shown_page == key


def test_shortcuts_of_pages_differ_from_those_of_the_window(desk: Desk) -> None:
    """Qt ignores a shortcut that both the page and the window have."""
    window_shortcuts = {
        QKeySequence(keys).toString() for spec in ACTIONS for keys in spec.shortcuts
    }
    offered = 0
    for key, _words, _tip in PAGES:
        actions = desk.window.page(key).page_actions()
        keys = [QKeySequence(keys).toString() for _, _, keys, _ in actions if keys]
        offered += len(keys)
        assert len(set(keys)) == len(keys), key
        assert not window_shortcuts & set(keys), key
    assert offered > 0


def test_every_key_of_a_page_is_in_the_docs(desk: Desk) -> None:
    documented = {
        line
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("- ") and line.endswith("`")
    }
    offered = {
        f"- {words}, {what}: `{keys}`"
        for key, words, _tip in PAGES
        for _key, what, keys, _slot in desk.window.page(key).page_actions()
        if keys
    }
    assert offered == documented


def test_the_menu_can_be_opened_by_the_space_bar(desk: Desk) -> None:
    button = desk.window.top_bar.menu_button
    opened: list[bool] = []
    menu = button.menu()

    def close() -> None:
        opened.append(menu.isVisible())
        menu.close()

    QTimer.singleShot(0, close)  # an open menu runs its own event loop
    button.setFocus()
    desk.keys(Qt.Key.Key_Space)
    assert opened == [True]


# The palette


def palette(desk: Desk) -> CommandPalette:
    desk.keys(Qt.Key.Key_K, CTRL)
    found = desk.window.findChild(CommandPalette)
    assert isinstance(found, CommandPalette)
    assert found.isVisible()
    return found


def lines(found: CommandPalette) -> list[str]:
    return [found.list.item(row).text() for row in range(found.list.count())]


def line_of(found: CommandPalette, action: QAction) -> QListWidgetItem:
    items = [found.list.item(row) for row in range(found.list.count())]
    return next(item for item in items if item.data(Qt.ItemDataRole.UserRole) is action)


@pytest.mark.parametrize(
    ("typed", "words", "is_one"),
    [
        ("", "File: Open…", True),
        ("open", "File: Open…", True),
        ("fo", "File: Open…", True),
        ("OPEN", "File: Open…", True),
        ("nepo", "File: Open…", False),
        ("ex re", "File: Export report…", True),
        ("zz", "File: Export report…", False),
    ],
)
def test_letters_match_in_their_order(typed: str, words: str, is_one: bool) -> None:
    assert is_match(typed, words) == is_one


def test_whole_words_come_before_letters_here_and_there() -> None:
    words = ["View: Compare", "Run: Cancel", "Edit: Rename run"]
    assert sorted(words, key=lambda one: closeness("run", one))[:2] == [
        "Run: Cancel",
        "Edit: Rename run",
    ]


def test_ctrl_k_finds_an_action_and_enter_does_it(desk: Desk) -> None:
    found = palette(desk)
    assert len(lines(found)) >= len(ACTIONS)
    desk.qtbot.keyClicks(found.line, "dark")
    assert lines(found) == ["View: Dark or light    Ctrl+T"]
    desk.qtbot.keyClick(found.line, Qt.Key.Key_Return)
    assert desk.settings.theme is DARK
    desk.come_back(CommandPalette)
    desk.keys(Qt.Key.Key_T, CTRL)
    assert desk.settings.theme is LIGHT


def test_arrows_choose_while_the_line_keeps_the_focus(desk: Desk) -> None:
    found = palette(desk)
    desk.qtbot.keyClicks(found.line, "view trade")
    first = lines(found)
    assert first[0] == "View: Trade-off    Ctrl+3"
    found.line.clear()
    desk.qtbot.keyClicks(found.line, "view")
    place = [line.startswith("View: Compare") for line in lines(found)].index(True)
    for _step in range(place + 1):
        desk.qtbot.keyClick(found.line, Qt.Key.Key_Down)
    desk.qtbot.keyClick(found.line, Qt.Key.Key_Up)
    assert found.list.currentRow() == place
    desk.qtbot.keyClick(found.line, Qt.Key.Key_Return)
    assert desk.window.shown_page == "compare"
    desk.come_back(CommandPalette)


def test_a_click_does_it_and_escape_does_nothing(desk: Desk) -> None:
    found = palette(desk)
    desk.qtbot.keyClick(found.line, Qt.Key.Key_Escape)
    desk.come_back(CommandPalette)
    assert desk.window.shown_page == "replay"
    found = palette(desk)
    desk.qtbot.keyClicks(found.line, "timing")
    place = found.list.visualItemRect(found.list.item(0)).center()
    held = Qt.KeyboardModifier.NoModifier
    desk.qtbot.mouseClick(found.list.viewport(), Qt.MouseButton.LeftButton, held, place)
    assert desk.window.shown_page == "timing"
    desk.come_back(CommandPalette)


def test_a_disabled_action_is_listed_and_not_run(desk: Desk) -> None:
    found = palette(desk)
    desk.qtbot.keyClicks(found.line, "undo")
    assert not found.list.item(0).flags() & Qt.ItemFlag.ItemIsEnabled
    desk.qtbot.keyClick(found.line, Qt.Key.Key_Return)
    assert found.isVisible()
    found.close()
    desk.come_back(CommandPalette)
    desk.type_number("Window size", "3")
    found = palette(desk)
    desk.qtbot.keyClicks(found.line, "undo")
    desk.qtbot.keyClick(found.line, Qt.Key.Key_Return)
    assert desk.document.scenario.window_count() == 2
    desk.come_back(CommandPalette)


def test_the_actions_of_the_page_are_listed_and_those_of_others_are_not(desk: Desk) -> None:
    own = [desk.action(one[0]) for one in desk.window.page("replay").page_actions()]
    assert own
    found = palette(desk)
    for action in own:
        assert action_text(action) in line_of(found, action).text()
        assert line_of(found, action).text().startswith("Replay: ")
    found.close()
    desk.come_back(CommandPalette)
    desk.keys(Qt.Key.Key_2, CTRL)
    found = palette(desk)
    assert not any(line.startswith("Replay: ") for line in lines(found))
    found.close()
    desk.come_back(CommandPalette)


def test_a_button_in_the_bottom_bar_opens_the_palette(desk: Desk) -> None:
    desk.click(desk.find(QToolButton, "Every action"))
    found = desk.window.findChild(CommandPalette)
    assert found is not None
    found.close()
    desk.come_back(CommandPalette)


# Settings and About


def the_dialog(desk: Desk, title: str) -> QDialog:
    found = [
        dialog for dialog in desk.window.findChildren(QDialog) if dialog.windowTitle() == title
    ]
    assert len(found) == 1
    assert found[0].isVisible()
    return found[0]


def close(desk: Desk, dialog: QDialog) -> None:
    button = next(b for b in dialog.findChildren(QPushButton) if b.text().strip("&") == "Close")
    desk.click(button)
    desk.come_back(QDialog)


def test_every_setting_is_in_the_dialogue_and_is_remembered(desk: Desk) -> None:
    desk.keys(Qt.Key.Key_Comma, CTRL)
    dialog = the_dialog(desk, "Settings")
    said = {label.text() for label in dialog.findChildren(QLabel)}
    for setting in SETTINGS:
        assert setting.tip in said
        before = desk.settings.value(setting.key)
        if setting.choices:
            box = next(
                one
                for one in dialog.findChildren(QComboBox)
                if one.accessibleName() == setting.words
            )
            assert [box.itemText(k) for k in range(box.count())] == [
                words for _, words in setting.choices
            ]
            box.setFocus()
            desk.qtbot.keyClick(box, Qt.Key.Key_Down)
        else:
            check = next(
                check_box
                for check_box in dialog.findChildren(QCheckBox)
                if check_box.text() == setting.words
            )
            check.setFocus()
            desk.qtbot.keyClick(check, Qt.Key.Key_Space)
        after = desk.settings.value(setting.key)
        assert after != before
        store = QSettings(str(desk.folder / "settings.ini"), QSettings.Format.IniFormat)
        assert Settings(store).value(setting.key) == after  # before the dialog is closed
    close(desk, dialog)


def test_the_theme_is_changed_at_once(desk: Desk) -> None:
    desk.keys(Qt.Key.Key_Comma, CTRL)
    dialog = the_dialog(desk, "Settings")
    box = dialog.findChild(QComboBox)
    desk.qtbot.keyClick(box, Qt.Key.Key_Down)
    assert desk.window.palette().window().color().name().upper() == DARK.page
    desk.qtbot.keyClick(box, Qt.Key.Key_Up)
    assert desk.window.palette().window().color().name().upper() == LIGHT.page
    close(desk, dialog)


def test_about_says_the_versions_and_they_can_be_copied(desk: Desk) -> None:
    desk.keys(Qt.Key.Key_F1, Qt.KeyboardModifier.ShiftModifier)
    dialog = the_dialog(desk, "About Rollcast")
    text = next(
        label.text()
        for label in dialog.findChildren(QLabel)
        if label.accessibleName() == "Versions"
    )
    for package in ("rollcast", "PySide6-Essentials", "numba", "simpy"):
        assert f"{package}  {importlib.metadata.version(package)}" in text.splitlines()
    for name in ("Python", "Qt", "Platform", "Engine", "Cache", "Licence"):
        assert any(line.startswith(f"{name}  ") for line in text.splitlines()), name
    copy = next(b for b in dialog.findChildren(QPushButton) if b.text().strip("&") == "Copy")
    desk.click(copy)
    assert QGuiApplication.clipboard().text() == text
    close(desk, dialog)


# Folding


FOLDS: list[tuple[str, Qt.Key, bool]] = [
    ("left", Qt.Key.Key_F6, True),
    ("right", Qt.Key.Key_F7, True),
    ("bottom", Qt.Key.Key_F8, False),
]


@pytest.mark.parametrize(("side", "key", "at_first"), FOLDS, ids=[side for side, _, _ in FOLDS])
def test_a_key_folds_a_side_and_brings_it_back(
    desk: Desk, side: str, key: Qt.Key, at_first: bool
) -> None:
    assert is_seen(desk, side) == at_first
    desk.keys(key)
    assert is_seen(desk, side) != at_first
    desk.keys(key)
    assert is_seen(desk, side) == at_first


def test_the_runs_fold_in_a_narrow_window(desk: Desk) -> None:
    def shows(width: int, seen: bool) -> Callable[[], bool]:
        return lambda: desk.window.width() == width and is_seen(desk, "right") == seen

    unfold = desk.find(QToolButton, "Show the runs")
    assert not unfold.isVisible()
    desk.window.resize(*MINIMUM_SIZE)
    desk.qtbot.waitUntil(shows(MINIMUM_SIZE[0], False))
    assert unfold.isVisible()
    desk.click(unfold)  # the user may show them in a narrow window
    assert is_seen(desk, "right")
    assert not unfold.isVisible()
    assert desk.window.width() == MINIMUM_SIZE[0]
    desk.keys(Qt.Key.Key_F7)
    desk.window.resize(*FIRST_SIZE)
    desk.qtbot.waitUntil(shows(FIRST_SIZE[0], True))


def test_a_dock_folded_by_the_user_stays_folded(desk: Desk) -> None:
    desk.keys(Qt.Key.Key_F7)
    assert not is_seen(desk, "right")
    desk.window.resize(*MINIMUM_SIZE)
    desk.window.resize(*FIRST_SIZE)
    desk.qtbot.waitUntil(lambda: desk.window.width() == FIRST_SIZE[0])
    assert not is_seen(desk, "right")


def test_nothing_touches_an_edge_whatever_is_folded(desk: Desk) -> None:
    desk.keys(Qt.Key.Key_F8)
    middle, beneath = desk.window.headline, desk.window.jobs_panel

    def lefts() -> set[int]:
        return {one.mapTo(desk.window, one.rect().topLeft()).x() for one in (middle, beneath)}

    def right_of(widget: QWidget) -> int:
        return widget.mapTo(desk.window, widget.rect().topRight()).x()

    desk.qtbot.waitUntil(lambda: len(lefts()) == 1)  # one above the other
    assert right_of(middle) == right_of(beneath)
    desk.keys(Qt.Key.Key_F6)
    desk.qtbot.waitUntil(lambda: lefts() == {GAP_PX})
    desk.keys(Qt.Key.Key_F7)
    edge = desk.window.width() - 1 - GAP_PX
    desk.qtbot.waitUntil(lambda: right_of(beneath) == edge)
    assert right_of(middle) <= edge
    desk.keys(Qt.Key.Key_F6)
    desk.qtbot.waitUntil(lambda: len(lefts()) == 1 and lefts() != {GAP_PX})
