"""The model of a plan file: steps, waves, gates, prediction and evidence.

The rules across its fields are in `executor.plan.rules`.
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
    """The drain: the time for requests in flight to finish, and what happens to the rest."""

    timeout_s: FiniteFloat = Field(ge=0)
    on_timeout: Literal["cut", "wait", "abort"]


class PlanStop(_Part):
    """The stop of an instance that has left the pool.

    Attributes:
        pre_stop_s: Minimum time from the take-out to the stop.
        grace_s: Maximum time from the take-out to the end; requests still in flight then are cut.
        mode: ``graceful``, or ``abrupt``, which cuts the requests in flight at once.
    """

    mode: Literal["graceful", "abrupt"] = "graceful"
    pre_stop_s: FiniteFloat = Field(default=0.0, ge=0)
    grace_s: FiniteFloat = Field(default=30.0, ge=0)


class Gate(_Part):
    """A wait between two waves: a pause, or a bake in which the new version is watched.

    Attributes:
        pause_s: The length of the wait.
        error_fraction: Maximum share of failed requests among those to the new version in a bake.
        latency_p99_s: Maximum p99 of the requests to the new version in a bake.
    """

    kind: Literal["pause", "bake"] = "pause"
    pause_s: FiniteFloat = Field(ge=0)
    error_fraction: FiniteFloat | None = Field(default=None, ge=0, le=1)
    latency_p99_s: FiniteFloat | None = Field(default=None, ge=0)


class PlanGuards(_Part):
    """Limits on the last `over_s` seconds, throughout the rollout."""

    error_fraction: FiniteFloat | None = Field(default=None, ge=0, le=1)
    latency_p99_s: FiniteFloat | None = Field(default=None, ge=0)
    over_s: FiniteFloat = Field(gt=0)


class Wave(_Part):
    """Instances that are rolled with at most `parallel` under way, and the gate after them."""

    instances: tuple[str, ...] = Field(min_length=1)
    parallel: int = Field(ge=1)
    gate: Gate | None = None


class Interval(_Part):
    """A figure over replications; None where it does not exist.

    Attributes:
        mean: The mean over the runs in which the figure exists.
        low: Lower end of the 95 % interval of the mean.
        high: Upper end of the 95 % interval of the mean; None also where nothing of a rare kind was
            seen.
        run_low: Lower end of the range of single runs; one rollout in twenty is below it.
        run_high: Upper end of the range of single runs; one rollout in twenty is above it.
    """

    mean: FiniteFloat | None
    low: FiniteFloat | None
    high: FiniteFloat | None
    run_low: FiniteFloat | None
    run_high: FiniteFloat | None


Answer = Literal["meets", "fails", "undecided", "misses_anyway"]
"""The possible answers of a verdict. ``misses_anyway``: the rollout breaks nothing, and an objective
does not hold without a rollout either."""

MissCause = Literal["rollout", "fleet", "version"]
"""The cause of a miss: the rollout, the fleet as it is, or the new version wherever it runs."""


def objective_key(name: str, class_name: str) -> str:
    """Return an objective with its class, as a scenario has it: ``latency_p99``, ``classes.page.latency_p99``."""
    return f"classes.{class_name}.{name}" if class_name else name


class ObjectiveVerdict(_Part):
    """The verdict on one objective.

    Attributes:
        name: The objective, such as ``latency_p99``.
        answer: The answer for this objective alone.
        limit: Its limit, in the unit of the objective; None where it has none.
        rollout: The figure of the typical run (median over runs); None where no run has one, and where
            the typical run loses so many requests that it has no p99.
        control: The same without a rollout; None also where nothing was compared.
        runs_breaking: Number of runs that break the objective.
        control_runs_beyond: Number of runs that are beyond the limit without a rollout; None where
            nothing was compared.
        cause: The cause of a miss; None where nothing is missed, and where the cause is not known.
        class_name: The class of requests that is limited; empty for all requests.
    """

    name: str
    answer: Answer
    limit: FiniteFloat | None
    rollout: FiniteFloat | None
    control: FiniteFloat | None
    runs_breaking: int = Field(ge=0)
    control_runs_beyond: int | None = Field(ge=0)
    cause: MissCause | None
    class_name: str = ""

    @property
    def key(self) -> str:
        """The objective with its class, see `objective_key`."""
        return objective_key(self.name, self.class_name)


class Verdict(_Part):
    """The verdict on the objectives: whether they hold in the share of runs that was asked for.

    Attributes:
        answer: The answer.
        runs_meeting: Number of runs that meet every objective.
        runs: Number of all runs.
        lower_bound: One-sided lower bound of the share of runs that meet every objective.
        reasons: What there is to say of the answer, as sentences.
        objectives: The verdict on each objective; empty in plans of earlier versions.
    """

    answer: Answer
    runs_meeting: int = Field(ge=0)
    runs: int = Field(ge=1)
    lower_bound: FiniteFloat = Field(ge=0, le=1)
    reasons: tuple[str, ...]
    objectives: tuple[ObjectiveVerdict, ...] = ()

    def missed_anyway(self) -> tuple[str, ...]:
        """Return the keys of the objectives that do not hold without a rollout either."""
        return tuple(one.key for one in self.objectives if one.answer == "misses_anyway")


class EndCounts(_Part):
    """Number of runs by how they ended."""

    done: int = Field(ge=0)
    halted: int = Field(ge=0)
    rolled_back: int = Field(ge=0)
    horizon: int = Field(ge=0)

    def total(self) -> int:
        """Return the number of all runs."""
        return self.done + self.halted + self.rolled_back + self.horizon


class Prediction(_Part):
    """The prediction of the simulation."""

    metrics: dict[str, Interval]
    ended: EndCounts
    verdict: Verdict


class CandidateSettings(_Part):
    """The settings in which the candidates of a search differ.

    Attributes:
        start: The start of the rollout on the traffic's clock.
    """

    window: int = Field(ge=1)
    advance: Literal["sliding", "batch"]
    drain_timeout_s: FiniteFloat = Field(ge=0)
    start: str


class Workload(_Part):
    """The workload that runs a service in its cluster.

    Attributes:
        kind: The kind, such as ``Deployment``.
        namespace: The namespace; None where the manifest names none.
        name: The name of the workload, which may differ from the service's.
        container: The container that serves; None where the manifest does not tell it apart.
    """

    kind: Literal["Deployment", "StatefulSet", "Rollout"]
    namespace: str | None = None
    name: str
    container: str | None = None


Outcome = Literal[
    "chosen",
    "slower",
    "as fast",
    "fails",
    "undecided",
    "misses anyway",
    "not confirmed",
    "hopeless",
    "frozen",
    "no traffic",
]
"""The possible outcomes of a candidate in a search.

