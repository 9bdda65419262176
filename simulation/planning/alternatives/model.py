"""The changes that would let a rollout meet its objectives, as plain data for tables, screens and JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from simulation.scenario.model import Scenario
from simulation.study.candidates import Candidate
from simulation.study.case import Case
from simulation.study.compare import Confirmed
from simulation.study.verdict import Objective


class ChangeKind(StrEnum):
    """The kind of a change; each kind has one direction in which it gets larger."""

    MORE_INSTANCES = "more_instances"
    NARROWER_WINDOW = "narrower_window"
    WIDER_WINDOW = "wider_window"
    SURGE = "surge"
    """New instances come before any is taken out: the whole fleet stays in the pool."""
    SHORTER_PAUSE = "shorter_pause"
    LONGER_DRAIN = "longer_drain"
    LONGER_PRE_STOP = "longer_pre_stop"
    EARLIER_START = "earlier_start"
    LATER_START = "later_start"
    HIGHER_P99_LIMIT = "higher_p99_limit"
    HIGHER_ERROR_LIMIT = "higher_error_limit"
    LONGER_DURATION_LIMIT = "longer_duration_limit"


LIMITS = {
    ChangeKind.HIGHER_P99_LIMIT: Objective.LATENCY_P99,
    ChangeKind.HIGHER_ERROR_LIMIT: Objective.ERROR_FRACTION,
    ChangeKind.LONGER_DURATION_LIMIT: Objective.DURATION,
}
"""The kinds that relax a limit, with the objective. The rollout stays as it is."""


@dataclass(frozen=True)
class Change:
    """One key of the scenario with another value. A surge comes with `min_healthy` of the whole fleet.

    Attributes:
        kind: The kind of the change.
        key: The key's path in the scenario, such as ``services.app.instances``.
        value: The new value, in the key's own unit: seconds, a count, a fraction, or a start as a clock
            shows it.
        before: The value that it replaces.
        size: How large the change is; smaller changes of one kind are preferred. Its unit is that of
            the value, seconds for a start.
    """

    kind: ChangeKind
    key: str
    value: float | str
    before: float | str
    size: float


@dataclass(frozen=True)
class Cost:
    """The cost of a change.

    Attributes:
        instances_count: Number of instances that are added, for good.
        surge_count: Number of instances that are added for the rollout only.
        duration_s: How much longer the rollout takes than without the change, in seconds, mean
            against mean; negative where it is shorter. None where either never ended.
        later_s: How much later the rollout begins, in seconds; negative where it begins earlier.
        limit_by: By how much a limit is relaxed, in the limit's unit.
    """

    instances_count: int = 0
    surge_count: int = 0
    duration_s: float | None = None
    later_s: float = 0.0
    limit_by: float = 0.0


@dataclass(frozen=True)
class Alternative:
    """A change that was found by search and confirmed on a fresh seed.

    Attributes:
        change: The change.
        case: The way to roll with which the change meets the objectives, with the change in its
            scenario.
        cost: What the change costs.
        confirmed: The confirmation; its number is the index of the candidate among those tried.
    """

    change: Change
    case: Case
    cost: Cost
    confirmed: Confirmed

    @property
    def candidate(self) -> Candidate:
        """The way to roll with which the change meets the objectives."""
        return self.case.candidate

    def to_json(self) -> dict[str, Any]:
        """Return the alternative as ``--json`` prints it."""
        change, confirmed = self.change, self.confirmed
        candidate = self.candidate
        return {
            "kind": change.kind.value,
            "key": change.key,
            "value": change.value,
            "from": change.before,
            "cost": asdict(self.cost),
            "candidate": {
                "window": candidate.window,
                "advance": candidate.advance,
                "surge": candidate.surge,
                "pause_s": candidate.pause_s,
                "drain_timeout_s": candidate.drain_timeout_s,
                "start": candidate.start_label,
            },
            "metrics": {
                name: confirmed.result.metrics[name].model_dump()
                for name in ("rollout_duration_s", "rollout_latency_p99_s")
            },
            "seed": confirmed.scenario.seed,
            "confidence": confirmed.confidence,
            "verdict": confirmed.result.verdict.model_dump(mode="json"),
        }


@dataclass(frozen=True)
class Alternatives:
    """The result of the search for changes.

    Attributes:
        scenario: The study's scenario.
        offered: The changes that were confirmed, those first that fit what failed.
        tried: The kinds of changes that were searched, in their order.
        not_searched: The kinds that the budget did not reach.
        runs_count: Number of runs that were simulated.
        budget_runs: Maximum number of runs.
    """

    scenario: Scenario
    offered: tuple[Alternative, ...]
    tried: tuple[ChangeKind, ...]
    not_searched: tuple[ChangeKind, ...]
    runs_count: int
    budget_runs: int

    def to_json(self) -> list[dict[str, Any]]:
        """Return the changes as ``--json`` prints them."""
        return [alternative.to_json() for alternative in self.offered]
