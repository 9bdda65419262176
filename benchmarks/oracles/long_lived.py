"""Long-lived connections under a rolling update: a small model of its own, in plain SimPy.

It shares no code with Rollcast's engines. Connections come as a Poisson process from hours before the
rollout on, so that those open at its start need no theory. Each is cut when its instance has drained
for the timeout, and comes back: after a backoff, and a handshake that holds a slot beside the pages.
``tests/simulation/engines/test_long_lived_oracle.py`` holds Rollcast to its figures.

``python -m benchmarks.oracles.long_lived`` prints them.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import simpy

Process = Generator[simpy.Event, Any, None]


@dataclass(frozen=True)
class Case:
    """A fleet, its traffic, and a rollout of ``window`` instances at a time; times are in seconds."""

    life_s: Callable[[random.Random], float]
    warm_up_s: float
    sockets_rps: float
    window: int = 1
    drain_s: float = 30.0
    step_s: float = 10.0
    horizon_s: float = 200.0
    instances: int = 4
    slots: int = 2
    pages_rps: float = 0.0
    page_s: float = 0.05
    reconnects: bool = False
    backoff_s: float = 0.0
    jitter: float = 0.0
    handshake_s: float = 0.0


@dataclass(eq=False)
class Instance:
    """One instance: its slots, and everything that a drain waits for."""

    slots: simpy.Resource
    at_work: dict[simpy.Process, None] = field(default_factory=dict)
    in_pool: bool = True


class Fleet:
    """One run.

    Attributes:
        open_count: Connections open at the start.
        cut_count: Connections that were cut.
        reconnect_count: Attempts to open one again.
        latencies_s: The latency of each page that arrived from the start on, in seconds.
    """

    def __init__(self, case: Case, seed: int) -> None:
        self.case, self.rng = case, random.Random(seed)
        self.open_count = self.cut_count = self.reconnect_count = self._next = self._open = 0
        self.latencies_s: list[float] = []
        self.env = env = simpy.Environment(initial_time=-case.warm_up_s)
        self._instances = [Instance(simpy.Resource(env, case.slots)) for _ in range(case.instances)]
        env.process(self._arrivals(case.sockets_rps, self._socket))
        if case.pages_rps > 0:
            env.process(self._arrivals(case.pages_rps, self._page, begin_s=-60.0))
        env.process(self._rollout())
        env.run(until=case.horizon_s)

    def _arrivals(
        self, rate_rps: float, client: Callable[[], Process], begin_s: float = -math.inf
    ) -> Process:
        yield self.env.timeout(max(0.0, begin_s - self.env.now))
        while True:
            yield self.env.timeout(self.rng.expovariate(rate_rps))
            self.env.process(client())

    def _pick(self) -> Instance:
        """Return the next instance of the pool, in turn."""
        while True:
            instance = self._instances[self._next]
            self._next = (self._next + 1) % len(self._instances)
            if instance.in_pool:
                return instance

    def _work(self, instance: Instance, service_s: float) -> Process:
        """Wait for a slot of the instance, and hold it."""
        with instance.slots.request() as slot:
            yield slot
            yield self.env.timeout(service_s)

    def _page(self) -> Process:
        instance, arrival_s = self._pick(), self.env.now
        me = self.env.active_process
        assert me is not None
        instance.at_work[me] = None
        try:
            yield from self._work(instance, self.rng.expovariate(1 / self.case.page_s))
            if arrival_s >= 0:
                self.latencies_s.append(self.env.now - arrival_s)
        except simpy.Interrupt:
            pass
        del instance.at_work[me]

    def _socket(self) -> Process:
        case, env, comes_back = self.case, self.env, False
        me = env.active_process
        assert me is not None
        while any(instance.in_pool for instance in self._instances):
            instance, is_open = self._pick(), False
            instance.at_work[me] = None
            try:
                if comes_back and case.handshake_s > 0:
                    yield from self._work(instance, case.handshake_s)
                is_open = True
                self._open += 1
                yield env.timeout(case.life_s(self.rng))
                return
            except simpy.Interrupt:
                self.cut_count += is_open
            finally:
                self._open -= is_open
                del instance.at_work[me]
            if not case.reconnects:
                return
            spread = 1 + case.jitter * (2 * self.rng.random() - 1)
            yield env.timeout(case.backoff_s * spread)
            self.reconnect_count += 1
            comes_back = True

    def _rollout(self) -> Process:
        yield self.env.timeout(self.case.warm_up_s)
        self.open_count = self._open
        for first in range(0, len(self._instances), self.case.window):
            batch = self._instances[first : first + self.case.window]
            yield self.env.all_of([self.env.process(self._update(one)) for one in batch])

    def _update(self, instance: Instance) -> Process:
        instance.in_pool = False
        until_s = self.env.now + self.case.drain_s
        while instance.at_work and self.env.now < until_s:
            left = self.env.any_of([*instance.at_work, self.env.timeout(until_s - self.env.now)])
            yield left
        for process in list(instance.at_work):
            process.interrupt()
        yield self.env.timeout(self.case.step_s)
        instance.in_pool = True


def figures(case: Case, runs: int) -> list[dict[str, float]]:
    """Return the figures of each run."""
    rows = []
    for seed in range(runs):
        fleet = Fleet(case, seed)
        pages = sorted(fleet.latencies_s)
        rows.append(
            {
                "open": float(fleet.open_count),
                "cut_connections": float(fleet.cut_count),
                "reconnects": float(fleet.reconnect_count),
                "latency_mean_s": fmean(pages) if pages else math.nan,
                "latency_p99_s": pages[int(0.99 * len(pages))] if pages else math.nan,
            }
        )
    return rows


def lognormal(mean_s: float, cv: float) -> Callable[[random.Random], float]:
    """Return a sampler of lognormal times with a mean in seconds and a coefficient of variation."""
    sigma = math.sqrt(math.log1p(cv * cv))
    return lambda rng: rng.lognormvariate(math.log(mean_s) - sigma * sigma / 2, sigma)


def exponential(mean_s: float) -> Callable[[random.Random], float]:
    """Return a sampler of exponential times with a mean in seconds."""
    return lambda rng: rng.expovariate(1 / mean_s)


CASES = {
    "sockets of an hour, one instance at a time": Case(
        exponential(3600.0), warm_up_s=10 * 3600.0, sockets_rps=0.1
    ),
    "a constant hour, all at once": Case(
        lambda _rng: 3600.0, warm_up_s=7200.0, sockets_rps=1.0, window=4, drain_s=72.0
    ),
    "lives of ten minutes that vary much": Case(
        lognormal(600.0, 2.0), warm_up_s=20 * 3600.0, sockets_rps=0.5, drain_s=60.0, horizon_s=320.0
    ),
    "a reconnect storm beside pages": Case(
        exponential(600.0),
        warm_up_s=7200.0,
        sockets_rps=0.7,
        drain_s=5.0,
        horizon_s=100.0,
        pages_rps=40.0,
        reconnects=True,
        backoff_s=1.0,
        jitter=0.5,
        handshake_s=0.05,
    ),
    "a reconnect storm at once": Case(
        exponential(600.0),
        warm_up_s=7200.0,
        sockets_rps=0.7,
        drain_s=5.0,
        horizon_s=100.0,
        pages_rps=40.0,
        reconnects=True,
        handshake_s=0.05,
    ),
}
"""The cases by name."""


def main() -> None:
    """Print the mean figures of each case over 20 runs."""
    for name, case in CASES.items():
        rows = figures(case, 20)
        means = {key: fmean(row[key] for row in rows) for key in rows[0]}
        print(f"{name}: " + ", ".join(f"{key} {value:.4g}" for key, value in means.items()))


if __name__ == "__main__":
    main()
