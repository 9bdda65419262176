"""Values with units as people write them: ``30s``, ``25%``, ``240/s``.

The functions parse one value of a scenario file into a float: seconds, a fraction, or requests per
second. The message of a ``ValueError`` is the rule that the value breaks. The annotated types at the
end let pydantic models parse the same values, and write a value so that it parses to the same float.
"""

from __future__ import annotations

import inspect
import math
import re
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetJsonSchemaHandler,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_DURATION = re.compile(rf"^({_NUMBER})\s*(ms|s|min|m|h|d)$")
_RATE = re.compile(rf"^({_NUMBER})\s*/\s*(ms|s|min|m|h|d)$")
_PERCENT = re.compile(rf"^({_NUMBER})\s*%$")

MOST_DURATION_S = 36_500 * 86400.0
"""Maximum length of a duration, in seconds: a hundred years.

The number of requests and events within a duration has limits of its own, see
`simulation.scenario.limits`.
"""

MOST_RATE_RPS = 1e7
"""Maximum rate, in requests per second: a hundred times the rate of the largest single fleets."""

_ATTRIBUTE = re.compile(r"^ {4}(\w+): (.*)$")


class FileModel(BaseModel):
    """A part of a scenario file: frozen, and an unknown key is an error.

    The docstring of a model describes it in the JSON Schema, and the docstring's section Attributes
    describes its keys. Editors show these texts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the JSON Schema, with a description of the model and of each key."""
        schema = handler(core_schema)
        model_schema = handler.resolve_ref_schema(schema)
        texts: dict[str, str] = {}
        for base in reversed(cls.__mro__):
            if issubclass(base, FileModel) and base is not FileModel:
                summary, own_texts = _split_docstring(base.__doc__ or "")
                texts |= own_texts
        model_schema["description"] = summary
        for name, field in cls.model_fields.items():
            if name in texts:
                model_schema["properties"][field.alias or name]["description"] = texts[name]
        return schema


def _split_docstring(docstring: str) -> tuple[str, dict[str, str]]:
    """Split a docstring into the text before the section Attributes and the text of each attribute."""
    summary, _, section = inspect.cleandoc(docstring).partition("\n\nAttributes:\n")
    texts: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        match = _ATTRIBUTE.match(line)
        if match is not None:
            name, texts[match[1]] = match[1], match[2]
        elif line.strip():
            texts[name] += f" {line.strip()}"
    return summary, texts


def base_directory(info: ValidationInfo) -> Path:
    """Return the folder to which file names in a scenario are relative: the scenario's own."""
    return Path(info.context["base_directory"]) if info.context else Path()


