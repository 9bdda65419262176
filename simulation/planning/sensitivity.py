"""Which assumptions an answer hangs on.

Enters: a scenario, one way to roll. Leaves: its assumptions, ranked by how far the answer moves when
each of them is off by as much: Morris' elementary effects (Technometrics 33, 1991), with the mean of
their sizes μ* (Campolongo, Cariboni and Saltelli, 2007), by SALib.

What moves is the figure that comes nearest to its limit: the highest of duration, p99 and share of errors,
each over its objective, in the mean over paired runs. Its logarithm is analysed, so that an effect is a
factor; without any such objective it is the p99.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from executor.base.canonical_json import digest_of
from simulation.planning.assumptions import Assumption, assumptions_of
from simulation.results.run_result import Ending, RunResult
from simulation.scenario.model import Scenario
from simulation.scenario.simulated_interval import SimulatedInterval, frame_of
from simulation.scenario.units import Floats
from simulation.study.case import cases_of
from simulation.study.cells import Cell, run_cells
from simulation.study.execution import DEFAULT_EXECUTION, Execution
from simulation.study.verdict import verdict

OFF_BY = 1.25
"""Each assumption may be off by this factor, either way."""

TRAJECTORIES, LEVELS, RUNS = 10, 4, 8
"""Morris' r and p, and paired runs for each point: (assumptions + 1)·10·8 runs in all."""

_NOTHING = 0.01
"""A figure that is so far below its limit, or 0, counts as this share of it."""

_NEVER = 100.0
"""What a rollout that does not end counts as, over its limit."""


@dataclass(frozen=True)
class Effect:
    """What one assumption moves.

    Attributes:
        key: Of the assumption.
        factor: By which the deciding figure differs, in the mean, between the ends of its range.
        factor_low: Lower end of the bootstrapped 95 % interval of that.
        factor_high: Upper end of it.
        rises: Whether the figure grows with the assumption.
        flips_fraction: In what share of its steps alone the answer changed sides.
    """

    key: str
    factor: float
    factor_low: float
    factor_high: float
    rises: bool
    flips_fraction: float


@dataclass(frozen=True)
class Sensitivity:
    """All assumptions of a scenario, what moves most first.

    Attributes:
        judged_by: The figures that objectives limit, of which the nearest to its limit counts.
        meeting_fraction: The share of all points at which the objectives were met.
    """

    scenario: Scenario
    effects: tuple[Effect, ...]
    judged_by: tuple[str, ...]
    meeting_fraction: float
    runs_count: int

    def to_json(self) -> dict[str, object]:
        """As ``rollcast sensitivity --json`` prints it."""
        return {
            "schema": "rollcast.sensitivity/1",
            "scenario": self.scenario.name,
            "scenario_digest": digest_of(self.scenario.as_data()),
            "seed": self.scenario.seed,
            "off_by": OFF_BY,
            "judged_by": list(self.judged_by),
            "meeting_fraction": self.meeting_fraction,
            "runs": self.runs_count,
            "effects": [vars(one) for one in self.effects],
        }


Simulate = Callable[
    [Sequence[Cell], SimulatedInterval, Execution], Iterator[tuple[Cell, RunResult]]
]
"""Simulates cells, as `simulation.study.cells.run_cells` does."""


