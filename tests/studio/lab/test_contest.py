"""Calibration and score, on figures made by hand."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest

from executor.base.errors import Refused
from executor.plan.model import Interval, Plan
from simulation.results.run_result import METRICS, RunResult
from simulation.scenario.model import Scenario
from simulation.study.case import cases_of
from studio.lab import calibrate, contest
from studio.lab.calibrate import Calibration, steps_of, with_calibration
from studio.lab.contest import (
    Arm,
    Contest,
    arms_of,
    by_window,
    cap_range,
    digest_of_predictions,
    distinguishable_pairs,
    load_left,
    no_drain,
    random_order,
)
from studio.lab.trial import Trial, TrialRecord
from tests.helpers.scenarios import scenario

SIX = scenario(
    rate="60/s",
    instances=6,
    slots=1,
    service_time={"mean": "41.5ms", "cv": 0.4},
    policy="least_connections",
    steps={"start": "1s"},
    rollout={"window": 2, "drain": {"timeout": "5s"}},
)

FOUND = Calibration(
    service="app",
    service_time_s=0.042,
    way_s=0.001,
    slot_time_s=0.043,
    demand_s=0.0415,
    poll_s=0.105,
    steps_s={
        "stop": (0.1, 0.2),
        "deploy": (0.5,),
        "verify": (0.05,),
        "start": (1.0, 1.1),
        "return": (0.2,),
    },
    drains_s=(0.21, 0.22),
    flags=(),
)


@cache
def arms(*windows: int) -> tuple[Arm, ...]:
    """Predictions for these windows, simulated once; the fewest runs that can hold objectives."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contest, "REPLICATIONS", 60)
        return arms_of(FOUND, by_window(SIX, windows))


def figure(low: float | None, high: float | None) -> Interval:
    return Interval(mean=low, low=None, high=None, run_low=low, run_high=high)


@pytest.mark.parametrize(
    ("low", "high", "cap", "expected"),
    [
        (9.5, 10.5, 0.10, (9.5, 10.5)),
        (5.0, 15.0, 0.10, (9.0, 11.0)),
        (0.1, 0.3, 0.30, (0.14, 0.26)),
        (0.0, 17.0, None, (0.0, 17.0)),
        (0.0, 0.0, 0.30, (0.0, 0.0)),
    ],
)
def test_a_vague_range_is_capped(
    low: float, high: float, cap: float | None, expected: tuple[float, float]
) -> None:
    assert cap_range(figure(low, high), cap) == pytest.approx(expected)


def test_arms_are_told_apart_where_their_ranges_do_not_meet() -> None:
    figures = {
        "1": figure(0.09, 0.10),
        "2": figure(0.095, 0.11),
        "4": figure(0.4, 0.8),
        "none": figure(None, None),
    }
    assert distinguishable_pairs(figures) == [("1", "4"), ("2", "4")]


def test_the_calibrated_scenario_holds_what_was_measured() -> None:
    made = with_calibration(SIX, FOUND)
    assert made.service.service_time.mean_s() == pytest.approx(0.043)
    assert made.service.service_time.quantile_s(0.99) == pytest.approx(
        SIX.service.service_time.quantile_s(0.99) + 0.0015
    )
    steps = {step: one.mean_s() for step, one in made.service.steps.in_order()}
    assert steps == pytest.approx(
        {"take_out": 0, "stop": 0.15, "deploy": 0.5, "verify": 0.05, "start": 1.05, "return": 0.2}
    )
    assert made.rollout is not None
    assert made.rollout.drain.poll == 0.105
    assert made.rollout.drain.timeout == 5.0
    assert made.service.balancer.health_check is None
    assert FOUND.to_json()["schema"] == "rollcast.calibration/1"


def timeline() -> dict[str, Any]:
    """Two instances, one after the other, 0.1 s between the steps and 0.3 s between the two."""
    steps = []
    at_s = 0.0
    for name in ("a", "b"):
        for step, took_s in zip(
            ("take_out", "stop", "deploy", "verify", "start", "return"),
            (0.2, 0.1, 0.5, 0.05, 1.0, 0.2),
            strict=True,
        ):
            steps.append(
                {
                    "instance": name,
                    "step": step,
                    "outcome": "done",
                    "begin_s": at_s,
                    "end_s": at_s + took_s,
                }
            )
            at_s += took_s + 0.1
        at_s += 0.2
    return {"steps": steps, "instances": ["a", "b"], "window": 1}


def test_steps_are_measured_from_begin_to_begin() -> None:
    found = steps_of([timeline()])
    assert {step: pytest.approx(values) for step, values in found.items()} == {
        "stop": (0.2, 0.2),
        "deploy": (0.6, 0.6),
        "verify": (0.15, 0.15),
        "start": (1.1, 1.1),
        "return": (0.5, 0.5),
    }


def test_the_load_of_what_is_left() -> None:
    loads = [
        load_left(one, cases_of(one)[0].candidate)
        for one in (SIX, *(one for _, one in by_window(SIX, [1, 3, 4])))
    ]
    whole = 60 * 0.0415 / 6
    assert loads == pytest.approx([whole * 6 / 4, whole * 6 / 5, whole * 2, whole * 3])


