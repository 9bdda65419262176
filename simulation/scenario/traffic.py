"""The parts of a scenario file about time and traffic: ``clock`` and ``traffic``.

Enters: plain data as a file holds it. Leaves: frozen parts of a `Scenario`; each kind of rate gives
the `RateTable` that is simulated. Another kind of rate is one more class here, named in `RATES`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    PlainSerializer,
    PrivateAttr,
    Tag,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_serializer,
    model_validator,
)

from simulation.scenario.distributions import Distribution
from simulation.scenario.limits import ATTEMPT_BITS
from simulation.scenario.rates import (
    RateTable,
    Trace,
    clock_time_s,
    constant_rate,
    content_digest,
    daily_rate,
    read_trace,
    steps_rate,
)
from simulation.scenario.timestamps import Timestamps, read_timestamps, timestamps_of
from simulation.scenario.units import (
    RATE_SCHEMA,
    DurationS,
    FileModel,
    Floats,
    Fraction,
    OptionalDurationS,
    RateRps,
    base_directory,
    format_duration,
    format_rate,
    parse_duration_s,
    parse_fraction,
)


def _auto_or_duration(value: object) -> float | None:
    return None if value in (None, "auto") else parse_duration_s(value)


AutoDurationS = Annotated[
    float | None,
    BeforeValidator(_auto_or_duration),
    PlainSerializer(lambda value: "auto" if value is None else format_duration(value)),
    WithJsonSchema({"type": "string", "default": "auto", "examples": ["auto", "5m"]}),
]
"""Seconds, or None where a file says ``auto``."""


def parse_start(value: object) -> float | str:
    """An offset in seconds, or the text of a time of day or of a date and time.

    Raises:
        ValueError: The value is none of them.
    """
    if isinstance(value, datetime):
        return str(value)
    if isinstance(value, str) and clock_time_s(value) is not None:
        return value
    if isinstance(value, str) and len(value) > 8:
        try:
            return str(datetime.fromisoformat(value))
        except ValueError:
            pass
    if isinstance(value, date):
        raise ValueError(f"a date needs a time, such as {value} 18:00")
    try:
        return parse_duration_s(value)
    except ValueError:
        raise ValueError(
            'must be an offset such as 90m, a time of day such as "18:00", or a date and time'
        ) from None


Start = Annotated[
    float | str,
    BeforeValidator(parse_start),
    PlainSerializer(lambda value: format_duration(value) if isinstance(value, float) else value),
    WithJsonSchema({"type": "string", "examples": ["18:00", "90m", "1998-06-23 15:57"]}),
]
"""Where the rollout begins on the traffic's clock: offset, time of day, or date and time."""


class Clock(FileModel):
    """When the rollout starts, and how much around it is simulated."""

    start: Start = 0.0
    warm_up: AutoDurationS = None
    horizon: AutoDurationS = None


