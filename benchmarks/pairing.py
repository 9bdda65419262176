"""How much do paired runs save?

The edge-of-capacity scenario, windows 1 and 2: the variance of the difference of their p99 when both see
the same requests, against that of independent runs, which is the sum of both variances. The ratio is by
how many times fewer runs the paired difference needs for the same interval. Beside it the correlation of
the two, and the same for the difference as it is with other seeds, as a check.

    .venv/bin/python -m benchmarks.pairing [--replications 400]

Fails when the ratio is below 5 or the correlation below 0.8.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

from simulation.candidates import candidates_of
from simulation.engines.ready import prepare
from simulation.scenario_file import ScenarioFile
from simulation.statistics import t_interval
from simulation.study import run_rows
from simulation.units import Floats
from studio.resources import scenarios_dir

LEAST_RATIO, LEAST_CORRELATION = 5.0, 0.8
WINDOWS = (1, 2)
SEEDS = (1, 2)


def p99s(seed: int, replications: int, metric: str) -> Floats:
    """The figure of both windows in each replication, shape (2, replications)."""
    sets = [f"seed={seed}", f"replications={replications}"]
    one = ScenarioFile.load(scenarios_dir() / "edge-of-capacity.yaml", sets).scenario
    rows = sorted(
        run_rows(one, candidates_of(one, WINDOWS), jobs=1), key=lambda row: row.replication
    )
    return np.array([[run.metrics[metric] for run in row.runs] for row in rows], dtype=float).T


def main() -> int:
    """Measures, prints, and fails where pairing does not save enough."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replications", type=int, default=400)
    count = parser.parse_args().replications
    prepare()
    holds = True
    for metric, is_asked in (("latency_p99_s", True), ("rollout_latency_p99_s", False)):
        ones, others = (p99s(seed, count, metric) for seed in SEEDS)
        paired, unpaired = ones[1] - ones[0], others[1] - ones[0]
        variances = np.var(ones, axis=1, ddof=1)
        ratio = float(variances.sum() / np.var(paired, ddof=1))
        checked = float(np.var(unpaired, ddof=1) / np.var(paired, ddof=1))
        correlation = float(np.corrcoef(ones)[0, 1])
        print(f"{metric}, windows {WINDOWS[0]} and {WINDOWS[1]}, {count} runs, seed {SEEDS[0]}")
        for what, values in (("paired", paired), (f"unpaired (seed {SEEDS[1]})", unpaired)):
            mean, low, high = t_interval(values)
            print(f"  {what}: difference {mean:.4f} s, 95 % interval {low:.4f} to {high:.4f}")
        print(
            f"  variance ratio {ratio:.1f} (with the other seed {checked:.1f}), ρ {correlation:.3f}"
        )
        if is_asked:
            holds = ratio >= LEAST_RATIO and correlation >= LEAST_CORRELATION
    print(f"asked of the first: ratio at least {LEAST_RATIO:g}, ρ at least {LEAST_CORRELATION:g}")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
