"""How the state of an instance is shown: a colour, a glyph and a word, never colour alone.

Nothing here knows Qt or matplotlib. Colours are tokens of the theme; where text stands on one it is
darkened or lightened just so far that the text can be read.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from simulation.results.states import State
from studio.views.theme import Theme

READABLE = 4.5
"""The contrast that text needs (WCAG 2.1, AA)."""

_INKS = ("#FFFFFF", "#0E1621")
_STEP = 0.02


@dataclass(frozen=True)
class Look:
    """How one state is shown.

    Attributes:
        token: The name of its colour in the theme.
        glyph: A sign for it.
        word: A word that fits on a tile.
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
"""What the colours mean: token, glyph, words."""


def look_of(state: State, is_new: bool) -> Look:
    """How an instance is shown that is in a state, with the old or the new version."""
    return (_NEW if is_new else _OLD) if state is State.SERVING else _LOOKS[state]


def colour_of(state: State, is_new: bool, theme: Theme) -> str:
    """The colour of that look."""
    colour: str = getattr(theme, look_of(state, is_new).token)
    return colour


_INK_TOKENS = {"new_version": "meets_text", "draining": "undecided_text", "failed": "fails_text"}


def ink_of(token: str, theme: Theme) -> str:
    """The colour in which words are written that belong to a line of a token."""
    colour: str = getattr(theme, _INK_TOKENS.get(token, token))
    return colour


def luminance(colour: str) -> float:
    """Relative luminance of ``#RRGGBB`` (WCAG 2.1)."""
    channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast of two colours, 1 to 21 (WCAG 2.1)."""
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@lru_cache(maxsize=64)
def readable(colour: str) -> tuple[str, str]:
    """A ground as near to a colour as text allows, and the ink that is read on it."""
    ink = max(_INKS, key=lambda one: contrast(colour, one))
    far = "#000000" if ink == _INKS[0] else "#FFFFFF"
    ground, share = colour, 0.0
    while contrast(ground, ink) < READABLE:
        share += _STEP
        ground = _mixed(colour, far, share)
    return ground, ink


def _mixed(one: str, other: str, share: float) -> str:
    """A colour on the way from one to another."""
    pairs = ((int(one[k : k + 2], 16), int(other[k : k + 2], 16)) for k in (1, 3, 5))
    return "#" + "".join(f"{round(a + (b - a) * share):02X}" for a, b in pairs)
