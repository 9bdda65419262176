"""The frame of every page: what is put into it is text, and what is missing is noticed."""

from __future__ import annotations

import re

import jinja2
import pytest

from studio.reports.html_page import TEMPLATES, Banner, Table, render_page

HOSTILE = """<script>"'&</script>"""


def contest_page(**values: object) -> str:
    """A page of the simplest template, every value of it hostile."""
    given: dict[str, object] = {
        "name": HOSTILE,
        "held_count": HOSTILE,
        "score": HOSTILE,
        "right_orders": HOSTILE,
        "orders": HOSTILE,
        "digest": HOSTILE,
        "charts": [HOSTILE],
        "judged": Table([HOSTILE, "b"], [[HOSTILE, "1"], ["c", HOSTILE]], {1}),
        "flags": [HOSTILE],
    }
    return render_page("contest.html", HOSTILE, **{**given, **values})


def test_every_value_is_escaped() -> None:
    page = contest_page()
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 12


def test_a_value_that_is_missing_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError, match="'judged' is undefined"):
        render_page("contest.html", "x", name="", held_count=0, score="", right_orders=0, orders=0)


def test_rows_that_missed_have_the_colour_of_failures() -> None:
    page = contest_page()
    assert re.findall("<tr[^>]*>", page) == ["<tr>", "<tr>", "<tr class=miss>"]


@pytest.mark.parametrize(("answer", "glyph"), [("meets", "✓"), ("fails", "✗"), ("undecided", "?")])
def test_a_banner_bears_the_glyph_of_its_answer(answer: str, glyph: str) -> None:
    assert Banner(answer, "a sentence").glyph == glyph


def test_no_template_puts_anything_in_unescaped() -> None:
    for path in TEMPLATES.glob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\|\s*safe|autoescape", text), path
