"""What a plan is: the words of steps, waves and gates, defined once.

Enters: a fleet's instances and how they are to be rolled. Leaves: a frozen `Plan`; the rules across its
fields are in `executor.plan.rules`. Neither simulation nor screens are needed here.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
)


class Step(StrEnum):
    """The six steps of an instance, in this order."""

    TAKE_OUT = "take_out"
    STOP = "stop"
    DEPLOY = "deploy"
    VERIFY = "verify"
    START = "start"
    RETURN = "return"


STEPS = tuple(Step)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PlanDrain(_Part):
    """How long requests in flight may take to finish, and what happens to the rest."""

    timeout_s: FiniteFloat = Field(ge=0)
    on_timeout: Literal["cut", "wait", "abort"]


class PlanStop(_Part):
    """How an instance stops once it has left the pool.

    Attributes:
        pre_stop_s: The earliest, counted from the take-out.
        grace_s: The latest, counted from there too; what is still in flight then is cut.
        mode: ``abrupt`` cuts it at once.
    """

    mode: Literal["graceful", "abrupt"] = "graceful"
    pre_stop_s: FiniteFloat = Field(default=0.0, ge=0)
    grace_s: FiniteFloat = Field(default=30.0, ge=0)


class Gate(_Part):
    """What stands between two waves: a pause, or a bake in which the new version is watched.

    Attributes:
        pause_s: How long it lasts.
        error_fraction: The share of the new version's answers that may be wrong in a bake.
        latency_p99_s: The p99 that they may have in it.
    """

    kind: Literal["pause", "bake"] = "pause"
    pause_s: FiniteFloat = Field(ge=0)
    error_fraction: FiniteFloat | None = Field(default=None, ge=0, le=1)
    latency_p99_s: FiniteFloat | None = Field(default=None, ge=0)


class PlanGuards(_Part):
    """Limits on what is observed over the last so many seconds of the whole rollout."""

    error_fraction: FiniteFloat | None = Field(default=None, ge=0, le=1)
    latency_p99_s: FiniteFloat | None = Field(default=None, ge=0)
    over_s: FiniteFloat = Field(gt=0)


class Wave(_Part):
    """Instances rolled under one limit, and the gate after them."""

    instances: tuple[str, ...] = Field(min_length=1)
    parallel: int = Field(ge=1)
    gate: Gate | None = None


class Interval(_Part):
    """A figure over replications; None where it does not exist.

    Attributes:
        mean: Over the runs in which the figure exists.
        low: Lower end of the 95 % t interval of the mean.
        high: Upper end of it.
        run_low: 5th percentile over single runs: what one rollout may do.
        run_high: 95th percentile over single runs.
    """

    mean: FiniteFloat | None
    low: FiniteFloat | None
    high: FiniteFloat | None
    run_low: FiniteFloat | None
    run_high: FiniteFloat | None


class Verdict(_Part):
    """Whether the objectives hold in the share of runs that was asked for."""

    answer: Literal["meets", "fails", "undecided"]
    runs_meeting: int = Field(ge=0)
    runs: int = Field(ge=1)
    lower_bound: FiniteFloat = Field(ge=0, le=1)
    reasons: tuple[str, ...]


class EndCounts(_Part):
    """How many runs ended in each way."""

    done: int = Field(ge=0)
    halted: int = Field(ge=0)
    rolled_back: int = Field(ge=0)
    horizon: int = Field(ge=0)

    def total(self) -> int:
        """All runs."""
        return self.done + self.halted + self.rolled_back + self.horizon


class Prediction(_Part):
    """What the simulation says will happen."""

    metrics: dict[str, Interval]
    ended: EndCounts
    verdict: Verdict


class CandidateSettings(_Part):
    """What sets one way to roll apart from the others that were looked at.

    Attributes:
        start: When it begins, as the traffic's clock shows it.
    """

    window: int = Field(ge=1)
    advance: Literal["sliding", "batch"]
    drain_timeout_s: FiniteFloat = Field(ge=0)
    start: str


class Workload(_Part):
    """Where a service runs, as its cluster names it.

    Attributes:
        kind: Such as ``Deployment``.
        namespace: None where the manifest names none.
        name: Of the workload, which may differ from the service's.
        container: The one that serves; None where the manifest does not tell it apart.
    """

    kind: Literal["Deployment", "StatefulSet", "Rollout"]
    namespace: str | None = None
    name: str
    container: str | None = None


Outcome = Literal[
    "chosen",
    "slower",
    "fails",
    "undecided",
    "not confirmed",
    "hopeless",
    "frozen",
    "no traffic",
]
"""What may become of a candidate: ``hopeless`` by closed forms, ``frozen`` by its start."""


class Considered(CandidateSettings):
    """One way to roll, and what became of it in the search.

    Attributes:
        outcome: In a word.
        reason: In words.
        runs: In which it was simulated before anything was confirmed; 0 for one that was not.
        runs_meeting: Those of them that met every objective.
        duration_s: Of its rollout, in the mean over the runs that all of them have.
        latency_p99_s: During its rollout, likewise.
        on_front: Whether no other was both faster and lower in p99.
    """

    outcome: Outcome
    reason: str
    runs: int = Field(ge=0)
    runs_meeting: int = Field(ge=0)
    duration_s: FiniteFloat | None
    latency_p99_s: FiniteFloat | None
    on_front: bool


class Confirmation(CandidateSettings):
    """A simulation on a fresh seed, of one that the search thought the best.

    Attributes:
        seed: Which nothing was chosen by.
        confidence: That this confirmation needed; those of a search share the error probability.
        lower_bound: Of the share of runs that meet every objective, with that confidence.
        held: Whether it reaches the share asked for.
    """

    seed: int = Field(ge=0)
    runs: int = Field(ge=1)
    runs_meeting: int = Field(ge=0)
    confidence: FiniteFloat = Field(gt=0, lt=1)
    lower_bound: FiniteFloat = Field(ge=0, le=1)
    held: bool


class Evidence(_Part):
    """Why this plan and no other.

    Attributes:
        seed: Of the search, by which all candidates saw the same requests.
        counts: How many candidates came to each outcome.
        runs_count: Runs of the search, confirmations aside.
        confirmations: Those that were made, in turn; the last one is that of the plan.
        considered: The candidates, or the telling ones where they are many.
        starts: What the start matters, where several were tried.
    """

    seed: int = Field(ge=0)
    counts: dict[str, int]
    runs_count: int = Field(ge=0)
    confirmations: tuple[Confirmation, ...] = Field(min_length=1)
    considered: tuple[Considered, ...] = Field(min_length=1)
    starts: str


class Signature(_Part):
    """Who vouches for a plan, see `executor.plan.signing`.

    Attributes:
        key: The Ed25519 public key, in base64.
        value: The signature of the digest, in base64.
    """

    key: str
    value: str


class AsWritten(_Part):
    """Window and surge in the words of the scenario: a percentage survives a change of the fleet."""

    window: int | str
    surge: int | str


PLAN_1, PLAN_2 = "rollcast.plan/1", "rollcast.plan/2"

PLAN_2_KEYS = ("carried_out_by", "replacement", "surge", "as_written", "workload")
"""The keys that a plan of the second version has beyond those of the first."""


class Plan(_Part):
    """A rollout that was simulated, ready to be carried out.

    Attributes:
        digest: SHA-256 over everything else, see `executor.plan.file`.
        signature: By whom it is vouched for; left out of the file where nobody does.
        created_at: When the plan was made; it may be carried out for `valid_for_s` from then.
        scenario: The whole scenario that was simulated, free of other files.
        window: Instances that may be under way at once.
        min_in_pool: Never fewer in the pool because of the rollout.
        pause_s: Between waves; in sliding, between a return and the next start in its place.
        min_ready_s: How long a returned instance must stay up before it counts as done.
        propagation_delay_s: How late the balancer learns that an instance was taken out.
        step_deadlines_s: By when each step must have ended, from its begin.
        retries: How often a step that failed is tried again.
        max_failures: How many instances may fail where a failure lets the rollout continue.
        evidence: The search that found it; None where nothing was searched for.
        carried_out_by: Rollcast's own executor, or the tool whose rules the prediction follows.
        replacement: Whether new instances are made beside the old ones.
        surge: Instances beyond the fleet, those that terminate not counted.
        as_written: Window and surge as the scenario says them, ``25%``, where they come to the
            plan's own.
        workload: Where the service runs; None where nothing says it.
    """

    schema_: Literal["rollcast.plan/1", "rollcast.plan/2"] = Field(
        default="rollcast.plan/1", alias="schema"
    )
    digest: str = ""
    signature: Signature | None = None
    name: str
    created_at: AwareDatetime
    valid_for_s: FiniteFloat = Field(gt=0)
    tool_version: str
    scenario: dict[str, Any]
    scenario_digest: str
    seed: int = Field(ge=0)
    replications: int = Field(ge=1)
    service: str
    instances: tuple[str, ...] = Field(min_length=1)
    strategy: Literal["rolling", "canary"]
    advance: Literal["sliding", "batch"]
    window: int = Field(ge=1)
    min_in_pool: int = Field(ge=0)
    pause_s: FiniteFloat = Field(ge=0)
    min_ready_s: FiniteFloat = Field(ge=0)
    drain: PlanDrain
    stop: PlanStop = PlanStop()
    propagation_delay_s: FiniteFloat = Field(default=0.0, ge=0)
    guards: PlanGuards | None = None
    waves: tuple[Wave, ...] = Field(min_length=1)
    step_deadlines_s: dict[Step, FiniteFloat]
    on_failure: Literal["halt", "continue", "rollback"]
    retries: int = Field(ge=0)
    max_failures: int = Field(ge=0)
    prediction: Prediction
    evidence: Evidence | None = None
    carried_out_by: Literal["rollcast", "kubernetes", "argo-rollouts"] = "rollcast"
    replacement: Literal["in_place", "beside"] = "in_place"
    surge: int = Field(default=0, ge=0)
    as_written: AsWritten | None = None
    workload: Workload | None = None

    @property
    def is_by_rollcast(self) -> bool:
        """Whether Rollcast's own executor carries the plan out."""
        return self.carried_out_by == "rollcast"

    @property
    def least_available(self) -> int:
        """Never fewer are available because of the rollout."""
        return max(len(self.instances) - self.window, self.min_in_pool)

    def valid_until(self) -> datetime:
        """When the plan's validity runs out: at the end of the calendar when it is for longer."""
        try:
            return self.created_at + timedelta(seconds=self.valid_for_s)
        except OverflowError:
            return datetime.max.replace(tzinfo=UTC)
