"""What a plan is: the words of steps, waves and gates, defined once, and the rules they obey.

Enters: a fleet's instances and how they are to be rolled. Leaves: a frozen `Plan`, and the rules
across its fields that it breaks, in plain words. Neither simulation nor screens are needed here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, FiniteFloat


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
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Drain(_Part):
    """How long requests in flight may take to finish, and what happens to the rest."""

    timeout_s: FiniteFloat = Field(ge=0)
    on_timeout: Literal["cut", "wait", "abort"]


class Gate(_Part):
    """What stands between two waves."""

    kind: Literal["pause"] = "pause"
    pause_s: FiniteFloat = Field(ge=0)


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


class Ended(_Part):
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
    ended: Ended
    verdict: Verdict


class Plan(_Part):
    """A rollout that was simulated, ready to be carried out.

    Attributes:
        digest: SHA-256 over everything else, see `executor.plan_file`.
        created_at: When the plan was made; it may be carried out for `valid_for_s` from then.
        scenario: The whole scenario that was simulated, free of other files.
        window: Instances that may be under way at once.
        min_in_pool: Never fewer in the pool because of the rollout.
        pause_s: Between waves; in sliding, between a return and the next start in its place.
        min_ready_s: How long a returned instance must stay up before it counts as done.
        step_deadlines_s: By when each step must have ended, from its begin.
    """

    schema_: Literal["rollcast.plan/1"] = Field(default="rollcast.plan/1", alias="schema")
    digest: str = ""
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
    strategy: Literal["rolling"]
    advance: Literal["sliding", "batch"]
    window: int = Field(ge=1)
    min_in_pool: int = Field(ge=0)
    pause_s: FiniteFloat = Field(ge=0)
    min_ready_s: FiniteFloat = Field(ge=0)
    drain: Drain
    waves: tuple[Wave, ...] = Field(min_length=1)
    step_deadlines_s: dict[Step, FiniteFloat]
    on_failure: Literal["halt"]
    prediction: Prediction

    def valid_until(self) -> datetime:
        """When the plan's validity runs out."""
        return self.created_at + timedelta(seconds=self.valid_for_s)


def waves_for(
    instances: Sequence[str], window: int, advance: str, pause_s: float
) -> tuple[Wave, ...]:
    """The waves in which a rolling deployment goes through its instances.

    Sliding is one wave with `parallel` the window. Batch is waves of the window's size, with a
    pause as the gate between them.
    """
    if advance == "sliding":
        return (Wave(instances=tuple(instances), parallel=window),)
    parts = [tuple(instances[k : k + window]) for k in range(0, len(instances), window)]
    gate = Gate(pause_s=pause_s) if pause_s > 0 else None
    return tuple(
        Wave(instances=part, parallel=len(part), gate=gate if part is not parts[-1] else None)
        for part in parts
    )


def _window_fits(plan: Plan) -> Iterator[str]:
    spare = len(plan.instances) - plan.min_in_pool
    if plan.window > spare:
        yield (
            f"window ({plan.window}) must not exceed the fleet ({len(plan.instances)}) less the "
            f"minimum in the pool ({plan.min_in_pool})"
        )


def _names_differ(plan: Plan) -> Iterator[str]:
    twice = [name for name, count in Counter(plan.instances).items() if count > 1]
    if twice:
        yield f"instance {twice[0]} must be named once"


def _waves_fit(plan: Plan) -> Iterator[str]:
    rolled = tuple(name for wave in plan.waves for name in wave.instances)
    if rolled != plan.instances:
        yield "the waves must hold every instance of the fleet once, in order"
    elif plan.waves != waves_for(plan.instances, plan.window, plan.advance, plan.pause_s):
        yield (
            f"the waves must be those of window {plan.window}, advance {plan.advance} and "
            f"pause {plan.pause_s:g} s"
        )


def _deadlines_fit(plan: Plan) -> Iterator[str]:
    for step in STEPS:
        deadline_s = plan.step_deadlines_s.get(step)
        if deadline_s is None:
            yield f"step {step} must have a deadline"
        elif deadline_s <= 0:
            yield f"the deadline of step {step} ({deadline_s:g} s) must be above 0"
    take_out_s = plan.step_deadlines_s.get(Step.TAKE_OUT)
    if plan.drain.on_timeout != "wait" and take_out_s is not None:
        if 0 < take_out_s < plan.drain.timeout_s:
            yield (
                f"drain timeout ({plan.drain.timeout_s:g} s) must not exceed the deadline of step "
                f"{Step.TAKE_OUT} ({take_out_s:g} s)"
            )


def _prediction_holds(plan: Plan) -> Iterator[str]:
    prediction, runs = plan.prediction, plan.replications
    verdict = prediction.verdict
    asked = plan.scenario.get("objectives", {}).get("in_runs", 0.95)
    if verdict.answer != "meets":
        yield f"the verdict ({verdict.answer}) must be meets"
    elif not isinstance(asked, int | float) or verdict.lower_bound < asked:
        yield f"the lower bound ({verdict.lower_bound:.3f}) must reach the share asked for ({asked})"
    if not verdict.runs == prediction.ended.total() == runs:
        yield (
            f"runs judged ({verdict.runs}) and runs ended ({prediction.ended.total()}) must be "
            f"the replications ({runs})"
        )
    if verdict.runs_meeting > verdict.runs:
        yield f"runs meeting ({verdict.runs_meeting}) must not exceed the runs ({verdict.runs})"
    for name, figure in prediction.metrics.items():
        for below, above in (("low", "mean"), ("mean", "high"), ("run_low", "run_high")):
            small, large = getattr(figure, below), getattr(figure, above)
            if small is not None and large is not None and small > large:
                yield f"{name}: {below} ({small:g}) must not exceed {above} ({large:g})"


RULES: tuple[tuple[str, Callable[[Plan], Iterator[str]]], ...] = (
    ("the window fits the fleet and its minimum in the pool", _window_fits),
    ("every instance has a name of its own", _names_differ),
    ("the waves hold the whole fleet, once, as window and advance say", _waves_fit),
    ("every step has a deadline, and the drain fits into its own", _deadlines_fit),
    ("the objectives hold with the stated confidence in the runs that were made", _prediction_holds),
)
"""Every rule across fields: what it promises in plain words, and what breaks it."""
