"""The graph: keys, mouse, wheel, sizes."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from studio.gui.painted.graph import LEAST_SCALE, GraphView
from studio.views.graph import OutageInterval, waves_drawing
from studio.views.theme import DARK, LIGHT
from tests.helpers.plans import example_plan

ENDS = ((0, 10), (0, 12), (10, 25), (12, 20), (20, 31), (25, 30))
TIMED = {f"checkout-{k}": OutageInterval(b, e, "serving") for k, (b, e) in enumerate(ENDS, start=1)}


@pytest.fixture
def view(qtbot: QtBot) -> GraphView:
    made = GraphView("Waves, a graph")
    qtbot.addWidget(made)
    made.resize(520, 160)
    made.show_drawing(waves_drawing(example_plan(), TIMED), LIGHT)
    with qtbot.waitExposed(made):
        made.show()
    made.activateWindow()
    qtbot.waitUntil(made.isActiveWindow)
    return made


def test_arrows_go_from_box_to_box(view: GraphView, qtbot: QtBot) -> None:
    view.setFocus()
    assert view.current is not None  # the keyboard focus begins at the first box
    path = [view.current.title]
    for key in (
        *(Qt.Key.Key_Right, Qt.Key.Key_Down, Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Up),
        *(Qt.Key.Key_Left, Qt.Key.Key_End, Qt.Key.Key_Home),
    ):
        qtbot.keyClick(view, key)
        path.append(view.current.title)
    assert path == ["1", "3", "4", "5", "5", "6", "3", "6", "1"]


def test_a_screen_reader_gets_the_selected_box(view: GraphView, qtbot: QtBot) -> None:
    assert view.accessibleName() == "Waves, a graph"
    view.setFocus()
    with qtbot.waitSignal(view.picked, check_params_cb=lambda key: key == "checkout-3"):
        qtbot.keyClick(view, Qt.Key.Key_Right)
    assert view.accessibleDescription().startswith("checkout-3: wave 1 of 1; out from 10.0 s to")


def test_a_click_looks_at_a_box_and_a_drag_does_not(view: GraphView, qtbot: QtBot) -> None:
    def at(column: int, row: int) -> QPoint:
        assert view.drawing is not None
        (node,) = [n for n in view.drawing.nodes if (n.column, n.row) == (column, row)]
        box = next(b for b in view.items() if getattr(b, "node", None) is node)
        return view.mapFromScene(box.pos())

    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=at(1, 1))
    assert view.current is not None
    assert view.current.key == "checkout-4"
    qtbot.mousePress(view.viewport(), Qt.MouseButton.LeftButton, pos=at(0, 0))
    qtbot.mouseRelease(view.viewport(), Qt.MouseButton.LeftButton, pos=at(0, 0) + QPoint(30, 0))
    assert view.current.key == "checkout-4"


def wheel(view: GraphView, notches: int) -> None:
    at = QPointF(view.viewport().rect().center())
    QApplication.sendEvent(
        view.viewport(),
        QWheelEvent(
            at,
            view.viewport().mapToGlobal(at),
            QPoint(),
            QPoint(0, 120 * notches),
            Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        ),
    )


def test_it_zooms_by_wheel_and_keys_and_then_keeps_its_size(view: GraphView, qtbot: QtBot) -> None:
    first = view.scale_now
    wheel(view, 2)
    assert view.scale_now > first
    wheel(view, -2)
    assert view.scale_now == pytest.approx(first)
    qtbot.keyClick(view, Qt.Key.Key_Plus)
    zoomed = view.scale_now
    assert zoomed > first
    view.resize(300, 120)
    assert view.scale_now == pytest.approx(zoomed)
    for _ in range(60):
        qtbot.keyClick(view, Qt.Key.Key_Minus)
    assert view.scale_now == pytest.approx(0.1)
    qtbot.keyClick(view, Qt.Key.Key_0)
    assert LEAST_SCALE <= view.scale_now <= 1.0


def test_it_fits_whatever_its_size_as_long_as_it_can_be_read(view: GraphView) -> None:
    for width, height in ((600, 200), (260, 90), (1200, 500)):
        view.resize(width, height)
        whole, room = view.sceneRect(), view.viewport().rect()
        is_whole = (
            whole.width() * view.scale_now <= room.width() + 1
            and whole.height() * view.scale_now <= room.height() + 1
        )
        assert is_whole or view.scale_now == pytest.approx(LEAST_SCALE)


def test_another_drawing_of_the_same_boxes_stays_where_it_is(view: GraphView, qtbot: QtBot) -> None:
    view.setFocus()
    qtbot.keyClick(view, Qt.Key.Key_Right)
    qtbot.keyClick(view, Qt.Key.Key_Plus)
    scale = view.scale_now
    view.show_drawing(waves_drawing(example_plan()), DARK)
    assert view.current is not None
    assert (view.current.key, view.current.under) == ("checkout-3", "")
    assert view.scale_now == scale
    view.show_drawing(None, LIGHT)
    assert view.current is None
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Home, Qt.Key.Key_0):
        qtbot.keyClick(view, key)  # there is no box to select
    assert view.current is None


def test_a_thousand_boxes_are_laid_out_and_painted(view: GraphView, qtbot: QtBot) -> None:
    names = tuple(f"web-{k:04d}" for k in range(1000))
    plan = example_plan(instances=names, window=50, min_in_pool=0)
    view.show_drawing(waves_drawing(plan), LIGHT)
    assert view.drawing is not None
    assert len(view.drawing.nodes) == 1000
    view.setFocus()
    qtbot.keyClick(view, Qt.Key.Key_End)
    assert view.current is not None
    assert view.current.key == "web-0999"
    box = next(b for b in view.items() if getattr(b, "node", None) is view.current)
    assert view.viewport().rect().contains(view.mapFromScene(box.pos()))
    assert not view.grab().isNull()
