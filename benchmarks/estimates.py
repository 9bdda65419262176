"""How fast are the estimates, and how far from the engine?

The time is that of one estimate of a fleet of 1,000 instances, over several policies and windows. The
distances are over the shipped scenarios, their usual windows and replications, simulated by the
compiled engine: an estimate's value against the mean over replications, and its range against their 5th
and 95th percentile.

    .venv/bin/python -m benchmarks.estimates            # about two minutes
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
    """A fleet of 1,000 instances at three quarters of its capacity."""
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
    """Median and longest of many estimates in milliseconds, by the clock and of the processor."""
    estimate(scenario)
    by_clock, of_processor = [], []
    for _round in range(ROUNDS):
        before, used = time.perf_counter(), time.process_time()
        estimate(scenario)
        of_processor.append((time.process_time() - used) * 1000)
        by_clock.append((time.perf_counter() - before) * 1000)
    return [f(values) for values in (by_clock, of_processor) for f in (statistics.median, max)]


def speed() -> Iterator[str]:
    """The table of times."""
    yield "| policy | queue | window | cold | median | longest | median, CPU | longest, CPU |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for policy, queue, window, cold in SIZES:
        times = " | ".join(f"{one:.1f} ms" for one in times_ms(large(policy, queue, window, cold)))
        yield f"| {policy} | {queue} | {window} | {cold:g} | {times} |"


def distances() -> Iterator[str]:
    """The table of distances, a row for each figure."""
    yield "| scenario | window | figure | estimate | its range | engine | 5–95 % | off by |"
    yield "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |"
    for path in sorted((ROOT / "scenarios").glob("*.yaml")):
        scenario = ScenarioFile.load(path).scenario
        cases = cases_of(scenario, default_windows(scenario))
        rows = list(run_rows(scenario, cases, Execution(jobs=1, engine=EngineName.COMPILED)))
        for result in compare(scenario, cases, rows).candidates:
            found = estimate(result.scenario)
            for name, title in FIGURES.items():
                said: Range | None = getattr(found, name)
                row = cells(name, said, result.alone[name])
                yield f"| {scenario.name} | {result.candidate.window} | {title} | {row} |"


def cells(name: str, said: Range | None, seen: Interval) -> str:
    """Estimate, range, engine, its range, and how far the first is from the third."""
    scale = 100.0 if name in PERCENT else 1.0

    def number(value: Any) -> str:
        return "–" if value is None else f"{value * scale:.3g}"

    told = ("–", "–")
    if said is not None:
        told = (number(said.value), f"{number(said.low)} – {number(said.high)}")
    engine = (number(seen.mean), f"{number(seen.run_low)} – {number(seen.run_high)}")
    return " | ".join([*told, *engine, off_by(said, seen)])


def off_by(said: Range | None, seen: Interval) -> str:
    """The relative distance, where there is something that it can be relative to."""
    if said is None or not seen.mean:
        return "–"
    return f"{said.value / seen.mean - 1:+.1%}"


def reasons() -> Iterator[str]:
    """Where there is no estimate, and why; what is called hopeless."""
    for path in sorted((ROOT / "scenarios").glob("*.yaml")):
        scenario = ScenarioFile.load(path).scenario
        for case in cases_of(scenario, default_windows(scenario)):
            found: Estimate = estimate(case.scenario)
            lines = [no_estimate_text(reason) for reason in found.beyond]
            lines += [f"hopeless: {reason}" for reason in found.hopeless]
            yield from (
                f"- {scenario.name}, window {case.candidate.window}: {line}" for line in lines
            )


TEXT = """\
# How far estimates are from the engine

<!-- Made by `.venv/bin/python -m benchmarks.estimates --write`. -->

An estimate is there in milliseconds: closed forms of queueing theory in the place of a simulation. What
each is made of stands in `simulation/estimates/estimate.py`, `simulation/estimates/queueing.py` and their neighbours. It
is shown as an estimate, and discards only what misses an objective by far; a plan is never based on it.

## How long one takes

A fleet of 1,000 instances, {rounds} estimates each, Python {python}, one core of a shared machine; by the
clock, which counts what others use of it, and of the processor (CPU):

{speed}

## How far it is off

The shipped scenarios with their own replications. *Its range* is what one rollout may show, to be held
against the *5–95 %* of single replications. Counts of rare events are far off in relation and near in
number.

{distances}

## Where there is none

{reasons}

## What is known to be off

- Under overload the p99 comes out too high, by up to a tenth or so: the queue is a diffusion, and the
  capacity is that of one typical rollout.
- Where a closed form does not hold there is no number but the reason, and no candidate is discarded by it:
  instances with queues of their own behind a source hash, behind power of two choices, behind least
  connections with a load above 95 % or with long-lived connections, or unequally fast; cuts at instances
  with queues of their own above half of their capacity; a pool that is empty for a while; a new version
  that never clears its queue; retries of what takes longer than its client waits. In 240 scenarios drawn
  at random (`tests/simulation/estimates/test_estimate_holds.py`) at most one number in fifty is off by more than a
  factor of 1.25 for the duration, 2.5 for the p99, 3 for the mean wait and the errors, 2 for the cuts.
- With several services, waits and responses are not estimated at all. The fewest in the pools together
  are those of one typical rollout, without the moment at which one service ends and the next begins.
- A rollout that may well fail, or that guards may halt, has no closed form; guards are not looked at.
"""


def main() -> None:
    """Prints the page, or writes it."""
    prepare()
    page = TEXT.format(
        rounds=ROUNDS,
        python=platform.python_version(),
        speed="\n".join(speed()),
        distances="\n".join(distances()),
        reasons="\n".join(reasons()),
    )
    if "--write" in sys.argv[1:]:
        atomic_write_text(PAGE, page)
    print(page)


if __name__ == "__main__":
    main()
