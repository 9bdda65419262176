"""Lost requests by cause and phase: a known number in each cell that can be, by both engines."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from executor.plan.model import STEPS
from simulation.requests.draws import Draws
from simulation.results.loss_attribution import attribute_losses
from simulation.results.losses import (
    NO_LOSSES,
    PHASES,
    LossCause,
    LossCell,
    Losses,
    LossPhase,
    sum_losses,
)
from simulation.results.result_bytes import pack, unpack
from simulation.results.run_result import ENGINES, REFUSED, TIMED_OUT, EngineName, RunResult
from simulation.results.states import State, StateInterval
from simulation.results.tally import LOSS
from simulation.scenario.model import Scenario
from tests.helpers.agree import ran
from tests.helpers.results import figure
from tests.helpers.scenarios import scenario, small_shop

START_S = 1000.0
"""The rollout's start on the clock of the timestamps."""

AT_S = {phase: 1.0 + 2.0 * place for place, phase in enumerate(PHASES[1:-1])} | {
    LossPhase.BEFORE: 1.0,
    LossPhase.AFTER: 30.0,
}
"""A moment in each phase: six steps of two seconds for the first instance, a pause, the second one."""

SECOND_S = 14.0
"""The second instance does its steps so much later than the first, in seconds."""


def replayed(times_s: list[float], phase: LossPhase, **parts: Any) -> Scenario:
    """Return two instances that are rolled one after the other, and meet requests at these times.

    In the phase *before* there is no rollout.
    """
    rollout = {"window": 1, "pause": "2s", "drain": {"timeout": "30s"}, **parts.pop("rollout", {})}
    timestamps = [*(round(START_S + time_s, 6) for time_s in sorted(times_s)), START_S + 1000.0]
    return scenario(
        **{
            "rate": {"timestamps": timestamps},
            "traffic": {"arrivals": "replay"},
            "instances": 2,
            "slots": 10,
            "service_time": "300ms",
            "queue": "instance",
            "steps": dict.fromkeys(STEPS, "2s"),
            "clock": {"start": f"{START_S:g}s", "warm_up": "5s"},
            "rollout": rollout,
            **({} if phase is not LossPhase.BEFORE else {"rollout": None}),
            **parts,
        }
        | (
            {"clock": {"start": f"{START_S:g}s", "warm_up": "5s", "horizon": "60s"}}
            if phase is LossPhase.BEFORE
            else {}
        )
    )


def assert_lost(one: Scenario, cause: LossCause, phase: LossPhase, count: int, second: int) -> None:
    """Assert that both engines lose so many requests, all of them in one cell and one second."""
    expected = (LossCell(cause, phase, count, second, count),)
    for engine in ENGINES[1:]:
        result = ran(one, engine, keep_requests=False)[1]
        assert result.losses.cells() == expected, engine
        assert result.losses.total == result.metrics["failed_requests"]


def serving_count(phase: LossPhase) -> int:
    """Return how many of the two instances are in the pool at `AT_S`."""
    return 1 if phase.value in STEPS else 2


def burst(time_s: float, count: int) -> list[float]:
    return [time_s + k * 0.001 for k in range(count)]


@pytest.mark.parametrize("phase", PHASES)
def test_rejected(phase: LossPhase) -> None:
    """A request in each slot and one in the queue; three more find no place."""
    sent = burst(AT_S[phase], serving_count(phase) + 1 + 3)
    one = replayed(sent, phase, slots=1, queue="balancer", queue_limit=1)
    assert_lost(one, LossCause.REJECTED, phase, 3, int(AT_S[phase]))


@pytest.mark.parametrize("phase", PHASES)
def test_timed_out_in_queue(phase: LossPhase) -> None:
    """A request in each slot for 300 ms; three more wait 100 ms at most."""
    sent = burst(AT_S[phase], serving_count(phase) + 3)
    one = replayed(sent, phase, slots=1, queue="balancer", queue_timeout="100ms")
    assert_lost(one, LossCause.TIMED_OUT_IN_QUEUE, phase, 3, int(AT_S[phase]))


@pytest.mark.parametrize("phase", PHASES)
def test_timed_out_in_service(phase: LossPhase) -> None:
    """Work of 300 ms, of which clients wait for 200."""
    one = replayed(burst(AT_S[phase], 3), phase, client_timeout="200ms")
    assert_lost(one, LossCause.TIMED_OUT_IN_SERVICE, phase, 3, int(AT_S[phase]))


@pytest.mark.parametrize(
    "phase",
    [LossPhase.STOP, LossPhase.DEPLOY, LossPhase.VERIFY, LossPhase.START],
)
def test_refused_after_stop(phase: LossPhase) -> None:
    """The balancer takes turns with both instances until 9.5 s, one of them stopped at 2 s."""
    sent = burst(AT_S[phase], 6)
    one = replayed(sent, phase, propagation_delay="9.5s", rollout={"window": 1, "pause": "20s"})
    assert_lost(one, LossCause.REFUSED_AFTER_STOP, phase, 3, int(AT_S[phase]))