def sensitivity(
    scenario: Scenario,
    execution: Execution = DEFAULT_EXECUTION,
    *,
    simulate: Simulate = run_cells,
    on_progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Sensitivity:
    """Ranks the assumptions of a scenario as it stands.

    Args:
        scenario: One way to roll.
        execution: Where and how to simulate.
        simulate: What simulates cells.
        on_progress: Called with what is being done, how many points are done, and of how many.

    Raises:
        BadInput: The simulated interval meets a gap or the end of a trace.
    """
    # SALib takes a second to load
    from SALib.analyze import morris as analysis  # noqa: PLC0415
    from SALib.sample import morris as sampling  # noqa: PLC0415

    known = assumptions_of(scenario)
    problem = {
        "num_vars": len(known),
        "names": [one.key for one in known],
        "bounds": [[-math.log(OFF_BY), math.log(OFF_BY)]] * len(known),
    }
    points: Floats = sampling.sample(problem, TRAJECTORIES, num_levels=LEVELS, seed=scenario.seed)
    varied = [_varied(scenario, known, point) for point in points]
    frame = _frame_of_all([scenario, *varied])
    sizes = np.empty(len(points))
    meets = np.empty(len(points), dtype=bool)
    for number, one in enumerate(varied):
        on_progress("points of the analysis", number, len(points))
        [case] = cases_of(one)
        cells = [Cell(case, replication) for replication in range(RUNS)]
        runs = [run for _cell, run in simulate(cells, frame, execution)]
        sizes[number] = math.log(_worst(scenario, runs))
        judged = verdict(one, runs)
        meets[number] = judged.runs_meeting >= scenario.objectives.in_runs * judged.runs
    found = analysis.analyze(problem, points, sizes, num_levels=LEVELS, seed=scenario.seed)
    flips = _flips(points, meets)
    effects = [
        Effect(
            key=one.key,
            factor=math.exp(star),
            factor_low=math.exp(max(0.0, star - half)),
            factor_high=math.exp(star + half),
            rises=float(found["mu"][k]) > 0,
            flips_fraction=float(flips[k]),
        )
        for k, one in enumerate(known)
        for star, half in [(float(found["mu_star"][k]), float(found["mu_star_conf"][k]))]
    ]
    effects.sort(key=lambda one: -one.factor)
    return Sensitivity(
        scenario=scenario,
        effects=tuple(effects),
        judged_by=tuple(name for name, _figure, _limit in _limits(scenario)),
        meeting_fraction=float(meets.mean()),
        runs_count=RUNS * len(points),
    )


def _varied(scenario: Scenario, known: Sequence[Assumption], point: Floats) -> Scenario:
    """The scenario with every assumption off by its own factor, given by their logarithms."""
    for one, log_factor in zip(known, point, strict=True):
        scenario = one.off_by(scenario, math.exp(float(log_factor)))
    return scenario


def _frame_of_all(scenarios: Sequence[Scenario]) -> SimulatedInterval:
    """One simulated time for all, so that their runs stay paired."""
    frames = [frame_of([one]) for one in scenarios]
    return SimulatedInterval(
        warm_up_s=max(one.warm_up_s for one in frames),
        horizon_s=max(one.horizon_s for one in frames),
        exact=frames[0].exact,
        bin_s=frames[0].bin_s,
    )


def _limits(scenario: Scenario) -> list[tuple[str, str, float]]:
    """What decides: a word, the figure, and its limit."""
    limits = scenario.objectives
    asked = [
        ("duration", "rollout_duration_s", limits.duration),
        ("p99", "rollout_latency_p99_s", limits.latency_p99),
        ("errors", "rollout_error_fraction", limits.error_fraction),
    ]
    found = [(word, name, limit) for word, name, limit in asked if limit]
    return found or [("p99", "rollout_latency_p99_s", 1.0)]


def _worst(scenario: Scenario, runs: Sequence[RunResult]) -> float:
    """The highest figure over its limit, in the mean over runs."""
    ratios = [_NOTHING]
    for _word, name, limit in _limits(scenario):
        values = [
            _NEVER if run.ended != Ending.DONE else (run.metrics[name] or 0.0) / limit
            for run in runs
        ]
        ratios.append(sum(values) / len(values))
    return max(ratios)


def _flips(points: Floats, meets: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Floats:
    """For each assumption, the share of the steps in it alone that change the answer.

    A trajectory is a row of points, each of which differs from the one before in one assumption.
    """
    length = points.shape[1] + 1
    flips = np.zeros(points.shape[1])
    for first in range(0, len(points), length):
        for number in range(first + 1, first + length):
            moved = int(np.argmax(np.abs(points[number] - points[number - 1])))
            flips[moved] += meets[number] != meets[number - 1]
    shares: Floats = flips / (len(points) // length)
    return shares