def why(error: Exception) -> str:
    """Return the reason of an error in a few words."""
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def _number_and_unit(
    value: object, form: re.Pattern[str], what: str, examples: str
) -> re.Match[str]:
    """Match the number and the unit of a value such as ``30s``; a plain 0 needs no unit.

    A number may also come as a text, as an option of a command does.

    Args:
        value: The value to match.
        form: The pattern of number and unit.
        what: The kind of value with its article, such as ``a duration``, for messages.
        examples: Examples for messages.

    Raises:
        ValueError: The value has no unit, or is not of this kind.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    text = str(value).strip() if is_number or isinstance(value, str) else ""
    unit = examples.lstrip("0123456789").split(",")[0]
    if re.fullmatch(_NUMBER, text):
        if float(text) != 0:
            raise ValueError(f"{what} needs a unit, such as {text}{unit}")
        text += unit
    match = form.match(text)
    if match is None:
        raise ValueError(f"must be {what}, such as {examples}")
    return match


def _non_negative(number: float, what: str) -> float:
    if not math.isfinite(number):
        raise ValueError(f"{what} must be finite")
    if number < 0:
        raise ValueError(f"{what} must not be negative")
    return number


def parse_duration_s(value: object) -> float:
    """Return a duration in seconds from ``150ms``, ``30s``, ``2m``, ``1h``, ``7d`` or a plain 0.

    Raises:
        ValueError: The value has no unit, is negative or too long, or is not a duration.
    """
    number, unit = _number_and_unit(value, _DURATION, "a duration", "30s, 150ms, 2m or 1h").groups()
    seconds = float(number) / 1000.0 if unit == "ms" else float(number) * _SECONDS[unit]
    seconds = _non_negative(seconds, "a duration")
    if seconds > MOST_DURATION_S:
        raise ValueError(f"a duration must be at most {MOST_DURATION_S / 86400:g}d")
    return seconds


def parse_rate_rps(value: object) -> float:
    """Return requests per second from ``240/s``, ``12/min`` or a plain 0.

    Raises:
        ValueError: The value has no unit, is negative or too high, or is not a rate.
    """
    number, unit = _number_and_unit(value, _RATE, "a rate", "240/s, 12/min or 900/h").groups()
    rate_rps = _non_negative(float(number) / _SECONDS[unit], "a rate")
    if rate_rps > MOST_RATE_RPS:
        raise ValueError(f"a rate must be at most {MOST_RATE_RPS:,.0f}/s")
    return rate_rps


def parse_fraction(value: object) -> float:
    """Return a fraction from ``25%`` or ``0.25``.

    Raises:
        ValueError: The value is not a share, or lies outside 0 and 1.
    """
    match = _PERCENT.match(value.strip()) if isinstance(value, str) else None
    if match is not None:
        number = float(match[1]) / 100.0
    elif isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value)
    else:
        raise ValueError("must be a share, such as 25% or 0.25")
    if not 0.0 <= number <= 1.0:
        raise ValueError("a share must lie between 0% and 100%")
    return number


def parse_count_or_share(value: object) -> int | str:
    """Return a count as a number, or a percentage as its text: ``0``, ``12``, ``"0.5%"``.

    A plain 0.5 is refused, because next to counts it could be read as half an item.

    Raises:
        ValueError: The value is neither a count nor a percentage.
    """
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise ValueError("a count must not be negative")
        return value
    if not isinstance(value, str) or _PERCENT.match(value.strip()) is None:
        raise ValueError("must be a count or a percentage, such as 0 or 5%")
    parse_fraction(value)
    return value.strip()


def format_duration(seconds: float) -> str:
    """Return a duration as it is written in a file, so that it parses to the same float.

    Whole hours and minutes get these units, any other duration is in seconds: ``1h``, ``2m``, ``7.5s``.
    """
    for unit, size in (("h", 3600.0), ("m", 60.0)):
        if seconds >= size and seconds % size == 0:
            return f"{int(seconds / size)}{unit}"
    return f"{int(seconds)}s" if seconds == int(seconds) else f"{seconds!r}s"


def format_rate(rate_rps: float) -> str:
    """Return a rate as it is written in a file, so that it parses to the same float."""
    return f"{int(rate_rps)}/s" if rate_rps == int(rate_rps) else f"{rate_rps!r}/s"


DURATION_SCHEMA: dict[str, Any] = {
    "anyOf": [{"type": "string", "pattern": _DURATION.pattern}, {"const": 0}],
    "examples": ["30s"],
}
RATE_SCHEMA: dict[str, Any] = {
    "anyOf": [{"type": "string", "pattern": _RATE.pattern}, {"const": 0}],
    "examples": ["240/s"],
}


DurationS = Annotated[
    float,
    BeforeValidator(parse_duration_s),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(DURATION_SCHEMA),
]
"""Seconds; ``30s`` in files."""

RateRps = Annotated[
    float,
    BeforeValidator(parse_rate_rps),
    PlainSerializer(format_rate, return_type=str),
    WithJsonSchema(RATE_SCHEMA),
]
"""Requests per second; ``240/s`` in files."""

Fraction = Annotated[
    float,
    BeforeValidator(parse_fraction),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": 1},
                {"type": "string", "pattern": _PERCENT.pattern},
            ],
            "examples": ["25%"],
        }
    ),
]
"""A fraction between 0 and 1; ``25%`` in files."""


def none_or(parse: Any) -> BeforeValidator:
    """Return a validator that parses a value, and turns the word ``none`` or no value into None."""
    return BeforeValidator(lambda value: None if value in (None, "none") else parse(value))


OptionalDurationS = Annotated[
    float | None,
    none_or(parse_duration_s),
    PlainSerializer(lambda value: "none" if value is None else format_duration(value)),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string", "pattern": _DURATION.pattern}, {"const": "none"}],
            "default": "none",
            "examples": ["2s"],
        }
    ),
]
"""Seconds, or None where a file says ``none``."""

DurationOrRollout = Annotated[
    float | None,
    BeforeValidator(lambda value: None if value in (None, "rollout") else parse_duration_s(value)),
    PlainSerializer(lambda value: "rollout" if value is None else format_duration(value)),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string", "pattern": _DURATION.pattern}, {"const": "rollout"}],
            "default": "rollout",
            "examples": ["5m"],
        }
    ),
]
"""Seconds, or None where a file says ``rollout``."""

OptionalCountOrShare = Annotated[
    int | str | None,
    none_or(parse_count_or_share),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "string", "pattern": _PERCENT.pattern},
            ],
            "examples": [0, "5%"],
        }
    ),
]
"""A count, a percentage as its text, or None."""
