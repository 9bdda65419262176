"""``rollcast why``: what a person and a program read, and where ``compare`` and ``plan`` say it."""

from __future__ import annotations

import pytest

from tests.helpers.command_line import SHOP, CommandLine

ONE = ("--jobs", "1", "-q")
MISTAKES = """\
rollcast: scenario/1
replications: 20
clock: {warm_up: 20s}
traffic: {rate: 160/s}
services:
  app:
    instances: 8
    slots: 4
    service_time: {mean: 100ms, cv: 1}
    balancer: {propagation_delay: 1s}
    steps: {stop: 1s, deploy: 3s, start: 2s}
rollout: {window: 7}
objectives: {in_runs: 90%, error_fraction: 0.1%, latency_p99: 1s}
"""
"""The balancer learns a second late and there is no pre-stop; the window is too large as well."""


@pytest.fixture
def mistakes(rollcast: CommandLine) -> CommandLine:
    rollcast.write("mistakes.yaml", MISTAKES)
    return rollcast


def test_two_mistakes_are_told_with_the_change_that_avoids_both(mistakes: CommandLine) -> None:
    answer = mistakes("why", "mistakes.yaml", *ONE)
    assert (answer.code, answer.err) == (0, "")
    text = " ".join(answer.out.split())
    assert text.startswith("Window 7 fails: it meets every objective in none of 20 runs.")
    assert (
        "lost requests were refused after their instance had stopped, most of them in the step"
        in text
    )
    assert (
        "(errors above 0.1 %): the balancer learns 1 s late of a take-out and pre-stop is 0 s;"
        in text
    )
    assert "p99 above 1 s: a window of 7 of 8 instances takes too much out of the pool." in text
    assert "`rollout.pre_stop: 1.2s; rollout.window: " in text
    assert "runs on a fresh seed meet every objective." in text
    assert "refused after the stop" in answer.out  # the table of losses
    assert "no rollout 12 of 12" in text  # what was tried


def test_the_remedy_of_the_json_meets_when_it_is_set(mistakes: CommandLine) -> None:
    found = mistakes("why", "mistakes.yaml", "--json", *ONE).json
    assert found["schema"] == "rollcast.why/1"
    assert found["verdict"]["answer"] == "fails"
    why = found["why"]
    assert [each["cause"] for each in why["explanations"]] == ["missing_pre_stop", "window"]
    assert why["explanations"][0]["phase"] == "stop"
    assert why["lost_count"] == found["losses"]["count"]
    sets = [
        word
        for key, value in why["remedy"]["values"].items()
        for word in ("--set", f"{key}={value}")
    ]
    again = mistakes(
        "why", "mistakes.yaml", "--json", "--seed", "99", "--replications", "60", *sets, *ONE
    ).json
    assert again["verdict"]["answer"] == "meets"
    assert again["why"] is None


def test_a_window_of_its_own_is_examined(mistakes: CommandLine) -> None:
    told = mistakes("why", "mistakes.yaml", "--window", "1", *ONE).out
    assert told.startswith("Window 1 fails")
    assert "`rollout.pre_stop: 1.2s` would avoid this" in told


def test_what_meets_has_nothing_to_explain(rollcast: CommandLine) -> None:
    rollcast.write("shop.yaml", SHOP)
    answer = rollcast("why", "shop.yaml", *ONE)
    assert answer.code == 0
    assert answer.out.splitlines()[:2] == [
        "Window 2 meets every objective in 4 of 4 runs.",
        "No run misses an objective, and nothing is lost.",
    ]


def test_compare_tells_why_each_candidate_fails(mistakes: CommandLine) -> None:
    answer = mistakes("compare", "mistakes.yaml", "--windows", "1,7", *ONE)
    text = " ".join(answer.out.partition("Why:")[2].split())
    assert text.startswith("Window 1: ")
    assert "`rollout.pre_stop: 1.2s` would avoid this" in text
    assert "Window 7: " in text
    assert "a window of 7 of 8 instances takes too much out of the pool" in text


def test_a_refused_plan_offers_the_simulated_change(mistakes: CommandLine) -> None:
    answer = mistakes("plan", "mistakes.yaml", "--windows", "1,2", "-o", "plan.json", *ONE)
    assert answer.code == 3
    assert answer.err.count("\n") == 1
    assert "would avoid" not in answer.err
    assert "Window 1: " in answer.out
    assert "`rollout.pre_stop: 1.2s` would avoid this: " in " ".join(answer.out.split())
    assert answer.out.count("What would meet every objective: pre-stop 1.2 s, with window 2") == 1
    assert "pre-stop is 0 s" in answer.out


def test_a_scenario_without_a_rollout_is_refused(rollcast: CommandLine) -> None:
    steady = SHOP.partition("rollout:")[0] + "clock: {horizon: 1m}\n"
    rollcast.write("steady.yaml", steady)
    answer = rollcast("why", "steady.yaml", *ONE)
    assert answer.code == 2
    assert answer.err == "rollcast: steady.yaml: rollout: is missing, there is nothing to explain\n"


def test_a_window_that_is_none_is_refused(mistakes: CommandLine) -> None:
    answer = mistakes("why", "mistakes.yaml", "--window", "0", *ONE)
    assert answer.code == 2
    assert answer.err == "rollcast: --window 0: 0: a window must be at least 1\n"
