"""A run told over time: states, versions, events, the worst moment, which run is shown."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from statistics import median

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulation.results.run_result import SERIES, Ending, RunResult
from simulation.results.states import State, StateInterval, StateIntervals
from simulation.scenario.file import ScenarioFile
from simulation.scenario.model import Scenario
from simulation.study.candidate_result import CandidateResult
from simulation.study.case import cases_of
from simulation.study.compare import compare
from simulation.study.execution import Execution
from simulation.study.rows import run_rows
from studio.resources import scenarios_dir
from studio.views.replay import (
    Story,
    judged_width,
    sentences_of,
    smooth,
    story_of,
    typical,
    worst_run,
)
from tests.helpers.command_line import SHOP

RULES: dict[str, dict[str, object]] = {
    "sliding": {"window": 2},
    "batch": {"window": 2, "advance": "batch", "pause": "1s"},
    "all at once": {"window": 6},
    "recreate": {"window": 6, "strategy": "recreate"},
    "surge": {"window": 2, "surge": 2},
    "beside": {"window": 2, "replacement": "beside"},
    "canary beside": {
        "window": 2,
        "strategy": "canary",
        "replacement": "beside",
        "canary": [{"share": "20%", "bake": "2s"}],
    },
    "blue/green": {"window": 6, "strategy": "blue_green", "pause": "2s"},
    "canary": {"window": 2, "strategy": "canary", "canary": [{"share": "20%", "bake": "2s"}]},
}
ENDINGS = ("halt", "rollback", "continue")


def scenario_of(
    rule: Mapping[str, object], version: Mapping[str, object] | None = None
) -> Scenario:
    """The shop with another rule, and a new version that may have faults."""
    data = ScenarioFile.parse(SHOP).scenario.as_data()
    data["rollout"] = {"drain": {"timeout": "5s"}, **rule}
    data["replications"] = 2
    data["services"]["web"]["versions"] = {"new": version or {}}
    return Scenario.model_validate(data)


def simulated(scenario: Scenario) -> CandidateResult:
    cases = cases_of(scenario)
    return compare(scenario, cases, list(run_rows(scenario, cases, Execution(jobs=1)))).candidates[
        0
    ]


@cache
def shop() -> tuple[Scenario, CandidateResult]:
    scenario = ScenarioFile.parse(SHOP).scenario
    return scenario, simulated(scenario)


def hand_made(
    states: Sequence[tuple[int, State, float, float]], **series: Sequence[float]
) -> Story:
    """The shop's story as it is written here, in bins of a second; it takes four."""
    scenario, result = shop()
    count = max(map(len, series.values()), default=4)
    series = {"served_rps": [400.0] * count, **series}  # enough for a p99 in every bin
    told = {name: np.array(series.get(name, [0.0] * count)) for name in SERIES}
    run = replace(
        result.runs[0],
        states=StateIntervals.of(StateInterval(*interval) for interval in states),
        series=told,
        bin_s=1.0,
        settled_s=4.0,
        end_s=4.0,
        metrics={**result.runs[0].metrics, "rollout_duration_s": 4.0},
    )
    return story_of(run, scenario)


STEPS = (
    (0, State.SERVING, -5.0, 1.0),
    (0, State.DRAINING, 1.0, 1.5),
    (0, State.STOPPING, 1.5, 1.5),
    (0, State.DEPLOYING, 1.5, 2.0),
    (0, State.VERIFYING, 2.0, 2.0),
    (0, State.STARTING, 2.0, 3.0),
    (0, State.RETURNING, 3.0, 3.0),
    (0, State.SERVING, 3.0, 4.0),
    *((k, State.SERVING, -5.0, 4.0) for k in range(1, 6)),
)


@pytest.mark.parametrize(
    ("time_s", "state", "is_new"),
    [
        (0.0, State.SERVING, False),
        (0.999, State.SERVING, False),
        (1.0, State.DRAINING, False),
        (1.5, State.DEPLOYING, False),
        (2.0, State.STARTING, True),  # what starts is the new version
        (3.0, State.SERVING, True),
        (4.0, State.SERVING, True),
    ],
)
def test_what_an_instance_does_at_a_moment(time_s: float, state: State, is_new: bool) -> None:
    story = hand_made(STEPS)
    found = [story.spell(int(interval)) for interval in story.at(time_s)]
    assert (found[0].state, found[0].is_new) == (state, is_new)
    assert [(one.state, one.is_new) for one in found[1:]] == [(State.SERVING, False)] * 5


