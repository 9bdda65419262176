"""The four figures that stand under every verdict, as words: in the window and in reports.

Enters: a candidate's result, its objectives, the size of the fleet. Leaves: for each figure its name,
the figure, what single runs may do, the limit, and whether it is within.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from studio.format import (
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
    from executor.plan import Interval
    from simulation.compare import CandidateResult
    from simulation.scenario import Objectives

LOST = ("rejected", "timed_out", "refused", "cut", "error")
"""The outcomes of a request that is lost."""


NOT_ROLLED = "nothing is rolled"
"""Under a figure of a rollout where there is none."""

FOUR = (
    ("Rollout takes", "From the first take-out to the last return"),
    ("Fewest in the pool", "The fewest instances that serve at once"),
    ("p99 during rollout", "99 of 100 requests are answered faster"),
    ("Requests lost", "Rejected, timed out, refused, cut or in error"),
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
        is_within: Whether it is within its limit; None without one.
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
    metrics, lost = result.metrics, sum(result.requests[name] for name in LOST)
    duration, p99 = metrics["rollout_duration_s"], metrics["rollout_latency_p99_s"]
    errors, most = metrics["rollout_error_fraction"].mean, objectives.error_fraction
    return (
        HeadFigure(
            *FOUR[0],
            duration_text(duration.mean),
            _under(duration, clock_text, limit_words(clock_text, objectives.duration)),
            within_limit(duration.mean, objectives.duration),
        ),
        pool_figure(
            metrics["lowest_in_pool_count"].mean,
            metrics["lowest_capacity_fraction"].mean,
            objectives.lowest_in_pool,
            instance_count,
        ),
        HeadFigure(
            *FOUR[2],
            latency_text(p99.mean),
            _under(p99, latency_text, limit_words(limit_text, objectives.latency_p99)),
            within_limit(p99.mean, objectives.latency_p99),
        ),
        HeadFigure(
            *FOUR[3],
            count_text(lost),
            f"of {count_text(result.requests['arrived'])}"
            + (
                f" · limit {percent_text(most)}"
                if most is not None
                else f" in {len(result.runs)} runs"
            ),
            within_limit(errors, most),
        ),
    )


def pool_figure(
    lowest: float | None, share: float | None, least: int | None, instance_count: int
) -> HeadFigure:
    """The second of the four, simulated or estimated.

    Args:
        lowest: The fewest instances in the pool, None where nothing is rolled.
        share: The lowest share of the fleet's capacity.
        least: How many there must be, None without a limit.
        instance_count: Instances in all services together.
    """
    return HeadFigure(
        *FOUR[1],
        NOTHING if lowest is None else f"{count_text(lowest)} of {instance_count:,}",
        (NOT_ROLLED if lowest is None else f"{percent_text(share)} of capacity")
        + (f" · at least {least}" if least is not None else ""),
        None if least is None or lowest is None else lowest >= least,
    )


def within_limit(value: float | None, limit: float | None) -> bool | None:
    """Whether a figure is within its limit; None where one of them is missing."""
    return None if value is None or limit is None else value <= limit


def limit_words(text: Callable[[float], str], limit: float | None) -> str | None:
    """A limit as text; None without one."""
    return None if limit is None else text(limit)


def _under(figure: Interval, text: Callable[[float | None], str], words: str | None) -> str:
    if figure.mean is None:
        return NOTHING if words is None else f"limit {words}"
    said = between_text(text(figure.run_low), text(figure.run_high))
    return said if words is None else f"{said} · limit {words}"