``misses anyway``: an objective that nobody accepted as missed does not hold without a rollout either.
``as fast``: its rollout takes as long as that of the chosen one, which fails in fewer runs or has a lower
p99, or is the first of several with equal figures.
``hopeless``: closed forms show that it cannot meet the objectives. ``frozen``: it would begin in a
freeze.
"""


class Considered(CandidateSettings):
    """A candidate of the search and its outcome.

    Attributes:
        outcome: The outcome.
        reason: The reason as a sentence.
        runs: Number of its runs before any confirmation; 0 where it was not simulated.
        runs_meeting: Number of these runs that met every objective.
        duration_s: Mean duration of its rollout, over the runs that all candidates have.
        latency_p99_s: Mean p99 during its rollout, over the same runs.
        on_front: Whether no other candidate was both faster and lower in p99.
    """

    outcome: Outcome
    reason: str
    runs: int = Field(ge=0)
    runs_meeting: int = Field(ge=0)
    duration_s: FiniteFloat | None
    latency_p99_s: FiniteFloat | None
    on_front: bool


class Confirmation(CandidateSettings):
    """A simulation of the best candidate on a fresh seed.

    Attributes:
        seed: The seed, by which nothing was chosen before.
        confidence: The confidence that this confirmation needed; all confirmations of a search share
            one error probability.
        lower_bound: Lower bound of the share of runs that meet every objective, with that confidence.
        held: Whether the lower bound reaches the share asked for.
    """

    seed: int = Field(ge=0)
    runs: int = Field(ge=1)
    runs_meeting: int = Field(ge=0)
    confidence: FiniteFloat = Field(gt=0, lt=1)
    lower_bound: FiniteFloat = Field(ge=0, le=1)
    held: bool


class Evidence(_Part):
    """The search that chose this plan.

    Attributes:
        seed: The seed of the search, with which all candidates get the same requests.
        counts: Number of candidates by outcome.
        runs_count: Number of runs of the search without the confirmations.
        confirmations: The confirmations in their order; the last one is the plan's.
        considered: The candidates, or a selection where there are many.
        starts: How much the start matters, as a sentence, where several starts were tried.
    """

    seed: int = Field(ge=0)
    counts: dict[str, int]
    runs_count: int = Field(ge=0)
    confirmations: tuple[Confirmation, ...] = Field(min_length=1)
    considered: tuple[Considered, ...] = Field(min_length=1)
    starts: str


class Signature(_Part):
    """A signature of a plan, see `executor.plan.signing`.

    Attributes:
        key: The Ed25519 public key, in base64.
        value: The signature of the digest, in base64.
    """

    key: str
    value: str


class PlannedStart(_Part):
    """The start that a plan is made for, on a weekday of the coming week.

    Attributes:
        weekday: The weekday.
        local_time: The local time, such as ``22:00``.
        zone: The time zone, such as ``Europe/Paris``; None where the trace names none.
        at: The next such moment when the plan was made; None without a zone.
        is_twice: Whether the clocks show this local time twice on that day; `at` is the first.
    """

    weekday: Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    local_time: str
    zone: str | None = None
    at: AwareDatetime | None = None
    is_twice: bool = False


class TrafficRange(_Part):
    """The traffic that a plan was simulated with: the rates of single minutes in all its runs.

    Attributes:
        low_rps: The 5th percentile, in requests per second to the plan's service.
        high_rps: The 95th percentile.
        highest_rps: The highest rate.
        days_count: Number of days of the trace that are known of the start's weekday.
    """

    low_rps: FiniteFloat = Field(ge=0)
    high_rps: FiniteFloat = Field(ge=0)
    highest_rps: FiniteFloat = Field(ge=0)
    days_count: int = Field(ge=1)


class AsWritten(_Part):
    """Window and surge as the scenario has them: a percentage stays right when the fleet changes."""

    window: int | str
    surge: int | str


PLAN_1, PLAN_2 = "rollcast.plan/1", "rollcast.plan/2"

PLAN_2_KEYS = (
    *("carried_out_by", "replacement", "surge", "as_written", "workload"),
    *("progress_deadline_s", "start", "traffic"),
)
"""The keys that the second version of the schema adds to the first."""

OPTIONAL_KEYS = ("signature", "progress_deadline_s", "accepted_missing", "start", "traffic")
"""The keys that a file leaves out where the plan has no value for them."""


class Plan(_Part):
    """A rollout that was simulated, ready to be carried out.

    Attributes:
        digest: SHA-256 over everything else, see `executor.plan.file`.
        signature: The signature of the digest; left out of the file where the plan is not signed.
        created_at: When the plan was made. The rollout may begin within `valid_for_s` from then.
        scenario: The whole scenario that was simulated, with the content of the files it names.
        window: Maximum number of instances under way at once.
        min_in_pool: Minimum number of instances that the rollout leaves in the pool.
        pause_s: Seconds between waves; in sliding, between a return and the next start in its place.
        min_ready_s: How long a returned instance must stay up before it counts as done.
        propagation_delay_s: How late the balancer learns that an instance was taken out.
        step_deadlines_s: Maximum duration of each step.
        retries: How often a failed step is tried again.
        max_failures: Maximum number of failed instances where the rollout continues after a failure.
        evidence: The search that chose the plan; None where there was none.
        accepted_missing: Objectives that were accepted although they do not hold without a rollout
            either; left out of the file where there is none.
        carried_out_by: Rollcast's own executor, or the tool whose rules the prediction follows.
        replacement: Whether new instances are made beside the old ones or in their place.
        surge: Maximum number of instances beyond the fleet; terminating ones are not counted.
        as_written: Window and surge as the scenario has them, such as ``25%``, where they come to
            the plan's own.
        workload: The workload in the cluster; None where it is not known.
        progress_deadline_s: Maximum time without an instance that becomes available; left out of the
            file where there is none.
        start: The start that the plan is made for; left out where it is no weekday's.
        traffic: The traffic that the plan holds for; left out where the start is no weekday's.
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
    on_failure: Literal["halt", "budget", "continue", "rollback"]
    retries: int = Field(ge=0)
    max_failures: int = Field(ge=0)
    prediction: Prediction
    evidence: Evidence | None = None
    accepted_missing: tuple[str, ...] = ()
    carried_out_by: Literal["rollcast", "kubernetes", "argo-rollouts"] = "rollcast"
    replacement: Literal["in_place", "beside"] = "in_place"
    surge: int = Field(default=0, ge=0)
    as_written: AsWritten | None = None
    workload: Workload | None = None
    progress_deadline_s: FiniteFloat | None = Field(default=None, gt=0)
    start: PlannedStart | None = None
    traffic: TrafficRange | None = None

    @property
    def is_by_rollcast(self) -> bool:
        """Return whether Rollcast's own executor carries the plan out."""
        return self.carried_out_by == "rollcast"

    @property
    def least_available(self) -> int:
        """Minimum number of available instances that the rollout leaves."""
        return max(len(self.instances) - self.window, self.min_in_pool)

    def valid_until(self) -> datetime:
        """Return the end of the plan's validity, at most the last moment of the calendar."""
        try:
            return self.created_at + timedelta(seconds=self.valid_for_s)
        except OverflowError:
            return datetime.max.replace(tzinfo=UTC)
