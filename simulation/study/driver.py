"""A study from its first row to its comparison, for the command line and the window alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from simulation.results.run_result import RunResult
from simulation.scenario.model import Scenario
from simulation.study.case import Case
from simulation.study.compare import Comparison, compare
from simulation.study.confirmation import SimulateRuns, confirm_best
from simulation.study.execution import Execution
from simulation.study.rows import Row, run_rows
from simulation.study.statistics.number_of_runs import planned_runs
from simulation.study.store import ProblemCallback, Store, log_problem
from simulation.study.time_left import Eta, Throttle

COMPARED_EVERY_S = 0.5
"""Minimum time, in seconds, between two comparisons of the rows so far."""


def run_study(
    scenario: Scenario,
    cases: Sequence[Case],
    execution: Execution,
    *,
    stored_beside: Path | None = None,
    on_problem: ProblemCallback = log_problem,
    keep_requests: bool = False,
    on_progress: Callable[[Eta], None] = lambda eta: None,
    on_comparison: Callable[[Comparison, Eta], None] | None = None,
) -> tuple[Comparison | None, list[Row]]:
    """Simulate every replication of a study; return the comparison and its rows.

    The best of several candidates that meet is then confirmed on a fresh seed. The comparison is
    None when the study was stopped before it was complete.

    Args:
        scenario: The study's scenario.
        cases: What is compared.
        execution: Where and how to simulate.
        stored_beside: The scenario's file, beside which results are looked for and kept; None to
            use the store of the execution.
        on_problem: Called with the reason when results cannot be stored any more; the study goes on.
        keep_requests: Whether results carry every request; such results are not stored.
        on_progress: Called once before the first row and after each row; in the same way for the
            runs of each confirmation.
        on_comparison: Called with the comparison of the rows so far: after the first row, then at
            most every `COMPARED_EVERY_S`, never with all rows.

    Raises:
        BadInput: The simulated interval meets a gap or the end of a trace, or the cluster or the
            store cannot be used.
    """
    rows: list[Row] = []
    planned = planned_runs(scenario, cases)
    eta, throttle = Eta(planned.count), Throttle(COMPARED_EVERY_S)
    on_progress(eta)
    with (
        nullcontext() if stored_beside is None else Store.beside(stored_beside, on_problem) as store
    ):
        if store is not None:
            execution = replace(execution, store=store)
        for row in run_rows(scenario, cases, execution, keep_requests=keep_requests):
            rows.append(row)
            eta.record_result(was_stored=row.was_stored)
            on_progress(eta)
            is_last = len(rows) == planned.count
            if on_comparison is not None and not is_last and throttle.is_due():
                on_comparison(compare(scenario, cases, rows), eta)
                throttle.restart()
        if execution.is_stopped():
            return None, rows
        comparison = compare(scenario, cases, rows)
        try:
            return confirm_best(comparison, _simulation_by_rows(execution, on_progress)), rows
        except _StoppedError:
            return None, rows


class _StoppedError(Exception):
    """The study was stopped during a confirmation."""


def _simulation_by_rows(execution: Execution, on_progress: Callable[[Eta], None]) -> SimulateRuns:
    """Return a function that simulates a case by rows, which are stored."""

    def simulate(case: Case) -> list[RunResult]:
        eta = Eta(planned_runs(case.scenario, [case]).count, is_confirmation=True)
        on_progress(eta)
        rows = []
        for row in run_rows(case.scenario, [case], execution):
            rows.append(row)
            eta.record_result(was_stored=row.was_stored)
            on_progress(eta)
        if execution.is_stopped():
            raise _StoppedError
        return [row.runs[0] for row in sorted(rows, key=lambda row: row.replication)]

    return simulate
