"""The rules of a plan, one by one; each row breaks exactly one."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from executor.base.canonical_json import digest_of
from executor.base.errors import BadInput, Refused, RollcastError
from executor.plan.model import STEPS, Gate, Plan, Step, Wave
from executor.plan.rules import broken_rules, checks
from executor.plan.waves import canary_waves, waves_for
from tests.helpers.plans import SCENARIO, evidence, example_plan, missing_anyway, prediction

NAMES = [f"checkout-{number}" for number in range(1, 7)]
DEADLINES_S = {str(step): 40.0 if step is Step.TAKE_OUT else 15.0 for step in STEPS}


def wave(names: list[str], parallel: int = 2, pause_s: float | None = None) -> dict[str, Any]:
    gate = None if pause_s is None else {"kind": "pause", "pause_s": pause_s}
    return {"instances": names, "parallel": parallel, "gate": gate}


def test_the_six_steps_are_these_words_in_this_order() -> None:
    assert STEPS == ("take_out", "stop", "deploy", "verify", "start", "return")


def baked(names: list[str], **changes: Any) -> dict[str, Any]:
    """A wave with a bake after it."""
    return wave(names, **changes) | {"gate": {"kind": "bake", "pause_s": 60.0}}


def test_the_example_breaks_no_rule() -> None:
    plan = example_plan()
    assert broken_rules(plan, datetime.now(UTC)) == []


def without_objectives() -> dict[str, Any]:
    return {key: value for key, value in SCENARIO.items() if key != "objectives"}


SOUND = [
    pytest.param({"advance": "batch", "pause_s": 5.0}, id="batch with gates"),
    pytest.param({"advance": "batch", "window": 3, "min_in_pool": 0}, id="batch without gates"),
    pytest.param({"window": 6, "min_in_pool": 0}, id="the whole fleet at once"),
    pytest.param({"drain": {"timeout_s": 40.0, "on_timeout": "abort"}}, id="drain as deadline"),
    pytest.param({"drain": {"timeout_s": 90.0, "on_timeout": "wait"}}, id="a drain that waits"),
    pytest.param({"valid_for_s": 1e300}, id="valid beyond the calendar"),
    pytest.param(
        {
            "strategy": "canary",
            "waves": [baked(NAMES[:1], parallel=1), baked(NAMES[1:3]), wave(NAMES[3:])],
        },
        id="a canary",
    ),
    pytest.param(
        {"propagation_delay_s": 2.0, "stop": {"pre_stop_s": 3.0, "grace_s": 10.0}},
        id="delay, pre-stop and grace in order",
    ),
    pytest.param(
        {"propagation_delay_s": 2.0, "stop": {"mode": "abrupt", "pre_stop_s": 3.0, "grace_s": 0}},
        id="an abrupt stop has no grace",
    ),
    pytest.param({"guards": {"error_fraction": 0.05, "over_s": 30}}, id="a guard"),
    pytest.param({"scenario": without_objectives()}, id="95 % of runs by default"),
    pytest.param({"prediction": prediction(lower_bound=0.95)}, id="lower bound on the edge"),
    pytest.param({"evidence": evidence()}, id="what a search confirmed"),
    pytest.param(
        {
            "prediction": missing_anyway("error_fraction", "latency_p99", class_name="page"),
            "accepted_missing": ["classes.page.latency_p99", "classes.page.error_fraction"],
        },
        id="missed anyway and accepted",
    ),
    pytest.param(
        {"prediction": prediction(figure={"low": None, "high": None})}, id="no interval of one run"
    ),
]


@pytest.mark.parametrize("changes", SOUND)
def test_a_sound_plan_breaks_no_rule(changes: dict[str, Any]) -> None:
    assert broken_rules(example_plan(**changes), datetime.now(UTC)) == []


BROKEN = [
    pytest.param(
        {"strategy": "canary"},
        "waves (1) of a canary must have a bake between them",
        id="a canary without a bake",
    ),
    pytest.param(
        {"waves": [baked(NAMES[:2]), wave(NAMES[2:])]},
        "wave 1 must have no bake where the strategy is rolling",
        id="a bake that is not asked for",
    ),
    pytest.param(
        {"propagation_delay_s": 2.0, "stop": {"pre_stop_s": 2.0}},
        "pre-stop (2 s) must be longer than the balancer's propagation delay (2 s), else it sends "
        "to instances that have stopped",
        id="a stop before the balancer knows",
    ),
    pytest.param(
        {"stop": {"pre_stop_s": 30.0, "grace_s": 30.0}},
        "grace period (30 s) must be longer than pre-stop (30 s), which it includes",
        id="a grace that is over before the stop",
    ),
    pytest.param(
        {"window": 4},
        "window (4) must not exceed the fleet (6) less the minimum in the pool (3)",
        id="window against minimum",
    ),
    pytest.param(
        {"window": 7, "min_in_pool": 0},
        "window (7) must not exceed the fleet (6) less the minimum in the pool (0)",
        id="window against fleet",
    ),
    pytest.param(
        {"min_in_pool": 6},
        "minimum in the pool (6) must be below the fleet (6), "
        "or no instance could ever be taken out",
        id="stall",
    ),
    pytest.param(
        {"instances": [*NAMES[:5], "checkout-1"]},
        "instance checkout-1 (2 times) must be named once",
        id="a name twice",
    ),
    pytest.param(
        {"waves": [wave(NAMES[:5])]},
        "waves (of 5) must hold every instance of the fleet once, in its order",
        id="an instance left out",
    ),
    pytest.param(
        {"waves": [wave([*NAMES, "checkout-6"])]},
        "waves (of 7) must hold every instance of the fleet once, in its order",
        id="an instance rolled twice",
    ),
    pytest.param(
        {"waves": [wave(NAMES[::-1])]},
        "waves (of 6) must hold every instance of the fleet once, in its order",
        id="another order",
    ),
    pytest.param(
        {"waves": [wave(NAMES, parallel=3)]},
        "parallel (3) of wave 1 must not exceed the window (2)",
        id="a wave wider than the window",
    ),
    pytest.param(
        {"waves": [wave(NAMES[:3]), wave(NAMES[3:])]},
        "waves (2) must be those of window 2, advance sliding and pause 0 s",
        id="waves of another advance",
    ),
    pytest.param(
        {
            "advance": "batch",
            "pause_s": 5.0,
            "waves": [wave(NAMES[:2], pause_s=4.0), wave(NAMES[2:4], pause_s=5.0), wave(NAMES[4:])],
        },
        "waves (3) must be those of window 2, advance batch and pause 5 s",
        id="a gate shorter than the pause",
    ),
    pytest.param(
        {"drain": {"timeout_s": 41.0, "on_timeout": "cut"}},
        "drain timeout (41 s) must not exceed the deadline of step take_out (40 s)",
        id="drain longer than its deadline, cut",
    ),
    pytest.param(
        {"drain": {"timeout_s": 41.0, "on_timeout": "abort"}},
        "drain timeout (41 s) must not exceed the deadline of step take_out (40 s)",
        id="drain longer than its deadline, abort",
    ),
    *(
        pytest.param(
            {"step_deadlines_s": {**DEADLINES_S, step: 0.0}},
            f"deadline of step {step} (0 s) must be above 0",
            id=f"no time to {step}",
        )
        for step in STEPS
    ),
    *(
        pytest.param(
            {"step_deadlines_s": {k: v for k, v in DEADLINES_S.items() if k != step}},
            f"step {step} must have a deadline",
            id=f"no deadline to {step}",
        )
        for step in STEPS
    ),
    pytest.param(
        {"scenario_digest": "0" * 64},
        "scenario digest (000000000000…) must be that of the embedded scenario "
        f"({digest_of(SCENARIO)[:12]}…)",
        id="another scenario",
    ),
    pytest.param(
        {"prediction": prediction(answer="undecided")},
        "verdict (undecided) must be meets",
        id="undecided",
    ),
    pytest.param(
        {"prediction": prediction(answer="fails")}, "verdict (fails) must be meets", id="fails"
    ),
    pytest.param(
        {"prediction": missing_anyway()},
        "objective latency_p99 is missed even without a rollout, it must be in accepted_missing",
        id="missed anyway, not accepted",
    ),
    pytest.param(
        {
            "prediction": missing_anyway("error_fraction", "latency_p99"),
            "accepted_missing": ["error_fraction"],
        },
        "objective latency_p99 is missed even without a rollout, it must be in accepted_missing",
        id="missed anyway, one of two accepted",
    ),
    pytest.param(
        {"prediction": missing_anyway(class_name="page"), "accepted_missing": ["latency_p99"]},
        "objective classes.page.latency_p99 is missed even without a rollout, it must be in "
        "accepted_missing",
        id="missed anyway by a class, accepted for all",
    ),
    pytest.param(
        {"prediction": prediction(answer="misses_anyway"), "accepted_missing": ["latency_p99"]},
        "verdict (misses_anyway) must name an objective that is missed",
        id="missed anyway, and nothing is",
    ),
    pytest.param(
        {"prediction": prediction(lower_bound=0.9499)},
        "lower bound (0.9499) must reach the share asked for (0.95)",
        id="lower bound too low",
    ),
    pytest.param(
        {"scenario": without_objectives(), "prediction": prediction(lower_bound=0.9499)},
        "lower bound (0.9499) must reach the share asked for (0.95)",
        id="lower bound too low, by default",
    ),
    pytest.param(
        {"scenario": {**SCENARIO, "objectives": {"in_runs": "95%"}}},
        "share of runs asked for (95%) must be a fraction between 0 and 1",
        id="a share that is no number",
    ),
    pytest.param(
        {"scenario": {**SCENARIO, "objectives": None}},
        "share of runs asked for (None) must be a fraction between 0 and 1",
        id="objectives that are none",
    ),
    pytest.param(
        {"prediction": prediction(runs=61)},
        "runs judged (61) must be the replications (60)",
        id="verdict on other runs",
    ),
    pytest.param(
        {"prediction": prediction(ended={"halted": 1})},
        "runs ended (61) must be the replications (60)",
        id="endings that do not add up",
    ),
    pytest.param(
        {"prediction": prediction(runs_meeting=61)},
        "runs meeting (61) must not exceed the runs (60)",
        id="more runs meeting than made",
    ),
    pytest.param(
        {"prediction": prediction(figure={"low": 31.5})},
        "rollout_duration_s: low (31.5) must not exceed mean (31.25)",
        id="low above mean",
    ),
    pytest.param(
        {"prediction": prediction(figure={"high": 31.0})},
        "rollout_duration_s: mean (31.25) must not exceed high (31)",
        id="mean above high",
    ),
    pytest.param(
        {"prediction": prediction(figure={"run_low": 40.0})},
        "rollout_duration_s: run_low (40) must not exceed run_high (35.7)",
        id="range of runs upside down",
    ),
    pytest.param(
        {"on_failure": "budget"},
        "on failure (budget) must be halt, continue or rollback: Rollcast's own executor halts at a "
        "failed instance, or goes on without its place",
        id="a budget for the executor",
    ),
    pytest.param(
        {"progress_deadline_s": 600.0},
        "progress deadline (600 s) must be none: Rollcast's own executor has a deadline for each step",
        id="a progress deadline for the executor",
    ),
    pytest.param(
        {"evidence": evidence(seed=2)},
        "seed confirmed (2) must be the prediction's (1)",
        id="another seed than was confirmed",
    ),
    pytest.param(
        {"evidence": evidence(runs=61)},
        "runs confirmed (61) must be the prediction's (60)",
        id="other runs than were confirmed",
    ),
    pytest.param(
        {"evidence": evidence(runs_meeting=59)},
        "runs meeting confirmed (59) must be the prediction's (60)",
        id="fewer that meet than was confirmed",
    ),
    pytest.param(
        {"evidence": evidence(held=False)},
        "confirmation on seed 1 must have held",
        id="a confirmation that did not hold",
    ),
]


@pytest.mark.parametrize(("changes", "message"), BROKEN)
def test_a_broken_rule_is_said_and_no_other(changes: dict[str, Any], message: str) -> None:
    plan = example_plan(**changes)
    assert broken_rules(plan) == [message]
    assert sum(bool(problems) for _, problems in checks(plan)) == 1


def test_all_broken_rules_are_said_at_once() -> None:
    plan = example_plan(window=4, scenario_digest="0" * 64, prediction=prediction(answer="fails"))
    assert len(broken_rules(plan)) == 3


@pytest.mark.parametrize(
    ("late_s", "broken"),
    [
        pytest.param(-1, [], id="before"),
        pytest.param(0, [], id="at the last moment"),
        pytest.param(1, ["validity (2026-01-01 01:00 UTC) must not have run out"], id="after"),
    ],
)
def test_validity_runs_out(late_s: int, broken: list[str]) -> None:
    plan = example_plan(created_at="2026-01-01T00:00:00Z", valid_for_s=3600.0)
    now = datetime(2026, 1, 1, 1, tzinfo=UTC) + timedelta(seconds=late_s)
    assert broken_rules(plan, now) == broken
    assert broken_rules(plan) == []  # without a present time nothing is out of date


SCHEMA_BREACHES = [
    pytest.param({"window": 0}, id="window 0"),
    pytest.param({"waves": [wave(NAMES, parallel=0)]}, id="parallel 0"),
    pytest.param({"waves": [wave([])]}, id="an empty wave"),
    pytest.param({"waves": [wave(NAMES, pause_s=-1.0)]}, id="a gate below 0"),
    pytest.param({"drain": {"timeout_s": -1.0, "on_timeout": "cut"}}, id="drain below 0"),
    pytest.param({"valid_for_s": 0.0}, id="valid for no time"),
    pytest.param({"valid_for_s": float("inf")}, id="valid for ever"),
    pytest.param({"pause_s": float("nan")}, id="a pause of NaN"),
    pytest.param({"created_at": "2026-01-01T00:00:00"}, id="made in no time zone"),
    pytest.param({"strategy": "surge"}, id="another strategy"),
    pytest.param({"on_failure": "ignore"}, id="another failure policy"),
    pytest.param({"guards": {}}, id="an unknown key"),
]


@pytest.mark.parametrize("changes", SCHEMA_BREACHES)
def test_what_one_field_cannot_be_is_no_plan(changes: dict[str, Any]) -> None:
    whole = {**example_plan().model_dump(by_alias=True), **changes}
    with pytest.raises(ValidationError):
        Plan.model_validate(whole)


WAVES = [
    pytest.param("sliding", 2, 0.0, (Wave(instances=tuple("abcde"), parallel=2),), id="sliding"),
    pytest.param(
        "sliding", 2, 9.0, (Wave(instances=tuple("abcde"), parallel=2),), id="sliding with pause"
    ),
    pytest.param(
        "batch",
        2,
        9.0,
        (
            Wave(instances=("a", "b"), parallel=2, gate=Gate(pause_s=9.0)),
            Wave(instances=("c", "d"), parallel=2, gate=Gate(pause_s=9.0)),
            Wave(instances=("e",), parallel=1),
        ),
        id="batch with pause",
    ),
    pytest.param(
        "batch",
        3,
        0.0,
        (
            Wave(instances=("a", "b", "c"), parallel=3),
            Wave(instances=("d", "e"), parallel=2),
        ),
        id="batch",
    ),
    pytest.param(
        "batch", 5, 9.0, (Wave(instances=tuple("abcde"), parallel=5),), id="batch of the fleet"
    ),
]


@pytest.mark.parametrize(("advance", "window", "pause_s", "waves"), WAVES)
def test_waves(advance: str, window: int, pause_s: float, waves: tuple[Wave, ...]) -> None:
    assert waves_for("abcde", window, advance, pause_s) == waves


@given(
    count=st.integers(1, 40),
    window=st.integers(1, 50),
    advance=st.sampled_from(["sliding", "batch"]),
    pause_s=st.sampled_from([0.0, 5.0]),
)
def test_waves_hold_the_fleet_and_never_exceed_the_window(
    count: int, window: int, advance: str, pause_s: float
) -> None:
    names = tuple(str(number) for number in range(count))
    waves = waves_for(names, window, advance, pause_s)
    assert tuple(name for one in waves for name in one.instances) == names
    assert all(one.parallel <= window for one in waves)
    assert waves[-1].gate is None


@pytest.mark.parametrize(
    ("kind", "exit_code"),
    [
        pytest.param(BadInput, 2, id="bad input"),
        pytest.param(Refused, 3, id="refused"),
    ],
)
def test_errors_survive_the_way_between_processes(
    kind: type[RollcastError], exit_code: int
) -> None:
    error = pickle.loads(pickle.dumps(kind("window (9) must not\nexceed the fleet (6)")))
    assert (type(error), str(error)) == (kind, "window (9) must not exceed the fleet (6)")
    assert error.exit_code == exit_code


def test_a_step_is_its_word() -> None:
    assert f"{Step.TAKE_OUT}" == "take_out"


def test_bakes_of_the_same_instances_are_one_with_the_stricter_limits() -> None:
    steps = [
        (0.02, Gate(kind="bake", pause_s=60.0, error_fraction=0.01, latency_p99_s=3.0)),
        (0.05, Gate(kind="bake", pause_s=30.0, error_fraction=0.05)),
    ]
    first = canary_waves("abcdefgh", steps, window=2, advance="sliding", pause_s=0.0)[0]
    assert first.instances == ("a",)
    assert first.gate == Gate(kind="bake", pause_s=90.0, error_fraction=0.01, latency_p99_s=3.0)


@pytest.mark.parametrize(
    ("shares", "sizes", "bakes"),
    [
        ([0.25, 0.5], [2, 2, 4], [60.0, 60.0]),
        ([0.01], [1, 7], [60.0]),
        ([0.1, 0.15, 0.5], [1, 3, 4], [120.0, 60.0]),  # one of eight, twice
    ],
)
def test_canary_waves(shares: list[float], sizes: list[int], bakes: list[float]) -> None:
    steps = [(share, Gate(kind="bake", pause_s=60.0)) for share in shares]
    waves = canary_waves("abcdefgh", steps, window=2, advance="sliding", pause_s=0.0)
    assert [len(one.instances) for one in waves] == sizes
    assert [one.gate.pause_s for one in waves if one.gate is not None] == bakes
    assert all(one.parallel == min(2, len(one.instances)) for one in waves)
