"""All candidates: duration against a risk.

The region in which all objectives hold is shaded. A line joins the candidates there that no other candidate
beats in both duration and risk. A point is a mean over paired runs, its bars are the 95 % intervals.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from simulation.study.candidate_result import CandidateResult
from simulation.study.compare import Comparison
from simulation.study.statistics.means import interval
from studio.charts import style
from studio.views.candidate.control import CONTROL_NAME, value_of
from studio.views.figures_text import (
    MISSES_ANYWAY,
    candidate_name,
    count_text,
    latency_text,
    length_text,
    percent_text,
)
from studio.views.theme import Theme
from studio.views.trade_off import (
    _DURATION,
    _ROOM,
    P99,
    AxisScale,
    Point,
    Risk,
    holding_front,
    points,
    region_of,
    scale_of,
    why_empty,
)

MARKERS = {"meets": "o", "fails": "X", "undecided": "D", MISSES_ANYWAY: "s"}
"""The marker of each verdict, beside its colour."""

LONGEST_NAME = 32
"""Maximum length of a candidate's name beside its point, in characters."""


def draw_trade_off(
    axes: Axes,
    comparison: Comparison,
    selected: int | None,
    theme: Theme,
    risk: Risk = P99,
    *,
    names: Sequence[str | None] | None = None,
    scale: AxisScale | None = None,
    titled: bool = True,
) -> list[Point]:
    """Draw the trade-off; return the points, so that a click can be assigned to one.

    Args:
        axes: The axes to draw on.
        comparison: The comparison.
        selected: Number of the selected candidate.
        theme: The colours.
        risk: The risk that the duration is weighed against.
        names: The name of each candidate, None to hide a candidate; without names, what differs.
        scale: The reach of the axes, to keep them as they were; None to compute it.
        titled: False leaves the chart's title out.
    """
    style.prepare(axes, theme, risk.title if titled else "", "")
    labels = names or [
        candidate_name(comparison, i, begins_sentence=False)
        for i in range(len(comparison.candidates))
    ]
    known = [point for point in points(comparison, risk) if labels[point.index] is not None]
    axes_scale = scale or scale_of(comparison, risk)
    if not known or axes_scale is None:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.text(
            0.5,
            0.5,
            why_empty(comparison),
            transform=axes.transAxes,
            color=theme.soft,
            ha="center",
        )
        return []
    _set_scale(axes, axes_scale, risk)
    _shade(axes, comparison, risk, theme)
    places = {point.index: point for point in known}
    front = [places[index] for index in holding_front(comparison, risk) if index in places]
    axes.plot(
        [p.duration_s for p in front],
        [p.risk for p in front],
        color=theme.soft,
        linewidth=1,
        linestyle=(0, (3, 3)),
        zorder=2,
    )
    _draw_control(axes, comparison, risk, theme)
    for point in known:
        name = style.shorten_name(labels[point.index] or "", LONGEST_NAME)
        if point.index == comparison.chosen and len(comparison.candidates) > 1:
            name += " — fastest that meets"
        is_selected = point.index == selected
        result = comparison.candidates[point.index]
        _point(axes, result, point, risk, theme, selected=is_selected)
        style.point_label(axes, theme, name, (point.duration_s, point.risk), is_selected)
    style.spread_labels(axes)
    return known


def _set_scale(axes: Axes, scale: AxisScale, risk: Risk) -> None:
    span_s = scale.right_s * _ROOM or 1.0
    axes.set_xlim(0, span_s)
    style.time_axis(axes, span_s, length_text)
    low, high = scale.low, scale.high or 1.0
    if scale.kind == "linear":
        axes.set_ylim(0, high * 1.22)
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=risk.text is count_text))
    elif scale.kind == "log":
        axes.set_yscale("log")
        axes.set_ylim(low / 1.6, high * 1.6)
        axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0)))
    else:
        first = 10.0 ** math.floor(math.log10(low))
        decades = math.ceil(math.log10(high / first))
        axes.set_yscale("symlog", linthresh=first, linscale=0.6)
        axes.set_ylim(-0.12 * first, high * 1.8)
        ticks = [0.0, *(first * 10**k for k in range(decades + 1))]
        axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(_ticks_of(risk, high)))


def _ticks_of(risk: Risk, high: float) -> Callable[[float, int | None], str]:
    if risk.text is latency_text:
        unit_s, unit = (1.0, "s") if high >= 1 else (0.001, "ms")
        return lambda value, _: f"{value / unit_s:g} {unit}"
    if risk.text is percent_text:
        return lambda value, _: f"{value * 100:.4g} %"
    return lambda value, _: f"{value:,.0f}" if value == round(value) else f"{value:g}"


def _shade(axes: Axes, comparison: Comparison, risk: Risk, theme: Theme) -> None:
    """Shade the region in which all objectives hold."""
    region = region_of(comparison, risk, axes.get_xlim()[1])
    if region is None:
        return
    bottom, top = axes.get_ylim()
    bottom = bottom if region.low is None else region.low
    top = top if region.high is None else region.high
    bars = [(first, last - first) for first, last in region.bands_s]
    axes.broken_barh(bars, (bottom, top - bottom), color=theme.new_version, alpha=0.11, linewidth=0)
    left, _width = max(bars, key=lambda bar: bar[1])
    is_below = axes.get_yscale() == "symlog"  # there the points lie at the bottom
    axes.annotate(
        "within every limit",
        (left, min(top, axes.get_ylim()[1]) if is_below else bottom),
        xytext=(6, -5 if is_below else 5),
        textcoords="offset points",
        color=theme.meets_text,
        fontsize=style.SMALL_PT,
        va="top" if is_below else "bottom",
    )


def _draw_control(axes: Axes, comparison: Comparison, risk: Risk, theme: Theme) -> None:
    """Draw the risk without a rollout as a dotted line; with several starts there is no single one."""
    if len(comparison.controls) != 1:
        return
    values = [value_of(run.metrics, risk.metric) for run in comparison.controls[0].runs]
    mean = interval(values).mean
    if mean is None or not axes.get_ylim()[0] <= mean <= axes.get_ylim()[1]:
        return
    axes.axhline(mean, color=theme.text, linewidth=1.1, linestyle=(0, (1, 2)), zorder=2)
    axes.annotate(
        f"{CONTROL_NAME} {risk.text(mean)}",
        (1, mean),
        xycoords=("axes fraction", "data"),
        xytext=(-4, -4),
        textcoords="offset points",
        color=theme.text,
        fontsize=style.SMALL_PT,
        ha="right",
        va="top",
    )


def _point(
    axes: Axes, result: CandidateResult, point: Point, risk: Risk, theme: Theme, *, selected: bool
) -> None:
    colour = theme.answer_mark(result.verdict.answer)
    for figure, vertical in (
        (result.metrics[risk.metric], True),
        (result.metrics[_DURATION], False),
    ):
        if figure.low is None or figure.high is None:
            continue
        ends = np.array([max(0.0, figure.low), figure.high])
        same = np.array([point.duration_s if vertical else point.risk] * 2)
        across, up = (same, ends) if vertical else (ends, same)
        axes.plot(across, up, color=colour, linewidth=1.6, solid_capstyle="butt", zorder=3)
    axes.plot(
        [point.duration_s],
        [point.risk],
        marker=MARKERS[result.verdict.answer],
        markersize=11 if selected else 7.5,
        color=colour,
        markeredgecolor=theme.accent if selected else theme.card,
        markeredgewidth=2 if selected else 1,
        zorder=4,
    )
