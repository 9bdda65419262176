"""The models of ``rollout`` and ``services.NAME.rollout`` in a scenario file.

Rules across several keys are in `simulation.scenario.rollout_rules`.
"""

from __future__ import annotations

import itertools
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    field_validator,
    model_serializer,
    model_validator,
)

from simulation.scenario.rates import clock_time_s
from simulation.scenario.units import (
    DurationS,
    FileModel,
    Fraction,
    OptionalDurationS,
    none_or,
)

ALL_AT_ONCE = ("recreate", "blue_green")
"""Strategies without a window: they update the whole fleet at once."""

REPLACING = ("rolling", "canary", "expand_migrate_contract")
"""Strategies that may replace an instance in place, or start its replacement beside it."""

BUDGET_DEADLINE_S = 600.0
"""Default of `progress_deadline` with `on_failure: budget`, in seconds: that of a Deployment."""

MOST_AMOUNT_DIGITS = 9
"""Maximum number of digits of a count or a percentage: the range of Kubernetes' integers."""


class Drain(FileModel):
    """How an instance that was taken out finishes its requests in flight.

    Attributes:
        timeout: How long requests in flight may take to finish.
        on_timeout: What happens at the timeout. cut: the requests end as `cut`. wait: the step waits
            until they finish. abort: the step fails, which halts the rollout.
        poll: How often the number of requests in flight is read; the drain ends when two consecutive
            polls find none. 0s: the drain ends when the last request ends.
    """

    timeout: DurationS = 30.0
    on_timeout: Literal["cut", "wait", "abort"] = "cut"
    poll: DurationS = 0.0


class Stop(FileModel):
    """The treatment of requests in flight when an instance is stopped.

    Attributes:
        mode: graceful: it finishes its requests in flight within the grace period. abrupt: it cuts
            them at once.
        grace: The grace period, counted from the take-out. Requests still in flight at its end are
            cut.
    """

    mode: Literal["graceful", "abrupt"] = "graceful"
    grace: DurationS = 30.0


def _amount(value: object) -> int | str:
    """Return a count as a number, or a whole percentage as its text.

    Raises:
        ValueError: The value is neither a count nor a percentage.
    """
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("must be a count or a percentage, such as 4 or 25%")
    if isinstance(value, str) and len(value.removesuffix("%")) > MOST_AMOUNT_DIGITS:
        raise ValueError(f"must have at most {MOST_AMOUNT_DIGITS} digits")
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if isinstance(value, str) and not (value.endswith("%") and value[:-1].isdecimal()):
        raise ValueError("must be a count or a whole percentage, such as 4 or 25%")
    return value


def parse_window(value: object) -> int | str:
    """Return a window: a count of at least 1, or a percentage as its text, such as ``25%``.

    Raises:
        ValueError: The value is neither a count nor a percentage.
    """
    amount = _amount(value)
    if isinstance(amount, int) and amount < 1:
        raise ValueError("a window must be at least 1")
    return amount


def parse_surge(value: object) -> int | str:
    """Return a surge: a count, or a percentage as its text, such as ``25%``.

    Raises:
        ValueError: The value is neither a count nor a percentage.
    """
    amount = _amount(value)
    if isinstance(amount, int) and amount < 0:
        raise ValueError("a surge must not be negative")
    return amount


def parse_amount(value: object) -> int | str:
    """Return a count, or a percentage as its text, such as ``25%``.

    Raises:
        ValueError: The value is neither a count nor a percentage.
    """
    amount = _amount(value)
    if isinstance(amount, int) and amount < 0:
        raise ValueError("must not be negative")
    return amount


def has_surge(surge: int | str) -> bool:
    """Return whether a surge allows any additional instance; percentages above 0 are rounded up."""
    return int(str(surge).removesuffix("%")) > 0


def _amount_schema(least: int) -> WithJsonSchema:
    return WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": least},
                {"type": "string", "pattern": "^[0-9]+%$"},
            ]
        }
    )


Window = Annotated[int | str, BeforeValidator(parse_window), _amount_schema(1)]
"""The most instances that are updated at the same time: a count or a percentage of the fleet."""

Surge = Annotated[int | str, BeforeValidator(parse_surge), _amount_schema(0)]
"""The most additional instances beyond the fleet: a count or a percentage of the fleet."""

Amount = Annotated[int | str, BeforeValidator(parse_amount), _amount_schema(0)]
"""A number of instances: a count or a percentage of the fleet."""


