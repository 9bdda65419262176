"""The page *Timing*: cells, cursor, choice of a cell."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from simulation.scenario.file import ScenarioFile
from studio.gui.background.job import JobState
from studio.gui.document.commands import edit_values
from studio.gui.pages.timing import TimingPage
from studio.views.theme import DARK
from tests.helpers.command_line import SHOP
from tests.helpers.widgets import state_of
from tests.studio.gui.pages import Seat

DAY = SHOP.replace("rate: 40/s", "rate: {steps: [[0h, 10/s], [8h, 190/s], [20h, 10/s]]}").replace(
    "replications: 4", "replications: 1"
)
FROZEN = DAY.replace("  window: 2 ", '  freeze: [["12:00", "13:00"]]\n  window: 2 ')
LONG_MS = 60_000


def a_seat(qtbot: QtBot, text: str, *, simulates: bool = False) -> Seat[TimingPage]:
    def made(document: object, jobs: object, theme: object) -> TimingPage:
        page = TimingPage(document, jobs, theme)  # type: ignore[arg-type]
        page.simulates = simulates
        return page

    return Seat(qtbot, made, text, windows=(1, 2, 3))


def estimated(seat: Seat[TimingPage]) -> Seat[TimingPage]:
    """Return the page once closed forms have filled all cells."""
    page = seat.page
    seat.qtbot.waitUntil(
        lambda: page.grid is not None and len(page.figures_by_cell) == len(page.grid.cases),
        timeout=LONG_MS,
    )
    seat.qtbot.waitUntil(
        lambda: seat.page.job is not None and not seat.page.job.is_open, timeout=LONG_MS
    )
    return seat


@pytest.fixture
def seat(qtbot: QtBot) -> Seat[TimingPage]:
    return estimated(a_seat(qtbot, DAY))


def test_cells_come_by_themselves(qtbot: QtBot) -> None:
    seat = a_seat(qtbot, DAY)
    page = seat.page
    assert len(page.figures_by_cell) == 1  # the scenario's own cell is known at once
    assert page.map.cell == (0, 1)
    assert "should meet" in page.readout.text()
    estimated(seat)
    assert all(figures.is_estimate for figures in page.figures_by_cell.values())
    assert "Window 2, of 48 starts: should meet at" in page.sentence.text()
    assert "Pale cells are estimates" in page.sentence.text()
    assert not page.pause_button.isVisible()


def test_the_mouse_and_the_keys_point_at_cells(seat: Seat[TimingPage], qtbot: QtBot) -> None:
    page = seat.page
    qtbot.mouseMove(page.map, page.map.cell_rect(20, 2).center().toPoint())
    assert page.map.cell == (20, 2)
    assert page.readout.text().startswith("10:00, window 3 – ")
    page.map.setFocus()
    for key, cell in (
        (Qt.Key.Key_Left, (19, 2)),
        (Qt.Key.Key_Down, (19, 1)),
        (Qt.Key.Key_Right, (20, 1)),
        (Qt.Key.Key_Up, (20, 2)),
        (Qt.Key.Key_Up, (20, 2)),
        (Qt.Key.Key_End, (47, 2)),
        (Qt.Key.Key_Right, (47, 2)),
        (Qt.Key.Key_Home, (0, 2)),
    ):
        qtbot.keyClick(page.map, key)
        assert page.map.cell == cell
    assert page.map.accessibleDescription() == page.readout.text()
    assert seat.document.undo.count() == 0  # moving the cursor changes nothing


@pytest.mark.parametrize("how", ["click", "key"])
def test_choosing_a_cell_is_one_edit(seat: Seat[TimingPage], qtbot: QtBot, how: str) -> None:
    page, document = seat.page, seat.document
    if how == "click":
        place = page.map.cell_rect(7, 2).center().toPoint()
        qtbot.mouseClick(page.map, Qt.MouseButton.LeftButton, pos=place)
    else:
        page.map.setFocus()
        page.map.point_at(7, 2)
        qtbot.keyClick(page.map, Qt.Key.Key_Return)
    assert document.scenario.clock.start == "03:30"
    assert document.scenario.window_count() == 3
    assert document.undo.undoText() == "start 03:30, window 3"
    assert (
        len(page.figures_by_cell) == 144
    )  # the map shows the same day, so no cell is computed again
    assert page.grid is not None
    assert page.grid.own() == (7, 2)
    document.undo.undo()
    clock = document.scenario.clock
    assert clock.start == 0.0
    assert document.scenario.window_count() == 2


def test_another_edit_computes_the_cells_again(seat: Seat[TimingPage]) -> None:
    before = dict(seat.page.figures_by_cell)
    assert edit_values(seat.document, "slots", {"services.web.slots": 1})
    assert len(seat.page.figures_by_cell) == 1
    estimated(seat)
    assert seat.page.figures_by_cell != before
    # By day the traffic now exceeds the capacity of the whole fleet: no estimate exists.
    untold = [
        figures
        for figures in seat.page.figures_by_cell.values()
        if figures.why.startswith("no estimate")
    ]
    assert len(untold) == 12 * 2 * 3
    assert {one.answer for one in untold} == {""}


def test_a_start_in_a_freeze_cannot_be_chosen(qtbot: QtBot) -> None:
    seat = estimated(a_seat(qtbot, FROZEN))
    page = seat.page
    with qtbot.waitSignal(page.reported) as said:
        place = page.map.cell_rect(24, 1).center().toPoint()
        qtbot.mouseClick(page.map, Qt.MouseButton.LeftButton, pos=place)
    assert said.args == ["12:00, window 2 – left out: starts in the freeze 12:00–13:00"]
    assert seat.document.undo.count() == 0


@pytest.mark.slow
def test_runs_take_the_place_of_estimates(qtbot: QtBot) -> None:
    seat = a_seat(qtbot, DAY, simulates=True)
    page = seat.page
    qtbot.waitUntil(lambda: page.job is not None and page.job.done > 0, timeout=LONG_MS)
    assert page.pause_button.isVisible()
    assert page.progress.text().endswith("of 144 runs")
    seat.click(page.pause_button)
    job = page.job
    assert job is not None
    assert state_of(job) is JobState.PAUSED
    assert page.pause_button.text() == "Resume"
    seat.click(page.pause_button)
    assert state_of(job) is JobState.RUNNING
    qtbot.waitUntil(lambda: not job.is_open, timeout=LONG_MS)
    assert job.state is JobState.DONE
    assert all(figures.runs == 1 for figures in page.figures_by_cell.values())
    assert "Pale" not in page.sentence.text()
    assert not page.pause_button.isVisible()
    # One more window keeps the known cells.
    seat.document.undo.clear()
    assert edit_values(seat.document, "window", {"rollout.window": 4})
    assert sum(figures.runs == 1 for figures in page.figures_by_cell.values()) == 144
    qtbot.waitUntil(
        lambda: page.job is not None and page.job is not job and not page.job.is_open,
        timeout=LONG_MS,
    )
    assert len(page.figures_by_cell) == 192


@pytest.mark.slow
def test_a_study_goes_first(qtbot: QtBot) -> None:
    seat = a_seat(qtbot, DAY, simulates=True)
    page = seat.page
    qtbot.waitUntil(lambda: page.job is not None and page.job.done > 0, timeout=LONG_MS)
    with qtbot.waitSignal(seat.jobs.ended, timeout=LONG_MS):
        seat.jobs.start()
        assert page.progress.text().endswith(" · waits")
    assert seat.document.comparison is not None
    qtbot.waitUntil(lambda: page.job is not None and not page.job.is_open, timeout=LONG_MS)
    assert page.job is not None
    assert page.job.state is JobState.DONE
    assert all(figures.runs == 1 for figures in page.figures_by_cell.values())


def test_leaving_ends_the_job(qtbot: QtBot) -> None:
    seat = a_seat(qtbot, DAY, simulates=True)
    qtbot.waitUntil(lambda: seat.page.job is not None, timeout=LONG_MS)
    job = seat.page.job
    assert job is not None
    seat.page.leave()
    assert job.state is JobState.CANCELLED
    assert seat.page.job is None


def test_an_edit_while_the_page_is_hidden_ends_the_job(qtbot: QtBot) -> None:
    seat = estimated(a_seat(qtbot, DAY))
    seat.host.hide()
    edit_values(seat.document, "slots", {"services.web.slots": 1})
    assert seat.page.job is None
    seat.document.undo.undo()
    seat.host.show()
    seat.page.on_shown()
    estimated(seat)


def test_constant_traffic_shows_a_sentence_instead_of_a_map(qtbot: QtBot) -> None:
    seat = a_seat(qtbot, SHOP)
    page = seat.page
    assert page.empty.isVisible()
    assert page.empty.text().startswith("Traffic is the same all day: 40 requests/s")
    assert not page.map.isVisible()
    assert not page.figure.isVisible()
    assert page.figures() == {}
    with qtbot.waitSignal(page.page_requested, check_params_cb=lambda key: key == "trade_off"):
        seat.click(page.elsewhere)
    seat.document.open(ScenarioFile.parse(DAY))
    assert page.map.isVisible()
    estimated(seat)


def test_it_can_be_coloured_by_a_figure(seat: Seat[TimingPage]) -> None:
    page = seat.page
    before = page.map.grab().toImage()
    seat.click(page.figure.button("p99"))
    assert page.map.grab().toImage() != before
    offered = {key: slot for key, _words, _keys, slot in page.page_actions()}
    offered["timing.duration"]()
    assert page.figure.selected_key == "duration"
    assert list(page.figures()) == ["timing duration", "timing verdict", "timing p99"]
    page.set_theme(DARK)
    assert page.map.grab().toImage().pixelColor(1, 1).name() == DARK.card.lower()


@pytest.mark.slow
def test_a_thousand_instances_have_their_map(qtbot: QtBot) -> None:
    text = DAY.replace("instances: 6", "instances: 1000").replace("window: 2", "window: 250")
    seat = Seat(qtbot, TimingPage, text)
    seat.page.simulates = False
    qtbot.waitUntil(
        lambda: seat.page.job is not None and not seat.page.job.is_open, timeout=LONG_MS
    )
    assert seat.page.grid is not None
    assert len(seat.page.figures_by_cell) == len(seat.page.grid.cases)


def test_cells_are_painted_where_they_are(seat: Seat[TimingPage]) -> None:
    page = seat.page
    page.map.point_at(47, 0)
    image = page.map.grab().toImage()
    ratio = image.devicePixelRatio()
    seen = {}
    for column, row in ((2, 2), (22, 2)):
        place = page.map.cell_rect(column, row).topLeft() * ratio
        seen[column] = image.pixelColor(round(place.x()) + 3, round(place.y()) + 3)
    night, noon = seen[2], seen[22]
    assert night.green() > night.red()  # meets
    assert (
        noon.blue() > noon.green() > noon.red()
    )  # no estimate: the soft grey of what is not known
