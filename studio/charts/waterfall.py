"""The steps of each instance, forecast and actual, on one axis of time.

Each instance has two bars: the forecast above, thinner, and the actual steps below.
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Patch

from studio.charts import style
from studio.views.figures_text import length_text
from studio.views.spans import LEGEND, Span, colours
from studio.views.states import look_of
from studio.views.theme import Theme

ROW_PX = 30.0
"""Height of an instance's two bars with the space around them, in pixels."""


def draw_waterfall(
    axes: Axes,
    instances: Sequence[str],
    forecast: Sequence[Span],
    actual: Sequence[Span],
    theme: Theme,
) -> None:
    """Draw the forecast and the actual steps, the first instance on top.

    Args:
        axes: The axes to draw on.
        instances: The instances in the order in which they are rolled.
        forecast: The steps of one simulated run; may be empty.
        actual: The steps that were carried out; may be empty.
        theme: The colours.
    """
    both = "forecast above, actual below" if forecast and actual else ""
    style.prepare(axes, theme, "Steps of each instance", both)
    colour_of_state = colours(theme)
    for spans, top, height, alpha in ((forecast, -0.36, 0.22, 0.55), (actual, -0.10, 0.44, 1.0)):
        for span in spans:
            if span.state in colour_of_state and span.instance in instances:
                axes.broken_barh(
                    [(span.begin_s, span.end_s - span.begin_s)],
                    (instances.index(span.instance) + top, height),
                    facecolor=colour_of_state[span.state],
                    alpha=alpha,
                    linewidth=0,
                )
    drawn = [span for span in (*forecast, *actual) if span.state in colour_of_state]
    end_s = max((span.end_s for span in drawn), default=1.0)
    axes.set_xlim(0, end_s * 1.02)
    axes.set_ylim(len(instances) - 0.4, -0.6)
    axes.set_yticks(range(len(instances)), list(instances))
    axes.grid(visible=False, axis="y")
    axes.grid(axis="x", color=theme.line, linewidth=0.8)
    style.time_axis(axes, end_s, length_text)
    used_tokens = {look_of(span.state, False).token for span in drawn}
    if used_tokens:
        axes.legend(
            handles=[
                Patch(color=getattr(theme, token), label=words)
                for token, words in LEGEND
                if token in used_tokens
            ],
            loc="upper center",
            bbox_to_anchor=(0.5, -34.0 / (ROW_PX * len(instances))),
            ncols=len(used_tokens),
            frameon=False,
            fontsize=style.SMALL_PT,
            labelcolor=theme.soft,
            handlelength=0.9,
            handleheight=0.9,
            columnspacing=1.2,
        )
