"""The number of runs of a study, fixed before its first run.

A study that looks at its result and then decides whether to go on is wrong more often than its
confidence says. So the number depends on what is asked and on what the study is forecast to cost, and
never on a result. The forecast uses constants, not the speed of this machine: the same file gives the
same number of runs, and so the same answer, everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from executor.base.errors import BadInput
from simulation.scenario.limit_rules import expected_requests
from simulation.scenario.limits import MOST_REQUESTS_OF_A_STUDY
from simulation.scenario.model import Scenario
from simulation.scenario.simulated_interval import expected_run_s
from simulation.study.case import Case, frame_of_cases
from simulation.study.statistics.proportions import clopper_pearson, fewest_runs

MISSES = (4, 2, 0)
"""Numbers of runs that may break an objective in a study that still shows that a candidate meets.

At 95 % of runs with 95 % confidence these are 181, 124 and 59 runs. A window that holds in 99 % of
runs is shown to meet in 96, 87 and 55 % of such studies.
"""

LEAST_RUNS = 20
"""Minimum number of runs: the fewest of which lowest and highest hold 90 % of single runs is 19."""

BUDGET_S = 30.0
"""Processor time, in seconds, that a study may be forecast to take where there is a choice."""

RUN_S = 8e-3
"""Processor time of a run without its requests, in seconds (docs/performance.md)."""

REQUEST_S = 50e-9
"""Processor time of a request in the compiled engine, in seconds (docs/performance.md)."""

INSTANCE_S = 0.2e-3
"""Processor time of the steps of an instance, in seconds."""


class RunsReason(StrEnum):
    """The reason why a study has the number of runs that it has."""

    ASKED = "asked"
    """The scenario or the command line says so."""
    MOST = "most"
    """The highest number of `MISSES` is affordable."""
    COST = "cost"
    """More runs are forecast to take longer than `BUDGET_S`."""


@dataclass(frozen=True)
class PlannedRuns:
    """The number of runs of each candidate of a study.

    Attributes:
        count: The number.
        misses: Maximum number of runs that may break an objective while the study still shows that a
            candidate meets; None where even no such run would show it.
        reason: The reason for the number.
        forecast_s: Forecast processor time of the whole study, in seconds.
    """

    count: int
    misses: int | None
    reason: RunsReason
    forecast_s: float

    def to_json(self) -> dict[str, object]:
        """Return the number and its reason as ``--json`` prints them."""
        return {
            "runs": self.count,
            "misses": self.misses,
            "reason": self.reason.value,
            "forecast_s": round(self.forecast_s, 1),
        }


def planned_runs(scenario: Scenario, cases: Sequence[Case]) -> PlannedRuns:
    """Return the number of runs of each candidate: the scenario's own, else as many as are affordable.

    Args:
        scenario: The study's scenario.
        cases: What is compared, at least one case.

    Raises:
        BadInput: The objectives need more runs than are possible, or more requests.
    """
    objectives = scenario.objectives
    asked = (objectives.in_runs, objectives.confidence)
    requests, run_s = _forecast(scenario, cases)
    if scenario.replications is not None:
        count = scenario.replications
        return PlannedRuns(count, misses_of(count, *asked), RunsReason.ASKED, float(count * run_s))
    for misses in MISSES:
        count = max(LEAST_RUNS, fewest_runs(*asked, misses))
        if count * run_s <= BUDGET_S:
            break
    if requests * count > MOST_REQUESTS_OF_A_STUDY:
        raise BadInput(
            f"{scenario.name}: objectives.in_runs: {objectives.in_runs:.6%} takes {count:,} runs of "
            f"about {requests:.3g} requests, at most {MOST_REQUESTS_OF_A_STUDY:,} may be in all"
        )
    reason = RunsReason.MOST if misses == MISSES[0] else RunsReason.COST
    return PlannedRuns(count, misses_of(count, *asked), reason, float(count * run_s))


def misses_of(runs: int, share: float, confidence: float) -> int | None:
    """Return how many of the runs may fail while they still show the share; None where none may."""
    low, high = -1, runs
    while high - low > 1:
        middle = (low + high) // 2
        if clopper_pearson(runs - middle, runs, confidence)[0] >= share:
            low = middle
        else:
            high = middle
    return low if low >= 0 else None


def _forecast(scenario: Scenario, cases: Sequence[Case]) -> tuple[float, float]:
    """Return the expected requests of a run, and the processor time of a replication in seconds.

    All candidates of a start are observed as long as the slowest of them, and one run without a
    rollout belongs to each start.
    """
    warm_up_s = frame_of_cases(cases).warm_up_s
    requests = max(
        expected_requests(case.scenario, warm_up_s, expected_run_s(case.scenario)[1])
        for case in cases
    )
    instances = sum(service.instance_count for service in scenario.services.values())
    runs = len(cases)
    if scenario.rollout is not None:
        runs += len({case.candidate.start for case in cases})
    return requests, runs * (RUN_S + requests * REQUEST_S + instances * INSTANCE_S)
