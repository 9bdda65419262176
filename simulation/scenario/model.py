"""What a user writes: services, fleet, traffic, balancer, rollout, objectives.

Enters: plain data as a scenario file holds it. Leaves: a frozen `Scenario` whose every key is
simulated; a key enters here together with its behaviour. Dumping a scenario gives data that parses
to the same scenario, without any other file: this is what a plan embeds.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from executor.base.errors import BadInput
from executor.dialects.kubernetes import resolve, window_count
from simulation.scenario.balancer import BalancerModel
from simulation.scenario.distributions import Constant, Distribution
from simulation.scenario.rates import DAY_S, RateTable, constant_rate, start_second
from simulation.scenario.rollout import ALL_AT_ONCE, OwnRollout, Rollout, or_word_none
from simulation.scenario.traffic import Clock, DailyRate, RequestClass, Traffic
from simulation.scenario.units import (
    DurationS,
    FileModel,
    Fraction,
    OptionalCountOrShare,
    none_or,
    parse_fraction,
)

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


class Instance(FileModel):
    """What sets one instance apart from the others; what is left out is the service's."""

    zone: str | None = None
    slots: int | None = Field(default=None, ge=1)
    speed: float | None = Field(default=None, gt=0, allow_inf_nan=False)


class Crashes(FileModel):
    """How instances fail on their own: the mean time between failures, and how long one is down."""

    mtbf: DurationS = Field(gt=0)
    repair: Distribution


class ScenarioWorkload(FileModel):
    """Where a service runs, as its cluster names it: carried to plans, not simulated."""

    kind: Literal["Deployment", "StatefulSet", "Rollout"]
    namespace: str | None = Field(default=None, min_length=1)
    name: str = Field(min_length=1)
    container: str | None = Field(default=None, min_length=1)


