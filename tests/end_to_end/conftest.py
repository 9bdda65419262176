"""The command line in a folder of its own, for tests from a scenario to its result."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.command_line import CommandLine


@pytest.fixture
def rollcast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> CommandLine:
    return CommandLine(tmp_path, monkeypatch, capsys)
