"""The points of the trade-off: duration against a risk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter

from simulation.results.run_result import Ending
from simulation.scenario.inputs.objectives import Objectives
from simulation.study.candidate_result import CandidateResult
from simulation.study.compare import HIGHER_IS_BETTER, Comparison, front_of
from studio.views.candidate.endings import stops_text
from studio.views.facts import Facts, facts, is_within
from studio.views.figures_text import (
    MISSES_ANYWAY,
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
    return f"No rollout has come to its end: it {stops_text(comparison.candidates)}"


def holding_front(comparison: Comparison, risk: Risk) -> tuple[int, ...]:
    """Return the candidates within every limit that no other such candidate beats in both duration and risk.

    A candidate that breaks a limit cannot be chosen, however fast it is: one that loses 85 % of its requests
    often answers the rest quickly.
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
    """The region in which all objectives hold, as far as the candidates show.

    Attributes:
        bands_s: Begin and end of ranges of durations, ascending; a failing candidate lies in none of them.
        low: The lowest risk in the region; None where the axis begins.
        high: The highest risk in the region; None where the axis ends.
    """

    bands_s: tuple[tuple[float, float], ...]
    low: float | None
    high: float | None


def region_of(comparison: Comparison, risk: Risk, right_s: float) -> Region | None:
    """Return the region in which all objectives hold; None where none is set, or no duration is left.

    The limits of duration and risk can be drawn on the axes. Other objectives cannot, so a duration counts only
    where the nearest candidate breaks none of them: a band ends halfway to a candidate that does. A band also
    ends there where a candidate fails in too many runs although its means are within both limits.

    Args:
        comparison: The candidates.
        risk: The risk on the other axis.
        right_s: End of the axis of durations, in seconds.
    """
    objectives = comparison.scenario.objectives
    limit = risk.limit(objectives)
    limited = facts(comparison.candidates[0], objectives).by_metric.values()
    if all(fact.limit is None for fact in limited):
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
    bands_left = tuple((first, last) for first, last in cut if first < last)
    return Region(bands_left, low, high) if bands_left else None


def _bars(comparison: Comparison, point: Point, risk: Risk) -> bool:
    """Return whether a candidate shows that an objective is broken at its duration.

    A candidate that breaks only limits on the axes lies outside the region anyway, so it excludes nothing.
    """
    result = comparison.candidates[point.index]
    limited = facts(result, comparison.scenario.objectives)
    if not _breaks(result, limited):
        return False
    shown = {_DURATION, risk.metric}
    by_metric = limited.by_metric.items()
    breaks_elsewhere = any(one.is_broken for metric, one in by_metric if metric not in shown)
    lies_outside = any(
        is_within(metric, one.figure.mean, one.limit) is False
        for metric, one in by_metric
        if metric in shown
    )
    return breaks_elsewhere or not lies_outside


def _breaks(result: CandidateResult, limited: Facts) -> bool:
    return result.verdict.answer in ("fails", MISSES_ANYWAY) or limited.breaks_a_limit
