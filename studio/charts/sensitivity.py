"""Which assumptions an answer hangs on: ranked bars with their intervals."""

from __future__ import annotations

import math

from matplotlib.axes import Axes

from simulation.planning.sensitivity import Sensitivity
from studio.charts import style
from studio.views.theme import Theme

MOST_BARS = 15
"""What moves less than this many others is not drawn."""


def draw_sensitivity(axes: Axes, found: Sensitivity, theme: Theme) -> None:
    """Draws a bar an assumption, the longest on top; those in which the answer flips stand out."""
    style.prepare(
        axes, theme, "What the answer hangs on", "moves the deciding figure by a factor of"
    )
    shown = found.effects[:MOST_BARS]
    places = range(len(shown))
    lengths = [math.log(one.factor) for one in shown]
    ends = [
        [length - math.log(one.factor_low) for length, one in zip(lengths, shown, strict=True)],
        [math.log(one.factor_high) - length for length, one in zip(lengths, shown, strict=True)],
    ]
    axes.barh(
        places,
        lengths,
        height=0.62,
        color=[theme.failed if one.flips_fraction > 0 else theme.new_version for one in shown],
        xerr=ends,
        error_kw={"ecolor": theme.soft, "elinewidth": 1},
    )
    axes.invert_yaxis()
    names = [f"{one.key} {'↑' if one.rises else '↓'}" for one in shown]
    axes.set_yticks(places, names, color=theme.text)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color=theme.line, linewidth=0.8)
    span = 1.1 * max([math.log(one.factor_high) for one in shown], default=0.0) or 1.0
    axes.set_xlim(0, span)
    ticks = _round_factors(span)
    axes.set_xticks([math.log(one) for one in ticks], [f"{one:g}" for one in ticks])


def _round_factors(span: float) -> list[float]:
    """Round factors along a logarithmic axis from 1 on, no closer than an eighth of it."""
    wide = [a * 10.0**b for b in range(6) for a in (2, 5, 10)]
    fine = [1.02, 1.05, 1.1, 1.2, 1.5, 2.0, 3.0]
    found = [1.0]
    for one in wide if math.exp(span) > 5 else fine:
        if math.log(one / found[-1]) >= span / 8 and math.log(one) <= span:
            found.append(one)
    return found
