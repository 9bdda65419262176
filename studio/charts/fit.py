"""How well a distribution fits measured durations: both curves, and the tail by itself.

Where no family was chosen and the measured durations themselves are used, the likeliest family is drawn
beside them, so that a reader sees why it was not chosen.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from executor.base.files import write_beside
from simulation.importers.fitting import Fit, FitChoice
from studio.charts import style
from studio.views.theme import LIGHT, Theme

_POINT_COUNT = 400
_ROW_INCHES = 3.2


def draw_distribution(axes: Axes, choice: FitChoice, theme: Theme) -> None:
    """Draw the share of requests that take at most a duration, measured and fitted."""
    style.prepare(axes, theme, "Share that takes at most", "seconds")
    shares = (np.arange(_POINT_COUNT) + 0.5) / _POINT_COUNT
    _lines(axes, choice, shares, shares, theme)
    axes.set_xscale("log")
    axes.set_ylim(0, 1)


def draw_tail(axes: Axes, choice: FitChoice, theme: Theme) -> None:
    """Draw the share of requests that take longer, on logarithmic axes, with p99 and p99.9."""
    style.prepare(axes, theme, "Share that takes longer", "seconds")
    least = max(0.5 / len(choice.samples_s), 1e-6)
    longer = np.geomspace(1.0, least, _POINT_COUNT)[1:]
    _lines(axes, choice, 1 - longer, longer, theme)
    axes.set_xscale("log")
    axes.set_yscale("log")
    for share, label in ((0.01, "p99"), (0.001, "p99.9")):
        if share >= least:
            style.limit_line(axes, theme, share, label)


def _lines(
    axes: Axes, choice: FitChoice, quantiles: np.ndarray, shown: np.ndarray, theme: Theme
) -> None:
    measured = np.quantile(choice.samples_s, quantiles)
    axes.plot(measured, shown, color=theme.accent, linewidth=2.0, label="measured")
    fit = fit_to_show(choice)
    if fit.family == "constant":
        return
    fitted = [fit.distribution.quantile_s(float(q)) for q in quantiles]
    word = fit.family if choice.chosen is fit else f"{fit.family}, not taken"
    axes.plot(fitted, shown, color=theme.draining, linewidth=1.4, linestyle="--", label=word)
    axes.legend(frameon=False, fontsize=style.SMALL_PT, labelcolor=theme.text)


def fit_to_show(choice: FitChoice) -> Fit:
    """Return the fit to draw beside the measured curve: the chosen one, else the likeliest."""
    return choice.chosen or choice.fits[0]


def save_fits(path: Path, choices: Mapping[str, FitChoice], theme: Theme = LIGHT) -> None:
    """Write a picture with a row for each service: the whole on the left, the tail on the right.

    Raises:
        BadInput: The file cannot be written.
    """
    with style.use_style():
        figure = Figure(figsize=(9.5, _ROW_INCHES * len(choices) + 0.3), dpi=style.DPI)
        FigureCanvasAgg(figure)
        figure.set_facecolor(theme.card)
        rows = figure.subplots(len(choices), 2, squeeze=False)
        for (name, choice), (left, right) in zip(choices.items(), rows, strict=True):
            draw_distribution(left, choice, theme)
            draw_tail(right, choice, theme)
            taken = choice.chosen.family if choice.chosen else "the durations themselves"
            left.set_xlabel(
                f"{name}: {taken}", color=theme.soft, fontsize=style.SMALL_PT, loc="left"
            )
        figure.tight_layout(h_pad=2.0)
        with write_beside(path) as beside:
            figure.savefig(beside, format="png")
