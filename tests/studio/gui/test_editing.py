"""Editing, undoing, saving and planning, with keys and clicks on the real widgets."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, QSettings, Qt
from PySide6.QtWidgets import (
    QFileDialog,
    QLineEdit,
    QMessageBox,
    QPushButton,
    QScrollArea,
    QSlider,
    QToolButton,
    QWidget,
)

from executor.plan.file import read_plan
from simulation.scenario.file import ScenarioFile
from studio.gui.docks.runs_dock import HEADINGS
from studio.gui.toolkit.settings import Settings
from studio.views.theme import DARK, LIGHT
from tests.helpers.command_line import SHOP
from tests.helpers.widgets import child_of
from tests.studio.gui.conftest import WINDOW, Desk

pytestmark = pytest.mark.slow

CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


def value_of(desk: Desk, key: str) -> object:
    """Return the scenario's value at a key."""
    node: object = desk.document.scenario.as_data()
    for part in key.split("."):
        assert isinstance(node, dict)
        node = node[part]
    return node


FIELDS = [
    ("Window size", "rollout.window", "3", 3),
    ("Ready for", "rollout.min_ready", "2.5", "2.5s"),
    ("Drain timeout", "rollout.drain.timeout", "7", "7s"),
    ("Rate", "traffic.rate", "55", "55/s"),
    ("Instances", "services.web.instances", "9", 9),
    ("Slots each", "services.web.slots", "4", 4),
    ("p99 under", "objectives.latency_p99", "800", "0.8s"),
    ("Errors under", "objectives.error_fraction", "0.5", 0.005),
    ("Within", "objectives.duration", "1", "1m"),
]


def is_whole(widget: QWidget) -> bool:
    """Return whether a widget fits the panel's width, at any scroll position."""
    area = widget.parentWidget()
    while not isinstance(area, QScrollArea):
        assert area is not None
        area = area.parentWidget()
    inside = area.widget()
    assert inside is not None
    left = widget.mapTo(inside, QPoint(0, 0)).x()
    room = area.viewport().width()
    return widget.isVisible() and left + widget.width() <= room and inside.width() <= room


@pytest.mark.parametrize("size", [(1024, 640), (1180, 760)], ids=str)
def test_every_row_fits_the_panel(desk: Desk, size: tuple[int, int]) -> None:
    desk.window.resize(*size)
    [area] = [one for one in desk.window.panel.findChildren(QScrollArea)]
    inside = area.widget()
    assert inside is not None
    desk.qtbot.waitUntil(lambda: inside.width() <= area.viewport().width())
    dots = [one for one in desk.window.findChildren(QToolButton) if one.objectName() == "dot"]
    assert len(dots) > 10
    for dot in dots:
        dot.setVisible(True)
    desk.qtbot.waitUntil(lambda: all(is_whole(dot) for dot in dots))


@pytest.mark.parametrize(("name", "key", "typed", "value"), FIELDS, ids=[f[0] for f in FIELDS])
def test_a_number_can_be_typed_reset_and_undone(
    desk: Desk, name: str, key: str, typed: str, value: object
) -> None:
    was = value_of(desk, key)
    assert not desk.dot(name).isVisible()
    desk.type_number(name, typed)
    assert value_of(desk, key) == value
    assert is_whole(desk.dot(name))
    assert desk.window.windowTitle() == "shop[*] – Rollcast"
    assert desk.window.isWindowModified()
    desk.click(desk.dot(name))
    assert value_of(desk, key) == was
    assert not desk.dot(name).isVisible()
    desk.keys(Qt.Key.Key_Z, CTRL)
    assert value_of(desk, key) == value
    desk.keys(Qt.Key.Key_Z, CTRL)
    assert value_of(desk, key) == was
    assert not desk.document.undo.canUndo()
    desk.keys(Qt.Key.Key_Z, CTRL, SHIFT)
    assert value_of(desk, key) == value


@pytest.mark.slow
@pytest.mark.parametrize("name", [field[0] for field in FIELDS])
def test_a_slider_moves_its_number_and_is_one_step_to_undo(desk: Desk, name: str) -> None:
    text = desk.document.state.file.text
    desk.slide(name, *[Qt.Key.Key_Right] * 3)
    assert desk.document.state.file.text != text
    assert desk.document.undo.count() == 1
    desk.keys(Qt.Key.Key_Z, CTRL)
    assert desk.document.state.file.text == text
    assert not desk.document.is_changed


def test_a_slider_that_comes_back_leaves_nothing_to_undo(desk: Desk) -> None:
    desk.slide("Window size", Qt.Key.Key_Right, Qt.Key.Key_Left)
    assert not desk.document.is_changed
    assert not desk.document.undo.canUndo()


