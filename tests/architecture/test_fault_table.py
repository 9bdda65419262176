"""Every row of the table of faults in `docs/executor.md` names tests that exist."""

from __future__ import annotations

import re

from tests.helpers.paths import ROOT


def test_every_test_that_the_table_of_faults_names_exists() -> None:
    text = (ROOT / "docs" / "executor.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("|") and "`test_" in line]
    assert len(rows) >= 20
    there = {
        name
        for folder in ("executor", "end_to_end", "studio")
        for path in (ROOT / "tests" / folder).rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    named = {name for row in rows for name in re.findall(r"`(test_\w+)`", row)}
    assert named <= there, f"no such tests: {sorted(named - there)}"


def test_every_row_of_the_table_of_faults_names_a_test() -> None:
    text = (ROOT / "docs" / "executor.md").read_text(encoding="utf-8")
    table = text.split("| fault | what happens | test |\n", 1)[1]
    rows = [line for line in table.splitlines()[1:] if line.startswith("|")]
    assert [row for row in rows if "`test_" not in row] == []