class StepsRate(FileModel):
    """Rates from a time on: ``{steps: [[0s, 100/s], [5m, 300/s]]}``."""

    steps: tuple[tuple[DurationS, RateRps], ...] = Field(min_length=1)

    @field_validator("steps")
    @classmethod
    def _ascending(cls, value: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        times = [time for time, _ in value]
        if any(later <= earlier for earlier, later in itertools.pairwise(times)):
            raise ValueError("the times of steps must ascend")
        return value

    def table(self) -> RateTable:
        return steps_rate(list(self.steps))


class ConstantRate(FileModel):
    """The same rate for ever; a plain ``240/s`` in files."""

    constant: RateRps

    def table(self) -> RateTable:
        return constant_rate(self.constant)

    @model_serializer
    def _short(self) -> str:
        return format_rate(self.constant)


class DailyShape(FileModel):
    """A cosine over the day with its highest rate at ``peak``."""

    low: RateRps
    high: RateRps
    peak: str

    @field_validator("peak", mode="before")
    @classmethod
    def _time_of_day(cls, value: object) -> object:
        if not isinstance(value, str) or clock_time_s(value) is None:
            raise ValueError('must be a time of day, such as "19:00"')
        return value

    @model_validator(mode="after")
    def _low_below_high(self) -> DailyShape:
        if self.low > self.high:
            raise ValueError("low must not exceed high")
        return self


class DailyRate(FileModel):
    """``{daily: {low: 60/s, high: 420/s, peak: "19:00"}}``."""

    daily: DailyShape

    def table(self) -> RateTable:
        peak_s = clock_time_s(self.daily.peak)
        assert peak_s is not None
        return daily_rate(self.daily.low, self.daily.high, peak_s)


class TraceRate(FileModel):
    """``{trace: evening.csv, scale: 1.5}``: real traffic, a file beside the scenario."""

    trace: str
    scale: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    _data: Trace = PrivateAttr()

    @model_validator(mode="after")
    def _read(self, info: ValidationInfo) -> TraceRate:
        self._data = read_trace(base_directory(info) / self.trace)
        return self

    def table(self) -> RateTable:
        return self._data.rates(self.scale, f"traffic.rate.trace {self.trace}")

    def content(self) -> dict[str, Any]:
        """What is in the file, in short."""
        trace = self._data
        told = (trace.interval_s, trace.counts, str(trace.first_row), self.scale)
        return {"trace": content_digest(trace.values), "told": list(told)}


def _file_or_seconds(value: object) -> object:
    if isinstance(value, str):
        return value
    if not isinstance(value, Sequence) or not value:
        raise ValueError("must be a file, or a list of seconds such as [0.5, 1.25]")
    for one in value:
        if isinstance(one, bool) or not isinstance(one, int | float):
            raise ValueError(f"must hold plain seconds such as 0.5, not {one}")
    return tuple(float(one) for one in value)


class TimestampsRate(FileModel):
    """``{timestamps: requests.csv.gz}``: when each request came, or the seconds themselves."""

    timestamps: Annotated[
        str | tuple[float, ...],
        BeforeValidator(_file_or_seconds),
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "string", "description": "a file, one time a row"},
                    {"type": "array", "items": {"type": "number"}, "minItems": 1},
                ]
            }
        ),
    ]
    _data: Timestamps = PrivateAttr()

    @model_validator(mode="after")
    def _read(self, info: ValidationInfo) -> TimestampsRate:
        if isinstance(self.timestamps, str):
            self._data = read_timestamps(base_directory(info) / self.timestamps)
        else:
            self._data = timestamps_of(np.array(self.timestamps))
        return self

    def table(self) -> RateTable:
        file = f" {self.timestamps}" if isinstance(self.timestamps, str) else ""
        return self._data.counted(f"traffic.rate.timestamps{file}")

    def content(self) -> dict[str, Any]:
        """What is in the file, in short."""
        told = self._data
        return {"timestamps": content_digest(told.times_s), "first_row": str(told.first_row)}

    def times_s(self, start_s: float, before_s: float) -> Floats:
        """When requests came from ``before_s`` before ``start_s`` on, 0 at ``start_s``."""
        return self._data.from_start(start_s, before_s)


RATES: dict[str, type[FileModel]] = {
    "constant": ConstantRate,
    "steps": StepsRate,
    "daily": DailyRate,
    "trace": TraceRate,
    "timestamps": TimestampsRate,
}


def _rate_kind(value: Any) -> str:
    if isinstance(value, FileModel):
        return next(iter(type(value).model_fields))
    if isinstance(value, dict):
        return next((key for key in value if key in RATES), "short")
    return "short"


def _short_rate(value: Any) -> Any:
    if isinstance(value, dict):
        raise ValueError("must be a rate such as 240/s, or one of steps, daily, trace, timestamps")
    return {"constant": value}


Rate = Annotated[
    Annotated[ConstantRate, BeforeValidator(_short_rate), WithJsonSchema(RATE_SCHEMA), Tag("short")]
    | Annotated[ConstantRate, Tag("constant")]
    | Annotated[StepsRate, Tag("steps")]
    | Annotated[DailyRate, Tag("daily")]
    | Annotated[TraceRate, Tag("trace")]
    | Annotated[TimestampsRate, Tag("timestamps")],
    Discriminator(_rate_kind),
]