def test_an_edit_makes_the_answer_stale_until_it_is_run(desk: Desk) -> None:
    desk.run()
    plan_button = desk.window.top_bar.plan_button
    assert plan_button.objectName() == "primary"
    desk.slide("Window size", Qt.Key.Key_Right)
    banner, takes = desk.window.headline.banner, desk.window.headline.cards["duration"]
    assert banner.sentence == "≈  Window 3 should meet every objective"
    assert banner.note == "by closed forms · F5 simulates"
    first = takes.figure
    assert first.startswith("≈ ")
    desk.slide("Window size", Qt.Key.Key_Right)
    assert banner.sentence.startswith("≈  Window 4 should ")
    assert takes.figure != first  # each move shows an estimate
    desk.slide("Window size", Qt.Key.Key_Left)
    assert takes.figure == first
    assert plan_button.objectName() == ""
    assert plan_button.toolTip() == (
        "The scenario was changed: wait for its simulation, or simulate it now (F5)"
    )
    desk.keys(Qt.Key.Key_Z, CTRL)
    assert banner.sentence.startswith("✓  Window 2 meets")
    assert not takes.figure.startswith("≈")
    assert plan_button.objectName() == "primary"
    desk.slide("Window size", Qt.Key.Key_Right)
    desk.run()
    assert [row[WINDOW] for row in desk.window.runs.table.texts()] == ["1", "2", "3"]
    assert not desk.document.is_stale


def test_the_windows_to_compare_can_be_typed(desk: Desk) -> None:
    desk.type_text("Compare", "3 1,6")
    assert desk.document.windows() == (1, 2, 3, 6)  # the scenario's own window is always compared
    assert desk.find(QLineEdit, "Compare").text() == "1, 2, 3, 6"
    desk.run()
    assert [row[WINDOW] for row in desk.window.runs.table.texts()] == ["1", "2", "3", "6"]
    desk.click(desk.dot("Compare"))
    assert desk.document.windows() == (1, 2)
    desk.keys(Qt.Key.Key_Z, CTRL)
    assert desk.document.windows() == (1, 2, 3, 6)


def test_a_start_can_be_typed(desk: Desk) -> None:
    desk.type_text("Start at", "18:30")
    assert desk.document.scenario.clock.start == "18:30"
    assert desk.document.scenario.start_s() == 18.5 * 3600
    desk.click(desk.dot("Start at"))
    clock = desk.document.scenario.clock
    assert clock.start == 0.0


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("Start at", "25:99", "Start at: 25:99: must be an offset such as 90m"),
        ("Start at", "2024-05-01 18:00", "a date needs a trace with dates"),
        ("Compare", "0", "Compare: 0: windows are counts with commas between"),
        ("Compare", "1, many", "Compare: 1, many: windows are counts with commas between"),
        ("Compare", "1, 7", "window (7) must not exceed the fleet (6)"),
    ],
)
def test_an_edit_that_breaks_a_rule_is_refused_with_the_rule(
    desk: Desk, field: str, typed: str, said: str
) -> None:
    was = desk.find(QLineEdit, field).text()
    desk.type_text(field, typed)
    assert said in desk.window.status_text
    assert desk.find(QLineEdit, field).text() == was
    assert not desk.document.is_changed
    assert not desk.document.undo.canUndo()


def test_a_fleet_smaller_than_its_window_is_refused(desk: Desk) -> None:
    desk.type_number("Instances", "1")
    assert "window (2) must not exceed the fleet (1)" in desk.window.status_text
    assert "\n" not in desk.window.status_text
    assert desk.document.scenario.service.instance_count == 6
    assert desk.find(QSlider, "Instances, slider").value() == 5  # back at six, counted from one


def test_saving_keeps_the_comments(desk: Desk) -> None:
    desk.type_number("Window size", "3")
    assert desk.action("file.save").isEnabled()
    desk.keys(Qt.Key.Key_S, CTRL)
    assert desk.path.read_text(encoding="utf-8") == SHOP.replace("window: 2", "window: 3")
    assert not desk.window.isWindowModified()
    assert not desk.action("file.save").isEnabled()
    assert desk.window.status_text == f"✓ Saved as {desk.path}"
    assert not desk.dot("Window size").isVisible()
    desk.keys(Qt.Key.Key_Z, CTRL)  # edits made before a save can still be undone
    assert desk.window.isWindowModified()


def test_saving_to_a_read_only_place_shows_the_reason(desk: Desk) -> None:
    desk.type_number("Window size", "3")
    assert not desk.window.filing.save_as(desk.folder / "nowhere" / "shop.yaml")
    assert "cannot be written" in desk.window.status_text
    assert desk.window.isWindowModified()
    assert desk.path.read_text(encoding="utf-8") == SHOP


