"""Measure how often 95 % intervals cover the true value, and how often "meets" is wrong.

20,000 studies each are simulated without an engine (`benchmarks/study_models.py`): whatever is declared
feasible of candidates that are just short of it, whatever single looks show, and how often every kind of
interval covers. With ``--write`` their tables go into docs/statistics.md.

The real engine runs cases whose answers are known, a thousand studies each, with the seeds 1 to 1,000:

- the mean wait of an M/M/4 queue (60/s, 50 ms): 25.472 ms by Erlang C; 20 replications of 300 s;
- requests cut by a rollout of 40 instances that drain for 100 ms at 60/s and 50 ms each: 40·3·e⁻² =
  16.240 by the M/G/∞ formula (docs/model.md); 20 replications;
- a search over drain timeouts. Two instances at 60/s each and exponential 50 ms are rolled one after the
  other; a run meets the objective when no request that came during the rollout is cut, which only the
  second drain can do: with a drain timeout T the probability is exp(−3·e^(−T/50 ms)). The objective is
  80 % of runs with 95 % confidence. All candidates are just short of it (77, 78, 79 and 79.5 %), so that every
  candidate that a search declares feasible is wrong. A second search has one more candidate that meets the
  objective (95 %), so that a search that always refuses is noticed.

    .venv/bin/python -m benchmarks.intervals [--studies 1000] [--only models|wait|cut|search] [--write]

The benchmark fails when an interval covers outside 93–97 %, when the planner is wrong in more than 5 %, or
when a row of the tables does not hold.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import study_models
from benchmarks.study_models import PER_RUN, SEED, STUDIES
from executor.base.files import atomic_write_text
from simulation.engines.compiled.prepare import prepare
from simulation.planning.search import search
from simulation.scenario.model import Scenario
from simulation.scenario.simulated_interval import frame_of
from simulation.study.case import cases_of
from simulation.study.cells import Cell, run_cells
from simulation.study.execution import Execution
from simulation.study.statistics.means import t_interval

COVERS = (0.93, 0.97)
WRONG = 0.05
REPLICATIONS = 20
MEAN_S = 0.05
LEAST_OF_MEANS = 0.92
"""Lowest coverage of a mean of losses, in the worst of the measured cases."""

IN_RUNS = 0.8
SHORT_OF_IT = (0.77, 0.78, 0.79, 0.795)
MEETS_IT = 0.95


def scenario(**parts: Any) -> Scenario:
    """Return a scenario of one service with exponential service of 50 ms."""
    service = {"service_time": {"exponential": f"{MEAN_S}s"}, **parts.pop("service")}
    return Scenario.model_validate(
        {"rollcast": "scenario/1", "services": {"app": service}, **parts}
    )


WAIT = scenario(
    clock={"warm_up": "20s", "horizon": "300s"},
    traffic={"rate": "60/s"},
    service={"instances": 1, "slots": 4},
)
WAIT_S = 0.025472

CUT = scenario(
    clock={"warm_up": "0.6s", "horizon": "0.3s"},
    traffic={"rate": "2400/s"},
    service={
        "instances": 40,
        "slots": 60,
        "steps": {"start": "1s"},
        "balancer": {"policy": "random"},
    },
    rollout={"window": 40, "drain": {"timeout": "100ms", "on_timeout": "cut"}},
)
CUT_COUNT = 40 * 60 * MEAN_S * math.exp(-0.1 / MEAN_S)

SEARCHED = scenario(
    clock={"warm_up": "0.6s"},
    traffic={"rate": "120/s"},
    replications=15,
    service={
        "instances": 2,
        "slots": 200,
        "steps": {"start": "100ms"},
        "balancer": {"policy": "random"},
    },
    rollout={"window": 1, "pause": "0.6s", "drain": {"timeout": "1s", "on_timeout": "cut"}},
    objectives={"error_fraction": 0.0, "in_runs": IN_RUNS, "confidence": 0.95},
)


def timeout_s(meeting_fraction: float) -> float:
    """Return the drain timeout in s with which this share of runs of `SEARCHED` cuts nothing."""
    return -MEAN_S * math.log(-math.log(meeting_fraction) / (60 * MEAN_S))


def coverage(one: Scenario, metric: str, answer: float, seeds: Sequence[int]) -> float:
    """Return the share of studies whose 95 % interval contains the answer."""
    frame = frame_of([one])
    covered = 0
    for seed in seeds:
        [case] = cases_of(one.model_copy(update={"seed": seed}))
        cells = [Cell(case, replication) for replication in range(REPLICATIONS)]
        runs = run_cells(cells, frame, Execution(jobs=1))
        _mean, low, high = t_interval(np.array([run.metrics[metric] for _, run in runs]))
        assert low is not None
        assert high is not None
        covered += low <= answer <= high
    return covered / len(seeds)


def run_searches(fractions: Sequence[float], seeds: Sequence[int]) -> tuple[list[float], float]:
    """Return the true share of each candidate that was declared feasible, and the mean runs per search."""
    timeouts = [timeout_s(one) for one in fractions]
    found, runs = [], 0

    for seed in seeds:
        one = SEARCHED.model_copy(update={"seed": seed})
        result = search(one, cases_of(one, (), timeouts), Execution(jobs=1))
        assert result is not None
        runs += result.runs_count + sum(len(each.result.runs) for each in result.confirmations)
        if result.chosen is not None:
            found.append(fractions[result.chosen])
    return found, runs / len(seeds)


PAGE = Path(__file__).parent.parent / "docs" / "statistics.md"
BEGIN = "<!-- Made by `.venv/bin/python -m benchmarks.intervals --only models --write`. -->"
END = "<!-- The end of what it makes. -->"


def models_section(not_held: list[str]) -> str:
    """Return the tables of the studies that are simulated without an engine.

    Args:
        not_held: Filled with the rows that do not hold.
    """
    lines = [
        f"{STUDIES:,} studies each, seed {SEED}. *Just short of it* is a probability of 94.9999 % where 95 % of "
        "runs are asked for with 95 % confidence, so every candidate that is declared feasible is wrong.",
        "",
        "| | measured | asked |",
        "| --- | ---: | --- |",
    ]
    for rows in (
        study_models.wrong_answers(),
        study_models.right_answers(),
        study_models.occurrences(),
        study_models.single_runs(),
        study_models.other_means(),
    ):
        for words, share, asked, holds in rows:
            lines.append(f"| {words} | {share * 100:.1f} % | {asked} |")
            if not holds:
                not_held.append(words)
    lines += [
        "",
        "How often the 95 % interval of the mean number of losses covers the true mean, by the kind of loss "
        "and the mean number of losses or clusters in a run (in brackets: Student's t interval, which takes "
        "rare losses for normal):",
        "",
        f"| | runs | {' | '.join(f'{per_run:g} a run' for per_run in PER_RUN)} |",
        f"| --- | ---: |{' ---: |' * len(PER_RUN)}",
    ]
    for words, runs, cells in study_models.means():
        texts = [f"{covered * 100:.1f} ({by_t * 100:.1f})" for covered, by_t in cells]
        lines.append(f"| {words} | {runs} | {' | '.join(texts)} |")
        if min(covered for covered, _by_t in cells) < LEAST_OF_MEANS:
            not_held.append(f"mean of {words}, {runs} runs")
    return "\n".join(lines)


def write_section(section: str) -> None:
    """Put the tables into the page."""
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _old, after = rest.split(END)
    atomic_write_text(PAGE, f"{before}{BEGIN}\n\n{section}\n\n{END}{after}")


def _measure(name: str, measure: Callable[[], tuple[str, bool]]) -> bool:
    begun = time.perf_counter()
    result, holds = measure()
    print(f"{name}: {result} ({time.perf_counter() - begun:.0f} s)", flush=True)
    return holds


def main() -> int:
    """Measure and print. Return 1 when a statement does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--only", choices=["models", "wait", "cut", "search"])
    parser.add_argument("--write", action="store_true", help="write docs/statistics.md, too")
    asked = parser.parse_args()
    seeds = range(1, asked.studies + 1)
    holds = []
    if asked.only in (None, "models"):
        not_held: list[str] = []
        section = models_section(not_held)
        print(section)
        if asked.write:
            write_section(section)
        for words in not_held:
            print(f"does not hold: {words}", file=sys.stderr)
        holds.append(not not_held)
    if asked.only == "models":
        return 0 if all(holds) else 1
    prepare()
    print(f"{len(seeds)} studies each, seeds 1 to {len(seeds)}")

    def covers(one: Scenario, metric: str, answer: float) -> tuple[str, bool]:
        share = coverage(one, metric, answer, seeds)
        return f"95 % intervals cover in {share:.1%}", COVERS[0] <= share <= COVERS[1]

    def errs(fractions: Sequence[float]) -> tuple[str, bool]:
        found, runs = run_searches(fractions, seeds)
        wrong = sum(one < IN_RUNS for one in found) / len(seeds)
        said = (
            f"declared feasible in {len(found) / len(seeds):.1%}, wrongly in {wrong:.1%}, "
            f"{runs:.0f} runs a search"
        )
        return said, wrong <= WRONG

    if asked.only in (None, "wait"):
        holds.append(_measure("mean wait, M/M/4", lambda: covers(WAIT, "wait_mean_s", WAIT_S)))
    if asked.only in (None, "cut"):
        holds.append(_measure("cut requests", lambda: covers(CUT, "cut_requests", CUT_COUNT)))
    if asked.only in (None, "search"):
        holds.append(_measure("all just short of it", lambda: errs(SHORT_OF_IT)))
        holds.append(_measure("one meets it", lambda: errs((*SHORT_OF_IT, MEETS_IT))))
    return 0 if all(holds) else 1


if __name__ == "__main__":
    sys.exit(main())