@pytest.mark.parametrize("phase", PHASES)
def test_refused_after_crash(phase: LossPhase) -> None:
    """Every instance that serves is dead at once, and nobody checks; the rollout goes on."""
    crashes = {"mtbf": "20ms", "repair": "1h"}
    one = replayed(burst(AT_S[phase], 3), phase, service={"crashes": crashes})
    assert_lost(one, LossCause.REFUSED_AFTER_CRASH, phase, 3, int(AT_S[phase]))


def test_cut_at_drain() -> None:
    """Six requests of 5 s on two instances; the first one's drain ends after one second."""
    one = replayed(
        burst(-0.5, 6), LossPhase.TAKE_OUT, service_time="5s", rollout={"drain": {"timeout": "1s"}}
    )
    assert_lost(one, LossCause.CUT_AT_DRAIN, LossPhase.TAKE_OUT, 3, 1)


@pytest.mark.parametrize(
    ("stop", "second"),
    [({"mode": "abrupt"}, 2), ({"mode": "graceful", "grace": "500ms"}, 2)],
)
def test_cut_at_stop(stop: dict[str, Any], second: int) -> None:
    """The drain of an idle instance is over at once; requests that come late meet its stop at 2 s."""
    one = replayed(
        burst(1.5, 6),
        LossPhase.STOP,
        service_time="5s",
        propagation_delay="1.9s",
        rollout={"stop": stop, "pause": "1m"},
    )
    assert_lost(one, LossCause.CUT_AT_STOP, LossPhase.STOP, 3, second)


@pytest.mark.parametrize(
    ("phase", "sent_s", "count"),
    [
        (LossPhase.BETWEEN, 13.0, 3),  # by turns with an instance that has the old version
        *((phase, AT_S[phase] + SECOND_S, 6) for phase in PHASES[1:7]),
        (LossPhase.AFTER, 30.0, 6),
    ],
)
def test_error_of_new_version(phase: LossPhase, sent_s: float, count: int) -> None:
    versions = {"new": {"error_fraction": 1}}
    one = replayed(burst(sent_s, 6), phase, versions=versions)
    assert_lost(one, LossCause.ERROR_OF_NEW_VERSION, phase, count, int(sent_s))


@pytest.mark.parametrize("phase", PHASES)
def test_error_of_old_version(phase: LossPhase) -> None:
    """The old version errs. After the rollout it is there only where the rollout was halted."""
    parts: dict[str, Any] = {"versions": {"old": {"error_fraction": 1}}}
    count = {LossPhase.BEFORE: 6, LossPhase.BETWEEN: 3}.get(phase, 6)
    if phase is LossPhase.AFTER:
        parts = {"versions": {"old": {"error_fraction": 1}, "new": {"start_fails": 1}}}
        parts["rollout"] = {"on_failure": "halt"}
    at_s = 15.0 if phase is LossPhase.AFTER else AT_S[phase]
    one = replayed(burst(at_s, 6), phase, **parts)
    assert_lost(one, LossCause.ERROR_OF_OLD_VERSION, phase, count, int(at_s))


MTBF_S = 60.0


def crash_s(seed: int, instance: int) -> float:
    """Return when an instance crashes for the first time, on the rollout's clock."""
    u = Draws(seed, 0).uniform("crash", instance, 0)
    return -5.0 - MTBF_S * math.log1p(-u)


@pytest.mark.parametrize("phase", PHASES)
def test_error_of_crash(phase: LossPhase) -> None:
    """Three requests are in service at the second instance when it dies, in a second of the phase."""
    at_s = AT_S[phase]
    seed = next(
        seed
        for seed in range(100_000)
        if at_s - 0.8 < crash_s(seed, 1) < at_s + 0.8 and crash_s(seed, 0) > 200
    )
    sent = crash_s(seed, 1) - 0.1
    crashes = {"mtbf": f"{MTBF_S:g}s", "repair": "1h"}
    count = 3 if phase.value in STEPS else 6
    one = replayed(
        burst(sent, count),
        phase,
        seed=seed,
        service={"crashes": crashes},
        rollout={"pause": "60s"} if phase is not LossPhase.AFTER else {},
    )
    assert_lost(one, LossCause.ERROR_OF_CRASH, phase, 3, int(crash_s(seed, 1)))


def test_the_table_holds_every_lost_request_whatever_the_cause() -> None:
    one = small_shop(
        rate="170/s",
        seed=3,
        queue="instance",
        propagation_delay="300ms",
        classes={"all": {"client_timeout": "400ms", "retries": {"attempts": 1}}},
        versions={"new": {"error_fraction": "5%"}},
        rollout={"window": 3, "drain": {"timeout": "50ms"}},
    )
    results = {engine: ran(one, engine, keep_requests=False)[1] for engine in ENGINES[1:]}
    reference = results[EngineName.REFERENCE]
    assert reference.losses == results[EngineName.COMPILED].losses
    assert len({cell.cause for cell in reference.losses.cells()}) >= 4
    assert reference.losses.total == figure(reference, "failed_requests") > 100
    assert_frames_agree(reference)
    assert unpack(pack(reference)).losses == reference.losses


