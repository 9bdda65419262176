"""``rollcast export``: a plan becomes another tool's file, or is refused in a line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from executor.exports.base import ExportTarget
from executor.exports.targets import TARGETS
from executor.plan.file import read_plan, write_plan
from tests.helpers.command_line import CommandLine
from tests.helpers.plans import beside_plan, example_plan


@pytest.fixture
def plan(rollcast: CommandLine) -> Path:
    path = rollcast.folder / "plan.json"
    write_plan(path, example_plan())
    return Path("plan.json")


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_plan_is_written_for_each_target(
    rollcast: CommandLine, plan: Path, target: ExportTarget
) -> None:
    if target.name in ("kubernetes", "argo-rollouts"):
        write_plan(rollcast.folder / plan, beside_plan())
    answer = rollcast("export", plan, "--to", target.name, "-o", "out")
    assert (answer.code, answer.err) == (0, "")
    path = rollcast.folder / "out" / f"checkout-evening{target.suffix}"
    exported = target.render(read_plan(rollcast.folder / plan))
    assert path.read_text(encoding="utf-8") == exported.text
    assert path.stat().st_mode & 0o777 == 0o600
    lines = answer.out.splitlines()
    assert lines[0].startswith(f"out/checkout-evening{target.suffix} is written. Use it with: ")
    assert lines[1:] == (
        ["Lost in translation:", *(f"  {one}" for one in exported.lost)] if exported.lost else []
    )


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        (["plan.json", "--to", "ansibel"], "the nearest is ansible", 2),
        (["plan.json", "--to", "ansible", "-o", "plan.json"], "-o plan.json: must be a folder", 2),
        (
            ["plan.json", "--to", "ansible", "-o", "plan.json/in"],
            "in: cannot be made: Not a dir",
            2,
        ),
        (["gone.json", "--to", "ansible"], "gone.json: cannot be read", 2),
        (["plan.json", "--to", "kubernetes"], "replacement (in_place) must be beside", 3),
        (["plan.json", "--to", "ansible", "--image", "shop:2"], "--image, --container and", 2),
    ],
)
def test_wrong_use_is_told_in_a_line(
    rollcast: CommandLine, plan: Path, arguments: list[str], said: str, code: int
) -> None:
    rollcast.refuses(["export", *arguments], {}, said, code)


def test_an_existing_file_is_overwritten_only_when_that_is_asked_for(
    rollcast: CommandLine, plan: Path
) -> None:
    command = ["export", str(plan), "--to", "ansible", "-o", "a/b"]
    assert rollcast(*command).code == 0
    path = next((rollcast.folder / "a/b").iterdir())
    exported = path.read_text(encoding="utf-8")
    path.write_text("a person's own", encoding="utf-8")
    said = f"rollcast: a/b/{path.name}: exists already; --force overwrites it\n"
    rollcast.refuses(command, {}, said, 2)
    assert rollcast(*command, "--force").code == 0
    assert path.read_text(encoding="utf-8") == exported


def test_a_plan_that_breaks_a_rule_or_is_late_is_not_exported(rollcast: CommandLine) -> None:
    late = example_plan(created_at=datetime.now(UTC) - timedelta(days=8))
    wide = example_plan(window=5)
    for plan, said in ((late, "must not have run out"), (wide, "window (5) must not exceed")):
        write_plan(rollcast.folder / "plan.json", plan)
        rollcast.refuses(["export", "plan.json", "--to", "ansible"], {}, said, 3)


def test_a_plan_for_a_controller_is_validated_and_not_executed(rollcast: CommandLine) -> None:
    write_plan(rollcast.folder / "plan.json", beside_plan())
    answer = rollcast("validate", "plan.json")
    assert answer.code == 0
    assert "kubernetes carries it out: export it, execute refuses it" in answer.out
    said = "is carried out by kubernetes, not by Rollcast's executor: rollcast export PLAN --to"
    rollcast.refuses(["lab", "run", "plan.json"], {}, said, 3)


def test_the_plan_itself_is_not_written_over(rollcast: CommandLine) -> None:
    write_plan(rollcast.folder / "checkout-evening.plan.json", example_plan())
    rollcast.refuses(
        ["export", "checkout-evening.plan.json", "--to", "rollcast"],
        {},
        "is the plan itself, which must not be overwritten",
        2,
    )
