"""Rows: all cases of a study in one replication, paired.

All cases of a replication see the same requests and are observed over one common interval, from the
start to the moment at which the last of them has settled.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass

from simulation.results.run_result import RunResult
from simulation.scenario.model import Scenario
from simulation.study.case import Case, frame_of_cases
from simulation.study.control import controls_of
from simulation.study.execution import DEFAULT_EXECUTION, Execution
from simulation.study.running.places import simulate_parts
from simulation.study.running.shared_runs import SharedRuns, share_runs
from simulation.study.running.work import Part, Work
from simulation.study.statistics.number_of_runs import planned_runs
from simulation.study.store import Archive, ResultDeleted


@dataclass(frozen=True)
class Row:
    """One replication: a result for each case, in the order of the cases.

    Attributes:
        replication: Number of the replication.
        runs: The results.
        was_stored: Whether all results were stored, so that nothing was simulated.
        controls: The results without a rollout, in the order of `simulation.study.control.Controls`:
            one for each start; none where the scenario has no rollout.
    """

    replication: int
    runs: tuple[RunResult, ...]
    was_stored: bool = False
    controls: tuple[RunResult, ...] = ()


def run_rows(
    scenario: Scenario,
    cases: Sequence[Case],
    execution: Execution = DEFAULT_EXECUTION,
    *,
    keep_requests: bool = False,
) -> Generator[Row, None, None]:
    """Simulate a study and yield its rows as they are ready, in any order; stored rows come first.

    Cases that are equal in effect share their runs. Closing the generator ends the processes too, in the
    middle of a replication.

    Args:
        scenario: The study's scenario.
        cases: What is compared, see `simulation.study.case.cases_of`.
        execution: Where and how to simulate.
        keep_requests: Whether results carry every request; such results are not stored.

    Raises:
        BadInput: The simulated interval meets a gap or the end of a trace, or the cluster or the
            store cannot be used.
    """
    shared = share_runs(cases)
    work = Work(shared.cases, frame_of_cases(cases), execution.engine, keep_requests)
    archive = Archive(work, execution.store)
    count = planned_runs(scenario, cases).count
    indices = range(len(shared.cases))
    controls = range(len(indices), len(indices) + len(work.controls.each))
    control_places = _control_places(cases, shared, work)
    parts = [archive.part(number, indices, controls) for number in range(count)]
    for part, results, was_stored in run_parts(work, parts, archive, execution):
        runs = tuple(results[place] for place in shared.places)
        without = tuple(results[place] for place in control_places)
        yield Row(part.replication, runs, was_stored, without)


def _control_places(cases: Sequence[Case], shared: SharedRuns, work: Work) -> tuple[int, ...]:
    """Return where the runs of each control of the cases stand among the results of a part."""
    places = []
    for control in controls_of(cases).each:
        place = work.controls.of_case[shared.places[cases.index(control.case)]]
        assert place is not None
        places.append(len(shared.cases) + place)
    return tuple(places)


def run_parts(
    work: Work, parts: Iterable[Part], archive: Archive, execution: Execution
) -> Generator[tuple[Part, dict[int, RunResult], bool], None, None]:
    """Simulate parts; yield each with its results by case, and whether all of them were stored."""
    left: list[Part] = []
    afresh: dict[Part, Part] = {}
    for part in parts:
        end_s = part.common_end_s()
        if end_s is None:
            left.append(part)
            continue
        if execution.is_stopped():
            return
        try:
            results = archive.stored(part, end_s)
        except ResultDeleted:
            afresh[part.afresh()] = part
            continue
        yield part, results, True
    for part, done in simulate_parts(work, left, execution):
        try:
            results = archive.keep(part, done)
        except ResultDeleted:
            afresh[part.afresh()] = part
            continue
        yield part, results, False
    for part, done in simulate_parts(work, list(afresh), execution):
        yield afresh[part], archive.keep(part, done), False
