"""The command that a screen shows makes the plan that the screen shows."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from executor.plan.file import read_plan
from simulation.scenario.file import ScenarioFile
from studio.views.plan_text import plan_command
from tests.helpers.command_line import SHOP, CommandLine


@pytest.mark.parametrize(
    ("edits", "same"),
    [
        ({}, {"window": 2}),
        ({"rollout.window": 3}, {"window": 3}),
        ({"rollout.window": "50%"}, {"window": 3}),
        ({"rollout.advance": "batch"}, {"advance": "batch"}),
        ({"rollout.drain.timeout": "7s"}, {"drain": {"timeout_s": 7.0, "on_timeout": "cut"}}),
        ({"rollout.min_ready": "2s", "rollout.retries": 1}, {"min_ready_s": 2.0, "retries": 1}),
    ],
)
def test_the_command_makes_the_same_plan(
    rollcast: CommandLine, edits: dict[str, object], same: dict[str, Any]
) -> None:
    file = ScenarioFile.parse(SHOP)
    command = plan_command(
        "shop.yaml", file.scenario, file.with_values(edits).scenario, "made.json"
    )
    assert command is not None
    program, *arguments = shlex.split(command)
    assert program == "rollcast"
    answer = rollcast(*arguments, "--jobs", "1", "-q")
    assert (answer.code, answer.err) == (0, "")
    made = read_plan(rollcast.folder / "made.json").model_dump(mode="json")
    assert {key: made[key] for key in same} == same


def test_what_options_cannot_say_has_no_command() -> None:
    file = ScenarioFile.parse(SHOP)
    without = ScenarioFile.parse(SHOP.replace("  latency_p99: 2s\n", ""))
    assert plan_command("a.yaml", file.scenario, without.scenario, "p.json") is None
