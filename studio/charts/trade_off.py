"""All candidates: duration against p99, what is not beaten joined, what meets shaded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from simulation.compare import Comparison
from studio.charts import style
from studio.format import candidate_name, length_text
from studio.theme import Theme

MARKERS = {"meets": "o", "fails": "X", "undecided": "D"}
"""A verdict is told by shape as well as by colour."""


@dataclass(frozen=True)
class Point:
    """Where a candidate lies: seconds of rollout, seconds of p99, and its place in the list."""

    duration_s: float
    p99_s: float
    index: int


def points(comparison: Comparison) -> list[Point]:
    """The candidates that have both figures."""
    found = []
    for index, result in enumerate(comparison.candidates):
        duration = result.metrics["rollout_duration_s"].mean
        p99 = result.metrics["rollout_latency_p99_s"].mean
        if duration is not None and p99 is not None:
            found.append(Point(duration, p99, index))
    return found


def draw_trade_off(
    axes: Axes, comparison: Comparison, selected: int | None, theme: Theme
) -> list[Point]:
    """Draws the trade-off; returns the points, for whoever wants to click them."""
    style.prepare(axes, theme, "Duration against p99", "")
    known = points(comparison)
    if not known:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.text(
            0.5,
            0.5,
            "No request came while a rollout went on"
            if any(result.ended["done"] for result in comparison.candidates)
            else "No candidate has ended its rollout",
            transform=axes.transAxes,
            color=theme.soft,
            ha="center",
        )
        return known
    _scale(axes, comparison, known)
    _shade(axes, comparison, theme)
    places = {point.index: point for point in known}
    front = [places[index] for index in comparison.front]
    axes.plot(
        [p.duration_s for p in front],
        [p.p99_s for p in front],
        color=theme.soft,
        linewidth=1,
        linestyle=(0, (3, 3)),
        zorder=2,
    )
    for point in known:
        _point(axes, comparison, point, point.index == selected, theme)
    style.spread_labels(axes)
    return known


def _limits(comparison: Comparison) -> tuple[float | None, float | None]:
    objectives = comparison.scenario.objectives
    return objectives.duration, objectives.latency_p99


def _scale(axes: Axes, comparison: Comparison, known: list[Point]) -> None:
    """Axes that hold every point with its bars, and the limits; log where p99 spans a decade."""
    duration_limit, p99_limit = _limits(comparison)
    right = max([p.duration_s for p in known] + ([duration_limit] if duration_limit else []))
    span_s = right * 1.14 or 1.0
    axes.set_xlim(0, span_s)
    style.time_axis(axes, span_s, length_text)
    figures = [comparison.candidates[p.index].metrics["rollout_latency_p99_s"] for p in known]
    lows = [f.run_low or f.mean or 0.0 for f in figures]
    highs = [f.run_high or f.mean or 0.0 for f in figures]
    if p99_limit is not None:
        highs.append(p99_limit)
    low, high = min(lows), max(highs)
    if low > 0 and high / low > 10:
        axes.set_yscale("log")
        axes.set_ylim(low / 1.6, high * 1.6)
        axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.set_ylim(0, high * 1.22)
        style.few_ticks(axes, 5)
    unit_s, unit = (1.0, "s") if high >= 1 else (0.001, "ms")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / unit_s:g} {unit}"))


def _shade(axes: Axes, comparison: Comparison, theme: Theme) -> None:
    """The region inside the limits of duration and p99, as far as there are any."""
    duration_limit, p99_limit = _limits(comparison)
    if duration_limit is None and p99_limit is None:
        return
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    right = right if duration_limit is None else duration_limit
    top = top if p99_limit is None else p99_limit
    axes.fill_between([left, right], bottom, top, color=theme.new_version, alpha=0.11, linewidth=0)
    axes.annotate(
        "within the limits",
        (left, bottom),
        xytext=(6, 5),
        textcoords="offset points",
        color=theme.meets_text,
        fontsize=style.SMALL_PT,
    )


def _point(axes: Axes, comparison: Comparison, point: Point, selected: bool, theme: Theme) -> None:
    result = comparison.candidates[point.index]
    colour = theme.answer_mark(result.verdict.answer)
    duration = result.metrics["rollout_duration_s"]
    p99 = result.metrics["rollout_latency_p99_s"]
    for figure, vertical in ((p99, True), (duration, False)):
        if figure.run_low is None or figure.run_high is None:
            continue
        ends = np.array([figure.run_low, figure.run_high])
        same = np.array([point.duration_s if vertical else point.p99_s] * 2)
        across, up = (same, ends) if vertical else (ends, same)
        axes.plot(across, up, color=colour, linewidth=1.6, solid_capstyle="butt", zorder=3)
    axes.plot(
        [point.duration_s],
        [point.p99_s],
        marker=MARKERS[result.verdict.answer],
        markersize=11 if selected else 7.5,
        color=colour,
        markeredgecolor=theme.accent if selected else theme.card,
        markeredgewidth=2 if selected else 1,
        zorder=4,
    )
    name = candidate_name(comparison, point.index).lower()
    style.point_label(axes, theme, name, (point.duration_s, point.p99_s), selected)
