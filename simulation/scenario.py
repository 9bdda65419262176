"""What a user writes: services, fleet, traffic, balancer, rollout, objectives.

Enters: plain data as a scenario file holds it. Leaves: a frozen `Scenario` whose every key is
simulated; a key enters here together with its behaviour. Dumping a scenario gives data that parses
to the same scenario, without any other file: this is what a plan embeds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator

from executor.dialects.kubernetes import window_count
from executor.errors import BadInput
from simulation.distributions import Constant, Distribution
from simulation.scenario_balancer import Balancer
from simulation.scenario_traffic import (
    Clock,
    DailyRate,
    RequestClass,
    Traffic,
)
from simulation.traffic import DAY_S, RateTable, constant_rate, start_second
from simulation.traffic_rules import Broken, broken_traffic_rules
from simulation.units import DurationS, FileModel, Fraction

NOTHING = Constant.model_validate({"constant": "0s"})


class Cold(FileModel):
    """How slow an instance is after its start, and how fast it warms up."""

    factor: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    decay: DurationS = Field(default=30.0, gt=0)

    def slower(self, age_s: float) -> float:
        """What service takes ``age_s`` after the start: 1 + (factor − 1)·exp(−age/decay)."""
        return 1.0 + (self.factor - 1.0) * math.exp(-age_s / self.decay)


class Version(FileModel):
    """How a version behaves: how slow it is, and what share of its answers is wrong."""

    service_factor: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    error_fraction: Fraction = 0.0


class NewVersion(Version):
    """The one that is rolled out may also be cold at first, and fail to come up."""

    cold: Cold = Cold()
    verify_fails: Fraction = 0.0
    start_fails: Fraction = 0.0

    def slower(self, age_s: float) -> float:
        """What its service takes, so long after its start, as a multiple of the demand."""
        return self.service_factor * self.cold.slower(age_s)


class Versions(FileModel):
    """Both versions of a service."""

    old: Version = Version()
    new: NewVersion = NewVersion()


class StepDurations(FileModel):
    """How long each of the six steps takes, per instance."""

    take_out: Distribution = NOTHING
    stop: Distribution = NOTHING
    deploy: Distribution = NOTHING
    verify: Distribution = NOTHING
    start: Distribution = NOTHING
    return_: Distribution = Field(default=NOTHING, alias="return")

    def in_order(self) -> Iterator[tuple[str, Any]]:
        """The six steps with their durations, in the order they are done."""
        for name, field in type(self).model_fields.items():
            yield field.alias or name, getattr(self, name)


class Service(FileModel):
    """One deployable unit: a fleet behind a balancer."""

    instances: int | tuple[str, ...]
    slots: int = Field(default=1, ge=1)
    service_time: Distribution
    balancer: Balancer = Balancer()
    versions: Versions = Versions()
    steps: StepDurations = StepDurations()

    @field_validator("instances", mode="before")
    @classmethod
    def _count_or_names(cls, value: object) -> object:
        if isinstance(value, list | tuple):
            if not value:
                raise ValueError("a fleet needs at least one instance")
            if any(not isinstance(name, str) or not name for name in value):
                raise ValueError("each instance needs a name, a text")
            if len(set(value)) != len(value):
                raise ValueError("the names of instances must differ")
            return tuple(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError("must be a count or a list of names")
        if value < 1:
            raise ValueError("a fleet needs at least one instance")
        return value

    @field_validator("service_time")
    @classmethod
    def _takes_time(cls, value: Any) -> Any:
        if value.mean_s() <= 0:
            raise ValueError("a request must take some time")
        return value

    @property
    def instance_count(self) -> int:
        """How many instances the fleet has."""
        return self.instances if isinstance(self.instances, int) else len(self.instances)

    def slots_of(self) -> list[int]:
        return [self.slots] * self.instance_count

    def speeds(self) -> list[float]:
        return [1.0] * self.instance_count

    @property
    def capacity_rps(self) -> float:
        """What the whole fleet can serve, requests a second."""
        return self.instance_count * self.slots / float(self.service_time.mean_s())

    def instance_names(self, service: str) -> tuple[str, ...]:
        """The names given, or ``checkout-01`` … by the service's name."""
        if not isinstance(self.instances, int):
            return self.instances
        digits = max(2, len(str(self.instances)))
        return tuple(f"{service}-{k + 1:0{digits}d}" for k in range(self.instances))


class Drain(FileModel):
    """How long in-flight requests may take to finish, and what happens then."""

    timeout: DurationS = 30.0
    on_timeout: Literal["cut", "wait", "abort"] = "cut"
    poll: DurationS = 0.0


class Stop(FileModel):
    """What becomes of requests that are still there, or still come, when an instance stops."""

    mode: Literal["graceful", "abrupt"] = "graceful"
    grace: DurationS = 30.0


def parse_window(value: object) -> int | str:
    """A window as a file says it: a count, or a percentage such as ``25%``.

    Raises:
        ValueError: The value is neither.
    """
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("must be a count or a percentage, such as 4 or 25%")
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if isinstance(value, int) and value < 1:
        raise ValueError("a window must be at least 1")
    if isinstance(value, str) and not (value.endswith("%") and value[:-1].isdecimal()):
        raise ValueError("must be a count or a whole percentage, such as 4 or 25%")
    return value


