"""The page *Compare*: columns, cursor, baseline, estimates."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import QTableWidgetItem
from pytestqt.qtbot import QtBot

from simulation.scenario.file import ScenarioFile
from studio.gui.document.commands import compare_run, edit_values, remove_run, rename_run
from studio.gui.pages.compare import ComparePage
from studio.gui.painted.side_by_side_chart import value_at
from studio.views.figures_text import latency_text, metric_text, verdict_text
from studio.views.theme import DARK, LIGHT
from tests.helpers.command_line import SHOP
from tests.studio.gui.pages import Seat

FAILING = (
    SHOP.replace("in_runs: 40%", "in_runs: 80%")
    .replace("timeout: 5s", "timeout: 0s, on_timeout: abort")
    .replace("service_time: {mean: 50ms, cv: 1}", "service_time: 30s")
)


def item_of(page: ComparePage, row: int, column: int) -> QTableWidgetItem:
    """Return a cell of the page's table, which must exist."""
    item = page.table.item(row, column)
    assert item is not None
    return item


@pytest.fixture
def seat(qtbot: QtBot) -> Seat[ComparePage]:
    return Seat(qtbot, ComparePage, SHOP, windows=(1, 2, 3))


def names(seat: Seat[ComparePage]) -> list[str]:
    return [header.name.toolTip().removeprefix("Select ") for header in seat.page.headers]


def test_before_the_first_results_it_says_so(seat: Seat[ComparePage]) -> None:
    assert seat.page.empty.text() == "Nothing is simulated yet"
    assert seat.page.empty.isVisible()
    assert not seat.page.chart.isVisible()
    assert seat.page.headers == []
    assert seat.page.figures() == {}


def test_every_run_has_its_column(seat: Seat[ComparePage]) -> None:
    seat.run()
    page = seat.page
    assert names(seat) == ["Window 1", "Window 2", "Window 3"]
    for header, run in zip(page.headers, seat.document.side_by_side, strict=True):
        assert header.verdict.text() == verdict_text(run.result)
    assert page.table.columnCount() == 4  # one is that without a rollout
    assert page.table.verticalHeaderItem(0).text() == "Rollout takes"
    for column, run in enumerate(seat.document.side_by_side):
        mean = run.result.metrics["rollout_duration_s"].mean
        assert item_of(page, 0, column).text() == metric_text("rollout_duration_s", mean)
        panel = page.chart.panel(0, column)
        assert panel.width() > 50
        assert panel.left() >= page.chart.panel(0, column - 1).right() if column else True
    assert "paired by the same traffic, over 4 runs" in page.note.text()


def test_a_click_on_a_name_looks_at_the_run(seat: Seat[ComparePage]) -> None:
    seat.run()
    seat.click(seat.page.headers[0].name)
    assert seat.document.selection == 0
    assert LIGHT.accent in seat.page.headers[0].styleSheet().partition("QPushButton")[0]
    assert "transparent" in seat.page.headers[1].styleSheet().partition("QPushButton")[0]


def test_the_baseline_is_a_choice_that_is_undone(seat: Seat[ComparePage]) -> None:
    seat.run()
    page = seat.page
    assert [header.baseline.isChecked() for header in page.headers] == [True, False, False]
    assert page.table.cell(0, 2).standing == "better"
    seat.click(page.headers[2].baseline)
    assert [header.baseline.isChecked() for header in page.headers] == [False, False, True]
    assert page.table.cell(0, 2).standing == ""
    assert page.table.cell(0, 0).standing == "worse"
    assert "Differences to Window 3" in page.note.text()
    seat.run()  # more results do not change it
    assert page.headers[2].baseline.isChecked()
    seat.click(page.headers[2].baseline)  # one run is always the baseline
    assert page.headers[2].baseline.isChecked()
    assert seat.document.undo.undoText() == "make Window 3 the baseline"
    seat.document.undo.undo()
    assert [header.baseline.isChecked() for header in page.headers] == [True, False, False]
    (_key, _words, _keys, measure) = page.page_actions()[0]
    seat.document.select(1)
    measure()
    assert page.headers[1].baseline.isChecked()


