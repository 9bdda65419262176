"""The points of the trade-off: duration against a risk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter

from simulation.results.run_result import Ending
from simulation.scenario.model import Objectives
from simulation.study.compare import HIGHER_IS_BETTER, Comparison
from studio.views.figures_text import (
    count_text,
    latency_text,
    percent_text,
)

_DURATION = "rollout_duration_s"


_ROOM = 1.14
"""Factor by which an axis reaches beyond its highest value."""


_LONGEST_BAR = 1.6
"""Highest end of a bar that widens the axis, as a multiple of the highest point."""


_DECADE = 10.0
"""Ratio of values above which the axis is logarithmic."""


@dataclass(frozen=True)
class Risk:
    """A risk that the duration is weighed against.

    Attributes:
        metric: The metric, a key of `simulation.results.run_result.METRICS`.
        words: The risk's name.
        title: The title of its chart.
        limit: Returns the objective for this risk, None where none is set.
        text: Returns a value as text.
    """

    metric: str
    words: str
    title: str
    limit: Callable[[Objectives], float | None]
    text: Callable[[float | None], str]

    @property
    def is_higher_better(self) -> bool:
        """Return whether a higher value is a lower risk, as for instances in the pool."""
        return self.metric in HIGHER_IS_BETTER


P99 = Risk(
    "rollout_latency_p99_s",
    "p99 during rollout",
    "Duration against p99",
    attrgetter("latency_p99"),
    latency_text,
)


RISKS = {
    "p99": P99,
    "pool": Risk(
        "lowest_in_pool_count",
        "fewest in pool",
        "Duration against the fewest in the pool",
        attrgetter("lowest_in_pool"),
        count_text,
    ),
    "lost": Risk(
        "rollout_error_fraction",
        "lost requests",
        "Duration against the share of requests lost",
        attrgetter("error_fraction"),
        percent_text,
    ),
    "exposure": Risk(
        "exposure_requests",
        "exposure",
        "Duration against requests that met the new version before it was everywhere",
        lambda _objectives: None,
        count_text,
    ),
}
"""The risks that can be chosen, by key."""


@dataclass(frozen=True)
class Point:
    """A candidate on the chart: the rollout's duration, the risk, and the candidate's number from 0."""

    duration_s: float
    risk: float
    index: int


def points(comparison: Comparison, risk: Risk = P99) -> list[Point]:
    """Return the points of the candidates that have both figures."""
    known = []
    for index, result in enumerate(comparison.candidates):
        duration, value = result.metrics[_DURATION].mean, result.metrics[risk.metric].mean
        if duration is not None and value is not None:
            known.append(Point(duration, value, index))
    return known


@dataclass(frozen=True)
class AxisScale:
    """The reach of the axes.

    Attributes:
        kind: ``linear``, ``log``, or ``symlog`` where some values are 0 and others far apart.
        right_s: The longest duration on the axis, in seconds.
        low: The lowest risk above 0, or 0 where the axis begins there.
        high: The highest risk on the axis.
    """

    kind: str
    right_s: float
    low: float
    high: float

    def suits(self, other: AxisScale) -> bool:
        """Return whether these axes also show the points of another scale well, so that they need not move."""
        return (
            self.kind == other.kind
            and 0.6 * self.right_s <= other.right_s <= self.right_s * _ROOM
            and 0.5 * self.high <= other.high <= self.high * _ROOM
            and self.low / 1.5 <= other.low <= max(2 * self.low, 1e-300)
        )


def scale_of(comparison: Comparison, risk: Risk) -> AxisScale | None:
    """Return axes that hold every point with its bars, and the limits; None without a point."""
    known = points(comparison, risk)
    if not known:
        return None
    objectives = comparison.scenario.objectives
    right_s = max([point.duration_s for point in known] + [objectives.duration or 0.0])
    values = [point.risk for point in known]
    limit = risk.limit(objectives)
    if limit is not None:
        values.append(float(limit))
    figures = [comparison.candidates[point.index].metrics[risk.metric] for point in known]
    bars = max((figure.high or 0.0 for figure in figures), default=0.0)
    highest = max(values)
    high = max(highest, min(bars, _LONGEST_BAR * highest))  # two runs have a bar without end
    low = min((value for value in values if value > 0), default=0.0)
    if low == 0.0 or highest / low <= _DECADE or risk.is_higher_better:
        return AxisScale("linear", right_s, 0.0, high)
    return AxisScale("symlog" if min(values) <= 0 else "log", right_s, low, high)


def why_empty(comparison: Comparison) -> str:
    """Return the reason why no candidate has a point."""
    if any(result.ended[Ending.DONE] for result in comparison.candidates):
        return "No request came while a rollout went on"
    return "No candidate has ended its rollout"
