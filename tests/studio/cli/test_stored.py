"""Results are stored beside the scenario: a command run again runs nothing, and says the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulation.study.running.work import Work
from tests.helpers.command_line import CommandLine

STORE = Path("shop.rollcast-cells.sqlite")


@pytest.mark.parametrize("command", ["compare", "simulate"])
def test_a_command_run_again_runs_nothing(
    rollcast: CommandLine, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    first = rollcast(command, "shop.yaml", "--json", "--jobs", "1")
    assert STORE.exists()
    with monkeypatch.context() as patch:
        patch.setattr(Work, "_make_run", None)
        assert rollcast(command, "shop.yaml", "--json") == first
    STORE.unlink()
    assert rollcast(command, "shop.yaml", "--json", "--jobs", "1") == first


def test_a_plan_made_again_runs_nothing(
    rollcast: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = ("plan", "shop.yaml", "-o", "plan.json", "--json")
    first = rollcast(*told, "--jobs", "1")
    assert first.code == 0
    monkeypatch.setattr(Work, "_make_run", None)
    assert rollcast(*told) == first


def test_a_file_that_is_no_store_is_told(rollcast: CommandLine) -> None:
    files: dict[str, str | bytes] = {"shop.rollcast-cells.sqlite": b"no database" * 500}
    said = "shop.rollcast-cells.sqlite: holds no stored results"
    rollcast.refuses(["compare", "shop.yaml"], files, said, 2)
