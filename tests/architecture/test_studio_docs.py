"""`docs/studio.md` contains the tables of actions and settings that the studio uses."""

from __future__ import annotations

import re

import pytest

from studio.gui.toolkit.actions import ACTIONS, PAGES
from studio.gui.toolkit.settings import SETTINGS
from tests.studio_page import PAGE, fill_tables

TEXT = PAGE.read_text(encoding="utf-8")


def test_the_tables_are_those_of_the_program() -> None:
    assert fill_tables(TEXT) == TEXT, "run ./rollcast update-expected"


def test_a_row_for_every_action_and_every_setting() -> None:
    declared = TEXT.partition("<!-- answers -->")[0]  # measured figures come after
    rows = [line for line in declared.splitlines() if line.startswith("| ")]
    headings = 2
    assert len(rows) == len(ACTIONS) + len(SETTINGS) + 2 * headings


def test_every_page_is_explained_in_its_order() -> None:
    explained = re.findall(r"^\*\*([^*]+)\*\* ", TEXT, re.MULTILINE)
    assert explained == [words for _key, words, _tip in PAGES]


def test_a_table_that_has_gone_stale_is_written_anew() -> None:
    stale = TEXT.replace(f"| {ACTIONS[0].tip} |", "| what it did once |")
    assert stale != TEXT
    assert fill_tables(stale) == TEXT


@pytest.mark.parametrize("mark", ["<!-- actions -->", "<!-- settings -->"])
def test_a_page_without_a_mark_is_told(mark: str) -> None:
    with pytest.raises(ValueError, match=mark):
        fill_tables(TEXT.replace(mark, ""))
