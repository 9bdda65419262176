"""How the state of an instance is shown: a colour, a glyph and a word, never colour alone.

Colours are tokens of the theme. A colour under text is darkened or lightened until the text can be read.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from simulation.results.states import State
from studio.views.figures_text import NOTHING
from studio.views.theme import Theme

READABLE = 4.5
"""The contrast that text needs (WCAG 2.1, AA)."""

_INKS = ("#FFFFFF", "#0E1621")
_STEP = 0.02


@dataclass(frozen=True)
class Look:
    """The look of one state.

    Attributes:
        token: The name of the colour in the theme.
        glyph: The sign of the state.
        word: A word for the state that fits on a tile.
    """

    token: str
    glyph: str
    word: str


_LOOKS = {
    State.DRAINING: Look("draining", "◐", "drain"),
    State.STOPPING: Look("out", "■", "stop"),
    State.DEPLOYING: Look("out", "↓", "deploy"),
    State.VERIFYING: Look("out", "?", "verify"),
    State.STARTING: Look("starting", "↑", "start"),
    State.RETURNING: Look("starting", "→", "return"),
    State.FAILED: Look("failed", "✗", "failed"),
    State.CRASHED: Look("failed", "!", "crashed"),
    State.ABSENT: Look("card", "–", "absent"),
}
_OLD, _NEW = Look("old_version", "●", "old"), Look("new_version", "✓", "new")

LEGEND = (
    ("old_version", "●", "old version"),
    ("draining", "◐", "draining"),
    ("out", "↓", "stopped, deploying, verifying"),
    ("starting", "↑", "starting, returning"),
    ("new_version", "✓", "new version"),
    ("failed", "✗", "failed"),
)
"""The legend of the colours: token, glyph, words."""


def look_of(state: State, is_new: bool) -> Look:
    """Return the look of an instance in a state, with the old or the new version."""
    return (_NEW if is_new else _OLD) if state is State.SERVING else _LOOKS[state]


def version_text(state: State, is_new: bool) -> str:
    """Return the version that an instance runs: ``old``, ``new``, or ``–`` while it runs none."""
    if state in (State.DEPLOYING, State.VERIFYING, State.ABSENT):
        return NOTHING
    return "new" if is_new else "old"


def colour_of(state: State, is_new: bool, theme: Theme) -> str:
    """Return the colour of an instance in a state, with the old or the new version."""
    colour: str = getattr(theme, look_of(state, is_new).token)
    return colour


_INK_TOKENS = {"new_version": "meets_text", "draining": "undecided_text", "failed": "fails_text"}


def ink_of(token: str, theme: Theme) -> str:
    """Return the colour for words that name a line of a token's colour."""
    colour: str = getattr(theme, _INK_TOKENS.get(token, token))
    return colour


def luminance(colour: str) -> float:
    """Return the relative luminance of ``#RRGGBB`` (WCAG 2.1)."""
    channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, 1 to 21 (WCAG 2.1)."""
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@lru_cache(maxsize=64)
def readable(colour: str) -> tuple[str, str]:
    """Return a ground as near to a colour as readable text allows, and the ink for the text."""
    ink = max(_INKS, key=lambda candidate: contrast(colour, candidate))
    far = "#000000" if ink == _INKS[0] else "#FFFFFF"
    ground, share = colour, 0.0
    while contrast(ground, ink) < READABLE:
        share += _STEP
        ground = _mixed(colour, far, share)
    return ground, ink


def _mixed(one: str, other: str, share: float) -> str:
    """Return the mixture of two colours; a `share` of 0 is the first, 1 the second."""
    pairs = ((int(one[k : k + 2], 16), int(other[k : k + 2], 16)) for k in (1, 3, 5))
    return "#" + "".join(f"{round(a + (b - a) * share):02X}" for a, b in pairs)
