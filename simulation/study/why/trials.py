"""Simulation of changes of a candidate, on the draws of its own runs or on fresh seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from executor.base.errors import BadInput
from simulation.results.run_result import RunResult
from simulation.scenario.model import Scenario
from simulation.scenario.simulated_interval import SimulatedInterval
from simulation.study.case import Case, cases_of, frame_of_cases
from simulation.study.cells import Cell, run_cells
from simulation.study.execution import Execution
from simulation.study.statistics import confirmation_confidence, fewest_runs, fresh_seed
from simulation.study.verdict import verdict
from simulation.study.why.missed import meets

TRIAL_RUNS = 12
"""Maximum number of runs in which a change is tried."""

_FIRST_RUNS = 3
"""Number of runs after which a change that helps in none of them is given up."""

_MEETING_SHARE = 0.75
"""A change helps where at least this share of the runs, which all missed the objectives, meets them.

Not all of them: what the fleet breaks by chance, it may still break in some."""

_SEED_NUMBER = 1_000
"""Number of the first fresh seed of remedies; a search confirms with the first few numbers."""


class Trials:
    """The runs in which changes of one candidate are tried.

    Every change is simulated with the warm-up of the candidate, so that its requests are the same.
    """

    def __init__(
        self, frame: SimulatedInterval, replications: Sequence[int], execution: Execution
    ) -> None:
        """Prepare the trials.

        Args:
            frame: The simulated time around the rollout in the candidate's own study.
            replications: The replications of the study in which changes are tried.
            execution: Where and how to simulate.
        """
        self._frame, self._execution = frame, execution
        self._replications = tuple(replications)[:TRIAL_RUNS]

    def try_change(self, changed: Scenario) -> list[RunResult]:
        """Simulate a changed candidate; return its runs, only the first few where none of these meets.

        A change that the rules of a study refuse, and one of a study that was stopped, has no run.
        """
        try:
            [case] = cases_of(changed)
            frame = self._frame_for(case)
            first, rest = self._replications[:_FIRST_RUNS], self._replications[_FIRST_RUNS:]
            runs = self._simulate(case, frame, first)
            if rest and any(meets(case.scenario, run) for run in runs):
                runs += self._simulate(case, frame, rest)
        except BadInput:
            return []
        return runs

    def confirm(self, changed: Scenario, number: int) -> tuple[int, int] | None:
        """Simulate a changed candidate on a fresh seed; return the number of runs, and the seed.

        All confirmations of a candidate share the error probability. The result is None where a run
        misses the objectives; the rest is then not simulated.

        Args:
            changed: The changed candidate.
            number: Number of the confirmation, from 1.
        """
        objectives, seed = changed.objectives, fresh_seed(changed.seed, _SEED_NUMBER + number)
        confidence = confirmation_confidence(objectives.confidence, number)
        count = fewest_runs(objectives.in_runs, confidence)
        [case] = cases_of(changed.model_copy(update={"seed": seed}))
        frame = self._frame_for(case)
        runs: list[RunResult] = []
        for first, last in ((0, min(10, count)), (10, count)):
            runs += self._simulate(case, frame, range(first, last))
            if len(runs) < last or not all(meets(case.scenario, run) for run in runs):
                return None
        return (count, seed) if verdict(case.scenario, runs).answer == "meets" else None

    def _frame_for(self, case: Case) -> SimulatedInterval:
        own = frame_of_cases([case])
        horizon_s = own.horizon_s if own.exact else max(own.horizon_s, self._frame.horizon_s)
        return replace(self._frame, horizon_s=horizon_s, exact=own.exact)

    def _simulate(
        self, case: Case, frame: SimulatedInterval, replications: Sequence[int]
    ) -> list[RunResult]:
        cells = [Cell(case, replication) for replication in replications]
        runs = dict(run_cells(cells, frame, self._execution))
        return [runs[cell] for cell in cells if cell in runs]


def helps(scenario: Scenario, runs: Sequence[RunResult]) -> bool:
    """Return whether a change helps, by its runs in replications that missed the objectives."""
    return bool(runs) and meeting_share(scenario, runs) >= _MEETING_SHARE


def meeting_share(scenario: Scenario, runs: Sequence[RunResult]) -> float:
    """Return the fraction of the runs (at least one) that meet the objectives."""
    return sum(meets(scenario, run) for run in runs) / len(runs)
