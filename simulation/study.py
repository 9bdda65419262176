"""Candidates × replications, paired.

Enters: a scenario and its candidates (`simulation.candidates`). Leaves: rows as they land, one a
replication, with a `RunResult` for each candidate: all candidates of a replication
see the same requests and are observed over one common interval, from the start to the moment the
last of them has settled.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from functools import partial

from joblib import cpu_count

from simulation.candidates import Candidate
from simulation.frame import Frame, frame_of
from simulation.results import RunResult
from simulation.run import Run
from simulation.scenario import Scenario
from simulation.workers import stop_workers, workers

_WORTH_PROCESSES_S = 2.0
"""So much work is worth the start of other processes."""

_LOOK_EVERY_S = 0.1


@dataclass(frozen=True)
class Row:
    """One replication: a result for each candidate, in their order."""

    replication: int
    runs: tuple[RunResult, ...]


def run_replication(
    scenario: Scenario,
    candidates: Sequence[Candidate],
    frame: Frame,
    replication: int,
    *,
    keep_requests: bool = False,
    engine: str = "auto",
) -> Row:
    """All candidates of one replication, over one common interval."""
    runs = [
        Run(one.applied_to(scenario), frame, replication, engine, keep_requests=keep_requests)
        for one in candidates
    ]
    end_s = max([run.settle() for run in runs])
    row = Row(replication, tuple(run.finish(end_s) for run in runs))
    for run in runs:
        run.close()
    return row


def run_rows(
    scenario: Scenario,
    candidates: Sequence[Candidate],
    *,
    jobs: int | None = None,
    apart: bool = False,
    keep_requests: bool = False,
    engine: str = "auto",
    stopped: Callable[[], bool] = lambda: False,
) -> Generator[Row, None, None]:
    """The study: rows as they land, in any order, simulated in processes of their own.

    Whatever ends it before its time ends the processes too, in the middle of a replication. What
    one process can do is done in this one, which cannot be ended so.

    Args:
        scenario: What is simulated; it says how many replications.
        candidates: What is compared, see `candidates_of`.
        jobs: How many processes; when left out one a core, or just this one for what it can do
            before others have started.
        apart: Whether even one is a process of its own, for a program that must stay answerable.
        keep_requests: Whether results carry every request.
        engine: One of `simulation.engines.ready.ENGINES`.
        stopped: Asked ten times a second, in the thread that waits for rows; ends the study.

    Raises:
        BadInput: The simulated interval meets a gap or the end of a trace.
    """
    frame = frame_of([one.applied_to(scenario) for one in candidates])
    run = partial(
        run_replication,
        scenario,
        candidates,
        frame,
        keep_requests=keep_requests,
        engine=engine,
    )
    replications = iter(range(scenario.replications))
    count = min(jobs or cpu_count(), scenario.replications)
    if count == 1 and not apart:
        yield from itertools.takewhile(lambda _: not stopped(), map(run, replications))
        return
    if jobs is None and not apart:
        for replication in replications:
            before_s = time.monotonic()
            yield run(replication)
            left_s = (time.monotonic() - before_s) * (scenario.replications - replication - 1)
            # The first one says nothing: it loads what all of them need.
            if stopped() or left_s == 0:
                return
            if replication > 0 and left_s > _WORTH_PROCESSES_S:
                break
    executor = workers(count)
    pending: set[Future[Row]] = set()
    try:
        while True:
            for replication in itertools.islice(replications, 2 * count - len(pending)):
                pending.add(executor.submit(run, replication))
            if not pending:
                return
            done, pending = wait(pending, _LOOK_EVERY_S, FIRST_COMPLETED)
            if stopped():
                return
            for future in done:
                yield future.result()
    finally:
        if pending:
            stop_workers()
