"""The figures of a replay, whole: what happens over time, and the steps of one run.

Enters: results and a theme. Leaves: figures of matplotlib, to be exported.
"""

from __future__ import annotations

from matplotlib.figure import Figure

from simulation.compare import CandidateResult
from studio.charts import style
from studio.charts.over_time import draw_capacity, draw_latency
from studio.charts.waterfall import ROW_PX, draw_waterfall, forecast_spans
from studio.replay import Story
from studio.theme import Theme

_WIDTH_PX, _EACH_PX, _AROUND_PX = 900, 260, 110
_LEAST_ROW_PX, _MOST_HIGH_PX = 4.0, 2400


def over_time_figure(result: CandidateResult, limit_s: float | None, theme: Theme) -> Figure:
    """Capacity against traffic, and latency beneath, of all runs."""
    with style.drawn_in_style():
        figure = _figure(2 * _EACH_PX, theme)
        upper, lower = figure.subplots(2, 1)
        draw_capacity(upper, result, theme)
        draw_latency(lower, result, theme, limit_s)
    return figure


def steps_figure(story: Story, theme: Theme) -> Figure:
    """What each instance did in one run, those that did nothing left out."""
    names = [story.names[number] for number in story.order]
    row_px = max(_LEAST_ROW_PX, min(ROW_PX, _MOST_HIGH_PX / max(1, len(names))))
    with style.drawn_in_style():
        figure = _figure(_AROUND_PX + row_px * max(1, len(names)), theme)
        spans = forecast_spans(story.run.states, story.names)
        axes = figure.add_subplot()
        draw_waterfall(axes, names, spans, (), theme)
        if len(names) > _MOST_HIGH_PX / ROW_PX:
            axes.set_yticks([])
    return figure


def _figure(height_px: float, theme: Theme) -> Figure:
    figure = Figure(
        figsize=(_WIDTH_PX / style.DPI, height_px / style.DPI), dpi=style.DPI, layout="constrained"
    )
    figure.set_facecolor(theme.card)
    return figure
