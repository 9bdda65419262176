"""The old file or the new one, never a half, never a third."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from executor.base.errors import BadInput
from executor.base.files import atomic_write_text, write_beside


def test_text_is_written_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "new.txt"
    atomic_write_text(path, "é\r\n✓\n")
    assert path.read_bytes() == "é\r\n✓\n".encode()
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_has_the_rights_of_any_other(tmp_path: Path) -> None:
    atomic_write_text(tmp_path / "ours", "")
    (tmp_path / "usual").write_text("")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_failing_rename_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "plan.json"
    path.write_text("old")
    monkeypatch.setattr(os, "replace", no_space)
    with pytest.raises(BadInput) as refused:
        atomic_write_text(path, "new")
    assert str(refused.value) == f"{path}: cannot be written: No space left on device"
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupted_writer_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), write_beside(path) as beside:
        beside.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    atomic_write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


UNWRITABLE = [
    pytest.param("folder", "is not a regular file", id="a folder"),
    pytest.param("pipe", "is not a regular file", id="a pipe"),
    pytest.param("missing/file", "No such file or directory", id="a missing folder"),
    pytest.param("file/file", "Not a directory", id="a file as folder"),
    pytest.param("n" * 300, "File name too long", id="too long a name"),
]


@pytest.mark.parametrize(("name", "reason"), UNWRITABLE)
def test_what_cannot_be_written_is_said_in_one_line(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("old")
    os.mkfifo(tmp_path / "pipe")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BadInput) as refused:
        atomic_write_text(tmp_path / name, "new")
    assert str(refused.value) == f"{tmp_path / name}: cannot be written: {reason}"
    assert sorted(tmp_path.rglob("*")) == before
