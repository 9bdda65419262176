"""The page *Replay* with failed, long-named and huge runs; and its speed."""

from __future__ import annotations

import itertools
import time
from statistics import median

import pytest
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from simulation.results.states import State
from studio.gui.document.commands import rename_run
from studio.gui.painted.tile_grid import fit_tiles
from studio.views.theme import DARK
from tests.helpers.command_line import SHOP
from tests.studio.gui.test_replay import seat_at, states

LONG = "a-name-of-eighty-characters-that-somebody-gave-to-a-scenario-without-thinking-so"
BIG = SHOP.replace("instances: 6", "instances: 1000").replace("window: 2", "window: 250")
FAILING = SHOP.replace("slots: 2", "slots: 2\n    versions: {new: {start_fails: 100%}}")
TWO_HUNDRED = BIG.replace("1000", "200").replace("window: 250", "window: 20")


@pytest.mark.parametrize(
    ("counts", "size", "columns", "shown"),
    [
        ([6], (660, 120), 6, "words"),
        ([24], (660, 120), 12, "words"),
        ([60], (660, 144), 15, "numbers"),
        ([6, 4, 3], (660, 120), 6, "numbers"),
        ([200], (660, 144), 33, "glyphs"),
        ([1000], (660, 144), 82, "nothing"),
        ([24], (300, 130), 6, "numbers"),
    ],
    ids=str,
)
def test_tiles_are_as_large_as_fits(
    counts: list[int], size: tuple[int, int], columns: int, shown: str
) -> None:
    grid = fit_tiles(counts, *size)
    has = {"words": grid.has_words, "numbers": not grid.is_mosaic, "glyphs": grid.has_glyphs}
    assert (grid.columns, next((name for name, so in has.items() if so), "nothing")) == (
        columns,
        shown,
    )
    assert grid.height_px(counts) <= size[1]
    rects = [rect for _top, places in grid.places(counts) for rect in places]
    assert len(rects) == sum(counts)
    assert max(rect.right() for rect in rects) < size[0]
    assert max(rect.bottom() for rect in rects) + 1 == grid.height_px(counts)
    assert not any(one.intersects(other) for one, other in itertools.pairwise(rects))


