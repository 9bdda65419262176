"""The charts of a comparison as figures with a finished layout: for reports and files."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simulation.scenario.model import Scenario
from simulation.study.candidate_result import CandidateResult, ControlResult
from simulation.study.compare import Comparison
from studio.charts import style
from studio.charts.over_time import draw_capacity, draw_latency
from studio.charts.trade_off import draw_trade_off
from studio.charts.waterfall import ROW_PX, draw_waterfall
from studio.views.spans import forecast_spans
from studio.views.theme import LIGHT, Theme

WIDTH_PX = 960.0
MOST_ROWS = 48
"""Maximum number of instances in a chart of steps; of a larger fleet every n-th instance is shown."""

Draw = Callable[[Sequence[Axes]], object]


def figure_of(draw: Draw, height_px: float, theme: Theme, rows: int = 1) -> Figure:
    """Return a figure with axes above each other and a finished layout, in which no label covers another.

    Args:
        draw: Draws on the axes, from top to bottom.
        height_px: The figure's height in pixels; its width is `WIDTH_PX`.
        theme: The colours.
        rows: Number of axes.
    """
    with style.use_style():
        size = WIDTH_PX / style.DPI, height_px / style.DPI
        figure = Figure(figsize=size, dpi=style.DPI, layout="constrained")
        figure.set_facecolor(theme.card)
        axes = [figure.add_subplot(rows, 1, row + 1) for row in range(rows)]
        draw(axes)
        figure.draw_without_rendering()  # only now do the axes have their places
        figure.set_layout_engine("none")
        for part in axes:
            style.spread_labels(part)
    return figure


def comparison_figures(
    comparison: Comparison, index: int, theme: Theme = LIGHT
) -> dict[str, Figure]:
    """Return the charts of one candidate by name: over time, trade-off and steps."""
    result = comparison.candidates[index]
    scenario = result.scenario
    control = comparison.control_of(result)
    figures = {"over time": over_time_figure(result, scenario, theme, control)}
    if scenario.rollout is not None:
        figures["trade-off"] = figure_of(
            lambda axes: draw_trade_off(axes[0], comparison, index, theme), 420, theme
        )
        figures["steps"] = steps_figure(result, scenario, theme)
    return figures


def over_time_figure(
    result: CandidateResult,
    scenario: Scenario,
    theme: Theme,
    control: ControlResult | None = None,
) -> Figure:
    """Return the chart of capacity and traffic, above that of latency, with the control where there is one."""

    def draw(axes: Sequence[Axes]) -> None:
        draw_capacity(axes[0], result, theme)
        draw_latency(axes[1], result, theme, scenario.objectives.latency_p99, control)

    return figure_of(draw, 560, theme, rows=2)


def steps_figure(
    result: CandidateResult, scenario: Scenario, theme: Theme, place: int = 0
) -> Figure:
    """Return the chart of each instance's steps in one run."""
    names = scenario.all_instance_names()
    every = -(-len(names) // MOST_ROWS)
    shown = names[::every]
    spans = forecast_spans(result.runs[place].states, names)
    return figure_of(
        lambda axes: draw_waterfall(axes[0], shown, (), spans, theme),
        110 + ROW_PX * len(shown),
        theme,
    )
