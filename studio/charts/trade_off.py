"""All candidates: duration against a risk, what holds shaded, and joined what holds and is not beaten.

Enters: a comparison, and which risk the duration is weighed against. Leaves: the drawn axes, and where
each candidate lies on them. A point is a mean over paired runs, its bars the 95 % intervals.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from simulation.study.compare import CandidateResult, Comparison, front_of
from studio.charts import style
from studio.views.facts import Facts, facts, is_within
from studio.views.figures_text import (
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
    points,
    scale_of,
    why_empty,
)

MARKERS = {"meets": "o", "fails": "X", "undecided": "D"}
"""A verdict is told by shape as well as by colour."""

LONGEST_NAME = 32
"""So many characters of a candidate's name stand beside its point."""


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
    """Draws the trade-off; returns the points, for whoever wants to click them.

    Args:
        axes: Where.
        comparison: What is drawn.
        selected: The candidate that is looked at.
        theme: The colours.
        risk: What the duration is weighed against.
        names: What each candidate is called, None for one that is not shown; left out, what differs.
        scale: The axes, where they are to stay as they were.
        titled: Whether the chart says by itself what it is.
    """
    style.prepare(axes, theme, risk.title if titled else "", "")
    called = names or [
        candidate_name(comparison, i, begins_sentence=False)
        for i in range(len(comparison.candidates))
    ]
    known = [point for point in points(comparison, risk) if called[point.index] is not None]
    wanted = scale or scale_of(comparison, risk)
    if not known or wanted is None:
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
    _set_scale(axes, wanted, risk)
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
    for point in known:
        name = style.shorten_name(called[point.index] or "", LONGEST_NAME)
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


def holding_front(comparison: Comparison, risk: Risk) -> tuple[int, ...]:
    """The candidates within every limit that no other of them beats in both duration and the risk.

    A candidate that breaks a limit is no choice, however fast it is: one that loses 85 % of its requests often
    answers the rest quickly.
    """
    objectives = comparison.scenario.objectives
    holding = [
        index
        for index, result in enumerate(comparison.candidates)
        if not _breaks(result, facts(result, objectives))
    ]
    front = front_of([comparison.candidates[index] for index in holding], risk.metric)
    return tuple(holding[place] for place in front)


@dataclass(frozen=True)
class Region:
    """Where all objectives hold, as far as the candidates show.

    Attributes:
        bands_s: Durations from and to, ascending; a failing candidate lies in none of them.
        low: The lowest risk in it; None where the axis begins.
        high: The highest; None where the axis ends.
    """

    bands_s: tuple[tuple[float, float], ...]
    low: float | None
    high: float | None


def region_of(comparison: Comparison, risk: Risk, right_s: float) -> Region | None:
    """Return where all objectives hold; None where none is set, or no duration is left.

    Duration and risk have limits of their own on the axes. Other objectives have none there, so a duration counts
    only where the nearest candidate does not break them: a band ends halfway to one that does. So it does where a
    candidate fails in too many runs although its means are within both limits on the axes.

    Args:
        comparison: The candidates.
        risk: What is on the other axis.
        right_s: How far the axis of durations reaches.
    """
    objectives = comparison.scenario.objectives
    limit = risk.limit(objectives)
    told = facts(comparison.candidates[0], objectives).by_metric.values()
    if all(one.limit is None for one in told):
        return None
    low, high = (limit, None) if risk.is_higher_better else (None, limit)
    end_s = right_s if objectives.duration is None else min(right_s, objectives.duration)
    known = sorted(points(comparison, risk), key=lambda point: point.duration_s)
    barred = {point.index for point in known if _bars(comparison, point, risk)}
    barred_s = {point.duration_s for point in known if point.index in barred}
    bands: list[tuple[float, float]] = []
    begin_s: float | None = 0.0
    before: float | None = None
    for duration_s in sorted({point.duration_s for point in known}):
        if duration_s in barred_s:
            if begin_s is not None:
                bands.append((begin_s, 0.0 if before is None else (before + duration_s) / 2))
            begin_s = None
        elif begin_s is None:
            assert before is not None
            begin_s = (before + duration_s) / 2
        before = duration_s
    if begin_s is not None:
        bands.append((begin_s, end_s))
    cut = [(first, min(last, end_s)) for first, last in bands]
    kept = tuple((first, last) for first, last in cut if first < last)
    return Region(kept, low, high) if kept else None


def _bars(comparison: Comparison, point: Point, risk: Risk) -> bool:
    """Whether a candidate shows that at its duration not all objectives hold.

    One that breaks only what the axes show lies outside the limits, and bars nothing.
    """
    result = comparison.candidates[point.index]
    told = facts(result, comparison.scenario.objectives)
    if not _breaks(result, told):
        return False
    seen = {_DURATION, risk.metric}
    by_metric = told.by_metric.items()
    breaks_elsewhere = any(
        one.is_within is False for metric, one in by_metric if metric not in seen
    )
    lies_outside = any(
        is_within(metric, one.figure.mean, one.limit) is False
        for metric, one in by_metric
        if metric in seen
    )
    return breaks_elsewhere or not lies_outside


def _breaks(result: CandidateResult, told: Facts) -> bool:
    return result.verdict.answer == "fails" or told.breaks_a_limit


def _shade(axes: Axes, comparison: Comparison, risk: Risk, theme: Theme) -> None:
    """The region in which all objectives hold."""
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