@pytest.mark.parametrize("theme", [None, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("size", [(690, 400), (660, 480), (900, 480)], ids=str)
@pytest.mark.parametrize(
    ("text", "rows"),
    [
        (SHOP, 1),
        (SHOP, 4),
        (FAILING, 4),
        (SHOP + f"name: {LONG}\n", 4),
        (SHOP.replace("  web:", f"  {LONG}:"), 1),
        (SHOP.replace("window: 2", "window: 2\n  surge: 2"), 2),
    ],
    ids=["one run", "four runs", "failed", "long name", "long service", "surge"],
)
def test_it_shows_every_kind_of_run(
    qtbot: QtBot, text: str, rows: int, size: tuple[int, int], theme: object
) -> None:
    seat = seat_at(qtbot, text, size)
    seat.run(rows)
    page = seat.page
    if theme is DARK:
        page.set_theme(DARK)
    run = seat.document.current_run
    assert run is not None
    rename_run(seat.document, run, LONG)
    for moment in (0.0, page.end_s / 2, page.end_s):
        page.go_to(moment)
        assert not page.grab().isNull()
    tiles = page.fleet.tiles
    assert page.story is not None
    for instance in range(page.story.count):
        assert tiles.rect().contains(tiles.rect_of(instance))
    for widget in page.findChildren(QWidget):
        if widget.isVisible() and not page.pinned.isAncestorOf(widget):
            corner = widget.mapTo(page, QPoint(0, 0))
            assert page.rect().adjusted(0, 0, 1, 1).contains(widget.rect().translated(corner)), (
                widget
            )


def test_a_failed_run_names_the_failure(qtbot: QtBot) -> None:
    seat = seat_at(qtbot, FAILING)
    seat.run()
    page = seat.page
    assert page.story is not None
    page.go_to(page.end_s)
    assert State.FAILED in states(seat)
    assert "halted" in page.strips.readout_text(page.story.events[-1].time_s)


def test_two_services_stand_in_groups(qtbot: QtBot) -> None:
    text = SHOP.replace("  web:", "  db: {instances: 2, service_time: 5ms}\n  web:")
    text = text.replace("  window: 2   # two at once", "  order: [web]\n  window: 2")
    text = text.replace("rate: 40/s", "rate: 40/s\n  classes: {all: {route: [web, db]}}")
    seat = seat_at(qtbot, text)
    seat.run(1)
    tiles, story = seat.page.fleet.tiles, seat.page.story
    assert story is not None
    tops = [tiles.rect_of(k).top() for k in range(8)]
    assert max(tops[:2]) < min(tops[2:])
    assert [story.short_name(k) for k in (0, 2)] == ["01", "01"]


def test_second_instances_bear_the_numbers_of_the_first(qtbot: QtBot) -> None:
    seat = seat_at(qtbot, SHOP.replace("window: 2", "window: 2\n  surge: 2"))
    seat.run(1)
    story = seat.page.story
    assert story is not None
    assert [story.short_name(k) for k in (0, 5, 6, 11)] == ["01", "06", "01+", "06+"]


def test_a_thousand_instances_are_a_mosaic(qtbot: QtBot) -> None:
    seat = seat_at(qtbot, BIG)
    seat.run(1)
    page, tiles = seat.page, seat.page.fleet.tiles
    assert page.story is not None
    assert page.story.count == 1000
    assert tiles.rect().contains(tiles.rect_of(999))
    assert tiles.rect_of(999).height() < 20
    assert not tiles.rect_of(999).intersects(tiles.rect_of(998))
    seat.qtbot.mouseClick(tiles, Qt.MouseButton.LeftButton, pos=tiles.rect_of(700).center())
    assert page.pinned.heading == "web-0701"
    rows = page.table.model().rowCount()
    assert rows == 1000


def test_the_figures_can_be_exported(qtbot: QtBot) -> None:
    seat = seat_at(qtbot, SHOP)
    seat.run()
    figures = seat.page.figures()
    assert list(figures) == ["over time", "steps"]
    assert len(figures["over time"].axes) == 2
    assert figures["steps"].axes[0].patches or figures["steps"].axes[0].collections


def test_another_file_resets_the_cursor(qtbot: QtBot) -> None:
    seat = seat_at(qtbot, SHOP)
    seat.run()
    page = seat.page
    page.pin(1)
    page.go_to(page.end_s)
    seat.document.open(seat.document.state.file)
    assert page.story is None
    assert not page.pinned.isVisible()
    seat.run()
    assert page.story is not None
    assert page.time_s == page.story.worst.time_s


@pytest.mark.slow
def test_a_scrub_is_painted_within_a_frame(qtbot: QtBot) -> None:
    seat = seat_at(qtbot, TWO_HUNDRED, (900, 480))
    seat.run(1)
    page, taken = seat.page, []
    for place in range(100):
        began = time.thread_time()
        page.go_to(page.end_s * (place * 37 % 100) / 99)
        QApplication.processEvents()
        taken.append(time.thread_time() - began)
    assert median(taken) < 0.016  # of processor time, however busy the machine is


@pytest.mark.slow
def test_sixty_thousand_frames_of_a_replay_harm_nothing(qtbot: QtBot) -> None:
    seat = seat_at(qtbot, SHOP.replace("instances: 6", "instances: 24"))
    seat.run(1)
    page, frames, painted = seat.page, 60_000, 0

    class Counter(QWidget):
        def eventFilter(self, watched: object, event: QEvent) -> bool:
            nonlocal painted
            painted += event.type() == QEvent.Type.Paint
            return False

    counter = Counter()
    widgets = (page.fleet.tiles, page.strips)
    for widget in widgets:
        widget.installEventFilter(counter)
    scrubs = 0
    while painted < frames:
        page.go_to(page.end_s * (scrubs * 37 % 1000) / 999)
        for widget in widgets:
            widget.repaint()
        scrubs += 1
    for widget in widgets:
        widget.removeEventFilter(counter)
    page.go_to(0.0)
    assert page.fleet.heading == "Fleet at 0:00, window 2"
