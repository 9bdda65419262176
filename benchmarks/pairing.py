"""Measure how many runs pairing saves.

The benchmark compares windows 1 and 2 of the edge-of-capacity scenario: the variance of the difference of their
p99 over the common interval when both see the same requests, with that of independent runs, which is the sum of
both variances. The ratio says how many times fewer runs the paired difference needs for the same interval. The
benchmark also prints the correlation of the two, the ratio with a second seed for window 1 (a check), and the
largest ratio that any pairing could reach with these variances: (σ₁² + σ₂²)/(σ₁ − σ₂)².

At the shipped rate, 94 % of the remaining capacity is in use while two instances are out. Other rates show where
pairing stops helping: at 260/s it is 98 %, and window 2's p99 comes from a queue that window 1 does not have.

    .venv/bin/python -m benchmarks.pairing [--replications 400]

The benchmark fails when, at the shipped rate, the ratio is below 5 or the correlation below 0.8.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

from simulation.engines.compiled.prepare import prepare
from simulation.scenario.file import ScenarioFile
from simulation.scenario.units import Floats
from simulation.study.case import cases_of
from simulation.study.execution import Execution
from simulation.study.rows import run_rows
from studio.resources import scenarios_dir

LEAST_RATIO, LEAST_CORRELATION = 5.0, 0.8
WINDOWS = (1, 2)
SEEDS = (1, 2)
RATES_RPS = (250, 220, 240, 260)
"""Rates of the scenario, in requests/s; the first is the shipped one."""

METRIC = "latency_p99_s"


def p99s(seed: int, replications: int, rate_rps: int) -> Floats:
    """Return the p99 of both windows in each replication, in s, shape (2, replications)."""
    sets = [f"seed={seed}", f"replications={replications}", f"traffic.rate={rate_rps}/s"]
    one = ScenarioFile.load(scenarios_dir() / "edge-of-capacity.yaml", sets).scenario
    rows = sorted(
        run_rows(one, cases_of(one, WINDOWS), Execution(jobs=1)), key=lambda row: row.replication
    )
    return np.array([[run.metrics[METRIC] for run in row.runs] for row in rows], dtype=float).T


def main() -> int:
    """Measure and print. Return 1 when pairing does not save enough at the shipped rate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replications", type=int, default=400)
    count = parser.parse_args().replications
    prepare()
    print(f"{METRIC}, windows {WINDOWS[0]} and {WINDOWS[1]}, {count} runs, seeds {SEEDS}")
    print("requests/s   σ₁ ms   σ₂ ms      ρ   ratio   second seed   at most")
    holds = True
    for rate_rps in RATES_RPS:
        ones, others = (p99s(seed, count, rate_rps) for seed in SEEDS)
        variances: Floats = np.var(ones, axis=1, ddof=1)
        sigmas: Floats = np.sqrt(variances)
        paired = float(np.var(ones[1] - ones[0], ddof=1))
        ratio = float(variances.sum()) / paired
        checked = float(np.var(ones[1] - others[0], ddof=1)) / paired
        most = float(variances.sum() / (sigmas[1] - sigmas[0]) ** 2)
        correlation = float(np.corrcoef(ones[0], ones[1])[0, 1])
        print(
            f"{rate_rps:10d} {sigmas[0] * 1000:7.1f} {sigmas[1] * 1000:7.1f} {correlation:6.3f} "
            f"{ratio:7.1f} {checked:13.1f} {min(most, 9999):9.1f}"
        )
        if rate_rps == RATES_RPS[0]:
            holds = ratio >= LEAST_RATIO and correlation >= LEAST_CORRELATION
    print(
        f"required at {RATES_RPS[0]}/s: ratio at least {LEAST_RATIO:g}, ρ at least "
        f"{LEAST_CORRELATION:g}: {'reached' if holds else 'not reached'}"
    )
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
