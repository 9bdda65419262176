"""Ladders: round values, starts, rules that leave rungs out, and bisection."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.planning.alternatives.ladders import find_smallest, ladders_of
from simulation.planning.alternatives.model import ChangeKind
from simulation.study.case import cases_of
from simulation.study.why.round_values import round_values
from tests.helpers.scenarios import of_services, scenario

K = ChangeKind


def values(kind: ChangeKind, lasts_s: float = 60.0, **parts: Any) -> list[float | str]:
    one = scenario(**{"rollout": {"window": 2}, **parts})
    [case] = cases_of(one)
    [ladder] = ladders_of(kind, case, lasts_s)
    return [rung.change.value for rung in ladder]


@given(st.integers(0, 60), st.integers(0, 60), st.booleans())
def test_the_smallest_that_suffices_is_found_in_few_questions(
    count: int, threshold: int, asks_last_first: bool
) -> None:
    asked: list[int] = []

    def suffices(index: int) -> bool:
        asked.append(index)
        assert 0 <= index < count
        return index >= threshold

    found = find_smallest(count, suffices, asks_last_first=asks_last_first)
    assert found == (threshold if threshold < count else None)
    assert len(asked) <= 2 * max(1, count).bit_length() + 2
    if asks_last_first and threshold >= count > 0:
        assert asked == [count - 1]


@given(st.floats(1e-4, 5_000), st.floats(1.5, 20))
def test_round_values_ascend_between_the_ends_in_steps_of_at_most_half(
    above: float, factor: float
) -> None:
    found = round_values(above, factor * above)
    assert found == sorted(set(found))
    assert all(above < value <= factor * above for value in found)
    for lower, higher in itertools.pairwise([above, *found]):
        assert higher <= 1.5 * lower * (1 + 1e-9)


def test_round_values_are_those_that_a_person_writes() -> None:
    assert round_values(4, 12) == [4.5, 5, 6, 7, 8, 9, 10, 12]
    assert round_values(40, 150) == [45, 50, 60, 90, 120, 150]
    assert round_values(0.001, 0.003) == [0.0012, 0.0015, 0.002, 0.0025, 0.003]
    assert round_values(3000, 7200) == [3600, 5400, 7200]


def test_a_fleet_grows_to_three_times_its_size_and_a_large_one_in_steps_of_a_hundredth() -> None:
    assert values(K.MORE_INSTANCES, instances=4) == [*range(5, 13)]
    assert values(K.MORE_INSTANCES, instances=250)[:3] == [253, 256, 259]
    assert values(K.MORE_INSTANCES, instances=["web-a", "web-b"], rollout={"window": 1}) == [
        *range(3, 7)
    ]


def test_instances_with_keys_of_their_own_cannot_be_added() -> None:
    assert values(K.MORE_INSTANCES, instances={"a": {"slots": 2}, "b": {}, "c": {}}) == []


def test_every_called_service_may_grow() -> None:
    one = of_services(
        {"front": {"instances": 3}, "back": {"instances": 2}, "idle": {"instances": 2}},
        {"all": {"route": ["front", "back"]}},
        rollout={"window": 1},
    )
    [case] = cases_of(one)
    ladders = [ladder for ladder in ladders_of(K.MORE_INSTANCES, case, 60.0) if ladder]
    keys = [ladder[0].change.key for ladder in ladders]
    assert keys == ["services.front.instances", "services.back.instances"]


def test_windows_go_one_by_one_and_those_that_break_a_rule_are_left_out() -> None:
    assert values(K.WIDER_WINDOW, instances=5) == [3, 4, 5]
    assert values(K.NARROWER_WINDOW, instances=5, rollout={"window": 4}) == [3, 2, 1]
    workload = {"workload": {"kind": "StatefulSet", "name": "db"}}
    assert values(K.WIDER_WINDOW, rollout={"window": 1}, service=workload) == []


def test_a_surge_is_tried_where_the_tool_has_one_and_keeps_the_whole_fleet() -> None:
    beside = {"window": 2, "surge": 2}
    assert values(K.SURGE, instances=5, rollout=beside) == [2, 3, 4, 5]
    whole = {"window": 2, "surge": 2, "min_healthy": 5}
    assert values(K.SURGE, instances=5, rollout=whole) == [3, 4, 5]
    deployment = {"workload": {"kind": "Deployment", "name": "shop"}}
    assert values(K.SURGE, instances=3, service=deployment) == [1, 2, 3]
    [case] = cases_of(scenario(instances=4, rollout={"window": "50%", "replacement": "beside"}))
    [ladder] = ladders_of(K.SURGE, case, 60.0)
    rung = ladder[0].case.scenario
    assert (rung.surge_count("app"), rung.min_healthy_count("app")) == (1, 4)
    assert (ladder[0].change.before, ladder[0].case.candidate.window) == (0, 1)


@pytest.mark.parametrize(
    "parts",
    [
        {},  # hosts that are updated in place
        {"service": {"workload": {"kind": "StatefulSet", "name": "db"}}, "rollout": {"window": 1}},
        {"service": {"workload": {"kind": "Deployment", "name": "shop"}},
         "rollout": {"window": 1, "replacement": "in_place"}},
        {"service": {"workload": {"kind": "Deployment", "name": "shop"}},
         "rollout": {"window": 1, "advance": "batch"}},
        {"service": {"rollout": {"min_healthy": 1}}, "rollout": {"surge": 1}},
        {"rollout": {"strategy": "recreate"}},
    ],
)  # fmt: skip
def test_where_the_tool_has_no_surge_none_is_tried(parts: dict[str, Any]) -> None:
    assert values(K.SURGE, **parts) == []


def test_pauses_end_with_none_and_waits_end_at_their_longest() -> None:
    pauses = values(K.SHORTER_PAUSE, rollout={"window": 1, "pause": "10s"})
    assert pauses[:3] == [9, 8, 7]
    assert pauses[-1] == 0
    assert values(K.SHORTER_PAUSE) == []
    drains = values(K.LONGER_DRAIN, rollout={"window": 1, "drain": {"timeout": "200s"}})
    assert drains == [210, 240, 270, 300, 360, 420, 480, 540, 600]
    assert values(K.LONGER_PRE_STOP)[-1] == 60
    assert values(K.LONGER_PRE_STOP, propagation_delay="100s") == [120, 150, 180]


def test_limits_are_relaxed_to_ten_times_at_most() -> None:
    limits = {"latency_p99": "2s", "error_fraction": 0.5}
    assert values(K.HIGHER_P99_LIMIT, objectives=limits)[-1] == 20
    assert max(map(float, values(K.HIGHER_ERROR_LIMIT, objectives=limits))) < 1
    assert values(K.LONGER_DURATION_LIMIT, objectives=limits) == []


def test_each_farther_start_has_less_traffic_than_all_nearer_ones() -> None:
    steps = {"steps": [["0h", "10/s"], ["8h", "50/s"], ["12h", "40/s"], ["13h", "60/s"]]}
    parts: dict[str, Any] = {"rate": steps, "clock": {"start": "14:00"}}
    assert values(K.EARLIER_START, **parts) == ["12:30:00", "07:30:00"]
    assert values(K.LATER_START, **parts) == []


def test_a_daily_curve_has_no_end_and_constant_traffic_no_other_start() -> None:
    daily: dict[str, Any] = {"rate": {"daily": {"low": "10/s", "high": "40/s", "peak": "12:00"}}}
    later = values(K.LATER_START, clock={"start": "20:00"}, **daily)
    assert later[0] == "20:30:00"
    assert later[-1] == "00:00:00"  # beyond midnight, the quietest hour of all
    assert values(K.LATER_START) == values(K.EARLIER_START) == []


def test_in_a_freeze_any_start_outside_is_better() -> None:
    steps = {"steps": [["0h", "50/s"], ["8h", "20/s"]]}
    frozen = {"window": 1, "freeze": [["08:00", "18:00"]]}
    parts: dict[str, Any] = {"rate": steps, "clock": {"start": "12:00"}, "rollout": frozen}
    assert values(K.EARLIER_START, **parts) == ["07:30:00"]
    assert values(K.LATER_START, **parts) == ["18:00:00"]


@pytest.mark.parametrize("kind", [K.EARLIER_START, K.LATER_START])
def test_starts_from_which_a_trace_may_end_are_left_out(kind: ChangeKind, tmp_path: Any) -> None:
    trace = tmp_path / "trace.csv"
    rows = [f"{600 * row},{100 - 30 * (row in (0, 1, 2, 11))}" for row in range(12)]
    trace.write_text("\n".join(["time,rate", *rows]))
    found = values(kind, rate={"trace": str(trace)}, clock={"start": "1h"}, steps={"deploy": "5s"})
    assert found == ([] if kind is K.LATER_START else ["00:00:00"])
