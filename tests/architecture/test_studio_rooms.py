"""What holds for the studio's rooms and import-linter cannot see: threads, modal loops, sizes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

STUDIO = ROOT / "studio"
GUI = sorted((STUDIO / "gui").rglob("*.py"))
LONGEST = 600
"""Above that a room needs a written reason; there is none that has one."""


def lines_with(path: Path, pattern: str) -> list[str]:
    """The lines of a room that match, with their numbers."""
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(pattern, line)
    ]


def test_only_one_room_has_threads() -> None:
    pattern = (
        r"\bQThread\b|\bQRunnable\b|\bQThreadPool\b|\bimport threading\b|\bThreadPoolExecutor\b"
    )
    found = {path.name for path in GUI if lines_with(path, pattern)}
    assert found == {"job.py", "jobs.py"}


@pytest.mark.parametrize("path", GUI, ids=lambda path: str(path.relative_to(STUDIO)))
def test_nothing_blocks_the_window(path: Path) -> None:
    """A dialogue is opened, not executed; nobody processes events in the middle of something."""
    allowed = path.name == "app.py"  # the program's own loop, and that of its pictures
    assert allowed or lines_with(path, r"\.exec\(\)|processEvents\(") == []


@pytest.mark.parametrize("floor", ["studio", "simulation", "executor"])
def test_no_room_is_too_large(floor: str) -> None:
    sizes = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in (ROOT / floor).rglob("*.py")
    }
    assert {name: size for name, size in sizes.items() if size > LONGEST} == {}
