"""Measure how fast the compiled engine is.

20 instances of 4 slots serve 1,200 requests/s of lognormal 50 ms (cv 1) for 300 s while they are rolled
two at a time; requests wait at the instances. The engine draws its streams, records everything that it always
records and makes its result, for ten replications per turn. It is compared with the plainest SimPy program
(`benchmarks/reference.py`) and a C program of the same model (`benchmarks/fleet.c`). All take turns, in one run
on one core; figures are medians.

    .venv/bin/python -m benchmarks.engines            # about three minutes
    .venv/bin/python -m benchmarks.engines --write    # and docs/performance.md
"""

from __future__ import annotations

import gc
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.reference import plain_simpy
from executor.base.files import atomic_write_text
from simulation.engines.compiled.prepare import prepare
from simulation.results.run_result import EngineName, RunResult
from simulation.run import Run
from simulation.scenario.model import Scenario
from simulation.scenario.simulated_interval import frame_of
from simulation.study.case import cases_of
from simulation.study.running.work import Part, Work

_FIXED_COST = "<!-- Measured by `.venv/bin/python -m benchmarks.fixed_cost"
"""Begins the part of the page that another benchmark measures."""

ROUNDS = 7
REPLICATIONS = 10
DURATION_S, RATE_RPS, INSTANCES = 300.0, 1200.0, 20
HERE = Path(__file__).parent
PATIENCE = {"client_timeout": "1s", "retries": {"attempts": 2, "backoff": "100ms"}}


def fleet(
    policy: str,
    *,
    duration_s: float = DURATION_S,
    rate_rps: float = RATE_RPS,
    instances: int = INSTANCES,
    clients: dict[str, Any] | None = None,
) -> Scenario:
    """Return the benchmark's fleet with these settings."""
    return Scenario.model_validate(
        {
            "rollcast": "scenario/1",
            "clock": {"horizon": f"{duration_s:.0f}s", "warm_up": "0s"},
            "traffic": {"rate": f"{rate_rps:g}/s", "classes": {"all": clients or {}}},
            "services": {
                "app": {
                    "instances": instances,
                    "slots": 4,
                    "service_time": {"mean": "50ms", "cv": 1},
                    "balancer": {"policy": policy, "queue": "instance"},
                    "steps": {"stop": "1s", "deploy": "5s", "verify": "1s", "start": "3s"},
                }
            },
            "rollout": {"window": 2},
        }
    )


def simulate(scenario: Scenario, replication: int = 0) -> tuple[RunResult, float]:
    """Simulate one cell of a study by the compiled engine. Return the result and the time in s."""
    work = Work(cases_of(scenario), frame_of([scenario]), EngineName.COMPILED)
    before = time.perf_counter()
    result = work.run(Part(replication, unknown=(0,)))[0]
    return result, time.perf_counter() - before


def of_engine(scenario: Scenario) -> Callable[[int], float]:
    """Return a function that measures the engine's requests/s over consecutive replications, as in a study."""

    def measure(_round: int) -> float:
        runs = [simulate(scenario, replication) for replication in range(REPLICATIONS)]
        return sum(result.requests["arrived"] for result, _ in runs) / sum(took for _, took in runs)

    return measure


def of_simpy(number: int) -> float:
    """Return the requests/s of the plainest SimPy program."""
    before = time.perf_counter()
    return plain_simpy(number) / (time.perf_counter() - before)


def of_c(program: Path, policy: str) -> Callable[[int], float]:
    """Return a function that measures the requests/s of the C program."""

    def measure(number: int) -> float:
        numbers = (DURATION_S, RATE_RPS, INSTANCES, number + 1)
        words = [str(program), policy, *(f"{one:g}" for one in numbers)]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        return float(json.loads(done.stdout)["requests_per_s"])

    return measure


def rates(program: Path) -> dict[str, float]:
    """Return the median rate of each program, measured in turns."""
    calm, storm = fleet("least_connections", clients=PATIENCE), 2000.0
    measures: dict[str, Callable[[int], float]] = {
        "simpy": of_simpy,
        "c round_robin": of_c(program, "round_robin"),
        "c least_connections": of_c(program, "least_connections"),
        "round_robin": of_engine(fleet("round_robin")),
        "least_connections": of_engine(fleet("least_connections")),
        "calm": of_engine(calm),
        "collapse": of_engine(fleet("least_connections", rate_rps=storm, clients=PATIENCE)),
    }
    found: dict[str, list[float]] = {name: [] for name in measures}
    for number in range(ROUNDS + 1):
        for name, measure in measures.items():
            gc.collect()  # no program must collect the garbage of the one before
            rate = measure(number)
            if number:  # the first round warms up
                found[name].append(rate)
    return {name: statistics.median(values) for name, values in found.items()}


def attempts_each(rate_rps: float) -> float:
    """Return the mean number of attempts per request with the benchmark's clients."""
    scenario = fleet("least_connections", rate_rps=rate_rps, clients=PATIENCE, duration_s=60)
    run = Run(scenario, frame_of([scenario]), 0, EngineName.COMPILED, keep_requests=True)
    run.settle()
    table = run.finish(run.alone_end_s()).table
    assert table is not None
    return float(table.attempts.mean())