Window = Annotated[
    int | str,
    BeforeValidator(parse_window),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1},
                {"type": "string", "pattern": "^[0-9]+%$"},
            ]
        }
    ),
]
"""How many instances may be under way at once: a count or a percentage of the fleet."""


class Rollout(FileModel):
    """How the new version reaches the fleet."""

    strategy: Literal["rolling"] = "rolling"
    window: Window = 1
    advance: Literal["sliding", "batch"] = "sliding"
    rounding: Literal["kubernetes"] = "kubernetes"
    min_healthy: int = Field(default=0, ge=0)
    pause: DurationS = 0.0
    min_ready: DurationS = 0.0
    instance_order: Literal["listed", "random"] = "listed"
    drain: Drain = Drain()
    pre_stop: DurationS = 0.0
    stop: Stop = Stop()
    retries: int = Field(default=0, ge=0)
    on_failure: Literal["halt", "continue", "rollback"] = "halt"
    max_failures: int = Field(default=0, ge=0)


class Objectives(FileModel):
    """What a plan must meet, judged over the rollout and its settling."""

    in_runs: Fraction = Field(default=0.95)
    confidence: Fraction = Field(default=0.95)
    error_fraction: Fraction | None = None
    latency_p99: DurationS | None = None
    lowest_in_pool: int | None = Field(default=None, ge=0)
    duration: DurationS | None = None

    @field_validator("in_runs", "confidence")
    @classmethod
    def _inside(cls, value: float) -> float:
        if not 0 < value < 1:
            raise ValueError("must lie between 0% and 100%, both excluded")
        return value


class Scenario(FileModel):
    """A whole scenario: the one thing that is simulated."""

    rollcast: Literal["scenario/1"]
    name: str = "scenario"
    question: str = ""
    seed: int = Field(default=1, ge=0)
    replications: int = Field(default=60, ge=1)
    clock: Clock = Clock()
    traffic: Traffic
    services: dict[str, Service]
    rollout: Rollout | None = None
    objectives: Objectives = Objectives()

    @property
    def service_name(self) -> str:
        """The name of the only service."""
        return next(iter(self.services))

    @property
    def service(self) -> Service:
        """The only service."""
        return self.services[self.service_name]

    def route_of(self, one: RequestClass) -> tuple[str, ...]:
        """The services that a request of the class goes through, in their order."""
        return one.route or (self.service_name,)

    def brings_second(self, service: str) -> bool:
        return False

    def demands(self) -> list[list[Any]]:
        """What each class asks of each service on its route, in the order of the classes."""
        return [
            [one.service_time.get(name, self.services[name].service_time) for name in route]
            for one, route in ((one, self.route_of(one)) for one in self.traffic.classes.values())
        ]

    def start_s(self) -> float:
        """``clock.start`` on the traffic's clock, in seconds."""
        seconds = start_second(self.clock.start, self.rates().first_row)
        return seconds % DAY_S if isinstance(self.traffic.rate, DailyRate) else seconds

    def rates(self) -> RateTable:
        """The rate over time, on the traffic's own clock.

        Of closed traffic it is the rate at which its clients would ask if none ever had to wait,
        which is as much as they can.
        """
        if self.traffic.rate is not None:
            return self.traffic.rate.table()
        clients = self.traffic.clients
        if clients is None:
            raise BadInput(f"{self.name}: traffic.rate: is missing")
        demand_s = math.fsum(
            share * math.fsum(one.mean_s() for one in route)
            for share, route in zip(self.traffic.shares(), self.demands(), strict=True)
        )
        return constant_rate(clients.count / (clients.think_time.mean_s() + demand_s))

    def window_count(self) -> int:
        """The rollout's window as a count, percentages by the rules of Kubernetes.

        Raises:
            BadInput: The window does not fit the fleet.
        """
        return window_count(self.rollout.window if self.rollout else 1, self.service.instance_count)

    def as_data(self) -> dict[str, Any]:
        """The scenario as plain JSON data that parses to itself."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def broken_rules(scenario: Scenario) -> list[Broken]:
    """Rules across keys that the scenario breaks: where, the value, and the rule."""
    broken = broken_traffic_rules(scenario)
    if broken:
        return broken
    try:
        scenario.start_s()
    except ValueError as error:
        broken.append((("clock", "start"), scenario.clock.start, str(error)))
    names = scenario.service.instance_names(scenario.service_name)
    for name, weight in scenario.service.balancer.weights.items():
        if name not in names:
            key = ("services", scenario.service_name, "balancer", "weights", name)
            broken.append((key, weight, f"is no instance; they are {names[0]} … {names[-1]}"))
    rollout, count = scenario.rollout, scenario.service.instance_count
    if rollout is None:
        if scenario.clock.horizon is None:
            rule = "must be a duration where there is no rollout whose end could end the run"
            broken.append((("clock", "horizon"), "auto", rule))
        return broken
    try:
        scenario.window_count()
    except BadInput as error:
        broken.append((("rollout", "window"), rollout.window, str(error)))
    if rollout.min_healthy >= count:
        rule = f"must be below the fleet ({count}), else no instance may ever be taken out"
        broken.append((("rollout", "min_healthy"), rollout.min_healthy, rule))
    return broken
