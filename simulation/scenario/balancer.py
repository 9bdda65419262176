"""The part of a scenario file about balancing: ``services.NAME.balancer``.

Enters: plain data as a file holds it. Leaves: a frozen `BalancerModel`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from simulation.scenario.units import DurationS, FileModel, OptionalDurationS


def _none_if_said(value: object) -> object:
    return None if value == "none" else value


OptionalCount = Annotated[
    Annotated[int, Field(ge=0)] | None,
    BeforeValidator(_none_if_said),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"const": "none"}]}),
]
"""A count, or None where a file says ``none``."""


class HealthCheck(FileModel):
    """How the balancer finds out that an instance is down, and that it is up again."""

    interval: DurationS = Field(default=2.0, gt=0)
    timeout: DurationS = Field(default=1.0, gt=0)
    rise: int = Field(default=2, ge=1)
    fall: int = Field(default=3, ge=1)

    @model_validator(mode="after")
    def _one_at_a_time(self) -> HealthCheck:
        if self.timeout > self.interval:
            raise ValueError(
                f"timeout ({self.timeout:g} s) must not exceed interval ({self.interval:g} s)"
            )
        return self


OptionalHealthCheck = Annotated[
    HealthCheck | Annotated[None, WithJsonSchema({"const": "none"})],
    BeforeValidator(_none_if_said),
]
"""How instances are checked, or None where a file says ``none``."""


class ConnectRetries(FileModel):
    """What the balancer does when an instance does not answer its connection."""

    attempts: int = Field(default=0, ge=0, le=32)
    delay: DurationS = 1.0
    redispatch: bool = False


SENDING = ("round_robin", "least_connections", "random", "power_of_two", "source_hash")
"""Policies by which somebody sends; with ``pull`` nobody does."""


def parse_policy(text: str) -> str:
    """A policy that may take another's place.

    Raises:
        ValueError: There is none of this name, or it is another kind of service.
    """
    if text not in SENDING:
        raise ValueError(f"must be {', '.join(SENDING[:-1])} or {SENDING[-1]}")
    return text


class BalancerModel(FileModel):
    """How requests find an instance, and where they wait."""

    policy: Literal[
        "round_robin", "least_connections", "random", "power_of_two", "source_hash", "pull"
    ] = "round_robin"
    weights: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(default={})
    queue: Literal["balancer", "instance"] = "balancer"
    queue_limit: OptionalCount = None
    queue_timeout: OptionalDurationS = None
    propagation_delay: DurationS = 0.0
    health_check: OptionalHealthCheck = None
    connect_retries: ConnectRetries = ConnectRetries()
    slow_start: DurationS = 0.0
    sticky: bool = False
    requeue: bool = False

    @model_validator(mode="after")
    def _fits_its_policy(self) -> BalancerModel:
        if self.policy != "pull":
            if self.requeue:
                raise ValueError("requeue needs policy pull, where cut tasks can go back")
            return self
        belief = {"weights", "propagation_delay", "health_check", "connect_retries"}
        other = belief | {"slow_start", "sticky"}
        said = [name for name in sorted(other) if getattr(self, name) != _default(name)]
        if self.queue == "instance":
            said.append("queue: instance")
        if said:
            raise ValueError(f"with policy pull nobody sends, so {said[0]} has no meaning")
        return self


def _default(name: str) -> object:
    return BalancerModel.model_fields[name].default
