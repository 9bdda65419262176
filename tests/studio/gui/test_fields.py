"""The fields: drags, the wheel, values being typed, undo inside a field."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QApplication,
    QComboBox,
    QDoubleSpinBox,
    QLineEdit,
    QSlider,
    QWidget,
)

from simulation.scenario.file import ScenarioFile
from studio.resources import scenarios_dir
from tests.helpers.command_line import SHOP
from tests.studio.gui.conftest import WINDOW, Desk

pytestmark = pytest.mark.slow

CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
HELD, FREE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


def drag(slider: QSlider, *shares: float) -> None:
    """Drag the handle to some fractions of the slider, and release it."""
    handle_px = 14

    def at(share: float) -> QPoint:
        along = handle_px / 2 + (slider.width() - handle_px) * share
        return QPoint(round(along), slider.height() // 2)

    here = slider.value() / slider.maximum()
    QTest.mousePress(slider, HELD, FREE, at(here))
    for share in shares:
        for k in range(1, 21):
            QTest.mouseMove(slider, at(here + (share - here) * k / 20))
        here = share
    QTest.mouseRelease(slider, HELD, FREE, at(here))


def turn_the_wheel(over: QWidget) -> None:
    place = QPointF(over.rect().center())
    event = QWheelEvent(
        place, QPointF(over.mapToGlobal(place.toPoint())), QPoint(), QPoint(0, -120),
        Qt.MouseButton.NoButton, FREE, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(over, event)


def begin_to_type(desk: Desk, field: str, text: str) -> QWidget:
    """Type without Enter and without leaving the field."""
    found = [box for box in desk.window.findChildren(QWidget) if box.accessibleName() == field]
    box = next(one for one in found if isinstance(one, QDoubleSpinBox | QLineEdit))
    box.setFocus()
    box.selectAll()
    desk.qtbot.keyClicks(box, text)
    return box


@pytest.mark.parametrize("name", ["Rate", "Drain timeout", "Instances", "Slots each", "p99 under"])
def test_a_dragged_slider_follows_the_hand(desk: Desk, name: str) -> None:
    """A scale that grows with its value would move the handle away from the mouse."""
    slider, number = desk.find(QSlider, f"{name}, slider"), desk.find(QDoubleSpinBox, name)
    slope = (number.value() - number.minimum()) / (slider.value() or 1)
    high = number.minimum() + slope * slider.maximum()
    drag(slider, 0.95, 0.7)
    assert number.value() == pytest.approx(0.7 * high, rel=0.12)
    assert desk.document.undo.count() == 1
    desk.keys(Qt.Key.Key_Z, CTRL)
    assert not desk.document.is_changed


def test_a_slider_takes_up_its_new_scale_when_it_is_let_go(desk: Desk) -> None:
    slider = desk.find(QSlider, "Instances, slider")
    drag(slider, 1.0)
    assert desk.document.scenario.service.instances == 48
    drag(slider, 1.0)
    assert desk.document.scenario.service.instances == 96


@pytest.mark.parametrize("name", ["Rate", "Window size", "p99 under"])
def test_the_wheel_scrolls_and_changes_nothing(desk: Desk, name: str) -> None:
    turn_the_wheel(desk.find(QSlider, f"{name}, slider"))
    box = desk.find(QDoubleSpinBox, name)
    box.setFocus()
    turn_the_wheel(box)
    assert not desk.document.is_changed


def test_numbers_beyond_the_slider_can_be_typed(desk: Desk) -> None:
    desk.type_number("Instances", "1000")
    desk.type_number("p99 under", "60000")
    desk.type_number("Slots each", "64")
    desk.type_number("Drain timeout", "900")
    scenario = desk.document.scenario
    assert scenario.service.instances == 1000
    assert scenario.objectives.latency_p99 == 60.0
    assert scenario.service.slots == 64
    assert scenario.rollout is not None
    assert scenario.rollout.drain.timeout == 900.0


@pytest.mark.parametrize(
    ("name", "typed", "said"),
    [
        ("Window size", "7", "rollout.window: 7: window (7) must not exceed the fleet (6)"),
        ("Errors under", "500", "objectives.error_fraction: 500%: a share must lie between"),
    ],
)
def test_a_number_that_breaks_a_rule_is_refused_with_the_rule(
    desk: Desk, name: str, typed: str, said: str
) -> None:
    was = desk.find(QDoubleSpinBox, name).text()
    desk.type_number(name, typed)
    assert said in desk.window.status_text
    assert "--set" not in desk.window.status_text
    assert "\n" not in desk.window.status_text
    assert desk.find(QDoubleSpinBox, name).text() == was
    assert not desk.document.is_changed
    desk.type_number("Rate", "50")  # a valid value clears the old message
    assert desk.window.status_text == ""


@pytest.mark.parametrize(
    ("field", "typed"),
    [("Window size", "3"), ("Rate", "90"), ("Start at", "18:30"), ("Compare", "2, 4")],
)
def test_undo_works_where_the_value_was_typed(desk: Desk, field: str, typed: str) -> None:
    box = begin_to_type(desk, field, typed)
    desk.keys(Qt.Key.Key_Return)
    assert desk.document.undo.count() == 1
    assert box.hasFocus()
    desk.keys(Qt.Key.Key_Z, CTRL)
    assert desk.document.undo.index() == 0
    desk.keys(Qt.Key.Key_Z, CTRL, SHIFT)
    assert desk.document.undo.index() == 1
    desk.keys(Qt.Key.Key_Z, CTRL)
    desk.keys(Qt.Key.Key_Y, CTRL)
    assert desk.document.undo.index() == 1
    assert isinstance(box, QDoubleSpinBox | QLineEdit)
    assert box.text().startswith(typed)


@pytest.mark.parametrize(("field", "typed"), [("Rate", "77"), ("Start at", "18:3")])
def test_undo_while_typing_is_of_the_letters(desk: Desk, field: str, typed: str) -> None:
    desk.type_number("Window size", "3")
    begin_to_type(desk, field, typed)
    desk.keys(Qt.Key.Key_Z, CTRL)
    assert desk.document.undo.index() == 1  # the window stays
    assert desk.document.scenario.window_count() == 3


@pytest.mark.parametrize("field", ["Window size", "Compare"])
def test_a_shortcut_uses_the_number_being_typed(desk: Desk, field: str) -> None:
    begin_to_type(desk, field, "3")
    desk.run()
    assert "3" in [row[WINDOW] for row in desk.window.runs.table.texts()]
    assert not desk.document.is_stale
    begin_to_type(desk, "Window size", "4")
    desk.keys(Qt.Key.Key_S, CTRL)
    assert desk.path.read_text(encoding="utf-8") == SHOP.replace("window: 2", "window: 4")


def test_closing_asks_about_the_number_being_typed(desk: Desk) -> None:
    begin_to_type(desk, "Window size", "3")
    desk.window.close()
    assert desk.window.isVisible()
    assert desk.document.scenario.window_count() == 3


def test_the_number_being_typed_prevents_a_stale_plan(desk: Desk) -> None:
    desk.run()
    begin_to_type(desk, "Window size", "1")
    desk.keys(Qt.Key.Key_E, CTRL)
    assert desk.document.is_stale
    assert not desk.action("run.plan").isEnabled()
    assert QApplication.activeModalWidget() is None


def test_words_that_say_the_same_are_put_in_order(desk: Desk) -> None:
    edit = desk.find(QLineEdit, "Compare")
    desk.type_text("Compare", "")
    assert edit.text() == "1, 2"
    assert not desk.document.undo.canUndo()
    desk.type_text("Compare", "4 2")
    desk.type_text("Compare", "2,,4, 4")
    assert edit.text() == "2, 4"
    desk.type_text("Start at", " 0s ")
    assert desk.find(QLineEdit, "Start at").text() == "0s"
    assert not desk.document.is_changed


def test_reset_gives_back_the_words_of_the_file(desk: Desk) -> None:
    text = SHOP.replace("window: 2 ", "window: 34% ").replace("timeout: 5s", "timeout: 5000ms")
    desk.document.open(ScenarioFile.parse(text, desk.path))
    desk.type_number("Window size", "4")
    desk.type_number("Drain timeout", "7")
    desk.type_text("Start at", "18:30")
    assert "clock" in desk.document.state.file.text
    for name in ("Window size", "Drain timeout", "Start at"):
        assert desk.document.is_changed
        desk.click(desk.dot(name))
        assert not desk.dot(name).isVisible()
    assert not desk.window.isWindowModified()
    now = desk.document.state.file.text
    assert "window: 34%" in now
    assert "timeout: 5000ms" in now
    assert "clock" not in now


def test_a_slider_back_at_the_saved_value_leaves_no_change(desk: Desk) -> None:
    text = SHOP.replace("window: 2 ", "window: 34% ")
    desk.path.write_text(text, encoding="utf-8")
    desk.document.open(ScenarioFile.parse(text, desk.path))
    desk.slide("Window size", Qt.Key.Key_Right)
    desk.keys(Qt.Key.Key_S, CTRL)
    desk.slide("Window size", Qt.Key.Key_Left)
    desk.slide("Window size", Qt.Key.Key_Right)
    assert not desk.document.is_changed


def test_a_reset_that_breaks_a_rule_is_refused_with_the_rule(desk: Desk) -> None:
    desk.type_number("Window size", "1")
    desk.type_number("Instances", "1")
    desk.click(desk.dot("Window size"))
    assert "window (2) must not exceed the fleet (1)" in desk.window.status_text
    assert desk.document.scenario.window_count() == 1
    assert desk.dot("Window size").isVisible()


def test_a_drag_after_a_save_is_an_undo_step_of_its_own(desk: Desk) -> None:
    desk.slide("Window size", Qt.Key.Key_Right)
    desk.keys(Qt.Key.Key_S, CTRL)
    desk.slide("Window size", Qt.Key.Key_Right)
    assert desk.document.scenario.window_count() == 4
    desk.keys(Qt.Key.Key_Z, CTRL)
    assert desk.document.scenario.window_count() == 3
    assert not desk.document.is_changed


def test_a_scenario_without_a_rollout_has_fewer_fields(desk: Desk) -> None:
    steady = SHOP.split("rollout:", maxsplit=1)[0] + "clock: {horizon: 20s}\n"
    desk.document.open(ScenarioFile.parse(steady))
    names = {box.accessibleName() for box in desk.window.findChildren(QDoubleSpinBox)}
    assert names == {"Rate", "Instances", "Slots each", "Learns after", "Slow start"}
    assert [edit.accessibleName() for edit in texts_of(desk)] == ["Start at"]
    desk.slide("Rate", Qt.Key.Key_Right)
    desk.run()
    assert len(desk.window.runs.table.texts()) == 1
    desk.document.open(ScenarioFile.parse(SHOP))
    assert {edit.accessibleName() for edit in texts_of(desk)} == {"Compare", "Start at"}


def texts_of(desk: Desk) -> list[QLineEdit]:
    return [
        edit for edit in desk.window.findChildren(QLineEdit) if edit.accessibleName() and
        not isinstance(edit.parentWidget(), QDoubleSpinBox)
    ]  # fmt: skip


def test_a_named_fleet_has_no_count_to_edit(desk: Desk) -> None:
    named = SHOP.replace("instances: 6", "instances: [ada, bob, cleo]")
    desk.document.open(ScenarioFile.parse(named))
    names = {box.accessibleName() for box in desk.window.findChildren(QDoubleSpinBox)}
    assert "Instances" not in names
    assert "Slots each" in names


RATES = {
    "steps": ("{steps: [[0s, 40/s], [10s, 80/s]]}", "Scale", "1.5"),
    "daily": ('{daily: {low: 10/s, high: 50/s, peak: "18:00"}}', "Peak rate", "70"),
    "trace": ("{trace: t.csv}", "Scale", "1.5"),
}


@pytest.mark.parametrize("kind", RATES)
def test_each_kind_of_rate_is_edited_and_given_back(desk: Desk, kind: str) -> None:
    rate, name, typed = RATES[kind]
    (desk.folder / "t.csv").write_text("time,rate\n0,40\n60,40\n120,50\n", encoding="utf-8")
    desk.document.open(ScenarioFile.parse(SHOP.replace("40/s", rate), desk.path))
    before = desk.document.scenario.rates().rates_rps
    desk.type_number(name, typed)
    after = desk.document.scenario.rates().rates_rps
    assert after.max() == pytest.approx(
        before.max() * float(typed) / (50 if kind == "daily" else 1)
    )
    assert desk.document.state.file.text.count("\n") == SHOP.count(
        "\n"
    )  # the list is still on one line
    desk.click(desk.dot(name))
    assert np.array_equal(desk.document.scenario.rates().rates_rps, before)
    assert not desk.document.is_changed


def test_closed_traffic_is_edited_by_its_clients(desk: Desk) -> None:
    clients = "clients: {count: 50, think_time: 1s}"
    closed = SHOP.replace("rate: 40/s", f"arrivals: closed\n  {clients}")
    desk.document.open(ScenarioFile.parse(closed, desk.path))
    desk.type_number("Clients", "20")
    assert "clients: {count: 20, think_time: 1s}" in desk.document.state.file.text


def test_of_a_log_of_requests_nothing_is_edited(desk: Desk) -> None:
    logged = SHOP.replace("40/s", "{timestamps: [0.5, 1.5, 1000]}")
    desk.document.open(ScenarioFile.parse(logged, desk.path))
    names = {box.accessibleName() for box in desk.window.findChildren(QDoubleSpinBox)}
    assert not names & {"Rate", "Scale", "Clients"}
    assert "Window size" in names


def test_a_rewritten_trace_file_does_not_prevent_edits(desk: Desk) -> None:
    trace = desk.folder / "t.csv"
    trace.write_text("time,rate\n0,40\n600,40\n", encoding="utf-8")
    text = SHOP.replace("40/s", "{trace: t.csv}")
    desk.path.write_text(text, encoding="utf-8")
    desk.document.open(ScenarioFile.parse(text, desk.path))
    desk.slide("Window size", Qt.Key.Key_Right)
    trace.write_text("time,rate\n0,41\n600,42\n1200,43\n", encoding="utf-8")
    desk.slide("Window size", Qt.Key.Key_Left)
    assert not desk.document.is_changed
    desk.slide("Drain timeout", Qt.Key.Key_Right)
    desk.keys(Qt.Key.Key_Z, CTRL)
    assert not desk.document.is_changed


@pytest.mark.parametrize("path", sorted(scenarios_dir().glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_scenarios_come_back_unchanged(desk: Desk, path: Path) -> None:
    """An undone change leaves nothing to save, whatever the layout of the file."""
    desk.document.open(ScenarioFile.load(path))
    for box in desk.window.panel.findChildren(QDoubleSpinBox):
        name = box.accessibleName()
        desk.slide(name, Qt.Key.Key_Right)
        assert desk.dot(name).isVisible()
        desk.click(desk.dot(name))
        assert not desk.document.is_changed, name


CHOICES = [
    ("Advance", "rollout.advance", "sliding", "batch", "advance: batch"),
    ("Then", "rollout.drain.on_timeout", "cut", "wait", "on_timeout: wait"),
    ("Policy", "services.web.balancer.policy", "round robin", "random", "policy: random"),
]


def choose_word(desk: Desk, name: str, word: str) -> None:
    """Press the arrow key until the word is selected, as in a closed list."""
    box = desk.find(QComboBox, name)
    box.setFocus()
    keys = iter([Qt.Key.Key_Home, *[Qt.Key.Key_Down] * box.count()])
    while box.currentText() != word:
        desk.qtbot.keyClick(box, next(keys))


@pytest.mark.parametrize(
    ("name", "key", "first", "word", "written"), CHOICES, ids=[choice[0] for choice in CHOICES]
)
def test_a_word_is_chosen_reset_and_undone(
    desk: Desk, name: str, key: str, first: str, word: str, written: str
) -> None:
    box = desk.find(QComboBox, name)
    assert box.currentText() == first
    field = box.parentWidget()
    assert field is not None
    assert field.toolTip().endswith(".")
    assert not desk.dot(name).isVisible()
    choose_word(desk, name, word)
    assert written in desk.document.state.file.text
    assert desk.dot(name).isVisible()
    desk.click(desk.dot(name))
    assert box.currentText() == first
    assert desk.document.state.file.text == SHOP
    desk.keys(Qt.Key.Key_Z, CTRL)
    assert box.currentText() == word
    while desk.document.undo.canUndo():
        desk.keys(Qt.Key.Key_Z, CTRL)
    assert box.currentText() == first
    assert not desk.document.is_changed
    desk.keys(Qt.Key.Key_Z, CTRL, SHIFT)
    assert box.currentText() != first
    desk.keys(Qt.Key.Key_S, CTRL)
    assert not desk.dot(name).isVisible()


def test_the_wheel_over_a_word_changes_nothing(desk: Desk) -> None:
    for name in ("Advance", "Then", "Policy"):
        turn_the_wheel(desk.find(QComboBox, name))
    assert not desk.document.is_changed


def test_a_queue_that_is_pulled_from_has_no_balancer_to_edit(desk: Desk) -> None:
    pulled = SHOP.replace("    slots: 2\n", "    slots: 2\n    balancer: {policy: pull}\n")
    desk.document.open(ScenarioFile.parse(pulled, desk.path))
    names = {box.accessibleName() for box in desk.window.panel.findChildren(QComboBox)}
    assert names == {"Advance", "Then"}
    boxes = {box.accessibleName() for box in desk.window.panel.findChildren(QDoubleSpinBox)}
    assert not boxes & {"Learns after", "Slow start"}


def test_a_lock_leaves_only_the_named_fields_enabled(desk: Desk) -> None:
    panel = desk.window.panel

    def free() -> set[str]:
        kinds = (QDoubleSpinBox, QSlider, QComboBox, QLineEdit)
        found = {
            widget.accessibleName()
            for kind in kinds
            for widget in panel.findChildren(kind)
            if widget.isEnabled() and widget.accessibleName()
        }
        return {name.removesuffix(", slider") for name in found}

    every = free()
    assert {"Window size", "Rate", "Advance", "Compare", "Start at"} <= every
    panel.lock(frozenset({"rollout.window"}))
    assert free() == {"Window size"}
    desk.slide("Window size", Qt.Key.Key_Right)
    assert desk.document.scenario.window_count() == 3
    assert free() == {"Window size"}  # an edit unlocks nothing
    desk.qtbot.keyClick(desk.find(QSlider, "Rate, slider"), Qt.Key.Key_Right)
    assert desk.document.scenario.rates().highest_rps() == 40
    panel.lock(frozenset({"rollout.advance", "clock.start"}))
    assert free() == {"Advance", "Start at"}
    desk.document.open(ScenarioFile.parse(SHOP, desk.path))
    assert free() == {"Advance", "Start at"}
    panel.lock(frozenset())
    assert free() == set()
    panel.lock(None)
    assert free() == every
