"""Measure how fast estimates are, and how far from the engine.

The ranges are held against single runs of scenarios that are drawn at random.

The time is that of one estimate of a fleet of 1,000 instances, for several policies and windows. The
distances are those in the shipped scenarios with their usual windows and replications, simulated by the
compiled engine: an estimate's value compared with the mean over replications, and its range with their 5th
and 95th percentile.

    .venv/bin/python -m benchmarks.estimates            # about a quarter of an hour
    .venv/bin/python -m benchmarks.estimates --write    # and docs/estimates.md
"""

from __future__ import annotations

import platform
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.random_scenarios import SHOWN, Coverage, coverage
from executor.base.files import atomic_write_text
from executor.plan.model import Interval
from simulation.engines.compiled.prepare import prepare
from simulation.estimates.estimate import Estimate, Range, estimate
from simulation.results.run_result import EngineName
from simulation.scenario.file import ScenarioFile
from simulation.scenario.model import Scenario
from simulation.study.candidates import default_windows
from simulation.study.case import cases_of
from simulation.study.compare import compare
from simulation.study.execution import Execution
from simulation.study.rows import run_rows
from studio.views.sentences import no_estimate_text

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "estimates.md"
ROUNDS = 100
FIRST_SEEDS = (0, 1000, 2000)
"""The first seeds of the random scenarios."""
DRAWN = 200
"""Number of scenarios that are drawn from each of these seeds on."""
RUNS = 2
"""Number of single runs of each of these scenarios."""
FIGURES = {
    "rollout_duration_s": "duration, s",
    "rollout_latency_p99_s": "p99, s",
    "rollout_wait_mean_s": "mean wait, s",
    "rollout_error_fraction": "errors, %",
    "cut_requests": "cut requests",
    "lowest_capacity_fraction": "lowest capacity, %",
    "lowest_in_pool_count": "fewest in the pool",
}
PERCENT = {"rollout_error_fraction", "lowest_capacity_fraction"}


def large(policy: str, queue: str, window: int | str, cold: float) -> Scenario:
    """Return a fleet of 1,000 instances at three quarters of its capacity."""
    return Scenario.model_validate(
        {
            "rollcast": "scenario/1",
            "traffic": {"rate": "60000/s"},
            "services": {
                "app": {
                    "instances": 1000,
                    "slots": 4,
                    "service_time": {"mean": "50ms", "cv": 1},
                    "balancer": {"policy": policy, "queue": queue},
                    "versions": {"new": {"cold": {"factor": cold, "decay": "20s"}}},
                    "steps": {
                        "stop": "1s",
                        "deploy": {"mean": "5s", "cv": 0.3},
                        "verify": "1s",
                        "start": {"mean": "3s", "cv": 0.3},
                    },
                }
            },
            "rollout": {"window": window},
        }
    )


SIZES: tuple[tuple[str, str, int | str, float], ...] = (
    ("round_robin", "balancer", 1, 1.0),
    ("round_robin", "balancer", 20, 1.0),
    ("round_robin", "instance", 20, 1.0),
    ("least_connections", "instance", 20, 1.0),
    ("least_connections", "balancer", "25%", 1.0),
    ("least_connections", "balancer", "25%", 2.0),
)


def times_ms(scenario: Scenario) -> list[float]:
    """Return median and longest time of many estimates in ms, first wall-clock, then processor time."""
    estimate(scenario)
    by_clock, of_processor = [], []
    for _round in range(ROUNDS):
        before, used = time.perf_counter(), time.process_time()
        estimate(scenario)
        of_processor.append((time.process_time() - used) * 1000)
        by_clock.append((time.perf_counter() - before) * 1000)
    return [f(values) for values in (by_clock, of_processor) for f in (statistics.median, max)]


def speed() -> Iterator[str]:
    """Yield the table of times."""
    yield "| policy | queue | window | cold | median | longest | median, CPU | longest, CPU |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for policy, queue, window, cold in SIZES:
        times = " | ".join(f"{one:.1f} ms" for one in times_ms(large(policy, queue, window, cold)))
        yield f"| {policy} | {queue} | {window} | {cold:g} | {times} |"


def distances() -> Iterator[str]:
    """Yield the table of distances, a row for each figure."""
    yield "| scenario | window | figure | estimate | its range | engine | 5–95 % | off by |"
    yield "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |"
    for path in sorted((ROOT / "scenarios").glob("*.yaml")):
        scenario = ScenarioFile.load(path).scenario
        cases = cases_of(scenario, default_windows(scenario).windows)
        rows = list(run_rows(scenario, cases, Execution(jobs=1, engine=EngineName.COMPILED)))
        for result in compare(scenario, cases, rows).candidates:
            found = estimate(result.scenario)
            for name, title in FIGURES.items():
                estimated: Range | None = getattr(found, name)
                row = cells(name, estimated, result.alone[name])
                yield f"| {scenario.name} | {result.candidate.window} | {title} | {row} |"