def test_one_cursor_goes_through_all_columns(seat: Seat[ComparePage], qtbot: QtBot) -> None:
    seat.run()
    chart = seat.page.chart
    moved: list[float] = []
    chart.moved.connect(moved.append)
    panel = chart.panel(1, 1)
    at = QPoint(round(panel.left() + panel.width() / 2), round(panel.center().y()))
    qtbot.mouseMove(chart, at)
    assert chart.cursor_s == pytest.approx(chart.span_s / 2, rel=0.02)
    assert moved == [chart.cursor_s]
    told = chart.readout()
    assert chart.cursor_s is not None
    for run in seat.document.side_by_side:
        value = value_at(run.result.band("latency_p99_s"), chart.cursor_s)
        assert f"p99 {latency_text(value)}" in told
        assert run.name in told
    assert chart.accessibleDescription() == told
    chart.setFocus()
    before = chart.cursor_s
    assert before is not None
    qtbot.keyClick(chart, Qt.Key.Key_Right)
    assert chart.cursor_s == pytest.approx(before + chart.span_s / 100)
    qtbot.keyClick(chart, Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
    assert chart.cursor_s == pytest.approx(before - chart.span_s * 0.09)
    qtbot.keyClick(chart, Qt.Key.Key_Home)
    assert chart.cursor_s == 0
    qtbot.keyClick(chart, Qt.Key.Key_Left)
    assert chart.cursor_s == 0
    qtbot.keyClick(chart, Qt.Key.Key_End)
    assert chart.cursor_s == chart.span_s


def test_the_cursor_is_painted_in_every_column(seat: Seat[ComparePage]) -> None:
    seat.run()
    chart = seat.page.chart
    chart.move_cursor(chart.span_s * 0.6)
    image = chart.grab().toImage()
    for column in range(3):
        panel = chart.panel(0, column)
        x = panel.left() + panel.width() * 0.6
        y = round(panel.top() + 2)
        near = {image.pixelColor(round(x) + dx, y).name() for dx in (-1, 0, 1)}
        assert any(int(name[1:3], 16) < 0x90 for name in near), near  # dark on a light card


def test_a_moved_slider_shows_its_estimate_in_the_selected_column(
    seat: Seat[ComparePage],
) -> None:
    seat.run()
    seat.document.select(1)
    page = seat.page
    assert edit_values(seat.document, "window", {"rollout.window": 4}, slides=True)
    found = seat.document.estimate
    assert found is not None
    assert found.rollout_duration_s is not None
    assert page.chart.is_estimated
    now = metric_text("rollout_duration_s", found.rollout_duration_s.value)
    assert f"now about {now}" in item_of(page, 0, 1).toolTip()
    assert "now about" not in item_of(page, 0, 0).toolTip()
    seat.document.undo.undo()
    assert not page.chart.is_estimated
    assert "now about" not in item_of(page, 0, 1).toolTip()


def test_the_note_names_runs_of_separate_comparisons(seat: Seat[ComparePage]) -> None:
    seat.run()
    compare_run(seat.document, seat.document.runs[0], True)
    kept = seat.document.runs[0]
    seat.document.undo.clear()
    edit_values(seat.document, "slots", {"services.web.slots": 3})
    text = SHOP.replace("slots: 2", "slots: 3")
    seat.land_other(text, (2,))
    for run in seat.document.runs:
        if run.key != kept.key:
            compare_run(seat.document, run, True)
    assert "of different comparisons" in seat.page.note.text()
    alone = kept.result.alone["failed_requests"].mean
    rows = {
        seat.page.table.verticalHeaderItem(row).text(): row
        for row in range(seat.page.table.rowCount())
    }
    place = [run.key for run in seat.document.side_by_side].index(kept.key)
    shown = seat.page.table.cell(rows["Failed requests"], place).figure
    assert shown == metric_text("failed_requests", alone)


def test_a_run_alone_is_a_column_too(qtbot: QtBot) -> None:
    seat = Seat(qtbot, ComparePage, SHOP, windows=(2,))
    seat.run(rows=1)
    assert names(seat) == ["Window 2"]
    assert "Tick more runs" in seat.page.note.text()
    assert seat.page.table.columnCount() == 2  # with the one without a rollout


def test_at_most_four_runs_are_shown(qtbot: QtBot) -> None:
    seat = Seat(qtbot, ComparePage, SHOP, windows=(1, 2, 3, 4, 5), size=(690, 420))
    seat.run()
    assert len(seat.page.headers) == 4
    remove_run(seat.document, seat.document.side_by_side[0])
    assert len(seat.page.headers) == 4
    for run in seat.document.side_by_side[:2]:
        compare_run(seat.document, run, False)
    assert len(seat.page.headers) == 2


def test_a_failed_run_has_no_duration_and_shows_its_verdict(qtbot: QtBot) -> None:
    seat = Seat(qtbot, ComparePage, FAILING, windows=(1,))
    seat.run()
    headings = [
        seat.page.table.verticalHeaderItem(row).text() for row in range(seat.page.table.rowCount())
    ]
    assert "Rollout takes" not in headings
    assert seat.page.headers[0].verdict.text() == "✗ fails in 4 of 4"


@pytest.mark.slow
def test_a_thousand_instances_fit(qtbot: QtBot) -> None:
    text = SHOP.replace("instances: 6", "instances: 1000").replace("window: 2", "window: 500")
    text = text.replace("replications: 4", "replications: 1")
    seat = Seat(qtbot, ComparePage, text, windows=(500,))
    seat.run()
    assert len(seat.page.headers) == 1
    assert seat.page.chart.grab().toImage().width() > 0


def test_a_long_name_is_shortened_with_the_whole_name_in_the_tooltip(
    seat: Seat[ComparePage],
) -> None:
    seat.run()
    rename_run(seat.document, seat.document.runs[1], "N" * 80)
    header = seat.page.headers[1]
    assert header.name.text().endswith("…")
    assert header.name.fontMetrics().horizontalAdvance(header.name.text()) <= header.name.width()
    assert header.name.toolTip() == f"Select {'N' * 80}"


def test_a_narrow_column_says_the_answer_and_the_rest_in_its_tip(qtbot: QtBot) -> None:
    seat = Seat(qtbot, ComparePage, SHOP, windows=(1, 2, 3, 4), size=(660, 480))
    seat.run()
    header, run = seat.page.headers[0], seat.document.side_by_side[0]
    whole = verdict_text(run.result)
    assert whole.startswith(header.verdict.text())
    assert header.verdict.text()[2:] in ("meets", "fails", "undecided", whole[2:])
    assert header.toolTip() == whole
    assert header.verdict.accessibleName() == whole


def test_a_screen_reader_gets_a_cell_as_a_sentence(seat: Seat[ComparePage]) -> None:
    seat.run()
    words = item_of(seat.page, 0, 1).data(Qt.ItemDataRole.AccessibleTextRole)
    assert words.startswith("Rollout takes, Window 2: ")
    assert "better than Window 1: −" in words
    for widget in (seat.page.chart, seat.page.table, seat.page.headers[0].name):
        told = QAccessible.queryAccessibleInterface(widget)
        assert told is not None
        assert told.text(QAccessible.Text.Name)


def test_it_follows_the_theme_and_another_file(seat: Seat[ComparePage]) -> None:
    seat.run()
    seat.page.set_theme(DARK)
    corner = seat.page.chart.grab().toImage().pixelColor(1, 1).name()
    assert corner == DARK.card.lower()
    seat.document.open(ScenarioFile.parse(SHOP))
    assert seat.page.empty.isVisible()
    assert seat.page.headers == []


def test_it_can_be_exported(seat: Seat[ComparePage]) -> None:
    seat.run()
    (figure,) = seat.page.figures().values()
    assert len(figure.axes) == 8
