"""The page *Trade-off*: points, risks, keys, undecided candidates."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from pytestqt.qtbot import QtBot

from simulation.study.compare import front_of
from studio.gui.document.commands import edit_values, remove_run, rename_run
from studio.gui.pages.trade_off import TradeOffPage
from studio.views.figures_text import verdict_text
from studio.views.theme import DARK
from studio.views.trade_off import P99, RISKS, AxisScale, holding_front, scale_of
from tests.helpers.command_line import SHOP
from tests.studio.gui.pages import Seat

OPEN = SHOP.replace("in_runs: 40%", "in_runs: 90%")
FAILING = SHOP.replace("timeout: 5s", "timeout: 0s, on_timeout: abort").replace(
    "service_time: {mean: 50ms, cv: 1}", "service_time: 30s"
)


@pytest.fixture
def seat(qtbot: QtBot) -> Seat[TradeOffPage]:
    return Seat(qtbot, TradeOffPage, SHOP, windows=(1, 2, 3))


def at(seat: Seat[TradeOffPage], index: int) -> QPoint:
    """Return the position of a candidate's point on the chart."""
    chart = seat.page.chart
    (point,) = [one for one in chart.points if one.index == index]
    return chart.place_of(chart.axes[0], point.duration_s, point.risk).toPoint()


def names(seat: Seat[TradeOffPage]) -> set[str]:
    return {text.get_text() for text in seat.page.chart.axes[0].texts if text.get_text()}


def test_before_the_first_results_it_says_so(seat: Seat[TradeOffPage]) -> None:
    assert names(seat) == {"Nothing is simulated yet"}
    assert seat.page.figures() == {}


def test_a_click_looks_at_a_point_and_a_double_click_takes_its_plan(
    seat: Seat[TradeOffPage], qtbot: QtBot
) -> None:
    seat.run()
    chart = seat.page.chart
    assert [point.index for point in chart.points] == [0, 1, 2]
    assert seat.document.selection == 2
    qtbot.mouseClick(chart, Qt.MouseButton.LeftButton, pos=at(seat, 0))
    assert seat.document.selection == 0
    with qtbot.waitSignal(seat.page.page_requested, check_params_cb=lambda key: key == "plan"):
        qtbot.mouseDClick(chart, Qt.MouseButton.LeftButton, pos=at(seat, 0))
    qtbot.mouseClick(chart, Qt.MouseButton.LeftButton, pos=QPoint(1, 1))
    assert seat.document.selection == 0


def test_keys_go_from_point_to_point(seat: Seat[TradeOffPage], qtbot: QtBot) -> None:
    seat.run()
    chart = seat.page.chart
    chart.setFocus()
    durations = {point.index: point.duration_s for point in chart.points}
    for key, wanted in (
        (Qt.Key.Key_Right, 1),  # a smaller window takes longer
        (Qt.Key.Key_Right, 0),
        (Qt.Key.Key_Right, 0),  # there is no candidate beyond
        (Qt.Key.Key_Left, 1),
    ):
        qtbot.keyClick(chart, key)
        assert seat.document.selection == wanted
    assert durations[0] > durations[1] > durations[2]
    up = sorted(chart.points, key=lambda point: point.risk)
    for _press in up:
        qtbot.keyClick(chart, Qt.Key.Key_Down)
    assert seat.document.selection == up[0].index
    with qtbot.waitSignal(seat.page.page_requested, check_params_cb=lambda key: key == "plan"):
        qtbot.keyClick(chart, Qt.Key.Key_Return)
    assert "Window" in chart.accessibleDescription()


@pytest.mark.parametrize("key", RISKS)
def test_the_front_and_the_region_are_of_the_risk_that_is_chosen(
    seat: Seat[TradeOffPage], qtbot: QtBot, key: str
) -> None:
    seat.run()
    page, risk = seat.page, RISKS[key]
    seat.click(page.risk.button(key))
    comparison = seat.document.comparison
    assert comparison is not None
    axes = page.chart.axes[0]
    means = [candidate.metrics[risk.metric].mean for candidate in comparison.candidates]
    assert [point.risk for point in page.chart.points] == means
    front = next(line for line in axes.lines if line.get_linestyle() == "--")
    wanted = [means[index] for index in holding_front(comparison, risk)]
    assert np.asarray(front.get_ydata()).tolist() == wanted
    (region,) = axes.collections
    box = region.get_paths()[0].get_extents()
    limit = risk.limit(comparison.scenario.objectives)
    assert box.x1 == 30.0
    assert box.y1 == (limit if limit is not None else axes.get_ylim()[1])


def test_the_fewest_in_the_pool_are_better_when_they_are_more(qtbot: QtBot) -> None:
    text = SHOP.replace("  duration: 30s\n", "  duration: 30s\n  lowest_in_pool: 4\n")
    seat = Seat(qtbot, TradeOffPage, text, windows=(1, 2, 3))
    seat.run()
    seat.page.weigh_against("pool")
    assert [point.risk for point in seat.page.chart.points] == [5, 4, 3]
    (region,) = seat.page.chart.axes[0].collections
    assert region.get_paths()[0].get_extents().y0 == 4
    assert front_of(seat.comparison.candidates, "lowest_in_pool_count") == (2, 1, 0)