def by_size() -> list[tuple[int, float]]:
    """Return ns per request by the number of instances, at the same load and number of requests."""
    sizes = (10, 20, 50, 100, 200, 500, 1000, 2000)
    found: dict[int, list[float]] = {size: [] for size in sizes}
    for _round in range(ROUNDS):
        for size in sizes:
            rate_rps = 60.0 * size
            scenario = fleet(
                "least_connections", instances=size, rate_rps=rate_rps, duration_s=1e7 / rate_rps
            )
            steady = scenario.model_copy(update={"rollout": None})
            result, took_s = simulate(steady)
            found[size].append(took_s / result.requests["arrived"] * 1e9)
    return [(size, statistics.median(values)) for size, values in found.items()]


def by_length() -> list[tuple[float, float, float]]:
    """Return requests, ns per request and peak memory in MB; each length runs in its own process."""
    rows = []
    for power in range(5, 9):
        words = [sys.executable, "-m", "benchmarks.engines", "--length", str(10.0**power)]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        rows.append(tuple(json.loads(done.stdout)))
    return [(count, each_ns, memory_mb) for count, each_ns, memory_mb in rows]


def one_length(count: float) -> None:
    """Print one row of `by_length` as JSON."""
    simulate(fleet("least_connections", duration_s=10))
    times = 5 if count < 1e7 else 1
    scenario = fleet("least_connections", duration_s=count / RATE_RPS)
    took_s = statistics.median(simulate(scenario)[1] for _ in range(times))
    most = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert most is not None
    memory_mb = int(most[1]) / 1024
    print(json.dumps([count, took_s / count * 1e9, memory_mb]))


def compile_c() -> Path:
    """Compile the C program. Return its path."""
    program = Path(tempfile.mkdtemp(prefix="rollcast-")) / "fleet"
    words = ["gcc", "-O3", "-march=native", "-o", str(program), str(HERE / "fleet.c"), "-lm"]
    subprocess.run(words, check=True)
    return program


def report() -> str:
    """Measure everything. Return the page."""
    found = rates(compile_c())
    collapse = found["collapse"] * attempts_each(2000.0)
    lines = [
        "# How fast the compiled engine is",
        "",
        "<!-- Made by `.venv/bin/python -m benchmarks.engines --write`. -->",
        "",
        "20 instances of 4 slots, 1,200 requests/s of lognormal 50 ms for 300 s, rolled two at a time;",
        "requests wait at the instances. All take turns in one run on one core of a shared machine, with",
        f"Python {platform.python_version()}; medians of {ROUNDS}, the engine's turns of {REPLICATIONS}",
        "replications each. Drawing the requests and making the result are included. The C program solves",
        "only this one question.",
        "",
        "| | requests/s | times plain SimPy | times C |",
        "| --- | ---: | ---: | ---: |",
        f"| the plainest SimPy program | {found['simpy']:,.0f} | 1 | |",
    ]
    for policy in ("round_robin", "least_connections"):
        mine, theirs, plain = found[policy], found[f"c {policy}"], found["simpy"]
        lines += [
            f"| C, {policy} | {theirs:,.0f} | {theirs / plain:.0f} | 1 |",
            f"| **compiled engine, {policy}** | {mine:,.0f} | {mine / plain:.0f} "
            f"| {mine / theirs:.2f} |",
        ]
    least = found["least_connections"]
    calm, attempts = found["calm"], attempts_each(RATE_RPS)
    lines += [
        "",
        "Least connections with clients that leave after 1 s and retry twice:",
        "",
        "| | attempts a request | requests/s | attempts/s | of the rate without |",
        "| --- | ---: | ---: | ---: | ---: |",
        f"| calm | {attempts:.2f} | {calm:,.0f} | {calm * attempts:,.0f} | {calm / least:.2f} |",
        f"| collapse, at 2,000/s | {collapse / found['collapse']:.2f} | {found['collapse']:,.0f} "
        f"| {collapse:,.0f} | {collapse / least:.2f} |",
        "",
        "By the size of the fleet (least connections, 60 requests/s each, 10 million requests):",
        "",
        "| instances | ns a request |",
        "| ---: | ---: |",
        *(f"| {size:,} | {each_ns:.0f} |" for size, each_ns in by_size()),
        "",
        "By the length of the run (least connections, 20 instances), with its peak memory, of which",
        "Python and its libraries take the largest part:",
        "",
        "| requests | ns a request | MB |",
        "| ---: | ---: | ---: |",
        *(f"| {count:,.0f} | {each:.0f} | {memory:.0f} |" for count, each, memory in by_length()),
        "",
    ]
    return "\n".join(lines)


def main() -> int:
    """Measure and print; with ``--write`` write the page, too."""
    prepare()
    if len(sys.argv) > 2:
        one_length(float(sys.argv[2]))
        return 0
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    page = report()
    print(page)
    if "--write" in sys.argv:
        path = HERE.parent / "docs" / "performance.md"
        _, mark, kept = path.read_text().partition(_FIXED_COST)
        atomic_write_text(path, page + ("\n" + mark + kept if mark else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
