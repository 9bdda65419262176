"""Placeholders in texts: a name in braces, as in ``checkout@{port}``, that is replaced by a value.

Only the plain name is a placeholder. Python's format language also has ``{port:d}``, ``{port!r}``,
``{port.real}`` and ``{port[0]}``. These would fail or give unexpected text only when a text is filled
in, perhaps in the middle of a rollout, so they are refused when a text is read.
"""

from __future__ import annotations

import string
from collections.abc import Mapping


def broken_rule(text: str, words: Mapping[str, str]) -> str | None:
    """Return the rule that the placeholders of a text break; None when they break none.

    Args:
        text: The text, in which ``{{`` and ``}}`` are plain braces.
        words: The value of each placeholder.
    """
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError as error:
        return f"has a brace too few or too many ({error}); a brace itself is {{{{ or }}}}"
    for _, name, format_spec, conversion in parts:
        if name is None:
            continue
        if name not in words:
            return f"{{{name}}} must be one of {', '.join(words)}, or a key of values"
        if format_spec or conversion:
            return f"{{{name}}} must stand alone in its braces, without a conversion or a format"
    return None


def fill(text: str, words: Mapping[str, str]) -> str:
    """Return a text with its placeholders filled in.

    Args:
        text: A text that breaks no rule.
        words: The value of each placeholder.
    """
    parts = string.Formatter().parse(text)
    return "".join(part + ("" if name is None else words[name]) for part, name, _, _ in parts)