def _none_or_share(value: object) -> float | None:
    return None if value in (None, "none") else parse_fraction(value)


class Retries(FileModel):
    """How often clients ask again, and how long they wait before."""

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

    def wait_s(self, number: int, u: float) -> float:
        """Before attempt ``number`` + 1: backoff·factorⁿ·(1 + jitter·(2u − 1)), u in (0, 1)."""
        wait = self.backoff
        for _attempt in range(number):
            wait *= self.factor
        return wait * (1.0 + self.jitter * (2.0 * u - 1.0))


class RequestClass(FileModel):
    """How the clients of one class behave.

    Attributes:
        share: Of the requests; None for what the others leave.
        route: The services that a request goes through, each called by the one before it; the
            only service where it is empty.
        service_time: By service, where it is not the service's own.
        holds_slot: Whether it takes a slot; else it is a long-lived connection, whose life the
            service time is.
        reconnects: Whether a connection that was cut comes back at once, with a fresh life.
    """

    share: Fraction | None = None
    route: tuple[str, ...] = ()
    service_time: dict[str, Distribution] = Field(default={})
    client_timeout: OptionalDurationS = None
    cancel_on_disconnect: bool = False
    retries: Retries = Retries()
    holds_slot: bool = True
    reconnects: bool = False


class Clients(FileModel):
    """Those of closed traffic: each thinks, asks, waits for the outcome, and thinks again."""

    count: int = Field(ge=1)
    think_time: Distribution

    @field_validator("think_time")
    @classmethod
    def _takes_time(cls, value: Any) -> Any:
        if value.mean_s() <= 0:
            raise ValueError("a client must think for some time")
        return value


def _none_or_clients(value: object) -> object:
    return None if value == "none" else value


def _or_none(schema: dict[str, Any]) -> None:
    """In files there is no null: the word ``none`` stands for it."""
    schema["anyOf"] = [*schema["anyOf"][:-1], {"const": "none"}]


def _or_left_out(schema: dict[str, Any]) -> None:
    """What may be left out is null only in here."""
    schema.update(schema.pop("anyOf")[0])
    del schema["default"]


class Traffic(FileModel):
    """What arrives."""

    rate: Annotated[Rate | None, Field(json_schema_extra=_or_left_out)] = None
    arrivals: Literal["poisson", "bursty", "replay", "closed"] = "poisson"
    dispersion: float = Field(default=3.0, ge=1, allow_inf_nan=False)
    clients: Annotated[
        Clients | None,
        BeforeValidator(_none_or_clients),
        Field(json_schema_extra=_or_none),
    ] = None
    sessions: int = Field(default=1000, ge=1)
    classes: dict[str, RequestClass] = Field(default={"all": RequestClass()})

    @field_validator("classes")
    @classmethod
    def _whole(cls, value: dict[str, RequestClass]) -> dict[str, RequestClass]:
        if not value:
            raise ValueError("there must be at least one class of requests")
        told = [one.share for one in value.values() if one.share is not None]
        if len(told) < len(value) - 1:
            raise ValueError("at most one class may leave its share to the others")
        total = math.fsum(told)
        if total > 1 + 1e-9 or (len(told) == len(value) and total < 1 - 1e-9):
            raise ValueError(f"the shares of the classes must be 100% in all, not {total:.4%}")
        return value

    @property
    def begins_empty(self) -> bool:
        """Whether no connection is open at the start: nothing is known of the traffic before.

        A closed loop's traffic depends on its answers, and a log that is replayed has no rate.
        """
        return self.arrivals in ("closed", "replay")

    def shares(self) -> list[float]:
        """What share of the requests each class has, in their order."""
        told = [one.share for one in self.classes.values()]
        rest = max(0.0, 1.0 - math.fsum(share for share in told if share is not None))
        return [rest if share is None else share for share in told]
