"""The four figures that stand under every verdict, as words: in the window and in reports.

Enters: a candidate's result, its objectives, the size of the fleet. Leaves: for each figure its name,
the figure, what single runs may do, the limit, and whether it is within.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from studio.views.facts import Fact, facts
from studio.views.figures_text import (
    NOTHING,
    between_text,
    clock_text,
    count_text,
    duration_text,
    latency_text,
    limit_text,
    percent_text,
)

if TYPE_CHECKING:
    from executor.plan.model import Interval
    from simulation.scenario.model import Objectives
    from simulation.study.compare import CandidateResult

NOT_ROLLED = "nothing is rolled"
"""Under a figure of a rollout where there is none."""

FOUR = (
    ("Rollout takes", "From the first take-out to the last return"),
    ("Fewest in the pool", "The fewest instances that serve at once"),
    ("p99 during rollout", "99 of 100 requests are answered faster"),
    (
        "Requests lost",
        "The share of a rollout's requests that is rejected, times out, is refused, cut "
        "or in error; the mean over the runs",
    ),
)
"""The name of each figure, and what it is in plain words."""


@dataclass(frozen=True)
class HeadFigure:
    """One of the four.

    Attributes:
        name: What it is.
        tip: The same in plain words.
        figure: As it is shown, with its unit.
        under: What single runs may do (5–95 %), and the limit.
        is_within: Whether its limit is shown to hold or to break; None where neither is.
    """

    name: str
    tip: str
    figure: str
    under: str
    is_within: bool | None


def four_figures(
    result: CandidateResult, objectives: Objectives, instance_count: int
) -> tuple[HeadFigure, ...]:
    """Duration, fewest instances, p99 and lost requests of one candidate.

    Args:
        result: What came of it.
        objectives: What it was judged by.
        instance_count: Instances in all services together.
    """
    told, duration_tip, p99_tip, lost_tip = facts(result, objectives), FOUR[0], FOUR[2], FOUR[3]
    capacity = result.metrics["lowest_capacity_fraction"].mean
    return (
        _head_figure(duration_tip, told.duration, duration_text, clock_text, clock_text),
        pool_figure(
            told.pool.figure.mean,
            capacity,
            objectives.lowest_in_pool,
            instance_count,
            told.pool.is_within,
        ),
        _head_figure(p99_tip, told.p99, latency_text, latency_text, limit_text),
        _head_figure(lost_tip, told.lost, percent_text, percent_text, percent_text),
    )


def _head_figure(
    name_and_tip: tuple[str, str],
    fact: Fact,
    figure_text: Callable[[float | None], str],
    range_text: Callable[[float | None], str],
    limit_as_text: Callable[[float], str],
) -> HeadFigure:
    limit = limit_words(limit_as_text, fact.limit)
    under = _under(fact.figure, range_text, limit)
    return HeadFigure(*name_and_tip, figure_text(fact.figure.mean), under, fact.is_within)


def pool_figure(
    lowest: float | None,
    share: float | None,
    least: int | None,
    instance_count: int,
    is_within: bool | None,
) -> HeadFigure:
    """The second of the four, simulated or estimated.

    Args:
        lowest: The fewest instances in the pool, None where nothing is rolled.
        share: The lowest share of the fleet's capacity.
        least: How many there must be, None without a limit.
        instance_count: Instances in all services together.
        is_within: Whether the limit holds.
    """
    return HeadFigure(
        *FOUR[1],
        NOTHING if lowest is None else f"{count_text(lowest)} of {instance_count:,}",
        (NOT_ROLLED if lowest is None else f"{percent_text(share)} of capacity")
        + (f" · at least {least}" if least is not None else ""),
        is_within,
    )


def limit_words(text: Callable[[float], str], limit: float | None) -> str | None:
    """A limit as text; None without one."""
    return None if limit is None else text(limit)


def _under(figure: Interval, text: Callable[[float | None], str], words: str | None) -> str:
    if figure.mean is None:
        return NOTHING if words is None else f"limit {words}"
    said = between_text(text(figure.run_low), text(figure.run_high))
    return said if words is None else f"{said} · limit {words}"
