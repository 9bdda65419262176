"""Every page shows the same candidate, its control where there is one, and the best cell by its name."""

from __future__ import annotations

from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from simulation.study.compare import Comparison
from studio.gui.docks.scenario_dock import ScenarioPanel
from studio.gui.document.commands import edit_values
from studio.gui.frame.headline import Headline
from studio.gui.pages.compare import ComparePage
from studio.gui.pages.replay import ReplayPage
from studio.views.candidate.best_cell import BestMark, CellConfirmation
from studio.views.candidate.control import CONTROL_NAME
from studio.views.theme import LIGHT
from studio.views.timing import CellFigures
from tests.helpers.command_line import SHOP
from tests.studio.gui.pages import AnyPage, Seat
from tests.studio.gui.test_timing import DAY, a_seat, estimated
from tests.studio.views.candidate.test_control import P99_S, plain, with_control


def show(seat: Seat[AnyPage], comparison: Comparison) -> None:
    seat.document.add_results(comparison, seat.document.state)


def test_compare_has_a_column_for_the_control_while_there_is_one(qtbot: QtBot) -> None:
    seat = Seat(qtbot, ComparePage, SHOP, windows=(1, 2, 3))
    page = seat.page
    show(seat, plain())
    assert not page.control_header.isVisible()
    assert page.table.columnCount() == 3
    show(seat, with_control())
    assert page.control_header.isVisible()
    assert page.control_header.text() == "Without a rollout"
    assert page.table.columnCount() == 4
    row = next(r for r in range(9) if page.table.verticalHeaderItem(r).text().startswith("p99"))
    assert page.table.cell(row, 3).figure == "125 ms"
    last = page.chart.readout().rpartition("Without a rollout: ")[2]
    assert "p99 125 ms" in last
    assert len(page.headers) == 3  # nothing can be selected or measured by it
    assert len(page.figures()["side by side"].axes) == 8
    show(seat, plain())
    assert page.table.columnCount() == 3


def test_the_replay_draws_the_control_and_names_its_candidate(qtbot: QtBot) -> None:
    seat = Seat(qtbot, ReplayPage, SHOP, windows=(1, 2, 3))
    show(seat, with_control())
    seat.document.select(2)
    assert seat.page.fleet.heading.endswith(", window 3")
    names = [line.name for strip in seat.page._strips_of_run for line in strip.lines]
    assert CONTROL_NAME in names
    run = seat.document.current_run
    assert run is not None
    assert run.control is with_control().controls[0]
    show(seat, plain())
    assert seat.document.current_run.control is None  # type: ignore[union-attr]


def test_the_cards_show_the_control_and_the_difference_to_it(qtbot: QtBot) -> None:
    seat = Seat(qtbot, ComparePage, SHOP, windows=(1, 2, 3))
    headline = Headline(seat.document, seat.jobs, LIGHT)
    qtbot.addWidget(headline)
    headline.show()
    show(seat, plain())
    p99 = headline.cards["p99"]
    assert p99.control == ""
    assert not p99.findChildren(QLabel)[-1].isVisible()
    show(seat, with_control())
    assert p99.control == f"without a rollout {P99_S * 1000:.0f} ms"
    assert p99.findChildren(QLabel)[-1].isVisible()
    assert p99.toolTip().endswith(" with it")
    assert headline.cards["duration"].control == ""


def test_dock_and_headline_say_which_candidate_they_mean(qtbot: QtBot) -> None:
    seat = Seat(qtbot, ComparePage, SHOP, windows=(1, 2, 3))
    document = seat.document
    dock = ScenarioPanel(document)
    headline = Headline(document, seat.jobs, LIGHT)
    for widget in (dock, headline):
        qtbot.addWidget(widget)
        widget.show()
    seat.run()
    document.select(1)  # window 2 is the scenario's own
    assert not dock.candidate.isVisible()
    assert "Looked at" not in headline.banner.sentence
    document.select(2)
    assert dock.candidate.isVisible()
    assert dock.candidate.text() == ("These are the values of window 2; the pages show window 3.")
    assert "Looked at: Window 3 " in headline.banner.sentence
    edit_values(document, "window", {"rollout.window": 3})
    assert not dock.candidate.isVisible()  # the pages show the estimate of the edited scenario
    assert "Looked at" not in headline.banner.sentence


def test_the_best_cell_is_ringed_and_named(qtbot: QtBot) -> None:
    seat = estimated(a_seat(qtbot, DAY))
    page = seat.page
    assert page.map.best is None  # estimates confirm nothing
    figures = CellFigures("meets", "", 12.0, 0.2, 60, 60, 60)
    for published, words, is_confirmed in (
        ({22: figures}, "best so far: 03:30, window 2", False),
        (CellConfirmation(22, 57, 60, "undecided"), "best, not confirmed: 03:30, window 2", False),
        (CellConfirmation(22, 60, 60, "meets"), "best: 03:30, window 2", True),
    ):
        assert page.job is not None
        page._on_published(page.job, published)
        assert page.map.best == BestMark((7, 1), words, is_confirmed)
    page.map.point_at(7, 1)
    assert "Confirmed: it meets every objective in 60 of 60 runs" in page.readout.text()
    before = page.map.grab().toImage()
    page.map.show_map(page.grid, page.map._shades, "verdict", LIGHT)  # type: ignore[arg-type]
    assert page.map.grab().toImage() != before
    assert any(
        "best: 03:30, window 2" in text.get_text()
        for text in page.figures()["timing verdict"].axes[1].texts
    )
