"""The figures of a candidate that objectives limit, each with its limit: for every screen and report.

A figure and the limit beside it are of one quantity, counted per rollout. The verdict says whether the
limit holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulation.study.compare import HIGHER_IS_BETTER

if TYPE_CHECKING:
    from executor.plan.model import Answer, Interval
    from simulation.scenario.inputs.objectives import Objectives
    from simulation.study.candidate_result import CandidateResult


@dataclass(frozen=True)
class Fact:
    """A limited quantity of one candidate.

    Attributes:
        metric: The quantity's name in `simulation.results.run_result.METRICS`, the one that the objective judges.
        figure: The mean over the runs (one value per run), with the range of single runs.
        limit: The objective; None where none is set.
        answer: The verdict on this objective; None without a limit.
    """

    metric: str
    figure: Interval
    limit: float | None
    answer: Answer | None

    @property
    def is_missed_anyway(self) -> bool:
        """Return whether the fleet misses the limit without a rollout, too."""
        return self.answer == "misses_anyway"

    @property
    def is_broken(self) -> bool:
        """Return whether the limit does not hold, be it by the rollout or anyway."""
        return self.is_missed_anyway or self.is_within is False

    @property
    def is_within(self) -> bool | None:
        """Return whether the limit is shown to hold or to break; None where neither is shown, or it is missed anyway.

        While the answer is undecided, a mean beyond the limit counts as breaking it: with 85 % of the
        requests lost nobody needs more runs to see that.
        """
        if self.answer == "undecided":
            return None if is_within(self.metric, self.figure.mean, self.limit) else False
        return None if self.answer in (None, "misses_anyway") else self.answer == "meets"


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
        return any(fact.is_broken for fact in self.by_metric.values())

    @property
    def by_metric(self) -> dict[str, Fact]:
        """Return the facts by the names of their metrics."""
        return {fact.metric: fact for fact in (self.duration, self.pool, self.p99, self.lost)}


_OBJECTIVE_OF = {
    "duration": "duration",
    "pool": "lowest_in_pool",
    "p99": "latency_p99",
    "lost": "error_fraction",
}
"""The key in `objectives` that limits each fact."""


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
    limits = {key: (name, getattr(objectives, name)) for key, name in _OBJECTIVE_OF.items()}
    if objectives.failed_requests is not None:  # the count is limited, so the figure is a count
        metrics["lost"] = "failed_requests"
        limits["lost"] = "failed_requests", objectives.failed_requests
    return Facts(**{key: _fact(result, metric, *limits[key]) for key, metric in metrics.items()})


def _fact(result: CandidateResult, metric: str, objective: str, limit: float | None) -> Fact:
    # A count is that of a rollout and its settling, not of the common interval.
    figure = (result.alone if metric == "failed_requests" else result.metrics)[metric]
    if limit is None or figure.mean is None:
        return Fact(metric, figure, limit, None)
    answers = {one.key: one.answer for one in result.verdict.objectives}
    return Fact(metric, figure, limit, answers.get(objective))


def is_within(metric: str, value: float | None, limit: float | None) -> bool | None:
    """Return whether a value is within its limit; None where the value or the limit is missing."""
    if value is None or limit is None:
        return None
    return value >= limit if metric in HIGHER_IS_BETTER else value <= limit
