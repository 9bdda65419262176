"""The assumptions that decide an answer, as ranked bars with their intervals."""

from __future__ import annotations

import math

from matplotlib.axes import Axes

from simulation.planning.sensitivity import Sensitivity
from studio.charts import style
from studio.views.theme import Theme

MOST_BARS = 15
"""Maximum number of bars; the assumptions with the largest effects are drawn."""


def draw_sensitivity(axes: Axes, sensitivity: Sensitivity, theme: Theme) -> None:
    """Draw a bar for each assumption, the longest on top; a bar that flips the answer stands out."""
    style.prepare(
        axes, theme, "Assumptions that move the answer", "moves the deciding figure by a factor of"
    )
    shown = sensitivity.effects[:MOST_BARS]
    places = range(len(shown))
    lengths = [math.log(effect.factor) for effect in shown]
    ends = [
        [
            length - math.log(effect.factor_low)
            for length, effect in zip(lengths, shown, strict=True)
        ],
        [
            math.log(effect.factor_high) - length
            for length, effect in zip(lengths, shown, strict=True)
        ],
    ]
    axes.barh(
        places,
        lengths,
        height=0.62,
        color=[
            theme.failed if effect.flips_fraction > 0 else theme.new_version for effect in shown
        ],
        xerr=ends,
        error_kw={"ecolor": theme.soft, "elinewidth": 1},
    )
    axes.invert_yaxis()
    names = [f"{effect.key} {'↑' if effect.rises else '↓'}" for effect in shown]
    axes.set_yticks(places, names, color=theme.text)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color=theme.line, linewidth=0.8)
    span = 1.1 * max([math.log(effect.factor_high) for effect in shown], default=0.0) or 1.0
    axes.set_xlim(0, span)
    ticks = _round_factors(span)
    axes.set_xticks([math.log(tick) for tick in ticks], [f"{tick:g}" for tick in ticks])


def _round_factors(span: float) -> list[float]:
    """Return round factors from 1 on for a logarithmic axis, at least an eighth of the axis apart."""
    wide = [a * 10.0**b for b in range(6) for a in (2, 5, 10)]
    fine = [1.02, 1.05, 1.1, 1.2, 1.5, 2.0, 3.0]
    ticks = [1.0]
    for factor in wide if math.exp(span) > 5 else fine:
        if math.log(factor / ticks[-1]) >= span / 8 and math.log(factor) <= span:
            ticks.append(factor)
    return ticks
