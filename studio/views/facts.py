"""The figures of a candidate that objectives limit, each with its limit: for every screen and report.

A figure and the limit beside it are of one quantity, counted per rollout. As for the verdict, the share
of runs in which the limit holds decides whether it holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

from simulation.study.compare import HIGHER_IS_BETTER
from simulation.study.statistics.proportions import Answer, answer_so_far

if TYPE_CHECKING:
    from executor.plan.model import Interval
    from simulation.scenario.model import Objectives
    from simulation.study.compare import CandidateResult


@dataclass(frozen=True)
class Fact:
    """A limited quantity of one candidate.

    Attributes:
        metric: The quantity's name in `simulation.results.run_result.METRICS`, the one that the objective judges.
        figure: The mean over the runs (one value per run), with the range of single runs.
        limit: The objective; None where none is set.
        answer: Says whether the limit holds in the share of runs that the scenario asks for; None
            without a limit.
    """

    metric: str
    figure: Interval
    limit: float | None
    answer: Answer | None

    @property
    def is_within(self) -> bool | None:
        """Return whether the limit is shown to hold or to break; None where neither is shown.

        While the answer is undecided, a mean beyond the limit counts as breaking it: with 85 % of the
        requests lost nobody needs more runs to see that.
        """
        if self.answer == "undecided":
            return None if is_within(self.metric, self.figure.mean, self.limit) else False
        return None if self.answer is None else self.answer == "meets"


@dataclass(frozen=True)
class Facts:
    """Every quantity of one candidate that an objective can limit."""

    duration: Fact
    pool: Fact
    p99: Fact
    lost: Fact

    @property
    def breaks_a_limit(self) -> bool:
        """Return whether any quantity breaks its limit."""
        return any(fact.is_within is False for fact in self.by_metric.values())

    @property
    def by_metric(self) -> dict[str, Fact]:
        """Return the facts by the names of their metrics."""
        return {fact.metric: fact for fact in (self.duration, self.pool, self.p99, self.lost)}


_LIMIT_OF: dict[str, Callable[[Objectives], float | None]] = {
    "duration": attrgetter("duration"),
    "pool": attrgetter("lowest_in_pool"),
    "p99": attrgetter("latency_p99"),
    "lost": attrgetter("error_fraction"),
}


def facts(result: CandidateResult, objectives: Objectives) -> Facts:
    """Return the figures of a candidate that objectives limit.

    Latency and losses are those of the rollout's interval; without a rollout, of the whole run. The verdict
    (`simulation.study.verdict`) compares the same quantities with the objectives.
    """
    is_steady = all(run.metrics["lowest_in_pool_count"] is None for run in result.runs)
    prefix = "" if is_steady else "rollout_"
    metrics = {
        "duration": "rollout_duration_s",
        "pool": "lowest_in_pool_count",
        "p99": f"{prefix}latency_p99_s",
        "lost": f"{prefix}error_fraction",
    }
    return Facts(
        **{
            key: _fact(result, metric, _LIMIT_OF[key](objectives), objectives)
            for key, metric in metrics.items()
        }
    )


def _fact(
    result: CandidateResult, metric: str, limit: float | None, objectives: Objectives
) -> Fact:
    figure = result.metrics[metric]
    if limit is None or figure.mean is None:
        return Fact(metric, figure, limit, None)
    holds = [is_within(metric, run.metrics[metric], limit) is not False for run in result.runs]
    planned = max(result.planned_count, len(holds))
    asked = (objectives.in_runs, objectives.confidence)
    return Fact(metric, figure, limit, answer_so_far(sum(holds), len(holds), planned, *asked))


def is_within(metric: str, value: float | None, limit: float | None) -> bool | None:
    """Return whether a value is within its limit; None where the value or the limit is missing."""
    if value is None or limit is None:
        return None
    return value >= limit if metric in HIGHER_IS_BETTER else value <= limit
