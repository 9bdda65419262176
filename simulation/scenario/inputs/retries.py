"""The clients after a failure: they send a request again, or open their connection again."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    WrapSerializer,
)

from simulation.scenario.limits import ATTEMPT_BITS
from simulation.scenario.units import DurationS, FileModel, Fraction, parse_fraction


def _none_or_share(value: object) -> float | None:
    return None if value in (None, "none") else parse_fraction(value)


class Retries(FileModel):
    """How often a client sends a failed request again, and how long it waits before.

    Attributes:
        attempts: How many retries a client sends at most after a failed request.
        backoff: How long the client waits before the first retry.
        factor: The factor by which each further wait is longer.
        jitter: Each wait is spread at random by this fraction to both sides.
        budget: Retries may be at most this fraction of the requests of the last 10 seconds. none: no
            limit.
        cut: true: a request that the rollout cut is sent again too.
        demand: same: a retry asks for the same work as the attempt before it. new: each retry draws
            its service times anew.
    """

    attempts: int = Field(default=0, ge=0, lt=1 << ATTEMPT_BITS)
    backoff: DurationS = 0.1
    factor: float = Field(default=2.0, ge=1, allow_inf_nan=False)
    jitter: Fraction = 0.5
    budget: Annotated[
        float | None,
        BeforeValidator(_none_or_share),
        WithJsonSchema({"type": ["string", "number"], "default": "none", "examples": ["20%"]}),
    ] = None
    cut: bool = True
    demand: Literal["same", "new"] = "same"

    @property
    def draws_demand(self) -> bool:
        """Return whether there are retries that draw their service times anew."""
        return self.attempts > 0 and self.demand == "new"

    def wait_s(self, number: int, u: float) -> float:
        """Return the wait in seconds after attempt ``number``, 0 for the first; u lies in (0, 1)."""
        return backoff_s(self.backoff, self.factor, self.jitter, number, u)


class Reconnects(FileModel):
    """How a client opens its connection again after the connection was cut.

    With a backoff, a client that does not get its connection tries again, after a longer wait each time.

    Attributes:
        backoff: How long the client waits before it connects again.
        factor: The factor by which each further wait is longer, until a connection is open again.
        jitter: Each wait is spread at random by this fraction to both sides.
        cost: The work of the handshake, during which the client holds a slot of the instance.
    """

    backoff: DurationS = 0.0
    factor: float = Field(default=2.0, ge=1, allow_inf_nan=False)
    jitter: Fraction = 0.5
    cost: DurationS = 0.0

    def wait_s(self, failed: int, u: float) -> float:
        """Return the wait in seconds after ``failed`` attempts to connect in a row; u lies in (0, 1)."""
        return backoff_s(self.backoff, self.factor, self.jitter, failed, u)


def backoff_s(first_s: float, factor: float, jitter: float, number: int, u: float) -> float:
    """Return a wait in seconds: first·factorⁿ·(1 + jitter·(2u − 1)), with n = ``number``, u in (0, 1)."""
    wait_s = first_s
    for _attempt in range(number):
        wait_s *= factor
    return wait_s * (1.0 + jitter * (2.0 * u - 1.0))


def _false_or_reconnects(value: object) -> object:
    if value is None or value is False:
        return None
    if value is True:
        return {}
    if not isinstance(value, dict | Reconnects):
        raise ValueError("must be true, false or a mapping such as {backoff: 1s, cost: 5ms}")
    return value


def _short_reconnects(value: Reconnects | None, handler: SerializerFunctionWrapHandler) -> Any:
    return value is not None if value in (None, Reconnects()) else handler(value)


def _or_boolean(schema: dict[str, Any]) -> None:
    """Replace null by true and false in the JSON Schema of `reconnects`."""
    schema["anyOf"] = [*schema["anyOf"][:-1], {"type": "boolean"}]
    schema["default"] = False


OptionalReconnects = Annotated[
    Reconnects | None,
    BeforeValidator(_false_or_reconnects),
    WrapSerializer(_short_reconnects),
    Field(json_schema_extra=_or_boolean),
]
"""How a connection comes back, or None where a file says ``false``."""
