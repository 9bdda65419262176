"""Simulation of changes of a candidate, on the draws of its own runs or on fresh seeds."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from executor.base.errors import BadInput
from simulation.results.run_result import RunResult
from simulation.scenario.model import Scenario
from simulation.scenario.simulated_interval import SimulatedInterval
from simulation.study.case import Case, cases_of, frame_of_cases
from simulation.study.cells import Cell, run_cells
from simulation.study.execution import Execution
from simulation.study.statistics.proportions import (
    clopper_pearson,
    confirmation_confidence,
    confirmation_runs,
    fresh_seed,
)
from simulation.study.verdict import verdict
from simulation.study.why.missed import meets

TRIAL_RUNS = 12
"""Maximum number of runs in which a change is tried."""

_FIRST_RUNS = 3
"""Number of runs after which a change that helps in none of them is given up."""

_MEETING_SHARE = 0.75
"""A change helps where at least this share of the runs, which all missed the objectives, meets them.

Not all of them: what the fleet breaks by chance, it may still break in some."""

SCREEN_RUNS = 60
"""Number of runs in which a change must meet before it is confirmed."""

_SPENT_SHARE = 0.2
"""Share of the runs that may miss the objectives that a change may use up in its screening.

A change that only just meets would often not be shown to meet in the next study."""

_POWER, _MOST_CONFIRMING_RUNS = 0.75, 200
"""How probably a confirmation of a change that meets succeeds, and its maximum number of runs."""

_SEED_NUMBER = 1_000
"""Number of the first fresh seed of remedies; a search confirms with the first few numbers."""


@dataclass(frozen=True)
class FreshRuns:
    """A change that meets the objectives on a fresh seed: number of runs, how many meet, the seed."""

    runs: int
    runs_meeting: int
    seed: int


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

    def screen(self, changed: Scenario) -> int | None:
        """Simulate a changed candidate in the first `SCREEN_RUNS` replications of its study.

        Return how many runs meet the objectives; None as soon as too few of them can. The replications
        that missed the objectives come first, because they refute a change that does not help.
        """
        try:
            [case] = cases_of(changed)
            frame = self._frame_for(case)
            most = int((1 - changed.objectives.in_runs) * SCREEN_RUNS * _SPENT_SHARE)
            others = [k for k in range(SCREEN_RUNS) if k not in self._replications]
            order, meeting, done = [*self._replications, *others][:SCREEN_RUNS], 0, 0
            for first, last in itertools.pairwise((0, _FIRST_RUNS, TRIAL_RUNS, 30, SCREEN_RUNS)):
                runs = self._simulate(case, frame, order[first:last])
                done += len(runs)
                meeting += sum(meets(case.scenario, run) for run in runs)
                if done < last or done - meeting > most:
                    return None
        except BadInput:
            return None
        return meeting

    def confirm(self, changed: Scenario, screened: int, number: int) -> FreshRuns | None:
        """Simulate a changed candidate on a fresh seed; return the result where it meets, else None.

        The number of runs is fixed before the first of them. All confirmations of a candidate share
        the error probability.

        Args:
            changed: The changed candidate.
            screened: How many of `SCREEN_RUNS` runs met the objectives.
            number: Number of the confirmation, from 1.
        """
        objectives, seed = changed.objectives, fresh_seed(changed.seed, _SEED_NUMBER + number)
        confidence = confirmation_confidence(objectives.confidence, number)
        count = confirmation_runs(
            screened,
            SCREEN_RUNS,
            objectives.in_runs,
            confidence,
            power=_POWER,
            most=_MOST_CONFIRMING_RUNS,
        )
        [case] = cases_of(changed.model_copy(update={"seed": seed}))
        runs = self._simulate(case, self._frame_for(case), range(count))
        meeting = sum(meets(case.scenario, run) for run in runs)
        if len(runs) < count:
            return None
        lower, _upper = clopper_pearson(meeting, count, confidence)
        if lower < objectives.in_runs or verdict(case.scenario, runs).answer == "fails":
            return None
        return FreshRuns(count, meeting, seed)

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
    meeting = sum(meets(scenario, run) for run in runs)
    return bool(runs) and meeting >= _MEETING_SHARE * len(runs)
