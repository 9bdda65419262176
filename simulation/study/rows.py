"""Candidates × replications, paired.

Enters: a scenario and its cases (`simulation.study.case`). Leaves: rows as they land, one a
replication, with a `RunResult` for each candidate: all candidates of a replication
see the same requests and are observed over one common interval, from the start to the moment the
last of them has settled.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass

from simulation.results.run_result import EngineName, RunResult
from simulation.scenario.model import Scenario
from simulation.study.case import Case, frame_of_cases
from simulation.study.running.places import Place, StudyControl, simulate_parts
from simulation.study.running.work import Part, Work
from simulation.study.store import Archive, Store


@dataclass(frozen=True)
class Row:
    """One replication: a result for each candidate, in their order.

    Attributes:
        replication: Its number.
        runs: The results.
        was_stored: Whether nothing had to be simulated for it.
    """

    replication: int
    runs: tuple[RunResult, ...]
    was_stored: bool = False


def run_rows(
    scenario: Scenario,
    cases: Sequence[Case],
    *,
    jobs: int | None = None,
    cluster: str | None = None,
    apart: bool = False,
    keep_requests: bool = False,
    engine: EngineName = EngineName.AUTO,
    store: Store | None = None,
    stopped: Callable[[], bool] = lambda: False,
    paused: Callable[[], bool] = lambda: False,
) -> Generator[Row, None, None]:
    """The study: rows as they land, in any order; those that are stored first.

    Whatever ends it before its time ends the processes too, in the middle of a replication.

    Args:
        scenario: What is simulated; it says how many replications.
        cases: What is compared, see `simulation.study.case.cases_of`.
        jobs: How many processes, see `simulation.study.running.places.Place`.
        cluster: The address of a scheduler whose workers simulate, likewise.
        apart: Whether even one process is not this one, likewise.
        keep_requests: Whether results carry every request; they are not stored then.
        engine: Which engine simulates.
        store: Where results are kept and looked for.
        stopped: Asked ten times a second, in the thread that waits for rows; ends the study.
        paused: Asked likewise; holds it up.

    Raises:
        BadInput: The simulated interval meets a gap or the end of a trace, the cluster cannot be used,
            or the store.
    """
    work = Work(tuple(cases), frame_of_cases(cases), engine, keep_requests)
    archive = Archive(work, store)
    indices = range(len(cases))
    parts = [archive.part(number, indices) for number in range(scenario.replications)]
    place, wishes = Place(jobs, cluster, apart), StudyControl(stopped, paused)
    for part, results, was_stored in run_parts(work, parts, archive, place, wishes):
        runs = tuple(results[index] for index in indices)
        yield Row(part.replication, runs, was_stored)


def run_parts(
    work: Work, parts: Iterable[Part], archive: Archive, place: Place, wishes: StudyControl
) -> Generator[tuple[Part, dict[int, RunResult], bool], None, None]:
    """The parts of a study with their results by candidate, and whether all of them were stored."""
    left = []
    for part in parts:
        end_s = part.common_end_s()
        if end_s is None:
            left.append(part)
            continue
        if wishes.stopped():
            return
        yield part, archive.stored(part, end_s), True
    for part, done in simulate_parts(work, left, place, wishes):
        yield part, archive.kept(part, done), False
