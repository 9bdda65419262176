"""How long-lived connections come back: the model of ``reconnects``, and the waits between attempts."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SerializerFunctionWrapHandler, WrapSerializer

from simulation.scenario.units import DurationS, FileModel, Fraction


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
    return {} if value is True else value


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
