"""Candidates × replications, paired.

Enters: a scenario and what to vary (windows, drain timeouts, starts, advances). Leaves: rows as
they land, one a replication, with a `RunResult` for each candidate: all candidates of a replication
see the same requests and are observed over one common interval, from the start to the moment the
last of them has settled.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass

from joblib import cpu_count

from executor.dialects.kubernetes import window_count
from executor.errors import BadInput
from simulation.results import RunResult
from simulation.run import SETTLING_S, Frame, Run
from simulation.scenario import Scenario
from simulation.scenario_rollout import Rollout
from simulation.traffic import clock_label
from simulation.workers import stop_workers, workers

_BIN_WIDTHS_S = (1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
_LOOK_EVERY_S = 0.1


@dataclass(frozen=True)
class Candidate:
    """One way to roll: what is varied in a comparison.

    Attributes:
        window: Instances under way at once.
        advance: ``sliding`` or ``batch``.
        drain_timeout_s: How long a drain may take.
        start: ``clock.start`` as a file says it.
        start_label: The start as a clock shows it.
    """

    window: int
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
            update={"window": self.window, "advance": self.advance, "drain": drain}
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
        count = window_count(window, scenario.service.instance_count)
        label = _start_label(scenario, start)
        found[Candidate(count, advance, timeout_s, start, label)] = None
    return tuple(found)


def default_windows(scenario: Scenario) -> tuple[int, ...]:
    """Windows worth comparing: powers of two up to half the fleet, and the scenario's own."""
    count = scenario.service.instance_count
    powers = {1 << k for k in range(count.bit_length()) if 1 << k <= max(1, count // 2)}
    return tuple(sorted(powers | {scenario.window_count()}))


def _start_label(scenario: Scenario, start: float | str) -> str:
    moved = scenario.model_copy(
        update={"clock": scenario.clock.model_copy(update={"start": start})}
    )
    try:
        return clock_label(moved.start_s(), scenario.rates().first_row)
    except ValueError as error:
        raise BadInput(f"{scenario.name}: clock.start: {start}: {error}") from None


def frame_of(scenario: Scenario, candidates: Sequence[Candidate]) -> Frame:
    """The simulated time that suits all candidates.

    `warm_up: auto` lasts as long as the longest of a thousand services, and ten times the time in
    which an M/M/c queue forgets how it began, E[S]/(c·(√ρ − 1)²) (ρ at the highest rate of the
    starts; at most ten minutes). `horizon: auto` is a bound on a run that never settles: three
    times as long as the slowest candidate takes when every step takes its p99.9, and ten minutes.
    """
    clock = scenario.clock
    longest = max(_rollout_bound_s(one.applied_to(scenario), 0.999) for one in candidates)
    likely = max(_rollout_bound_s(one.applied_to(scenario), 0.5) for one in candidates)
    shown = clock.horizon if clock.horizon is not None else likely + SETTLING_S
    return Frame(
        warm_up_s=_warm_up_s(scenario, candidates) if clock.warm_up is None else clock.warm_up,
        horizon_s=3 * longest + 600.0 if clock.horizon is None else clock.horizon,
        exact=clock.horizon is not None,
        bin_s=next((width for width in _BIN_WIDTHS_S if shown / width <= 150), 3600.0),
    )


def _warm_up_s(scenario: Scenario, candidates: Sequence[Candidate]) -> float:
    service = scenario.service
    starts = [one.applied_to(scenario).start_s() for one in candidates]
    rates = [float(scenario.rates().rate_at(start_s)) for start_s in starts]
    load = max([0.0, *(rate for rate in rates if math.isfinite(rate))]) / service.capacity_rps
    at_one_queue = service.slots
    if service.balancer.queue == "balancer":
        at_one_queue *= service.instance_count
    mean_s = float(service.service_time.mean_s())
    slack = max(1e-6, (math.sqrt(load) - 1) ** 2)
    forgets_s = mean_s / (at_one_queue * slack)
    return float(math.ceil(min(600.0, service.service_time.quantile_s(0.999) + 10 * forgets_s)))


def _rollout_bound_s(scenario: Scenario, quantile: float) -> float:
    """How long a rollout takes when every step takes its quantile."""
    rule, service = scenario.rollout, scenario.service
    if rule is None:
        return 0.0
    work_s = float(service.service_time.quantile_s(quantile))
    drain_s = work_s if rule.drain.on_timeout == "wait" else rule.drain.timeout
    steps_s = sum(float(one.quantile_s(quantile)) for _, one in service.steps.in_order())
    waves = math.ceil(service.instance_count / scenario.window_count())
    if quantile <= 0.5:
        drain_s = min(drain_s, work_s)
    else:  # the worst: every step fails until its last try, and then all goes back
        steps_s *= rule.retries + 1
        drain_s += 2 * rule.drain.poll + rule.stop.grace
        waves *= 2 if rule.on_failure == "rollback" else 1
    return waves * (max(drain_s, rule.pre_stop) + steps_s + rule.min_ready + rule.pause)


def run_replication(
    scenario: Scenario,
    candidates: Sequence[Candidate],
    frame: Frame,
    replication: int,
    keep_requests: bool,
) -> Row:
    """All candidates of one replication, over one common interval."""
    runs = [Run(one.applied_to(scenario), frame, replication) for one in candidates]
    end_s = max([run.settle() for run in runs])
    return Row(replication, tuple(run.finish(end_s, keep_requests) for run in runs))


def run_rows(
    scenario: Scenario,
    candidates: Sequence[Candidate],
    *,
    jobs: int | None = None,
    apart: bool = False,
    keep_requests: bool = False,
    stopped: Callable[[], bool] = lambda: False,
) -> Generator[Row, None, None]:
    """The study: rows as they land, in any order, simulated in processes of their own.

    Whatever ends it before its time ends the processes too, in the middle of a replication. What
    one process can do is done in this one, which cannot be ended so.

    Args:
        scenario: What is simulated; it says how many replications.
        candidates: What is compared, see `candidates_of`.
        jobs: How many processes; one a core when left out.
        apart: Whether even one is a process of its own, for a program that must stay answerable.
        keep_requests: Whether results carry every request.
        stopped: Asked ten times a second, in the thread that waits for rows; ends the study.

    Raises:
        BadInput: The simulated interval meets a gap or the end of a trace.
    """
    frame = frame_of(scenario, candidates)
    work = (
        (scenario, candidates, frame, replication, keep_requests)
        for replication in range(scenario.replications)
    )
    count = min(jobs or cpu_count(), scenario.replications)
    if count == 1 and not apart:
        yield from itertools.takewhile(
            lambda _: not stopped(), itertools.starmap(run_replication, work)
        )
        return
    executor = workers(count)
    pending: set[Future[Row]] = set()
    try:
        while True:
            for one in itertools.islice(work, 2 * count - len(pending)):
                pending.add(executor.submit(run_replication, *one))
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
