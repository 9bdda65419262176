"""A folder with the shop in it, and the command line to run there."""

from pathlib import Path

import pytest

from tests.helpers.command_line import SHOP, CommandLine


@pytest.fixture
def rollcast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> CommandLine:
    command_line = CommandLine(tmp_path, monkeypatch, capsys)
    command_line.write("shop.yaml", SHOP)
    return command_line
