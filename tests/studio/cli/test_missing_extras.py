"""What the command line says of a library that is not installed, or does not load."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from executor.base.extras import install_command
from tests.helpers.command_line import SHOP, CommandLine

GOOD = {"shop.yaml": SHOP}


@pytest.mark.parametrize(
    ("arguments", "missing", "subject", "extra"),
    [
        ("compare shop.yaml", "simpy", "compare", "simulation"),
        ("import access.log -o s.yaml", "numpy", "import", "simulation"),
        ("lab compare", "simpy", "lab compare", "simulation"),
        ("studio shop.yaml", "PySide6", "studio", "studio"),
        (
            "simulate shop.yaml --requests r.parquet",
            "pyarrow",
            "--requests r.parquet:",
            "parquet",
        ),
        ("compare shop.yaml --requests r.parquet", "pyarrow", "--requests r.parquet:", "parquet"),
    ],
)
def test_the_extra_and_its_command_are_told_before_anything_is_done(
    arguments: str,
    missing: str,
    subject: str,
    extra: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    said = (
        f"rollcast: {subject} needs the extra `{extra}` ({missing} is not installed); "
        f"install it with: {install_command(extra)}\n"
    )
    CommandLine(tmp_path, monkeypatch, capsys).refuses(arguments.split(), GOOD, said, 2)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            ImportError("libEGL.so.1: cannot open shared object file", name="PySide6.QtGui"),
            "rollcast: PySide6 is installed and cannot be loaded: "
            "libEGL.so.1: cannot open shared object file\n",
        ),
        (
            ModuleNotFoundError("No module named 'PySide6.QtFoo'", name="PySide6.QtFoo"),
            "rollcast: PySide6 is installed and cannot be loaded: No module named 'PySide6.QtFoo'\n",
        ),
    ],
)
def test_a_library_that_does_not_load_is_told(
    error: ImportError,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("studio.gui.app.open_studio", fail)
    CommandLine(tmp_path, monkeypatch, capsys).refuses(["studio", "shop.yaml"], GOOD, said, 2)


def test_a_mistake_of_our_own_is_no_missing_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "simulation.scenario.file", None)
    with pytest.raises(ModuleNotFoundError):
        CommandLine(tmp_path, monkeypatch, capsys)("compare", "shop.yaml")
