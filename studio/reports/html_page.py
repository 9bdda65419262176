"""The frame of every page that leaves as one HTML file: reports, comparisons, lessons.

Enters: parts of a page, figures of matplotlib, rows of words. Leaves: HTML that needs no other file.
What comes from elsewhere is escaped by whoever puts it in, with `safe`.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable, Iterable, Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from studio.charts import style
from studio.charts.of_comparison import figure_of
from studio.views.figures_text import ANSWER_GLYPHS
from studio.views.headline import HeadFigure
from studio.views.theme import LIGHT, Theme

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ background: {page}; color: {text}; font: 15px/1.5 Inter, 'DejaVu Sans', sans-serif;
  font-variant-numeric: tabular-nums; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; }}
h1 {{ font-size: 1.4rem; }} h2 {{ font-size: 1.05rem; margin-top: 2rem; }}
.card {{ background: {card}; border: 1px solid {line}; border-radius: 9px; padding: 1rem;
  margin-bottom: .6rem; overflow-x: auto; }}
.card svg {{ width: 100%; height: auto; }}
.verdict {{ border-radius: 9px; padding: .6rem 1rem; font-weight: 600; }}
.verdict span {{ float: right; font-weight: normal; }}
.meets {{ background: {meets_ground}; color: {meets_text}; }}
.fails {{ background: {fails_ground}; color: {fails_text}; }}
.undecided {{ background: {undecided_ground}; color: {undecided_text}; }}
.figures {{ display: flex; flex-wrap: wrap; gap: .6rem; margin: .6rem 0; }}
.figures .card {{ flex: 1 1 11rem; margin: 0; padding: .6rem 1rem; }} .figures p {{ margin: 0; }}
.figure {{ font-size: 1.3rem; font-weight: 600; }}
.good {{ color: {meets_text}; }} .bad {{ color: {fails_text}; }}
table {{ border-collapse: collapse; }} th {{ color: {soft}; font-weight: normal; }}
th, td {{ padding: .2rem .9rem .2rem 0; text-align: left; vertical-align: top; }}
td {{ white-space: pre-line; }} td:first-child {{ white-space: nowrap; }}
pre {{ font: 13px/1.5 monospace; margin: 0; white-space: pre-wrap; }}
.miss {{ color: {failed}; }} .soft {{ color: {soft}; }}
</style>
</head>
<body>
{body}
</body>
</html>
"""
_TOKENS = sorted(set(re.findall(r"(?<!\{)\{(\w+)\}(?!\})", _PAGE)) - {"title", "body"})


def page_of(title: str, parts: Iterable[str]) -> str:
    """A whole page; parts that are empty are left out."""
    look = {name: getattr(LIGHT, name) for name in _TOKENS}
    return _PAGE.format(title=safe(title), body="\n".join(filter(None, parts)), **look)


def safe(text: object) -> str:
    """A text that may stand in HTML, whatever is in it."""
    return html.escape(str(text))


def table_of(headings: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of texts; a row whose last word is ``misses`` is told in the colour of failures."""
    head = "".join(f"<th>{safe(one)}</th>" for one in headings)
    body = "".join(
        f"<tr{' class=miss' if row[-1] == 'misses' else ''}>"
        + "".join(f"<td>{safe(one)}</td>" for one in row)
        + "</tr>"
        for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def verdict_of(answer: str, sentence: str, note: str = "") -> str:
    """A verdict as a banner: its sentence, with the glyph of its answer, on that answer's ground."""
    beside = f"<span>{safe(note)}</span>" if note else ""
    return f"<p class='verdict {answer}'>{beside}{ANSWER_GLYPHS[answer]}&ensp;{safe(sentence)}</p>"


def figures_of(figures: Iterable[HeadFigure]) -> str:
    """The figures under a verdict, each in a card."""
    told = []
    for one in figures:
        look = "soft" if one.is_within is None else "good" if one.is_within else "bad"
        told.append(
            f"<div class=card><p class=soft>{safe(one.name)}</p><p class=figure>{safe(one.figure)}"
            f"</p><p class={look}>{safe(one.under)}</p></div>"
        )
    return f"<div class=figures>{''.join(told)}</div>"


def svg_of(draw: Callable[[Axes], object], height_px: float, theme: Theme = LIGHT) -> str:
    """A drawing on one axes as SVG that can stand in HTML; the same drawing is the same text."""
    return svg_of_figure(figure_of(lambda axes: draw(axes[0]), height_px, theme))


def svg_of_figure(figure: Figure) -> str:
    """A figure as SVG, likewise."""
    text = io.StringIO()
    with style.use_style(), mpl.rc_context({"svg.hashsalt": "rollcast"}):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return re.sub(r"^.*?(?=<svg)", "", text.getvalue(), flags=re.DOTALL)
