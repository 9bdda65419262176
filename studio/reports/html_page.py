"""HTML pages that need no other file: templates of jinja2, tables, verdicts and charts as SVG.

The templates are in ``templates/``. Everything that is put into one is escaped, except the SVG that
matplotlib has drawn.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from studio.charts import style
from studio.charts.of_comparison import figure_of
from studio.views.figures_text import ANSWER_GLYPHS
from studio.views.theme import LIGHT, Theme

TEMPLATES = Path(__file__).resolve().parent / "templates"


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes:
        headings: One for each column.
        rows: The cells of each row.
        missed: Numbers of the rows, from 0, that have the colour of failures.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    missed: Container[int] = ()


@dataclass(frozen=True)
class Banner:
    """A verdict as it stands on a page.

    Attributes:
        answer: A key of `studio.views.figures_text.ANSWER_GLYPHS`; it sets the colours.
        sentence: The verdict in words.
        note: A remark at the right of the banner, or nothing.
    """

    answer: str
    sentence: str
    note: str = ""

    @property
    def glyph(self) -> str:
        """The sign of the answer, such as ✓."""
        return ANSWER_GLYPHS[self.answer]


def render_page(template: str, title: str, **values: Any) -> str:
    """Return a whole page.

    Args:
        template: A file in ``templates/``.
        title: The page's title.
        values: What the template shows. All of it is escaped, except `Markup`.

    Raises:
        jinja2.UndefinedError: The template shows a value that is not given.
    """
    return _environment().get_template(template).render(title=title, theme=LIGHT, **values)


def svg_of(draw: Callable[[Axes], object], height_px: float, theme: Theme = LIGHT) -> Markup:
    """Return a drawing on one axes as SVG that can stand in HTML; equal drawings give equal text."""
    return svg_of_figure(figure_of(lambda axes: draw(axes[0]), height_px, theme))


def svg_of_figure(figure: Figure) -> Markup:
    """Return a figure as SVG that can stand in HTML; equal figures give equal text."""
    text = io.StringIO()
    with style.use_style(), mpl.rc_context({"svg.hashsalt": "rollcast"}):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return Markup(re.sub(r"^.*?(?=<svg)", "", text.getvalue(), flags=re.DOTALL))


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