def cells(name: str, estimated: Range | None, simulated: Interval) -> str:
    """Return the cells: the estimate, its range, the engine's mean, its range, and the distance."""
    scale = 100.0 if name in PERCENT else 1.0

    def number(value: Any) -> str:
        return "–" if value is None else f"{value * scale:.3g}"

    values = ("–", "–")
    if estimated is not None:
        values = (number(estimated.value), f"{number(estimated.low)} – {number(estimated.high)}")
    engine = (
        number(simulated.mean),
        f"{number(simulated.run_low)} – {number(simulated.run_high)}",
    )
    return " | ".join([*values, *engine, off_by(estimated, simulated)])


def off_by(estimated: Range | None, simulated: Interval) -> str:
    """Return the relative distance; a dash without an estimate or when the simulated mean is 0."""
    if estimated is None or not simulated.mean:
        return "–"
    return f"{estimated.value / simulated.mean - 1:+.1%}"


def held() -> Iterator[str]:
    """Yield the table of how many single runs lie within the ranges, by figure and first seed."""
    counts = [coverage(range(first, first + DRAWN), RUNS) for first in FIRST_SEEDS]
    together = Coverage()
    for count in counts:
        together.add(count)
    yield (
        f"{together.scenarios} scenarios, of which {together.overloaded} are overloaded for ever and not "
        "simulated:"
    )
    yield ""
    seeds = " | ".join(f"seeds from {first}" for first in FIRST_SEEDS)
    yield f"| figure | scenarios with a number | single runs | within the range | {seeds} |"
    yield "| --- | ---: | ---: | ---: |" + " ---: |" * len(FIRST_SEEDS)
    for name, title in SHOWN.items():
        shares = " | ".join(_share(count, name) for count in (together, *counts))
        yield f"| {title} | {together.shown[name]} | {together.runs[name]} | {shares} |"


def _share(count: Coverage, name: str) -> str:
    return f"{count.held[name] / count.runs[name]:.1%}" if count.runs[name] else "–"


def reasons() -> Iterator[str]:
    """Yield why candidates have no estimate, and why others are hopeless."""
    for path in sorted((ROOT / "scenarios").glob("*.yaml")):
        scenario = ScenarioFile.load(path).scenario
        for case in cases_of(scenario, default_windows(scenario).windows):
            found: Estimate = estimate(case.scenario)
            lines = [no_estimate_text(reason) for reason in found.beyond]
            lines += [f"hopeless: {reason}" for reason in found.hopeless]
            yield from (
                f"- {scenario.name}, window {case.candidate.window}: {line}" for line in lines
            )


TEXT = """\
# How far estimates are from the engine

<!-- Made by `.venv/bin/python -m benchmarks.estimates --write`. -->

An estimate takes milliseconds: closed forms of queueing theory replace a simulation. The formulas are in
`simulation/estimates/estimate.py`, `simulation/estimates/queueing.py` and their neighbours. Screens show an estimate
as an estimate. It discards only candidates that miss an objective by far; a plan is never based on it.

## How long an estimate takes

A fleet of 1,000 instances, {rounds} estimates each, Python {python}, one core of a shared machine; in wall-clock
time, which includes other processes, and in processor time (CPU):

{speed}

## How many single runs lie within the range

A figure is shown only where its 5–95 % range holds at least 85 % of single runs. Scenarios are drawn at random
(`benchmarks/random_scenarios.py`): 2 to 20 instances, loads of 20 to 97 %, every policy and queue, constant to
very uneven service times, timeouts and retries, long-lived connections, bursts, slower and cold new versions.
{held}

## How far an estimate is off

The shipped scenarios with their own replications. *its range* is the range of one rollout, to be compared
with the *5–95 %* of single replications. Counts of rare events have a large relative error and a small absolute
one.

{distances}

## Where there is no estimate

{reasons}

## What is known to be off

- Where too few single runs would lie within the range, the reason is given instead of a number: p99 and
  errors where the load of any moment is above 90 % of what the pool serves or where cold instances serve slower;
  p99 where service times vary by more than 1.5 times their mean (cv) or every instance has a queue of its own;
  the mean wait and the longest queue everywhere.
- Where a closed form does not hold at all, there is no number either: queues of the instances' own behind a source
  hash or power of two choices, cuts at such queues above half of their capacity, a pool that is empty for a
  while, retries of requests that take longer than their client waits, a load that the fleet can never carry.
  `tests/simulation/estimates/test_estimate_holds.py` has each of these beside its simulated value.
- The search discards candidates by closed forms even near capacity, but only where they miss an objective by
  far: under overload the p99 comes out too high, by up to a tenth or so.
- With several services, waits and responses are not estimated at all. The fewest in the pools together
  are those of one typical rollout, without the moment at which one service ends and the next begins.
- A rollout that probably fails, or that guards may halt, has no closed form; estimates ignore guards.
"""


def main() -> None:
    """Print the page; with ``--write`` write it, too."""
    prepare()
    page = TEXT.format(
        rounds=ROUNDS,
        python=platform.python_version(),
        speed="\n".join(speed()),
        held="\n".join(held()),
        distances="\n".join(distances()),
        reasons="\n".join(reasons()),
    )
    if "--write" in sys.argv[1:]:
        atomic_write_text(PAGE, page)
    print(page)


if __name__ == "__main__":
    main()
