"""Sensitivity: which assumptions of a scenario the answer depends on most.

Assumptions are ranked by how far the answer moves when each is wrong by the same factor: Morris'
elementary effects (Technometrics 33, 1991), with the mean of their sizes μ* (Campolongo, Cariboni and
Saltelli, 2007), along trajectories by SALib. Trajectories are added until bootstrap intervals tell
neighbouring ranks apart, see `TRAJECTORIES`.

The analysed figure is the one nearest to its limit: the highest of duration, p99 and share of errors,
each over its objective, in the mean over paired runs. Without any such objective it is the p99. Its
logarithm is analysed, so that an effect is a factor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

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
"""Factor by which each assumption may be wrong, upwards and downwards."""

LEVELS, RUNS = 4, 8
"""Morris' p, and the number of paired runs per point."""

TRAJECTORIES = (10, 20, 40)
"""Morris' r: numbers of trajectories after which the ranks are looked at. The last one is the maximum,
(assumptions + 1)·40·8 runs in all."""

RESAMPLES = 2000
"""Number of bootstrap resamples of the trajectories."""

APART = 0.99
"""Confidence with which one effect is shown to be larger than the next, at each of three looks."""

SAME_FACTOR = 1.02
"""Factor up to which effects count as none, so that no trajectory is spent on ranking them."""

_NOTHING = 0.01
"""Minimum ratio of a figure to its limit: a lower ratio, or 0, has no logarithm worth comparing."""

_NEVER = 100.0
"""Ratio to the limit that a rollout that does not end counts as."""


@dataclass(frozen=True)
class Effect:
    """How far one assumption moves the answer.

    Attributes:
        key: Key of the assumption.
        factor: Mean factor between the deciding figure at both ends of the assumption's range.
        factor_low: Lower end of the bootstrapped 95 % interval of this factor.
        factor_high: Upper end of this interval.
        rises: Whether the figure grows with the assumption.
        flips_fraction: Share of the steps in this assumption alone at which the answer changed.
        is_apart: Whether this effect is shown to be larger than the next one, see `APART`.
            The last one has none to be larger than, and is not.
    """

    key: str
    factor: float
    factor_low: float
    factor_high: float
    rises: bool
    flips_fraction: float
    is_apart: bool


@dataclass(frozen=True)
class Sensitivity:
    """The effects of all assumptions of a scenario, the largest first.

    Attributes:
        scenario: The analysed scenario.
        effects: The effects.
        judged_by: The figures that objectives limit; the one nearest to its limit counts.
        meeting_fraction: Share of all points at which the objectives were met.
        runs_count: Number of runs of the analysis.
        trajectories_count: Number of trajectories that were simulated.
    """

    scenario: Scenario
    effects: tuple[Effect, ...]
    judged_by: tuple[str, ...]
    meeting_fraction: float
    runs_count: int
    trajectories_count: int

    def ties(self) -> list[tuple[str, ...]]:
        """Return the groups of assumptions, in their order, whose ranks are not told apart."""
        groups: list[list[str]] = []
        for place, effect in enumerate(self.effects):
            if place and not self.effects[place - 1].is_apart:
                groups[-1].append(effect.key)
            else:
                groups.append([effect.key])
        return [tuple(group) for group in groups if len(group) > 1]

    def to_json(self) -> dict[str, object]:
        """Return the analysis as ``rollcast sensitivity --json`` prints it."""
        return {
            "schema": "rollcast.sensitivity/1",
            "scenario": self.scenario.name,
            "scenario_digest": digest_of(self.scenario.as_data()),
            "seed": self.scenario.seed,
            "off_by": OFF_BY,
            "judged_by": list(self.judged_by),
            "meeting_fraction": self.meeting_fraction,
            "runs": self.runs_count,
            "trajectories": self.trajectories_count,
            "ties": self.ties(),
            "effects": [vars(effect) for effect in self.effects],
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
    """Rank the assumptions of a scenario.

    Args:
        scenario: The scenario of one way to roll.
        execution: Where and how to simulate.
        simulate: What simulates cells.
        on_progress: Called with what is being done, how many points are done, and of how many.

    Raises:
        BadInput: The simulated interval meets a gap or the end of a trace.
    """
    # SALib takes a second to load
    from SALib.sample import morris as sampling  # noqa: PLC0415

    assumptions = assumptions_of(scenario)
    problem = {
        "num_vars": len(assumptions),
        "names": [assumption.key for assumption in assumptions],
        "bounds": [[-math.log(OFF_BY), math.log(OFF_BY)]] * len(assumptions),
    }
    points: Floats = sampling.sample(
        problem, TRAJECTORIES[-1], num_levels=LEVELS, seed=scenario.seed
    )
    varied = [_vary(scenario, assumptions, point) for point in points]
    frame = _frame_of_all([scenario, *varied])
    sizes, meets = np.empty(len(points)), np.empty(len(points), dtype=bool)
    length = len(assumptions) + 1
    done = 0
    for count in TRAJECTORIES:
        until = count * length
        for number in range(done, until):
            on_progress("points of the analysis", number, until)
            [case] = cases_of(varied[number])
            cells = [Cell(case, replication) for replication in range(RUNS)]
            runs = [run for _cell, run in simulate(cells, frame, execution)]
            sizes[number] = math.log(_highest_ratio(scenario, runs))
            judged = verdict(varied[number], runs)
            meets[number] = judged.runs_meeting >= scenario.objectives.in_runs * judged.runs
        done = until
        ranking = _rank(elementary_effects(points[:done], sizes[:done]), scenario.seed)
        if ranking.is_settled:
            break
    flips = _flips(points[:done], meets[:done])
    effects = [
        Effect(
            key=assumptions[k].key,
            factor=math.exp(ranking.star[k]),
            factor_low=math.exp(ranking.low[k]),
            factor_high=math.exp(ranking.high[k]),
            rises=bool(ranking.mean[k] > 0),
            flips_fraction=float(flips[k]),
            is_apart=is_apart,
        )
        for k, is_apart in zip(ranking.order, [*ranking.is_apart, False], strict=True)
    ]
    return Sensitivity(
        scenario=scenario,
        effects=tuple(effects),
        judged_by=tuple(name for name, _figure, _limit in _limits(scenario)),
        meeting_fraction=float(meets[:done].mean()),
        runs_count=RUNS * done,
        trajectories_count=done // length,
    )


def elementary_effects(points: Floats, sizes: Floats) -> Floats:
    """Return Morris' elementary effects over the whole range, shape (trajectories, assumptions).

    Each point of a trajectory differs from the previous one in one assumption. Its effect is the change
    of the figure, scaled from the step to the assumption's range.

    Args:
        points: The points of all trajectories, shape (trajectories·(assumptions + 1), assumptions).
        sizes: The figure at each point.
    """
    count = points.shape[1]
    steps = np.diff(points.reshape(-1, count + 1, count), axis=1)
    changes = np.diff(sizes.reshape(-1, count + 1), axis=1)
    moved = np.abs(steps).argmax(axis=2)
    step = np.take_along_axis(steps, moved[:, :, None], axis=2)[:, :, 0]
    effects = np.empty_like(changes)
    np.put_along_axis(effects, moved, changes / step * 2 * math.log(OFF_BY), axis=1)
    return effects


@dataclass(frozen=True)
class _Ranking:
    """The assumptions by the size of their effects.

    Attributes:
        order: The assumptions, the largest effect first.
        star: Mean size of each assumption's effects (μ*), as a logarithm.
        low: Lower end of its bootstrapped 95 % interval.
        high: Upper end of it.
        mean: Mean of the effects with their sign (μ).
        is_apart: Whether each rank is larger than the next, by the interval of their difference.
        is_settled: Whether all ranks that matter are apart.
    """

    order: list[int]
    star: Floats
    low: Floats
    high: Floats
    mean: Floats
    is_apart: list[bool]
    is_settled: bool


def _rank(effects: Floats, seed: int) -> _Ranking:
    """Rank assumptions by their elementary effects.

    Whole trajectories are resampled, so differences between two assumptions are paired by trajectory.
    """
    sizes = np.abs(effects)
    star = sizes.mean(axis=0)
    order = [int(k) for k in np.argsort(-star, kind="stable")]
    count = len(sizes)
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), RESAMPLES)
    means = drawn @ sizes / count
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    is_apart = [
        bool(np.quantile(means[:, larger] - means[:, smaller], 1 - APART) > 0)
        for larger, smaller in pairwise(order)
    ]
    matters = [high[larger] > math.log(SAME_FACTOR) for larger in order[:-1]]
    is_settled = all(apart for apart, does in zip(is_apart, matters, strict=True) if does)
    return _Ranking(order, star, low, high, effects.mean(axis=0), is_apart, is_settled)


