"""A rolling update whose new instances warm up by the requests they have served, or by their age.

Poisson requests of exponential demand go to eight instances of four slots in turn, each with a queue of
its own. At most two instances at a time are taken out, drain, are down for a while, and come back cold:
service takes ``demand · (1 + (COLD − 1)·exp(−x))``, with x the services begun since the start over
``WARM_REQUESTS``, or the age over ``DECAY_S``. At 33 requests/s, what each of six instances gets, both
decay equally fast; but a cold instance serves fewer than that, so by requests it stays cold for longer.

    .venv/bin/python benchmarks/oracles/cold_by_requests.py
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Generator
from typing import Any

import simpy

INSTANCES, SLOTS, RATE_RPS, MEAN_S = 8, 4, 200.0, 0.1
WINDOW, DOWN_S = 2, 20.0
COLD, WARM_REQUESTS, DECAY_S = 3.0, 150.0, 4.5
WARM_UP_S, END_S = 20.0, 150.0

Process = Generator[simpy.Event, Any, None]


class Instance:
    """An instance: its slots with their queue, and what it has done since its start."""

    def __init__(self, env: simpy.Environment) -> None:
        self.slots = simpy.Resource(env, SLOTS)
        self.is_in_pool = True
        self.is_new = False
        self.started_s = 0.0
        self.begun_count = 0

    def slowdown(self, now_s: float, by_requests: bool) -> float:
        """Return how many times longer a service takes that begins now, and count this service."""
        x = (now_s - self.started_s) / DECAY_S
        if by_requests:
            x = self.begun_count / WARM_REQUESTS
        self.begun_count += 1
        return 1 + (COLD - 1) * math.exp(-x) if self.is_new else 1.0


def simulate(seed: int, by_requests: bool) -> tuple[float, float]:
    """Return the p99 of the requests that arrive from 0 to ``END_S``, and when the update was done."""
    env, rng = simpy.Environment(-WARM_UP_S), random.Random(seed)
    fleet = [Instance(env) for _ in range(INSTANCES)]
    latencies_s: list[float] = []
    done_s = [math.nan]

    def serve(instance: Instance) -> Process:
        arrived_s, demand_s = env.now, rng.expovariate(1 / MEAN_S)
        with instance.slots.request() as slot:
            yield slot
            yield env.timeout(demand_s * instance.slowdown(env.now, by_requests))
        if arrived_s >= 0:
            latencies_s.append(env.now - arrived_s)

    def send() -> Process:
        turn = 0
        while True:
            yield env.timeout(rng.expovariate(RATE_RPS))
            while not fleet[turn % INSTANCES].is_in_pool:
                turn += 1
            env.process(serve(fleet[turn % INSTANCES]))
            turn += 1

    def update(instance: Instance, places: simpy.Resource) -> Process:
        with places.request() as place:
            yield place
            instance.is_in_pool = False
            while instance.slots.count or instance.slots.queue:
                yield env.timeout(0.001)
            yield env.timeout(DOWN_S)
            instance.is_new, instance.started_s, instance.begun_count = True, env.now, 0
            instance.is_in_pool = True

    def roll() -> Process:
        yield env.timeout(WARM_UP_S)
        places = simpy.Resource(env, WINDOW)
        yield env.all_of([env.process(update(instance, places)) for instance in fleet])
        done_s[0] = env.now

    env.process(send())
    env.process(roll())
    env.run(END_S)
    return statistics.quantiles(latencies_s, n=100)[98], done_s[0]


def main() -> None:
    """Print the mean p99 of twenty runs each way."""
    for by_requests in (True, False):
        p99_s = [simulate(seed, by_requests)[0] for seed in range(20)]
        mean_s, error_s = statistics.mean(p99_s), statistics.stdev(p99_s) / math.sqrt(len(p99_s))
        name = f"{WARM_REQUESTS:g} requests" if by_requests else f"{DECAY_S:g} s"
        print(f"warm-up by {name}: p99 {mean_s:.2f} ± {error_s:.2f} s")


if __name__ == "__main__":
    main()
