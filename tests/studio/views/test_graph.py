"""Graphs: places, what waits for what, and the critical path, on runs made by hand."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.plan.model import Gate
from executor.plan.waves import canary_waves
from simulation.results.run_result import RunResult
from simulation.results.states import State, StateInterval
from simulation.scenario.model import Scenario
from studio.views.figures_text import duration_text
from studio.views.graph import (
    Drawing,
    Node,
    OutageInterval,
    release_drawing,
    short_names,
    spells,
    typical_run,
    waves_drawing,
)
from tests.helpers.plans import example_plan
from tests.helpers.scenarios import of_services, run_once, runs_of, scenario, small_shop

NAMES = tuple(f"checkout-{number}" for number in range(1, 7))


def done(**times: tuple[float, float]) -> dict[str, OutageInterval]:
    """Instances by the ends of their names, each with its begin and end."""
    return {
        f"checkout-{key[1:]}": OutageInterval(begin_s, end_s, "serving")
        for key, (begin_s, end_s) in times.items()
    }


def edges(drawing: Drawing) -> set[tuple[str, str]]:
    return {(edge.first, edge.then) for edge in drawing.edges}


def places(drawing: Drawing) -> dict[str, tuple[int, float]]:
    return {node.key: (node.column, node.row) for node in drawing.nodes}


def node(drawing: Drawing, key: str) -> Node:
    return next(one for one in drawing.nodes if one.key == key)


TIMED = done(_1=(0, 10), _2=(0, 12), _3=(10, 25), _4=(12, 20), _5=(20, 31), _6=(25, 30))
"""A window of two: 3 takes the place of 1, 4 of 2, 5 of 4, 6 of 3; 5 is last."""


def test_whoever_is_done_first_makes_room_for_the_next() -> None:
    drawing = waves_drawing(example_plan(), TIMED)
    assert edges(drawing) == {
        ("checkout-1", "checkout-3"),
        ("checkout-2", "checkout-4"),
        ("checkout-4", "checkout-5"),
        ("checkout-3", "checkout-6"),
    }
    assert places(drawing) == {
        "checkout-1": (0, 0.0),
        "checkout-2": (0, 1.0),
        "checkout-3": (1, 0.0),
        "checkout-4": (1, 1.0),
        "checkout-5": (2, 1.0),
        "checkout-6": (2, 0.0),
    }
    critical = [one.key for one in drawing.nodes if one.is_critical]
    assert critical == ["checkout-2", "checkout-4", "checkout-5"]
    assert [(one.first, one.then) for one in drawing.edges if one.is_critical] == [
        ("checkout-2", "checkout-4"),
        ("checkout-4", "checkout-5"),
    ]
    assert drawing.critical == "checkout-2 → 4 → 5, 31.0 s"
    four = node(drawing, "checkout-4")
    assert (four.kind, four.title, four.under) == ("instance", "4", "8.0 s")
    assert four.about == (
        "checkout-4: wave 1 of 1; out from 12.0 s to 20.0 s in a typical run, 8.0 s; on the critical "
        "path"
    )


def test_without_a_run_the_order_is_known_and_the_times_are_not() -> None:
    drawing = waves_drawing(example_plan())
    assert edges(drawing) == {(f"checkout-{k}", f"checkout-{k + 2}") for k in range(1, 5)}
    assert drawing.critical == ""
    assert not any(one.is_critical or one.under for one in drawing.nodes)


def test_batches_meet_at_their_gates() -> None:
    plan = example_plan(advance="batch", window=4, min_in_pool=2, pause_s=7.5)
    timed = done(_1=(0, 9), _2=(0, 8), _3=(0, 10), _4=(0, 7), _5=(17.5, 30), _6=(17.5, 25))
    drawing = waves_drawing(plan, timed)
    first = {f"checkout-{k}" for k in range(1, 5)}
    assert edges(drawing) == {(name, "gate 1") for name in first} | {
        ("gate 1", "checkout-5"),
        ("gate 1", "checkout-6"),
    }
    gate = node(drawing, "gate 1")
    assert (gate.kind, gate.title, gate.column, gate.row) == ("gate", "pause 7.5 s", 1, 1.5)
    assert gate.about == "After wave 1 it pauses for 7.5 s"
    assert places(drawing)["checkout-5"] == (2, 1.0)  # two lanes in the middle of four
    assert [one.key for one in drawing.nodes if one.is_critical] == [
        *("checkout-3", "gate 1", "checkout-5")
    ]
    assert drawing.critical == "checkout-3 → 5, 30.0 s"
    quick = waves_drawing(example_plan(advance="batch", window=4, min_in_pool=2))
    assert node(quick, "gate 1").title == "then"


def test_the_bake_of_a_canary_is_told_with_its_limits() -> None:
    bake = Gate(kind="bake", pause_s=60.0, error_fraction=0.01, latency_p99_s=0.4)
    waves = canary_waves(NAMES, [(0.2, bake)], window=2, advance="sliding", pause_s=0.0)
    drawing = waves_drawing(example_plan(strategy="canary", waves=waves))
    gate = node(drawing, "gate 1")
    assert gate.title == "bake 60 s"
    assert gate.about == (
        "After wave 1 the new version bakes for 60 s, at most errors 1 % and p99 400 ms"
    )
    assert edges(drawing) >= {("checkout-1", "gate 1"), ("gate 1", "checkout-2")}


def test_who_failed_and_who_was_not_begun_is_told_and_no_path_is_claimed() -> None:
    timed = {**done(_1=(0, 10)), "checkout-2": OutageInterval(0.0, None, "failed")}
    drawing = waves_drawing(example_plan(), timed)
    two, five = node(drawing, "checkout-2"), node(drawing, "checkout-5")
    assert (two.under, five.under) == ("✗ failed", "not begun")
    assert two.about == "checkout-2: wave 1 of 1; taken out at 0.0 s, at the end failed"
    assert five.about == "checkout-5: wave 1 of 1; was not begun in this run"
    assert drawing.critical == ""
    assert not any(one.is_critical for one in drawing.nodes)


@given(
    count=st.integers(1, 40),
    window=st.integers(1, 40),
    advance=st.sampled_from(["sliding", "batch"]),
    data=st.data(),
)
def test_no_two_boxes_share_a_place_and_nobody_is_left_out(
    count: int, window: int, advance: str, data: st.DataObject
) -> None:
    names = tuple(f"web-{k}" for k in range(count))
    plan = example_plan(instances=names, window=min(window, count), min_in_pool=0, advance=advance)
    lengths = data.draw(st.lists(st.integers(1, 9), min_size=count, max_size=count))
    timed: dict[str, OutageInterval] = {}
    ready_s = 0.0
    for wave in plan.waves:
        free = [ready_s] * wave.parallel
        for name in wave.instances:
            free.sort()
            begin_s = free.pop(0)
            end_s = begin_s + lengths[names.index(name)]
            timed[name] = OutageInterval(begin_s, end_s, "serving")
            free.append(end_s)
        ready_s = max(free)
    drawing = waves_drawing(plan, timed)
    taken = places(drawing)
    assert len(set(taken.values())) == len(taken) == count + len(plan.waves) - 1
    assert all(taken[edge.first][0] < taken[edge.then][0] for edge in drawing.edges)
    for name in names:  # a box waits for whoever ended just when it began
        before = [edge.first for edge in drawing.edges if edge.then == name]
        assert len(before) <= 1
        if before and not before[0].startswith("gate"):
            assert timed[before[0]].end_s == timed[name].begin_s
    path = [one.key for one in drawing.nodes if one.is_critical]
    ended = max(one.end_s or 0.0 for one in timed.values())
    assert max(timed[key].end_s or 0.0 for key in path if key in timed) == ended
    assert min(timed[key].begin_s for key in path if key in timed) == 0.0


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["web-01", "web-02"], ["01", "02"]),
        (["web-01", "web-10"], ["01", "10"]),
        (["eu.web.1", "eu.db.2"], ["web.1", "db.2"]),
        (["apple", "apricot"], ["apple", "apricot"]),
        (["web-01"], ["web-01"]),
        (["web-", "web-1"], ["web-", "1"]),
        ([], []),
    ],
)
def test_names_are_shown_without_what_they_share(names: list[str], shown: list[str]) -> None:
    assert list(short_names(names).values()) == shown


# Releases

SHOP: dict[str, Any] = {
    "services": {
        "store": {"steps": {"start": "5s"}},
        "orders": {"steps": {"start": "2s"}},
        "search": {"steps": {"start": "4s"}},
        "web": {"steps": {"start": "1s"}},
    },
    "classes": {
        "all": {"route": ["web", "orders", "store"]},
        "find": {"share": 0.5, "route": ["web", "search"]},
    },
    "rate": "1/s",
    "rollout": {
        "window": 1,
        "order": {"store": [], "orders": ["store"], "search": [], "web": ["orders", "search"]},
    },
}


def release() -> Scenario:
    return of_services(**SHOP)


def test_a_release_stands_in_generations_and_its_longest_chain_is_marked() -> None:
    scenario = release()
    run = run_once(scenario)
    drawing = release_drawing(scenario, run)
    assert run.critical_path == ("store", "orders", "web")
    assert {key: column for key, (column, _) in places(drawing).items()} == {
        "store": 0, "search": 0, "orders": 1, "web": 2,
    }  # fmt: skip
    assert len(set(places(drawing).values())) == 4
    assert edges(drawing) == {("store", "orders"), ("orders", "web"), ("search", "web")}
    assert {one.key for one in drawing.nodes if one.is_critical} == {"store", "orders", "web"}
    assert {(e.first, e.then) for e in drawing.edges if e.is_critical} == {
        ("store", "orders"),
        ("orders", "web"),
    }
    assert drawing.critical.startswith("store → orders → web, ")
    web = node(drawing, "web")
    assert web.about.startswith("web: 1 instance, 1 at once; begins after orders, search; takes ")
    assert web.about.endswith("on the critical path")


def test_a_release_that_is_not_simulated_has_no_times() -> None:
    drawing = release_drawing(release())
    assert drawing.critical == ""
    assert [one.under for one in drawing.nodes] == ["1 instance"] * 4
    assert not any(one.is_critical for one in drawing.nodes)


@pytest.mark.parametrize(
    "rollout",
    [
        {"window": 2},
        {"surge": 1},
        {"window": 2, "replacement": "beside"},
        {"strategy": "blue_green"},
    ],
    ids=["in place", "surge", "beside", "blue/green"],
)
def test_what_is_removed_has_ended(rollout: dict[str, Any]) -> None:
    one = scenario(
        rate="5/s", slots=20, steps={"stop": "1s", "deploy": "5s"}, rollout=rollout,
        clock={"warm_up": "1s"},
    )  # fmt: skip
    run = run_once(one)
    ended = spells(one, "app", run)
    assert all(spell.end_s is not None for spell in ended.values())
    (drawn,) = release_drawing(one, run).nodes
    took_s = run.metrics["rollout_duration_s"]
    assert took_s is not None
    assert f"takes {duration_text(took_s)} in a typical run" in drawn.about


# Runs


def interval(instance: int, state: State, begin_s: float, end_s: float) -> StateInterval:
    return StateInterval(instance, state, begin_s, end_s)


def test_when_an_instance_was_away_is_read_off_its_states() -> None:
    scenario = small_shop()
    run = run_once(scenario)
    found = spells(scenario, "app", run)
    assert list(found) == list(scenario.names_of("app"))
    for number, name in enumerate(scenario.names_of("app")):
        own = [one for one in run.states if one.instance == number]
        out = [one for one in own if one.state is not State.SERVING]
        assert found[name] == OutageInterval(out[0].begin_s, out[-1].end_s, "serving")


def test_only_the_named_service_is_read() -> None:
    scenario = release()
    run = run_once(scenario)
    assert list(spells(scenario, "orders", run)) == ["orders-01"]
    assert (
        spells(scenario, "web", run)["web-01"].begin_s
        > (spells(scenario, "orders", run)["orders-01"].end_s or 0.0) - 1e-9
    )


def with_duration(run: RunResult, duration_s: float | None) -> RunResult:
    from dataclasses import replace

    return replace(run, metrics={**run.metrics, "rollout_duration_s": duration_s})


def test_the_typical_run_took_the_median_time_of_those_that_ended() -> None:
    one = run_once(small_shop())
    runs = [with_duration(one, length) for length in (9.0, None, 3.0, 5.0, 7.0)]
    found = typical_run(runs)
    assert found is not None
    assert found.metrics["rollout_duration_s"] == 5.0
    assert typical_run([with_duration(one, None)]) is not None
    assert typical_run([]) is None


def test_every_simulated_run_has_a_path_that_ends_when_it_ends() -> None:
    scenario = small_shop()
    plan = example_plan(instances=scenario.names_of("app"), service="app", window=2, min_in_pool=0)
    for run in runs_of(scenario, 5):
        timed = spells(scenario, "app", run)
        drawing = waves_drawing(plan, timed)
        path = [one.key for one in drawing.nodes if one.is_critical]
        assert max(timed[key].end_s or 0.0 for key in path) == pytest.approx(
            run.metrics["rollout_duration_s"]
        )