def test_predictions_are_frozen_by_a_digest_that_every_figure_changes() -> None:
    one_and_two = arms(1, 2)
    arms.cache_clear()
    assert digest_of_predictions(one_and_two) == digest_of_predictions(arms(1, 2))
    metrics = dict(one_and_two[0].predicted)
    one = metrics["rollout_duration_s"]
    metrics["rollout_duration_s"] = one.model_copy(update={"run_high": (one.run_high or 0) + 1e-9})
    plan = one_and_two[0].plan
    prediction = plan.prediction.model_copy(update={"metrics": metrics})
    changed = replace(one_and_two[0], plan=plan.model_copy(update={"prediction": prediction}))
    assert digest_of_predictions([changed, one_and_two[1]]) != digest_of_predictions(one_and_two)


def test_the_order_is_random_and_holds_every_run_once() -> None:
    three = cast("list[Arm]", [type("Named", (), {"name": name}) for name in "abc"])
    order = random_order(three, 5, 1)
    assert sorted(order) == sorted(itertools.product("abc", range(5)))
    assert order == random_order(three, 5, 1)
    assert order != random_order(three, 5, 2)
    assert order != sorted(order)


def record(**metrics: float | None) -> TrialRecord:
    """A run with these figures."""
    return TrialRecord("done", {**dict.fromkeys(METRICS), **metrics}, {}, 0.001, 0.2, ())


def test_the_score_counts_what_lies_in_its_range_and_leaves_the_edge_out() -> None:
    loads = (0.6, 1.0)
    two, three = (replace(arm, load=load) for arm, load in zip(arms(2, 3), loads, strict=True))
    assert (two.is_at_the_edge, three.is_at_the_edge) == (False, True)
    duration = two.predicted["rollout_duration_s"].mean
    p99 = two.predicted["rollout_latency_p99_s"].mean
    good = record(rollout_duration_s=duration, failed_requests=0, rollout_latency_p99_s=p99)
    bad = record(rollout_duration_s=None, failed_requests=3, rollout_latency_p99_s=p99)
    made = Contest(
        SIX,
        FOUND,
        (two, three),
        "digest",
        {two.name: (good, bad), three.name: (good, replace(bad, flags=("busy",)))},
        ((two.name, 0),),
    )
    judged = made.judged()
    assert [(one.run, one.metric, one.holds) for one in judged] == [
        (0, "rollout_duration_s", True),
        (0, "failed_requests", True),
        (0, "rollout_latency_p99_s", True),
        (1, "rollout_duration_s", False),
        (1, "failed_requests", False),
        (1, "rollout_latency_p99_s", True),
    ]
    assert made.score() == pytest.approx(4 / 6)
    assert made.flags() == ["window 3, run 2: busy"]
    told = made.to_json()
    assert told["score"] == made.score()
    assert [arm["direction_only"] for arm in told["arms"]] == [False, True]


@pytest.mark.parametrize(("four_s", "right"), [(0.6, True), (0.08, False)])
def test_the_ranking_is_that_of_arms_told_apart(four_s: float, right: bool) -> None:
    trials: dict[str, tuple[TrialRecord, ...]] = {
        "window 2": (record(rollout_latency_p99_s=0.1),),
        "window 4": (record(rollout_latency_p99_s=four_s),),
    }
    assert Contest(SIX, FOUND, arms(2, 4), "", trials, ()).rankings() == [right]


def test_no_drain_cuts_at_once() -> None:
    rule = no_drain(SIX).rollout
    assert rule is not None
    assert (rule.drain.timeout, rule.drain.on_timeout, rule.stop.mode) == (0.0, "cut", "abrupt")
    assert rule.window == 2


def test_what_was_measured_is_not_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[int] = []

    def run_trial(plan: Plan, one: Scenario, run: int, **_: Any) -> Trial:
        if len(measured) == 3:
            raise KeyboardInterrupt
        measured.append(run)
        return Trial(record(rollout_duration_s=float(run)), cast(RunResult, None), {})

    monkeypatch.setattr(contest, "REPLICATIONS", 60)
    monkeypatch.setattr(contest, "run_trial", run_trial)
    monkeypatch.setattr(contest, "calibrate", lambda *_: FOUND)
    variants = by_window(SIX, [1, 2])
    with pytest.raises(KeyboardInterrupt):
        contest.run_contest(SIX, variants, runs=2, folder=tmp_path)
    monkeypatch.setattr(contest, "calibrate", None)  # it is there already
    measured.pop()
    made = contest.run_contest(SIX, variants, runs=2, folder=tmp_path)
    assert len(measured) == 3  # one of the first three was taken off, one was missing
    for arm in made.arms:
        durations = [one.metrics["rollout_duration_s"] for one in made.trials[arm.name]]
        assert durations == [0.0, 1.0]
    assert made.calibration == FOUND
    with pytest.raises(Refused, match="holds other predictions than these"):
        contest.run_contest(SIX, by_window(SIX, [1, 3]), runs=2, folder=tmp_path)


@pytest.mark.parametrize(
    ("rate", "window"), [("60/s", 2), ("77/s", 2), ("78/s", 1), ("140/s", 1), ("1/s", 2)]
)
def test_cycles_are_calibrated_where_there_is_room(rate: str, window: int) -> None:
    """Six slots of 41.5 ms carry 144.6/s, four of them 80 % busy 77.1/s, five 96.4/s."""
    data = SIX.as_data()
    data["traffic"]["rate"] = rate
    assert calibrate._roomy_window(Scenario.model_validate(data)) == window
