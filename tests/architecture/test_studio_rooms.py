"""Rules for the studio's modules that import-linter cannot check: threads, modal loops, sizes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

STUDIO = ROOT / "studio"
GUI = sorted((STUDIO / "gui").rglob("*.py"))
LONGEST = 600
"""Maximum number of lines of a module; no module has a reason to be longer."""


def lines_with(path: Path, pattern: str) -> list[str]:
    """Return the lines of a module that match, with their numbers."""
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
    """Dialogues are opened, not executed, and no code processes events while it is at work."""
    allowed = path.name == "app.py"  # the main loop, and the loop that takes screenshots
    assert allowed or lines_with(path, r"\.exec\(\)|processEvents\(") == []


@pytest.mark.parametrize("floor", ["studio", "simulation", "executor"])
def test_no_room_is_too_large(floor: str) -> None:
    sizes = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in (ROOT / floor).rglob("*.py")
    }
    assert {name: size for name, size in sizes.items() if size > LONGEST} == {}
