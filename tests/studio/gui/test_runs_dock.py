"""The dock *Runs*: sorting, comparing, renaming, removing, and undo of each."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import QModelIndex, QPoint, Qt
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QLabel, QLineEdit, QStyle, QStyledItemDelegate, QStyleOptionViewItem

from simulation.scenario.file import ScenarioFile
from simulation.study.case import cases_of
from simulation.study.compare import compare
from simulation.study.execution import Execution
from simulation.study.rows import run_rows
from studio.gui.docks.runs_dock import HEADINGS, RunsTable
from studio.gui.window import FIRST_SIZE
from tests.helpers.command_line import SHOP
from tests.helpers.widgets import child_of
from tests.studio.gui.conftest import NAME, WINDOW, Desk

pytestmark = pytest.mark.slow

CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
LONG = "a name of eighty characters that somebody gave to a run without thinking, so so "[:80]


def land(desk: Desk, windows: tuple[int, ...] = (1, 2, 3, 4), text: str = SHOP) -> None:
    """Open a scenario with the results of some windows, simulated in this process."""
    desk.document.open(ScenarioFile.parse(text, desk.path))
    scenario = desk.document.scenario
    cases = cases_of(scenario, windows)
    rows = list(run_rows(scenario, cases, Execution(jobs=1)))
    desk.document.add_results(compare(scenario, cases, rows), desk.document.state)


@pytest.fixture
def table(desk: Desk) -> RunsTable:
    """The list with four runs, that of window 2 selected."""
    land(desk)
    found = desk.window.runs.table
    found.setFocus()
    choose(desk, 2)
    return found


def row_of(table: RunsTable, window: int) -> QModelIndex:
    places = [row[WINDOW] for row in table.texts()]
    return table.model().index(places.index(str(window)), NAME)


def choose(desk: Desk, window: int) -> None:
    table = desk.window.runs.table
    click(desk, table.visualRect(row_of(table, window)).center())
    assert desk.document.current_run is not None
    assert desk.document.current_run.result.candidate.window == window


def click(desk: Desk, place: QPoint) -> None:
    viewport = desk.window.runs.table.viewport()
    held = Qt.KeyboardModifier.NoModifier
    desk.qtbot.mouseClick(viewport, Qt.MouseButton.LeftButton, held, place)


def click_box(desk: Desk, window: int) -> None:
    """Click on the box before a name."""
    table = desk.window.runs.table
    option = QStyleOptionViewItem()
    table.initViewItemOption(option)
    delegate = table.itemDelegate()
    assert isinstance(delegate, QStyledItemDelegate)
    delegate.initStyleOption(option, row_of(table, window))
    option.rect = table.visualRect(row_of(table, window))
    part = QStyle.SubElement.SE_ItemViewItemCheckIndicator
    click(desk, table.style().subElementRect(part, option, table).center())


def compared(desk: Desk) -> list[int]:
    return [run.result.candidate.window for run in desk.document.side_by_side]


def checked(desk: Desk) -> list[int]:
    """Return the windows whose boxes are ticked, in the order of the list."""
    table = desk.window.runs.table
    role = Qt.ItemDataRole.CheckStateRole
    return [
        int(row[WINDOW])
        for number, row in enumerate(table.texts())
        if table.model().index(number, NAME).data(role) == Qt.CheckState.Checked
    ]


def windows(desk: Desk) -> list[str]:
    return [row[WINDOW] for row in desk.window.runs.table.texts()]


def names(desk: Desk) -> list[str]:
    return [row[NAME] for row in desk.window.runs.table.texts()]


def rename(desk: Desk, name: str) -> None:
    """Press F2, type the new name, press Enter."""
    desk.keys(Qt.Key.Key_F2)
    line = child_of(desk.window.runs.table, QLineEdit)
    line.clear()
    desk.qtbot.keyClicks(line, name)
    desk.qtbot.keyClick(line, Qt.Key.Key_Return)
    until_typed(desk)


def until_typed(desk: Desk) -> None:
    """Wait until Qt has taken over a typed name."""
    desk.qtbot.waitUntil(lambda: desk.window.runs.table.findChild(QLineEdit) is None)


def undo(desk: Desk) -> None:
    desk.keys(Qt.Key.Key_Z, CTRL)


def redo(desk: Desk) -> None:
    desk.keys(Qt.Key.Key_Z, CTRL, SHIFT)


SORTED = [
    ("run", ["1", "2", "3", "4"]),
    ("window", ["1", "2", "3", "4"]),
    ("min", ["4", "3", "2", "1"]),
    ("fewest", ["4", "3", "2", "1"]),
]


@pytest.mark.parametrize(("heading", "upward"), SORTED, ids=[heading for heading, _ in SORTED])
def test_a_heading_sorts_by_number_and_keeps_the_selected_run(
    desk: Desk, table: RunsTable, heading: str, upward: list[str]
) -> None:
    desk.window.resize(1900, 900)
    desk.window.runs.setFixedWidth(760)
    column = HEADINGS.index(heading)
    desk.qtbot.waitUntil(lambda: not table.isColumnHidden(column))
    header = table.horizontalHeader()

    def press() -> None:
        place = QPoint(header.sectionViewportPosition(column) + 6, header.height() // 2)
        held = Qt.KeyboardModifier.NoModifier
        desk.qtbot.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, held, place)

    press()
    first = windows(desk)
    press()
    assert {tuple(first), tuple(windows(desk))} == {tuple(upward), tuple(reversed(upward))}
    assert desk.document.current_run is not None
    assert desk.document.current_run.result.candidate.window == 2
    assert table.currentIndex().siblingAtColumn(WINDOW).data() == "2"


def test_figures_are_sorted_as_numbers_not_as_letters(desk: Desk) -> None:
    many = SHOP.replace("instances: 6", "instances: 12")
    land(desk, (2, 10, 12), many)
    assert windows(desk) == ["2", "10", "12"]


@pytest.mark.parametrize("how", ["box", "space"])
def test_a_run_is_hidden_in_compare_and_shown_again(desk: Desk, table: RunsTable, how: str) -> None:
    assert compared(desk) == checked(desk) == [1, 2, 3, 4]  # shown automatically

    def tick() -> None:
        if how == "box":
            click_box(desk, 3)
        else:
            choose(desk, 3)
            table.setFocus()
            desk.qtbot.keyClick(table, Qt.Key.Key_Space)

    tick()
    assert compared(desk) == checked(desk) == [1, 2, 4]
    tick()
    assert sorted(compared(desk)) == [1, 2, 3, 4]
    undo(desk)
    assert compared(desk) == [1, 2, 4]
    undo(desk)
    assert compared(desk) == checked(desk) == [1, 2, 3, 4]
    assert not desk.document.undo.canUndo()
    redo(desk)
    assert compared(desk) == [1, 2, 4]


def test_f2_renames_the_selected_run(desk: Desk, table: RunsTable) -> None:
    rename(desk, "  the brave one ")
    assert names(desk) == ["Window 1", "the brave one", "Window 3", "Window 4"]
    assert desk.window.headline.banner.sentence.startswith("✓  the brave one meets")
    font = row_of(table, 2).data(Qt.ItemDataRole.FontRole)
    assert font.weight() == QFont.Weight.DemiBold  # a named run is kept
    assert desk.action("edit.undo").text() == "Undo rename Window 2"
    undo(desk)
    assert names(desk)[1] == "Window 2"
    assert row_of(table, 2).data(Qt.ItemDataRole.FontRole) is None
    redo(desk)
    assert names(desk)[1] == "the brave one"
    assert not desk.document.is_changed  # the scenario is not changed


@pytest.mark.parametrize("typed", ["", "   ", "Window 2"])
def test_a_name_that_says_nothing_new_changes_nothing(
    desk: Desk, table: RunsTable, typed: str
) -> None:
    rename(desk, typed)
    assert names(desk)[1] == "Window 2"
    assert not desk.document.undo.canUndo()


def test_escape_leaves_the_name_as_it_was(desk: Desk, table: RunsTable) -> None:
    desk.keys(Qt.Key.Key_F2)
    line = table.findChild(QLineEdit)
    desk.qtbot.keyClicks(line, "other")
    desk.qtbot.keyClick(line, Qt.Key.Key_Escape)
    until_typed(desk)
    assert names(desk)[1] == "Window 2"


REMOVALS: list[tuple[str, Callable[[Desk], object]]] = [
    (
        "Del in the list",
        lambda desk: desk.qtbot.keyClick(desk.window.runs.table, Qt.Key.Key_Delete),
    ),
    ("Ctrl+Del anywhere", lambda desk: desk.keys(Qt.Key.Key_Delete, CTRL)),
]


@pytest.mark.parametrize("remove", [one for _, one in REMOVALS], ids=[name for name, _ in REMOVALS])
def test_a_run_is_removed_and_comes_back_where_it_was(
    desk: Desk, table: RunsTable, remove: Callable[[Desk], object]
) -> None:
    remove(desk)
    assert windows(desk) == ["1", "3", "4"]
    assert desk.document.current_run is not None  # its neighbour
    assert desk.document.current_run.result.candidate.window == 3
    undo(desk)
    assert windows(desk) == ["1", "2", "3", "4"]
    redo(desk)
    assert windows(desk) == ["1", "3", "4"]
    # A removed run stays removed when more results of the same comparison arrive.
    comparison = desk.document.comparison
    assert comparison is not None
    desk.document.add_results(comparison, desk.document.state)
    assert windows(desk) == ["1", "3", "4"]


def test_the_last_run_can_go_too(desk: Desk) -> None:
    land(desk, (2,))
    desk.window.runs.table.setFocus()
    desk.keys(Qt.Key.Key_Delete, CTRL)
    assert windows(desk) == []
    assert desk.document.current_run is None
    assert not desk.action("edit.rename_run").isEnabled()
    assert desk.window.headline.banner.sentence.startswith("≈  ")
    undo(desk)
    assert windows(desk) == ["2"]
    assert desk.window.headline.banner.sentence.startswith("✓  Window 2 meets")


def test_named_and_compared_runs_stay_after_the_next_comparison(
    desk: Desk, table: RunsTable
) -> None:
    rename(desk, "as it is")
    desk.type_number("Drain timeout", "7")
    scenario = desk.document.scenario
    cases = cases_of(scenario, (1, 2))
    rows = list(run_rows(scenario, cases, Execution(jobs=1)))
    desk.document.add_results(compare(scenario, cases, rows), desk.document.state)
    drains = {(row[NAME], row[HEADINGS.index("drain")]) for row in table.texts()}
    assert drains == {("as it is", "5 s"), ("Window 1", "7 s"), ("Window 2", "7 s")}
    assert desk.document.current_run is not None
    assert desk.document.current_run.name == "Window 2"
    choose_name(desk, "as it is")
    assert desk.document.selection is None  # the run is not a candidate of the latest comparison
    assert desk.window.headline.banner.sentence.startswith("✓  Looked at: as it is meets")
    desk.document.open(ScenarioFile.parse(SHOP, desk.path))
    assert windows(desk) == []  # opening another file removes all runs


def choose_name(desk: Desk, name: str) -> None:
    table = desk.window.runs.table
    row = names(desk).index(name)
    click(desk, table.visualRect(table.model().index(row, NAME)).center())


def test_a_long_name_is_shortened_with_the_whole_name_in_the_tooltip(
    desk: Desk, table: RunsTable
) -> None:
    before = [column for column in range(len(HEADINGS)) if not table.isColumnHidden(column)]
    rename(desk, LONG)
    assert names(desk)[1] == LONG.strip()
    assert row_of(table, 2).data(Qt.ItemDataRole.ToolTipRole).startswith(LONG.strip())
    assert not table.horizontalScrollBar().isVisible()
    assert table.horizontalHeader().length() <= table.viewport().width()
    after = [column for column in range(len(HEADINGS)) if not table.isColumnHidden(column)]
    assert after == before


def test_a_wider_list_says_more(desk: Desk, table: RunsTable) -> None:
    def shown() -> list[str]:
        columns = range(len(HEADINGS))
        return [HEADINGS[column] for column in columns if not table.isColumnHidden(column)]

    narrow = shown()
    assert narrow == ["", "run", "min", "p99"]
    desk.window.resize(1900, 900)
    desk.window.runs.setFixedWidth(800)
    desk.qtbot.waitUntil(lambda: shown() == list(HEADINGS))
    for column in range(len(HEADINGS)):
        assert table.horizontalHeader().sectionSize(column) >= table.sizeHintForColumn(column)


def test_a_thousand_instances_fit(desk: Desk) -> None:
    large = SHOP.replace("instances: 6", "instances: 1000").replace("window: 2", "window: 250")
    land(desk, (250,), large.replace("replications: 4", "replications: 1"))
    assert windows(desk) == ["250"]
    assert desk.window.headline.cards["pool"].figure == "750 of 1,000"


def test_names_of_windows_and_their_figures_are_not_cut(desk: Desk, table: RunsTable) -> None:
    assert (desk.window.width(), desk.window.height()) == FIRST_SIZE
    for column in range(len(HEADINGS)):
        if not table.isColumnHidden(column):
            assert table.columnWidth(column) >= table.sizeHintForColumn(column) - 1, column


def test_a_long_name_leaves_the_verdict_its_room(desk: Desk, table: RunsTable) -> None:
    rename(desk, LONG)
    sentence = desk.window.headline.banner.sentence
    assert sentence == f"✓  {LONG[:39]}… meets every objective in 4 of 4 runs"
    label = next(
        one
        for one in desk.window.findChildren(QLabel)
        if one.accessibleName() == f"Verdict: {sentence}"
    )
    assert QLabel.text(label) == sentence  # no text is shortened
