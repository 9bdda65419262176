"""What each instance did when: the forecast's steps and the actual ones on one axis of time.

Enters: axes of matplotlib, spans of states, a theme. Leaves: the drawn axes: two bars an instance,
the forecast above and thinner, the actual one below it.
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
"""How high an instance's two bars are, with the room around them."""


def draw_waterfall(
    axes: Axes,
    instances: Sequence[str],
    forecast: Sequence[Span],
    actual: Sequence[Span],
    theme: Theme,
) -> None:
    """Draws both, the first instance on top.

    Args:
        axes: Where.
        instances: In the order in which they are rolled.
        forecast: What one simulated run did; may be empty.
        actual: What was done; may be empty.
        theme: The colours.
    """
    both = "forecast above, actual below" if forecast and actual else ""
    style.prepare(axes, theme, "Steps of each instance", both)
    known = colours(theme)
    for spans, top, height, alpha in ((forecast, -0.36, 0.22, 0.55), (actual, -0.10, 0.44, 1.0)):
        for span in spans:
            if span.state in known and span.instance in instances:
                axes.broken_barh(
                    [(span.begin_s, span.end_s - span.begin_s)],
                    (instances.index(span.instance) + top, height),
                    facecolor=known[span.state],
                    alpha=alpha,
                    linewidth=0,
                )
    busy = [span for span in (*forecast, *actual) if span.state in known]
    end_s = max((span.end_s for span in busy), default=1.0)
    axes.set_xlim(0, end_s * 1.02)
    axes.set_ylim(len(instances) - 0.4, -0.6)
    axes.set_yticks(range(len(instances)), list(instances))
    axes.grid(visible=False, axis="y")
    axes.grid(axis="x", color=theme.line, linewidth=0.8)
    style.time_axis(axes, end_s, length_text)
    seen = {look_of(span.state, False).token for span in busy}
    if seen:
        axes.legend(
            handles=[
                Patch(color=getattr(theme, token), label=words)
                for token, words in LEGEND
                if token in seen
            ],
            loc="upper center",
            bbox_to_anchor=(0.5, -34.0 / (ROW_PX * len(instances))),
            ncols=len(seen),
            frameon=False,
            fontsize=style.SMALL_PT,
            labelcolor=theme.soft,
            handlelength=0.9,
            handleheight=0.9,
            columnspacing=1.2,
        )
