"""The page *Replay*: tiles, strips, cursor, pinned story, table."""

from __future__ import annotations

import re
import time

import pytest
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QHelpEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QToolTip
from pytestqt.qtbot import QtBot

from simulation.results.states import State
from studio.gui.document.commands import edit_values
from studio.gui.pages.replay import ReplayPage
from studio.gui.painted.strips_view import GUTTER_PX
from studio.gui.toolkit.actions import Actions
from studio.gui.widgets.transport import TYPICAL, WORST
from studio.views.replay import typical, worst_run
from tests.helpers.command_line import SHOP
from tests.studio.gui.pages import Seat

NONE, SHIFT = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier


def seat_at(qtbot: QtBot, text: str, size: tuple[int, int] = (690, 420)) -> Seat[ReplayPage]:
    """A user at the page with its shortcuts, as in the window."""
    seat = Seat(qtbot, ReplayPage, text, size=size)
    Actions.add_for_page(_Keys(), seat.page, seat.page.page_actions())  # type: ignore[arg-type]
    seat.page.setFocus()
    return seat


class _Keys:
    """A stand-in for the window's actions that stores them only."""

    def __init__(self) -> None:
        self.by_key: dict[str, object] = {}


@pytest.fixture
def seat(qtbot: QtBot) -> Seat[ReplayPage]:
    return seat_at(qtbot, SHOP)


def press(seat: Seat[ReplayPage], key: Qt.Key, held: Qt.KeyboardModifier = NONE) -> None:
    """Send a key to the system's window, so that the focused widget may handle it."""
    QTest.keyClick(seat.host.windowHandle(), key, held)


def states(seat: Seat[ReplayPage]) -> list[State]:
    story = seat.page.story
    assert story is not None
    return [story.spell(int(one)).state for one in story.at(seat.page.time_s)]


# What it shows


def test_before_the_first_results_it_shows_the_estimate(seat: Seat[ReplayPage]) -> None:
    page = seat.page
    assert page.fleet.heading == "Nothing is simulated yet"
    assert [strip.name for strip in page.strips.strips][:2] == ["Capacity and traffic", "Latency"]
    assert all(line.is_dashed for strip in page.strips.strips for line in strip.lines)
    assert not page.transport.play.isEnabled()
    assert page.figures() == {}
    press(seat, Qt.Key.Key_Space)
    press(seat, Qt.Key.Key_Right)
    assert not page.is_playing


def test_the_cursor_starts_at_the_worst_moment(seat: Seat[ReplayPage]) -> None:
    seat.run()
    page = seat.page
    assert page.story is not None
    assert page.time_s == page.story.worst.time_s
    assert not page.is_playing
    assert page.strips.readout_text(page.time_s).startswith(page.story.worst.words)
    assert page.fleet.heading.startswith("Fleet at 0:")
    assert not any(line.is_dashed for strip in page.strips.strips for line in strip.lines)


def test_the_run_is_the_typical_one_and_may_be_another(seat: Seat[ReplayPage]) -> None:
    seat.run()
    result = seat.comparison.candidates[0]
    page, box = seat.page, seat.page.transport.runs
    assert page.story is not None
    assert page.story.run is result.runs[typical(result)]
    assert box.currentText() == f"typical: run {typical(result) + 1} of 4"
    box.setFocus()
    press(seat, Qt.Key.Key_Down)
    assert page.story.run is result.runs[worst_run(result)]
    assert box.currentData() == WORST
    press(seat, Qt.Key.Key_Down)
    assert page.story.run is result.runs[0]
    assert box.currentText() == "run 1 of 4"


def test_a_run_that_is_watched_stays_while_more_of_them_land(seat: Seat[ReplayPage]) -> None:
    seat.run(rows=1)
    page = seat.page
    before = page.story
    assert page.transport.runs.currentData() == TYPICAL
    press(seat, Qt.Key.Key_Right)
    at_s = page.time_s
    seat.run()
    assert page.story is before
    assert page.time_s == at_s
    assert page.transport.runs.currentText().endswith("of 4")


