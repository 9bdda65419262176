"""Comparing both engines on one scenario, request by request."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from executor.base.errors import RollcastError
from simulation.results.run_result import EngineName, RunResult
from simulation.results.stretches import judge_stretches
from simulation.results.tally import TOTALS
from simulation.run import Run
from simulation.scenario.model import Scenario
from simulation.scenario.simulated_interval import frame_of


def ran(
    one: Scenario, engine: EngineName, replication: int = 0, *, keep_requests: bool = True
) -> tuple[Run, RunResult]:
    """Return a finished run and its result."""
    run = Run(one, frame_of([one]), replication, engine, keep_requests=keep_requests)
    run.settle()
    result, stretches = run.finish(run.alone_end_s()), run.stretches()
    judged = judge_stretches(stretches, run.request_ends(stretches.until_s))
    return run, replace(result, stretches=judged)


def difference(one: Scenario, replication: int = 0) -> str | None:
    """Return the first difference between the engines' results; None when there is none."""
    try:
        run, result = ran(one, EngineName.REFERENCE, replication)
    except RollcastError as error:
        try:
            ran(one, EngineName.COMPILED, replication)
        except RollcastError as other:
            return None if str(error) == str(other) else f"{error} | {other}"
        return f"only the reference says: {error}"
    other_run, other_result = ran(one, EngineName.COMPILED, replication)
    # A run that keeps no requests may serve many of them in one stretch: another code path.
    bare_run, bare_result = ran(one, EngineName.COMPILED, replication, keep_requests=False)
    return (
        _of_requests(run, other_run)
        or _of_results(result, other_result)
        or _of_tallies(run, other_run)
        or _of_results(result, bare_result)
        or _of_tallies(run, bare_run)
    )


def _of_requests(run: Run, other_run: Run) -> str | None:
    table, other_table = run._engine.table(), other_run._engine.table()
    if len(table.arrival_s) != len(other_table.arrival_s):
        return f"requests: {len(table.arrival_s)} and {len(other_table.arrival_s)}"
    for field in fields(table):
        mine, theirs = getattr(table, field.name), getattr(other_table, field.name)
        both_nan = np.isnan(mine) & np.isnan(theirs)
        bad = np.flatnonzero((mine != theirs) & ~both_nan)
        if len(bad):
            k = bad[0]
            return f"{field.name} of request {k}: {mine[k]} and {theirs[k]}; {len(bad)} in all"
    return None


def _of_results(result: RunResult, other: RunResult) -> str | None:
    for name in (
        "ended",
        "states",
        "failures",
        "waits",
        "critical_path",
        "metrics",
        "requests",
        "losses",
        "stretches",
    ):
        mine, theirs = getattr(result, name), getattr(other, name)
        if mine != theirs:
            return f"{name}: {mine} and {theirs}"
    for name, series in result.series.items():
        if not np.array_equal(series, other.series[name], equal_nan=True):
            return f"series {name}"
    return None


def _of_tallies(run: Run, other_run: Run) -> str | None:
    tally, other_tally = run._engine.tally(), other_run._engine.tally()
    for name in TOTALS:
        if tally[name] != other_tally[name]:
            return f"total {name}: {tally[name]} and {other_tally[name]}"
    for name in ("latency", "wait", "bins", "bin_latency"):
        if not np.array_equal(getattr(tally, name), getattr(other_tally, name)):
            return f"the tally's {name}"
    return None