def or_word_none(schema: dict[str, Any]) -> None:
    """Replace null by the word ``none`` in the JSON Schema of a part that may be absent."""
    schema["anyOf"] = [form for form in schema["anyOf"] if form != {"type": "null"}]
    schema["anyOf"].append({"const": "none"})
    schema["default"] = "none"


class Limits(FileModel):
    """The highest values that the rollout tolerates; without a value there is no limit.

    Attributes:
        error_fraction: The highest fraction of requests that end with another outcome than `ok`.
        latency_p99: The highest 99th percentile of the latency of requests that end with `ok`.
    """

    error_fraction: Fraction | None = None
    latency_p99: DurationS | None = None


class CanaryStep(Limits):
    """A canary step: a part of the fleet gets the new version, then the new version is observed.

    The limits of a step apply to the answers of the new version during the bake.

    Attributes:
        share: The part of the fleet that has the new version in this step.
        bake: How long the new version is observed before the next step.
    """

    share: Fraction
    bake: DurationS


class Guards(Limits):
    """Limits that hold during the whole rollout; when one is exceeded, the rollout halts.

    With on_failure: rollback, the rollout goes back to the old version instead.

    Attributes:
        over: The time over which the figures are observed: from now back by this duration.
    """

    over: DurationS = Field(default=30.0, gt=0)

    @model_validator(mode="after")
    def _watch_something(self) -> Guards:
        if self.error_fraction is None and self.latency_p99 is None:
            raise ValueError("a guard needs error_fraction or latency_p99")
        return self


class Migration(FileModel):
    """The steps of a database migration around a rollout (strategy expand_migrate_contract).

    Attributes:
        expand: How long it takes to add the new parts of the schema, before the rollout.
        migrate: How long it takes to copy the data, before the rollout.
        contract: How long it takes to remove the old parts of the schema, after the rollout. From its
            end on, the old version answers every request with an error.
        contract_before_rollout: true: the contract step runs too early, before the rollout, which
            shows the damage of this mistake.
    """

    expand: DurationS = 0.0
    migrate: DurationS = 0.0
    contract: DurationS = 0.0
    contract_before_rollout: bool = False


