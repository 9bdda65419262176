"""The model of a scenario file: services, fleets, traffic, balancers, rollout, objectives.

Every key of a `Scenario` has an effect on the simulation (except `workload`, which goes to plans). A
dumped scenario parses to the same scenario without any other file: a plan embeds this dump.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from datetime import UTC
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from executor.base.errors import BadInput
from executor.dialects.kubernetes import (
    minimum_count,
    resolve,
    tolerated_count,
    window_count,
)
from simulation.scenario.balancer import BalancerModel
from simulation.scenario.distributions import Distribution
from simulation.scenario.inputs.days import (
    DrawnDays,
    WeekdayStart,
    in_zone,
    refuse_time_alone,
    weekday_start,
)
from simulation.scenario.inputs.objectives import Objectives
from simulation.scenario.inputs.steps import StepDurations
from simulation.scenario.rates import (
    DAY_S,
    RateTable,
    clock_label,
    constant_rate,
    start_second,
)
from simulation.scenario.rollout import ALL_AT_ONCE, OwnRollout, Rollout, or_word_none
from simulation.scenario.traffic import (
    Clock,
    DailyRate,
    DaysRate,
    RequestClass,
    TimestampsRate,
    TraceRate,
    Traffic,
)
from simulation.scenario.units import (
    DurationS,
    FileModel,
    Fraction,
    OptionalDurationS,
    none_or,
)


class Cold(FileModel):
    """How slow an instance is just after its start, and how fast it warms up.

    Attributes:
        factor: How many times longer service takes just after the start; 1 is never cold.
        decay: The time after which this slowdown has fallen to 37% (1/e). none: with requests.
        requests: In place of decay: the number of requests after which this slowdown has fallen to
            37% (1/e), counted at each instance from its start.
    """

    factor: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    decay: OptionalDurationS = 30.0
    requests: Annotated[
        Annotated[float, Field(gt=0, allow_inf_nan=False)] | None,
        none_or(lambda value: value),
        Field(json_schema_extra=or_word_none),
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _leave_out_decay(cls, value: Any) -> Any:
        """Leave the default decay out where requests are given."""
        if isinstance(value, dict) and value.get("requests") not in (None, "none"):
            return {"decay": None, **value}
        return value

    @field_validator("decay")
    @classmethod
    def _refuse_no_time(cls, decay_s: float | None) -> float | None:
        if decay_s is not None and decay_s <= 0:
            raise ValueError("must be above 0")
        return decay_s

    @model_validator(mode="after")
    def _refuse_both_ways(self) -> Cold:
        if (self.decay is None) == (self.requests is None):
            raise ValueError("needs decay or requests, not both: warm-up by time or by requests")
        return self

    def slower(self, age_s: float, served_count: int) -> float:
        """Return the slowdown of a service that begins now: 1 + (factor − 1)·exp(−x).

        Args:
            age_s: Time since the instance's start; x is age/decay.
            served_count: Number of services that the instance has begun since its start; x is
                count/requests.
        """
        if self.requests is not None:
            return 1.0 + (self.factor - 1.0) * math.exp(-served_count / self.requests)
        assert self.decay is not None
        return 1.0 + (self.factor - 1.0) * math.exp(-age_s / self.decay)


class Version(FileModel):
    """How a version behaves: how slow it is, and how many of its answers are wrong.

    Attributes:
        service_factor: How many times longer service takes than `service_time` says.
        error_fraction: The fraction of its answers that are errors.
    """

    service_factor: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    error_fraction: Fraction = 0.0


class NewVersion(Version):
    """How the new version behaves: as any version, and it may start cold or fail to start.

    Attributes:
        cold: How slow an instance is just after its start.
        verify_fails: The probability that the step verify fails on an instance.
        start_fails: The probability that the step start fails on an instance.
    """

    cold: Cold = Cold()
    verify_fails: Fraction = 0.0
    start_fails: Fraction = 0.0

    def slower(self, age_s: float, served_count: int) -> float:
        """Return the factor on the service time; the arguments are those of `Cold.slower`."""
        return self.service_factor * self.cold.slower(age_s, served_count)


class Versions(FileModel):
    """How the old and the new version of a service behave.

    Attributes:
        old: The version that runs before the rollout.
        new: The version that is rolled out.
    """

    old: Version = Version()
    new: NewVersion = NewVersion()


class Instance(FileModel):
    """One instance that differs from the others; keys left out are those of the service.

    Attributes:
        zone: The zone in which the instance is.
        slots: How many requests the instance serves at once.
        speed: How fast the instance is; 2 halves the service time.
    """

    zone: str | None = None
    slots: int | None = Field(default=None, ge=1)
    speed: float | None = Field(default=None, gt=0, allow_inf_nan=False)


class Crashes(FileModel):
    """How often instances crash on their own while they serve, and how long a crash lasts.

    Attributes:
        mtbf: The mean time between two crashes of one instance.
        repair: How long a crashed instance is down.
    """

    mtbf: DurationS = Field(gt=0)
    repair: Distribution


class ScenarioWorkload(FileModel):
    """The name of a service in its cluster. It goes into plans and exports and is not simulated.

    Attributes:
        kind: The kind of the object in the cluster; Rollout is the one of Argo Rollouts.
        namespace: The namespace. Default: the one that kubectl uses.
        name: The name of the object.
        container: The container that gets the new image.
    """

    kind: Literal["Deployment", "StatefulSet", "Rollout"]
    namespace: str | None = Field(default=None, min_length=1)
    name: str = Field(min_length=1)
    container: str | None = Field(default=None, min_length=1)


class Service(FileModel):
    """A service: a fleet of instances behind a balancer.

    Attributes:
        instances: A count, a list of names such as [web-a, web-b], or a mapping of names to what
            differs, such as {web-a: {zone: east, slots: 8}, web-b: {}}.
        slots: How many requests one instance serves at once.
        service_time: How long one request takes in a slot: a duration or a distribution, such as
            {mean: 50ms, cv: 1}.
        uncertain: How uncertain the service times are as a whole: with 10%, a factor between 1/1.1
            and 1.1 in nine of ten replications, the same for all requests and candidates.
        zones: The number of zones; instances are placed in them in turn.
        speed: How fast the instances are; 2 halves the service time.
        crashes: How often instances crash on their own. none: never.
        balancer: How requests get to an instance, and where they wait.
        versions: How the old and the new version behave.
        steps: How long each of the six steps of an update takes on one instance.
        rollout: Keys of the common rollout that have another value for this service.
        workload: The name of the service in its cluster; it goes into plans and exports.
    """

    instances: int | tuple[str, ...] | dict[str, Instance]
    slots: int = Field(default=1, ge=1)
    service_time: Distribution
    uncertain: Fraction = 0.0
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
    def _refuse_no_time(cls, value: Any) -> Any:
        if value.mean_s() <= 0:
            raise ValueError("a request must take some time")
        return value

    @property
    def instance_count(self) -> int:
        """The number of instances of the fleet."""
        return self.instances if isinstance(self.instances, int) else len(self.instances)

    def slots_of(self) -> list[int]:
        """Return the number of requests that each instance serves at once."""
        return [
            self.slots if instance.slots is None else instance.slots
            for instance in self._instances()
        ]

    def speeds(self) -> list[float]:
        """Return the speed of each instance; 2 halves the service time."""
        return [
            self.speed if instance.speed is None else instance.speed
            for instance in self._instances()
        ]

    def zone_of(self) -> list[str]:
        """Return the zone of each instance: its own, or one of ``zones`` in turn."""
        return [
            str(k % self.zones + 1) if instance.zone is None else instance.zone
            for k, instance in enumerate(self._instances())
        ]

    def _instances(self) -> Sequence[Instance]:
        if isinstance(self.instances, dict):
            return tuple(self.instances.values())
        return (Instance(),) * self.instance_count

    def power(self) -> list[float]:
        """Return how much work each instance does per second: its slots × its speed."""
        return [slots * speed for slots, speed in zip(self.slots_of(), self.speeds(), strict=True)]

    @property
    def capacity_rps(self) -> float:
        """The capacity of the whole fleet, in requests per second."""
        return sum(self.power()) / float(self.service_time.mean_s())

    def instance_names(self, service: str) -> tuple[str, ...]:
        """Return the names of the instances: those given, or ``checkout-01`` … by the service's name."""
        if not isinstance(self.instances, int):
            return tuple(self.instances)
        digits = max(2, len(str(self.instances)))
        return tuple(f"{service}-{k + 1:0{digits}d}" for k in range(self.instances))


