"""Candidates × replications, paired.

Enters: a scenario and what to vary (windows, drain timeouts, starts, advances). Leaves: rows as
they land, one a replication, with a `RunResult` for each candidate: all candidates of a replication
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

from executor.dialects.kubernetes import window_count
from executor.errors import BadInput
from simulation.frame import Frame, frame_of
from simulation.results import RunResult
from simulation.run import Run
from simulation.scenario import Scenario
from simulation.scenario_rollout import ALL_AT_ONCE, Rollout
from simulation.traffic import clock_label
from simulation.workers import stop_workers, workers

_WORTH_PROCESSES_S = 2.0
"""So much work is worth the start of other processes."""

_LOOK_EVERY_S = 0.1


@dataclass(frozen=True)
class Candidate:
    """One way to roll: what is varied in a comparison.

    Attributes:
        window: Instances under way at once, of the first service that is rolled.
        written: The window as it is applied to every service: a percentage where there are several.
        advance: ``sliding`` or ``batch``.
        drain_timeout_s: How long a drain may take.
        start: ``clock.start`` as a file says it.
        start_label: The start as a clock shows it.
    """

    window: int
    written: int | str
    advance: str
    drain_timeout_s: float
    start: float | str
    start_label: str

    def applied_to(self, scenario: Scenario) -> Scenario:
        """The scenario with this candidate in the place of what it says itself."""
        clock = scenario.clock.model_copy(update={"start": self.start})
        if scenario.rollout is None:
            return scenario.model_copy(update={"clock": clock})
        drain = scenario.rollout.drain.model_copy(update={"timeout": self.drain_timeout_s})
        rollout = scenario.rollout.model_copy(
            update={"window": self.written, "advance": self.advance, "drain": drain}
        )
        return scenario.model_copy(update={"clock": clock, "rollout": rollout})


@dataclass(frozen=True)
class Row:
    """One replication: a result for each candidate, in their order."""

    replication: int
    runs: tuple[RunResult, ...]


def candidates_of(
    scenario: Scenario,
    windows: Sequence[int | str] = (),
    drain_timeouts_s: Sequence[float] = (),
    starts: Sequence[float | str] = (),
    advances: Sequence[str] = (),
) -> tuple[Candidate, ...]:
    """Every combination; what is left empty is as the scenario says.

    Raises:
        BadInput: A window does not fit the fleet, a start does not fit the traffic, or something
            is to be varied in a scenario without a rollout.
    """
    rule = scenario.rollout
    if rule is None:
        if windows or drain_timeouts_s or advances:
            raise BadInput(f"{scenario.name}: rollout: is missing, there is no window to compare")
        rule = Rollout()
    found: dict[Candidate, None] = {}
    for start, window, advance, timeout_s in itertools.product(
        starts or (scenario.clock.start,),
        windows or (rule.window,),
        advances or (rule.advance,),
        drain_timeouts_s or (rule.drain.timeout,),
    ):
        count = _window_everywhere(scenario, window)
        written = window if len(scenario.rolled_services()) > 1 else count
        label = _start_label(scenario, start)
        found[Candidate(count, written, advance, timeout_s, start, label)] = None
    return tuple(found)


def _window_everywhere(scenario: Scenario, window: int | str) -> int:
    """The window's count at the first service; it must fit every one that has none of its own."""
    if scenario.rollout is None:
        return window_count(window, scenario.service.instance_count)
    rule = scenario.rollout.model_copy(update={"window": window})
    asked = scenario.model_copy(update={"rollout": rule})
    counts = {name: asked.window_count(name) for name in asked.rolled_services()}
    return counts[scenario.service_name]


def default_windows(scenario: Scenario) -> tuple[int, ...]:
    """Windows worth comparing: powers of two up to half the smallest fleet, and the scenario's own.

    Where the strategy has no window, or every service has its own, there is nothing to vary.
    """
    varied = [
        name
        for name in scenario.rolled_services()
        if not scenario.has_own(name, "window") and not _rolls_at_once(scenario, name)
    ]
    if not varied:
        return (scenario.window_count(),)
    smallest = min(scenario.services[name].instance_count for name in varied)
    powers = {1 << k for k in range(smallest.bit_length()) if 1 << k <= max(1, smallest // 2)}
    return tuple(sorted(powers | {min(scenario.window_count(name) for name in varied)}))


def _rolls_at_once(scenario: Scenario, service: str) -> bool:
    rule = scenario.rule(service)
    return rule is not None and rule.strategy in ALL_AT_ONCE


def _start_label(scenario: Scenario, start: float | str) -> str:
    moved = scenario.model_copy(
        update={"clock": scenario.clock.model_copy(update={"start": start})}
    )
    try:
        return clock_label(moved.start_s(), scenario.rates().first_row)
    except ValueError as error:
        raise BadInput(f"{scenario.name}: clock.start: {start}: {error}") from None


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
