"""One candidate over time: capacity and traffic, and latency.

Lines are medians over runs, bands hold 5–95 % of single runs.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from simulation.study.candidate_result import Band, CandidateResult, ControlResult
from studio.charts import style
from studio.views.candidate.control import CONTROL_NAME
from studio.views.figures_text import limit_text
from studio.views.theme import Theme


def draw_capacity(axes: Axes, result: CandidateResult | ControlResult, theme: Theme) -> None:
    """Draw the capacity of the pool, filled, with the traffic over it."""
    style.prepare(axes, theme, "Capacity and traffic", "requests/s")
    capacity, traffic = result.band("capacity_rps"), result.band("offered_rps")
    axes.fill_between(
        capacity.time_s, 0, capacity.median, color=theme.new_version, alpha=0.12, lw=0
    )
    axes.plot(capacity.time_s, capacity.median, color=theme.new_version, linewidth=1.6)
    _band(axes, traffic, theme.accent)
    top = float(np.nanmax([np.nanmax(capacity.median), np.nanmax(traffic.high)]))
    axes.set_ylim(0, top * 1.22 if top > 0 else 1)
    _name(axes, capacity, "capacity in the pool", theme.new_version, theme)
    there_is_room = float(np.nanmin(traffic.low)) > 0.35 * top
    _name(axes, traffic, "traffic", theme.accent, theme, above=not there_is_room)
    _frame(axes, capacity)
    style.without_times(axes)
    style.spread_labels(axes)


def draw_latency(
    axes: Axes,
    result: CandidateResult | ControlResult,
    theme: Theme,
    limit_s: float | None,
    control: ControlResult | None = None,
) -> None:
    """Draw p99 with its band, p50, and the limit; dashed, the p99 of the control where there is one."""
    highest = result.band("latency_p99_s")
    middle = result.band("latency_p50_s")
    without = None if control is None else control.band("latency_p99_s")
    shown = np.concatenate([highest.high, middle.median])
    if without is not None:
        shown = np.concatenate([shown, without.median])
    shown = shown[np.isfinite(shown)]
    top_s = float(shown.max()) if len(shown) else 1.0
    if limit_s is not None:
        top_s = max(top_s, limit_s)
    in_ms = top_s < 2.0
    scale = 1000.0 if in_ms else 1.0
    style.prepare(axes, theme, "Latency", "ms" if in_ms else "s")
    _band(axes, highest, theme.accent, scale)
    axes.plot(middle.time_s, middle.median * scale, color=theme.soft, linewidth=1.1)
    if without is not None:
        dashes = (0, (4, 3))
        values = without.median * scale
        axes.plot(without.time_s, values, color=theme.text, linewidth=1.1, linestyle=dashes)
    axes.set_ylim(0, top_s * scale * 1.22)
    _name(axes, highest, "p99", theme.accent, theme, scale=scale)
    _name(axes, middle, "p50", theme.soft, theme, scale=scale)
    if without is not None:
        _name(axes, without, CONTROL_NAME, theme.text, theme, above=False, scale=scale)
    if limit_s is not None:
        style.limit_line(axes, theme, limit_s * scale, f"limit {limit_text(limit_s)}")
    _frame(axes, highest)
    style.spread_labels(axes)


def _band(axes: Axes, band: Band, colour: str, scale: float = 1.0) -> None:
    axes.fill_between(
        band.time_s, band.low * scale, band.high * scale, color=colour, alpha=0.18, linewidth=0
    )
    axes.plot(band.time_s, band.median * scale, color=colour, linewidth=1.4)


def _name(
    axes: Axes,
    band: Band,
    text: str,
    colour: str,
    theme: Theme,
    *,
    above: bool = True,
    scale: float = 1.0,
) -> None:
    """Write a line's name at its start, clear of the band over the line's first quarter."""
    known = np.flatnonzero(np.isfinite(band.median))
    if not len(known):
        return
    stretch = known[: max(1, len(known) // 4)]
    edge = band.high[stretch] if above else band.low[stretch]
    value = float(np.nanmax(edge) if above else np.nanmin(edge)) * scale
    style.line_label(axes, text, (float(band.time_s[known[0]]), value), colour, theme, above=above)


def _frame(axes: Axes, band: Band) -> None:
    end_s = float(band.time_s[-1] + band.time_s[0])
    axes.set_xlim(0, end_s)
    style.time_axis(axes, end_s)
    style.few_ticks(axes)