def assert_frames_agree(result: RunResult) -> None:
    frame = result.losses.frame()
    assert frame["count"].sum() == result.losses.total
    by_cell = frame.groupby(["cause", "phase"])["count"]
    for cell in result.losses.cells():
        rows = frame[(frame["cause"] == cell.cause) & (frame["phase"] == cell.phase)]
        assert by_cell.sum()[cell.cause, cell.phase] == cell.count
        assert rows["count"].max() == cell.peak_count
        assert rows["second"][rows["count"] == cell.peak_count].iloc[0] == cell.peak_s


def test_attempts_beyond_the_first_stand_in_the_bins_in_which_they_are_sent() -> None:
    """Four requests time out after 200 ms and are sent again 1 s later, and once more 2 s later."""
    retries = {"attempts": 2, "backoff": "1s", "factor": 2, "jitter": 0}
    classes = {"all": {"client_timeout": "200ms", "retries": retries}}
    one = replayed(burst(3.0, 4), LossPhase.STOP, classes=classes)
    for engine in ENGINES[1:]:
        result = ran(one, engine, keep_requests=False)[1]
        series = result.series["retried_rps"]
        # Work goes on after a timeout, so slots are enough: 10 of one instance.
        assert {k: value for k, value in enumerate(series.tolist()) if value} == {4: 4.0, 6: 4.0}
        assert result.metrics["retries"] == 8


def test_connections_open_at_the_start_are_counted() -> None:
    classes = {"ws": {"holds_slot": False, "service_time": {"app": "50s"}}}
    one = small_shop(classes=classes, rate="2/s", seed=5)
    for engine in ENGINES[1:]:
        run, result = ran(one, engine)
        table = run._engine.table()
        is_open = (table.arrival_s < 0) & ~(table.finish_s <= 0)
        assert result.metrics["connections_at_start"] == np.count_nonzero(is_open) > 50


def interval(instance: int, state: State, begin_s: float, end_s: float) -> StateInterval:
    return StateInterval(instance, state, begin_s, end_s)


STATES = (
    interval(0, State.SERVING, -5, 1),
    interval(0, State.DRAINING, 1, 2),
    interval(0, State.STOPPING, 2, 9),
    interval(0, State.SERVING, 9, 20),
    interval(1, State.SERVING, -5, 1.5),
    interval(1, State.DRAINING, 1.5, 4),
    interval(1, State.SERVING, 4, 20),
    interval(2, State.SERVING, -5, 20),
)


@pytest.mark.parametrize(
    ("time_s", "instance", "over_s", "phase"),
    [
        (0.5, -1, 12.0, LossPhase.BEFORE),
        (1.0, -1, 12.0, LossPhase.TAKE_OUT),  # what begins at a moment counts there
        (1.7, -1, 12.0, LossPhase.TAKE_OUT),
        (2.5, -1, 12.0, LossPhase.TAKE_OUT),  # one drains, one stops: the earlier step
        (2.5, 0, 12.0, LossPhase.STOP),  # lost at an instance that is in a step
        (2.5, 2, 12.0, LossPhase.TAKE_OUT),  # lost at one that serves
        (5.0, -1, 12.0, LossPhase.STOP),
        (10.0, -1, 12.0, LossPhase.BETWEEN),
        (12.0, -1, 12.0, LossPhase.AFTER),
        (12.0, -1, None, LossPhase.BETWEEN),  # a rollout that never was over
    ],
)
def test_the_phase_is_that_of_the_instance_or_else_of_the_rollout(
    time_s: float, instance: int, over_s: float | None, phase: LossPhase
) -> None:
    log = np.array([(time_s, instance, TIMED_OUT, 0, 0, 1)], LOSS)
    (cell,) = attribute_losses(log, STATES, over_s).cells()
    assert (cell.cause, cell.phase) == (LossCause.TIMED_OUT_IN_QUEUE, phase)


def test_refused_by_an_instance_that_is_gone_counts_for_the_rollout() -> None:
    states = (*STATES, interval(3, State.ABSENT, -5, 20))
    log = np.array([(10.0, 3, REFUSED, 0, 0, 0)], LOSS)
    (cell,) = attribute_losses(log, states, 9.5).cells()
    assert (cell.cause, cell.phase) == (LossCause.REFUSED_AFTER_STOP, LossPhase.AFTER)


def of(*rows: tuple[int, int, int, int]) -> Losses:
    return Losses(*np.array(rows, np.int64).T)


def test_sums_over_runs_keep_the_peak_of_the_sum() -> None:
    """Neither run's own peak is that of both together."""
    one, other = of((0, 3, 10, 5), (0, 3, 11, 4)), of((0, 3, 11, 4), (0, 3, 12, 5))
    (cell,) = sum_losses([one, NO_LOSSES, other]).cells()
    assert (cell.count, cell.peak_s, cell.peak_count) == (18, 11, 8)
    assert sum_losses([NO_LOSSES]) == NO_LOSSES
    assert sum_losses([one, other]) != one
