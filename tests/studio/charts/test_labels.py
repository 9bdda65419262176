"""Words in the charts: none covers another, in any load, at any size; odd results are drawn too."""

from __future__ import annotations

import itertools
from functools import cache

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from simulation.scenario.file import ScenarioFile
from simulation.study.case import cases_of
from simulation.study.compare import Comparison, compare
from simulation.study.execution import Execution
from simulation.study.rows import run_rows
from studio.charts import style
from studio.charts.over_time import draw_capacity, draw_latency
from studio.charts.trade_off import draw_trade_off
from studio.views.theme import LIGHT
from tests.helpers.command_line import SHOP

pytestmark = pytest.mark.slow

LOADS = {
    "ample": SHOP.replace("40/s", "3/s"),
    "even": SHOP.replace("{mean: 50ms, cv: 1}", "50ms"),
    "near": SHOP.replace("40/s", "125/s").replace("window: 2", "window: 3"),
    "over": SHOP.replace("40/s", "230/s").replace("window: 2", "window: 5"),
    "rising": SHOP.replace("40/s", "{steps: [[0s, 40/s], [10s, 230/s]]}"),
    "large": SHOP.replace("instances: 6", "instances: 40").replace("40/s", "100/s"),
}
BEST = " — fastest that meets"
SIZES = [(3.3, 2.0), (4.2, 2.4), (7.0, 4.0)]


@cache
def compared(text: str, *windows: int) -> Comparison:
    scenario = ScenarioFile.parse(text).scenario
    cases = cases_of(scenario, windows)
    return compare(scenario, cases, list(run_rows(scenario, cases, Execution(jobs=1))))


def axes_of(size: tuple[float, float], dpi: float = style.DPI) -> Axes:
    figure = Figure(figsize=size, dpi=dpi)
    FigureCanvasAgg(figure)
    return figure.add_axes((0.14, 0.16, 0.82, 0.68))


def shown(axes: Axes) -> list[Text]:
    return [text for text in axes.texts if text.get_text() and text.get_visible()]


def covering(axes: Axes) -> list[tuple[str, str]]:
    """The pairs of texts that cover each other, once it is drawn."""
    axes.figure.canvas.draw()
    boxes = [(text.get_text(), text.get_window_extent()) for text in shown(axes)]
    return [
        (a, b) for (a, one), (b, other) in itertools.combinations(boxes, 2) if one.overlaps(other)
    ]


def draw_all(comparison: Comparison, size: tuple[float, float], dpi: float) -> list[Axes]:
    limit_s = comparison.scenario.objectives.latency_p99
    drawn = []
    with style.use_style():
        for result in comparison.candidates:
            drawn += [axes_of(size, dpi), axes_of(size, dpi)]
            draw_capacity(drawn[-2], result, LIGHT)
            draw_latency(drawn[-1], result, LIGHT, limit_s)
        drawn.append(axes_of((size[0], size[1] * 2), dpi))
        draw_trade_off(drawn[-1], comparison, 1, LIGHT)
    return drawn


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("load", LOADS)
def test_no_word_covers_another(load: str, size: tuple[float, float]) -> None:
    comparison = compared(LOADS[load], 1, 2, 3, 5)
    for axes in draw_all(comparison, size, style.DPI):
        assert covering(axes) == []


def test_no_word_covers_another_in_a_fine_export() -> None:
    for axes in draw_all(compared(LOADS["even"], 1, 2, 3, 5), (4.2, 2.4), 220):
        assert covering(axes) == []


def test_among_many_points_the_selected_is_named() -> None:
    comparison = compared(LOADS["large"], *range(1, 21))
    for selected in (0, 7, 19):
        axes = axes_of((3.3, 2.6))
        points = draw_trade_off(axes, comparison, selected, LIGHT)
        assert len(points) == 20  # every one is there, if not every name
        names = [text.get_text() for text in shown(axes) if text.get_text().startswith("window ")]
        assert f"window {selected + 1}" in [name.removesuffix(BEST) for name in names]
        assert len(names) < 20
        assert covering(axes) == []


def test_words_are_spread_anew_in_another_size() -> None:
    axes = axes_of((9, 6))
    draw_trade_off(axes, compared(LOADS["large"], *range(1, 21)), 3, LIGHT)
    wide = len(shown(axes))
    figure = axes.figure
    assert isinstance(figure, Figure)
    figure.set_size_inches(3.3, 2.6)
    style.spread_labels(axes)
    assert covering(axes) == []
    assert len(shown(axes)) < wide
    figure.set_size_inches(9, 6)
    style.spread_labels(axes)
    assert len(shown(axes)) == wide


def test_names_stand_at_the_lines_that_they_name() -> None:
    axes = axes_of((4.2, 2.4))
    draw_latency(axes, compared(SHOP, 1, 2).candidates[1], LIGHT, None)
    axes.figure.canvas.draw()
    places = {text.get_text(): text.get_window_extent().y0 for text in shown(axes)}
    assert places["p50"] < places["p99"]


def test_a_rollout_that_takes_no_time_is_drawn() -> None:
    instant = (
        SHOP.replace("    steps: {deploy: 2s, start: {mean: 1s, cv: 0.3}}\n", "")
        .replace("40/s", "0.5/s")
        .replace("  duration: 30s\n", "")
    )
    axes = axes_of((4.2, 4.8))
    points = draw_trade_off(axes, compared(instant, 1, 2), 0, LIGHT)
    assert {point.duration_s for point in points} == {0.0}
    assert axes.get_xlim()[1] > 0
    assert covering(axes) == []


def test_a_rollout_without_requests_is_told_apart_from_one_that_never_ends() -> None:
    comparison = compared(SHOP.replace("40/s", "0/s"), 1, 2)
    axes = axes_of((4.2, 4.8))
    assert draw_trade_off(axes, comparison, 0, LIGHT) == []
    assert "No request came while a rollout went on" in {text.get_text() for text in shown(axes)}
    for draw in (
        lambda axes: draw_capacity(axes, comparison.candidates[0], LIGHT),
        lambda axes: draw_latency(axes, comparison.candidates[0], LIGHT, 2.0),
    ):
        axes = axes_of((4.2, 2.4))
        draw(axes)
        assert covering(axes) == []


def test_one_candidate_is_a_chart_too() -> None:
    axes = axes_of((4.2, 4.8))
    points = draw_trade_off(axes, compared(SHOP, 2), None, LIGHT)
    assert len(points) == 1
    assert "window 2" in {text.get_text() for text in shown(axes)}
    assert covering(axes) == []


def test_limits_are_drawn_where_they_are() -> None:
    comparison = compared(SHOP, 1, 2)
    axes = axes_of((4.2, 2.4))
    draw_latency(axes, comparison.candidates[1], LIGHT, 2.0)
    dashed = [line for line in axes.lines if line.get_color() == LIGHT.failed]
    assert [np.asarray(line.get_ydata())[0] for line in dashed] == [
        2.0
    ]  # in seconds, as the axis is
    trade = axes_of((4.2, 4.8))
    draw_trade_off(trade, comparison, 1, LIGHT)
    (region,) = trade.collections
    box = region.get_paths()[0].get_extents()
    assert (box.x0, box.x1, box.y1) == (0, 30.0, 2.0)


def test_drawing_leaves_the_settings_of_others_alone() -> None:
    before = dict(mpl.rcParams)
    draw_all(compared(SHOP, 1, 2), (4.2, 2.4), style.DPI)
    assert dict(mpl.rcParams) == before
