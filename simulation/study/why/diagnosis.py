"""Why a candidate misses its objectives, as typed data; screens and the command line make sentences of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from simulation.results.losses import LossCause, LossPhase

Values = Mapping[str, object]
"""Values by the dotted keys of a scenario file, as `--set` takes them."""


class RootCause(StrEnum):
    """The one thing without which the candidate would meet the objectives that it misses."""

    FLEET = "fleet"
    """The fleet misses them without a rollout, too."""
    ERRORS_OF_NEW_VERSION = "errors_of_new_version"
    SLOWER_VERSION = "slower_version"
    COLD_VERSION = "cold_version"
    CONTRACT_TOO_EARLY = "contract_too_early"
    """The old version answers with errors after the contract step of a migration."""
    BLACK_HOLE = "black_hole"
    """The policy prefers instances that look idle, and an instance that refuses everything looks idle."""
    MISSING_PRE_STOP = "missing_pre_stop"
    """Instances stop before the balancer has learned that they were taken out."""
    DRAIN_TOO_SHORT = "drain_too_short"
    STOP_TOO_HARD = "stop_too_hard"
    """The stop is abrupt, or its grace period is too short."""
    CRASHES = "crashes"
    STEP_FAILURES = "step_failures"
    PROGRESS_DEADLINE = "progress_deadline"
    HEALTHY_DEADLINE = "healthy_deadline"
    RETRY_STORM = "retry_storm"
    CLIENT_TIMEOUT = "client_timeout"
    QUEUE_TIMEOUT = "queue_timeout"
    QUEUE_LIMIT = "queue_limit"
    GUARD = "guard"
    WINDOW = "window"
    """Too many instances are out at once."""
    SURGE = "surge"
    """Too many instances exist at once."""
    SLOW_ROLLOUT = "slow_rollout"
    """The rollout takes too long because too few instances are under way at once."""
    FREEZE = "freeze"
    UNKNOWN = "unknown"
    """No single thing that was taken away makes the candidate meet."""


ENDS_WELL = "ends_well"
"""The name of what every rollout must do, beside the names of objectives."""


@dataclass(frozen=True)
class TriedChange:
    """A change that was simulated in runs that miss the objectives, on the same draws.

    Attributes:
        cause: The cause that the change takes away.
        changes: The changed keys; empty for the fleet without a rollout.
        runs: Number of runs.
        runs_meeting: Number of these runs that then meet the objectives.
    """

    cause: RootCause
    changes: Values
    runs: int
    runs_meeting: int


@dataclass(frozen=True)
class Remedy:
    """A change of the scenario with which the candidate meets its objectives, shown on fresh seeds.

    Attributes:
        values: The values to set, by key.
        runs: Number of runs on a fresh seed.
        runs_meeting: Number of these runs that meet the objectives.
        seed: The seed of these runs.
    """

    values: Values
    runs: int
    runs_meeting: int
    seed: int


@dataclass(frozen=True)
class Explanation:
    """A cause, and what it explains.

    Attributes:
        cause: The cause.
        objectives: The names of the objectives that are missed because of the cause.
        lost_count: Number of lost requests that the cause explains, over all runs.
        share: Their fraction of all lost requests; None where none were lost.
        loss: How most of these requests were lost; None where none were.
        phase: The phase of the rollout in which most of them were lost.
        peak_s: Begin of the second in which most of them were lost.
    """

    cause: RootCause
    objectives: tuple[str, ...]
    lost_count: int = 0
    share: float | None = None
    loss: LossCause | None = None
    phase: LossPhase | None = None
    peak_s: int | None = None


@dataclass(frozen=True)
class Diagnosis:
    """Why a candidate misses its objectives.

    Attributes:
        explanations: The causes. One that explains everything stands alone; several explain one
            objective each.
        runs: Number of runs that were judged.
        runs_breaking: Number of these runs that miss an objective.
        lost_count: Number of requests that these runs lost.
        missed_anyway: The names of the objectives that the fleet misses without a rollout, too, where
            others are missed because of the rollout.
        trials: The changes that were simulated to find the causes, in their order.
        remedy: A change that helps; None where no change that was tried does.
    """

    explanations: tuple[Explanation, ...]
    runs: int
    runs_breaking: int
    lost_count: int = 0
    missed_anyway: tuple[str, ...] = ()
    trials: tuple[TriedChange, ...] = ()
    remedy: Remedy | None = None

    @property
    def cause(self) -> RootCause:
        """The first cause."""
        return self.explanations[0].cause

    def to_json(self) -> dict[str, Any]:
        """Return the diagnosis as JSON."""
        return {
            **vars(self),
            "explanations": [
                {**vars(each), "objectives": list(each.objectives)} for each in self.explanations
            ],
            "missed_anyway": list(self.missed_anyway),
            "trials": [{**vars(trial), "changes": dict(trial.changes)} for trial in self.trials],
            "remedy": self.remedy and {**vars(self.remedy), "values": dict(self.remedy.values)},
        }