def test_a_moved_slider_is_answered_at_once_by_an_estimate(seat: Seat[TradeOffPage]) -> None:
    seat.run()
    chart = seat.page.chart
    before = list(chart.axes[0].lines)
    assert edit_values(seat.document, "window", {"rollout.window": 4}, slides=True)
    assert chart.is_stale
    found = seat.document.estimate
    assert found is not None
    assert chart.estimated is not None
    assert chart.estimated.name == "window 4"
    assert chart.estimated.duration_s == found.rollout_duration_s
    assert chart.estimated.risk == found.rollout_latency_p99_s
    assert list(chart.axes[0].lines) == before  # matplotlib did not draw
    assert "the hollow one is the edited scenario by closed forms" in seat.page.sentence.text()
    seat.page.weigh_against("exposure")
    assert chart.estimated is None
    assert "closed forms give no estimate" in seat.page.sentence.text()
    seat.document.undo.undo()
    assert not chart.is_stale


def test_the_axes_stay_while_results_come_in(seat: Seat[TradeOffPage]) -> None:
    seat.run(rows=2)
    axes = seat.page.chart.axes[0]
    first, lines = axes.get_ylim(), list(axes.lines)
    seat.run(rows=4)
    assert list(axes.lines) != lines
    assert axes.get_ylim() == first
    assert "mean of 4 runs" in seat.page.sentence.text()


@pytest.mark.parametrize(
    ("other", "suits"),
    [
        (AxisScale("linear", 100, 0, 10), True),
        (AxisScale("linear", 110, 0, 11), True),
        (AxisScale("linear", 120, 0, 10), False),
        (AxisScale("linear", 100, 0, 12), False),
        (AxisScale("linear", 100, 0, 4), False),
        (AxisScale("linear", 50, 0, 10), False),
        (AxisScale("log", 100, 0, 10), False),
    ],
)
def test_the_axes_change_only_when_points_do_not_fit(other: AxisScale, suits: bool) -> None:
    assert AxisScale("linear", 100, 0, 10).suits(other) is suits


def test_undecided_candidates_are_named_when_all_runs_are_there(qtbot: QtBot) -> None:
    seat = Seat(qtbot, TradeOffPage, OPEN, windows=(1, 2))
    seat.run(rows=2)
    assert "undecided" not in seat.page.sentence.text()
    seat.run()
    assert seat.page.sentence.text().endswith("Window 1 and Window 2 are undecided.")


def test_one_run_has_no_intervals(seat: Seat[TradeOffPage]) -> None:
    seat.run(rows=1)
    assert "Every point is one run so far" in seat.page.sentence.text()


def test_a_rollout_that_never_ends_is_named(qtbot: QtBot) -> None:
    seat = Seat(qtbot, TradeOffPage, FAILING, windows=(1,))
    seat.run()
    assert names(seat) == {"No rollout has come to its end: it was not simulated in 4 of 4 runs"}
    assert scale_of(seat.comparison, P99) is None
    seat.page.chart.setFocus()
    qtbot.keyClick(seat.page.chart, Qt.Key.Key_Right)  # there is no point to select
    assert seat.document.selection == 0


@pytest.mark.slow
def test_a_thousand_instances_are_one_point(qtbot: QtBot) -> None:
    text = SHOP.replace("instances: 6", "instances: 1000").replace("window: 2", "window: 500")
    seat = Seat(qtbot, TradeOffPage, text.replace("replications: 4", "replications: 1"))
    seat.run(windows=(500,))
    assert len(seat.page.chart.points) == 1


def test_a_long_name_is_shortened_in_the_chart_only(
    seat: Seat[TradeOffPage],
) -> None:
    seat.run()
    run = seat.document.runs[1]
    rename_run(seat.document, run, "N" * 80)
    (shown,) = [name for name in names(seat) if name.startswith("N")]
    assert shown.endswith("…")
    assert len(shown) == 32
    seat.document.look_at(run.key)
    words = seat.page.chart.accessibleDescription()
    assert words.startswith("N" * 80)
    assert words.endswith(verdict_text(run.result))


def test_a_run_that_was_removed_is_not_drawn(seat: Seat[TradeOffPage]) -> None:
    seat.run()
    remove_run(seat.document, seat.document.runs[0])
    assert [point.index for point in seat.page.chart.points] == [1, 2]
    seat.document.undo.undo()
    assert [point.index for point in seat.page.chart.points] == [0, 1, 2]


def test_it_follows_the_theme_and_rests_while_it_is_hidden(seat: Seat[TradeOffPage]) -> None:
    seat.run()
    seat.page.set_theme(DARK)
    assert seat.page.chart.figure.get_facecolor()[:3] == pytest.approx(
        tuple(int(DARK.card[k : k + 2], 16) / 255 for k in (1, 3, 5))
    )
    seat.host.hide()
    lines = list(seat.page.chart.axes[0].lines)
    seat.run(rows=3)
    assert list(seat.page.chart.axes[0].lines) == lines
    seat.host.show()
    seat.page.on_shown()
    assert list(seat.page.chart.axes[0].lines) != lines


def test_every_risk_can_be_exported(seat: Seat[TradeOffPage]) -> None:
    seat.run()
    seat.page.weigh_against("lost")
    figures = seat.page.figures()
    assert next(iter(figures)) == "trade-off lost requests"
    assert set(figures) == {f"trade-off {risk.words}" for risk in RISKS.values()}
    for figure in figures.values():
        (axes,) = figure.axes
        assert axes.texts[0].get_text().startswith("Duration against")


def test_the_page_actions_work(seat: Seat[TradeOffPage]) -> None:
    seat.run()
    table: dict[str, Callable[[], None]] = {
        key: slot for key, _words, _shortcut, slot in seat.page.page_actions()
    }
    table["trade_off.exposure"]()
    assert seat.page.risk.selected_key == "exposure"
