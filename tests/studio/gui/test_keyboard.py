"""The window by keyboard and screen reader alone."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QDoubleSpinBox,
    QLabel,
    QLineEdit,
    QSlider,
    QToolButton,
    QWidget,
)

from simulation.scenario.file import ScenarioFile
from studio.gui.document.commands import edit_windows
from studio.gui.window import MINIMUM_SIZE
from studio.views.theme import DARK, LIGHT
from tests.helpers.command_line import SHOP
from tests.studio.gui.conftest import WINDOW, Desk

pytestmark = pytest.mark.slow

CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier

PLACES: list[tuple[type[QWidget], str]] = [
    (QSlider, "Window size, slider"),
    (QDoubleSpinBox, "Rate"),
    (QLineEdit, "Start at"),
    (QWidget, "Runs"),
    (QToolButton, "Menu"),
]


def spoken(widget: QWidget) -> str:
    """Return the text that a screen reader reads for a widget."""
    return QAccessible.queryAccessibleInterface(widget).text(QAccessible.Text.Name)


def all_that_is_spoken(desk: Desk) -> set[str]:
    return {spoken(label) for label in desk.window.findChildren(QLabel) if label.isVisible()}


@pytest.mark.parametrize(("kind", "name"), PLACES, ids=[name for _, name in PLACES])
def test_keys_work_wherever_the_focus_is(desk: Desk, kind: type[QWidget], name: str) -> None:
    desk.find(kind, name).setFocus()
    desk.run()
    assert desk.window.runs.table.texts()
    desk.keys(Qt.Key.Key_T, CTRL)
    assert desk.settings.theme is DARK
    desk.keys(Qt.Key.Key_T, CTRL)
    desk.type_number("Window size", "3")
    desk.find(kind, name).setFocus()
    desk.keys(Qt.Key.Key_Z, CTRL)
    assert desk.document.scenario.window_count() == 2
    desk.keys(Qt.Key.Key_Z, CTRL, SHIFT)
    desk.keys(Qt.Key.Key_S, CTRL)
    assert "window: 3" in desk.path.read_text(encoding="utf-8")
    desk.document.open(ScenarioFile.parse(SHOP.replace("replications: 4", "replications: 9999")))
    desk.find(kind, name).setFocus()
    desk.keys(Qt.Key.Key_F5)
    assert desk.window.jobs.is_running
    desk.keys(Qt.Key.Key_Escape)
    assert not desk.window.jobs.is_running
    desk.keys(Qt.Key.Key_Q, CTRL)
    assert not desk.window.isVisible()


def test_the_tab_key_leads_out_of_the_table(desk: Desk) -> None:
    desk.run()
    table = desk.window.runs.table
    table.setFocus()
    desk.keys(Qt.Key.Key_Tab)
    after = QApplication.focusWidget()
    assert after is not table
    table.setFocus()
    desk.keys(Qt.Key.Key_Backtab, SHIFT)
    assert QApplication.focusWidget() not in (table, after)


def test_the_tab_key_goes_round_and_shows_where_it_is(desk: Desk) -> None:
    """At the smallest size the panel scrolls to the focused widget."""
    desk.window.resize(*MINIMUM_SIZE)
    desk.run()
    first = desk.find(QSlider, "Window size, slider")
    first.setFocus()
    seen: list[QWidget] = []
    while (now := QApplication.focusWidget()) not in seen:
        assert now is not None
        seen.append(now)
        corner = now.mapTo(desk.window, now.rect().center())
        assert desk.window.rect().contains(corner)
        assert not now.visibleRegion().isEmpty(), now.accessibleName()
        desk.keys(Qt.Key.Key_Tab)
    assert QApplication.focusWidget() is first
    names = [widget.accessibleName() for widget in seen]
    own = [one.accessibleName() for one in seen if desk.window.panel.isAncestorOf(one)]
    fields = [name for name in own if f"{name}, slider" in own]
    assert fields == [
        "Window size", "Pause", "Ready for", "Drain timeout", "Rate", "Instances", "Slots each",
        "p99 under", "Errors under", "Within", "Learns after", "Slow start",
    ]  # fmt: skip
    assert {"Compare", "Start at", "Advance", "Then", "Policy", "Menu"} <= set(names)
    buttons = {widget.text() for widget in seen if isinstance(widget, QAbstractButton)}
    assert {"Plan window 2", "‹"} <= buttons


def test_the_buttons_can_be_pressed_with_the_space_bar(desk: Desk) -> None:
    desk.type_number("Window size", "3")
    desk.dot("Window size").setFocus()
    desk.keys(Qt.Key.Key_Space)
    assert desk.document.scenario.window_count() == 2


def test_arrows_walk_through_the_candidates(desk: Desk) -> None:
    desk.type_text("Compare", "1, 2, 3, 4")
    desk.run()
    table = desk.window.runs.table
    table.setFocus()
    for key, window in (
        (Qt.Key.Key_Home, None),
        (Qt.Key.Key_Up, None),
        (Qt.Key.Key_PageUp, "1"),
        (Qt.Key.Key_Down, "2"),
        (Qt.Key.Key_PageDown, "4"),
        (Qt.Key.Key_Down, "4"),
        (Qt.Key.Key_Up, "3"),
    ):
        desk.keys(key)
        if window is not None:
            assert f"Window {window}" in desk.window.headline.banner.sentence
            assert table.currentIndex().siblingAtColumn(WINDOW).data() == window


def test_the_answer_and_the_figures_are_spoken(desk: Desk) -> None:
    desk.run()
    headline = desk.window.headline
    figures = [card.figure for card in headline.cards.values()]
    assert {
        f"Verdict: {headline.banner.sentence}",
        f"Rollout takes: {figures[0]}",
        f"Fewest in the pool: {figures[1]}",
        f"p99 during rollout: {figures[2]}",
        f"Lost per rollout: {figures[3]}",
    } <= all_that_is_spoken(desk)
    desk.type_text("Start at", "noon")
    said = [words for words in all_that_is_spoken(desk) if words.startswith("Message: ")]
    assert said == [f"Message: {desk.window.status_text}"]


def test_a_screen_reader_gets_the_whole_of_a_shortened_text(desk: Desk) -> None:
    question = "Is this a question that no window is wide enough for? " * 8
    long = SHOP.replace("May two be out at once?", question.strip())
    desk.document.open(ScenarioFile.parse(long))
    assert question.strip() in all_that_is_spoken(desk)
    label = next(one for one in desk.window.findChildren(QLabel) if one.objectName() == "question")
    assert label.toolTip() == question.strip()


def test_markup_in_a_name_is_shown_as_text(desk: Desk) -> None:
    marked = SHOP.replace("May two be out at once?", "'Are <b>two</b> & more < three?'")
    desk.document.open(ScenarioFile.parse(marked))
    label = next(one for one in desk.window.findChildren(QLabel) if one.objectName() == "question")
    assert label.text() == "Are <b>two</b> & more < three?"
    assert label.textFormat() == Qt.TextFormat.PlainText


@pytest.mark.parametrize("wrong", [True, False])
def test_messages_have_enough_contrast_in_both_themes(desk: Desk, wrong: bool) -> None:
    say = desk.window.show_error if wrong else desk.window.show_message
    say("words")
    label = next(
        one for one in desk.window.findChildren(QLabel) if spoken(one).startswith("Message: ")
    )
    for theme in (DARK, LIGHT):
        desk.keys(Qt.Key.Key_T, CTRL)
        colour = label.palette().color(label.foregroundRole()).name().upper()
        assert colour == (theme.fails_text if wrong else theme.soft)


def test_nothing_needs_more_room_than_the_smallest_window_has(desk: Desk) -> None:
    long = SHOP.replace("rollcast:", f"name: {'n' * 80}\nrollcast:")
    large = long.replace("instances: 6", "instances: 1000")
    desk.document.open(
        ScenarioFile.parse(large.replace("question: May", f"question: {'May ' * 60}"))
    )
    edit_windows(desk.document, tuple(range(1, 40)))
    desk.window.show_error("words " * 100)
    desk.window.resize(*MINIMUM_SIZE)
    central = desk.window.centralWidget()
    assert central is not None
    needed = central.minimumSizeHint()
    assert needed.width() <= MINIMUM_SIZE[0]
    assert needed.height() <= MINIMUM_SIZE[1]
    assert (desk.window.width(), desk.window.height()) == MINIMUM_SIZE
