"""The model of ``services.NAME.balancer`` in a scenario file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from simulation.scenario.units import DurationS, FileModel, OptionalDurationS


def _parse_none(value: object) -> object:
    return None if value == "none" else value


OptionalCount = Annotated[
    Annotated[int, Field(ge=0)] | None,
    BeforeValidator(_parse_none),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"const": "none"}]}),
]
"""A count, or None where the file has the word ``none``."""


class HealthCheck(FileModel):
    """How the balancer notices that an instance is down, and that it is up again.

    Attributes:
        interval: Time from one check of an instance to the next.
        timeout: A check that has no answer after this time has failed.
        rise: After this many checks passed in a row, an instance that is out is used again.
        fall: After this many checks failed in a row, an instance is taken out.
    """

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
    BeforeValidator(_parse_none),
]
"""How instances are checked, or None where the file has the word ``none``."""


class ConnectRetries(FileModel):
    """The balancer's reaction when an instance does not accept a connection.

    Attributes:
        attempts: How often the balancer tries again before the request ends as `refused`.
        delay: Time before each further attempt.
        redispatch: true: each further attempt may go to another instance. false: to the same one.
    """

    attempts: int = Field(default=0, ge=0, le=32)
    delay: DurationS = 1.0
    redispatch: bool = False


SENDING = ("round_robin", "least_connections", "random", "power_of_two", "source_hash")
"""The policies by which a balancer sends requests; with ``pull``, instances take them."""


def parse_policy(text: str) -> str:
    """Return the name of a policy that can replace another one.

    Raises:
        ValueError: There is no such policy, or it is ``pull``, which is another kind of service.
    """
    if text not in SENDING:
        raise ValueError(f"must be {', '.join(SENDING[:-1])} or {SENDING[-1]}")
    return text


class BalancerModel(FileModel):
    """How requests get to an instance, and where they wait.

    Attributes:
        policy: How the balancer chooses an instance. pull: there is no balancer, idle instances take
            the next request themselves.
        weights: The share of the traffic of each instance, relative to the others; 1 where an
            instance is not named. Example: {web-01: 3}.
        queue: balancer: full instances are skipped, and when all are full, requests wait in one
            queue at the balancer. instance: a request is assigned to an instance when it arrives,
            and waits in that instance's queue.
        queue_limit: The most requests that may wait, in all (queue: balancer) or at each instance
            (queue: instance); further requests are rejected. none: no limit.
        queue_timeout: A request that waits longer ends as `timed_out`. none: no limit.
        propagation_delay: How long the balancer still sends requests to an instance after it was
            taken out.
        return_delay: How long the balancer does not yet send requests to an instance that the
            rollout counts as returned.
        health_check: How the balancer checks its instances. none: without checks; the balancer
            relies on what the rollout announces.
        connect_retries: What the balancer does when an instance does not accept a connection.
        slow_start: How long a returned instance takes to get its full share of the traffic. 0s: at
            once.
        sticky: true: a session stays with its instance, even while that instance drains.
        requeue: With policy pull. true: a request that is cut goes back to the queue once.
        balance: request: the balancer chooses an instance for each request. connection: it chooses
            one for each connection; a request takes a random connection and goes to that
            connection's instance. connection needs queue: instance.
        connections: With balance: connection. Number of connections that the clients share.
        max_age: With balance: connection. A connection older than this is closed once its requests
            have finished, and opened again by the next request that takes it. none: no limit.
        close_connections: With balance: connection. From which step of an instance on its
            connections are closed, each once its requests have finished. never: they stay open, and
            a drain runs to its timeout.
    """

    policy: Literal[
        "round_robin", "least_connections", "random", "power_of_two", "source_hash", "pull"
    ] = "round_robin"
    weights: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(default={})
    queue: Literal["balancer", "instance"] = "balancer"
    queue_limit: OptionalCount = None
    queue_timeout: OptionalDurationS = None
    propagation_delay: DurationS = 0.0
    return_delay: DurationS = 0.0
    health_check: OptionalHealthCheck = None
    connect_retries: ConnectRetries = ConnectRetries()
    slow_start: DurationS = 0.0
    sticky: bool = False
    requeue: bool = False
    balance: Literal["request", "connection"] = "request"
    connections: int = Field(default=200, ge=1)
    max_age: OptionalDurationS = None
    close_connections: Literal["stop", "take_out", "never"] = "stop"

    @field_validator("max_age")
    @classmethod
    def _some_age(cls, value: float | None) -> float | None:
        if value == 0:
            raise ValueError("must be above 0s, or none")
        return value

    @property
    def balances_connections(self) -> bool:
        """Return whether the balancer chooses an instance for each connection, not for each request."""
        return self.balance == "connection"

    @property
    def ignored_keys(self) -> tuple[str, ...]:
        """Return the keys that were given and change nothing, because requests are balanced."""
        if self.balances_connections:
            return ()
        keys = ("connections", "max_age", "close_connections")
        return tuple(key for key in keys if key in self.model_fields_set)

    @property
    def drains_to_timeout(self) -> bool:
        """Return whether open connections hold up every drain until its timeout."""
        return self.balances_connections and self.close_connections == "never"

    @model_validator(mode="after")
    def _fits_its_policy(self) -> BalancerModel:
        if self.policy != "pull":
            if self.requeue:
                raise ValueError("requeue needs policy pull, where cut tasks can go back")
            self._check_connections()
            return self
        belief = {"weights", "propagation_delay", "health_check", "connect_retries"}
        other = belief | {"return_delay", "slow_start", "sticky", "balance"}
        useless = [name for name in sorted(other) if getattr(self, name) != _default(name)]
        if self.queue == "instance":
            useless.append("queue: instance")
        if useless:
            raise ValueError(f"with policy pull nobody sends, so {useless[0]} has no meaning")
        return self

    def _check_connections(self) -> None:
        """Refuse keys that contradict `balance: connection`."""
        if not self.balances_connections:
            return
        if self.queue != "instance":
            raise ValueError(
                f"balance: connection needs queue: instance (queue is {self.queue}), because a request "
                "goes to the instance of its connection"
            )
        for name in ("sticky", "slow_start"):
            if getattr(self, name) != _default(name):
                raise ValueError(
                    f"with balance: connection requests stay with their connection, so {name} has "
                    "no meaning"
                )


def _default(name: str) -> object:
    return BalancerModel.model_fields[name].default