def test_its_story_in_words() -> None:
    story = hand_made(STEPS)
    assert sentences_of(story, 0) == [
        "0:00 – 0:01  serving (old)",
        "0:01 – 0:02  draining",
        "0:02 – 0:02  deploying",
        "0:02 – 0:03  starting",
        "0:03 – 0:04  serving (new)",
    ]
    assert sentences_of(story, 3) == ["0:00 – 0:04  serving (old)"]
    assert story.order.tolist() == [0]
    assert story.changes_s.tolist() == [0.0, 1.0, 1.5, 2.0, 3.0, 4.0]


@pytest.mark.parametrize(
    ("series", "time_s", "words"),
    [
        (
            {"capacity_rps": [9, 5, 9, 9], "offered_rps": [4, 8, 4, 4], "latency_p99_s": [1] * 4},
            1.5,
            "worst moment: p99 1.00 s, traffic 3/s above capacity",
        ),
        (
            {"capacity_rps": [5] * 4, "offered_rps": [8, 9, 8, 4], "latency_p99_s": [1, 2, 3, 9]},
            1.5,
            "worst moment: p99 2.00 s, traffic 4/s above capacity",
        ),
        (
            {"capacity_rps": [9, 5, 9, 9], "offered_rps": [4] * 4, "latency_p99_s": [1, 2, 7, 3]},
            2.5,
            "worst moment: p99 7.00 s",
        ),
        (
            {"capacity_rps": [9, 5, 9, 9], "offered_rps": [4] * 4, "latency_p99_s": [np.nan] * 4},
            1.5,
            "worst moment: traffic 1/s below capacity",
        ),
        (
            {
                "capacity_rps": [9, 5, 9, 9],
                "offered_rps": [4, 8, 4, 4],
                "latency_p99_s": [1, 8, 1, 2],
                "failed_rps": [0, 0, 0, 3],
            },
            3.5,
            "worst moment: 3 requests/s fail, p99 2.00 s",
        ),
    ],
    ids=["too little capacity", "the least of it", "slow", "nothing answered", "losses first"],
)
def test_the_worst_moment(series: dict[str, list[float]], time_s: float, words: str) -> None:
    worst = hand_made(STEPS, **series).worst
    assert (worst.time_s, worst.words) == (time_s, words)


def test_the_first_bin_is_not_the_worst_for_being_the_first() -> None:
    p99 = [15.0, *[1.0] * 20, 6.0, 6.0, 6.0, *[1.0] * 16]
    series: dict[str, list[float]] = {
        "capacity_rps": [9] * 40,
        "offered_rps": [4] * 40,
        "latency_p99_s": p99,
    }
    story = hand_made(STEPS, **series)
    run = replace(story.run, settled_s=40.0, end_s=40.0)
    run = replace(run, metrics={**run.metrics, "rollout_duration_s": 40.0})
    assert story_of(run, shop()[0]).worst.time_s == pytest.approx(22.5, abs=1)


@pytest.mark.parametrize(
    ("series", "words"),
    [
        ({"failed_rps": [0, 1, 0, 9]}, "9 requests/s fail"),
        ({"capacity_rps": [9, 9, 9, 1]}, "traffic 3/s above capacity"),
        ({"latency_p99_s": [1, 2, 1, 8]}, "p99 8.00 s"),
    ],
    ids=["losses", "capacity", "latency"],
)
def test_the_worst_moment_may_come_after_the_rollout(
    series: dict[str, list[float]], words: str
) -> None:
    """A retry storm outlives what began it; until all has settled nothing is too late."""
    base: dict[str, list[float]] = {
        "capacity_rps": [9] * 4,
        "offered_rps": [4] * 4,
        "latency_p99_s": [1] * 4,
    }
    story = hand_made(STEPS, **{**base, **series})
    run = replace(story.run, metrics={**story.run.metrics, "rollout_duration_s": 2.0})
    worst = story_of(run, shop()[0]).worst
    assert worst.time_s == 3.5
    assert words in worst.words


