"""The models of ``clock`` and ``traffic`` in a scenario file.

Each kind of rate returns the `RateTable` that is simulated. To add a kind of rate, write one more class
here and name it in `RATES`.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from functools import cached_property
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
from simulation.scenario.inputs.days import (
    WEEKDAYS,
    DrawnDays,
    days_of,
    in_zone,
    weekday_start,
)
from simulation.scenario.inputs.retries import OptionalReconnects, Retries
from simulation.scenario.inputs.zones import parse_zone
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
    none_or,
    parse_duration_s,
)


def _auto_or_duration(value: object) -> float | None:
    return None if value in (None, "auto") else parse_duration_s(value)


AutoDurationS = Annotated[
    float | None,
    BeforeValidator(_auto_or_duration),
    PlainSerializer(lambda value: "auto" if value is None else format_duration(value)),
    WithJsonSchema({"type": "string", "default": "auto", "examples": ["auto", "5m"]}),
]
"""Seconds, or None where the file has the word ``auto``."""


def parse_start(value: object) -> float | str:
    """Return an offset in seconds, or the text of any other start.

    That is a weekday and a time, a time of day, or a date and time.

    Raises:
        ValueError: The value is none of these.
    """
    if isinstance(value, datetime):
        return str(value)
    if isinstance(value, str) and clock_time_s(value) is not None:
        return value
    if isinstance(value, str) and (weekday := weekday_start(value)) is not None:
        return weekday.file_text()
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
            'must be an offset such as 90m, a time of day such as "18:00", a weekday and time such '
            "as tue 22:00, or a date and time"
        ) from None


Start = Annotated[
    float | str,
    BeforeValidator(parse_start),
    PlainSerializer(lambda value: format_duration(value) if isinstance(value, float) else value),
    WithJsonSchema(
        {"type": "string", "examples": ["tue 22:00", "18:00", "90m", "1998-06-23 15:57"]}
    ),
]
"""The start of the rollout on the traffic's clock: an offset, a weekday and time, a time of day, or a
date and time."""

OptionalZone = Annotated[
    str | None,
    none_or(parse_zone),
    WithJsonSchema({"type": "string", "examples": ["Europe/Paris", "UTC"]}),
]
"""A time zone by its IANA name, or None."""


class Clock(FileModel):
    """When the rollout starts, and how much time before and after is simulated.

    Attributes:
        start: When the rollout starts. With a trace of a week or more, a weekday and local time of
            the coming week, such as tue 22:00: each replication draws one of the trace's days of
            that weekday. Or on the clock of the traffic: an offset such as 90m, a time of day such
            as "18:00" (in quotes; the first match), or a date and time of the trace.
        zone: The time zone of the starts, such as Europe/Paris. Dates of a trace without an offset
            are local times there. Default: the zone of the trace.
        warm_up: How long is simulated before the start, without counting, so that the fleet is as
            busy as the traffic makes it. auto: until a steady state, at most 10 minutes, or until
            200,000 requests have arrived if that takes longer.
        horizon: How long is simulated from the start on. auto: until the rollout is over and no more
            requests wait than before it.
    """

    start: Start = 0.0
    zone: OptionalZone = None
    warm_up: AutoDurationS = None
    horizon: AutoDurationS = None


class StepsRate(FileModel):
    """A rate that changes in steps: ``{steps: [[0s, 100/s], [5m, 300/s]]}``.

    Attributes:
        steps: Pairs of a time and a rate; each rate holds from its time until the next one.
    """

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
    """A constant rate; in files simply ``240/s``.

    Attributes:
        constant: The rate.
    """

    constant: RateRps

    def table(self) -> RateTable:
        return constant_rate(self.constant)

    @model_serializer
    def _short(self) -> str:
        return format_rate(self.constant)


class DailyShape(FileModel):
    """A cosine over the day.

    Attributes:
        low: The lowest rate, twelve hours from the peak.
        high: The highest rate, at the peak.
        peak: The time of day of the highest rate, such as "19:00".
    """

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
    """A daily curve: ``{daily: {low: 60/s, high: 420/s, peak: "19:00"}}``.

    Attributes:
        daily: The lowest and the highest rate, and when the highest is.
    """

    daily: DailyShape

    def table(self) -> RateTable:
        peak_s = clock_time_s(self.daily.peak)
        assert peak_s is not None
        return daily_rate(self.daily.low, self.daily.high, peak_s)


class TraceRate(FileModel):
    """Measured traffic from a file: ``{trace: evening.csv, scale: 1.5}``.

    Attributes:
        trace: A CSV file (or .csv.gz) with a header, relative to the scenario. The first column is
            the time, the second the number of requests in each interval; with the header rate, rps or
            rate_rps, requests per second.
        scale: The factor by which every value is multiplied.
    """

    trace: str
    scale: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    _data: Trace = PrivateAttr()

    @model_validator(mode="after")
    def _read(self, info: ValidationInfo) -> TraceRate:
        self._data = read_trace(base_directory(info) / self.trace)
        return self

    def table(self) -> RateTable:
        return self._data.rates(self.scale, f"traffic.rate.trace {self.trace}")

    def days(self, weekday: int, zone: str | None) -> DrawnDays:
        """Return the days that a start on a weekday draws; 0 is Monday."""
        return days_of(lambda: in_zone(self.table(), zone), weekday, self._data, self.scale, zone)

    def content(self) -> dict[str, Any]:
        """Return a digest of the file and of what else decides the rates."""
        trace = self._data
        figures = (trace.interval_s, trace.counts, str(trace.first_row), self.scale)
        return {"trace": content_digest(trace.values), "told": list(figures)}


def _file_or_seconds(value: object) -> object:
    if isinstance(value, str):
        return value
    if not isinstance(value, Sequence) or not value:
        raise ValueError("must be a file, or a list of seconds such as [0.5, 1.25]")
    for time_s in value:
        if isinstance(time_s, bool) or not isinstance(time_s, int | float):
            raise ValueError(f"must hold plain seconds such as 0.5, not {time_s}")
    return tuple(float(time_s) for time_s in value)


class TimestampsRate(FileModel):
    """The time of each request, from a file or as a list: ``{timestamps: requests.csv.gz}``.

    With ``arrivals: replay`` exactly these requests are simulated. Otherwise the requests of each
    second are counted, and the counts are the rate.

    Attributes:
        timestamps: A CSV file (or .csv.gz) with the time of one request in the first column of each
            row, relative to the scenario; or a list of seconds such as [0.5, 1.25].
    """

    timestamps: Annotated[
        str | tuple[float, ...],
        BeforeValidator(_file_or_seconds),
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "string", "description": "a file with one time per row"},
                    {"type": "array", "items": {"type": "number"}, "minItems": 1},
                ]
            }
        ),
    ]
    _data: Timestamps = PrivateAttr()
    _factor: float = PrivateAttr(default=1.0)

    @model_validator(mode="after")
    def _read(self, info: ValidationInfo) -> TimestampsRate:
        if isinstance(self.timestamps, str):
            self._data = read_timestamps(base_directory(info) / self.timestamps)
        else:
            self._data = timestamps_of(np.array(self.timestamps))
        return self

    def table(self) -> RateTable:
        file = f" {self.timestamps}" if isinstance(self.timestamps, str) else ""
        table = self._data.rate_table(f"traffic.rate.timestamps{file}")
        if self._factor == 1.0:
            return table
        return replace(table, rates_rps=table.rates_rps * self._factor)

    def multiply(self, factor: float) -> TimestampsRate:
        """Return the same timestamps with their counted rate multiplied by a factor."""
        multiplied = self.model_copy()
        multiplied._factor = self._factor * factor
        return multiplied

    def days(self, weekday: int, zone: str | None) -> DrawnDays:
        """Return the days that a start on a weekday draws; 0 is Monday."""
        return days_of(lambda: in_zone(self.table(), zone), weekday, self._data, self._factor, zone)

    def content(self) -> dict[str, Any]:
        """Return a digest of the times and their first date."""
        data = self._data
        return {"timestamps": content_digest(data.times_s), "first_row": str(data.first_row)}

    def times_s(self, start_s: float, before_s: float) -> Floats:
        """Return the times of the requests from ``start_s − before_s`` on, with 0 at ``start_s``."""
        return self._data.from_start(start_s, before_s)


class DaysRate(FileModel):
    """Days of one weekday, of which each replication draws one: ``{days: [[[0s, 100/s]]], weekday: tue}``.

    A plan has this rate in place of a trace, with the start on the clock of these days.

    Attributes:
        days: Each day as steps, pairs of a time and a rate. Second 0 is the midnight before the day,
            which begins at 24h.
        weekday: The weekday, such as tue.
        spread: The standard deviation of the logarithm of the factor by which a day is multiplied.
        known: How many days the trace had; fewer than 4 are one mean day with a spread.
    """

    days: tuple[tuple[tuple[DurationS, RateRps], ...], ...] = Field(min_length=1)
    weekday: Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    spread: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    known: int = Field(default=1, ge=1)

    @field_validator("days")
    @classmethod
    def _ascending(cls, value: Any) -> Any:
        for steps in value:
            times = [time for time, _ in steps]
            if not times or any(later <= earlier for earlier, later in itertools.pairwise(times)):
                raise ValueError("each day must have steps, and their times must ascend")
        return value

    def table(self) -> RateTable:
        return self.drawn.mean

    @cached_property
    def drawn(self) -> DrawnDays:
        """The days."""
        tables = tuple(steps_rate(list(steps)) for steps in self.days)
        return DrawnDays(tables, WEEKDAYS.index(self.weekday), self.spread, self.known)


RATES: dict[str, type[FileModel]] = {
    "constant": ConstantRate,
    "steps": StepsRate,
    "daily": DailyRate,
    "trace": TraceRate,
    "timestamps": TimestampsRate,
    "days": DaysRate,
}


def _rate_kind(value: Any) -> str:
    if isinstance(value, FileModel):
        return next(iter(type(value).model_fields))
    if isinstance(value, dict):
        return next((key for key in value if key in RATES), "short")
    return "short"


def _short_rate(value: Any) -> Any:
    if isinstance(value, dict):
        raise ValueError(
            "must be a rate such as 240/s, or one of steps, daily, trace, timestamps, days"
        )
    return {"constant": value}


Rate = Annotated[
    Annotated[ConstantRate, BeforeValidator(_short_rate), WithJsonSchema(RATE_SCHEMA), Tag("short")]
    | Annotated[ConstantRate, Tag("constant")]
    | Annotated[StepsRate, Tag("steps")]
    | Annotated[DailyRate, Tag("daily")]
    | Annotated[TraceRate, Tag("trace")]
    | Annotated[TimestampsRate, Tag("timestamps")]
    | Annotated[DaysRate, Tag("days")],
    Discriminator(_rate_kind),
]


def _growth(value: object) -> str:
    """Return a percentage above −100% as its text.

    Raises:
        ValueError: The value is no percentage.
    """
    text = value.strip() if isinstance(value, str) else ""
    if _GROWTH.match(text) is None:
        raise ValueError("must be a percentage, such as 20% or -10%")
    if not -100 < float(text[:-1]) <= MOST_GROWTH_PERCENT:
        raise ValueError(f"must be above -100% and at most {MOST_GROWTH_PERCENT:,}%")
    return text


_GROWTH = re.compile(r"^[+-]?\d{1,9}(?:\.\d{1,9})?%$")

MOST_GROWTH_PERCENT = 100_000
"""Maximum growth of the traffic: a factor of 1,001."""

OptionalGrowth = Annotated[
    str | None,
    none_or(_growth),
    WithJsonSchema({"type": "string", "pattern": _GROWTH.pattern, "examples": ["20%", "-10%"]}),
]
"""A percentage as its text, or None."""


class RequestClass(FileModel):
    """A class of requests, and how its clients behave.

    Attributes:
        share: The fraction of all requests that belongs to this class. One class may leave it out:
            it gets the rest.
        route: The services that a request goes through; each is called by the one before it. With a
            single service it may be left out.
        service_time: Service times of this class by service, where they differ from the service's own,
            such as {web: {mean: 2s, cv: 2}}.
        client_timeout: How long a client waits for its answer before it leaves. none: for ever.
        cancel_on_disconnect: true: work for a client that has left ends at once. false: it goes on.
        retries: How often a client sends a failed request again.
        holds_slot: true: a request takes a slot while it is served. false: it is a long-lived
            connection (websocket, download), which takes no slot and never queues; the service time
            is its life.
        reconnects: true: a connection that was cut is opened again at once, with a new life. Or how,
            such as {backoff: 1s, cost: 5ms}.
    """

    share: Fraction | None = None
    route: tuple[str, ...] = ()
    service_time: dict[str, Distribution] = Field(default={})
    client_timeout: OptionalDurationS = None
    cancel_on_disconnect: bool = False
    retries: Retries = Retries()
    holds_slot: bool = True
    reconnects: OptionalReconnects = None


class Clients(FileModel):
    """The clients of closed traffic: each thinks, sends a request, waits for the outcome, and so on.

    Attributes:
        count: The number of clients.
        think_time: How long a client thinks before each request.
    """

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
    """Replace null by the word ``none`` in the JSON Schema: files have no null."""
    schema["anyOf"] = [*schema["anyOf"][:-1], {"const": "none"}]


def _or_left_out(schema: dict[str, Any]) -> None:
    """Remove null from the JSON Schema of a key that may be left out but has no word for it."""
    schema.update(schema.pop("anyOf")[0])
    del schema["default"]


class Traffic(FileModel):
    """The requests that arrive.

    Attributes:
        rate: How many requests arrive, such as 240/s; or one of steps, daily, trace, timestamps.
            Required unless arrivals is closed.
        growth: How much more arrives than the rate says, such as 20%, at every time and in all
            replications; less with -10%. Not with replay or closed.
        uncertain: How uncertain the rate is as a whole: with 10%, a factor between 1/1.1 and 1.1 in
            nine of ten replications, the same for all candidates. The clients of closed arrivals
            think so much less or longer. Not with replay, nor with a start on a weekday, whose days
            differ by themselves.
        arrivals: poisson: independent requests at the rate. bursty: requests in bursts, see
            dispersion. replay: exactly the requests of timestamps. closed: a fixed number of clients,
            each of which waits for its answer.
        dispersion: For bursty arrivals: variance over mean of the number of requests in one second;
            1 is Poisson.
        clients: The clients, for closed arrivals only.
        sessions: The number of different session keys (policy source_hash, sticky sessions).
        classes: The classes of requests by name.
    """

    rate: Annotated[Rate | None, Field(json_schema_extra=_or_left_out)] = None
    growth: OptionalGrowth = None
    uncertain: Fraction = 0.0
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
        shares = [kind.share for kind in value.values() if kind.share is not None]
        if len(shares) < len(value) - 1:
            raise ValueError("at most one class may leave its share to the others")
        total = math.fsum(shares)
        if total > 1 + 1e-9 or (len(shares) == len(value) and total < 1 - 1e-9):
            raise ValueError(f"the shares of the classes must be 100% in all, not {total:.4%}")
        return value

    @property
    def growth_factor(self) -> float:
        """The factor by which the growth multiplies every rate."""
        return 1.0 if self.growth is None else 1.0 + float(self.growth[:-1]) / 100.0

    @property
    def begins_empty(self) -> bool:
        """Return whether no connection is open when the simulation begins.

        The open connections follow from the rate before that time. A closed loop has no such rate,
        because its traffic depends on the answers, and neither has a log that is replayed.
        """
        return self.arrivals in ("closed", "replay")

    def shares(self) -> list[float]:
        """Return the fraction of the requests of each class, in the order of the classes."""
        shares = [kind.share for kind in self.classes.values()]
        rest = max(0.0, 1.0 - math.fsum(share for share in shares if share is not None))
        return [rest if share is None else share for share in shares]
