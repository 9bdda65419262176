"""Compare the speed of the reference engine with the plainest SimPy program for the same work.

Both serve 1,200 requests/s of lognormal 50 ms (cv 1) for 300 s on 20 instances of 4 slots, each
request going to the next instance in turn. The plain program is a process per request that
requests a `simpy.Resource`, waits its service time and releases it, and keeps nothing but a list
of finish times. The engine records everything it always records. Both run in turn, several times,
in this one process; the figure is the ratio of the medians.

    .venv/bin/python benchmarks/reference.py
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import simpy

from simulation.results.run_result import EngineName
from simulation.run import Run
from simulation.scenario.model import Scenario
from simulation.scenario.simulated_interval import SimulatedInterval

RATE_RPS, DURATION_S, INSTANCES, SLOTS, ROUNDS = 1200.0, 300.0, 20, 4, 5
LEAST = 0.8

SCENARIO = Scenario.model_validate(
    {
        "rollcast": "scenario/1",
        "clock": {"horizon": f"{DURATION_S:g}s", "warm_up": "0s"},
        "traffic": {"rate": f"{RATE_RPS:g}/s"},
        "services": {
            "app": {
                "instances": INSTANCES,
                "slots": SLOTS,
                "service_time": {"mean": "50ms", "cv": 1},
                "balancer": {"policy": "round_robin", "queue": "instance"},
            }
        },
    }
)


def plain_simpy(seed: int) -> int:
    """Run the plainest program. Return the number of finished requests."""
    env = simpy.Environment()
    rng = np.random.default_rng(seed)
    sigma = float(np.sqrt(np.log(2)))
    servers = [simpy.Resource(env, capacity=SLOTS) for _ in range(INSTANCES)]
    finished: list[float] = []

    def request(server: simpy.Resource, demand_s: float) -> Generator[Any, Any, None]:
        with server.request() as slot:
            yield slot
            yield env.timeout(demand_s)
        finished.append(env.now)

    def arrivals() -> Generator[Any, Any, None]:
        count = int(RATE_RPS * DURATION_S * 1.2)
        gaps = rng.exponential(1 / RATE_RPS, count).tolist()
        demands = rng.lognormal(np.log(0.05) - sigma**2 / 2, sigma, count).tolist()
        for number, (gap_s, demand_s) in enumerate(zip(gaps, demands, strict=True)):
            yield env.timeout(gap_s)
            env.process(request(servers[number % INSTANCES], demand_s))

    env.process(arrivals())
    env.run(until=DURATION_S)
    return len(finished)


def reference_engine(seed: int) -> int:
    """Run the reference engine on the same work. Return the number of finished requests."""
    frame = SimulatedInterval(warm_up_s=0.0, horizon_s=DURATION_S, exact=True, bin_s=5.0)
    run = Run(
        SCENARIO.model_copy(update={"seed": seed}),
        frame,
        replication=0,
        engine=EngineName.REFERENCE,
    )
    run.settle()
    return run.finish(DURATION_S).requests["ok"]


def rate_of(program: Callable[[int], int], seed: int) -> float:
    """Return the finished requests per second of wall-clock time."""
    begun = time.perf_counter()
    finished = program(seed)
    return finished / (time.perf_counter() - begun)


def main() -> int:
    """Measure and print. Return 1 when the engine is slower than `LEAST` times the plain program."""
    plain, engine = [], []
    for seed in range(ROUNDS):
        plain.append(rate_of(plain_simpy, seed))
        engine.append(rate_of(reference_engine, seed))
    ratio = statistics.median(engine) / statistics.median(plain)
    print(f"plain SimPy       {statistics.median(plain):>9,.0f} requests/s")
    print(f"reference engine  {statistics.median(engine):>9,.0f} requests/s")
    print(
        f"ratio             {ratio:>9.2f} (of medians of {ROUNDS}, in turn; at least {LEAST} is required)"
    )
    return 0 if ratio >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
