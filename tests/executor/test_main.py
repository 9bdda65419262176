"""``python -m executor`` as a host runs it: what is printed where, and the exit code."""

from __future__ import annotations

import argparse
import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

import executor.__main__ as command
from executor.plan.file import plan_text
from tests.helpers.fake_fleet import example_inventory
from tests.helpers.paths import ROOT
from tests.helpers.plans import example_plan, prediction

PUBLIC_KEY = (
    "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0 " + bytes(range(32))).decode()
)


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "executor", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )


def out_of_date() -> str:
    return plan_text(example_plan(created_at="2020-01-01T00:00:00Z", valid_for_s=60.0))


CASES = [
    # text of the file, exit code, a line of standard output, the line of standard error
    pytest.param(lambda: plan_text(example_plan()), 0, "✓ every instance", None, id="sound"),
    pytest.param(
        lambda: plan_text(example_plan()).replace('"seed": 1', '"seed": 2'),
        3,
        None,
        "the plan was changed after it was made",
        id="changed",
    ),
    pytest.param(
        lambda: plan_text(example_plan().model_copy(update={"digest": "0" * 64})),
        3,
        None,
        "digest (000000000000…) must be that of the content",
        id="another digest",
    ),
    pytest.param(
        out_of_date,
        3,
        "    validity (2020-01-01 00:01 UTC) must not have run out",
        None,
        id="out of date",
    ),
    pytest.param(
        lambda: plan_text(example_plan(window=4)),
        3,
        "    window (4) must not exceed the fleet (6) less the minimum in the pool (3)",
        None,
        id="a broken rule",
    ),
    pytest.param(lambda: "window: 2", 2, None, ":1:1: is not JSON: Expecting value", id="no JSON"),
    pytest.param(lambda: "{}", 2, None, "must be given", id="no plan"),
    pytest.param(None, 2, None, "cannot be read: No such file or directory", id="no file"),
]


@pytest.mark.parametrize(("text", "exit_code", "said", "wrong"), CASES)
def test_validate(
    tmp_path: Path,
    text: Callable[[], str] | None,
    exit_code: int,
    said: str | None,
    wrong: str | None,
) -> None:
    path = tmp_path / "plan.json"
    if text is not None:
        path.write_text(text(), encoding="utf-8")
    done = run("validate", str(path))
    assert done.returncode == exit_code, done.stderr
    if said is None:
        assert done.stdout == ""
    else:
        assert any(line.startswith(said) for line in done.stdout.splitlines())
        assert ("✗" in done.stdout) == (exit_code == 3)
    if wrong is None:
        assert done.stderr == ""
    else:
        assert done.stderr.startswith(f"executor: {path}")
        assert wrong in done.stderr
        assert done.stderr.count("\n") == 1


def test_a_terminal_without_the_marks_is_no_reason_to_fail(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(plan_text(example_plan()), encoding="utf-8")
    done = run("validate", str(path), PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("\\u2713 the form is that of rollcast.plan/1")


def test_nobody_reading_on_is_no_reason_to_fail(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(plan_text(example_plan()), encoding="utf-8")
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "executor", "validate", str(path)],
            cwd=ROOT,
            stdout=writing,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("arguments", [(), ("validate",), ("launch",)])
def test_wrong_use_is_told_without_a_traceback(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert "usage: executor" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_interrupt_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Path) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "validate_plan", interrupted)
    assert command.main(["validate", "plan.json"]) == 130


def test_the_report_says_every_check_and_under_it_what_breaks_it() -> None:
    plan = example_plan(window=4, prediction=prediction(answer="fails"))
    lines, sound = command.validate_report(plan, datetime.now(UTC))
    assert not sound
    assert [line for line in lines if not line.startswith("✓")] == [
        "✗ the window fits the fleet and its minimum in the pool",
        "    window (4) must not exceed the fleet (6) less the minimum in the pool (3)",
        "✗ the objectives hold with the stated confidence, or it is accepted that they are missed anyway",
        "    verdict (fails) must be meets",
    ]
    assert command.validate_report(example_plan(), datetime.now(UTC))[1]


@pytest.mark.parametrize("name", ["execute", "resume"])
def test_both_command_lines_have_the_same_options(name: str) -> None:
    from typer.main import get_command

    from studio.cli.app import app

    commands = get_command(app).commands  # type: ignore[attr-defined] # a group has them
    above = {
        option
        for parameter in commands[name].params
        for option in (*parameter.opts, *parameter.secondary_opts)
        if option.startswith("-")
    }
    subparsers = next(
        action
        for action in command._parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    below = {
        option for action in subparsers.choices[name]._actions for option in action.option_strings
    } - {"-h", "--help"}
    assert above == below - ({"--resume"} if name == "resume" else set())


def test_a_plan_that_is_not_signed_is_not_carried_out_where_keys_are_trusted(
    tmp_path: Path,
) -> None:
    plan, inventory, key = (tmp_path / name for name in ("plan.json", "fleet.yaml", "key.pub"))
    plan.write_text(plan_text(example_plan()), encoding="utf-8")
    said = example_inventory(list(example_plan().instances)).model_dump(
        mode="json", exclude_none=True
    )
    inventory.write_text(json.dumps(said), encoding="utf-8")
    key.write_text(PUBLIC_KEY, encoding="utf-8")
    done = run("execute", str(plan), "--inventory", str(inventory), "--trust", str(key))
    assert (done.returncode, done.stdout) == (3, "")
    assert "must be signed by a trusted key, and is not signed" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("strategy", ["blue_green", "recreate", "expand_migrate_contract"])
def test_another_strategy_is_refused_by_its_name(tmp_path: Path, strategy: str) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(plan_text(example_plan()).replace('"rolling"', f'"{strategy}"'))
    done = run("execute", str(plan), "--inventory", str(tmp_path / "none"))
    assert done.returncode == 2
    assert f"strategy (\"{strategy}\") must be 'rolling' or 'canary'" in done.stderr
