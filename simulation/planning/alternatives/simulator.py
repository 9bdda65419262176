"""The runs of the search for changes: simulated once each, within a budget, until it is stopped."""

from __future__ import annotations

from collections.abc import Callable

from executor.base.canonical_json import digest_of
from simulation.estimates.overload import find_endless_overload
from simulation.planning.alternatives.model import LIMITS
from simulation.planning.search import Simulate, without_drawings
from simulation.results.run_result import RunResult
from simulation.scenario.limit_rules import expected_requests
from simulation.scenario.model import Scenario
from simulation.scenario.simulated_interval import expected_run_s
from simulation.study.candidate_result import CandidateResult, candidate_result
from simulation.study.case import Case, frame_of_cases
from simulation.study.cells import Cell
from simulation.study.execution import Execution
from simulation.study.statistics.proportions import fewest_runs

BUDGET_TIMES = 40
"""Maximum number of runs, as a multiple of the fewest that could show the objectives (59 at 95 %/95 %)."""

BUDGET_REQUESTS = 2_000_000_000
"""Maximum number of expected requests in all runs: about six minutes of one core with the compiled engine."""

ProgressCallback = Callable[[str, int, int], None]
"""Is called with the kind of change, the number of runs so far, and their maximum."""


class Stopped(Exception):
    """The search was stopped by its caller."""


class BudgetSpent(Exception):
    """The next runs would exceed the budget."""


class Simulator:
    """Simulates cases and keeps their runs. A relaxed limit changes no run, so it costs none.

    Attributes:
        task: What the runs are for, as progress is reported.
        runs_count: Number of runs so far.
        budget_runs: Maximum number of runs.
    """

    def __init__(
        self,
        scenario: Scenario,
        execution: Execution,
        simulate: Simulate,
        on_progress: ProgressCallback,
    ) -> None:
        objectives = scenario.objectives
        self.task = "changes"
        self.runs_count = 0
        self.budget_runs = BUDGET_TIMES * fewest_runs(objectives.in_runs, objectives.confidence)
        self._execution, self._simulate, self._report = execution, simulate, on_progress
        self._runs: dict[str, list[RunResult]] = {}
        self._requests_count = 0.0

    def simulate(self, case: Case, until: int) -> CandidateResult:
        """Return the result of a case over its first ``until`` replications.

        Raises:
            BudgetSpent: The missing runs would exceed the budget.
            Stopped: The caller has stopped the search.
        """
        runs = self._runs.setdefault(_simulated_part(case.scenario), [])
        if len(runs) < until:
            self._spend(case, until - len(runs))
            runs += self._new_runs(case, range(len(runs), until))
        return candidate_result(case, tuple(runs[:until]))

    def _spend(self, case: Case, count: int) -> None:
        requests_count = count * expected_requests(case.scenario, *expected_run_s(case.scenario))
        if (
            self.runs_count + count > self.budget_runs
            or self._requests_count + requests_count > BUDGET_REQUESTS
        ):
            raise BudgetSpent
        self._requests_count += requests_count

    def _new_runs(self, case: Case, replications: range) -> list[RunResult]:
        cells = [Cell(case, replication) for replication in replications]
        results: dict[Cell, RunResult] = {}
        if self.runs_count == 0:
            self._report(self.task, 0, self.budget_runs)
        for cell, run in self._simulate(cells, frame_of_cases([case]), self._execution):
            results[cell] = without_drawings(run)
            self.runs_count += 1
            self._report(self.task, self.runs_count, self.budget_runs)
            if self._execution.is_stopped():
                raise Stopped
        if len(results) < len(cells):
            raise Stopped
        return [results[cell] for cell in cells]


def _simulated_part(scenario: Scenario) -> str:
    """Return a digest of all that a run depends on: limits only judge it.

    Nothing is simulated of an endless overload, and the limit of errors says what counts as one.
    """
    without = dict.fromkeys(objective.value for objective in LIMITS.values())
    objectives = scenario.objectives.model_copy(update=without)
    data = scenario.model_copy(update={"objectives": objectives, "replications": 1}).as_data()
    is_simulated = find_endless_overload(scenario) is None
    return digest_of({"scenario": data, "is_simulated": is_simulated})
