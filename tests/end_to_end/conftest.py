"""The command line in a folder of its own, for whole ways from a scenario to what came of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.command_line import CommandLine


@pytest.fixture
def rollcast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> CommandLine:
    return CommandLine(tmp_path, monkeypatch, capsys)