class Service(FileModel):
    """One deployable unit: a fleet behind a balancer."""

    instances: int | tuple[str, ...] | dict[str, Instance]
    slots: int = Field(default=1, ge=1)
    service_time: Distribution
    zones: int = Field(default=1, ge=1)
    speed: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    crashes: Annotated[
        Crashes | None, none_or(lambda value: value), Field(json_schema_extra=or_word_none)
    ] = None
    balancer: BalancerModel = BalancerModel()
    versions: Versions = Versions()
    steps: StepDurations = StepDurations()
    rollout: OwnRollout | None = None
    workload: ScenarioWorkload | None = None

    @field_validator("instances", mode="before")
    @classmethod
    def _count_or_names(cls, value: object) -> object:
        if isinstance(value, list | tuple | dict):
            if not value:
                raise ValueError("a fleet needs at least one instance")
            if any(not isinstance(name, str) or not name for name in value):
                raise ValueError("each instance needs a name, a text")
            if len(set(value)) != len(value):
                raise ValueError("the names of instances must differ")
            return value if isinstance(value, dict) else tuple(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError("must be a count, a list of names, or a mapping of them")
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
        """How many requests each instance serves at once."""
        return [self.slots if one.slots is None else one.slots for one in self._each()]

    def speeds(self) -> list[float]:
        """How fast each instance is; twice as fast takes half as long."""
        return [self.speed if one.speed is None else one.speed for one in self._each()]

    def zone_of(self) -> list[str]:
        """Which zone each instance lies in: the one given, or by turns."""
        return [
            str(k % self.zones + 1) if one.zone is None else one.zone
            for k, one in enumerate(self._each())
        ]

    def _each(self) -> Sequence[Instance]:
        if isinstance(self.instances, dict):
            return tuple(self.instances.values())
        return (Instance(),) * self.instance_count

    def power(self) -> list[float]:
        """How much work each instance does at once: its slots, times its speed."""
        return [a * b for a, b in zip(self.slots_of(), self.speeds(), strict=True)]

    @property
    def capacity_rps(self) -> float:
        """What the whole fleet can serve, requests a second."""
        return sum(self.power()) / float(self.service_time.mean_s())

    def instance_names(self, service: str) -> tuple[str, ...]:
        """The names given, or ``checkout-01`` … by the service's name."""
        if not isinstance(self.instances, int):
            return tuple(self.instances)
        digits = max(2, len(str(self.instances)))
        return tuple(f"{service}-{k + 1:0{digits}d}" for k in range(self.instances))


class Objectives(FileModel):
    """What a plan must meet, judged over the rollout and its settling."""

    in_runs: Fraction = Field(default=0.95)
    confidence: Fraction = Field(default=0.95)
    error_fraction: Fraction | None = None
    latency_p99: DurationS | None = None
    lowest_in_pool: int | None = Field(default=None, ge=0)
    duration: DurationS | None = None
    cut_connections: OptionalCountOrShare = None

    def cut_limit(self) -> tuple[str, float] | None:
        """Return the limit on connections that are cut: the metric that it is of, and its value."""
        limit = self.cut_connections
        if limit is None:
            return None
        if isinstance(limit, int):
            return "cut_connections", float(limit)
        return "cut_connections_fraction", parse_fraction(limit)

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

    @field_validator("services")
    @classmethod
    def _some_service(cls, value: dict[str, Service]) -> dict[str, Service]:
        if not value:
            raise ValueError("there must be at least one service")
        return value

    @property
    def service_name(self) -> str:
        """The name of the service that the common keys are about.

        The first that is rolled and has no window of its own, else the first that is rolled, else
        the first.
        """
        rolled = [name for name in self.release_order() if name in self.services]
        common = [name for name in rolled if not self.has_own(name, "window")]
        return [*common, *rolled, *self.services][0]

    @property
    def service(self) -> Service:
        """The service that the common keys are about, see `service_name`."""
        return self.services[self.service_name]

    def route_of(self, one: RequestClass) -> tuple[str, ...]:
        """The services that a request of the class goes through, in their order."""
        return one.route or (self.service_name,)

    def demands(self) -> list[list[Any]]:
        """What each class asks of each service on its route, in the order of the classes."""
        return [
            [one.service_time.get(name, self.services[name].service_time) for name in route]
            for one, route in ((one, self.route_of(one)) for one in self.traffic.classes.values())
        ]

    def rule(self, service: str) -> Rollout | None:
        """How a service is rolled: the common keys, and its own over them."""
        common, own = self.rollout, self.services[service].rollout
        if common is None or own is None:
            return common
        return common.model_copy(update={key: getattr(own, key) for key in own.model_fields_set})

    def has_own(self, service: str, key: str) -> bool:
        """Whether a service has its own value of a key of `rollout`."""
        own = self.services[service].rollout
        return own is not None and key in own.model_fields_set

    def release_order(self) -> dict[str, tuple[str, ...]]:
        """The services that are rolled, each with those that must be done before it."""
        if self.rollout is None:
            return {}
        order = self.rollout.order
        if order is None:
            return {name: () for name in self.services}
        if isinstance(order, dict):
            named = dict.fromkeys([*order, *itertools.chain.from_iterable(order.values())])
            return {name: order.get(name, ()) for name in named}
        return {name: order[max(0, k - 1) : k] for k, name in enumerate(order)}

    def rolled_services(self) -> tuple[str, ...]:
        """The names of the services that are rolled."""
        return tuple(self.release_order())

    def second_count(self, service: str) -> int:
        """How many second instances a service's strategy brings: all or none."""
        rule = self.rule(service)
        if rule is None or service not in self.release_order():
            return 0
        twice = rule.replaces_beside or rule.strategy == "blue_green"
        return self.services[service].instance_count if twice else 0

    def names_of(self, service: str) -> tuple[str, ...]:
        """A service's instances by number, second ones included."""
        names = self.services[service].instance_names(service)
        return (*names, *(f"{name}-new" for name in names[: self.second_count(service)]))

    def all_instance_names(self) -> tuple[str, ...]:
        """The instances of all services, one service after the other."""
        return tuple(itertools.chain.from_iterable(map(self.names_of, self.services)))

    def first_number(self, service: str) -> int:
        """Where a service's instances begin among those of all."""
        before = itertools.takewhile(lambda name: name != service, self.services)
        return sum(len(self.names_of(name)) for name in before)

    def is_called(self, service: str) -> bool:
        """Whether any request comes to the service."""
        return any(service in self.route_of(one) for one in self.traffic.classes.values())

    def share_of(self, service: str) -> float:
        """Which share of all requests comes to a service."""
        classes = zip(self.traffic.classes.values(), self.traffic.shares(), strict=True)
        return math.fsum(share for one, share in classes if service in self.route_of(one))

    def work_s(self, service: str) -> float:
        """What a request asks of a service in the mean, over all classes; connections ask nothing."""
        classes = zip(self.traffic.classes.values(), self.traffic.shares(), strict=True)
        total = 0.0
        for (one, share), demands in zip(classes, self.demands(), strict=True):
            if one.holds_slot:
                routed = zip(self.route_of(one), demands, strict=True)
                total += share * sum(float(d.mean_s()) for name, d in routed if name == service)
        return total

    def start_s(self) -> float:
        """``clock.start`` on the traffic's clock, in seconds."""
        seconds = start_second(self.clock.start, self.rates().first_row)
        return seconds % DAY_S if isinstance(self.traffic.rate, DailyRate) else seconds

    def rates(self) -> RateTable:
        """The rate over time, on the traffic's own clock.

        Of closed traffic it is the rate at which its clients would ask if none ever had to wait,
        which is as much as they can.
        """
        if self.traffic.arrivals != "closed" and self.traffic.rate is not None:
            return self.traffic.rate.table()
        clients = self.traffic.clients
        if clients is None:
            raise BadInput(f"{self.name}: traffic.rate: is missing")
        demand_s = math.fsum(
            share * math.fsum(one.mean_s() for one in route)
            for share, route in zip(self.traffic.shares(), self.demands(), strict=True)
        )
        return constant_rate(clients.count / (clients.think_time.mean_s() + demand_s))

    def window_count(self, service: str | None = None) -> int:
        """A service's window as a count, percentages by the rules of Kubernetes.

        Args:
            service: Which one, the first when left out.

        Raises:
            BadInput: The window does not fit the fleet.
        """
        name = service or self.service_name
        rule, count = self.rule(name), self.services[name].instance_count
        if rule is not None and rule.strategy in ALL_AT_ONCE:
            return count
        return window_count(rule.window if rule else 1, count)

    def surge_count(self, service: str) -> int:
        """How many instances a service may have beyond its fleet, as Kubernetes rounds.

        Raises:
            BadInput: The surge is no count that Kubernetes would take.
        """
        rule = self.rule(service)
        return resolve(rule.surge, 1, self.services[service].instance_count)[0] if rule else 0

    def as_data(self) -> dict[str, Any]:
        """The scenario as plain JSON data that parses to itself."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)