def _vary(scenario: Scenario, assumptions: Sequence[Assumption], point: Floats) -> Scenario:
    """Return the scenario with each assumption multiplied by its factor, given by its logarithm."""
    for assumption, log_factor in zip(assumptions, point, strict=True):
        scenario = assumption.off_by(scenario, math.exp(float(log_factor)))
    return scenario


def _frame_of_all(scenarios: Sequence[Scenario]) -> SimulatedInterval:
    """Return one simulated time for all scenarios, so that their runs stay paired."""
    frames = [frame_of([scenario]) for scenario in scenarios]
    return SimulatedInterval(
        warm_up_s=max(frame.warm_up_s for frame in frames),
        horizon_s=max(frame.horizon_s for frame in frames),
        exact=frames[0].exact,
        bin_s=frames[0].bin_s,
        over_s=frames[0].over_s,
    )


def _limits(scenario: Scenario) -> list[tuple[str, str, float]]:
    """Return the figures that decide: a word, the metric and its limit for each."""
    limits = scenario.objectives
    asked = [
        ("duration", "rollout_duration_s", limits.duration),
        ("p99", "rollout_latency_p99_s", limits.latency_p99),
        ("errors", "rollout_error_fraction", limits.error_fraction),
    ]
    limited = [(word, name, limit) for word, name, limit in asked if limit]
    return limited or [("p99", "rollout_latency_p99_s", 1.0)]


def _highest_ratio(scenario: Scenario, runs: Sequence[RunResult]) -> float:
    """Return the highest ratio of a figure to its limit, each in the mean over runs."""
    ratios = [_NOTHING]
    for _word, name, limit in _limits(scenario):
        values = [
            _NEVER if run.ended != Ending.DONE else (run.metrics[name] or 0.0) / limit
            for run in runs
        ]
        ratios.append(sum(values) / len(values))
    return max(ratios)


def _flips(points: Floats, meets: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Floats:
    """Return for each assumption the share of steps in this assumption alone that change the answer.

    A trajectory is a series of points, each of which differs from the previous in one assumption.
    """
    length = points.shape[1] + 1
    flips = np.zeros(points.shape[1])
    for first in range(0, len(points), length):
        for number in range(first + 1, first + length):
            moved = int(np.argmax(np.abs(points[number] - points[number - 1])))
            flips[moved] += meets[number] != meets[number - 1]
    shares: Floats = flips / (len(points) // length)
    return shares