def test_a_moved_slider_is_answered_by_the_estimate_at_once(seat: Seat[ReplayPage]) -> None:
    seat.run()
    page = seat.page
    before = [strip.lines[0].values for strip in page.strips.strips]
    edit_values(seat.document, "window size", {"rollout.window": 4}, slides=True)
    assert seat.document.is_stale
    assert all(line.is_dashed for strip in page.strips.strips for line in strip.lines)
    assert page.fleet.heading.endswith("before your changes")
    estimate = seat.document.estimate
    assert estimate is not None
    assert estimate.lines is not None
    assert page.strips.strips[0].lines[0].values is estimate.lines.capacity_rps
    seat.document.undo.undo()
    assert [len(strip.lines[0].values) for strip in page.strips.strips] == [len(v) for v in before]
    assert "before" not in page.fleet.heading


def test_too_wide_a_window_reddens_the_line(qtbot: QtBot) -> None:
    seat = seat_at(qtbot, SHOP.replace("rate: 40/s", "rate: 150/s"))
    assert seat.page.strips.strips[0].shortfalls() == []
    edit_values(seat.document, "window size", {"rollout.window": 5}, slides=True)
    strip = seat.page.strips.strips[0]
    assert strip.shortfalls()
    image = seat.page.strips.grab().toImage()
    ratio, red = image.devicePixelRatio(), 0
    begin_s, end_s = max(strip.shortfalls(), key=lambda one: one[1] - one[0])
    x = round(seat.page.strips.scale.x((begin_s + end_s) / 2) * ratio)
    for y in range(image.height() // 2):
        colour = image.pixelColor(x, y)
        red += colour.red() > 180 and colour.blue() < 60
    assert red >= 4  # the line of the capacity and the bar beneath


# The cursor


def test_arrows_go_from_step_to_step_and_from_event_to_event(seat: Seat[ReplayPage]) -> None:
    seat.run()
    page, story = seat.page, seat.page.story
    assert story is not None
    page.go_to(0.0)
    for key, held, moments in (
        (Qt.Key.Key_Right, NONE, story.changes_s),
        (Qt.Key.Key_Right, SHIFT, [event.time_s for event in story.events]),
    ):
        page.go_to(0.0)
        later = sorted({float(one) for one in moments if one > 1e-9})
        for moment in later[:4]:
            press(seat, key, held)
            assert page.time_s == pytest.approx(moment)
    press(seat, Qt.Key.Key_Left, SHIFT)
    assert page.time_s == pytest.approx(later[2])
    page.go_to(page.end_s)
    press(seat, Qt.Key.Key_Right)
    assert page.time_s == page.end_s
    press(seat, Qt.Key.Key_W)
    assert page.time_s == story.worst.time_s


def test_space_plays_as_fast_as_was_asked_and_stops_at_the_end(seat: Seat[ReplayPage]) -> None:
    seat.run()
    page = seat.page
    page.transport.speed.setCurrentIndex(page.transport.speed.count() - 1)
    assert page.transport.speed_factor == 20
    page.go_to(page.end_s - 2.0)
    began, from_s = time.monotonic(), page.time_s
    press(seat, Qt.Key.Key_Space)
    assert page.is_playing
    assert page.transport.play.accessibleName() == "Pause"
    seat.qtbot.waitUntil(lambda: not page.is_playing)
    assert page.time_s == page.end_s
    assert (page.time_s - from_s) / (time.monotonic() - began) < 25
    press(seat, Qt.Key.Key_Space)
    assert page.is_playing  # from the beginning
    assert page.time_s < page.end_s
    press(seat, Qt.Key.Key_Space)
    assert not page.is_playing


def test_a_hidden_page_does_not_play(seat: Seat[ReplayPage]) -> None:
    seat.run()
    seat.page.go_to(0.0)
    press(seat, Qt.Key.Key_Space)
    seat.page.hide()
    assert not seat.page.is_playing
    seat.page.show()
    seat.page.play_or_pause()
    seat.page.leave()
    assert not seat.page.is_playing


def test_pointing_at_the_strips_moves_the_cursor(seat: Seat[ReplayPage]) -> None:
    seat.run()
    page, strips = seat.page, seat.page.strips
    width = strips.scale.width_px
    left = Qt.MouseButton.LeftButton
    seat.qtbot.mouseClick(strips, left, pos=QPoint(GUTTER_PX + round(width / 2), 30))
    assert page.time_s == pytest.approx(page.end_s / 2, rel=0.01)
    seat.qtbot.mousePress(strips, left, pos=QPoint(GUTTER_PX + 10, 90))
    assert page.time_s == pytest.approx(page.end_s * 10 / width, rel=0.1)
    QTest.mouseMove(strips, QPoint(GUTTER_PX + 40, 90))
    seat.qtbot.mouseRelease(strips, left, pos=QPoint(GUTTER_PX + 40, 90))
    before = page.time_s
    seat.qtbot.mouseClick(strips, left, pos=QPoint(10, 90))  # the names
    assert page.time_s == before
    minutes = r"\d+:\d\d"
    assert re.fullmatch(f"{minutes} / {minutes}", page.transport.time.text())


def test_the_scrubber_moves_everything(seat: Seat[ReplayPage]) -> None:
    seat.run()
    page, slider = seat.page, seat.page.transport.slider
    slider.setFocus()
    press(seat, Qt.Key.Key_Home)
    assert page.time_s == 0
    assert states(seat)[:3] == [State.DEPLOYING, State.DEPLOYING, State.SERVING]  # idle drains
    press(seat, Qt.Key.Key_End)
    assert page.time_s == pytest.approx(page.end_s)
    assert set(states(seat)) == {State.SERVING}


# Tiles, stories, the table


def test_a_click_pins_a_story_and_a_second_one_or_escape_puts_it_away(
    seat: Seat[ReplayPage],
) -> None:
    seat.run()
    page, tiles = seat.page, seat.page.fleet.tiles
    left = Qt.MouseButton.LeftButton
    assert not page.pinned.isVisible()
    seat.qtbot.mouseClick(tiles, left, pos=tiles.rect_of(2).center())
    assert page.pinned.isVisible()
    assert page.pinned.heading == "web-03"
    told = [page.pinned.list.item(row).text() for row in range(page.pinned.list.count())]
    assert told[0].endswith("serving (old)")
    assert told[-1].endswith("serving (new)")
    assert any(one.endswith("draining") for one in told)
    seat.qtbot.mouseClick(tiles, left, pos=tiles.rect_of(2).center())
    assert not page.pinned.isVisible()
    seat.qtbot.mouseClick(tiles, left, pos=tiles.rect_of(4).center())
    assert page.pinned.heading == "web-05"
    press(seat, Qt.Key.Key_Escape)
    assert not page.pinned.isVisible()


def test_a_pinned_story_follows_the_cursor_and_leads_it(seat: Seat[ReplayPage]) -> None:
    seat.run()
    page, listed = seat.page, seat.page.pinned.list
    page.pin(2)
    page.go_to(page.end_s)
    assert listed.currentRow() == listed.count() - 1
    item = listed.item(1)
    point = listed.visualItemRect(item).center()
    seat.qtbot.mouseClick(listed.viewport(), Qt.MouseButton.LeftButton, pos=point)
    assert states(seat)[2] is State.DRAINING
    listed.setFocus()
    press(seat, Qt.Key.Key_Escape)
    assert not page.pinned.isVisible()
    assert page.fleet.tiles.hasFocus()


def test_keys_go_from_tile_to_tile(seat: Seat[ReplayPage]) -> None:
    seat.run()
    page, tiles = seat.page, seat.page.fleet.tiles
    tiles.setFocus()
    before = page.time_s
    press(seat, Qt.Key.Key_Right)
    press(seat, Qt.Key.Key_Right)
    assert tiles.focused_instance == 2
    assert tiles.accessibleDescription().startswith("web-03: ")
    press(seat, Qt.Key.Key_Left)
    press(seat, Qt.Key.Key_Return)
    assert page.pinned.heading == "web-02"
    press(seat, Qt.Key.Key_End)
    assert tiles.focused_instance == 5
    press(seat, Qt.Key.Key_Home)
    assert tiles.focused_instance == 0
    assert page.time_s == before  # its arrows are the tiles' own
    press(seat, Qt.Key.Key_Right, SHIFT)
    assert page.time_s != before


def test_up_and_down_go_from_row_to_row(qtbot: QtBot) -> None:
    seat = seat_at(qtbot, SHOP.replace("instances: 6", "instances: 24"))
    seat.run()
    tiles = seat.page.fleet.tiles
    tiles.setFocus()
    press(seat, Qt.Key.Key_Down)
    below = tiles.focused_instance
    assert tiles.rect_of(below).left() == tiles.rect_of(0).left()
    assert tiles.rect_of(below).top() > tiles.rect_of(0).top()
    press(seat, Qt.Key.Key_Up)
    assert tiles.focused_instance == 0
    press(seat, Qt.Key.Key_Up)
    assert tiles.focused_instance == 0


@pytest.mark.qt_log_ignore("does not support raise")
def test_a_tile_has_a_sentence_for_a_screen_reader(seat: Seat[ReplayPage]) -> None:
    seat.run()
    page, tiles = seat.page, seat.page.fleet.tiles
    assert page.story is not None
    page.go_to(0.5)
    assert tiles.tile_text(0) == (
        "web-01: deploying from the beginning. "  # it runs no version meanwhile
        "Bar: progress of the step, which ends at 0:02."
    )
    page.go_to(page.end_s)
    assert re.search(r"web-01: serving since 0:\d\d, new version\. Bar: .+ of slots busy, the mean", tiles.tile_text(0))  # fmt: skip
    point = tiles.rect_of(0).center()
    event = QHelpEvent(QEvent.Type.ToolTip, point, tiles.mapToGlobal(point))
    QApplication.sendEvent(tiles, event)
    assert QToolTip.text() == tiles.tile_text(0)
    QToolTip.hideText()


def test_the_table_says_the_same_and_follows(seat: Seat[ReplayPage]) -> None:
    seat.run()
    page = seat.page
    press(seat, Qt.Key.Key_T)
    assert page.table.isVisible()
    assert not page.strips.isVisible()
    model, fonts = page.table.model(), page.table.fontMetrics()
    for column in range(5):
        shown = [str(model.index(row, column).data()) for row in range(model.rowCount())]
        longest = max(fonts.horizontalAdvance(one) for one in shown)
        assert page.table.columnWidth(column) >= longest + 24  # no text is shortened
    assert [model.headerData(k, Qt.Orientation.Horizontal) for k in range(5)] == [
        *("instance", "state", "since", "until", "version")
    ]

    def told() -> list[tuple[str, ...]]:
        return [
            tuple(str(model.index(row, column).data()) for column in range(5))
            for row in range(model.rowCount())
        ]

    page.go_to(0.0)
    for (name, state, _since, _until, version), expected in zip(told(), states(seat), strict=True):
        assert name.startswith("web-0")
        assert state.endswith(expected.value)
        assert version == ("–" if expected is State.DEPLOYING else "old")
    press(seat, Qt.Key.Key_End)
    page.go_to(page.end_s)
    assert {row[4] for row in told()} == {"new"}
    assert {row[3] for row in told()} == {"the end"}
    page.table.setFocus()
    page.table.selectRow(3)
    seat.qtbot.keyClick(page.table, Qt.Key.Key_Return)
    assert page.pinned.heading == "web-04"
    press(seat, Qt.Key.Key_T)
    assert page.strips.isVisible()


def test_space_presses_a_button_that_has_the_focus(seat: Seat[ReplayPage]) -> None:
    seat.run()
    page = seat.page
    page.transport.table.setFocus()
    press(seat, Qt.Key.Key_Space)
    assert page.table.isVisible()
    assert not page.is_playing
