"""The objectives of a scenario: their limits, and what a run breaks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from executor.plan.model import Step, objective_key
from simulation.estimates.overload import EndlessOverload
from simulation.results.failures import Cause
from simulation.results.run_result import Ending
from simulation.scenario.inputs.objectives import ClassObjectives, Objectives
from simulation.scenario.model import Scenario


class Objective(StrEnum):
    """An objective that a run may break."""

    ENDS_WELL = "ends_well"
    ERROR_FRACTION = "error_fraction"
    FAILED_REQUESTS = "failed_requests"
    LATENCY_P99 = "latency_p99"
    DURATION = "duration"
    FREEZE = "freeze"
    LOWEST_IN_POOL = "lowest_in_pool"
    CUT_CONNECTIONS = "cut_connections"
    CUT_CONNECTIONS_FRACTION = "cut_connections_fraction"
    MOST_INSTANCES = "most_instances"
    FAILED_INSTANCES = "failed_instances"


ON_REQUESTS = (Objective.ERROR_FRACTION, Objective.LATENCY_P99, Objective.FAILED_REQUESTS)
"""The objectives that are judged by the requests of a stretch."""

ON_CONNECTIONS = (Objective.CUT_CONNECTIONS, Objective.CUT_CONNECTIONS_FRACTION)
"""The objectives on long-lived connections."""


@dataclass(frozen=True)
class Limit:
    """An objective that a scenario sets.

    Attributes:
        objective: The objective.
        value: Its limit, in the unit of the objective; None where it has none.
        class_name: The class of requests that it is about; empty for all requests.
    """

    objective: Objective
    value: float | None = None
    class_name: str = ""

    @property
    def key(self) -> str:
        """The objective with its class, see `objective_key`."""
        return objective_key(self.objective.value, self.class_name)

    def is_beyond(self, figure: float) -> bool:
        """Return whether a figure is beyond the limit; a figure at the limit is not."""
        if self.value is None:
            return False
        if self.objective is Objective.LOWEST_IN_POOL:
            return figure < self.value
        return figure > self.value


@dataclass(frozen=True)
class Breach:
    """An objective that a run breaks, without the run's own figure, so that equal breaches add up.

    Attributes:
        objective: The objective.
        limit: Its limit, in the unit of the objective; None where it has none.
        class_name: The class of requests that it is about; empty for all requests.
        ended: How the rollout ended, where it did not end well; else None.
        cause: The cause of a stop; None where the rollout was not stopped.
        step: The step that failed, where that was the cause.
        freeze: The freeze in which the rollout ran, as the file has it.
        overload: The endless overload because of which nothing was simulated; else None.
    """

    objective: Objective
    limit: float | None = None
    class_name: str = ""
    ended: Ending | None = None
    cause: Cause | None = None
    step: Step | None = None
    freeze: str = ""
    overload: EndlessOverload | None = None

    def breaks(self, limit: Limit) -> bool:
        """Return whether this is a breach of the limit."""
        return (self.objective, self.class_name) == (limit.objective, limit.class_name)


def limits_of(scenario: Scenario) -> tuple[Limit, ...]:
    """Return every objective of a scenario, that a rollout must end well included."""
    objectives = scenario.objectives
    limits = [Limit(Objective.ENDS_WELL)]
    limits += _on_requests(objectives, "")
    limits += _with_values(
        (Objective.DURATION, objectives.duration),
        (Objective.MOST_INSTANCES, objectives.most_instances),
        (Objective.FAILED_INSTANCES, objectives.failed_instances),
        (Objective.LOWEST_IN_POOL, objectives.lowest_in_pool),
    )
    if scenario.rollout is not None and scenario.rollout.freeze:
        limits.append(Limit(Objective.FREEZE))
    if (cut := objectives.cut_limit()) is not None:
        limits.append(Limit(Objective(cut[0]), cut[1]))
    for name, of_class in objectives.classes.items():
        limits += _on_requests(of_class, name)
    return tuple(limits)


def _on_requests(objectives: Objectives | ClassObjectives, class_name: str) -> Iterator[Limit]:
    return _with_values(
        (Objective.ERROR_FRACTION, objectives.error_fraction),
        (Objective.LATENCY_P99, objectives.latency_p99),
        (Objective.FAILED_REQUESTS, objectives.failed_requests),
        class_name=class_name,
    )


def _with_values(*values: tuple[Objective, float | None], class_name: str = "") -> Iterator[Limit]:
    for objective, value in values:
        if value is not None:
            yield Limit(objective, value, class_name)


def keys_that_may_be_missed(scenario: Scenario) -> list[str]:
    """Return the keys of the objectives that a fleet may miss without a rollout too."""
    return [
        limit.key
        for limit in limits_of(scenario)
        if limit.objective in (*ON_REQUESTS, *ON_CONNECTIONS)
    ]
