"""The four figures under every verdict, as words, in the window and in reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from studio.views.candidate.control import control_figure
from studio.views.facts import Fact, facts
from studio.views.figures_text import (
    NOTHING,
    between_text,
    clock_text,
    count_text,
    duration_text,
    latency_text,
    limit_text,
    metric_text,
    percent_text,
)

if TYPE_CHECKING:
    from executor.plan.model import Interval
    from simulation.scenario.inputs.objectives import Objectives
    from simulation.study.candidate_result import CandidateResult

NOT_ROLLED = "nothing is rolled"
"""The words under a rollout's figure where nothing is rolled."""

FOUR = (
    ("Rollout takes", "From the first take-out to the last return"),
    ("Fewest in the pool", "The fewest instances that serve at once"),
    ("p99 during rollout", "99 of 100 requests are answered faster"),
    (
        "Lost per rollout",
        "A rollout's requests that are rejected, time out, are refused, cut or in error; the mean over the runs",
    ),
)
"""The name of each figure, and the figure explained in plain words."""


@dataclass(frozen=True)
class HeadFigure:
    """One of the four figures under a verdict.

    Attributes:
        name: The figure's name.
        tip: The figure explained in plain words, with the difference to the control where there is one.
        figure: The mean over the runs as text, with its unit.
        under: The range of single runs (5–95 %), and the limit.
        is_within: True when the limit is shown to hold, False when it is shown to break, else None.
        control: The figure without a rollout; empty where there is none.
        is_missed_anyway: Whether the fleet misses the limit without a rollout, too.
    """

    name: str
    tip: str
    figure: str
    under: str
    is_within: bool | None
    control: str = ""
    is_missed_anyway: bool = False

    @property
    def look(self) -> str:
        """Return the look of the line under the figure: ``good``, ``bad``, ``missed`` or ``soft``."""
        if self.is_missed_anyway:
            return "missed"
        return "soft" if self.is_within is None else "good" if self.is_within else "bad"


def four_figures(
    result: CandidateResult, objectives: Objectives, instance_count: int
) -> tuple[HeadFigure, ...]:
    """Return duration, fewest instances, p99 and lost requests of one candidate.

    Args:
        result: The candidate's result.
        objectives: The limits that the candidate was judged by.
        instance_count: Instances in all services together.
    """
    limited, duration_tip, p99_tip, lost_tip = facts(result, objectives), FOUR[0], FOUR[2], FOUR[3]
    capacity = result.metrics["lowest_capacity_fraction"].mean
    lost = partial(metric_text, limited.lost.metric)
    figures = (
        _head_figure(duration_tip, limited.duration, duration_text, clock_text, clock_text),
        pool_figure(
            limited.pool.figure.mean,
            capacity,
            objectives.lowest_in_pool,
            instance_count,
            limited.pool.is_within,
            service_count=len(result.scenario.services),
        ),
        _head_figure(p99_tip, limited.p99, latency_text, latency_text, limit_text),
        _head_figure((lost_tip[0], _lost_tip(result)), limited.lost, lost, lost, lost),
    )
    of_facts = limited.by_metric.values()
    return tuple(
        _beside_control(figure, result, fact)
        for figure, fact in zip(figures, of_facts, strict=True)
    )


def _lost_tip(result: CandidateResult) -> str:
    """Return the tip of the lost requests, with their share and their count per rollout."""
    share = result.metrics["rollout_error_fraction"].mean
    if share is None:
        return FOUR[3][1]
    count = result.alone["failed_requests"].mean
    return f"{FOUR[3][1]}: {percent_text(share)} of the requests, {count_text(count)} per rollout"


def _beside_control(figure: HeadFigure, result: CandidateResult, fact: Fact) -> HeadFigure:
    """Return a figure with its control, where a fleet without a rollout has such a figure."""
    figure = replace(figure, is_missed_anyway=fact.is_missed_anyway)
    control = control_figure(result, fact.metric)
    if control is None:
        return figure
    tip = f"{figure.tip}; {control.words()}"
    return replace(figure, tip=tip, control=control.figure_text())


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
    *,
    service_count: int = 1,
) -> HeadFigure:
    """Return the second figure, the fewest instances in the pool, simulated or estimated.

    Args:
        lowest: The fewest instances in the pool, None where nothing is rolled.
        share: The lowest share of the fleet's capacity.
        least: Fewest instances that the objectives allow, None without a limit.
        instance_count: Instances in all services together.
        is_within: As in `HeadFigure`.
        service_count: Number of services. Of several, the instances are counted together, but capacity is
            that of the service that has least left.
    """
    whose = "capacity" if service_count == 1 else "one service's capacity"
    return HeadFigure(
        *FOUR[1],
        NOTHING if lowest is None else f"{count_text(lowest)} of {instance_count:,}",
        (NOT_ROLLED if lowest is None else f"{percent_text(share)} of {whose}")
        + (f" · at least {least}" if least is not None else ""),
        is_within,
    )


def limit_words(text: Callable[[float], str], limit: float | None) -> str | None:
    """Return a limit as text; None without a limit."""
    return None if limit is None else text(limit)


def _under(figure: Interval, text: Callable[[float | None], str], words: str | None) -> str:
    if figure.mean is None:
        return NOTHING if words is None else f"limit {words}"
    runs = between_text(text(figure.run_low), text(figure.run_high))
    return runs if words is None else f"{runs} · limit {words}"