def test_saving_as_goes_through_a_dialogue(desk: Desk) -> None:
    desk.keys(Qt.Key.Key_S, CTRL, SHIFT)
    dialog = child_of(desk.window, QFileDialog)
    assert dialog.isVisible()
    other = desk.folder / "other.yaml"
    dialog.fileSelected.emit(str(other))
    dialog.close()
    assert other.read_text(encoding="utf-8") == SHOP
    assert desk.document.state.file.path == other
    assert desk.settings.recent()[0] == other


def test_an_invalid_file_shows_the_reason_and_the_open_scenario_stays(desk: Desk) -> None:
    bad = desk.folder / "bad.yaml"
    bad.write_text(SHOP.replace("window", "windw"), encoding="utf-8")
    assert not desk.window.filing.open(bad)
    assert desk.window.status_text == (
        f"✗ {bad}:14: rollout.windw: 2: unknown key (nearest: window)"
    )
    assert desk.document.scenario.name == "shop"
    assert not desk.window.jobs.is_running


def test_another_file_takes_the_place_of_this_one_and_is_run(desk: Desk) -> None:
    desk.run()
    desk.type_number("Window size", "3")
    other = desk.folder / "other.yaml"
    other.write_text(SHOP.replace("instances: 6", "instances: 4"), encoding="utf-8")
    desk.run(lambda: desk.window.filing.open(other))
    assert desk.window.windowTitle() == "other[*] – Rollcast"
    assert not desk.document.undo.canUndo()
    assert desk.window.headline.cards["pool"].figure.endswith("of 4")
    assert desk.settings.recent() == [other]
    recent = desk.menu("File", "Recent")
    assert [action.text() for action in recent.actions()] == ["other.yaml"]


def test_a_plan_is_written_and_holds(desk: Desk) -> None:
    desk.run()
    desk.keys(Qt.Key.Key_E, CTRL)
    dialog = child_of(desk.window, QFileDialog)
    assert dialog.selectedFiles()[0].endswith("shop.plan.json")
    path = desk.folder / "shop.plan.json"
    dialog.fileSelected.emit(str(path))
    dialog.close()
    assert desk.window.status_text == f"✓ The plan for window 2 is in {path}"
    plan = read_plan(path)
    assert (plan.window, plan.prediction.verdict.answer) == (2, "meets")
    comparison = desk.document.comparison
    assert comparison is not None
    assert plan.prediction.metrics == comparison.candidates[1].alone
    assert not desk.window.filing.write_plan(desk.folder / "nowhere" / "plan.json")
    assert "cannot be written" in desk.window.status_text


def test_a_candidate_that_does_not_meet_its_objectives_is_no_plan(desk: Desk) -> None:
    desk.document.open(ScenarioFile.parse(SHOP.replace("duration: 30s", "duration: 3s")))
    desk.run()
    assert "is undecided, so it cannot become a plan" in desk.window.top_bar.plan_button.toolTip()
    assert "duration above 3 s in 4 of 4 runs" in desk.window.top_bar.plan_button.toolTip()
    assert not desk.action("run.plan").isEnabled()


@pytest.mark.parametrize("answer", ["Save", "Discard", "Cancel"])
def test_leaving_with_changes_asks(desk: Desk, answer: str) -> None:
    desk.type_number("Window size", "3")
    desk.window.close()
    assert desk.window.isVisible()
    box = child_of(desk.window, QMessageBox)
    assert box.text() == "shop has changes that are not saved."
    button = next(b for b in box.findChildren(QPushButton) if b.text().strip("&") == answer)
    desk.click(button)
    assert desk.window.isVisible() == (answer == "Cancel")
    assert ("window: 3" in desk.path.read_text(encoding="utf-8")) == (answer == "Save")


def test_leaving_without_changes_asks_nothing(desk: Desk) -> None:
    desk.keys(Qt.Key.Key_Q, CTRL)
    assert not desk.window.isVisible()


def test_the_theme_changes_and_is_remembered(desk: Desk, tmp_path: Path) -> None:
    desk.run()
    assert LIGHT.meets_ground in desk.window.headline.banner.styleSheet()
    desk.keys(Qt.Key.Key_T, CTRL)
    assert DARK.meets_ground in desk.window.headline.banner.styleSheet()
    verdict = desk.window.runs.table.model().index(0, HEADINGS.index("verdict"))
    assert verdict.data(Qt.ItemDataRole.ForegroundRole).name().upper() == DARK.meets_text
    assert {page.theme for page in desk.window.pages.values()} == {DARK}
    assert desk.window.palette().window().color().name().upper() == DARK.page
    store = QSettings(str(tmp_path / "settings.ini"), QSettings.Format.IniFormat)
    assert Settings(store).theme is DARK
    desk.keys(Qt.Key.Key_T, CTRL)
    assert LIGHT.meets_ground in desk.window.headline.banner.styleSheet()
    assert verdict.data(Qt.ItemDataRole.ForegroundRole).name().upper() == LIGHT.meets_text
