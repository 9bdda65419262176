"""An independent model of steps that share something, in plain SimPy and numpy.

A fleet of identical instances is rolled with a sliding window and without traffic, so only the steps take
time. Each instance spends its own time, and then downloads from a registry that divides its speed evenly
among all downloads. Step durations of different instances are correlated by a Gaussian copula.

Nothing here comes from Rollcast: every download is a process of its own that looks again at its share of
the speed whenever another one begins or ends, and correlated normal numbers come from a covariance matrix.

    .venv/bin/python -m benchmarks.oracles.steps [--instances 24] [--runs 4000]
"""

from __future__ import annotations

import argparse
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
import simpy
from numpy.typing import NDArray
from scipy import stats

EPSILON_S = 1e-9
"""Work that is left by rounding and counts as done, in seconds."""


class Registry:
    """A server that divides its speed evenly among all downloads that are under way."""

    def __init__(self, env: simpy.Environment) -> None:
        self.env = env
        self.count = 0
        self.changed = env.event()

    def download(self, work_s: float) -> Generator[simpy.Event, Any, None]:
        """Download for as long as ``work_s`` of full speed takes."""
        self.change_count(1)
        while work_s > EPSILON_S:
            began_s, count = self.env.now, self.count
            yield self.env.timeout(work_s * count) | self.changed
            work_s -= (self.env.now - began_s) / count
        self.change_count(-1)

    def change_count(self, by: int) -> None:
        """Count one download more or less, and tell all others, whose share of the speed changes."""
        self.count += by
        changed, self.changed = self.changed, self.env.event()
        changed.succeed()


def rollout_s(
    own_s: Sequence[float], window: int, shared_s: float, after_s: Sequence[float] | None = None
) -> float:
    """Return the duration of one rollout.

    Args:
        own_s: Each instance's own time before its download, in the order in which they are rolled.
        window: The number of instances that are under way at once.
        shared_s: The duration of a download that has the registry for itself.
        after_s: Each instance's time after its download; none when left out.
    """
    env = simpy.Environment()
    registry, places = Registry(env), simpy.Resource(env, window)
    after_s = after_s if after_s is not None else [0.0] * len(own_s)

    def update(before_s: float, later_s: float) -> Generator[simpy.Event, Any, None]:
        with places.request() as place:
            yield place
            yield env.timeout(before_s)
            yield from registry.download(shared_s)
            yield env.timeout(later_s)

    updates = [env.process(update(*pair)) for pair in zip(own_s, after_s, strict=True)]
    env.run(until=env.all_of(updates))
    return float(env.now)


def correlated_s(
    mean_s: float, cv: float, correlation: float, shape: tuple[int, int], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return lognormal durations of a step, shape (runs, instances), correlated within each run."""
    runs, count = shape
    covariance = np.full((count, count), correlation)
    np.fill_diagonal(covariance, 1.0)
    normal = rng.multivariate_normal(np.zeros(count), covariance, size=runs, method="eigh")
    sigma = np.sqrt(np.log1p(cv**2))
    median_s = mean_s * np.exp(-(sigma**2) / 2)
    return np.asarray(stats.lognorm.ppf(stats.norm.cdf(normal), sigma, scale=median_s))


def main() -> None:
    """Print how the duration depends on the window, the shared work, and the correlation."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--instances", type=int, default=24, help="instances (default: 24)")
    parser.add_argument("--runs", type=int, default=4000, help="draws per row (default: 4000)")
    args = parser.parse_args()
    print(f"{args.instances} instances, 10 s each, and 4 s of one registry")
    for window in (1, 2, 4, 8, args.instances):
        print(f"window {window}: {rollout_s([10.0] * args.instances, window, 4.0):.1f} s")
    print("window 1, deploy 5 s (cv 0.3), start 4 s (cv 0.4), 2 s of constant steps")
    rng = np.random.default_rng(1)
    for correlation in (0.0, 0.3, 1.0):
        total_s = sum(
            correlated_s(mean_s, cv, correlation, (args.runs, args.instances), rng).sum(axis=1)
            for mean_s, cv in ((5.0, 0.3), (4.0, 0.4))
        )
        low, high = np.quantile(total_s + 2.0 * args.instances, [0.05, 0.95])
        print(f"correlation {correlation:g}: {low:.0f} to {high:.0f} s, {high - low:.0f} s wide")


if __name__ == "__main__":
    main()