def test_a_bin_with_a_handful_of_requests_is_not_the_slowest() -> None:
    told = {"capacity_rps": [900] * 4, "offered_rps": [400] * 4}
    story = hand_made(STEPS, **told, latency_p99_s=[1, 3, 1, 9], served_rps=[400, 400, 400, 2])
    assert story.worst.time_s == 1.5
    few = hand_made(STEPS, **told, latency_p99_s=[6, 1, 1, 9], served_rps=[100, 100, 100, 2])
    assert few.worst.time_s == 1.5
    assert (
        few.worst.words == "worst moment: p99 around it 2.67 s"
    )  # of three bins with 300 requests


def test_without_enough_requests_no_p99_is_the_worst() -> None:
    """Of 80 requests in all, the p99 is the slowest one, so the moment with the least room is shown."""
    told = {"capacity_rps": [60, 90, 50, 90], "offered_rps": [20, 20, 20, 20]}
    story = hand_made(STEPS, **told, latency_p99_s=[1, 9, 1, 1], served_rps=[20, 20, 20, 20])
    assert (story.worst.time_s, story.worst.words) == (
        2.5,
        "worst moment: traffic 30/s below capacity",
    )


def test_a_storm_after_the_rollout_is_where_the_replay_begins() -> None:
    file = ScenarioFile.load(scenarios_dir() / "retry-storm.yaml").with_values({"replications": 1})
    run = simulated(file.scenario).runs[0]
    duration_s = run.metrics["rollout_duration_s"]
    assert duration_s is not None
    assert duration_s < run.settled_s
    story = story_of(run, file.scenario)
    most = float(np.max(run.series["failed_rps"][: int(run.settled_s / run.bin_s)]))
    assert most > 0
    width = judged_width(int(np.ceil(run.settled_s / run.bin_s)))
    means = smooth(run.series["failed_rps"][: int(np.ceil(run.settled_s / run.bin_s))], width)
    around_s = (int(np.argmax(means)) + 0.5) * run.bin_s
    assert abs(story.worst.time_s - around_s) <= width * run.bin_s
    assert "requests/s fail" in story.worst.words


def test_events_come_by_time() -> None:
    series = {"capacity_rps": [9, 5, 9, 9], "offered_rps": [4, 8, 4, 4], "latency_p99_s": [1] * 4}
    assert [(one.time_s, one.words, one.instance) for one in hand_made(STEPS, **series).events] == [
        (1.0, "web-01 leaves the pool", 0),
        (1.5, "worst moment: p99 1.00 s, traffic 3/s above capacity", None),
        (1.5, "lowest capacity: 5 requests/s", None),
        (3.0, "web-01 back in the pool", 0),
        (4.0, "the rollout is done", None),
    ]


def shares_of_new(story: Story, run: RunResult) -> list[tuple[float, float]]:
    """In bins in which nobody moves: the share of new ones by the story, and by the engine."""
    found = []
    for place, told in enumerate(run.series["mixed_version_fraction"]):
        begin_s, end_s = place * run.bin_s, (place + 1) * run.bin_s
        if ((story.begin_s > begin_s) & (story.begin_s < end_s)).any():
            continue
        spells = [story.spell(int(one)) for one in story.at((begin_s + end_s) / 2)]
        pool = [one.is_new for one in spells if one.state is State.SERVING]
        found.append((sum(pool) / len(pool) if pool else 0.0, float(told)))
    return found


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("on_failure", [None, *ENDINGS])
def test_versions_are_those_of_the_engine(rule: dict[str, object], on_failure: str | None) -> None:
    version = {} if on_failure is None else {"start_fails": "40%"}
    more = {} if on_failure is None else {"on_failure": on_failure, "max_failures": 2}
    scenario = scenario_of({**rule, **more}, version)
    compared = 0
    for run in simulated(scenario).runs:
        shares = shares_of_new(story_of(run, scenario), run)
        compared += len(shares)
        for mine, told in shares:
            assert mine == pytest.approx(told, abs=1e-9)
    assert compared > 5


