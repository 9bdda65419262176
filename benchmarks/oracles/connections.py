"""An independent model of balanced connections: how far pinned connections raise p99 in a rollout.

Eight instances of four slots serve 200 requests/s of exponential 100 ms. Two at a time are rolled: each
drains for 3 s at most, closes its connections, and is back 4 s later. The balancer picks a random
instance of the pool, as kube-proxy does: for each request, or for each of 200 connections that
all requests share. p99 covers the requests of the first 100 s that were answered by then. This is
plain SimPy and uses nothing of Rollcast.

    .venv/bin/python benchmarks/oracles/connections.py
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import simpy

RATE_RPS, INSTANCES, SLOTS, SERVICE_S = 200.0, 8, 4, 0.1
WINDOW, DRAIN_S, DEPLOY_S, WARM_UP_S, END_S = 2, 3.0, 4.0, 20.0, 100.0
RUNS = 40

CASES: dict[str, tuple[int, float]] = {
    "each request balanced": (0, math.inf),
    "200 pinned connections": (200, math.inf),
    "renewed every 10 s": (200, 10.0),
}
"""The number of connections, 0 where requests are balanced, and the age at which one is renewed."""


@dataclass(eq=False)
class Instance:
    """An instance: its slots, whether the balancer sends to it, and its requests."""

    slots: simpy.Resource
    in_pool: bool = True
    requests: set[simpy.Process] = field(default_factory=set)
    idle: simpy.Event | None = None


@dataclass(eq=False)
class Connection:
    """A connection: the instance it is open to, its requests in flight, and when it is too old."""

    instance: Instance | None = None
    in_flight: int = 0
    old_s: float = math.inf


class Model:
    """One run: the fleet, the connections, and the latencies of requests from time 0 on."""

    def __init__(self, seed: int, connection_count: int, max_age_s: float) -> None:
        self.env = simpy.Environment(initial_time=-WARM_UP_S)
        self.rng = random.Random(seed)
        self.fleet = [Instance(simpy.Resource(self.env, SLOTS)) for _ in range(INSTANCES)]
        self.connections = [Connection(self.pick()) for _ in range(connection_count)]
        self.max_age_s = max_age_s
        if max_age_s < math.inf:
            for connection in self.connections:
                connection.old_s = self.env.now + self.rng.random() * max_age_s
        self.latencies_s: list[float] = []
        self.cut_count = 0
        self.env.process(self.arrive())
        self.env.process(self.roll_all())

    def pick(self) -> Instance:
        """Return a random instance of the pool."""
        return self.rng.choice([instance for instance in self.fleet if instance.in_pool])

    def arrive(self) -> Generator[Any, Any, None]:
        """Send requests, each over a random connection or, without any, over one of its own."""
        while True:
            yield self.env.timeout(self.rng.expovariate(RATE_RPS))
            pinned = self.rng.choice(self.connections) if self.connections else Connection()
            self.env.process(self.serve(pinned))

    def is_over(self, connection: Connection) -> bool:
        """Return whether the connection is too old and has no request in flight."""
        return connection.in_flight == 0 and self.env.now >= connection.old_s

    def serve(self, connection: Connection) -> Generator[Any, Any, None]:
        """Open the connection where it is closed, and serve one request over it."""
        env = self.env
        if connection.instance is None or self.is_over(connection):
            connection.instance, connection.old_s = self.pick(), env.now + self.max_age_s
        instance, arrival_s, process = connection.instance, env.now, env.active_process
        assert process is not None
        connection.in_flight += 1
        instance.requests.add(process)
        try:
            with instance.slots.request() as slot:
                yield slot
                yield env.timeout(self.rng.expovariate(1 / SERVICE_S))
            if arrival_s >= 0:
                self.latencies_s.append(env.now - arrival_s)
        except simpy.Interrupt:
            self.cut_count += 1
        connection.in_flight -= 1
        instance.requests.remove(process)
        if instance.idle is not None and not instance.requests:
            instance.idle.succeed()
            instance.idle = None

    def roll_all(self) -> Generator[Any, Any, None]:
        """Roll all instances, a window at a time."""
        yield self.env.timeout(WARM_UP_S)
        window = simpy.Resource(self.env, WINDOW)
        for instance in self.fleet:
            self.env.process(self.roll(instance, window))

    def roll(self, instance: Instance, window: simpy.Resource) -> Generator[Any, Any, None]:
        """Drain an instance, cut what is left, close its connections, and bring it back."""
        with window.request() as place:
            yield place
            instance.in_pool = False
            if instance.requests:
                instance.idle = simpy.Event(self.env)
                yield instance.idle | self.env.timeout(DRAIN_S)
                instance.idle = None
            for process in list(instance.requests):
                process.interrupt()
            for connection in self.connections:
                if connection.instance is instance:
                    connection.instance = None
            yield self.env.timeout(DEPLOY_S)
            instance.in_pool = True


def simulate(seed: int, connection_count: int, max_age_s: float) -> tuple[float, int]:
    """Return p99 in seconds, and how many requests were cut."""
    model = Model(seed, connection_count, max_age_s)
    model.env.run(until=END_S)
    return statistics.quantiles(model.latencies_s, n=100)[98], model.cut_count


def main() -> None:
    """Print the median p99 of each case, with its range, and the mean number of cut requests."""
    for name, (count, max_age_s) in CASES.items():
        runs = [simulate(seed, count, max_age_s) for seed in range(RUNS)]
        p99_s = sorted(p99 for p99, _ in runs)
        low_s, high_s = p99_s[RUNS // 20], p99_s[-1 - RUNS // 20]
        cut = statistics.fmean(cut for _, cut in runs)
        print(
            f"{name}: p99 {statistics.median(p99_s):.2f} s "
            f"({low_s:.2f} to {high_s:.2f} s in 90 % of {RUNS} runs), {cut:.0f} requests cut"
        )


if __name__ == "__main__":
    main()
