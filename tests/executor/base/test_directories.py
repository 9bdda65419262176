"""The user's folders: where they lie, and what is done where a home cannot be written to."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

import pytest

from executor.base import directories
from executor.base.directories import cache_directory, state_directory
from executor.base.errors import BadInput


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    directories._warn_once.cache_clear()
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_the_folders_are_those_of_the_home_and_its_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state_directory() == tmp_path / ".local" / "state" / "rollcast"
    assert cache_directory("cells") == tmp_path / ".cache" / "rollcast" / "cells"
    assert not state_directory().exists()
    assert cache_directory("cells").stat().st_mode & 0o777 == 0o700
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "s"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "c"))
    assert state_directory() == tmp_path / "s" / "rollcast"
    assert cache_directory("cells") == tmp_path / "c" / "rollcast" / "cells"


def test_a_home_that_cannot_be_written_to_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A file in the place of the home stands for a read-only one: root may write everywhere."""
    (tmp_path / "home").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / "tmp"))
    with caplog.at_level(logging.WARNING):
        places = [cache_directory(name) for name in ("cells", "cells", "kernel")]
    assert all(tmp_path / "tmp" in place.parents for place in places)
    (line,) = caplog.messages
    assert line.startswith(f"{tmp_path}/home/.cache/rollcast: cannot be written: Not a directory; ")
    assert line.endswith(f"stored settings of libraries are kept in {places[0].parent}")


def test_where_nothing_can_be_written_it_is_bad_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / "file"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file"))
    with pytest.raises(
        BadInput, match=r"no folder for caches can be written to: .*Not a directory"
    ):
        cache_directory("cells")