@settings(deadline=None)  # the first example simulates
@given(time_s=st.integers(-16, 4000).map(lambda k: k / 16), place=st.integers(0, 3))
def test_every_instance_is_in_one_of_its_own_spells(time_s: float, place: int) -> None:
    scenario, result = shop()
    story = story_of(result.runs[place], scenario)
    interval = story.at(time_s)
    assert story.instance[interval].tolist() == list(range(story.count))
    first = story.begin_s[interval] == story.begin_s.min()
    assert (first | (story.begin_s[interval] <= time_s)).all()
    last = story.end_s[interval] == story.run.end_s
    assert (last | (time_s < story.end_s[interval])).all()


@pytest.mark.parametrize(("rule", "count"), [("batch", 3), ("canary", 2), ("canary beside", 2)])
def test_waves_end_when_all_of_them_are_back(rule: str, count: int) -> None:
    scenario = scenario_of(RULES[rule])
    (run, *_) = simulated(scenario).runs
    story = story_of(run, scenario)
    ends = [one for one in story.events if one.words.startswith("wave ")]
    assert [one.words for one in ends] == [
        f"wave {k} of {count} is back" for k in range(1, count + 1)
    ]
    for one, wave in zip(ends, story.waves, strict=True):
        spells = [story.spell(int(story.at(one.time_s)[number])) for number in wave]
        assert all(spell.state is State.SERVING and spell.is_new for spell in spells)
        assert max(spell.begin_s for spell in spells) == one.time_s


def test_what_stopped_a_rollout_is_told() -> None:
    scenario = scenario_of({"window": 2}, {"start_fails": "100%"})
    (run, *_) = simulated(scenario).runs
    story = story_of(run, scenario)
    assert run.ended == "halted"
    words = [one.words for one in story.events]
    assert "web-01 failed" in words
    halted = [one for one in words if one.startswith("the rollout was halted: instance ")]
    assert [one.endswith(": start failed") for one in halted] == [True]


def with_p99(values: Sequence[float | None], ended: Sequence[str] = ()) -> CandidateResult:
    _scenario, result = shop()
    runs = tuple(
        replace(
            result.runs[0],
            ended=Ending(ended[place]) if ended else Ending.DONE,
            metrics={**result.runs[0].metrics, "rollout_latency_p99_s": value},
        )
        for place, value in enumerate(values)
    )
    return replace(result, runs=runs)


@pytest.mark.parametrize(
    ("values", "ended", "the_typical", "the_worst"),
    [
        ([0.3, 0.1, 0.2], (), 2, 0),
        ([0.1, None, 0.9], (), 0, 2),
        ([0.2, 0.1, 0.3], ("done", "halted", "done"), 0, 1),
    ],
    ids=["by p99", "one without", "one halted"],
)
def test_which_run_is_shown(
    values: list[float | None], ended: tuple[str, ...], the_typical: int, the_worst: int
) -> None:
    result = with_p99(values, ended)
    assert (typical(result), worst_run(result)) == (the_typical, the_worst)


def test_the_worst_run_is_the_one_that_loses_most() -> None:
    result = with_p99([0.3, 0.1, 0.2])
    losing = replace(
        result.runs[1], metrics={**result.runs[1].metrics, "rollout_error_fraction": 0.85}
    )
    assert worst_run(replace(result, runs=(result.runs[0], losing, result.runs[2]))) == 1


def test_services_follow_each_other() -> None:
    text = SHOP.replace("  web:", "  db: {instances: 2, service_time: 5ms}\n  web:")
    text = text.replace("  window: 2   # two at once", "  order: [web]\n  window: 2")
    text = text.replace("rate: 40/s", "rate: 40/s\n  classes: {all: {route: [web, db]}}")
    scenario = ScenarioFile.parse(text).scenario
    story = story_of(simulated(scenario).runs[0], scenario)
    assert [(one.service, one.first, one.count) for one in story.groups] == [
        ("db", 0, 2),
        ("web", 2, 6),
    ]
    assert min(story.order) == 2


def test_a_moment_of_a_thousand_instances_takes_less_than_a_millisecond() -> None:
    text = SHOP.replace("instances: 6", "instances: 1000").replace("window: 2", "window: 250")
    scenario = ScenarioFile.parse(text).scenario.model_copy(update={"replications": 1})
    story = story_of(simulated(scenario).runs[0], scenario)
    taken = []
    for place in range(100):
        began = time.thread_time()
        story.at(story.until_s * place / 100)
        taken.append(time.thread_time() - began)
    assert story.count == 1000
    assert median(taken) < 0.001  # of processor time, however busy the machine is
