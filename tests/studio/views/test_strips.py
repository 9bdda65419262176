"""What is told over time, as data: a run's strips, an estimate's, and where capacity is missing."""

from __future__ import annotations

import numpy as np
import pytest

from simulation.estimates.estimate import estimate
from simulation.scenario.file import ScenarioFile
from studio.views.replay import story_of, typical
from studio.views.strips import Line, Strip, readout, strips_of, strips_of_estimate
from tests.helpers.command_line import SHOP
from tests.studio.views.test_replay import shop


def room(capacity: list[float], traffic: list[float], *, is_dashed: bool = True) -> Strip:
    time_s = np.arange(len(capacity), dtype=np.float64) + 0.5
    lines = (
        Line("capacity", "new_version", time_s, np.array(capacity, np.float64), is_dashed),
        Line("traffic", "accent", time_s, np.array(traffic, np.float64), is_dashed),
    )
    return Strip("Capacity and traffic", "requests/s", lines, is_room=True)


@pytest.mark.parametrize(
    ("capacity", "traffic", "spans"),
    [
        ([6, 6, 6, 6], [5, 5, 5, 5], []),
        ([6, 4, 4, 6], [5, 5, 5, 5], [(1.0, 3.0)]),
        ([4, 6, 4, 4], [5, 5, 5, 5], [(0.0, 1.0), (2.0, 4.0)]),
        ([5, 5, 5, 5], [5, 5, 5, 5], []),
        ([4, 4, 4, 4], [5, 5, 5, 5], [(0.0, 4.0)]),
    ],
    ids=["enough", "the middle", "both ends", "just enough", "never enough"],
)
def test_where_traffic_is_above_capacity(
    capacity: list[float], traffic: list[float], spans: list[tuple[float, float]]
) -> None:
    assert room(capacity, traffic).shortfalls() == spans


def test_single_bins_of_a_run_are_noise() -> None:
    traffic = [5.0] * 40
    traffic[20] = 7.0
    assert room([6.0] * 40, traffic).shortfalls() != []
    assert room([6.0] * 40, traffic, is_dashed=False).shortfalls() == []


def test_a_run_is_told_as_it_was() -> None:
    scenario, result = shop()
    run = result.runs[typical(result)]
    told = strips_of(story_of(run, scenario), result, scenario.objectives)
    assert [(one.name, one.unit) for one in told] == [
        ("Capacity and traffic", "requests/s"),
        ("Latency", "s"),
        ("Errors", "requests/s"),
        ("Queue", "requests"),
    ]
    count = len(told[0].lines[0].values)
    assert told[0].lines[0].values.tolist() == run.series["capacity_rps"][:count].tolist()
    assert told[0].lines[1].values.tolist() == run.series["offered_rps"][:count].tolist()
    p99_s = run.series["latency_p99_s"][:count]
    assert np.array_equal(told[1].lines[0].values, p99_s, equal_nan=True)
    assert told[1].limit == (2.0, "limit 2 s")
    assert not any(line.is_dashed for strip in told for line in strip.lines)


def test_short_latencies_are_told_in_milliseconds() -> None:
    scenario, result = shop()
    objectives = scenario.objectives.model_copy(update={"latency_p99": 0.4})
    told = strips_of(story_of(result.runs[0], scenario), result, objectives)
    p99_ms = result.runs[0].series["latency_p99_s"][: len(told[1].lines[0].values)] * 1000
    assert told[1].unit == "ms"
    assert told[1].limit == (400.0, "limit 400 ms")
    assert np.array_equal(told[1].lines[0].values, p99_ms, equal_nan=True)


def test_an_estimate_is_dashed_and_of_the_same_quantities() -> None:
    scenario, result = shop()
    found = estimate(scenario)
    told = strips_of_estimate(found, scenario.objectives)
    simulated = strips_of(story_of(result.runs[0], scenario), result, scenario.objectives)
    assert [one.name for one in told] == [one.name for one in simulated]
    assert all(line.is_dashed for strip in told for line in strip.lines)
    assert found.lines is not None
    assert told[0].lines[0].values is found.lines.capacity_rps
    assert told[0].lines[1].values is found.lines.offered_rps


def test_without_a_rollout_there_is_no_estimate_over_time() -> None:
    text = SHOP[: SHOP.index("rollout:")] + SHOP[SHOP.index("objectives:") :]
    text = text.replace("  duration: 30s\n", "clock: {horizon: 20s}\n")
    scenario = ScenarioFile.parse(text).scenario
    assert strips_of_estimate(estimate(scenario), scenario.objectives) == []


@pytest.mark.parametrize(
    ("time_s", "words"),
    [(0.0, ["6", "5"]), (1.6, ["4", "–"]), (99.0, ["6", "5"])],
    ids=["first", "in", "end"],
)
def test_the_readout_is_of_the_nearest_bin(time_s: float, words: list[str]) -> None:
    told = readout(room([6, 4, 6], [5, np.nan, 5]), time_s)
    assert told == list(zip(["new_version", "accent"], words, strict=True))
