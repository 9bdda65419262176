"""Scenarios drawn at random, and how many single runs lie within the ranges of their estimates.

`benchmarks/estimates.py` makes a table of it, and a test holds the promise: for each figure that an
estimate shows, its 5–95 % range holds at least 85 % of single runs.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from simulation.estimates.estimate import Range, estimate
from simulation.estimates.overload import find_endless_overload
from simulation.results.run_result import EngineName
from simulation.scenario.model import Scenario
from simulation.study.case import cases_of, frame_of_cases
from simulation.study.running.work import Part, Work

SHOWN = {
    "rollout_duration_s": "duration",
    "rollout_latency_p99_s": "p99",
    "rollout_error_fraction": "errors",
    "cut_requests": "cut requests",
    "lowest_capacity_fraction": "lowest capacity",
    "lowest_in_pool_count": "fewest in the pool",
}
"""The figures that an estimate may show; it shows no mean wait and no longest queue."""

HELD_FRACTION = 0.85
"""The least fraction of single runs that must lie within the range of a shown figure."""

_POLICIES = ["round_robin", "least_connections", "random", "power_of_two", "source_hash"]


@dataclass
class Coverage:
    """How many single runs lie within the ranges of estimates, by figure.

    Attributes:
        scenarios: Number of scenarios that were drawn.
        overloaded: Number of these that are overloaded for ever, so that nothing is simulated.
        shown: Number of scenarios whose estimate has the figure.
        runs: Number of single runs of these scenarios.
        held: Number of these runs within the range.
    """

    scenarios: int = 0
    overloaded: int = 0
    shown: Counter[str] = field(default_factory=Counter)
    runs: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)

    def add(self, other: Coverage) -> None:
        """Add the counts of other scenarios."""
        self.scenarios += other.scenarios
        self.overloaded += other.overloaded
        for mine, theirs in (
            (self.shown, other.shown),
            (self.runs, other.runs),
            (self.held, other.held),
        ):
            mine.update(theirs)


def coverage(seeds: Iterable[int], runs: int) -> Coverage:
    """Count how many single runs lie within the ranges of the estimates of random scenarios.

    Args:
        seeds: A scenario is drawn from each.
        runs: Number of replications of each scenario.
    """
    counts = Coverage()
    for seed in seeds:
        counts.scenarios += 1
        scenario = random_scenario(seed)
        if find_endless_overload(scenario) is not None:
            counts.overloaded += 1
            continue
        cases = cases_of(scenario)
        found = estimate(scenario)
        work = Work(cases, frame_of_cases(cases), EngineName.COMPILED)
        metrics = [work.run(Part(number, (0,)))[0].metrics for number in range(runs)]
        for name in SHOWN:
            figure: Range | None = getattr(found, name)
            if figure is None:
                continue
            counts.shown[name] += 1
            counts.runs[name] += runs
            counts.held[name] += sum(holds(figure, metric[name]) for metric in metrics)
    return counts


def holds(figure: Range, value: float | None) -> bool:
    """Return whether a run's figure lies within the range of its estimate, but for rounding."""
    if value is None:
        return False
    rounding = 1e-9 * abs(value) + 1e-12
    return figure.low - rounding <= value <= figure.high + rounding


def random_scenario(seed: int) -> Scenario:
    """Return a scenario of one service, at any load below its capacity, with what estimates were wrong at."""
    r = random.Random(seed)
    count, slots = r.choice([2, 4, 8, 20]), r.choice([1, 2, 4, 16])
    mean_s, load = r.choice([0.05, 0.2, 1.0]), r.choice([0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 0.97])
    mean = f"{mean_s}s"
    kind: dict[str, Any] = {}
    if r.random() < 0.5:
        kind = {
            "client_timeout": f"{mean_s * r.choice([2, 5, 20])}s",
            "cancel_on_disconnect": r.random() < 0.3,
            "retries": {
                "attempts": r.choice([0, 1, 3]),
                "backoff": r.choice(["10ms", "500ms"]),
            },
        }
    classes: dict[str, Any] = {"all": kind}
    if r.random() < 0.25:
        life = {"exponential": r.choice(["10s", "5m"])}
        ws = {"holds_slot": False, "service_time": {"app": life}, "reconnects": r.random() < 0.3}
        classes = {"all": {"share": "98%", **kind}, "ws": ws}
    service_time = r.choice(
        [mean, {"exponential": mean}, {"mean": mean, "cv": r.choice([0.5, 1, 2, 3])}]
    )
    balancer = {
        "policy": r.choice(_POLICIES),
        "queue": r.choice(["balancer", "instance"]),
    }
    traffic = {
        "rate": f"{load * count * slots / mean_s:.5f}/s",
        "sessions": r.choice([10, 100, 1000, 100000]),
        "arrivals": r.choice(["poisson"] * 3 + ["bursty"]),
        "dispersion": 4,
        "classes": classes,
    }
    new = {
        "service_factor": r.choice([1, 1, 1, 1.2, 1.5]),
        "cold": {"factor": r.choice([1, 1, 2]), "decay": "5s"},
    }
    steps = {"deploy": {"mean": r.choice(["2s", "8s"]), "cv": 0.3}, "start": "1s"}
    rollout = {
        "window": r.choice([1, 1, 2, max(1, count // 4), max(1, count // 2)]),
        **_advance_and_surge(r),
        "drain": {"timeout": f"{r.choice([0.5, 2, 10])}s"},
        "pre_stop": r.choice(["0s", "1s"]),
    }
    service = {
        "instances": count,
        "slots": slots,
        "service_time": service_time,
        "balancer": balancer,
        "versions": {"new": new},
        "steps": steps,
    }
    return Scenario.model_validate(
        {
            "rollcast": "scenario/1",
            "name": f"drawn with {seed}",
            "traffic": traffic,
            "services": {"app": service},
            "rollout": rollout,
            "seed": seed,
        }
    )


def _advance_and_surge(r: random.Random) -> dict[str, object]:
    """Draw both; with a surge nothing advances in batches."""
    advance, surge = r.choice(["sliding", "sliding", "batch"]), r.choice([0, 0, 0, 1])
    return {"advance": "sliding" if surge else advance, "surge": surge}
