"""A plan in plain words, as tables of known answers."""

from __future__ import annotations

from typing import Any

import pytest

from executor.plan.model import Gate
from executor.plan.waves import canary_waves
from studio.views.plan_text import (
    MOST_WAVES,
    rules_in_words,
    steps_in_words,
    waves_in_words,
)
from tests.helpers.plans import example_plan, forecast

NAMES = tuple(f"checkout-{number}" for number in range(1, 7))
ALL = "checkout-1 to checkout-6"


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({}, [f"6 instances, {ALL}: 2 at once, the next as soon as one is done"]),
        ({"window": 1}, [f"6 instances, {ALL}: one at a time, the next as soon as one is done"]),
        (
            {"pause_s": 2.5},
            [f"6 instances, {ALL}: 2 at once, the next as soon as one is done, 2.5 s between two"],
        ),
        ({"window": 6, "min_in_pool": 0}, [f"6 instances at once, {ALL}"]),
        ({"instances": ["a"], "window": 1, "min_in_pool": 0}, ["One instance: a"]),
        (
            {"advance": "batch", "window": 4, "min_in_pool": 2, "pause_s": 30.0},
            [
                "Wave 1: 4 instances at once, checkout-1 to checkout-4",
                "After wave 1 it pauses for 30 s",
                "Wave 2: 2 instances at once, checkout-5 to checkout-6",
            ],
        ),
    ],
)
def test_waves(changes: dict[str, Any], lines: list[str]) -> None:
    assert waves_in_words(example_plan(**changes)) == lines


def test_of_many_waves_the_first_are_told() -> None:
    names = [f"web-{k}" for k in range(30)]
    plan = example_plan(instances=names, window=2, min_in_pool=0, advance="batch")
    lines = waves_in_words(plan)
    assert len(lines) == MOST_WAVES + 1
    assert lines[-1] == "… and 7 more waves of 14 instances"


def test_a_canary_is_told_with_its_bake() -> None:
    bake = Gate(kind="bake", pause_s=60.0, error_fraction=0.01)
    waves = canary_waves(NAMES, [(0.1, bake)], window=2, advance="sliding", pause_s=0.0)
    assert waves_in_words(example_plan(strategy="canary", waves=waves)) == [
        "Wave 1: checkout-1",
        "After wave 1 the new version bakes for 60 s, at most errors 1 %",
        "Wave 2: 5 instances, checkout-2 to checkout-6: 2 at once, the next as soon as one is done",
    ]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "In the pool at least 3 of 6"),
        ({"min_in_pool": 0}, "How few stay in the pool is left to the window"),
        ({}, "Requests in flight end for 30 s at most, what is left then is cut"),
        (
            {"drain": {"timeout_s": 9.0, "on_timeout": "wait"}},
            "Requests in flight end, however long it takes",
        ),
        (
            {"drain": {"timeout_s": 9.0, "on_timeout": "abort"}},
            "Requests in flight end for 9 s at most, if any are left then, the step fails",
        ),
        ({"stop": {"pre_stop_s": 5.0}}, "It stops 5 s after its take-out at the earliest"),
        ({"min_ready_s": 10.0}, "It must be ready for 10 s before it counts as done"),
        ({}, "When a step fails, no retry: nothing more begins"),
        (
            {"on_failure": "continue", "retries": 2, "max_failures": 1},
            "When a step fails, after 2 retries: the rollout goes on while at most 1 fail",
        ),
        (
            {"on_failure": "rollback"},
            "When a step fails, no retry: everything goes back to the old version",
        ),
        (
            {"guards": {"error_fraction": 0.05, "latency_p99_s": 1.0, "over_s": 30.0}},
            "Guard: errors at most 5 % and p99 at most 1.00 s over 30 s",
        ),
        (
            forecast(queue_max=4.0),
            "It halts when it leaves its forecast: a queue above 18 requests, or clearly more errors",
        ),
        (
            {},
            "Deadlines: take out 40 s, stop 15 s, deploy 15 s, verify 15 s, start 15 s, return 15 s",
        ),
    ],
)
def test_rules(changes: dict[str, Any], line: str) -> None:
    assert line in rules_in_words(example_plan(**changes))


def test_every_step_of_every_instance_has_its_line() -> None:
    lines = steps_in_words(example_plan(advance="batch", window=3, pause_s=5.0))
    assert lines == [
        "Each instance at most: take out 40 s, stop 15 s, deploy 15 s, verify 15 s, start 15 s, return 15 s",
        "wave 1: 3 instances, 3 at once: checkout-1, checkout-2, checkout-3",
        "After wave 1 it pauses for 5 s",
        "wave 2: 3 instances, 3 at once: checkout-4, checkout-5, checkout-6",
    ]