class ServiceRollout(FileModel):
    """How the new version gets to the fleet of a service.

    Attributes:
        strategy: rolling: each instance in turn, a window at a time. canary: first a part of the
            fleet, which is observed, then the rest. blue_green: a second fleet is started, the
            traffic switches to it, and the first fleet drains. recreate: all instances are stopped,
            then all are started. expand_migrate_contract: rolling, between the steps of a database
            migration.
        window: The most instances that are updated at the same time: a count, or a percentage of the
            fleet.
        advance: sliding: the next instance begins as soon as one is done. batch: a whole window must
            be done before the next window begins.
        surge: The most additional instances beyond the fleet: a count, or a percentage of the fleet.
            For rolling, canary and expand_migrate_contract; not together with batch or pause.
        replacement: in_place: an instance is stopped and started again. beside: a new instance
            starts as soon as an old one is marked for removal, as in Kubernetes. Default: beside
            with a surge, otherwise in_place. For rolling, canary and expand_migrate_contract.
        rounding: How a percentage becomes a count: as Kubernetes rounds maxUnavailable (down, at
            least 1), maxSurge (up), and minAvailable of a disruption budget (up).
        min_healthy: The rollout never leaves fewer instances than this in the pool: a count, or a
            percentage of the fleet.
        pause: Waiting time between windows (batch), or between the return of an instance and the
            next one (sliding). For blue_green: how long the old fleet is kept after the switch.
        min_ready: How long a returned instance must stay up before it counts as done.
        instance_order: listed: the order of the file. reverse: the last listed first. by_zone: one
            zone after the other. random: one order, drawn from the seed.
        drain: How an instance that was taken out finishes its requests in flight.
        pre_stop: The shortest time between the take-out and the stop of an instance.
        stop: What an instance does with requests in flight when it is stopped.
        canary: The steps of strategy canary, with ascending shares.
        migration: The steps of strategy expand_migrate_contract.
        retries: How often a failed step is tried again on an instance.
        on_failure: halt: no further instance begins, and instances in progress are finished.
            budget: a failed instance keeps its place in the window or the surge, and the others go on
            until no place is left; the rollout then halts at its progress_deadline. continue: the
            rollout goes on as long as no more than max_failures instances have failed. rollback:
            instances with the new version go back to the old one.
        max_failures: The most failed instances with which the rollout continues (on_failure:
            continue): a count, or a percentage of the fleet, which must be exceeded to stop.
        stop_when_batch_failed: With on_failure: continue, the rollout also stops after a batch, or a
            step of a canary, in which every instance failed.
        progress_deadline: The longest time without an instance that becomes available, counted from
            the last one. Then the rollout stops. Default: 600s with on_failure: budget, otherwise
            none.
        healthy_deadline: The longest time from the beginning of an instance's deploy until it has
            passed its health checks and been up for min_ready. Then the instance has failed.
        guards: Limits that hold during the whole rollout. none: no limits.
    """

    strategy: Literal["rolling", "canary", "blue_green", "recreate", "expand_migrate_contract"] = (
        "rolling"
    )
    window: Window = 1
    advance: Literal["sliding", "batch"] = "sliding"
    surge: Surge = 0
    replacement: Literal["in_place", "beside"] | None = None
    rounding: Literal["kubernetes"] = "kubernetes"
    min_healthy: Amount = 0
    pause: DurationS = 0.0
    min_ready: DurationS = 0.0
    instance_order: Literal["listed", "reverse", "by_zone", "random"] = "listed"
    drain: Drain = Drain()
    pre_stop: DurationS = 0.0
    stop: Stop = Stop()
    canary: tuple[CanaryStep, ...] = ()
    migration: Migration | None = None
    retries: int = Field(default=0, ge=0)
    on_failure: Literal["halt", "budget", "continue", "rollback"] = "halt"
    max_failures: Amount = 0
    stop_when_batch_failed: bool = False
    progress_deadline: OptionalDurationS = None
    healthy_deadline: OptionalDurationS = None
    guards: Annotated[
        Guards | None, none_or(lambda value: value), Field(json_schema_extra=or_word_none)
    ] = None

    @property
    def replaces_beside(self) -> bool:
        """Return whether new instances are started beside the old ones, which are then removed.

        Without `replacement` in the file, this is so for a rollout with a surge. Only the strategies
        in `REPLACING` have this choice.
        """
        if self.strategy not in REPLACING:
            return False
        if self.replacement is None:
            return has_surge(self.surge)
        return self.replacement == "beside"

    @property
    def has_batches(self) -> bool:
        """Return whether the rollout advances in batches: windows, or the steps of a canary."""
        return self.advance == "batch" or self.strategy == "canary"

    @property
    def stops_after_failed_batch(self) -> bool:
        """Return whether `stop_when_batch_failed` can take effect: only `continue` survives a failure."""
        return self.stop_when_batch_failed and self.has_batches and self.on_failure == "continue"

    @property
    def progress_deadline_s(self) -> float | None:
        """Return `progress_deadline` or its default, in seconds; None where there is none."""
        if self.progress_deadline is None and self.on_failure == "budget":
            return BUDGET_DEADLINE_S
        return self.progress_deadline

    @field_validator("canary")
    @classmethod
    def _ascending(cls, value: tuple[CanaryStep, ...]) -> tuple[CanaryStep, ...]:
        shares = [0.0, *(step.share for step in value), 1.0]
        if any(later <= earlier for earlier, later in itertools.pairwise(shares)):
            raise ValueError("the shares must ascend, above 0% and below 100%")
        return value


class OwnRollout(ServiceRollout):
    """Keys of ``rollout`` that have another value for one service."""

    @model_serializer(mode="wrap")
    def _only_what_is_set(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in dump(self).items() if key in self.model_fields_set}


def _order(value: object) -> object:
    before = value.values() if isinstance(value, dict) else [value]
    if value is not None and not all(
        isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
        for names in before
    ):
        raise ValueError("must be a list of services, or a mapping service: [those before it]")
    return value


def _time_of_day(value: object) -> object:
    if not isinstance(value, str) or clock_time_s(value) is None:
        raise ValueError('must be two times of day, such as ["08:00", "10:00"]')
    return value


TimeOfDay = Annotated[
    str,
    BeforeValidator(_time_of_day),
    WithJsonSchema({"type": "string", "examples": ["08:00"]}),
]


class Rollout(ServiceRollout):
    """How the new version gets to all services.

    A service can have other values for these keys under ``services.NAME.rollout``.

    Attributes:
        order: The order of the services. A list: one after the other. A mapping: each service with
            those that must be done before it, such as {db: [], web: [db]}. Without it, all services
            roll out at the same time.
        freeze: Times of day at which no rollout may run, such as [["08:00", "10:00"]]. A rollout that
            runs within one does not meet the objectives. none: no freeze.
    """

    order: Annotated[
        tuple[str, ...] | dict[str, tuple[str, ...]] | None, BeforeValidator(_order)
    ] = None
    freeze: Annotated[
        tuple[tuple[TimeOfDay, TimeOfDay], ...],
        BeforeValidator(lambda value: () if value == "none" else value),
    ] = ()