class Scenario(FileModel):
    """A scenario: services, their traffic, a rollout, and the objectives that it must meet.

    Attributes:
        rollcast: The version of this file format.
        name: The name of the scenario. Default: the name of the file.
        question: The question that the scenario answers, printed above the answer.
        seed: The seed of all random numbers; the same seed gives the same requests and results.
        replications: How often each candidate is simulated, each time with other random numbers.
            Without it, as often as the forecast cost of the study allows: with the default
            objectives 181, 124 or 59 times.
        clock: When the rollout starts, and how much time before and after is simulated.
        traffic: The requests that arrive.
        services: The services by name.
        rollout: How the new version gets to all services. Without it, the fleet is simulated as it
            is, and clock.horizon is required.
        objectives: What a plan must meet.
    """

    rollcast: Literal["scenario/1"]
    name: str = "scenario"
    question: str = ""
    seed: int = Field(default=1, ge=0)
    replications: int | None = Field(default=None, ge=1)
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
        """The name of the service for which the keys of the common `rollout` stand.

        This is the first service that rolls out and has no window of its own, otherwise the first
        that rolls out, otherwise the first.
        """
        rolled = [name for name in self.release_order() if name in self.services]
        common = [name for name in rolled if not self.has_own(name, "window")]
        return [*common, *rolled, *self.services][0]

    @property
    def service(self) -> Service:
        """The service for which the keys of the common `rollout` stand, see `service_name`."""
        return self.services[self.service_name]

    def route_of(self, kind: RequestClass) -> tuple[str, ...]:
        """Return the services that a request of a class goes through, in their order."""
        return kind.route or (self.service_name,)

    def demands(self) -> list[list[Any]]:
        """Return, for each class, the distribution of its demand for each service on its route."""
        return [
            [
                kind.service_time.get(name, self.services[name].service_time)
                for name in self.route_of(kind)
            ]
            for kind in self.traffic.classes.values()
        ]

    def rule(self, service: str) -> Rollout | None:
        """Return the rollout of a service: the common keys, replaced by the service's own.

        None when the scenario has no rollout.
        """
        common, own = self.rollout, self.services[service].rollout
        if common is None or own is None:
            return common
        return common.model_copy(update={key: getattr(own, key) for key in own.model_fields_set})

    def has_own(self, service: str, key: str) -> bool:
        """Return whether a service has its own value of a key of `rollout`."""
        own = self.services[service].rollout
        return own is not None and key in own.model_fields_set

    def release_order(self) -> dict[str, tuple[str, ...]]:
        """Return the services that roll out, each with those that must be done before it."""
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
        """Return the names of the services that roll out."""
        return tuple(self.release_order())

    def second_count(self, service: str) -> int:
        """Return the number of second instances of a service's strategy: one for each, or none."""
        rule = self.rule(service)
        if rule is None or service not in self.release_order():
            return 0
        has_second = rule.replaces_beside or rule.strategy == "blue_green"
        return self.services[service].instance_count if has_second else 0

    def names_of(self, service: str) -> tuple[str, ...]:
        """Return the names of a service's instances by number, second instances included."""
        names = self.services[service].instance_names(service)
        return (*names, *(f"{name}-new" for name in names[: self.second_count(service)]))

    def all_instance_names(self) -> tuple[str, ...]:
        """Return the names of the instances of all services, one service after the other."""
        return tuple(itertools.chain.from_iterable(map(self.names_of, self.services)))

    def first_number(self, service: str) -> int:
        """Return the number of a service's first instance, counted over all services."""
        before = itertools.takewhile(lambda name: name != service, self.services)
        return sum(len(self.names_of(name)) for name in before)

    def is_called(self, service: str) -> bool:
        """Return whether the service is on the route of any class."""
        return any(service in self.route_of(kind) for kind in self.traffic.classes.values())

    def share_of(self, service: str) -> float:
        """Return the fraction of all requests that goes through a service."""
        classes = zip(self.traffic.classes.values(), self.traffic.shares(), strict=True)
        return math.fsum(share for kind, share in classes if service in self.route_of(kind))

    def work_s(self, service: str) -> float:
        """Return the mean demand of a request for a service, in seconds, over all classes.

        Long-lived connections take no slot and count 0.
        """
        classes = zip(self.traffic.classes.values(), self.traffic.shares(), strict=True)
        total = 0.0
        for (kind, share), demands in zip(classes, self.demands(), strict=True):
            if kind.holds_slot:
                route = zip(self.route_of(kind), demands, strict=True)
                total += share * sum(float(d.mean_s()) for name, d in route if name == service)
        return total

    def start_s(self) -> float:
        """Return ``clock.start`` on the clock of `rates`, in seconds.

        Raises:
            ValueError: The start does not suit the traffic.
        """
        start = self.clock.start
        days, weekday = self.drawn_days(), weekday_start(start)
        if weekday is not None:
            if days is None:
                raise ValueError(
                    "a weekday needs a trace with dates; give a time of day or an offset"
                )
            return weekday.start_s
        table = self.calendar()
        refuse_time_alone(start, table)
        seconds = start_second(start, table.first_row)
        return seconds % DAY_S if isinstance(self.traffic.rate, DailyRate) else seconds

    def start_label(self) -> str:
        """Return the start as screens show it: ``Tue 22:00``, ``18:00:00``, or a date and time.

        Raises:
            ValueError: The start does not suit the traffic.
        """
        days, start_s = self.drawn_days(), self.start_s()
        if days is not None:
            return WeekdayStart(days.weekday, start_s % DAY_S).label()
        return clock_label(start_s, self.calendar().first_row)

    def drawn_days(self) -> DrawnDays | None:
        """Return the days of which each replication draws one; None where the rate is one for all.

        Raises:
            ValueError: The trace has no dates, or no whole day of the start's weekday.
        """
        rate, weekday = self.traffic.rate, weekday_start(self.clock.start)
        if self.traffic.arrivals == "closed":
            return None
        if isinstance(rate, DaysRate):
            return rate.drawn
        if weekday is None or not isinstance(rate, TraceRate | TimestampsRate):
            return None
        return rate.days(weekday.weekday, self.clock.zone)

    def zone_name(self) -> str | None:
        """Return the zone of the starts: the clock's, or UTC where the trace has its dates in UTC."""
        first_row = self.calendar().first_row
        is_utc = first_row is not None and first_row.tzinfo is UTC
        return self.clock.zone or ("UTC" if is_utc else None)

    def calendar(self) -> RateTable:
        """Return the rate over the whole traffic, whichever day is drawn, without its growth."""
        if self.traffic.arrivals == "closed" or self.traffic.rate is None:
            return self.rates()
        return in_zone(self.traffic.rate.table(), self.clock.zone)

    def rates(self) -> RateTable:
        """Return the rate over time, on the traffic's own clock.

        Where each replication draws a day, this is the mean of the days, whose midnight is
        second 86,400. For closed traffic this is the rate at which the clients would send requests if none ever had to
        wait: the highest rate that they can reach.
        """
        if self.traffic.arrivals != "closed" and self.traffic.rate is not None:
            days = self.drawn_days()
            table = self.calendar() if days is None else days.mean
            return table.multiply(self.traffic.growth_factor)
        clients = self.traffic.clients
        if clients is None:
            raise BadInput(f"{self.name}: traffic.rate: is missing")
        demand_s = math.fsum(
            share * math.fsum(demand.mean_s() for demand in route)
            for share, route in zip(self.traffic.shares(), self.demands(), strict=True)
        )
        return constant_rate(clients.count / (clients.think_time.mean_s() + demand_s))

    def highest_rps(self) -> float:
        """Return the highest rate at any time, of any day that may be drawn, in requests per second."""
        days = self.drawn_days()
        if days is None:
            return self.rates().highest_rps()
        return days.quantile(1.0).highest_rps() * self.traffic.growth_factor

    def window_count(self, service: str | None = None) -> int:
        """Return a service's window as a count; percentages are rounded as Kubernetes does.

        Args:
            service: The name of the service; `service_name` when left out.

        Raises:
            BadInput: The window does not fit the fleet.
        """
        name = service or self.service_name
        rule, count = self.rule(name), self.services[name].instance_count
        if rule is not None and rule.strategy in ALL_AT_ONCE:
            return count
        return window_count(rule.window if rule else 1, count)

    def surge_count(self, service: str) -> int:
        """Return a service's surge as a count; percentages are rounded as Kubernetes does.

        Raises:
            BadInput: Kubernetes would not accept the surge.
        """
        rule = self.rule(service)
        return resolve(rule.surge, 1, self.services[service].instance_count)[0] if rule else 0

    def most_under_way(self, service: str) -> int:
        """Return the most instances of a service that are in a step of the rollout at once."""
        count = self.services[service].instance_count
        return min(count, self.window_count(service) + self.surge_count(service))

    def min_healthy_count(self, service: str) -> int:
        """Return a service's `min_healthy` as a count; percentages are rounded as Kubernetes does."""
        rule = self.rule(service)
        count = self.services[service].instance_count
        return minimum_count(rule.min_healthy, count) if rule else 0

    def max_failures_count(self, service: str) -> int:
        """Return a service's `max_failures` as a count; a percentage must be exceeded to stop."""
        rule = self.rule(service)
        count = self.services[service].instance_count
        return tolerated_count(rule.max_failures, count) if rule else 0

    def as_data(self) -> dict[str, Any]:
        """Return the scenario as plain JSON data that parses to the same scenario."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)
