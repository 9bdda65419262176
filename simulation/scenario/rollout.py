"""The part of a scenario file about rollouts: ``rollout``, and a service's own keys over it.

Enters: plain data as a file holds it. Leaves: frozen rules that the control plane follows. Rules
across keys stand in `simulation.scenario.rollout_rules`.
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
from simulation.scenario.units import DurationS, FileModel, Fraction, none_or

ALL_AT_ONCE = ("recreate", "blue_green")
"""Strategies without a window: the whole fleet is under way at once."""

REPLACING = ("rolling", "canary")
"""Strategies whose new instances may be made in place of the old ones or beside them."""

MOST_AMOUNT_DIGITS = 9
"""Maximum number of digits of a count or a percentage: the range of Kubernetes' integers."""


class Drain(FileModel):
    """How long in-flight requests may take to finish, and what happens then."""

    timeout: DurationS = 30.0
    on_timeout: Literal["cut", "wait", "abort"] = "cut"
    poll: DurationS = 0.0


class Stop(FileModel):
    """What becomes of requests that are still there, or still come, when an instance stops."""

    mode: Literal["graceful", "abrupt"] = "graceful"
    grace: DurationS = 30.0


def _amount(value: object) -> int | str:
    """A count or a percentage as a file says it.

    Raises:
        ValueError: The value is neither.
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
    """A window as a file says it: a count, or a percentage such as ``25%``.

    Raises:
        ValueError: The value is neither.
    """
    amount = _amount(value)
    if isinstance(amount, int) and amount < 1:
        raise ValueError("a window must be at least 1")
    return amount


def parse_surge(value: object) -> int | str:
    """A surge as a file says it: a count, or a percentage such as ``25%``.

    Raises:
        ValueError: The value is neither.
    """
    amount = _amount(value)
    if isinstance(amount, int) and amount < 0:
        raise ValueError("a surge must not be negative")
    return amount


def has_surge(surge: int | str) -> bool:
    """Whether a surge allows any instance beyond the fleet: percentages of it are rounded up."""
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
"""How many instances may be under way at once: a count or a percentage of the fleet."""

Surge = Annotated[int | str, BeforeValidator(parse_surge), _amount_schema(0)]
"""How many instances there may be beyond the fleet: a count or a percentage of it."""


def or_word_none(schema: dict[str, Any]) -> None:
    """The JSON Schema of a part that is left out by the word ``none``."""
    schema["anyOf"] = [one for one in schema["anyOf"] if one != {"type": "null"}]
    schema["anyOf"].append({"const": "none"})
    schema["default"] = "none"


class Limits(FileModel):
    """What may be observed at most; nothing is asked of what is left out."""

    error_fraction: Fraction | None = None
    latency_p99: DurationS | None = None


class CanaryStep(Limits):
    """So much of the fleet gets the new version, which is then watched for a while."""

    share: Fraction
    bake: DurationS


class Guards(Limits):
    """Limits that are watched during the whole rollout, over the last so many seconds."""

    over: DurationS = Field(default=30.0, gt=0)

    @model_validator(mode="after")
    def _watch_something(self) -> Guards:
        if self.error_fraction is None and self.latency_p99 is None:
            raise ValueError("a guard needs error_fraction or latency_p99")
        return self


class Migration(FileModel):
    """How long the steps of a database's migration take, and whether the last comes too early."""

    expand: DurationS = 0.0
    migrate: DurationS = 0.0
    contract: DurationS = 0.0
    contract_before_rollout: bool = False


class ServiceRollout(FileModel):
    """How the new version reaches a service's fleet."""

    strategy: Literal["rolling", "canary", "blue_green", "recreate", "expand_migrate_contract"] = (
        "rolling"
    )
    window: Window = 1
    advance: Literal["sliding", "batch"] = "sliding"
    surge: Surge = 0
    replacement: Literal["in_place", "beside"] | None = None
    rounding: Literal["kubernetes"] = "kubernetes"
    min_healthy: int = Field(default=0, ge=0)
    pause: DurationS = 0.0
    min_ready: DurationS = 0.0
    instance_order: Literal["listed", "by_zone", "random"] = "listed"
    drain: Drain = Drain()
    pre_stop: DurationS = 0.0
    stop: Stop = Stop()
    canary: tuple[CanaryStep, ...] = ()
    migration: Migration | None = None
    retries: int = Field(default=0, ge=0)
    on_failure: Literal["halt", "continue", "rollback"] = "halt"
    max_failures: int = Field(default=0, ge=0)
    guards: Annotated[
        Guards | None, none_or(lambda value: value), Field(json_schema_extra=or_word_none)
    ] = None

    @property
    def replaces_beside(self) -> bool:
        """Whether new instances are made beside the old ones, which are then removed.

        Where the file does not say, a rollout with a surge does, and any other replaces in place.
        Only `rolling` and `canary` know the difference.
        """
        if self.strategy not in REPLACING:
            return False
        if self.replacement is None:
            return has_surge(self.surge)
        return self.replacement == "beside"

    @field_validator("canary")
    @classmethod
    def _ascending(cls, value: tuple[CanaryStep, ...]) -> tuple[CanaryStep, ...]:
        shares = [0.0, *(one.share for one in value), 1.0]
        if any(later <= earlier for earlier, later in itertools.pairwise(shares)):
            raise ValueError("the shares must ascend, above 0% and below 100%")
        return value


class OwnRollout(ServiceRollout):
    """What one service does otherwise than the common ``rollout`` says: only the keys that are set."""

    @model_serializer(mode="wrap")
    def _only_what_is_set(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in dump(self).items() if key in self.model_fields_set}


def _order(value: object) -> object:
    before = value.values() if isinstance(value, dict) else [value]
    if value is not None and not all(
        isinstance(one, list | tuple) and all(isinstance(name, str) for name in one)
        for one in before
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
    """How the new version reaches all services: in which order, and when not."""

    order: Annotated[
        tuple[str, ...] | dict[str, tuple[str, ...]] | None, BeforeValidator(_order)
    ] = None
    freeze: Annotated[
        tuple[tuple[TimeOfDay, TimeOfDay], ...],
        BeforeValidator(lambda value: () if value == "none" else value),
    ] = ()
