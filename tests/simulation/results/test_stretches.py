"""Figures of stretches equal those that are counted from the table of all requests."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from numpy.typing import NDArray

from executor.base.errors import RollcastError
from simulation.results.judged import Figures
from simulation.results.request_ends import RequestEnds, judged_classes
from simulation.results.run_result import IN_FLIGHT, OK, EngineName, RequestTable
from simulation.results.stretches import Stretches, judge_stretches
from simulation.results.tally import histogram_of, quantiles_s
from simulation.run import Run
from simulation.scenario.model import Scenario
from simulation.scenario.simulated_interval import SimulatedInterval, frame_of
from simulation.study.control import without_rollout
from tests.helpers.generated import bounded, scenarios
from tests.helpers.scenarios import small_shop

ENGINES = (EngineName.REFERENCE, EngineName.COMPILED)


@dataclass(frozen=True)
class FollowedRun:
    """A run with all its requests, as far as the judged ones were followed."""

    table: RequestTable
    ends: RequestEnds


@dataclass(frozen=True)
class Both:
    """A run with its rollout, the same without it, and the stretches of the first."""

    stretches: Stretches
    rollout: FollowedRun
    control: FollowedRun


def both_arms(one: Scenario, engine: EngineName, frame: SimulatedInterval | None = None) -> Both:
    frame = frame or frame_of([one])
    run = Run(one, frame, 0, engine, keep_requests=True)
    end_s = run.settle()
    run.finish(end_s)
    stretches = run.stretches()
    ends = run.request_ends(stretches.until_s)
    rollout = FollowedRun(run._engine.table(), ends)
    fleet = Run(without_rollout(one), frame, 0, engine, keep_requests=True)
    fleet.observe_fleet(stretches.edges_s, set(), end_s)
    fleet.finish(end_s)
    ends = fleet.request_ends(stretches.until_s)
    return Both(stretches, rollout, FollowedRun(fleet._engine.table(), ends))


def numbers_in_flight(
    table: RequestTable, begin_s: float, end_s: float, until_s: float
) -> set[tuple[float, int]]:
    """Return the requests of a stretch that are in flight at its end, by arrival and class."""
    own = (table.arrival_s >= begin_s) & (table.arrival_s < end_s)
    flying = own & ~(table.finish_s <= until_s)
    return set(
        zip(table.arrival_s[flying].tolist(), table.request_class[flying].tolist(), strict=True)
    )


def recount(
    table: RequestTable,
    stretch: tuple[float, float, float],
    left_out: set[tuple[float, int]],
    kinds: set[int],
    timed: NDArray[np.bool_],
) -> tuple[int, int, list[float]]:
    """Return requests, failed requests, and latencies, infinite for failures."""
    begin_s, end_s, until_s = stretch
    requests = failed = 0
    latencies: list[float] = []
    rows = zip(
        table.arrival_s.tolist(),
        table.finish_s.tolist(),
        table.outcome.tolist(),
        table.request_class.tolist(),
        strict=True,
    )
    for arrival_s, finish_s, outcome, kind in rows:
        if not begin_s <= arrival_s < end_s or kind not in kinds or (arrival_s, kind) in left_out:
            continue
        requests += 1
        if not finish_s <= until_s:
            latency_s = until_s - arrival_s
        elif outcome == OK:
            latency_s = finish_s - arrival_s
        else:
            assert outcome != IN_FLIGHT
            failed += 1
            latency_s = math.inf
        if timed[kind]:
            latencies.append(latency_s)
    return requests, failed, sorted(latencies)


def assert_p99(found: float | None, latencies: list[float]) -> None:
    if not latencies:
        assert found is None
        return
    rank = 0.99 * (len(latencies) - 1)
    low, high = latencies[math.floor(rank)], latencies[math.ceil(rank)]
    assert found is not None
    if math.isinf(high):
        assert math.isinf(found)
    else:
        # A bucket is 0.8 % wide and knows the mean of its values.
        assert found == pytest.approx(low + (high - low) * (rank - math.floor(rank)), rel=0.008)


def assert_recounted(one: Scenario, both: Both) -> None:
    timed = np.array([kind.holds_slot for kind in one.traffic.classes.values()])
    until_s = both.stretches.until_s
    judged = judge_stretches(both.stretches, both.rollout.ends, both.control.ends)
    begin_s = 0.0
    assert [stretch.end_s for stretch in judged] == list(both.stretches.edges_s)
    for stretch in judged:
        assert stretch.begin_s == begin_s
        assert stretch.new_version is None
        span = (stretch.begin_s, stretch.end_s, until_s)
        left_out = numbers_in_flight(both.rollout.table, *span) & numbers_in_flight(
            both.control.table, *span
        )
        for arm, figures in ((both.rollout, stretch.rollout), (both.control, stretch.control)):
            assert figures is not None
            assert figures.keys() == {"", *one.objectives.classes}
            for name, kind in judged_classes(one).items():
                kinds = set(range(len(timed))) if kind is None else {kind}
                requests, failed, latencies = recount(arm.table, span, left_out, kinds, timed)
                assert figures[name].requests_count == requests
                assert figures[name].failed_count == failed
                assert_p99(figures[name].latency_p99_s, latencies)
                assert figures[name].error_fraction == (failed / requests if requests else None)
        begin_s = stretch.end_s


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(one=scenarios())
def test_figures_are_those_of_the_table_of_requests(one: Scenario) -> None:
    # Of a closed loop, the requests of both arms have the same numbers, but not the same arrivals.
    assume(one.traffic.arrivals != "closed")
    try:
        both = both_arms(bounded(one), EngineName.REFERENCE)
    except RollcastError:
        return  # its timestamps are over
    assert_recounted(one, both)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("over", ["rollout", "5s"])
def test_figures_of_a_lossy_rollout(engine: EngineName, over: str) -> None:
    """A rollout that cuts requests and overloads the rest, with a class that is judged apart."""
    one = small_shop(
        rate="150/s",
        service_time={"exponential": "60ms"},
        slots=2,
        rollout={"window": 3, "drain": {"timeout": "0s"}, "stop": {"mode": "abrupt"}},
        classes={
            "page": {"share": "70%", "client_timeout": "1s"},
            "poll": {"service_time": {"app": {"exponential": "8s"}}, "holds_slot": False},
        },
        objectives={"over": over, "classes": {"page": {"latency_p99": "1s"}, "poll": {}}},
    )
    both = both_arms(one, engine)
    assert_recounted(one, both)
    judged = judge_stretches(both.stretches, both.rollout.ends, both.control.ends)
    assert len(judged) == (1 if over == "rollout" else math.ceil(judged[-1].end_s / 5))
    assert sum(stretch.rollout["page"].failed_count for stretch in judged) >= 3
    assert sum(stretch.rollout["poll"].failed_count for stretch in judged) >= 3  # cut connections
    assert all(stretch.rollout["poll"].latency_p99_s is None for stretch in judged)
    for stretch in judged:
        assert stretch.control is not None
        assert stretch.control["poll"].failed_count == 0
        counts = {name: figures.requests_count for name, figures in stretch.rollout.items()}
        assert counts == {name: figures.requests_count for name, figures in stretch.control.items()}
        assert counts[""] == counts["page"] + counts["poll"]


def test_requests_that_end_after_their_stretch_are_judged_by_their_end() -> None:
    """One instance, one slot, requests of 3 s: those of the first 2 s end after it."""
    one = small_shop(
        rate={"timestamps": [0.5, 1.0, 2.5, 20.0]},
        traffic={"arrivals": "replay"},
        instances=2,
        service_time="3s",
        steps={"deploy": "6s"},
        rollout={"window": 1, "drain": {"timeout": "1s"}},
        objectives={"over": "2s"},
        clock={"horizon": "14s"},
    )
    both = both_arms(one, EngineName.REFERENCE)
    judged = judge_stretches(both.stretches, both.rollout.ends, both.control.ends)
    assert [stretch.control for stretch in judged[:3]] == [
        {"": Figures(2, 0, 3.0)},
        {"": Figures(1, 0, 3.0)},
        {"": Figures(0, 0, None)},
    ]
    assert_recounted(one, both)


@pytest.mark.parametrize(
    ("good", "infinite", "p99"),
    [(0, 0, None), (0, 3, math.inf), (99, 1, math.inf), (100, 1, 1.0), (101, 1, 1.0), (50, 0, 1.0)],
)
def test_failures_are_slower_than_every_latency(
    good: int, infinite: int, p99: float | None
) -> None:
    found = quantiles_s(histogram_of(np.full(good, 1.0)), (0.99,), infinite_count=infinite)[0]
    assert found == p99
